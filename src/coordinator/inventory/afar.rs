//! What other coordinators tell of their hosts and VMs, as far as rules are about them: a rule whose VMs are in several
//! cells can be judged nowhere else.

use crate::coordinator::peers::{BoundVm, Known};
use dvms_solver::file::Labels;
use std::collections::BTreeMap;

/// What one member tells.
#[derive(Debug, Default)]
struct Told {
    known: Known,
    /// It is a member.
    present: bool,
    /// Who has told later has a greater one.
    turn: u64,
}

/// Hosts and VMs of other cells, by the member that has told of them.
#[derive(Debug, Default)]
pub(crate) struct Afar {
    members: BTreeMap<String, Told>,
    /// The last one that was given.
    turn: u64,
}

impl Afar {
    /// A member tells of its cell.
    pub(crate) fn told(&mut self, member: &str, known: Known) {
        self.turn += 1;
        self.members.insert(member.to_owned(), Told { known, present: true, turn: self.turn });
    }

    /// These are the other members now. What those have told who went without a word is believed as long as nobody else
    /// tells of their hosts; what those have told who left in good order is forgotten.
    pub(crate) fn members_are(&mut self, is_member: impl Fn(&str) -> bool, has_left: impl Fn(&str) -> bool) {
        for (name, told) in &mut self.members {
            told.present = is_member(name);
        }
        let gone = self.members.iter().filter(|(_, told)| !told.present);
        let moved = |told: &Told| told.known.hosts.keys().all(|host| self.told_by_others(host));
        let over: Vec<String> =
            gone.filter(|(name, told)| has_left(name) || moved(told)).map(|(name, _)| name.clone()).collect();
        self.members.retain(|name, _| !over.contains(name));
    }

    fn told_by_others(&self, host: &str) -> bool {
        self.members.values().any(|told| told.present && told.known.hosts.contains_key(host))
    }

    /// A VM of another cell, and the member that tells of it: of several the one that has the host that it names, then one
    /// that is a member, then the one that has told last, as the other one may have died.
    pub(crate) fn vm(&self, name: &str) -> Option<(&str, &BoundVm)> {
        let telling = self.members.iter().filter_map(|(member, told)| {
            let bound = told.known.vms.get(name)?;
            let rank = (told.known.hosts.contains_key(&bound.host), told.present, told.turn);
            Some((rank, member, bound))
        });
        let (_, member, bound) = telling.max_by_key(|(rank, ..)| *rank)?;
        Some((member.as_str(), bound))
    }

    /// Members that have some of these VMs.
    pub(crate) fn having<'a>(
        &'a self,
        chosen: impl Fn(&str, &Labels) -> bool + 'a,
    ) -> impl Iterator<Item = &'a str> + 'a {
        // Most have the first one that is looked at, or none.
        let has = move |(member, told): &(&String, &Told)| {
            let mut theirs = told.known.vms.iter().filter(|(vm, bound)| chosen(vm, &bound.labels));
            theirs.any(|(vm, _)| self.vm(vm).is_some_and(|(teller, _)| teller == *member))
        };
        self.members.iter().filter(has).map(|(member, _)| member.as_str())
    }

    /// VMs of other cells; one that several tell of more than once.
    pub(crate) fn vms(&self) -> impl Iterator<Item = (&String, &BoundVm)> {
        self.members.values().flat_map(|told| &told.known.vms)
    }

    /// The labels of a host of another cell that rules name.
    pub(crate) fn labels(&self, host: &str) -> Option<&Labels> {
        let telling =
            self.members.values().filter_map(|told| Some((told.present, told.known.hosts.get(host)?)));
        telling.max_by_key(|(present, _)| *present).map(|(_, labels)| labels)
    }

    /// Hosts of other cells with labels.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = (&String, &Labels)> {
        self.members.values().flat_map(|told| &told.known.hosts).filter(|(_, labels)| !labels.is_empty())
    }

    /// All hosts that a member has told of.
    pub(crate) fn hosts_of(&self, member: &str) -> impl Iterator<Item = &str> {
        let told = self.members.get(member);
        told.into_iter().flat_map(|told| told.known.hosts.keys()).map(String::as_str)
    }

    /// Whether nobody has told of anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a member has told of its cell.
    pub(crate) fn has_told(&self, member: &str) -> bool {
        self.members.contains_key(member)
    }

    /// The greatest number that a member has answered.
    pub(crate) fn answered(&self, member: &str) -> u64 {
        self.members.get(member).map_or(0, |told| told.known.round)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(hosts: &[&str], vms: &[(&str, &str)]) -> Known {
        let bound = |host: &str| BoundVm { host: host.to_owned(), labels: Labels::new(), moving: false };
        Known {
            hosts: hosts.iter().map(|host| ((*host).to_owned(), Labels::new())).collect(),
            vms: vms.iter().map(|(vm, host)| ((*vm).to_owned(), bound(host))).collect(),
            round: 0,
        }
    }

    fn host_of<'a>(afar: &'a Afar, vm: &str) -> Option<&'a str> {
        afar.vm(vm).map(|(_, vm)| vm.host.as_str())
    }

    #[test]
    fn a_member_that_has_gone_is_believed_until_others_tell_of_its_hosts() {
        let mut afar = Afar::default();
        afar.told("east", known(&["e1"], &[("v1", "e1"), ("v2", "e1")]));
        afar.told("west", known(&["w1"], &[("v3", "w1")]));
        afar.members_are(|name| name == "west", |_| false);
        assert_eq!(host_of(&afar, "v1"), Some("e1"));
        // Whoever has the host knows better than whose name is first.
        afar.told("west", known(&["w1", "w2"], &[("v3", "w1"), ("v1", "w2")]));
        assert_eq!((host_of(&afar, "v1"), host_of(&afar, "v2")), (Some("w2"), Some("e1")));
        afar.told("west", known(&["w1", "e1"], &[("v3", "w1")]));
        afar.members_are(|name| name == "west", |_| false);
        assert_eq!(
            (host_of(&afar, "v1"), host_of(&afar, "v2"), host_of(&afar, "v3")),
            (None, None, Some("w1"))
        );
        afar.members_are(|_| false, |name| name == "west");
        assert!(!afar.has_told("west"), "it has left in good order");
    }

    #[test]
    fn a_vm_under_way_is_where_its_new_member_says() {
        let mut afar = Afar::default();
        afar.told("a", known(&["a1"], &[("v", "b1")]));
        assert_eq!(host_of(&afar, "v"), Some("b1"), "it has left");
        afar.told("b", known(&["b1", "b2"], &[("v", "b2")]));
        assert_eq!(afar.vm("v").map(|(member, vm)| (member, vm.host.as_str())), Some(("b", "b2")));
    }
}
