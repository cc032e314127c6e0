//! What rules have in common that judge each VM by itself: a VM is right on a host, or wrong.

use super::{Cell, Draft, Seat};
use crate::model::{HostId, VmId};

/// One counter: the VMs that are wrong where they are.
pub(super) trait Unary {
    fn allows(&self, vm: VmId, host: HostId) -> bool;
}

pub(super) fn enter(rule: &impl Unary, cells: &mut [i64], at: Seat) {
    cells[0] += i64::from(!rule.allows(at.vm, at.host));
}

pub(super) fn leave(rule: &impl Unary, cells: &mut [i64], at: Seat) {
    cells[0] -= i64::from(!rule.allows(at.vm, at.host));
}

/// The counters of a unary rule.
macro_rules! unary {
    () => {
        fn cells(&self) -> usize {
            1
        }

        fn enter(&self, cells: &mut [i64], at: crate::constraints::Seat) {
            crate::constraints::unary::enter(self, cells, at);
        }

        fn leave(&self, cells: &mut [i64], at: crate::constraints::Seat) {
            crate::constraints::unary::leave(self, cells, at);
        }

        fn admits(&self, _: &[i64], at: crate::constraints::Seat) -> bool {
            self.allows(at.vm, at.host)
        }

        fn holds(&self, cells: &[i64]) -> bool {
            cells[0] == 0
        }

        fn at_fault(&self, _: &[i64], at: crate::constraints::Seat) -> bool {
            !self.allows(at.vm, at.host)
        }

        fn ever(&self, vm: crate::model::VmId, host: crate::model::HostId) -> bool {
            self.allows(vm, host)
        }
    };
}
pub(super) use unary;

/// Rows of a rule that keeps VMs off some hosts, whatever they do elsewhere.
pub(super) fn rows(draft: &mut dyn Draft, vms: &[VmId], wrong: impl Fn(HostId) -> bool) {
    let outside = draft.members(vms).on(wrong);
    if !outside.ended.is_empty() {
        draft.fails();
    }
    let classes: Vec<Vec<Cell>> = outside.by_class().map(<[Cell]>::to_vec).collect();
    for cells in classes {
        draft.only_if(&cells, &[]);
    }
}
