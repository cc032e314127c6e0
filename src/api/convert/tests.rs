//! The three forms of a problem and of a plan (message, proto3-JSON, file) are one: whichever way is
//! taken, the same comes out.

mod names;

use super::*;
use crate::json;
use dvms_proto::v1 as pb;
use dvms_solver::file::{
    self, Action, ActionKind, Body, Conflict, Constraint, Hosts, ObjectiveValue, Statistic, Status, Vms,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9.:@-]{0,6}"
}

fn amounts() -> impl Strategy<Value = file::Amounts> {
    btree_map("[a-z]{1,4}", any::<i64>(), 0..3)
}

fn labels() -> impl Strategy<Value = file::Labels> {
    btree_map("[a-z]{1,4}", "\\PC{0,5}", 0..3)
}

fn real() -> impl Strategy<Value = f64> {
    prop::num::f64::NORMAL | prop::num::f64::ZERO
}

fn vms() -> impl Strategy<Value = Vms> {
    (vec(name(), 0..3), labels()).prop_map(|(vms, vm_selector)| Vms { vms, vm_selector })
}

fn hosts() -> impl Strategy<Value = Hosts> {
    (vec(name(), 0..3), labels()).prop_map(|(hosts, host_selector)| Hosts { hosts, host_selector })
}

fn body() -> impl Strategy<Value = Body> {
    let max = || option::of(any::<i64>());
    let sets = || (vec(vms(), 0..3), vec(hosts(), 0..3));
    prop_oneof![
        (vms(), option::of(name()), max()).prop_map(|(vms, scope, max)| Body::Spread { vms, scope, max }),
        (vms(), option::of(name())).prop_map(|(vms, scope)| Body::Gather { vms, scope }),
        (vms(), hosts()).prop_map(|(vms, hosts)| Body::Fence { vms, hosts }),
        (vms(), hosts()).prop_map(|(vms, hosts)| Body::Ban { vms, hosts }),
        vms().prop_map(|vms| Body::Lonely { vms }),
        vec(vms(), 0..3).prop_map(|groups| Body::Split { groups }),
        (vms(), vec(hosts(), 0..3)).prop_map(|(vms, host_groups)| Body::Among { vms, host_groups }),
        sets().prop_map(|(groups, host_groups)| Body::SplitAmong { groups, host_groups }),
        vms().prop_map(|vms| Body::Root { vms }),
        (hosts(), max()).prop_map(|(hosts, max)| Body::MaxOnline { hosts, max }),
        (hosts(), max()).prop_map(|(hosts, max)| Body::RunningCapacity { hosts, max }),
        (hosts(), name(), max()).prop_map(|(hosts, resource, max)| Body::ResourceCapacity {
            hosts,
            resource,
            max
        }),
        hosts().prop_map(|hosts| Body::Quarantine { hosts }),
        (hosts(), name(), max()).prop_map(|(hosts, resource, min)| Body::Headroom { hosts, resource, min }),
        (hosts(), max()).prop_map(|(hosts, min)| Body::SpareHosts { hosts, min }),
        (vms(), vms()).prop_map(|(first, second)| Body::Before { first, second }),
        vms().prop_map(|vms| Body::Sync { vms }),
    ]
}

fn constraint() -> impl Strategy<Value = Constraint> {
    (name(), option::of(real()), any::<bool>(), option::of(body()))
        .prop_map(|(name, soft_weight, continuous, body)| Constraint { name, soft_weight, continuous, body })
}

fn host() -> impl Strategy<Value = file::Host> {
    let states = ["", "ONLINE", "OFFLINE", "DRAINING", "CORDONED", "FAILED"];
    let figures = (option::of(real()), option::of(any::<i64>()), option::of(real()), option::of(real()));
    let rest = (option::of(real()), option::of(real()), vec(amounts(), 0..3));
    let ratios = btree_map("[a-z]{1,4}", real(), 0..3);
    (name(), amounts(), prop::sample::select(states.to_vec()), labels(), ratios, figures, rest).prop_map(
        |(name, capacity, state, labels, overcommit, figures, rest)| file::Host {
            name,
            capacity,
            state: state.to_owned(),
            labels,
            overcommit,
            migration_bandwidth: figures.0,
            max_migrations: figures.1,
            idle_watts: figures.2,
            peak_watts: figures.3,
            off_watts: rest.0,
            boot_s: rest.1,
            numa_nodes: rest.2.into_iter().map(|capacity| file::NumaNode { capacity }).collect(),
        },
    )
}

fn vm() -> impl Strategy<Value = file::Vm> {
    let numa = option::of((option::of(any::<i64>()), vec(any::<i64>(), 0..3)));
    let figures = (option::of(real()), option::of(any::<i64>()));
    (name(), name(), amounts(), any::<bool>(), figures, labels(), amounts(), numa).prop_map(
        |(name, host, demand, pinned, figures, labels, arrival_demand, numa)| file::Vm {
            name,
            host,
            demand,
            pinned,
            memory_dirty_rate: figures.0,
            labels,
            arrival_demand,
            priority: figures.1,
            numa: numa.map(|(count, nodes)| file::VmNuma { count, nodes }),
        },
    )
}

fn network() -> impl Strategy<Value = file::Network> {
    let switch = (name(), option::of(real()));
    let link = (name(), name(), name(), option::of(real()), option::of(real()), any::<bool>());
    let hot = (name(), option::of(real()), option::of(real()));
    (vec(switch, 0..2), vec(link, 0..2), vec(hot, 0..2)).prop_map(|(switches, links, hot_sets)| {
        file::Network {
            hot_sets: hot_sets
                .into_iter()
                .map(|(vm, size, within_s)| file::HotSet { vm, size, within_s })
                .collect(),
            switches: switches
                .into_iter()
                .map(|(name, bandwidth)| file::Switch { name, bandwidth })
                .collect(),
            links: (links.into_iter())
                .map(|(name, a, b, bandwidth, latency_ms, half_duplex)| file::Link {
                    name,
                    a,
                    b,
                    bandwidth,
                    latency_ms,
                    half_duplex,
                })
                .collect(),
        }
    })
}

fn limits() -> impl Strategy<Value = file::Limits> {
    (option::of(any::<i64>()), option::of(real()), option::of(real()), any::<bool>()).prop_map(
        |(max_migrations, time_limit_s, backbone_bandwidth, power_actions)| file::Limits {
            max_migrations,
            time_limit_s,
            backbone_bandwidth,
            power_actions,
        },
    )
}

fn problem() -> impl Strategy<Value = file::Problem> {
    let levels = ["VIOLATIONS", "ACTIVE_HOSTS", "ENERGY", "IMBALANCE", "FRAGMENTS", "MAKESPAN"];
    let goals = ["", "REPAIR", "CONSOLIDATE", "BALANCE", "POWER"];
    let fragment = option::of((name(), any::<i64>()));
    (
        (name(), vec(host(), 0..3), vec(vm(), 0..3), vec(constraint(), 0..4)),
        vec(prop::sample::select(levels.to_vec()), 0..3),
        prop::sample::select(goals.to_vec()),
        option::of(limits()),
        fragment,
        option::of(network()),
    )
        .prop_map(|(things, objectives, goal, limits, fragment, network)| file::Problem {
            name: things.0,
            hosts: things.1,
            vms: things.2,
            constraints: things.3,
            objectives: objectives.into_iter().map(str::to_owned).collect(),
            objective: goal.to_owned(),
            limits,
            fragment: fragment.map(|(resource, unit)| file::Fragment { resource, unit }),
            network,
        })
}

fn action() -> impl Strategy<Value = Action> {
    let kinds = [ActionKind::Migrate, ActionKind::Start, ActionKind::Boot, ActionKind::Shutdown];
    let names = (name(), name(), name());
    let lists = (vec(any::<u32>(), 0..3), vec(0..9_i64, 0..3));
    (any::<u32>(), prop::sample::select(kinds.to_vec()), names, real(), real(), lists, "\\PC{0,9}").prop_map(
        |(id, kind, names, start_s, end_s, lists, because)| Action {
            id: id.into(),
            kind,
            vm: names.0,
            source: names.1,
            destination: names.2,
            start_s,
            end_s,
            after: lists.0.into_iter().map(u64::from).collect(),
            because,
            numa: lists.1,
        },
    )
}

fn plan() -> impl Strategy<Value = file::Plan> {
    let statuses = [Status::Optimal, Status::Feasible, Status::NoChange, Status::Infeasible, Status::Unknown];
    let level = (name(), real(), real(), option::of(real()))
        .prop_map(|(name, before, value, bound)| ObjectiveValue { name, before, value, bound });
    let conflict = (vec(name(), 0..2), vec(name(), 0..2), vec(name(), 0..2))
        .prop_map(|(hosts, vms, constraints)| Conflict { hosts, vms, constraints });
    let statistic = prop_oneof![real().prop_map(Statistic::Number), name().prop_map(Statistic::Text)];
    (
        (prop::sample::select(statuses.to_vec()), "\\PC{0,9}", vec(action(), 0..3)),
        (btree_map(name(), name(), 0..3), vec(name(), 0..3), vec(level, 0..3)),
        (option::of(conflict), btree_map(name(), statistic, 0..3)),
        btree_map(name(), vec(0..9_i64, 0..3), 0..3),
    )
        .prop_map(|(head, ends, rest, numa_placement)| file::Plan {
            status: head.0,
            reason: head.1,
            actions: head.2,
            placement: ends.0,
            unplaced: ends.1,
            objectives: ends.2,
            conflict: rest.0,
            statistics: rest.1,
            numa_placement,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_problem_is_the_same_in_every_form(problem in problem()) {
        let message = problem_to_wire(&problem).unwrap();
        prop_assert_eq!(&problem_from_wire(message.clone()).unwrap(), &problem);
        // What a gRPC client writes as JSON, the file reader reads.
        let text = json::to_value(&message).to_string();
        prop_assert_eq!(&file::Problem::from_json(&text).unwrap(), &problem);
        // What the file writer writes, a gRPC client sends.
        let message: pb::Problem = json::from_text(&problem.to_json()).unwrap();
        prop_assert_eq!(&problem_from_wire(message).unwrap(), &problem);
    }

    #[test]
    fn a_plan_is_the_same_in_every_form(plan in plan()) {
        let message = plan_to_wire(&plan);
        prop_assert_eq!(&plan_from_wire(message.clone()).unwrap(), &plan);
        let text = json::to_value(&message).to_string();
        prop_assert_eq!(&file::Plan::from_json(&text).unwrap(), &plan);
        let message: pb::Plan = json::from_text(&plan.to_json()).unwrap();
        prop_assert_eq!(&plan_from_wire(message).unwrap(), &plan);
    }
}

#[test]
fn enum_values_without_a_name_are_refused_with_their_place() {
    let problem = pb::Problem {
        hosts: vec![pb::problem::Host { state: 77, ..Default::default() }],
        objectives: vec![1, 0],
        objective: -3,
        ..Default::default()
    };
    let fields: Vec<_> = problem_from_wire(problem).unwrap_err().into_iter().map(|v| v.field).collect();
    assert_eq!(fields, ["hosts[0].state", "objectives[1]", "objective"]);

    let plan = pb::Plan { actions: vec![pb::plan::Action::default()], ..Default::default() };
    let fields: Vec<_> = plan_from_wire(plan).unwrap_err().into_iter().map(|v| v.field).collect();
    assert_eq!(fields, ["status", "actions[0].type"]);
}

#[test]
fn names_that_the_wire_does_not_have_are_refused_with_their_place() {
    let problem = file::Problem {
        hosts: vec![file::Host { state: "AWAY".into(), ..Default::default() }],
        objectives: vec!["FUN".into()],
        ..Default::default()
    };
    let fields: Vec<_> = problem_to_wire(&problem).unwrap_err().into_iter().map(|v| v.field).collect();
    assert_eq!(fields, ["hosts[0].state", "objectives[0]"]);
}
