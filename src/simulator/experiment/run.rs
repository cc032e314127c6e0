//! Runs one run of an experiment.

use super::{Choice, Experiment, Measured, Run};
use crate::simulator::engine::{Conditions, Demand, Simulation, Story, Strategy};
use crate::simulator::ids::{HostId, VmId};
use crate::simulator::injector::{Crashes, Injector, Loads, Outages, Seat, Unordered, placement};
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
use crate::simulator::world::{HostSetup, Links, MIB, MigrationModel, Power, Setup, VmSetup};

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

/// Milli-cores of a percent of a core.
const PERCENT: u32 = 10;

/// Runs it to the end, or until `go_on`, asked each some thousand events, says no.
///
/// # Errors
/// There are so many hosts or VMs that where VMPlaceS would put them is not known.
pub fn run(
    experiment: &Experiment,
    run: &Run,
    go_on: &mut dyn FnMut(Progress) -> bool,
) -> Result<Measured, Unordered> {
    let world = (setup(experiment)?, story(experiment)?);
    Ok(match &run.choice {
        Choice::None => drive(experiment, run, world, Nothing, go_on),
        Choice::Centralised(it) => drive(experiment, run, world, Managers::new(it.into()), go_on),
        Choice::Hierarchical(it) => drive(experiment, run, world, Managers::new(it.into()), go_on),
        Choice::Dvms(it) => drive(experiment, run, world, Dvms::new(*it), go_on),
        Choice::DvmsClassic(it) => drive(experiment, run, world, DvmsClassic::new(*it), go_on),
        Choice::Drs(it) => drive(experiment, run, world, Drs::new(*it), go_on),
        Choice::Gossip(it) => drive(experiment, run, world, VMan::new(*it), go_on),
        Choice::Ecocloud(it) => drive(experiment, run, world, EcoCloud::new(*it), go_on),
        Choice::P2p(it) => drive(experiment, run, world, P2p::new(*it), go_on),
        Choice::Scouts(it) => drive(experiment, run, world, Scouts::new(*it), go_on),
        Choice::Mcda(it) => drive(experiment, run, world, Mcda::new(*it), go_on),
        Choice::Balancer(it) => drive(experiment, run, world, Balancer::new(*it), go_on),
    })
}

fn drive<S: Strategy>(
    experiment: &Experiment,
    run: &Run,
    (setup, story): (Setup, Story),
    strategy: S,
    go_on: &mut dyn FnMut(Progress) -> bool,
) -> Measured {
    let conditions = conditions(experiment, run);
    let (until, sample_s) = (experiment.seconds, experiment.sample_s);
    let mut simulation = Simulation::new(&setup, conditions, story, strategy, until, sample_s);
    let complete = simulation.run(&mut |simulation| {
        let world = simulation.world();
        go_on(Progress {
            now: world.now(),
            events: simulation.events(),
            over: world.usage.over,
            violations: world.violations.log().len(),
            migrations: world.moves.count(),
        })
    });
    Measured::of(&run.name, &simulation, complete)
}

fn setup(it: &Experiment) -> Result<Setup, Unordered> {
    let (hosts, network) = (&it.hosts, &it.network);
    let each = hosts.count.div_ceil(u32::from(hosts.sites).max(1)).max(1);
    let host = |number: u32| HostSetup {
        cpu: hosts.cpu,
        memory: hosts.memory,
        power: 0,
        site: (number / each) as u16,
    };
    let memory = it.vms.memory;
    let vm = |seat: &Seat| VmSetup {
        host: HostId(seat.host),
        cpu: 0,
        memory,
        dirty: f64::from(seat.dirty_percent) / 100.0,
    };
    let power = match hosts.machine {
        Some(machine) => Power::measured(machine, hosts.off_w),
        None => Power::linear(hosts.idle_w, hosts.peak_w, hosts.off_w),
    };
    let link = |mb_s: Option<f64>| mb_s.map_or(f64::INFINITY, |mb_s| mb_s * 1e6 * network.link_share);
    Ok(Setup {
        hosts: (0..hosts.count).map(host).collect(),
        vms: placement(hosts.count, it.vms.count, it.load.seed.unwrap_or(it.seed))?.iter().map(vm).collect(),
        powers: vec![power],
        links: Links {
            nic: link(Some(network.nic_mb_s)),
            site: link(network.site_mb_s),
            backbone: link(network.backbone_mb_s),
        },
        migration: MigrationModel {
            limit: network.migration_mib_s * MIB,
            switch_s: network.switch_s,
            shared_core: network.shared_core,
            slowdown: 0.1,
        },
    })
}

fn story(it: &Experiment) -> Result<Story, Unordered> {
    let loads = Loads {
        mean: it.load.mean,
        sd: it.load.sd,
        period_s: it.load.period_s,
        seed: it.load.seed.unwrap_or(it.seed),
    };
    let changes = Injector::new(it.vms.count, it.seconds, loads)?;
    let demands =
        changes.map(|change| Demand { time: change.time, vm: VmId(change.vm), cpu: change.load * PERCENT });
    let crashes = it.faults.as_ref().map(|faults| {
        let seed = faults.seed.unwrap_or(it.seed);
        let outages = Outages { period_s: faults.crash_period_s, down_s: faults.down_s, seed };
        Crashes::new(it.hosts.count, it.seconds, outages)
    });
    Ok(Story {
        demands: Box::new(demands),
        faults: Box::new(crashes.into_iter().flatten()),
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
