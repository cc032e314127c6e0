//! Random plans, against what the checker sees of them.

use super::super::{Reason, Timeline, What};
use crate::check;
use crate::schedule::tests::planned;
use proptest::prelude::*;

/// Instants between those at which something changes, and one after all.
fn between(timeline: &Timeline) -> Vec<f64> {
    let times: Vec<f64> = timeline.steps.iter().map(|step| step.at_s).collect();
    let middles = times.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]));
    middles.chain(times.last().map(|last| last + 1.0)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn it_shows_what_the_checker_sees(hosts in 2_usize..8, vms in 1_usize..26, odd: bool, seed: u64) {
        let Some((problem, plan, bound)) = planned(hosts, vms, odd, seed) else { return Ok(()) };
        let timeline = Timeline::new(&crate::Problem::new(&problem).unwrap(), &plan, None).unwrap();
        let seen = check::seen(&problem, &plan).unwrap();
        for at_s in between(&timeline) {
            let now = seen.iter().rev().find(|seen| seen.at_s <= at_s).unwrap();
            let mut count = 0;
            for host in &timeline.hosts {
                for used in &host.uses {
                    let key = (host.name.clone(), used.node, used.resource.clone());
                    prop_assert_eq!(Some(&used.steps.at(at_s)), now.used.get(&key), "{:?} at {}", key, at_s);
                    count += 1;
                }
            }
            prop_assert_eq!(count, now.used.len());
            for load in &timeline.loads {
                let (host, way) = match &load.what {
                    What::Out { host } => (host, 0),
                    What::Into { host } => (host, 1),
                    _ => continue,
                };
                let (shown, seen) = (load.steps.at(at_s), now.rates[host][way]);
                prop_assert!((shown - seen).abs() <= 1e-6 * seen.abs() + 1e-6, "{}: {shown}, {seen}", load.what);
            }
        }
        for load in &timeline.loads {
            for (at_s, taken) in load.steps.steps() {
                prop_assert!(taken <= load.capacity * 1.01 + 1e-6, "{} at {at_s}: {taken} of {}", load.what, load.capacity);
            }
        }
        // What is called a bound is one.
        let least = timeline.bound().map_or(0.0, |bound| bound.seconds);
        prop_assert!((least - bound).abs() <= 1e-9 * bound, "{least}, {bound}");
        let end = timeline.makespan_s * (1.0 + 1e-9) + 1e-9;
        prop_assert!(least <= end && timeline.chain.seconds <= end);
    }

    #[test]
    fn every_action_has_its_bar_and_the_chain_leads_to_the_end(hosts in 2_usize..8, vms in 1_usize..26, seed: u64) {
        let Some((problem, plan, _)) = planned(hosts, vms, true, seed) else { return Ok(()) };
        let timeline = Timeline::new(&crate::Problem::new(&problem).unwrap(), &plan, None).unwrap();
        let actions: Vec<_> = timeline.actions.iter().map(|bar| bar.action.clone()).collect();
        prop_assert_eq!(&actions, &plan.actions);
        let mut begun: Vec<u64> = timeline.steps.iter().flat_map(|step| step.begins.clone()).collect();
        let mut ended: Vec<u64> = timeline.steps.iter().flat_map(|step| step.ends.clone()).collect();
        begun.sort_unstable();
        ended.sort_unstable();
        prop_assert_eq!(&begun, &ended);
        prop_assert_eq!(begun.len(), plan.actions.len());
        let bar = |id: u64| &timeline.action(id).unwrap().action;
        if let Some(last) = timeline.critical.last() {
            prop_assert!((bar(last.id).end_s - timeline.makespan_s).abs() < 1e-9);
        }
        for (before, link) in timeline.critical.iter().zip(timeline.critical.iter().skip(1)) {
            let other = match &link.reason {
                Reason::After { other } | Reason::Shares { other, .. } => *other,
                Reason::Nothing => 0,
            };
            prop_assert_eq!(other, before.id);
            prop_assert!(bar(other).end_s <= bar(link.id).start_s + 1e-6);
        }
        for (i, ids) in timeline.chain.actions.windows(2).enumerate() {
            prop_assert!(bar(ids[1]).after.contains(&ids[0]), "{i}");
        }
    }
}
