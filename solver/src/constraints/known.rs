//! What a rule may ask of a problem to prove that no plan keeps it.

use crate::file::Conflict;
use crate::model::{Amount, HostId, Problem, VmId};
use std::collections::BTreeMap;

/// A reason in an operator's words, and what it names.
pub(crate) type Impossible = (String, Conflict);

/// Facts that hold for every plan.
pub(crate) trait Known {
    fn problem(&self) -> &Problem;

    /// Where a VM runs at the start.
    fn home(&self, vm: VmId) -> Option<HostId>;

    /// Whether a running VM can only stay where it is.
    fn is_fixed(&self, vm: VmId) -> bool;

    /// Whether a running VM may end where it began, as far as it alone can tell.
    fn may_stay(&self, vm: VmId) -> bool;

    /// Hosts that VMs may enter.
    fn open(&self) -> &[HostId];

    /// The first resource of which some VMs need more than some hosts can give: its name, need and room.
    fn shortage(&self, vms: &[VmId], hosts: &[HostId]) -> Option<(String, Amount, Amount)>;
}

/// Those of some hosts that run VMs which can only stay there, each with the first of these.
pub(super) fn held_by_fixed(known: &dyn Known, hosts: impl Fn(&HostId) -> bool) -> BTreeMap<HostId, VmId> {
    let mut held = BTreeMap::new();
    for vm in known.problem().vm_ids().filter(|vm| known.is_fixed(*vm)) {
        if let Some(home) = known.home(vm).filter(&hosts) {
            held.entry(home).or_insert(vm);
        }
    }
    held
}

/// A conflict of these things, by their names.
pub(crate) fn conflict<'a>(
    problem: &Problem,
    hosts: impl IntoIterator<Item = HostId>,
    vms: impl IntoIterator<Item = VmId>,
    rules: impl IntoIterator<Item = &'a str>,
) -> Conflict {
    let hosts: std::collections::BTreeSet<_> = hosts.into_iter().collect();
    let vms: std::collections::BTreeSet<_> = vms.into_iter().collect();
    let rules: std::collections::BTreeSet<_> = rules.into_iter().collect();
    Conflict {
        hosts: hosts.into_iter().map(|host| problem.host(host).name.clone()).collect(),
        vms: vms.into_iter().map(|vm| problem.vm(vm).name.clone()).collect(),
        constraints: rules.into_iter().map(str::to_owned).collect(),
    }
}
