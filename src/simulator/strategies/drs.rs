//! Evens out the load: greedy steps that each make the deviation of the hosts' loads as much smaller as can be, in the manner of
//! VMware DRS (Gulati et al., VMware Technical Journal 1, 2012: the load of a host is what its VMs are entitled to over what
//! it has, the imbalance is the standard deviation over hosts, every 5 minutes migrations are made until it is below a target).
//!
//! Ours, as DRS itself is not published: demand stands for entitlement; the target and the least gain of a migration are
//! settings; of all pairs of a VM and a host the best is found exactly where hosts are of one size, else among the least
//! loaded hosts of each look. A migration that would overload its destination is never made.

use crate::simulator::decision::{Decision, Effort, Move};
use crate::simulator::engine::{Context, Ordering, Outcome, Strategy, View, ViewVm};
use crate::simulator::ids::{Agent, HostId};
use crate::simulator::measures::Verdict;
use serde::{Deserialize, Serialize};

/// How it works.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evening {
    /// Seconds between two looks.
    pub period_s: f64,
    /// It is content with this standard deviation of loads.
    pub target: f64,
    /// A migration is made where it makes the variance, times the number of hosts, smaller by this at least.
    pub least_gain: f64,
    /// Migrations of a round at most.
    pub most_moves: u32,
}

impl Default for Evening {
    fn default() -> Self {
        Self { period_s: 300.0, target: 0.05, least_gain: 0.005, most_moves: 1000 }
    }
}

/// The strategy.
#[derive(Debug, Clone, Copy)]
pub struct Drs {
    how: Evening,
    began: f64,
}

/// Destinations that are tried for each step.
const DESTINATIONS: usize = 8;

impl Drs {
    /// One that works like this.
    #[must_use]
    pub fn new(how: Evening) -> Self {
        Self { how, began: 0.0 }
    }

    fn rest(&self, context: &mut Context<()>) {
        let passed = context.now() - self.began;
        context.timer(context.service(0), (self.how.period_s - passed).max(0.0), 0);
    }
}

impl Strategy for Drs {
    type Message = ();

    fn services(&self, _: usize) -> usize {
        1
    }

    fn start(&mut self, context: &mut Context<()>) {
        self.rest(context);
    }

    fn timer(&mut self, agent: Agent, _: u32, context: &mut Context<()>) {
        self.began = context.now();
        context.collect(agent, 0, (0..context.host_count() as u32).map(HostId).collect());
    }

    fn collected(&mut self, agent: Agent, tag: u32, view: View, context: &mut Context<()>) {
        let how = self.how;
        context.compute(agent, tag, view.hosts.len(), || even_out(&view, how));
    }

    fn decided(&mut self, agent: Agent, tag: u32, decision: Decision, context: &mut Context<()>) {
        if decision.verdict == Verdict::Plan {
            context.execute(agent, tag, decision.moves, Ordering::AtOnce);
        } else {
            self.rest(context);
        }
    }

    fn executed(&mut self, _: Agent, _: u32, _: Outcome, context: &mut Context<()>) {
        self.rest(context);
    }

    fn coordinators(&self, context: &Context<()>) -> Vec<Agent> {
        vec![context.service(0)]
    }

    fn coordinator_came_up(&mut self, _: u32, context: &mut Context<()>) {
        self.began = context.now();
        self.rest(context);
    }
}

struct Place<'v> {
    load: f64,
    cpu: f64,
    memory_left: u32,
    /// Who may leave.
    vms: Vec<&'v ViewVm>,
    id: HostId,
}

/// The steps.
#[must_use]
pub fn even_out(view: &View, how: Evening) -> Decision {
    let usable = view.hosts.iter().filter(|host| host.now.cpu > 0);
    let mut places: Vec<Place> = usable
        .map(|host| Place {
            load: f64::from(host.now.expected) / f64::from(host.now.cpu),
            cpu: f64::from(host.now.cpu),
            memory_left: host.now.memory.saturating_sub(host.now.held),
            vms: view.vms_of(host).iter().filter(|vm| !vm.migrating && vm.demand > 0).collect(),
            id: host.id,
        })
        .collect();
    let (mut moves, mut work) = (Vec::new(), 0);
    while moves.len() < how.most_moves as usize && deviation(&places) > how.target {
        places.sort_by(|a, b| a.load.total_cmp(&b.load).then(a.id.cmp(&b.id)));
        let Some(step) = best_step(&places, &mut work).filter(|step| step.gain >= how.least_gain) else {
            break;
        };
        let vm = places[step.from].vms.remove(step.vm);
        let demand = f64::from(vm.demand);
        let (from, to) = (places[step.from].id, places[step.to].id);
        let cpu = places[step.from].cpu;
        places[step.from].load -= demand / cpu;
        let place = &mut places[step.to];
        place.load += demand / place.cpu;
        place.memory_left -= vm.memory;
        moves.push(Move { vm: vm.id, from, to, after: Vec::new() });
    }
    let verdict = if moves.is_empty() { Verdict::Nothing } else { Verdict::Plan };
    let effort = Effort { work: work + view.vms.len() as u64, ..Effort::default() };
    Decision { verdict, moves, effort }
}

fn deviation(places: &[Place]) -> f64 {
    let count = places.len().max(1) as f64;
    let mean = places.iter().map(|place| place.load).sum::<f64>() / count;
    let square = |place: &Place| (place.load - mean) * (place.load - mean);
    (places.iter().map(square).sum::<f64>() / count).sqrt()
}

struct Step {
    from: usize,
    vm: usize,
    to: usize,
    gain: f64,
}

/// The step that makes the sum of squared deviations smallest; places are in order of load.
fn best_step(places: &[Place], work: &mut u64) -> Option<Step> {
    let mut best: Option<Step> = None;
    let mean = places.iter().map(|place| place.load).sum::<f64>() / places.len().max(1) as f64;
    let count = places.len() as f64;
    for (to, place) in places.iter().enumerate().take(DESTINATIONS) {
        for from in (to + 1..places.len()).rev() {
            let gap = places[from].load - place.load;
            // No VM of hosts of one size gains more than half the square of what is between them.
            let ratio = places[from].cpu / place.cpu;
            if best.as_ref().is_some_and(|best| gap * gap * (0.5 * ratio.max(1.0 / ratio)) <= best.gain) {
                break;
            }
            for (vm, ViewVm { demand, memory, .. }) in places[from].vms.iter().enumerate() {
                *work += 1;
                let demand = f64::from(*demand);
                let (less, more) = (demand / places[from].cpu, demand / place.cpu);
                if place.load + more > 1.0 || *memory > place.memory_left {
                    continue;
                }
                let of = |load: f64| (load - mean) * (load - mean);
                let before = of(places[from].load) + of(place.load);
                let after = of(places[from].load - less) + of(place.load + more);
                // The mean moves too where hosts differ in size.
                let shift = (more - less) / count;
                let gain = before - after + count * shift * shift;
                if best.as_ref().is_none_or(|best| gain > best.gain) {
                    best = Some(Step { from, vm, to, gain });
                }
            }
        }
    }
    best
}
