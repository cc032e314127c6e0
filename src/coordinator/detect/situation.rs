//! What a plan that did not help depended on: when it is otherwise, the next one may.

use crate::coordinator::inventory::Cell;
use crate::record::VmState;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Which hosts there are and may take VMs, and which VMs there are and run. Not where VMs run: our own plans
/// change that, those that do not help too.
pub(super) fn fingerprint(cell: &Cell) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut vms: BTreeMap<&str, u8> = BTreeMap::new();
    for (name, host) in &cell.hosts {
        let capacity = &host.hello.capacity;
        (name, host.admin as u8, host.is_known()).hash(&mut hasher);
        (capacity.cpu_millicores, capacity.memory_mib).hash(&mut hasher);
        for (vm, entry) in &host.vms {
            let state = match entry.report.state {
                // The other end, or no change of what there is.
                VmState::MigratingIn => continue,
                VmState::Running | VmState::MigratingOut => 3,
                VmState::Paused => 2,
                VmState::Crashed => 1,
                VmState::Off => 0,
            };
            // On two hosts for a moment: what runs counts.
            let known = vms.entry(vm).or_default();
            *known = state.max(*known);
        }
    }
    cell.waiting.keys().for_each(|vm| _ = vms.entry(vm).or_insert(4));
    vms.hash(&mut hasher);
    hasher.finish()
}
