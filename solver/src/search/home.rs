//! Taking back moves that are not needed.

use super::insert::{Fit, Means};
use super::state::State;
use crate::model::{HostId, VmId};

impl State<'_> {
    /// Sends VMs home where the score gets better by it, the dearest first; who came there instead may
    /// have to go elsewhere.
    pub(crate) fn go_home(&mut self, means: Means<'_>) {
        for _ in 0..4 {
            let mut moved: Vec<VmId> = self.space.problem.vm_ids().filter(|vm| self.has_moved(*vm)).collect();
            moved.sort_by_key(|vm| (std::cmp::Reverse(self.space.memory(*vm)), *vm));
            let mut any = false;
            for vm in moved {
                if means.budget.expired() {
                    return;
                }
                any |= self.has_moved(vm) && !self.space.must_leave(vm) && self.return_one(vm, means);
            }
            if !any {
                return;
            }
        }
    }

    fn return_one(&mut self, vm: VmId, means: Means<'_>) -> bool {
        let Some(home) = self.space.home[vm.index()] else { return false };
        let (mark, before) = (self.mark(), self.score());
        means.budget.spend(1);
        self.set(vm, None);
        if self.may_enter(vm, home) {
            self.set(vm, Some(home));
            if self.score().better_than(&before) {
                return true;
            }
            self.undo(mark);
            return false;
        }
        self.undo(mark);
        let strangers: Vec<VmId> = (self.on(home).iter().copied())
            .filter(|other| self.space.home[other.index()] != Some(home))
            .take(8)
            .collect();
        strangers.into_iter().any(|other| self.return_for(vm, home, other, means))
    }

    fn return_for(&mut self, vm: VmId, home: HostId, stranger: VmId, means: Means<'_>) -> bool {
        let (mark, before) = (self.mark(), self.score());
        self.set(vm, None);
        self.set(stranger, None);
        if self.may_enter(vm, home) {
            self.set(vm, Some(home));
            let direct = Means::direct(means.budget, Fit::Tight);
            if self.insert(stranger, Some(home), direct) && self.score().better_than(&before) {
                return true;
            }
        }
        self.undo(mark);
        false
    }
}
