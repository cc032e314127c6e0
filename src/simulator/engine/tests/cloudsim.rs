//! The measures of CloudSim, of a run that can be worked out by hand.

use super::super::*;
use crate::simulator::experiment::Measured;
use crate::simulator::world::{HostSetup, Links, MIB, Machine, MigrationModel, Power, VmSetup};

/// Moves a VM at a time that is known.
struct Once;

impl Strategy for Once {
    type Message = ();

    fn services(&self, _: usize) -> usize {
        1
    }

    fn start(&mut self, context: &mut Context<()>) {
        context.timer(context.service(0), 100.0, 0);
    }

    fn timer(&mut self, agent: Agent, _: u32, context: &mut Context<()>) {
        context.migrate(agent, 0, VmId(1), HostId(1));
    }
}

fn setup() -> Setup {
    let vm = |host, cpu| VmSetup { host: HostId(host), cpu, memory: 625, dirty: 0.0 };
    Setup {
        hosts: vec![HostSetup { cpu: 1000, memory: 4096, power: 0, site: 0 }; 2],
        vms: vec![vm(0, 600), vm(0, 600), vm(1, 100)],
        powers: vec![Power::measured(Machine::HpMl110G4, 0.0)],
        links: Links { nic: f64::INFINITY, site: f64::INFINITY, backbone: f64::INFINITY },
        migration: MigrationModel { limit: 62.5 * MIB, switch_s: 0.0, shared_core: false, slowdown: 0.1 },
    }
}

#[test]
fn the_measures_of_cloudsim_are_as_worked_out_by_hand() {
    let mut simulation =
        Simulation::new(&setup(), Conditions::default(), Story::default(), Once, 200.0, 50.0);
    assert!(simulation.run(&mut |_| true));
    let it = Measured::of("once", &simulation, true);
    // 625 MiB at 62.5 MiB/s are 10 s: the first host has 1,200 of 1,000 asked for 110 s of the 400 s of both.
    let slatah = 110.0 / 400.0;
    // The VM asks for 600 for 200 s, and loses a tenth of it for 10 s; the two others nothing.
    let pdm = (0.1 * 600.0 * 10.0) / (600.0 * 200.0) / 3.0;
    // 120, then 60 % of the first; 10, then 70 % of the second.
    let kwh = (117.0 * 110.0 + 106.0 * 90.0 + 89.4 * 110.0 + 108.0 * 90.0) / 3.6e6;
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(near(it.usage.slatah, slatah) && near(it.pdm, pdm), "{it:?}");
    assert!(near(it.usage.energy_kwh, kwh), "{} {kwh}", it.usage.energy_kwh);
    assert!(near(it.slav, slatah * pdm) && near(it.esv, kwh * slatah * pdm), "{it:?}");
}

/// VMs that come are put somewhere, wait where there is no memory, and wake hosts; what leaves is gone.
#[test]
fn whoever_comes_runs_as_soon_as_there_is_memory() {
    let mut setup = setup();
    setup.hosts[0].memory = 1250;
    setup.hosts[1].memory = 1250;
    setup.powers = vec![Power::linear(100.0, 200.0, 0.0).and_empty(Some(1.0))];
    setup.vms[1].host = HostId::NOWHERE;
    setup.vms[2].host = HostId::NOWHERE;
    let late = VmSetup { host: HostId::NOWHERE, ..setup.vms[2] };
    setup.vms.extend([late, late]);
    let life = |time: f64, vm: u32, comes: bool| Life { time, vm: VmId(vm), comes };
    let lives = vec![
        // With 600 of the 1,000 used, 600 more have room on the other host only.
        life(10.0, 1, true),
        life(20.0, 2, true),
        life(30.0, 3, true),
        // All memory is used: it waits for 40 s.
        life(40.0, 4, true),
        life(80.0, 0, false),
        life(90.0, 4, false),
    ];
    let demands = [Demand { time: 5.0, vm: VmId(1), cpu: 600 }, Demand { time: 85.0, vm: VmId(0), cpu: 700 }];
    let story = Story {
        demands: Box::new(demands.into_iter()),
        lives: Box::new(lives.into_iter()),
        ..Story::default()
    };
    let strategy = crate::simulator::strategies::Nothing;
    let mut simulation = Simulation::new(&setup, Conditions::default(), story, strategy, 100.0, 50.0);
    let mut hosts = Vec::new();
    while simulation.step() {
        simulation.world().check().unwrap();
        let world = simulation.world();
        let now = (0..5).map(|vm| world.vm(VmId(vm)).host.0.cast_signed()).collect::<Vec<_>>();
        if hosts.last() != Some(&now) {
            hosts.push(now);
        }
    }
    let expected = [
        vec![0, -1, -1, -1, -1],
        vec![0, 1, -1, -1, -1],
        // Both have as much: the first of them, which is full then.
        vec![0, 1, 0, -1, -1],
        vec![0, 1, 0, 1, -1],
        vec![-1, 1, 0, 1, 0],
        vec![-1, 1, 0, 1, -1],
    ];
    assert_eq!(hosts, expected);
    let usage = simulation.world().usage.report(100.0);
    assert_eq!((usage.vms_came, usage.vms_left, usage.waiting_vm_s), (4, 2, 40.0));
}
