//! Actions on hosts of other cells. The leader sends them to the owner, which lets them through only for the
//! reservation that it has committed, and sends back what its agent tells. The agent is the same one place where an
//! epoch is checked as for the plans of its own coordinator.

use super::super::Core;
use super::super::Effect;
use super::super::aloft::{Abroad, Aloft};
use super::super::execution::{Halt, executor};
use super::super::plans::{Stage, member_of};
use crate::coordinator::inventory::{Flight, Now, VmEntry};
use crate::coordinator::peers::{Flying, Frame};
use crate::partition::{Epoch, Held, PartitionId};
use crate::record::{
    ActionKey, ActionProgress, FailureReason, Order, PlanRecord, ProgressState, VmReport, VmState,
};
use dvms_solver::file::{Action, ActionKind};
use std::time::Duration;

/// What is not heard is said again so often.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The outcome of an action, owed to its leader.
#[derive(Debug)]
pub(super) struct Owed {
    host: String,
    progress: ActionProgress,
    told: Duration,
}

impl Owed {
    /// Whose agent told it.
    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

impl Core {
    /// The member whose plan it is, if it is another one.
    pub(in crate::coordinator::core) fn leader_of(&self, plan: &str) -> Option<String> {
        let member = member_of(plan)?;
        self.ring.others().find(|other| other == member)
    }

    /// The reservation of a host of another member that a plan has; `None` for those of this cell.
    pub(in crate::coordinator::core) fn elsewhere(
        &self,
        plan: &str,
        host: &str,
    ) -> Option<(&PartitionId, &Held)> {
        self.held(plan, host).filter(|(_, held)| held.owner != *self.ring.node.me())
    }

    /// The order to begin an action at an agent of another member.
    pub(in crate::coordinator::core) fn forwarded(
        &self,
        record: &PlanRecord,
        action: &Action,
        (partition, held): (&PartitionId, &Held),
        order: Order,
    ) -> Effect {
        let (partition, fence, flight) = (partition.clone(), held.epoch, self.told_of(record, action));
        let there =
            self.elsewhere(&record.id, &action.destination).filter(|(_, there)| there.owner == held.owner);
        let destination = there.map(|(_, there)| there.epoch);
        let to = held.owner.to_string();
        Effect::Peer { to, frame: Frame::Order { partition, fence, destination, flight, order } }
    }

    pub(super) fn told_of(&self, record: &PlanRecord, action: &Action) -> Flying {
        let flight = self.flight_of(record, action);
        flying(executor(action), &action.vm, &flight, self.give_up_after(action))
    }

    /// A host has gone over to another member: that is told which VMs are on their way there.
    pub(super) fn announce_arrivals(&mut self, host: &str, to: &str, now: Now) {
        let arriving = self.aloft.values().filter_map(|aloft| {
            let flight = self.cell.flight(&aloft.vm).filter(|flight| flight.destination == host)?;
            let vm = on_the_way(self.cell.arriving(&aloft.vm)?);
            let within = aloft.limit().unwrap_or(now.at).saturating_sub(now.at);
            Some((flying(&aloft.executor, &aloft.vm, flight, within), vm))
        });
        for (flight, vm) in arriving.collect::<Vec<_>>() {
            self.tell_member(to, Frame::Inbound { flight, vm, by: None, asked: 0 });
        }
    }

    /// An action has ended: the owner of its destination is told.
    pub(in crate::coordinator::core) fn announce_end(
        &mut self,
        key: &ActionKey,
        action: &Action,
        done: bool,
    ) {
        let owner = self.elsewhere(&key.plan_id, &action.destination).map(|(_, held)| held.owner.to_string());
        if let Some(owner) = owner {
            self.tell_member(&owner, Frame::Landed { key: key.clone(), done });
        }
    }

    /// Whether an action of a shared plan may begin on a host of this cell.
    pub(in crate::coordinator::core) fn is_fenced(&self, plan: &str, host: &str, now: Now) -> bool {
        let me = self.ring.node.me();
        let here = self.cell.hosts.contains_key(host) && !self.is_lent(host);
        self.held(plan, host).is_some_and(|(partition, held)| {
            // One that came here since then was another member's to give.
            let ours = held.owner == *me;
            let over = || {
                let led = self.ring.node.partition(partition);
                !led.is_some_and(|led| led.has(&host.into(), super::time(now)))
            };
            if ours { !self.may_act(host, partition, held.epoch, now) } else { here || over() }
        })
    }

    /// A leader elsewhere has an action for an agent of this cell.
    pub(super) fn order_came(
        &mut self,
        from: &str,
        (partition, fence, into): (&PartitionId, Epoch, Option<Epoch>),
        flight: &Flying,
        order: Order,
        now: Now,
    ) {
        let Flying { key, executor: host, vm, within, again, destination, .. } = flight.clone();
        let fenced = |fence| !self.may_act(&destination, partition, fence, now);
        if let Some(owed) = self.ring.owed.get(&key) {
            let (host, progress) = (owed.host.clone(), owed.progress.clone());
            return self.tell_member(from, Frame::Progress { host, progress });
        }
        let known = self.aloft.contains_key(&key);
        let why = match self.cell.hosts.get(&host) {
            None => Some("this coordinator does not have its host any more"),
            Some(_) if known => None,
            Some(_) if !self.may_act(&host, partition, fence, now) => {
                Some("the host is not reserved for its partition any more")
            }
            Some(_) if into.is_some_and(fenced) => {
                Some("the destination is not reserved for its partition any more")
            }
            Some(entry) if !entry.is_known() || self.stopping => Some("its host is out of reach"),
            Some(_) => None,
        };
        if let Some(why) = why {
            // One that was sent before may have come through then: whoever has the host now tells.
            if !known && !again {
                self.refuse_order(from, flight, why);
            }
            return;
        }
        let epoch = self.cell.hosts.get(&host).map(|entry| entry.epoch).unwrap_or_default();
        if !known {
            if let Some(other) = self.cell.flight(&vm) {
                let why = format!("plan {} moves the VM already", other.key.plan_id);
                return self.refuse_order(from, flight, &why);
            }
            let limit = now.at.saturating_add(within);
            self.take_off(&host, &vm, landing(flight), limit);
            self.urgent = true;
        }
        // An agent answers one that it knows with how it stands.
        self.effects.push(Effect::Tell { host, epoch, order });
    }

    fn refuse_order(&mut self, to: &str, flight: &Flying, why: &str) {
        let progress = ActionProgress {
            key: flight.key.clone(),
            state: ProgressState::Refused,
            vm: flight.vm.clone(),
            message: why.to_owned(),
            reason: Some(FailureReason::StaleEpoch),
            ..ActionProgress::default()
        };
        self.tell_member(to, Frame::Progress { host: flight.executor.clone(), progress });
    }

    /// It has come, or not.
    pub(super) fn landed(&mut self, key: &ActionKey, done: bool) {
        if self.aloft.get(key).is_some_and(|aloft| aloft.abroad.is_some())
            && !self.plans.contains_key(&key.plan_id)
        {
            self.land(key, done);
        }
    }

    /// An agent of this cell tells of an action of a plan of another member.
    pub(in crate::coordinator::core) fn pass_on(
        &mut self,
        leader: &str,
        host: &str,
        progress: &ActionProgress,
        now: Now,
    ) {
        let (host, progress) = (host.to_owned(), progress.clone());
        if progress.state.is_terminal() {
            let owed = Owed { host: host.clone(), progress: progress.clone(), told: now.at };
            self.ring.owed.entry(progress.key.clone()).or_insert(owed);
        }
        self.tell_member(leader, Frame::Progress { host, progress });
    }

    /// A leader has not heard how an action has ended. An agent that has told all that it knows, and does not know it, never
    /// had it, or was allowed to forget it: it is seen where the VM is.
    pub(super) fn asked_how_it_ended(
        &mut self,
        from: &str,
        host: &str,
        key: ActionKey,
        vm: String,
        leaves: bool,
    ) {
        let Some(entry) = self.cell.hosts.get(host).filter(|entry| entry.is_known()) else { return };
        let progress = if let Some(owed) = self.ring.owed.get(&key) {
            owed.progress.clone()
        } else if self.aloft.contains_key(&key) {
            return;
        } else {
            let there = entry.vms.get(&vm).map(|vm| vm.report.state);
            let state = match there {
                // Where it has gone to is for its destination to tell.
                None | Some(VmState::MigratingOut) if leaves => return,
                Some(state) if state.lives_here() && !leaves => ProgressState::Done,
                _ => ProgressState::Failed,
            };
            let message = "its agent does not know it; it is told by where the VM is".to_owned();
            ActionProgress { key, state, vm, message, ..ActionProgress::default() }
        };
        self.tell_member(from, Frame::Progress { host: host.to_owned(), progress });
    }

    /// A leader has kept what was told of these actions.
    pub(super) fn outcomes_kept(&mut self, host: &str, keys: Vec<ActionKey>) {
        for key in keys {
            self.ring.owed.remove(&key);
            if self.cell.hosts.contains_key(host) {
                self.acknowledge(host, &key);
            }
        }
    }

    /// Says again what was not heard.
    pub(super) fn forward_again(&mut self, now: Now) {
        let silent = |aloft: &Aloft| {
            let open = |abroad: Abroad| !abroad.heard || aloft.limit().is_none();
            let due = |abroad: Abroad| open(abroad) && now.at >= abroad.told + AGAIN_AFTER;
            aloft.told && aloft.abroad.is_some_and(due)
        };
        let again: Vec<ActionKey> =
            self.aloft.iter().filter(|(_, aloft)| silent(aloft)).map(|(key, _)| key.clone()).collect();
        for key in again {
            if let Some(abroad) = self.aloft.get_mut(&key).and_then(|aloft| aloft.abroad.as_mut()) {
                abroad.told = now.at;
            }
            match self.aloft.get(&key).filter(|aloft| aloft.limit().is_none() || aloft.has_gone()) {
                Some(aloft) => {
                    let (host, vm) = (aloft.executor.clone(), aloft.vm.clone());
                    let leaves =
                        self.known(&key).is_some_and(|(_, action, _)| action.kind == ActionKind::Migrate);
                    let frame = Frame::Ask { host: host.clone(), key, vm, leaves };
                    self.tell_owner(&host, frame);
                }
                None => self.order_again(&key),
            }
        }
        let owed: Vec<ActionKey> = self.ring.owed.keys().cloned().collect();
        for key in owed {
            let leader = self.leader_of(&key.plan_id);
            let Some(owed) = self.ring.owed.get_mut(&key) else { continue };
            let host = owed.host.clone();
            match leader {
                // It has left the ring: nobody waits for it.
                None => {
                    self.ring.owed.remove(&key);
                    self.acknowledge(&host, &key);
                }
                Some(leader) if now.at >= owed.told + AGAIN_AFTER => {
                    owed.told = now.at;
                    let progress = owed.progress.clone();
                    self.tell_member(&leader, Frame::Progress { host, progress });
                }
                Some(_) => {}
            }
        }
    }

    /// An order that its owner may not have got is sent again while its plan goes on.
    fn order_again(&mut self, key: &ActionKey) {
        let id = key.plan_id.clone();
        let goes_on = match self.stage(&id) {
            Some(Stage::Executing(execution)) => {
                !matches!(execution.halt, Some(Halt::Failed(_) | Halt::Cancelled(_)))
            }
            _ => false,
        };
        if !goes_on {
            return;
        }
        let Some((record, action, _)) = self.known(key) else { return };
        let mut effect = self.in_scene(&id, |core| core.order(&record, &action));
        if let Some(Effect::Peer { frame: Frame::Order { flight, .. }, .. }) = &mut effect {
            flight.again = true;
        }
        self.effects.extend(effect);
    }

    /// Tells the member that has a host.
    pub(in crate::coordinator::core) fn tell_owner(&mut self, host: &str, frame: Frame) {
        if let Some(owner) = self.ring.owner_of(host).map(str::to_owned) {
            self.tell_member(&owner, frame);
        }
    }
}

/// A VM as it is told to who is to receive it.
pub(super) fn on_the_way(entry: &VmEntry) -> VmReport {
    VmReport { definition: String::new(), ..entry.report.clone() }
}

fn flying(executor: &str, vm: &str, flight: &Flight, within: Duration) -> Flying {
    Flying {
        key: flight.key.clone(),
        executor: executor.to_owned(),
        vm: vm.to_owned(),
        source: flight.source.clone(),
        destination: flight.destination.clone(),
        migrates: flight.migrates,
        rate: flight.rate,
        within,
        again: false,
    }
}

pub(super) fn landing(flying: &Flying) -> Flight {
    Flight {
        key: flying.key.clone(),
        source: flying.source.clone(),
        destination: flying.destination.clone(),
        migrates: flying.migrates,
        rate: flying.rate,
    }
}
