//! Packings of small examples, against their definitions and against the best that there is.

use super::{Algorithm, Colony, Packing, pack};
use crate::simulator::decision::Decision;
use crate::simulator::engine::{View, ViewHost, ViewVm};
use crate::simulator::ids::{HostId, VmId};
use crate::simulator::measures::Verdict;
use crate::simulator::random::Random;
use crate::simulator::world::{HostNow, HostState};

const ALL: [Algorithm; 3] =
    [Algorithm::Ffd, Algorithm::Sercon, Algorithm::Aco(Colony { ants: 5, cycles: 3, evaporation: 0.7 })];

/// Hosts of 1000 milli-cores with VMs that need so much.
fn view(hosts: &[&[u32]]) -> View {
    let mut view = View::default();
    for (id, vms) in (0..).zip(hosts) {
        let sum = vms.iter().sum();
        let now = HostNow {
            state: HostState::On,
            cpu: 1000,
            memory: 10_000,
            demand: sum,
            expected: sum,
            held: vms.len() as u32,
            vms: vms.len() as u32,
            migrating: false,
            site: 0,
        };
        view.hosts.push(ViewHost { id: HostId(id), now, first_vm: view.vms.len() as u32 });
        for demand in *vms {
            let id = VmId(view.vms.len() as u32);
            view.vms.push(ViewVm { id, demand: *demand, memory: 1, migrating: false });
        }
    }
    view
}

fn with(view: &View, algorithm: Algorithm) -> Decision {
    pack(view, Packing { algorithm, fill: 1.0 })
}

fn steps(decision: &Decision) -> Vec<(u32, u32, u32)> {
    decision.moves.iter().map(|step| (step.vm.0, step.from.0, step.to.0)).collect()
}

/// Where each VM is after the moves, by number.
fn after(view: &View, decision: &Decision) -> Vec<u32> {
    let mut places = vec![0; view.vms.len()];
    for host in &view.hosts {
        view.vms_of(host).iter().for_each(|vm| places[vm.id.index()] = host.id.0);
    }
    for step in &decision.moves {
        assert_eq!(places[step.vm.index()], step.from.0, "each VM moves once, from where it is");
        places[step.vm.index()] = step.to.0;
    }
    places
}

/// Hosts in use, all of them within what they have.
fn in_use(view: &View, places: &[u32]) -> usize {
    let mut loads = vec![(0, false); view.hosts.len()];
    for (vm, place) in view.vms.iter().zip(places) {
        loads[*place as usize].0 += vm.demand;
        loads[*place as usize].1 = true;
    }
    assert!(loads.iter().all(|(load, _)| *load <= 1000), "{loads:?}");
    loads.iter().filter(|(_, used)| *used).count()
}

/// The fewest hosts that VMs fit on, all ways tried.
fn fewest(demands: &[u32], loads: &mut Vec<u32>) -> usize {
    let Some((first, rest)) = demands.split_first() else { return loads.len() };
    let mut best = usize::MAX;
    for at in 0..loads.len() {
        if loads[at] + first <= 1000 {
            loads[at] += first;
            best = best.min(fewest(rest, loads));
            loads[at] -= first;
        }
    }
    loads.push(*first);
    best = best.min(fewest(rest, loads));
    loads.pop();
    best
}

#[test]
fn first_fit_decreasing_packs_anew_the_largest_first() {
    // By size: 600 onto the fullest host, which is 1; 500 onto the next, 0; 400 onto 1; 300 onto 0; 200 onto 0.
    let view = view(&[&[300, 500], &[600, 400], &[200]]);
    assert_eq!(steps(&with(&view, Algorithm::Ffd)), [(4, 2, 0)]);
}

#[test]
fn first_fit_decreasing_parts_what_was_together() {
    // 700 onto 0, 600 and 400 onto 2, 300 onto 0: three hosts become two.
    let it = view(&[&[400, 300], &[600], &[700]]);
    assert_eq!(after(&it, &with(&it, Algorithm::Ffd)), [2, 0, 2, 0]);
}

#[test]
fn sercon_empties_the_least_loaded_host_first_wholly_or_not_at_all() {
    // Host 2 is the least loaded: 200 goes onto the fullest with room, 1; 100 would not fit there any more, and goes to 0.
    let it = view(&[&[500], &[750], &[200, 100], &[]]);
    assert_eq!(steps(&with(&it, Algorithm::Sercon)), [(2, 2, 1), (3, 2, 0)]);
    // Host 0 cannot be emptied, as its 140 has no place once its 150 has one: nothing half done remains.
    let it = view(&[&[150, 140], &[840], &[900]]);
    let decision = with(&it, Algorithm::Sercon);
    assert_eq!((decision.verdict, decision.moves.len()), (Verdict::Nothing, 0));
    // Host 1 cannot be emptied (500 has no place); that does not keep host 2 from being.
    let it = view(&[&[750], &[500], &[300, 250], &[950]]);
    assert_eq!(steps(&with(&it, Algorithm::Sercon)), [(2, 2, 1), (3, 2, 0)]);
}

#[test]
fn ants_move_little_and_release_as_much_as_there_is_to_release() {
    // Host 2 goes to 0 or 1 with one migration; anything else moves more or releases nothing.
    let it = view(&[&[500], &[600], &[200]]);
    let decision = with(&it, ALL[2]);
    assert_eq!(decision.moves.len(), 1);
    assert_eq!(decision.moves[0].vm, VmId(2));
    assert_eq!(decision, with(&it, ALL[2]), "the same view, the same plan");
    // First fit packs these anew with as many hosts, but more migrations.
    let it = view(&[&[100, 400], &[300, 200], &[200, 200], &[100, 300], &[250]]);
    let [anew, _, ants] = ALL.map(|rule| with(&it, rule));
    assert_eq!(in_use(&it, &after(&it, &anew)), in_use(&it, &after(&it, &ants)));
    assert!(ants.moves.len() < anew.moves.len(), "{} {}", ants.moves.len(), anew.moves.len());
}

#[test]
fn vms_of_one_size_end_on_as_few_hosts_as_there_can_be() {
    let mut random = Random::new(8, 8);
    for vms in [3, 10, 23, 40] {
        let mut counts = [0_usize; 12];
        (0..vms).for_each(|_| {
            loop {
                let host = random.below(12) as usize;
                if counts[host] < 5 {
                    counts[host] += 1;
                    break;
                }
            }
        });
        let hosts: Vec<Vec<u32>> = counts.iter().map(|count| vec![200; *count]).collect();
        let it = view(&hosts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for rule in ALL {
            assert_eq!(in_use(&it, &after(&it, &with(&it, rule))), (vms as usize).div_ceil(5), "{rule:?}");
        }
    }
}

#[test]
fn no_rule_beats_the_best_there_is_and_first_fit_keeps_its_bound() {
    let mut random = Random::new(12, 0);
    let mut best_reached = [0; 3];
    for _ in 0..60 {
        let mut hosts: Vec<Vec<u32>> = vec![Vec::new(); 6];
        for _ in 0..9 {
            let demand = 50 * (1 + random.below(10));
            let fits = |host: &Vec<u32>| host.iter().sum::<u32>() + demand <= 1000;
            let open: Vec<usize> = (0..6).filter(|at| fits(&hosts[*at])).collect();
            hosts[open[random.below(open.len() as u32) as usize]].push(demand);
        }
        let it = view(&hosts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let demands: Vec<u32> = it.vms.iter().map(|vm| vm.demand).collect();
        let (best, before) =
            (fewest(&demands, &mut Vec::new()), hosts.iter().filter(|it| !it.is_empty()).count());
        for (rule, reached) in ALL.into_iter().zip(&mut best_reached) {
            let decision = with(&it, rule);
            let used = in_use(&it, &after(&it, &decision));
            assert!((best..=before).contains(&used), "{rule:?}: {used} hosts, best {best}");
            assert_eq!(decision.verdict == Verdict::Plan, used < before, "a plan releases a host");
            *reached += usize::from(used == best);
            if rule == Algorithm::Ffd {
                // Dósa, ESCAPE 2007.
                assert!(9 * used <= 11 * best + 6, "{used} {best}");
            }
        }
    }
    assert!(best_reached[0] >= 57 && best_reached[2] >= best_reached[1], "{best_reached:?}");
}

#[test]
fn what_is_on_its_way_stays_and_keeps_its_host_in_use() {
    let mut it = view(&[&[500], &[300], &[100]]);
    (it.hosts[2].now.migrating, it.vms[2].migrating) = (true, true);
    it.hosts[0].now.migrating = true;
    it.hosts[0].now.expected = 900;
    // The 300 fits beside the one that is leaving, not where another is coming; for first fit it stays where it is.
    let told = ALL.map(|rule| steps(&with(&it, rule)));
    assert_eq!(told, [vec![], vec![(1, 1, 2)], vec![(1, 1, 2)]]);
}

#[test]
fn a_packing_keeps_to_its_limit() {
    let it = view(&[&[500], &[400]]);
    for algorithm in ALL {
        assert_eq!(pack(&it, Packing { algorithm, fill: 0.9 }).verdict, Verdict::Plan);
        assert_eq!(pack(&it, Packing { algorithm, fill: 0.89 }).verdict, Verdict::Nothing);
    }
}
