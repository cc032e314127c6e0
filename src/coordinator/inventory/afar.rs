//! What other coordinators tell of their hosts and VMs, as far as rules are about them: a rule whose VMs are in several
//! cells can be judged nowhere else.

use crate::coordinator::peers::BoundVm;
use dvms_solver::file::Labels;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long what a member has told counts that belongs to the ring no more: its agents have found others by then.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// What one member tells.
#[derive(Debug, Default)]
struct Told {
    hosts: BTreeMap<String, Labels>,
    vms: BTreeMap<String, BoundVm>,
    /// Since when it is not a member.
    gone: Option<Duration>,
}

/// Hosts and VMs of other cells.
#[derive(Debug, Default)]
pub(crate) struct Afar {
    members: BTreeMap<String, Told>,
    hosts: BTreeMap<String, Labels>,
    vms: BTreeMap<String, BoundVm>,
}

impl Afar {
    /// A member tells of all its hosts with labels that rules name, and of all its VMs that rules bind to others.
    pub(crate) fn told(
        &mut self,
        member: &str,
        hosts: BTreeMap<String, Labels>,
        vms: BTreeMap<String, BoundVm>,
    ) {
        let told = self.members.entry(member.to_owned()).or_default();
        let same = told.hosts == hosts && told.vms == vms;
        *told = Told { hosts, vms, gone: None };
        if !same {
            self.merge();
        }
    }

    /// These are the other members now. What those have told who are none any more counts for a while.
    pub(crate) fn members_are(&mut self, is_member: impl Fn(&str) -> bool, now: Duration) {
        let count = self.members.len();
        for (name, told) in &mut self.members {
            told.gone = if is_member(name) { None } else { Some(told.gone.unwrap_or(now)) };
        }
        self.members.retain(|_, told| told.gone.is_none_or(|gone| now < gone + FORGET_AFTER));
        if self.members.len() < count {
            self.merge();
        }
    }

    fn merge(&mut self) {
        (self.hosts, self.vms) = (BTreeMap::new(), BTreeMap::new());
        // What members say of the present goes before what others said who are gone.
        let (present, gone): (Vec<_>, Vec<_>) = self.members.values().partition(|told| told.gone.is_none());
        for told in present.into_iter().chain(gone) {
            for (host, labels) in &told.hosts {
                self.hosts.entry(host.clone()).or_insert_with(|| labels.clone());
            }
            for (vm, bound) in &told.vms {
                self.vms.entry(vm.clone()).or_insert_with(|| bound.clone());
            }
        }
    }

    /// A VM of another cell.
    pub(crate) fn vm(&self, name: &str) -> Option<&BoundVm> {
        self.vms.get(name)
    }

    /// VMs of other cells.
    pub(crate) fn vms(&self) -> impl Iterator<Item = (&String, &BoundVm)> {
        self.vms.iter()
    }

    /// The labels of a host of another cell that rules name.
    pub(crate) fn labels(&self, host: &str) -> Option<&Labels> {
        self.hosts.get(host)
    }

    /// Hosts of other cells that have such labels.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = (&String, &Labels)> {
        self.hosts.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vms(names: &[(&str, &str)]) -> BTreeMap<String, BoundVm> {
        let bound = |host: &str| BoundVm { host: host.to_owned(), labels: Labels::new() };
        names.iter().map(|(vm, host)| ((*vm).to_owned(), bound(host))).collect()
    }

    fn host_of<'a>(afar: &'a Afar, vm: &str) -> Option<&'a str> {
        afar.vm(vm).map(|vm| vm.host.as_str())
    }

    #[test]
    fn a_member_that_has_gone_is_believed_for_a_while_unless_another_says_otherwise() {
        let mut afar = Afar::default();
        afar.told("east", BTreeMap::new(), vms(&[("v1", "e1"), ("v2", "e1")]));
        afar.told("west", BTreeMap::new(), vms(&[("v3", "w1")]));
        let at = Duration::from_secs;
        afar.members_are(|name| name == "west", at(10));
        assert_eq!(host_of(&afar, "v1"), Some("e1"));
        afar.told("west", BTreeMap::new(), vms(&[("v3", "w1"), ("v1", "w2")]));
        assert_eq!((host_of(&afar, "v1"), host_of(&afar, "v2")), (Some("w2"), Some("e1")));
        afar.members_are(|name| name == "west", at(71));
        assert_eq!((host_of(&afar, "v1"), host_of(&afar, "v2")), (Some("w2"), None));
        afar.told("west", BTreeMap::new(), BTreeMap::new());
        assert_eq!((afar.vms().count(), afar.hosts().count()), (0, 0));
    }
}
