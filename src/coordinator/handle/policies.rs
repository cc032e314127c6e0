//! Rules, as callers see and change them, and what several coordinators share in etcd.

use super::{Command, Coordinator, OperateError};
use crate::coordinator::peers::KeptHost;
use crate::coordinator::policies::{Place, Policies, write};
use crate::store::etcd::{MOST_AT_ONCE, NotWritten, Wish};
use dvms_solver::file::Constraint;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long a change waits for etcd.
const WITHIN: Duration = Duration::from_secs(10);
/// How long for what etcd has taken to be in force here.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks at whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The way to etcd, where there is one.
#[derive(Debug, Default)]
pub(in crate::coordinator) struct Etcd {
    /// Where what is to be written goes.
    pub(in crate::coordinator) wishes: OnceLock<mpsc::Sender<Wish>>,
    /// Why it does not answer; `None` = it does, or there is none.
    silent: RwLock<Option<String>>,
}

impl Etcd {
    /// It does not answer, or does again.
    pub(in crate::coordinator) fn set_silent(&self, why: Option<String>) {
        *self.silent.write().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

impl Coordinator {
    /// The rules.
    #[must_use]
    pub fn policies(&self) -> Arc<Policies> {
        self.view().policies.clone()
    }

    /// Why nothing is heard from etcd; `None` = it answers, or there is none.
    #[must_use]
    pub fn etcd_silent(&self) -> Option<String> {
        self.shared.etcd.silent.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps these rules, in the place of those of the same names; returns when they are in force here.
    ///
    /// # Errors
    /// Why they are not kept.
    pub async fn apply_rules(&self, rules: Vec<Constraint>) -> Result<Arc<Policies>, OperateError> {
        self.change_rules(rules.into_iter().map(|rule| (rule.name.clone(), Some(rule))).collect()).await
    }

    /// Takes a rule away.
    ///
    /// # Errors
    /// There is none of this name, it is one of the configuration file, or why it is kept.
    pub async fn delete_rule(&self, name: &str) -> Result<Arc<Policies>, OperateError> {
        let policies = self.policies();
        let kept = policies.kept.rules.contains_key(name) || policies.refused.contains_key(name);
        if !kept && policies.files.iter().any(|rule| rule.name == name) {
            return Err(OperateError::WrongState(format!(
                "the rule {name:?} is one of the configuration file of coordinator {}: take it out there and restart it",
                self.name()
            )));
        }
        if !kept && policies.place != Place::Files {
            return Err(OperateError::NotFound { kind: "policy", name: name.to_owned() });
        }
        self.change_rules(BTreeMap::from([(name.to_owned(), None)])).await
    }

    async fn change_rules(
        &self,
        change: BTreeMap<String, Option<Constraint>>,
    ) -> Result<Arc<Policies>, OperateError> {
        if change.len() > MOST_AT_ONCE {
            let message = format!("are {}; {MOST_AT_ONCE} can be changed at once", change.len());
            return Err(OperateError::Invalid { field: "rules".to_owned(), message });
        }
        match self.policies().place {
            Place::Files => Err(OperateError::WrongState(
                "the members of this ring are a fixed list, so its rules are those of the configuration files: change \
                 them in the file of each coordinator and restart one after the other, or let etcd tell the members \
                 (ring.etcd)"
                    .to_owned(),
            )),
            Place::Here => self.ask(|reply| Command::ChangeRules(change, reply)).await,
            Place::Etcd => self.write_rules(change).await,
        }
    }

    async fn write_rules(
        &self,
        change: BTreeMap<String, Option<Constraint>>,
    ) -> Result<Arc<Policies>, OperateError> {
        let before = self.policies().kept.revision;
        let change = change.into_iter().map(|(name, rule)| (name, rule.as_ref().map(write))).collect();
        let (answer, answered) = oneshot::channel();
        let silent = |why: &str| {
            OperateError::EtcdSilent(format!(
                "nothing was changed, as etcd does not answer ({why}). Changes of rules and of members wait until it does; \
                 the rules in force stay"
            ))
        };
        let unknown = |why: &str| {
            OperateError::EtcdSilent(format!(
                "etcd has not said whether it has taken the change ({why}). Make it again when it answers; until then the \
                 rules in force stay"
            ))
        };
        let Some(wishes) = self.shared.etcd.wishes.get() else { return Err(silent("not asked yet")) };
        let wish = Wish::Rules { change, answer };
        match tokio::time::timeout(WITHIN, wishes.send(wish)).await {
            Ok(Ok(())) => {}
            _ => return Err(silent(&self.etcd_silent().unwrap_or_else(|| "it is behind".to_owned()))),
        }
        let revision = match tokio::time::timeout(WITHIN, answered).await {
            Ok(Ok(Ok(revision))) => revision,
            Ok(Ok(Err(NotWritten::Silent(why)))) => return Err(silent(&why)),
            Ok(Ok(Err(NotWritten::Unknown(why)))) => return Err(unknown(&why)),
            Ok(Err(_)) => return Err(unknown("the connection to it was lost")),
            Err(_) => return Err(unknown(&format!("no answer within {WITHIN:?}"))),
        };
        let in_force = async {
            // Of an etcd that was set up anew the numbers are smaller than they were.
            let waits = |has: u64| has < revision || (has == before && before > revision);
            while waits(self.policies().kept.revision) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        // It is kept in any case; the answer tells what is in force here by then.
        let _ = tokio::time::timeout(IN_FORCE_WITHIN, in_force).await;
        Ok(self.policies())
    }

    /// These are the rules that etcd keeps. False when the coordinator has stopped.
    pub(in crate::coordinator) async fn set_rules(
        &self,
        revision: u64,
        rules: BTreeMap<String, String>,
    ) -> bool {
        self.shared.commands.send(Command::Rules { revision, rules }).await.is_ok()
    }

    /// This is what etcd keeps of hosts. False when the coordinator has stopped.
    pub(in crate::coordinator) async fn set_kept(
        &self,
        all: bool,
        hosts: BTreeMap<String, Option<KeptHost>>,
    ) -> bool {
        self.shared.commands.send(Command::HostsKept { all, hosts }).await.is_ok()
    }
}
