//! Questions about problems, and their answers.

use super::{constraint_from_wire, plan_to_wire};
use crate::api::error::Violation;
use dvms_proto::v1 as pb;
use dvms_solver::explain::{Bond, Cause, CauseKind, Change, ChangeKind, Changes, Explanation, Need, Verdict};
use dvms_solver::fit::{Fit, Room};
use dvms_solver::whatif::Edit;
use pb::explain_response as why;
use pb::what_if_request::edit::Edit as Wire;

/// The wire form of an explanation.
#[must_use]
pub fn explanation_to_wire(told: Explanation) -> pb::ExplainResponse {
    let bond = |bond: Bond| why::Bond {
        rule: bond.rule,
        kind: bond.kind,
        soft_weight: bond.soft_weight,
        continuous: bond.continuous,
        holds: bond.holds,
        names: bond.names,
        excludes: bond.excludes as u64,
        alone: bond.alone as u64,
    };
    let need = |need: Need| why::Need {
        resource: need.resource,
        demand: need.demand,
        excludes: need.excludes as u64,
        alone: need.alone as u64,
    };
    let verdict = |verdict: Verdict| why::Verdict {
        host: verdict.host,
        admits: verdict.admits,
        boots: verdict.boots,
        causes: verdict.causes.into_iter().map(cause_to_wire).collect(),
        breaks: verdict.breaks,
    };
    pb::ExplainResponse {
        plan: None,
        asked: None,
        vm: told.vm,
        host: told.host.unwrap_or_default(),
        running: told.running,
        wrong: told.wrong.into_iter().map(cause_to_wire).collect(),
        rules: told.rules.into_iter().map(bond).collect(),
        resources: told.resources.into_iter().map(need).collect(),
        hosts: told.hosts.into_iter().map(verdict).collect(),
        changes: told.changes.map(changes_to_wire),
    }
}

fn cause_to_wire(cause: Cause) -> why::Cause {
    use why::cause::Kind;
    let kind = match cause.kind {
        CauseKind::State => Kind::State,
        CauseKind::Pinned => Kind::Pinned,
        CauseKind::Link => Kind::Link,
        CauseKind::Limit => Kind::Limit,
        CauseKind::Room => Kind::Room,
        CauseKind::Rule => Kind::Rule,
        CauseKind::Nodes => Kind::Nodes,
    };
    why::Cause { kind: kind.into(), subject: cause.subject, short: cause.short, text: cause.text }
}

fn changes_to_wire(changes: Changes) -> why::Changes {
    why::Changes {
        host: changes.host,
        least: changes.least.into_iter().map(change_to_wire).collect(),
        minimal: changes.minimal,
        in_place: changes.in_place.into_iter().map(change_to_wire).collect(),
    }
}

fn change_to_wire(change: Change) -> why::Change {
    use why::change::Kind;
    let kind = match change.kind {
        ChangeKind::Leave => Kind::Leave,
        ChangeKind::SetOnline => Kind::SetOnline,
        ChangeKind::Unpin => Kind::Unpin,
        ChangeKind::Link => Kind::ChangeLink,
        ChangeKind::AllowMigration => Kind::AllowMigration,
        ChangeKind::AddCapacity => Kind::AddCapacity,
        ChangeKind::DropRule => Kind::DropRule,
        ChangeKind::FewerNodes => Kind::FewerNodes,
    };
    why::Change { kind: kind.into(), subject: change.subject, amount: change.amount, text: change.text }
}

/// The edits of a request.
///
/// # Errors
/// A violation for each that says nothing.
pub fn edits_from_wire(edits: Vec<pb::what_if_request::Edit>) -> Result<Vec<Edit>, Vec<Violation>> {
    let some = |text: String| (!text.is_empty()).then_some(text);
    let mut faults = Vec::new();
    let mut list = Vec::with_capacity(edits.len());
    for (i, edit) in edits.into_iter().enumerate() {
        list.push(match edit.edit {
            Some(Wire::AddHosts(more)) => Edit::AddHosts { count: more.count, like: some(more.like) },
            Some(Wire::RemoveHost(name)) => Edit::RemoveHost(name),
            Some(Wire::Lose(failed)) => Edit::Lose { scope: failed.scope, value: failed.value },
            Some(Wire::AddVms(more)) => {
                Edit::AddVms { count: more.count, like: some(more.like), demand: more.demand }
            }
            Some(Wire::DropRule(name)) => Edit::DropRule(name),
            Some(Wire::AddRule(rule)) => Edit::AddRule(constraint_from_wire(rule)),
            None => {
                faults.push(Violation::new(format!("edits[{i}]"), "must say what is to be different"));
                continue;
            }
        });
    }
    if faults.is_empty() { Ok(list) } else { Err(faults) }
}

/// The wire form of what fits.
#[must_use]
pub fn fit_to_wire(found: Fit) -> pb::FitResponse {
    pb::FitResponse {
        as_it_is: Some(room_to_wire(found.as_it_is)),
        with_moves: found.with_moves.map(room_to_wire),
        notes: found.notes,
    }
}

fn room_to_wire(room: Room) -> pb::fit_response::Room {
    pb::fit_response::Room {
        moves: room.moves,
        fits: room.fits,
        bound: room.bound,
        bound_by: room.bound_by.to_owned(),
        hosts: room.hosts,
        boots: room.boots,
        plan: room.plan.as_ref().map(plan_to_wire),
    }
}
