//! Runs one run of an experiment.

use super::choice::Place;
use super::load::What;
use super::start::{Refused, lives, setup, sizes};
use super::{Choice, Experiment, Measured, Played, Run, Scene};
use crate::simulator::engine::{Conditions, Demand, Simulation, Story, Strategy};
use crate::simulator::ids::VmId;
use crate::simulator::injector::{Crashes, Fault, Injector, LoadChange, Loads};
use crate::simulator::load::Need;
use crate::simulator::strategies::Nothing;
use crate::simulator::strategies::balancer::Balancer;
use crate::simulator::strategies::drs::Drs;
use crate::simulator::strategies::dvms::Dvms;
use crate::simulator::strategies::dvms_classic::DvmsClassic;
use crate::simulator::strategies::ecocloud::EcoCloud;
use crate::simulator::strategies::gossip::VMan;
use crate::simulator::strategies::manager::Managers;
use crate::simulator::strategies::mcda::Mcda;
use crate::simulator::strategies::p2p::P2p;
use crate::simulator::strategies::scouts::Scouts;
use crate::simulator::strategies::snooze::Snooze;
use crate::simulator::world::Setup;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Virtual seconds.
    pub now: f64,
    /// Things that happened.
    pub events: u64,
    /// Hosts of which more is asked than they have, now.
    pub over: u32,
    /// Violations so far.
    pub violations: usize,
    /// Migrations so far.
    pub migrations: u64,
}

/// Runs it to the end, or until `go_on`, asked each some thousand events, says no.
///
/// # Errors
/// It cannot begin: VMs do not fit, its trace was not read, or where VMPlaceS would put so many is not known.
pub fn run(
    experiment: &Experiment,
    run: &Run,
    go_on: &mut dyn FnMut(Progress) -> bool,
) -> Result<Measured, Refused> {
    begin(experiment, run, &mut |played| played.play(&mut |scene| go_on(scene.progress())))
}

/// The same; `go_on` is asked, and sees how it is, each so many virtual seconds at most.
///
/// # Errors
/// As of [`run`].
pub fn watch(
    experiment: &Experiment,
    run: &Run,
    every_s: f64,
    go_on: &mut dyn FnMut(&dyn Scene) -> bool,
) -> Result<Measured, Refused> {
    begin(experiment, run, &mut |played| played.show(every_s, go_on))
}

/// Makes a run, and has it played; `play` says whether the end was reached.
pub(super) fn begin(
    experiment: &Experiment,
    run: &Run,
    play: &mut dyn FnMut(&mut dyn Played) -> bool,
) -> Result<Measured, Refused> {
    let world = (setup(experiment)?, story(experiment)?);
    Ok(match &run.choice {
        Choice::None => drive((experiment, run), world, Nothing, play),
        Choice::Centralised(it) if it.managers == Place::Apart => {
            drive((experiment, run), world, Managers::new(it.into()), play)
        }
        Choice::Hierarchical(it) if it.managers == Place::Apart => {
            drive((experiment, run), world, Managers::new(it.into()), play)
        }
        Choice::Centralised(it) => {
            let strategy = Snooze::new(it.into(), f64::INFINITY);
            drive((experiment, run), world, strategy, play)
        }
        Choice::Hierarchical(it) => {
            let strategy = Snooze::new(it.into(), it.silence_s);
            drive((experiment, run), world, strategy, play)
        }
        Choice::Dvms(it) => drive((experiment, run), world, Dvms::new(*it), play),
        Choice::DvmsClassic(it) => drive((experiment, run), world, DvmsClassic::new(*it), play),
        Choice::Drs(it) => drive((experiment, run), world, Drs::new(*it), play),
        Choice::Gossip(it) => drive((experiment, run), world, VMan::new(*it), play),
        Choice::Ecocloud(it) => drive((experiment, run), world, EcoCloud::new(*it), play),
        Choice::P2p(it) => drive((experiment, run), world, P2p::new(*it), play),
        Choice::Scouts(it) => drive((experiment, run), world, Scouts::new(*it), play),
        Choice::Mcda(it) => drive((experiment, run), world, Mcda::new(*it), play),
        Choice::Balancer(it) => drive((experiment, run), world, Balancer::new(*it), play),
    })
}

fn drive<S: Strategy>(
    (experiment, run): (&Experiment, &Run),
    (setup, story): (Setup, Story),
    strategy: S,
    play: &mut dyn FnMut(&mut dyn Played) -> bool,
) -> Measured {
    let conditions = conditions(experiment, run);
    let (until, sample_s) = (experiment.seconds, experiment.sample_s);
    let mut simulation = Simulation::new(&setup, conditions, story, strategy, until, sample_s);
    let complete = play(&mut simulation);
    Measured::of(&run.name, &simulation, complete)
}

fn story(it: &Experiment) -> Result<Story, Refused> {
    let seed = it.load_seed();
    let lives = lives(it);
    let given = it.start.as_ref().and_then(|start| start.given());
    let demands: Box<dyn Iterator<Item = Demand>> = if let What::Vmplaces(load) = &it.load.what {
        let loads = Loads { mean: load.mean, sd: load.sd, period_s: load.period_s, seed };
        let changes = Injector::new(it.vms.count, it.seconds, loads)?;
        let sizes = sizes(it, it.vms.count as usize);
        let demand = move |change: LoadChange| {
            let cpu = u64::from(change.load) * u64::from(sizes[change.vm as usize].cpu) / 100;
            Demand { time: change.time, vm: VmId(change.vm), cpu: cpu as u32 }
        };
        Box::new(changes.map(demand))
    } else {
        let last = lives.iter().map(|life| life.vm.0 + 1).max().unwrap_or(0);
        let sizes = sizes(it, it.vms.count.max(last) as usize);
        let demand = move |need: Need| {
            let cpu = (need.percent * f64::from(sizes[need.vm as usize].cpu) / 100.0).round() as u32;
            Demand { time: need.time, vm: VmId(need.vm), cpu }
        };
        let needs = it.load.load().map(|load| load.needs(it.vms.count, it.seconds, seed));
        Box::new(needs.into_iter().flatten().map(demand))
    };
    let crashes = it.faults.as_ref().and_then(|faults| faults.crashes(it.seed));
    let crashes = crashes.map(|outages| Crashes::new(it.hosts.count, it.seconds, outages));
    let failed = given.map_or_else(Vec::new, |given| given.failed.clone());
    let failed = failed.into_iter().map(|host| Fault { time: 0.0, host: host.0, up: false });
    Ok(Story {
        demands,
        lives: Box::new(lives.into_iter()),
        faults: Box::new(failed.chain(crashes.into_iter().flatten())),
        failing: it.faults.as_ref().map(|faults| faults.failing(it.seed)).unwrap_or_default(),
        off: given.map_or_else(Vec::new, |given| given.off.clone()),
        spare_migrating: it.faults.as_ref().is_some_and(|faults| faults.spare_migrating),
    })
}

fn conditions(it: &Experiment, run: &Run) -> Conditions {
    Conditions {
        seed: it.seed,
        latency_s: it.network.latency_ms / 1000.0,
        wan_latency_s: it.network.wan_latency_ms / 1000.0,
        jitter: it.network.jitter,
        loss: it.network.loss,
        boot_s: it.hosts.boot_s,
        compute: run.compute.unwrap_or(it.compute),
    }
}
