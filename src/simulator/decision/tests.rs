//! Plans for views.

use super::calibration::drawn;
use super::{Consolidation, Decision, Repair, consolidate, repair};
use crate::simulator::engine::View;
use crate::simulator::ids::HostId;
use crate::simulator::measures::Verdict;

/// What the hosts of a view are asked for once the moves are made.
fn after(view: &View, decision: &Decision) -> Vec<(u32, u32)> {
    let mut loads: Vec<u32> = view.hosts.iter().map(|host| host.now.expected).collect();
    for step in &decision.moves {
        let vm = view.vms.iter().find(|vm| vm.id == step.vm).unwrap();
        loads[step.from.index()] -= vm.demand;
        loads[step.to.index()] += vm.demand;
    }
    loads.into_iter().zip(view.hosts.iter().map(|host| host.now.cpu)).collect()
}

#[test]
fn a_repair_ends_every_overload_and_moves_from_overloaded_hosts_only() {
    for (seed, hosts) in [(1, 16), (2, 64), (3, 200)] {
        let view = drawn(hosts, 7000, seed);
        let decision = repair(&view, Repair::default());
        assert!(view.hosts.iter().any(|host| host.now.is_over()), "seed {seed}");
        assert_eq!(decision.verdict, Verdict::Plan);
        let all = after(&view, &decision);
        assert!(all.iter().all(|(load, cpu)| load <= cpu), "seed {seed}: {all:?}");
        for step in &decision.moves {
            assert!(view.hosts[step.from.index()].now.is_over(), "{step:?}");
        }
        assert_eq!(decision, repair(&view, Repair::default()), "the same view, the same plan");
    }
}

#[test]
fn calm_hosts_are_left_alone_and_full_ones_told_from_them() {
    let calm = drawn(20, 10_000, 1);
    assert_eq!(repair(&calm, Repair::default()).verdict, Verdict::Nothing);
    // Nobody has room for anything.
    let mut full = drawn(8, 7000, 2);
    for host in &mut full.hosts {
        host.now.cpu = host.now.expected - 50;
    }
    assert_eq!(repair(&full, Repair::default()).verdict, Verdict::NoPlan);
}

#[test]
fn destinations_are_filled_up_to_a_share_only() {
    let view = drawn(64, 7000, 5);
    let decision = repair(&view, Repair { fill: 0.9, ..Repair::default() });
    assert_eq!(decision.verdict, Verdict::Plan);
    for (host, (load, _)) in view.hosts.iter().zip(after(&view, &decision)) {
        let got_more = load > host.now.expected;
        assert!(!got_more || load <= 6300, "{load}");
    }
}

#[test]
fn a_consolidation_empties_hosts_fills_none_beyond_its_share_and_pays_its_price() {
    // Six cores of ten are used.
    let view = drawn(16, 10_000, 1);
    let how = Consolidation { work_limit: 20_000, fill: 0.8, price_mib: 0.0 };
    let decision = consolidate(&view, how, &[]);
    assert_eq!(decision.verdict, Verdict::Plan);
    assert_eq!(decision, consolidate(&view, how, &[]), "the same view, the same plan");
    let all = after(&view, &decision);
    let emptied = |all: &[(u32, u32)]| all.iter().filter(|(load, _)| *load == 0).count();
    assert!(emptied(&all) >= 3, "{all:?}");
    for (host, (load, _)) in view.hosts.iter().zip(&all) {
        assert!(*load <= 8000.max(host.now.expected), "{load}");
    }
    // Hosts that are in use anyhow are not worth being emptied.
    let kept: Vec<HostId> = view.hosts.iter().map(|host| host.id).collect();
    assert_eq!(consolidate(&view, how, &kept).verdict, Verdict::Nothing);
    assert_eq!(consolidate(&view, how, &kept[3..]).moves.len(), {
        let decision = consolidate(&view, how, &kept[3..]);
        decision.moves.iter().filter(|step| step.from.0 < 3).count()
    });
    // Ten VMs of a GiB each.
    let price = |price_mib| consolidate(&view, Consolidation { price_mib, ..how }, &[]);
    assert_eq!(price(5_000.0).verdict, Verdict::Nothing);
    assert_eq!(price(50_000.0).verdict, Verdict::Plan);
    let nobody = Consolidation { fill: 0.5, ..how };
    assert_eq!(consolidate(&view, nobody, &[]).verdict, Verdict::Nothing);
}
