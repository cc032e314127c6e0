//! What must be so at every instant, counted from scratch.

use super::arrays::NONE;
use super::{HostState, World};
use crate::simulator::ids::{HostId, VmId};

/// Something that must be so is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(String);

impl World {
    /// Counts everything anew and compares it with what was kept up.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub fn check(&self) -> Result<(), Broken> {
        let mut seen = vec![false; self.vm_count()];
        let (mut active, mut on, mut over, mut down) = (0, 0, 0, 0);
        let mut draw = super::Draw::default();
        for host in self.host_ids() {
            self.check_host(host, &mut seen)?;
            let at = host.index();
            let state = self.hosts.state[at];
            let empty = self.hosts.count[at] == 0;
            active += u32::from(state == HostState::On && !empty);
            on += u32::from(state == HostState::On);
            over += u32::from(self.hosts.over[at]);
            down += if state == HostState::Failed { self.hosts.count[at] } else { 0 };
            draw.measured += self.hosts.draw[at].measured;
            draw.linear += self.hosts.draw[at].linear;
            same(
                host,
                "is off and empty",
                true,
                empty || !matches!(state, HostState::Off | HostState::Booting),
            )?;
        }
        let lost = |vm: &usize| !seen[*vm] && self.vms.host[*vm] != NONE;
        if let Some(vm) = (0..seen.len()).find(lost) {
            return Err(Broken(format!("vm {vm} is on no host")));
        }
        for slot in self.slots.iter().filter(|slot| slot.alive) {
            let (from, to) = (slot.migration.from, slot.migration.to);
            same(from, "reaches where its VM goes", true, self.connected(from, to))?;
        }
        let counted = (active, on, over, down, draw);
        let kept = (self.usage.active, self.usage.on, self.usage.over, self.usage.vms_down, self.usage.draw);
        same(HostId(0), "active, on, over, VMs down and watts of all", counted, kept)?;
        let under_way = self.slots.iter().filter(|slot| slot.alive).count() as u32;
        same(HostId(0), "migrations of all", under_way, self.moves.under_way)
    }

    fn check_host(&self, host: HostId, seen: &mut [bool]) -> Result<(), Broken> {
        let at = host.index();
        let (mut demand, mut expected, mut held, mut count, mut leaving) = (0, 0, 0, 0, 0);
        for vm in self.vms_of(host) {
            if std::mem::replace(&mut seen[vm.index()], true) {
                return Err(Broken(format!("vm {} is on two hosts", vm.0)));
            }
            same(host, "is where its VM is", self.vms.host[vm.index()], host.0)?;
            demand += self.vms.demand[vm.index()];
            held += self.vms.memory[vm.index()];
            count += 1;
            if self.vms.migration[vm.index()] == NONE {
                expected += self.vms.demand[vm.index()];
            } else {
                leaving += 1;
            }
        }
        let mut coming = 0;
        for slot in self.slots.iter().filter(|slot| slot.alive && slot.migration.to == host) {
            let VmId(vm) = slot.migration.vm;
            expected += self.vms.demand[vm as usize];
            held += self.vms.memory[vm as usize];
            coming += 1;
        }
        let hosts = &self.hosts;
        same(host, "demand", demand, hosts.demand[at])?;
        same(host, "expected demand", expected, hosts.expected[at])?;
        same(host, "memory held", held, hosts.held[at])?;
        same(host, "memory within what there is", true, held <= hosts.memory[at])?;
        same(host, "VMs", (count, leaving, coming), (hosts.count[at], hosts.leaving[at], hosts.coming[at]))?;
        let runs = hosts.state[at] == HostState::On;
        same(host, "migrates only while it runs", true, runs || leaving + coming == 0)?;
        same(host, "over", runs && demand > hosts.cpu[at], hosts.over[at])
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what is compared is small")]
fn same<T: PartialEq + std::fmt::Debug>(host: HostId, what: &str, counted: T, kept: T) -> Result<(), Broken> {
    if counted == kept {
        Ok(())
    } else {
        Err(Broken(format!("host {}: {what}: {counted:?}, not {kept:?}", host.0)))
    }
}
