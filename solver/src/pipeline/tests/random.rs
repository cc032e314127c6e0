//! Random small problems, against all placements tried one by one.

use super::super::small;
use super::*;
use crate::budget::Budget;
use crate::constraints::Rules;
use crate::model::{Placement, Site};
use crate::objective::{self, Way};
use crate::schedule::tests::oracle::fewest_moves;
use crate::testing::{self, KINDS};
use crate::{file, milp, model, schedule};
use proptest::prelude::*;
use std::cmp::Ordering;

fn amounts(cpu: i64, memory: i64) -> file::Amounts {
    [("cpu".to_owned(), cpu), ("memory".to_owned(), memory)].into()
}

/// NUMA nodes, if two or more, and what their host has then. Memory is bounded by node if all of them name it.
fn split(list: Vec<(i64, Option<i64>)>, cpu: i64, memory: i64) -> (Vec<file::NumaNode>, i64, i64) {
    if list.len() < 2 {
        return (Vec::new(), cpu, memory);
    }
    let memories: Option<Vec<i64>> = list.iter().map(|(_, memory)| *memory).collect();
    let total = (list.iter().map(|(cpu, _)| cpu).sum(), memories.as_ref().map_or(memory, |m| m.iter().sum()));
    let node = |(cpu, memory): (i64, Option<i64>)| {
        let mut capacity = amounts(cpu, 100 * memory.unwrap_or(0));
        if memories.is_none() {
            capacity.remove("memory");
        }
        file::NumaNode { capacity }
    };
    (list.into_iter().map(node).collect(), total.0, total.1)
}

prop_compose! {
    fn host()(
        cpu in 3_i64..11,
        memory in 3_i64..11,
        state in prop::sample::select(vec!["", "", "", "", "ONLINE", "DRAINING", "CORDONED", "FAILED", "OFFLINE"]),
        rack in 0..2,
        slow in prop::bool::weighted(0.1),
        watts in prop::sample::select(vec![(100, 0), (100, 2), (60, 5), (200, 9), (80, -3)]),
        nodes in prop::collection::vec((0_i64..6, prop::option::of(0_i64..6)), 0..4),
    ) -> file::Host {
        let (nodes, cpu, memory) = split(nodes, cpu, memory);
        file::Host {
            numa_nodes: nodes,
            capacity: amounts(cpu, memory * 100),
            state: state.to_owned(),
            labels: [("rack".to_owned(), format!("r{rack}"))].into(),
            migration_bandwidth: slow.then_some(50.0),
            // In steps that are larger than what makes a difference.
            idle_watts: Some(f64::from(watts.0)),
            peak_watts: Some((i64::from(watts.0) + watts.1 * cpu) as f64),
            ..file::Host::default()
        }
    }
}

prop_compose! {
    fn vm()(
        host in prop::option::weighted(0.85, any::<prop::sample::Index>()),
        cpu in 0_i64..6,
        memory in 0_i64..6,
        pinned in prop::bool::weighted(0.08),
        priority in prop::sample::select(vec![None, None, Some(0), Some(1), Some(700)]),
        hot in prop::bool::weighted(0.1),
        resize in prop::option::weighted(0.15, (0_i64..6, prop::option::of(0_i64..6))),
        nodes in prop::sample::subsequence(vec![0_i64, 1, 2], 1..=2).prop_shuffle(),
    ) -> (Option<prop::sample::Index>, file::Vm) {
        let count = Some(nodes.len() as i64);
        let mut arrival_demand = file::Amounts::new();
        if let Some((cpu, memory)) = resize {
            arrival_demand.insert("cpu".to_owned(), cpu);
            arrival_demand.extend(memory.map(|memory| ("memory".to_owned(), memory * 100)));
        }
        let vm = file::Vm {
            demand: amounts(cpu, memory * 100),
            numa: Some(file::VmNuma { count, nodes }),
            arrival_demand,
            pinned,
            priority,
            memory_dirty_rate: hot.then_some(60.0),
            ..file::Vm::default()
        };
        (host, vm)
    }
}

/// Kind, seed, weight, continuous.
type Draft = (u8, u64, Option<u8>, bool);

fn rule(i: usize, (kind, seed, weight, continuous): Draft, problem: &Problem) -> file::Constraint {
    testing::constraint(format!("c{i}"), kind, seed, weight.map(f64::from), continuous, problem)
}

prop_compose! {
    pub(crate) fn problems()(
        mut hosts in prop::collection::vec(host(), 1..5),
        vms in prop::collection::vec(vm(), 1..7),
        rules in prop::collection::vec(
            (0..KINDS, any::<u64>(), prop::option::weighted(0.3, 1_u8..200), any::<bool>()),
            0..4,
        ),
        objectives in prop::sample::select(vec![
            "REPAIR", "REPAIR", "CONSOLIDATE", "CONSOLIDATE",
            "ACTIVE_HOSTS,VIOLATIONS", "MIGRATIONS,VIOLATIONS", "VIOLATIONS,MAKESPAN,MIGRATION_COST",
            "VIOLATIONS,MIGRATIONS,ACTIVE_HOSTS", "MAKESPAN,VIOLATIONS",
            "BALANCE", "POWER", "VIOLATIONS,FRAGMENTS,MIGRATION_COST", "IMBALANCE,VIOLATIONS,MIGRATIONS",
            "ENERGY,FRAGMENTS,VIOLATIONS", "VIOLATIONS,ACTIVE_HOSTS,IMBALANCE,ENERGY,MIGRATION_COST,MAKESPAN",
        ]),
        most in prop::option::weighted(0.15, 0_i64..4),
        unit in 2_i64..5,
        power in prop::bool::weighted(0.3),
        off in prop::sample::select(vec![None, Some(0.0), Some(150.0)]),
        numa in prop::bool::weighted(0.4),
    ) -> Problem {
        let mut vms = vms;
        if numa {
            // Each host is many places then.
            hosts.truncate(3);
            vms.truncate(4);
        } else {
            for host in &mut hosts {
                host.numa_nodes.clear();
            }
        }
        for (i, host) in hosts.iter_mut().enumerate() {
            host.name = format!("h{i}");
            host.off_watts = off;
        }
        let vms = (vms.into_iter().enumerate())
            .map(|(i, (at, mut vm))| {
                vm.name = format!("v{i}");
                let host = at.map(|at| at.get(&hosts)).filter(|host| host.state != "OFFLINE");
                vm.host = host.map_or_else(String::new, |host| host.name.clone());
                let have = host.map_or(0, |host| host.numa_nodes.len() as i64);
                if let Some(numa) = &mut vm.numa {
                    if have > 0 && numa.nodes.iter().any(|node| *node >= have) {
                        numa.nodes = (0..numa.count.unwrap_or(1)).collect();
                    }
                    if have == 0 {
                        numa.nodes.clear();
                    }
                }
                vm
            })
            .collect();
        let list: Vec<&str> = objectives.split(',').collect();
        let named = list.len() == 1;
        let mut problem = Problem {
            hosts,
            vms,
            objective: if named { objectives.to_owned() } else { String::new() },
            objectives: if named { Vec::new() } else { list.into_iter().map(str::to_owned).collect() },
            fragment: Some(file::Fragment { resource: "cpu".to_owned(), unit }),
            limits: Some(file::Limits { max_migrations: most, power_actions: power, ..Default::default() }),
            ..Problem::default()
        };
        testing::label(&mut problem, rules.first().map_or(0, |rule| rule.1));
        let rules = if power { testing::about_states(rules, |rule| (&mut rule.0, rule.1)) } else { rules };
        problem.constraints = rules.into_iter().enumerate().map(|(i, draft)| rule(i, draft, &problem)).collect();
        problem
    }
}

/// All placements that a plan may end in, best first by the levels that a placement has.
fn ends(problem: &model::Problem, rules: &Rules<'_>) -> Vec<(Vec<f64>, Placement)> {
    let home = problem.initial();
    let choices: Vec<Vec<_>> = (problem.vm_ids().zip(home.sites()))
        .map(|(vm, home)| {
            let may = |host: &model::HostId| {
                problem.takes_vms(*host) || home.is_some_and(|home| home.host == *host)
            };
            let sites = problem.host_ids().filter(may).flat_map(|host| {
                let ways = problem.ways(vm, host).0;
                ways.into_iter().map(move |nodes| Site { host, nodes })
            });
            let mut list: Vec<_> = sites.map(Some).filter(|site| *site != home).collect();
            list.push(home);
            if problem.vm(vm).pinned && problem.vm(vm).host.is_some() { vec![home] } else { list }
        })
        .collect();
    let mut found = Vec::new();
    let mut at: Vec<usize> = vec![0; choices.len()];
    loop {
        let to: Placement = at.iter().zip(&choices).map(|(i, list)| list[*i]).collect();
        if objective::fault(problem, rules, &to).is_none() {
            found.push((objective::values(problem, rules, &to, Way::default()), to));
        }
        let Some(next) = (0..at.len()).find(|vm| at[*vm] + 1 < choices[*vm].len()) else { break };
        at[..next].fill(0);
        at[next] += 1;
    }
    found.sort_by(|a, b| objective::compare(problem, &a.0, &b.0));
    found
}

/// Whether some order of so many moves leads to a placement, with all hosts on that may be booted.
fn can_be_reached(problem: &model::Problem, to: &Placement, most: u64) -> bool {
    let mut problem = problem.clone();
    if problem.limits.power_actions {
        let off = problem.hosts.iter_mut().filter(|host| host.state == model::HostState::Offline);
        off.for_each(|host| host.state = model::HostState::Online);
    }
    let most = problem.limits.max_migrations.unwrap_or(u64::MAX).min(most);
    fewest_moves(&problem, to).is_some_and(|moves| moves <= most)
}

/// Whether the order of moves that [`can_be_reached`] finds is one that a plan may have: not where hard rules are about
/// plans, or the schedule asks for more than such a rule that must hold on the way (as in the oracle of the schedule).
fn knows_the_way(problem: &model::Problem) -> bool {
    use model::Body;
    problem.constraints.iter().filter(|rule| rule.soft_weight.is_none()).all(|rule| match &rule.body {
        Body::Before(_) | Body::Sync(_) => false,
        Body::Among(_) | Body::SplitAmong(_) | Body::Lonely(_) | Body::Split(_) | Body::SpareHosts(_) => {
            !rule.continuous
        }
        _ => true,
    })
}

/// What `VIOLATIONS` may be more than the end tells: the weights of soft rules that the way alone may break.
fn broken_on_the_way(problem: &model::Problem) -> f64 {
    use model::Body;
    let by_way = |rule: &&model::Constraint| {
        let of_plans =
            matches!(rule.body, Body::Before(_) | Body::Sync(_) | Body::Root(_) | Body::Quarantine(_));
        rule.continuous || of_plans
    };
    problem.constraints.iter().filter(by_way).filter_map(|rule| rule.soft_weight).sum()
}

/// Whether values are worse than those of an end, by the levels before `MAKESPAN`. Where the way may break rules, what
/// follows `VIOLATIONS` is another matter.
fn misses(problem: &model::Problem, mine: &[f64], best: &[f64]) -> bool {
    let may = broken_on_the_way(problem);
    for (i, level) in problem.objectives.iter().take(small::told(problem)).enumerate() {
        if *level == model::Objective::Violations && may > 0.0 {
            return objective::order(*level, mine[i], best[i] + may).is_gt();
        }
        let order = objective::order(*level, mine[i], best[i]);
        if order.is_ne() {
            return order.is_gt();
        }
    }
    false
}

/// The best end that can be reached; where moves are counted, without a detour.
fn best_that_is_reached<'e>(
    problem: &model::Problem,
    ends: &'e [(Vec<f64>, Placement)],
) -> Option<&'e (Vec<f64>, Placement)> {
    let moves = [model::Objective::Migrations, model::Objective::MigrationCost];
    let told = &problem.objectives[..small::told(problem)];
    let counted = told.iter().any(|level| moves.contains(level));
    let most =
        |to: &Placement| if counted { objective::movers(problem, to).count() as u64 } else { u64::MAX };
    ends.iter().find(|(_, to)| can_be_reached(problem, to, most(to)))
}

/// Whether nothing can be done about what a conflict names, though all else is left out.
fn is_conflict(model: &model::Problem, rules: &Rules<'_>, conflict: &file::Conflict) -> bool {
    let part = milp::part_of(model, rules, conflict);
    let most = part.limits.max_migrations.unwrap_or(u64::MAX);
    !ends(&part, &Rules::new(&part)).iter().any(|(_, to)| can_be_reached(&part, to, most))
}

fn values(plan: &Plan) -> Vec<f64> {
    plan.objectives.iter().map(|o| o.value).collect()
}

/// What every answer must keep to; returns whether it was one with a plan.
fn judge(problem: &Problem, plan: &Plan, needs_plan: bool) -> Result<(), TestCaseError> {
    let model = model::Problem::new(problem).expect("the problem is valid");
    let rules = Rules::new(&model);
    let ends = ends(&model, &rules);
    let json = problem.to_json();
    match plan.status {
        Status::Infeasible => {
            let reached = ends.iter().find(|(_, to)| can_be_reached(&model, to, u64::MAX));
            prop_assert!(reached.is_none(), "not infeasible: {} {:?}", json, plan.reason);
            let conflict = plan.conflict.as_ref().expect("what is infeasible has a conflict");
            prop_assert!(
                is_conflict(&model, &rules, conflict),
                "no conflict: {json} {conflict:?} {}",
                plan.reason
            );
        }
        Status::Unknown => {
            let budget = Budget::new(Duration::from_mins(1), None, &Cancel::default());
            let reachable = |to: &Placement| {
                schedule::schedule(&model, &rules, to, &budget).is_ok_and(|timed| {
                    let moves = timed.actions.iter().filter(|a| a.kind == file::ActionKind::Migrate).count();
                    model.limits.max_migrations.is_none_or(|most| moves as u64 <= most)
                })
            };
            let missed = needs_plan.then(|| ends.iter().find(|(_, to)| reachable(to))).flatten();
            prop_assert!(missed.is_none(), "missed a plan of {json}: {missed:?}; {}", plan.reason);
        }
        _ => {
            prop_assert!(!ends.is_empty());
            let best = &ends[0].0;
            let mine = values(plan);
            prop_assert_ne!(
                objective::compare(&model, &mine, best),
                Ordering::Less,
                "{}: {:?} {:?}",
                json,
                mine,
                best
            );
            if needs_plan && knows_the_way(&model) {
                let reached = best_that_is_reached(&model, &ends);
                let missed = reached.filter(|best| misses(&model, &mine, &best.0));
                prop_assert!(missed.is_none(), "{}: {:?} is no match for {:?}", json, mine, missed);
            }
            for (i, level) in plan.objectives.iter().enumerate() {
                // Among the ends with the same values before this level, none is below its bound.
                let bound = level.bound.unwrap_or(0.0);
                let same = |to: &&(Vec<f64>, Placement)| (0..i).all(|j| (to.0[j] - mine[j]).abs() < 1e-6);
                let least = ends.iter().filter(same).map(|to| to.0[i]).fold(f64::INFINITY, f64::min);
                prop_assert!(
                    level.name == "MAKESPAN" || bound <= least + 1e-6,
                    "{}: the bound of {} is {}, but {} is possible",
                    json,
                    level.name,
                    bound,
                    least
                );
            }
        }
    }
    Ok(())
}

/// So many cases, times what the variable `DVMS_CASES` says.
fn cases(each: u32) -> u32 {
    let times = std::env::var("DVMS_CASES").ok().and_then(|times| times.parse().ok());
    each.saturating_mul(times.unwrap_or(1))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(2_000)) })]

    #[test]
    fn the_heuristic_keeps_to_the_contract(problem in problems()) {
        let plan = solved_with(&problem, &heuristic());
        judge(&problem, &plan, false)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(3_000)) })]

    #[test]
    fn the_pipeline_keeps_to_the_contract(
        problem in problems(),
        backend in prop::sample::select(vec![Backend::Auto, Backend::Highs, Backend::Cp]),
    ) {
        let options = || Options { backend, ..options() };
        let plan = solved_with(&problem, &options());
        judge(&problem, &plan, true)?;
        // What VMs that have shrunk give back may be of use to others.
        let resizes = problem.vms.iter().any(|vm| !vm.arrival_demand.is_empty());
        if !resizes && (plan.status == Status::Optimal || plan.status == Status::NoChange) {
            // Carried out, nothing is left to do; what is only judged may be judged otherwise from there.
            let next = carried_out(&problem, &plan);
            let again = solved_with(&next, &options());
            prop_assert!(again.status.has_plan());
            if plan.status == Status::NoChange {
                prop_assert_eq!(again.status, Status::NoChange);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn each_better_plan_tells_its_phase_and_true_bounds(problem in problems()) {
        let mut given: Vec<Plan> = Vec::new();
        let plan = solve(&problem, &options(), &Cancel::default(), &mut |plan| given.push(plan.clone())).unwrap();
        for better in &given {
            let mut better = better.clone();
            let phase = better.statistics.get("phase").cloned();
            let known = ["greedy", "local search", "exact", "schedule"].map(|phase| file::Statistic::Text(phase.to_owned()));
            prop_assert!(better.actions.is_empty() || phase.is_some_and(|phase| known.contains(&phase)));
            // Whatever is said of it, its bounds hold.
            better.status = Status::Feasible;
            judge(&problem, &better, false)?;
        }
        prop_assert!(given.is_empty() || plan.status.has_plan());
    }
}
