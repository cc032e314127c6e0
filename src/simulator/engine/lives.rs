//! VMs that come and go: where they begin is the same for all strategies.

use super::log::Happening;
use super::{Simulation, Strategy};
use crate::simulator::ids::VmId;
use crate::simulator::world::Seat;

/// A VM comes or goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Life {
    /// Seconds.
    pub time: f64,
    /// Who.
    pub vm: VmId,
    /// Whether it comes.
    pub comes: bool,
}

impl<S: Strategy> Simulation<S> {
    pub(super) fn live(&mut self, life: Life) {
        let world = &mut self.context.world;
        if life.comes {
            if !world.is_there(life.vm) && !self.waiting.contains(&life.vm) {
                self.wait(life.vm);
                self.context.note(|_| Happening::Arrival { vm: life.vm.0, host: None });
            }
        } else if world.is_there(life.vm) {
            let ended = world.leave(life.vm);
            self.context.note(|_| Happening::Departure { vm: life.vm.0 });
            if let Some(ended) = ended {
                self.migration_ended(&ended);
            }
        } else {
            self.waiting.retain(|waiting| *waiting != life.vm);
            world.usage.waiting = self.waiting.len() as u32;
        }
        self.seat_waiting();
    }

    fn wait(&mut self, vm: VmId) {
        self.waiting.push_back(vm);
        self.context.world.usage.waiting = self.waiting.len() as u32;
    }

    /// Those that wait begin to run, the first first, as far as there is memory; where there is none, a host is woken.
    pub(super) fn seat_waiting(&mut self) {
        while let Some(vm) = self.waiting.front().copied() {
            match self.context.world.seat(vm) {
                Seat::On(host) => {
                    self.waiting.pop_front();
                    self.context.world.come(vm, host);
                    self.context.note(|_| Happening::Arrival { vm: vm.0, host: Some(host.0) });
                }
                Seat::Wake(host) => {
                    self.context.switch_on(host);
                    break;
                }
                Seat::None => break,
            }
        }
        self.context.world.usage.waiting = self.waiting.len() as u32;
    }
}
