//! Rules whose VMs are in several cells. A spread over racks, or VMs that are to be together, may be broken by plans for
//! different hosts, so that reserving hosts does not keep such plans apart.
//!
//! Members tell each other where their VMs are that such rules are about, and the labels of their hosts: plans, checks and
//! detection see both. What keeps plans apart is a host, the *keeper* of the rule: the same for all members, as it is the
//! one whose hash with the rule's name is the greatest (rendezvous hashing). A plan moves or starts VMs of a hard rule that
//! has VMs in other cells only when its partition has the keeper: partitions ask for it by name, as for a linked host.
//! Otherwise these VMs stay where they are. Plans for VMs of a rule that are all in one cell meet at its coordinator, which
//! looks at each order as it comes.

use super::super::Core;
use crate::coordinator::inventory::{HostEntry, Now};
use crate::coordinator::peers::{BoundVm, Fnv, Frame, Session, digest};
use crate::coordinator::rules;
use crate::record::Connection;
use dvms_solver::file::{Constraint, Labels};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Between two tellings of the cell, where nothing has changed.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// Between two looks at where bound VMs are: a walk over all VMs.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the other members were told of this cell.
#[derive(Debug, Default)]
pub(super) struct ToldCell {
    hosts: BTreeMap<String, Session>,
    bound: BTreeMap<String, BoundVm>,
    at: Duration,
    looked: Duration,
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

impl Core {
    /// Tells the members which hosts have a session here, and where bound VMs are: when that has changed, and again.
    pub(super) fn tell_cell(&mut self, now: Now) {
        let hosts = self.own_sessions();
        let told = &self.ring.told_cell;
        let due = now.at >= told.at + TELL_EVERY;
        let bound = (due || now.at >= told.looked + LOOK_EVERY).then(|| self.own_bound());
        let told = &mut self.ring.told_cell;
        if bound.is_some() {
            told.looked = now.at;
        }
        let same = hosts == told.hosts && bound.as_ref().is_none_or(|bound| *bound == told.bound);
        if same && !due {
            return;
        }
        (told.hosts, told.at) = (hosts, now.at);
        if let Some(bound) = bound {
            told.bound = bound;
        }
        let frame = if same {
            Frame::Same { digest: digest(&told.hosts, &told.bound) }
        } else {
            Frame::Cell { hosts: told.hosts.clone(), bound: told.bound.clone() }
        };
        self.tell_held();
        for member in self.ring.others().collect::<Vec<_>>() {
            self.tell_member(&member, frame.clone());
        }
    }

    /// Tells one member all of it.
    pub(super) fn tell_cell_to(&mut self, member: &str) {
        let frame = Frame::Cell { hosts: self.own_sessions(), bound: self.own_bound() };
        self.tell_member(member, frame);
    }

    /// Hosts with a session here.
    fn own_sessions(&self) -> BTreeMap<String, Session> {
        let keys = rules::label_keys(&self.settings.constraints);
        let named = |labels: &Labels| {
            let named = labels.iter().filter(|(key, _)| keys.contains(key.as_str()));
            named.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let standing = self.cell.hosts.iter().filter(|(_, entry)| entry.connection == Connection::Connected);
        let session = |entry: &HostEntry| Session {
            epoch: entry.epoch,
            boot: entry.hello.boot_id.clone(),
            state: entry.admin,
            labels: named(&entry.hello.labels),
        };
        standing.map(|(host, entry)| (host.clone(), session(entry))).collect()
    }

    /// VMs of this cell that rules bind to VMs of other hosts; those on hosts that are silent too.
    fn own_bound(&self) -> BTreeMap<String, BoundVm> {
        let mut bound = BTreeMap::new();
        for rule in self.settings.constraints.iter().filter(|rule| rules::reaches_beyond_a_host(rule)) {
            let Some(set) = rules::vms(rule) else { continue };
            for (vm, host) in rules::members(&self.cell, set) {
                if rules::place_here(&self.cell, &vm).is_some() {
                    let labels = rules::labels(&self.cell, &vm);
                    bound.entry(vm).or_insert(BoundVm { host, labels });
                }
            }
        }
        bound
    }

    /// Another member has told where its bound VMs are.
    pub(super) fn bound_elsewhere(
        &mut self,
        from: &str,
        hosts: &BTreeMap<String, Session>,
        bound: BTreeMap<String, BoundVm>,
    ) {
        let labelled = hosts.iter().filter(|(_, session)| !session.labels.is_empty());
        let labels = labelled.map(|(host, session)| (host.clone(), session.labels.clone())).collect();
        self.cell.afar.told(from, labels, bound);
    }

    /// Forgets what former members have told.
    pub(super) fn mind_afar(&mut self, now: Now) {
        let places = &self.ring.places;
        self.cell.afar.members_are(|member| places.contains_key(member), now.at);
    }

    /// The host that a partition must have to move VMs of a rule.
    fn keeper(&self, rule: &str) -> Option<String> {
        let here = self.cell.hosts.iter().filter(|(_, entry)| entry.connection == Connection::Connected);
        let elsewhere = self.ring.elsewhere.values().flat_map(BTreeMap::keys);
        let hosts = here.map(|(host, _)| host).chain(elsewhere);
        keeper(rule, hosts.map(String::as_str)).map(str::to_owned)
    }

    /// Hard rules that have VMs in other cells.
    fn split_rules(&self) -> impl Iterator<Item = &Constraint> {
        let here = |host: &String| self.cell.hosts.contains_key(host) && !self.is_lent(host);
        let hard = |rule: &&Constraint| rule.soft_weight.is_none() && rules::reaches_beyond_a_host(rule);
        let alone = self.ring.is_alone();
        let rules = self.settings.constraints.iter().filter(move |_| !alone).filter(hard);
        rules.filter(move |rule| {
            let members = rules::vms(rule).map(|set| rules::members(&self.cell, set)).unwrap_or_default();
            members.values().any(|host| !here(host))
        })
    }

    /// Rules whose VMs a plan for these hosts must leave where they are, as it does not have their keepers.
    pub(in crate::coordinator::core) fn kept_still(&self, hosts: &BTreeSet<String>) -> Vec<&Constraint> {
        let free = |rule: &&Constraint| !self.keeper(&rule.name).is_some_and(|host| hosts.contains(&host));
        self.split_rules().filter(free).collect()
    }

    /// Whether VMs that a shared plan is for had to stay where they are, as it does not have the keeper of their rules.
    pub(in crate::coordinator::core) fn held_back(&self, id: &str) -> bool {
        let Some((shared, hosts)) = self.shared(id).zip(self.hosts_in_scene(id)) else { return false };
        let still = self.kept_still(&hosts);
        shared
            .all
            .iter()
            .any(|(_, subject)| self.concern(still.iter().copied(), &hosts, subject).next().is_some())
    }

    /// Those of some rules that are about VMs of these hosts, or about this VM, or are this one.
    fn concern<'a>(
        &'a self,
        rules: impl Iterator<Item = &'a Constraint>,
        hosts: &BTreeSet<String>,
        subject: &'a str,
    ) -> impl Iterator<Item = &'a Constraint> {
        let here = hosts.iter().filter_map(|host| self.cell.hosts.get(host)).flat_map(HostEntry::living);
        let vms: BTreeSet<&str> = here.map(|(vm, _)| vm.as_str()).chain([subject]).collect();
        rules.filter(move |rule| {
            rule.name == subject || vms.iter().any(|vm| rules::is_about(&self.cell, rule, vm))
        })
    }

    /// The keepers of the rules that are about VMs of these hosts, or about this VM, or are this one.
    pub(super) fn keepers(&self, hosts: &BTreeSet<String>, subject: &str) -> BTreeSet<String> {
        let rules = self.concern(self.split_rules(), hosts, subject);
        rules.filter_map(|rule| self.keeper(&rule.name)).collect()
    }
}
