//! `Plan`.

use super::Faults;
use crate::api::error::Violation;
use dvms_proto::v1 as pb;
use dvms_proto::v1::plan as wire;
use dvms_solver::file::{self, ActionKind, Statistic, Status};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use std::collections::BTreeMap;

/// The largest node number that is believed; far above any machine.
const LARGEST_NODE: f64 = 1e6;

/// The file form of a plan.
///
/// # Errors
/// A violation for each enum value that is missing or has no name, and for each statistic that is not a
/// number or a word.
pub fn plan_from_wire(plan: pb::Plan) -> Result<file::Plan, Vec<Violation>> {
    let mut faults = Faults::new();
    let status = match wire::Status::try_from(plan.status) {
        Ok(wire::Status::Optimal) => Status::Optimal,
        Ok(wire::Status::Feasible) => Status::Feasible,
        Ok(wire::Status::NoChange) => Status::NoChange,
        Ok(wire::Status::Infeasible) => Status::Infeasible,
        Ok(wire::Status::Unknown) => Status::Unknown,
        Ok(wire::Status::Unspecified) | Err(_) => {
            faults.push(Violation::new("status", "must be one of the named values"));
            Status::Unknown
        }
    };
    let mut actions = Vec::with_capacity(plan.actions.len());
    for (i, action) in plan.actions.into_iter().enumerate() {
        actions.extend(action_from_wire(i, action, &mut faults));
    }
    let mut statistics = BTreeMap::new();
    for (name, value) in plan.statistics.unwrap_or_default().fields {
        match value.kind {
            Some(Kind::NumberValue(number)) => statistics.insert(name, Statistic::Number(number)),
            Some(Kind::StringValue(word)) => statistics.insert(name, Statistic::Text(word)),
            _ => {
                faults.push(Violation::new(format!("statistics.{name}"), "must be a number or a string"));
                None
            }
        };
    }
    let mut numa_placement = BTreeMap::new();
    for (vm, list) in plan.numa_placement {
        let nodes = nodes_from_wire(list, &format!("numa_placement.{vm}"), &mut faults);
        numa_placement.insert(vm, nodes);
    }
    let level = |o: wire::ObjectiveValue| file::ObjectiveValue {
        name: o.name,
        before: o.before,
        value: o.value,
        bound: o.bound,
    };
    let conflict =
        |c: wire::Conflict| file::Conflict { hosts: c.hosts, vms: c.vms, constraints: c.constraints };
    let result = file::Plan {
        status,
        reason: plan.reason,
        actions,
        placement: plan.placement,
        unplaced: plan.unplaced,
        objectives: plan.objectives.into_iter().map(level).collect(),
        conflict: plan.conflict.map(conflict),
        statistics,
        numa_placement,
    };
    if faults.is_empty() { Ok(result) } else { Err(faults) }
}

fn action_from_wire(index: usize, action: wire::Action, faults: &mut Faults) -> Option<file::Action> {
    let kind = match wire::action::Type::try_from(action.r#type) {
        Ok(wire::action::Type::Migrate) => ActionKind::Migrate,
        Ok(wire::action::Type::Start) => ActionKind::Start,
        Ok(wire::action::Type::Boot) => ActionKind::Boot,
        Ok(wire::action::Type::Shutdown) => ActionKind::Shutdown,
        Ok(wire::action::Type::Unspecified) | Err(_) => {
            faults.push(Violation::new(format!("actions[{index}].type"), "must be one of the named values"));
            return None;
        }
    };
    Some(file::Action {
        id: action.id,
        kind,
        vm: action.vm,
        source: action.source,
        destination: action.destination,
        start_s: action.start_s,
        end_s: action.end_s,
        after: action.after,
        because: action.because,
        numa: action.numa,
    })
}

fn nodes_from_wire(list: ListValue, path: &str, faults: &mut Faults) -> Vec<i64> {
    let mut nodes = Vec::with_capacity(list.values.len());
    for (i, value) in list.values.into_iter().enumerate() {
        match value.kind {
            Some(Kind::NumberValue(n)) if n.fract() == 0.0 && (0.0..=LARGEST_NODE).contains(&n) => {
                nodes.push(n as i64);
            }
            _ => faults.push(Violation::new(format!("{path}[{i}]"), "must be the number of a node")),
        }
    }
    nodes
}

/// The wire form of a plan.
#[must_use]
pub fn plan_to_wire(plan: &file::Plan) -> pb::Plan {
    let status = match plan.status {
        Status::Optimal => wire::Status::Optimal,
        Status::Feasible => wire::Status::Feasible,
        Status::NoChange => wire::Status::NoChange,
        Status::Infeasible => wire::Status::Infeasible,
        Status::Unknown => wire::Status::Unknown,
    };
    let statistic = |(name, value): (&String, &Statistic)| {
        let kind = match value {
            Statistic::Number(number) => Kind::NumberValue(*number),
            Statistic::Text(word) => Kind::StringValue(word.clone()),
        };
        (name.clone(), Value { kind: Some(kind) })
    };
    let nodes = |(vm, nodes): (&String, &Vec<i64>)| {
        let value = |node: &i64| Value { kind: Some(Kind::NumberValue(*node as f64)) };
        (vm.clone(), ListValue { values: nodes.iter().map(value).collect() })
    };
    let level = |o: &file::ObjectiveValue| wire::ObjectiveValue {
        name: o.name.clone(),
        before: o.before,
        value: o.value,
        bound: o.bound,
    };
    let conflict = |c: &file::Conflict| wire::Conflict {
        hosts: c.hosts.clone(),
        vms: c.vms.clone(),
        constraints: c.constraints.clone(),
    };
    pb::Plan {
        status: status.into(),
        reason: plan.reason.clone(),
        actions: plan.actions.iter().map(action_to_wire).collect(),
        placement: plan.placement.clone(),
        unplaced: plan.unplaced.clone(),
        objectives: plan.objectives.iter().map(level).collect(),
        conflict: plan.conflict.as_ref().map(conflict),
        statistics: Some(Struct { fields: plan.statistics.iter().map(statistic).collect() }),
        numa_placement: plan.numa_placement.iter().map(nodes).collect(),
    }
}

fn action_to_wire(action: &file::Action) -> wire::Action {
    let kind = match action.kind {
        ActionKind::Migrate => wire::action::Type::Migrate,
        ActionKind::Start => wire::action::Type::Start,
        ActionKind::Boot => wire::action::Type::Boot,
        ActionKind::Shutdown => wire::action::Type::Shutdown,
    };
    wire::Action {
        id: action.id,
        r#type: kind.into(),
        vm: action.vm.clone(),
        source: action.source.clone(),
        destination: action.destination.clone(),
        start_s: action.start_s,
        end_s: action.end_s,
        after: action.after.clone(),
        because: action.because.clone(),
        numa: action.numa.clone(),
    }
}
