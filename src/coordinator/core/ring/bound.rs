//! Rules whose VMs are in several cells. A spread over racks, VMs that are to be together, or such that come one after the
//! other, may be broken by plans for different hosts, so that reserving hosts does not keep such plans apart.
//!
//! Members tell each other where their VMs are that such rules bind, and the labels of their hosts: plans, checks and
//! detection see both. What keeps plans apart are hosts, the *keepers* of a rule: of each member that has VMs of it one, the
//! host whose hash with the rule's name is the greatest (rendezvous hashing). Of two plans that are about VMs of one rule at
//! the same time each sees some member that has such VMs, and needs its keeper:
//!
//! * A plan of one cell moves or starts VMs of rules that are in this cell alone, and reserves their keeper with its hosts.
//! * All others need a partition with the keepers of all members that have such VMs. They are asked for by name, as linked
//!   hosts are. Each such member then has to say once more where its VMs are: what was told before the keeper was had may be
//!   out of date. Both hold until the plan has ended.
//!
//! Otherwise these VMs stay where they are. So they do while some member was not heard of in this life: nobody knows then
//! which VMs it has.

use super::super::Core;
use crate::coordinator::inventory::{HostEntry, Now};
use crate::coordinator::peers::{BoundVm, Frame, Known, Session, digest};
use crate::coordinator::rules;
use crate::fnv::Fnv;
use crate::record::Connection;
use dvms_solver::file::{Constraint, Labels, Plan};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Between two tellings of the cell, where nothing has changed.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// Between two looks at where bound VMs are: a walk over all VMs.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the other members were told of this cell, and asked.
#[derive(Debug, Default)]
pub(super) struct ToldCell {
    hosts: BTreeMap<String, Session>,
    known: Known,
    at: Duration,
    looked: Duration,
    /// The greatest number that the others were asked with, in this life and those before.
    round: u64,
    /// The greatest number that each has asked with.
    asked: BTreeMap<String, u64>,
}

/// Questions of one life of a coordinator, at most.
const QUESTIONS: u64 = 1 << 20;

impl ToldCell {
    /// In this life of the coordinator. Answers to questions of lives before are none to questions of this one.
    pub(super) fn new(incarnation: u64) -> Self {
        Self { round: incarnation.saturating_mul(QUESTIONS), ..Self::default() }
    }
}

/// The keeper of a rule among these hosts.
pub(in crate::coordinator::core) fn keeper<'a>(
    rule: &str,
    hosts: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    hosts.into_iter().max_by_key(|host| (mixed(Fnv::default().text(rule).text(host).0), *host))
}

/// Spreads what differs in the last bytes of what was hashed over all bits.
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

/// VMs that a plan does something with.
fn vms_in(plan: &Plan) -> BTreeSet<&str> {
    plan.actions.iter().map(|action| action.vm.as_str()).collect()
}

/// Those of some labels that have these keys.
fn named(labels: &Labels, keys: &BTreeSet<&str>) -> Labels {
    let named = labels.iter().filter(|(key, _)| keys.contains(key.as_str()));
    named.map(|(key, value)| (key.clone(), value.clone())).collect()
}

impl Core {
    /// Tells the members which hosts have a session here, and where bound VMs are: when that has changed, and again.
    pub(super) fn tell_cell(&mut self, now: Now) {
        let hosts = self.own_sessions();
        let told = &self.ring.told_cell;
        let due = now.at >= told.at + TELL_EVERY;
        let known = (due || now.at >= told.looked + LOOK_EVERY).then(|| self.own_known());
        let told = &mut self.ring.told_cell;
        if known.is_some() {
            told.looked = now.at;
        }
        let same = hosts == told.hosts && known.as_ref().is_none_or(|known| *known == told.known);
        if same && !due {
            return;
        }
        (told.hosts, told.at) = (hosts, now.at);
        if let Some(known) = known {
            told.known = known;
        }
        let digest = digest(&told.hosts, &told.known);
        self.tell_held();
        for member in self.ring.others().collect::<Vec<_>>() {
            let frame = if same { Frame::Same { digest } } else { self.cell_frame(&member) };
            self.tell_member(&member, frame);
        }
    }

    fn cell_frame(&self, to: &str) -> Frame {
        let told = &self.ring.told_cell;
        let round = told.asked.get(to).copied().unwrap_or(0);
        Frame::Cell { hosts: told.hosts.clone(), known: Known { round, ..told.known.clone() } }
    }

    /// Tells one member all of it, as it is now.
    pub(super) fn tell_cell_to(&mut self, member: &str) {
        let (hosts, known) = (self.own_sessions(), self.own_known());
        let told = &mut self.ring.told_cell;
        if hosts != told.hosts || known != told.known {
            // The others are told at the next look.
            told.at = Duration::ZERO;
        }
        let round = told.asked.get(member).copied().unwrap_or(0);
        self.tell_member(member, Frame::Cell { hosts, known: Known { round, ..known } });
    }

    /// Forgets what members have asked that are none any more.
    pub(super) fn forget_askers(&mut self) {
        let ring = &mut self.ring;
        ring.told_cell.asked.retain(|member, _| ring.places.contains_key(member));
    }

    /// Another member asks how it is.
    pub(super) fn asked_for_cell(&mut self, from: &str, round: u64) {
        let asked = self.ring.told_cell.asked.entry(from.to_owned()).or_default();
        *asked = (*asked).max(round);
        // Of hosts that it has it is to know the same.
        if round > 0 {
            self.show_hosts_of(from);
        }
        self.tell_cell_to(from);
    }

    /// Hosts with a session here.
    fn own_sessions(&self) -> BTreeMap<String, Session> {
        let standing = self.cell.hosts.iter().filter(|(_, entry)| entry.connection == Connection::Connected);
        let session = |entry: &HostEntry| Session {
            epoch: entry.epoch,
            boot: entry.hello.boot_id.clone(),
            state: entry.admin,
        };
        standing.map(|(host, entry)| (host.clone(), session(entry))).collect()
    }

    /// What the others need to know of this cell to judge rules.
    fn own_known(&self) -> Known {
        let keys = rules::label_keys(&self.settings.constraints);
        let hosts = self.cell.hosts.iter().filter(|(host, _)| !self.is_lent(host));
        let hosts = hosts.map(|(host, entry)| (host.clone(), named(&entry.hello.labels, &keys))).collect();
        Known { hosts, vms: self.own_bound(), round: 0 }
    }

    /// VMs of this cell that rules bind to VMs of other hosts, wherever they are; and those that were here until lately.
    fn own_bound(&self) -> BTreeMap<String, BoundVm> {
        let mut bound = BTreeMap::new();
        let wide: Vec<&Constraint> = self.wide_rules().collect();
        if wide.is_empty() {
            return bound;
        }
        let keys = rules::vm_label_keys(&self.settings.constraints);
        let is_bound = |vm: &str| wide.iter().any(|rule| rules::is_about(&self.cell, rule, vm));
        for (vm, left) in self.cell.left_lately() {
            let named = named(&left.labels, &keys);
            if wide.iter().any(|rule| rules::is_about_labelled(rule, vm, &named)) {
                bound.insert(vm.clone(), BoundVm { host: left.host.clone(), labels: named, moving: false });
            }
        }
        let living = self.cell.hosts.values().flat_map(HostEntry::living).map(|(vm, _)| vm);
        let flying = self.cell.flights().map(|(vm, _)| vm);
        for vm in living.chain(flying).chain(self.cell.waiting.keys()).filter(|vm| is_bound(vm)) {
            let host = rules::place_here(&self.cell, vm).unwrap_or("").to_owned();
            let labels = named(&rules::labels(&self.cell, vm), &keys);
            let moving = self.is_under_way(vm);
            bound.insert(vm.clone(), BoundVm { host, labels, moving });
        }
        bound
    }

    /// Forgets what former members have told whose hosts others have.
    pub(super) fn mind_afar(&mut self) {
        let (places, departed) = (&self.ring.places, &self.ring.census.departed);
        self.cell.afar.members_are(|member| places.contains_key(member), |member| !departed.contains(member));
    }

    /// Rules that bind VMs of different hosts.
    fn wide_rules(&self) -> impl Iterator<Item = &Constraint> {
        self.settings.constraints.iter().filter(|rule| rules::reaches_beyond_a_host(rule))
    }

    /// Members, this one or others, that have VMs of a rule.
    fn having(&self, rule: &Constraint) -> BTreeSet<String> {
        let me = self.ring.me();
        let here = |vm: &str| {
            let lent = |host: &str| self.is_lent(host);
            self.cell.waiting.contains_key(vm)
                || self.cell.flight(vm).is_some()
                || self.cell.homes(vm).any(|host| !lent(host))
        };
        let mut having = BTreeSet::new();
        let living = self.cell.hosts.values().flat_map(HostEntry::living).map(|(vm, _)| vm);
        let mut own = living.chain(self.cell.waiting.keys()).chain(self.cell.flights().map(|(vm, _)| vm));
        if own.any(|vm| here(vm) && rules::is_about(&self.cell, rule, vm)) {
            having.insert(me.to_owned());
        }
        // Of what lives here others may have told before they died.
        let about =
            |vm: &str, labels: &Labels| rules::is_about_labelled(rule, vm, labels) && self.is_elsewhere(vm);
        having.extend(self.cell.afar.having(about).map(str::to_owned));
        having
    }

    fn keeper_at(&self, rule: &str, member: &str) -> Option<String> {
        let own = member == self.ring.me();
        let here = self.cell.hosts.keys().filter(|host| own && !self.is_lent(host)).map(String::as_str);
        let there = self.cell.afar.hosts_of(member).filter(|_| !own);
        keeper(rule, here.chain(there)).map(str::to_owned)
    }

    /// The keepers of a rule.
    fn keepers_of(&self, rule: &Constraint) -> BTreeSet<String> {
        self.having(rule).iter().filter_map(|member| self.keeper_at(&rule.name, member)).collect()
    }

    /// Members that were not heard of in this life: nobody knows which VMs they have.
    fn unheard(&self) -> BTreeSet<String> {
        let mut others = self.to_be_asked();
        others.retain(|member| !self.cell.afar.has_told(member));
        others
    }

    /// Hard rules that bind VMs of different hosts and are about some of these VMs, where there are other coordinators.
    fn guarded<'a>(&'a self, vms: &BTreeSet<&str>) -> impl Iterator<Item = &'a Constraint> {
        let alone = self.to_be_asked().is_empty();
        let hard = self.wide_rules().filter(move |rule| !alone && rule.soft_weight.is_none());
        let vms: BTreeSet<String> = vms.iter().map(|vm| (*vm).to_owned()).collect();
        hard.filter(move |rule| vms.iter().any(|vm| rules::is_about(&self.cell, rule, vm)))
    }

    fn vms_of<'a>(&'a self, hosts: impl IntoIterator<Item = &'a String>) -> BTreeSet<&'a str> {
        let hosts = hosts.into_iter().filter_map(|host| self.cell.hosts.get(host));
        hosts.flat_map(HostEntry::living).map(|(vm, _)| vm.as_str()).collect()
    }

    /// VMs that a plan for these hosts may move or start.
    fn vms_that_may_move<'a>(&'a self, hosts: &'a BTreeSet<String>) -> BTreeSet<&'a str> {
        let mut vms = self.vms_of(hosts);
        vms.extend(self.cell.waiting.keys().map(String::as_str));
        vms
    }

    /// Rules whose VMs a plan for these hosts must leave where they are, as it cannot have their keepers.
    pub(in crate::coordinator::core) fn kept_still(
        &self,
        hosts: &BTreeSet<String>,
        shared: bool,
    ) -> Vec<&Constraint> {
        let vms = self.vms_that_may_move(hosts);
        let unheard = !self.unheard().is_empty();
        // The keeper of a rule of this cell alone is taken when the plan is made, unless another plan has it.
        let to_be_had = |host: &String| hosts.contains(host) || self.partitions.holder(host).is_none();
        let local = |rule| !shared && self.having(rule).iter().all(|member| member == self.ring.me());
        let free = |rule| {
            let keepers = self.keepers_of(rule);
            keepers.is_subset(hosts) || (keepers.iter().all(to_be_had) && local(rule))
        };
        let free = |rule| !unheard && free(rule);
        self.guarded(&vms).filter(|rule| !free(rule)).collect()
    }

    /// `; VMs of the rule web stay where they are, as …`, of a plan.
    pub(in crate::coordinator::core) fn told_kept(&self, id: &str) -> String {
        let hosts =
            self.hosts_in_scene(id).or_else(|| self.partitions.hosts(id).cloned()).unwrap_or_default();
        let still = self.kept_still(&hosts, self.is_shared(id));
        let Some(rule) = still.first() else { return String::new() };
        let more =
            if still.len() > 1 { format!(" (and of {} more)", still.len() - 1) } else { String::new() };
        format!("; VMs of the rule {}{more} stay where they are, as {}", rule.name, self.why_kept(rule))
    }

    /// Why a plan leaves VMs of a rule where they are.
    fn why_kept(&self, rule: &Constraint) -> String {
        let words = |names: BTreeSet<String>, between| names.into_iter().collect::<Vec<_>>().join(between);
        let unheard = self.unheard();
        if unheard.is_empty() {
            let keepers = words(self.keepers_of(rule), ", ");
            return format!("the plan does not have all hosts that keep plans for them apart: {keepers}");
        }
        format!("coordinator {} was not heard of since this one began", words(unheard, " and "))
    }

    /// Why a plan that has these hosts must not move or start a VM.
    pub(in crate::coordinator::core) fn why_still(
        &self,
        vm: &str,
        hosts: &BTreeSet<String>,
        shared: bool,
    ) -> Option<String> {
        let unheard = !self.unheard().is_empty();
        let away = |host: &String| !shared && !self.cell.hosts.contains_key(host);
        let rule = self.guarded(&BTreeSet::from([vm])).find(|rule| {
            let keepers = self.keepers_of(rule);
            unheard || !keepers.is_subset(hosts) || keepers.iter().any(away)
        })?;
        Some(format!("{vm} is one of the VMs of the rule {}, and {}", rule.name, self.why_kept(rule)))
    }

    /// Hosts that a plan has to hold besides those that it acts on.
    pub(in crate::coordinator::core) fn keepers_for(&self, plan: &Plan) -> BTreeSet<String> {
        self.guarded(&vms_in(plan)).flat_map(|rule| self.keepers_of(rule)).collect()
    }

    /// Whether VMs that a shared plan is for had to stay where they are, as it does not have the keepers of their rules.
    pub(in crate::coordinator::core) fn held_back(&self, id: &str) -> bool {
        let Some((shared, hosts)) = self.shared(id).zip(self.hosts_in_scene(id)) else { return false };
        let still = self.kept_still(&hosts, true);
        let about = |rule: &&Constraint, subject: &String| {
            let mut vms = self.vms_of([subject]);
            vms.insert(subject);
            rule.name == *subject || vms.iter().any(|vm| rules::is_about(&self.cell, rule, vm))
        };
        shared.all.iter().any(|(_, subject)| still.iter().any(|rule| about(rule, subject)))
    }

    /// The keepers of the rules that are about VMs of these hosts, or about this VM, or are this one.
    pub(super) fn keepers(&self, hosts: &BTreeSet<String>, subject: &str) -> BTreeSet<String> {
        let mut vms = self.vms_of(hosts);
        vms.insert(subject);
        let rule = self.wide_rules().filter(|rule| rule.name == subject && !self.ring.is_alone());
        let rules = self.guarded(&vms).chain(rule);
        rules.flat_map(|rule| self.keepers_of(rule)).collect()
    }

    /// Asks who has VMs of the rules of a shared plan where they are: the number of the question, which is 0 where there are
    /// none.
    pub(super) fn ask_where_bound_are(&mut self, id: &str) -> u64 {
        let hosts = self.hosts_in_scene(id).unwrap_or_default();
        let vms = self.vms_that_may_move(&hosts);
        let having: BTreeSet<String> = self.guarded(&vms).flat_map(|rule| self.having(rule)).collect();
        let others: Vec<String> = having.into_iter().filter(|member| member != self.ring.me()).collect();
        if others.is_empty() {
            return 0;
        }
        self.ring.told_cell.round += 1;
        let round = self.ring.told_cell.round;
        for member in others {
            self.tell_member(&member, Frame::Again { round });
        }
        round
    }

    /// Why a shared plan must not begin yet: somebody has not said since its partition has its hosts where bound VMs are.
    pub(in crate::coordinator::core) fn why_unheard(&self, id: &str, plan: &Plan) -> Option<String> {
        let shared = self.shared(id)?;
        let vms = vms_in(plan);
        let mut having = self.guarded(&vms).flat_map(|rule| self.having(rule));
        let late = |member: &String| {
            member != self.ring.me() && self.cell.afar.answered(member) < shared.asked.max(1)
        };
        let member = having.find(late)?;
        Some(format!("coordinator {member} has not said since where VMs are that rules bind"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_a_question_of_a_life_before_is_none_to_one_of_this() {
        let (mut before, now) = (ToldCell::new(7), ToldCell::new(8));
        before.round += 1000;
        assert!(now.round > before.round);
    }
}
