//! Plans over several cells that an operator has approved: they held no hosts while they waited, and ask for them by name
//! then, by an event of their own.

use super::super::plans::Stage;
use super::super::{Core, Life};
use super::wishes::kind_of;
use crate::coordinator::inventory::Now;
use crate::partition::{
    Event, Found, Held, Host, Input, Kind, Member, Need, PartitionId, Stage as PartitionStage,
};
use crate::record::PlanState;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a plan is called as an event: it was approved, and asks for its hosts.
const APPROVED: &str = "PLAN:";
/// After which hosts that are not to be had are not asked for any more.
const CLAIMED_FOR: Duration = Duration::from_mins(1);

/// The approved plan whose hosts an event asks for.
pub(super) fn claim_of(event: &Event) -> Option<&str> {
    event.key.as_str().strip_prefix(APPROVED)
}

/// The plan of this member whose hosts a partition is for.
pub(super) fn claimed(events: &[Event], me: &Member) -> Option<String> {
    events.iter().filter(|event| event.owner == *me).find_map(claim_of).map(str::to_owned)
}

impl Core {
    /// A plan is put before an operator: its partition ends, and others may have the hosts.
    pub(in crate::coordinator::core) fn let_go(&mut self, id: &str, now: Now) {
        if let Some(shared) = self.shared(id) {
            let (partition, version) = (shared.partition.clone(), shared.version);
            self.ring.plans.remove(&partition);
            self.has_no_partition(id);
            let me = self.ring.node.me().clone();
            self.leave_out(&partition, version, |event| event.owner != me, now);
            self.happens(Input::Solved { partition, version, found: Found::Nothing }, now);
        }
    }

    /// Nothing that the protocol says of a partition of before is about this plan.
    fn has_no_partition(&mut self, id: &str) {
        if let Some(shared) = self.shared_mut(id) {
            shared.version = 0;
            // Those of others are theirs again.
            shared.all.clone_from(&shared.own);
        }
    }

    /// An operator has approved a plan: its hosts are asked for by name, wherever they are.
    pub(in crate::coordinator::core) fn claim(&mut self, id: &str, now: Now) {
        let Some(record) = self.plans.get(id).cloned() else { return };
        let Some(shared) = self.shared(id) else { return };
        let kind = shared.all.iter().map(|key| kind_of(key.0)).min().unwrap_or(Kind::Overload);
        let of_here = |host: &&String| self.cell.hosts.contains_key(*host);
        let named = |hosts: Vec<&String>| hosts.into_iter().map(|host| host.as_str().into()).collect();
        let (own, others): (Vec<_>, Vec<_>) = record.hosts.iter().partition(of_here);
        let event = Event {
            key: format!("{APPROVED}{id}").as_str().into(),
            owner: self.ring.node.me().clone(),
            kind,
            hosts: named(own),
            near: self.members_with(others.iter().copied()),
            linked: named(others),
            need: Need { hosts: u32::try_from(record.hosts.len()).unwrap_or(u32::MAX), ..Need::default() },
        };
        if let Some(Stage::Proposed(proposal)) = self.stage(id) {
            proposal.claimed.get_or_insert(now.at);
        }
        let message = "approved; waits for its hosts, some of which are of other coordinators".to_owned();
        self.change_for_good(id, |record| record.message = message);
        self.happens(Input::Raised { event }, now);
    }

    /// The partition of an approved plan has some hosts: if these are all of its, it begins as soon as those have said where
    /// their VMs are that rules bind to VMs of the plan.
    pub(super) fn claim_is_met(
        &mut self,
        id: &str,
        partition: &PartitionId,
        version: u64,
        hosts: BTreeMap<Host, Held>,
        whole: bool,
        now: Now,
    ) {
        let before = self.ring.plans.insert(partition.clone(), id.to_owned());
        // Its events are in hand, and come again when this one has ended.
        if let Some(before) = before.filter(|before| before != id)
            && let Some(Stage::Solving(_)) = self.stage(&before)
        {
            let why = format!("its partition has hosts that plan {id} was approved for, which goes first");
            self.end(&before, PlanState::Cancelled, &why, now);
        }
        let touched: BTreeSet<Host> = self
            .plans
            .get(id)
            .map(|record| record.hosts.iter().map(|host| host.as_str().into()).collect())
            .unwrap_or_default();
        let has_all = touched.iter().all(|host| hosts.contains_key(host));
        if let Some(shared) = self.shared_mut(id) {
            (shared.partition, shared.version, shared.hosts, shared.whole) =
                (partition.clone(), version, hosts, whole);
        }
        let waits = matches!(self.stage(id), Some(Stage::Proposed(proposal)) if proposal.claimed.is_some());
        if waits && has_all {
            let asked = self.in_scene(id, |core| core.ask_where_bound_are(id));
            if let Some(shared) = self.shared_mut(id) {
                shared.asked = asked;
            }
            return self.begin_claimed(id, now);
        }
        let found = if waits { Found::None { need: Need::default() } } else { Found::Nothing };
        self.happens(Input::Solved { partition: partition.clone(), version, found }, now);
    }

    /// Begins approved plans that have all their hosts and have waited for what others say.
    pub(super) fn begin_claims(&mut self, now: Now) {
        let solving = |stage: &PartitionStage| matches!(stage, PartitionStage::Solving { .. });
        let met: Vec<String> = (self.ring.node.partitions())
            .filter(|(_, led)| solving(led.stage()))
            .filter_map(|(partition, _)| self.ring.plans.get(partition).cloned())
            .filter(|id| matches!(self.lives.get(id), Some(Life { stage: Stage::Proposed(_), .. })))
            .collect();
        for id in met {
            self.begin_claimed(&id, now);
        }
    }

    /// Begins an approved plan that has all its hosts, where all is known that it depends on and it still fits.
    fn begin_claimed(&mut self, id: &str, now: Now) {
        let Some(record) = self.plans.get(id).cloned() else { return };
        let Some((shared, plan)) = self.shared(id).zip(record.plan.as_ref()) else { return };
        let (partition, version) = (shared.partition.clone(), shared.version);
        if self.in_scene(id, |core| core.why_unheard(id, plan)).is_some() {
            return;
        }
        let Some(why) = self.in_scene(id, |core| core.why_stale(id)) else {
            let touched = record.hosts.iter().map(|host| host.as_str().into()).collect();
            return self.happens(Input::Solved { partition, version, found: Found::Plan { touched } }, now);
        };
        let own = self.shared(id).map(|shared| shared.own.clone()).unwrap_or_default();
        self.end(id, PlanState::Cancelled, &format!("it does not fit any more: {why}"), now);
        // An operator wanted something to be done.
        self.detector.not_helped(&own);
    }

    /// Approved plans whose hosts are not to be had are left to their operators.
    pub(super) fn give_up_claims(&mut self, now: Now) {
        let late = |life: &Life| match &life.stage {
            Stage::Proposed(proposal) => proposal.claimed.is_some_and(|since| now.at > since + CLAIMED_FOR),
            _ => false,
        };
        let late: Vec<String> =
            self.lives.iter().filter(|(_, life)| late(life)).map(|(id, _)| id.clone()).collect();
        for id in late {
            if let Some(Stage::Proposed(proposal)) = self.stage(&id) {
                proposal.claimed = None;
            }
            self.has_no_partition(&id);
            let message = "its hosts were not to be had within a minute; approve it again".to_owned();
            self.change_for_good(&id, |record| record.message = message);
            self.end_claim(&id, now);
        }
    }

    /// The hosts of an approved plan are not asked for any more.
    pub(in crate::coordinator::core) fn end_claim(&mut self, id: &str, now: Now) {
        let event = format!("{APPROVED}{id}").as_str().into();
        self.happens(Input::Calmed { event }, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_another_member_has_approved_is_none_of_this_one() {
        let (me, other) = (Member::from("east"), Member::from("west"));
        let event = |key: &str, owner: &Member| Event {
            key: key.into(),
            owner: owner.clone(),
            kind: Kind::Overload,
            hosts: BTreeSet::new(),
            near: BTreeSet::new(),
            linked: BTreeSet::new(),
            need: Need::default(),
        };
        let theirs = event("PLAN:p-1-west", &other);
        let trouble = event("OVERLOAD:e1", &me);
        assert_eq!(claimed(&[theirs.clone(), trouble.clone()], &me), None);
        let ours = event("PLAN:p-2-east", &me);
        assert_eq!(claimed(&[theirs, trouble, ours], &me).as_deref(), Some("p-2-east"));
    }
}
