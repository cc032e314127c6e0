//! Which VMs are on which host: lists threaded through arrays, so that a move costs no search and no memory.

use crate::simulator::ids::{HostId, VmId};

const NONE: u32 = u32::MAX;

/// Lists of VMs.
#[derive(Debug, Clone)]
pub(super) struct Members {
    first: Vec<u32>,
    next: Vec<u32>,
    previous: Vec<u32>,
}

impl Members {
    pub(super) fn new(hosts: usize, vms: usize) -> Self {
        Self { first: vec![NONE; hosts], next: vec![NONE; vms], previous: vec![NONE; vms] }
    }

    /// Puts a VM that is nowhere on a host: it is the first there.
    pub(super) fn enter(&mut self, host: HostId, vm: VmId) {
        let second = self.first[host.index()];
        self.first[host.index()] = vm.0;
        self.next[vm.index()] = second;
        self.previous[vm.index()] = NONE;
        if second != NONE {
            self.previous[second as usize] = vm.0;
        }
    }

    /// Takes a VM off its host.
    pub(super) fn leave(&mut self, host: HostId, vm: VmId) {
        let (before, after) = (self.previous[vm.index()], self.next[vm.index()]);
        if before == NONE {
            self.first[host.index()] = after;
        } else {
            self.next[before as usize] = after;
        }
        if after != NONE {
            self.previous[after as usize] = before;
        }
    }

    /// The VMs of a host; who came last is first.
    pub(super) fn of(&self, host: HostId) -> impl Iterator<Item = VmId> + '_ {
        let mut at = self.first[host.index()];
        std::iter::from_fn(move || {
            let vm = (at != NONE).then_some(VmId(at))?;
            at = self.next[vm.index()];
            Some(vm)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vms_come_and_go() {
        let mut members = Members::new(2, 4);
        for vm in 0..4 {
            members.enter(HostId(0), VmId(vm));
        }
        let of = |members: &Members, host| members.of(HostId(host)).map(|vm| vm.0).collect::<Vec<_>>();
        assert_eq!(of(&members, 0), [3, 2, 1, 0]);
        for vm in [2, 0, 3] {
            members.leave(HostId(0), VmId(vm));
            members.enter(HostId(1), VmId(vm));
        }
        assert_eq!((of(&members, 0), of(&members, 1)), (vec![1], vec![3, 0, 2]));
    }
}
