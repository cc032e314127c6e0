//! Where VMs are that are down here: one that was taken for dead may run at another member, and one that runs twice
//! spoils its disks. A VM is started only when every other member has just said that it does not have it.
//!
//! That all answers are given at different times does no harm. Take the moment of asking: if the VM ran at a member then,
//! that member has it still when it answers, or it has left since, which is remembered for longer than answers are waited
//! for; a host that changes members belongs to the old one until the new one has its inventory; and a start of another
//! member would have asked this one. Of two members where a VM is down the one whose name is first may start it: the
//! other one yields before it has answered.

use super::super::Core;
use super::super::journal::event;
use crate::coordinator::inventory::Now;
use crate::coordinator::peers::{Frame, Sighting};
use crate::coordinator::settings::seconds;
use crate::record::{Connection, Event, EventKind, Severity};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Least time between two questions.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// Longest time that answers are waited for.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// So long after it was asked an answer is good for a start.
const GOOD_FOR: Duration = Duration::from_secs(3);
/// A VM that another member has for so long is not for this one to start.
const BELIEVED_AFTER: Duration = Duration::from_secs(10);
/// Of what happened before a restart of the coordinator it remembers nothing: so long it cannot tell.
const YOUNG: Duration = Duration::from_secs(20);

/// What other members say of VMs that are down here.
#[derive(Debug, Default)]
pub(super) struct Census {
    round: u64,
    asked_at: Duration,
    /// What was asked for.
    vms: BTreeSet<String>,
    answers: BTreeMap<String, BTreeMap<String, Sighting>>,
    of: BTreeMap<String, Finding>,
    /// Members that have left without a word: they may have VMs.
    pub(super) departed: BTreeSet<String>,
    /// Members that said that they leave.
    pub(super) leaving: BTreeSet<String>,
    /// Since when members have been out of reach.
    pub(super) silent: BTreeMap<String, Duration>,
}

impl Census {
    /// Nobody was asked yet; these members have left without a word in lives before.
    pub(super) fn new(departed: BTreeSet<String>) -> Self {
        Self { departed, ..Self::default() }
    }
}

/// What is known of one VM.
#[derive(Debug, Default)]
struct Finding {
    /// When all members were last asked that have said then that it is nowhere.
    nowhere: Option<Duration>,
    /// The same, of the members that can be asked.
    nowhere_in_reach: Option<Duration>,
    /// Since when another one has it.
    elsewhere: Option<Duration>,
    /// What speaks against a start.
    why: String,
}

impl Core {
    /// Other members that have to be asked.
    pub(super) fn to_be_asked(&self) -> BTreeSet<String> {
        self.ring.others().chain(self.ring.census.departed.iter().cloned()).collect()
    }

    /// Asks the other members for the VMs that are down here.
    pub(super) fn take_census(&mut self, now: Now) {
        let vms = self.cell.are_down();
        let answered = self.have_all_answered();
        let wait = if answered { ASK_EVERY } else { ANSWERED_WITHIN };
        if !answered && now.at >= self.ring.census.asked_at + wait {
            // Of those that have answered.
            self.count_census(now);
        }
        self.ring.census.of.retain(|vm, _| vms.contains(vm));
        let fresh = vms.iter().any(|vm| !self.ring.census.vms.contains(vm));
        if vms.is_empty() || (!fresh && now.at < self.ring.census.asked_at + wait) {
            return;
        }
        let census = &mut self.ring.census;
        census.round += 1;
        (census.asked_at, census.vms, census.answers) = (now.at, vms.clone(), BTreeMap::new());
        let frame = Frame::Where { round: census.round, vms };
        for member in self.ring.up.clone() {
            self.tell_member(&member, frame.clone());
        }
        self.count_census(now);
    }

    /// Another member asks.
    pub(super) fn asked_where(&mut self, from: &str, round: u64, vms: BTreeSet<String>, now: Now) {
        let mut answer = BTreeMap::new();
        for vm in vms {
            let seen = self.sighting(&vm, now);
            if seen == Sighting::Down
                && from < self.ring.me()
                && let Some(finding) = self.ring.census.of.get_mut(&vm)
            {
                // It is theirs: what was found before does not count here any more.
                (finding.nowhere, finding.nowhere_in_reach) = (None, None);
                if let Some(answers) = self.ring.census.answers.get_mut(from) {
                    answers.insert(vm.clone(), Sighting::Down);
                }
            }
            answer.insert(vm, seen);
        }
        self.tell_member(from, Frame::Seen { round, vms: answer });
    }

    /// What is known here of a VM.
    fn sighting(&self, vm: &str, now: Now) -> Sighting {
        let perhaps = |why: String| Sighting::Perhaps { why };
        if let Some(flight) = self.cell.flight(vm) {
            return perhaps(format!(
                "it is on its way to {} by plan {}",
                flight.destination, flight.key.plan_id
            ));
        }
        for home in self.cell.homes(vm) {
            let Some(entry) = self.cell.hosts.get(home) else { continue };
            match entry.connection {
                Connection::Failed if !self.may_be_elsewhere(home) => {}
                _ if entry.is_known() => return Sighting::Runs { host: home.to_owned() },
                _ => return perhaps(format!("its host {home} is out of reach")),
            }
        }
        if self.ring.handing.has(vm) {
            return perhaps("it is being handed over with its host".to_owned());
        }
        if self.cell.was_here_lately(vm) {
            return perhaps("it was there until a moment ago".to_owned());
        }
        if now.at < YOUNG {
            return perhaps("that coordinator has just begun".to_owned());
        }
        if let Some(host) = self.own_stray(now) {
            return perhaps(format!("what runs on {host} is not known, which was of that coordinator"));
        }
        let untold = |host: &&String| {
            let entry = &self.cell.hosts[*host];
            !entry.inventoried && entry.connection != Connection::Failed
        };
        if let Some(host) = self.cell.hosts.keys().find(untold) {
            return perhaps(format!("what runs on {host} is not known"));
        }
        let is_down = self.cell.waiting.contains_key(vm) || self.cell.homes(vm).next().is_some();
        if is_down { Sighting::Down } else { Sighting::Nowhere }
    }

    /// Another member has answered.
    pub(super) fn seen_at(&mut self, from: &str, round: u64, vms: BTreeMap<String, Sighting>, now: Now) {
        let census = &mut self.ring.census;
        if round != census.round || now.at > census.asked_at + ANSWERED_WITHIN {
            return;
        }
        census.answers.insert(from.to_owned(), vms);
        // Each count is a walk over all VMs that are asked for and all members.
        if self.have_all_answered() {
            self.count_census(now);
        }
    }

    fn have_all_answered(&self) -> bool {
        self.ring.up.iter().all(|member| self.ring.census.answers.contains_key(member))
    }

    /// Draws what follows from the answers that have come.
    fn count_census(&mut self, now: Now) {
        let asked = self.to_be_asked();
        let me = self.ring.me().to_owned();
        let census = &self.ring.census;
        let mut of = BTreeMap::new();
        let mut not_ours = Vec::new();
        for vm in &census.vms {
            let before = census.of.get(vm);
            let (mut missing, mut in_reach, mut against) = (false, true, None);
            for member in &asked {
                match census.answers.get(member).map(|answers| answers.get(vm)) {
                    Some(Some(Sighting::Nowhere)) => {}
                    Some(Some(Sighting::Down)) if *member > me => {}
                    Some(Some(other)) => against = Some((member.clone(), other.clone())),
                    Some(None) | None => {
                        missing = true;
                        in_reach &= !self.ring.up.contains(member);
                    }
                }
            }
            let gone = matches!(against, Some((_, Sighting::Runs { .. } | Sighting::Down)));
            let mut finding = Finding {
                nowhere: before.and_then(|before| before.nowhere),
                nowhere_in_reach: before.and_then(|before| before.nowhere_in_reach),
                elsewhere: before.and_then(|before| before.elsewhere),
                why: before.map(|before| before.why.clone()).unwrap_or_default(),
            };
            if against.is_some() {
                (finding.nowhere, finding.nowhere_in_reach) = (None, None);
            } else if !missing {
                finding.nowhere = Some(census.asked_at);
            }
            if against.is_none() && in_reach {
                finding.nowhere_in_reach = Some(census.asked_at);
            }
            if gone {
                finding.elsewhere.get_or_insert(now.at);
            } else if against.is_some() || !missing {
                finding.elsewhere = None;
            }
            if let Some((member, seen)) = against {
                finding.why = told(vm, &member, &seen);
                if finding.elsewhere.is_some_and(|since| now.at > since + BELIEVED_AFTER) {
                    not_ours.push((vm.clone(), finding.why.clone()));
                }
            }
            of.insert(vm.clone(), finding);
        }
        self.ring.census.of = of;
        self.urgent = true;
        for (vm, why) in not_ours {
            self.cell.give_up(&vm);
            let said =
                event(EventKind::ForeignChange, Severity::Info, format!("{why}: it is not started here"));
            self.tell(Event { vm, ..said }, now);
        }
    }

    /// Why a VM that is down here must not be started now, as it may run at another member; where an operator has
    /// approved it, members that are out of reach are not asked.
    pub(in crate::coordinator::core) fn may_run_elsewhere(
        &self,
        vm: &str,
        approved: bool,
        now: Now,
    ) -> Option<String> {
        if self.to_be_asked().is_empty() {
            return None;
        }
        let finding = self.ring.census.of.get(vm);
        let good = |at: Option<Duration>| at.is_some_and(|at| now.at < at + GOOD_FOR);
        let nowhere = finding
            .is_some_and(|finding| good(finding.nowhere) || (approved && good(finding.nowhere_in_reach)));
        if nowhere {
            return None;
        }
        let why = finding.map(|finding| finding.why.clone()).filter(|why| !why.is_empty());
        Some(why.unwrap_or_else(|| {
            format!("other coordinators have not all said yet that {vm} does not run there")
        }))
    }

    /// Whether it is too early to plan a start: the others have not answered, and no one of them has been silent for long.
    pub(in crate::coordinator::core) fn is_being_asked_for(&self, vm: &str, now: Now) -> bool {
        self.may_run_elsewhere(vm, false, now).is_some() && self.members_that_are_silent(now).is_empty()
    }

    /// Members that cannot be asked, for so long that it is not waited for.
    pub(in crate::coordinator::core) fn members_that_are_silent(&self, now: Now) -> Vec<String> {
        let patience = seconds(self.settings.inventory.failed_after_s);
        let long = |member: &String| {
            let since = self.ring.census.silent.get(member).copied().unwrap_or_default();
            !self.ring.up.contains(member) && now.at >= since + patience
        };
        self.to_be_asked().into_iter().filter(long).collect()
    }
}

fn told(vm: &str, member: &str, seen: &Sighting) -> String {
    match seen {
        Sighting::Nowhere | Sighting::Down => format!("{vm} is for coordinator {member} to start"),
        Sighting::Runs { host } => format!("{vm} runs on {host} of coordinator {member}"),
        Sighting::Perhaps { why } => {
            format!("coordinator {member} cannot tell whether {vm} runs there: {why}")
        }
    }
}
