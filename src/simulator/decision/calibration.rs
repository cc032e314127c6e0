//! Measures what the solver takes for repairs, for the rates of the compute model.
//!
//! `cargo test --release --lib simulator::decision::calibration -- --ignored --nocapture`

use super::{Decision, Repair, repair};
use crate::simulator::engine::{View, ViewHost, ViewVm};
use crate::simulator::ids::{HostId, VmId};
use crate::simulator::random::Random;
use crate::simulator::world::{HostNow, HostState};
use std::time::Instant;

/// Hosts with the load of VMPlaceS.
pub(super) fn drawn(hosts: u32, cpu: u32, seed: u64) -> View {
    let mut random = Random::new(seed, 1);
    let mut view = View::default();
    for host in 0..hosts {
        let first_vm = view.vms.len() as u32;
        let mut demand = 0;
        for vm in 0..10 {
            // Three even numbers make something like a bell.
            let bell = (0..3).map(|_| random.fraction()).sum::<f64>() / 3.0 - 0.5;
            let own = ((0.6 + bell * 1.2).clamp(0.0, 1.0) * 10.0).round() as u32 * 100;
            demand += own;
            view.vms.push(ViewVm { id: VmId(host * 10 + vm), demand: own, memory: 1024, migrating: false });
        }
        let now = HostNow {
            state: HostState::On,
            cpu,
            memory: 32_384,
            demand,
            expected: demand,
            held: 10_240,
            vms: 10,
            migrating: false,
            site: 0,
        };
        view.hosts.push(ViewHost { id: HostId(host), now, first_vm });
    }
    view
}

#[test]
#[ignore = "measures, and wants a machine of its own and an optimised build"]
fn what_repairs_take() {
    println!("hosts,problem_hosts,problem_vms,work,seconds,model_s");
    for hosts in [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192] {
        for (seed, cpu) in [(1, 7000), (2, 7000), (3, 7500), (4, 6800)] {
            let view = drawn(hosts, cpu, seed);
            let began = Instant::now();
            let Decision { effort, verdict, .. } = repair(&view, Repair::default());
            let took = began.elapsed().as_secs_f64();
            if effort.hosts > 0 {
                let model = effort.seconds();
                let (part, vms, work) = (effort.hosts, effort.vms, effort.work);
                println!("{hosts},{part},{vms},{work},{took:.5},{model:.5} {verdict:?}");
            }
        }
    }
}
