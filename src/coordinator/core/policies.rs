//! Rules that are changed while the coordinator runs.

use super::journal::event;
use super::{Answer, Core, Effect, Ticket};
use crate::coordinator::handle::OperateError;
use crate::coordinator::inventory::Now;
use crate::coordinator::policies::{Place, Policies};
use crate::record::{Event, EventKind, Severity};
use crate::store;
use dvms_solver::file::Constraint;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Core {
    /// These are kept in etcd.
    pub(super) fn rules_told(&mut self, revision: u64, rules: BTreeMap<String, String>, now: Now) {
        if self.policies.place != Place::Etcd {
            return;
        }
        let mut policies = (*self.policies).clone();
        policies.told(revision, rules);
        for (name, why) in &policies.refused {
            if self.policies.refused.get(name) != Some(why) {
                let message = format!("the rule {name} of etcd (revision {revision}): {why}");
                let said = event(EventKind::Alarm, Severity::Error, message);
                self.tell(Event { constraint: name.clone(), ..said }, now);
            }
        }
        self.put_in_force(policies, "etcd", now);
    }

    /// An operator changes those that are kept here.
    pub(super) fn change_rules(
        &mut self,
        change: BTreeMap<String, Option<Constraint>>,
        ticket: Ticket,
        now: Now,
    ) {
        if let Err(refused) = self.may_change(&change) {
            return self.refuse(ticket, refused);
        }
        let mut policies = (*self.policies).clone();
        policies.kept.revision += 1;
        for (name, rule) in change {
            match rule {
                Some(rule) => _ = policies.kept.rules.insert(name, rule),
                None => _ = policies.kept.rules.remove(&name),
            }
        }
        self.put_in_force(policies, "an operator", now);
        let answer = Answer::Policies(self.policies.clone());
        self.journal.then(Effect::Answer { ticket, answer });
    }

    fn may_change(&self, change: &BTreeMap<String, Option<Constraint>>) -> Result<(), OperateError> {
        self.may_operate()?;
        if self.policies.place != Place::Here {
            let message = "the rules that can be changed are not kept by this coordinator alone";
            return Err(OperateError::WrongState(message.to_owned()));
        }
        let rules: Vec<Constraint> = change.values().flatten().cloned().collect();
        match self.policies.judge(&rules).into_iter().next() {
            Some((field, message)) => Err(OperateError::Invalid { field, message }),
            None => Ok(()),
        }
    }

    /// From now on these hold; they are kept for a start at which nobody tells them.
    fn put_in_force(&mut self, policies: Policies, by: &str, now: Now) {
        let news = policies.news(&self.policies);
        if policies.kept != self.policies.kept {
            self.journal.write(store::Change::Rules(policies.kept.clone()));
        }
        if !news.is_empty() {
            let message = format!("rules as {by} says, revision {}: {news}", policies.kept.revision);
            self.tell(event(EventKind::Operator, Severity::Info, message), now);
            self.settings.constraints = policies.in_force();
            self.cell.touch_all_vms();
            self.detector.hope();
            self.urgent = true;
        }
        self.policies = Arc::new(policies);
    }
}
