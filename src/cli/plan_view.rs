//! A plan for people: what it comes to, its moves with their reasons, how far from the best it may be.

use super::format::{count, figure, safe, seconds};
use super::left;
use super::paint::{Paint, Tone};
use super::table::{Cell, Column, Look, Table};
use dvms_solver::file::{Action, ActionKind, Conflict, ObjectiveValue, Plan, Problem, Statistic, Status};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Everything about a plan of a problem, ends with a line break.
pub(crate) fn whole(look: Look, problem: &Problem, plan: &Plan) -> String {
    let mut text = headline(look.paint, plan);
    text.push('\n');
    text.push_str(&explanation(look.paint, plan));
    text.push_str(&left::in_words(look.paint, problem, plan));
    if !plan.objectives.is_empty() {
        text.push('\n');
        text.push_str(&levels(look, &plan.objectives));
    }
    if !plan.actions.is_empty() {
        text.push('\n');
        text.push_str(&actions(look, plan, |_| None));
    }
    text
}

/// One line: status, moves, time.
pub(crate) fn headline(paint: Paint, plan: &Plan) -> String {
    let status = paint.tone(tone_of_status(plan.status), plan.status.name());
    let mut text = format!("{status}: {}", meaning(plan));
    if let Some(Statistic::Number(solve)) = plan.statistics.get("solve_s") {
        let _ = write!(text, " Solved in {}", seconds(*solve));
        if let Some(Statistic::Text(backend)) = plan.statistics.get("backend") {
            let _ = write!(text, " by {}", safe(backend));
        }
        text.push('.');
    }
    text
}

fn meaning(plan: &Plan) -> String {
    let moves = || {
        let ends = plan.actions.iter().map(|action| action.end_s).fold(0.0, f64::max);
        let vms: BTreeSet<_> = plan.actions.iter().filter(|a| !a.vm.is_empty()).map(|a| &a.vm).collect();
        let (actions, vms) = (count(plan.actions.len(), "action"), count(vms.len(), "VM"));
        format!("{actions} on {vms}, done after {}", seconds(ends))
    };
    match plan.status {
        Status::Optimal => format!("{}; proved the best there is.", moves()),
        Status::Feasible => format!("{}.", moves()),
        Status::NoChange => "nothing is worth moving.".to_owned(),
        Status::Infeasible => because("there is no plan, and that is proved", plan),
        Status::Unknown => because("no plan was found", plan),
    }
}

fn because(what: &str, plan: &Plan) -> String {
    sentence(if plan.reason.trim().is_empty() { what } else { &plan.reason })
}

/// A text of others as one line that ends with a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let text = safe(&text.trim().replace('\n', " "));
    if text.is_empty() || text.ends_with('.') { text } else { text + "." }
}

fn tone_of_status(status: Status) -> Tone {
    match status {
        Status::Optimal | Status::Feasible | Status::NoChange => Tone::Good,
        Status::Infeasible => Tone::Bad,
        Status::Unknown => Tone::Warning,
    }
}

/// Reason, conflict and VMs without a host, in words; empty where there is nothing to say.
pub(crate) fn explanation(paint: Paint, plan: &Plan) -> String {
    let mut text = String::new();
    // Without a plan the reason is in the headline.
    for line in plan.reason.lines().filter(|_| plan.status.has_plan()) {
        let _ = writeln!(text, "{}", safe(line));
    }
    if let Some(conflict) = &plan.conflict {
        let _ = writeln!(text, "{}", in_words(conflict));
    }
    if !plan.unplaced.is_empty() {
        let label = paint.tone(Tone::Warning, "Without a host:");
        let _ = writeln!(text, "{label} {}", named(&plan.unplaced));
    }
    text
}

/// A conflict as one sentence.
pub(crate) fn in_words(conflict: &Conflict) -> String {
    let kinds = [("rules", &conflict.constraints), ("VMs", &conflict.vms), ("hosts", &conflict.hosts)];
    let parts = kinds.iter().filter(|(_, names)| !names.is_empty());
    let parts: Vec<_> = parts.map(|(kind, names)| format!("{kind} {}", named(names))).collect();
    match parts.as_slice() {
        [] => "What cannot hold together was not named.".to_owned(),
        parts => format!("These cannot hold together: {}.", parts.join("; ")),
    }
}

/// Names in a sentence; of very many the first ones.
pub(crate) fn named<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 20;
    let mut text = names.iter().take(SHOWN).map(|name| safe(name.as_ref())).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        let _ = write!(text, " and {} more", names.len() - SHOWN);
    }
    text
}

/// The levels of the objective: before, after, proved bound.
pub(crate) fn levels(look: Look, objectives: &[ObjectiveValue]) -> String {
    let columns = [
        Column::Left("OBJECTIVE"),
        Column::Right("BEFORE"),
        Column::Right("AFTER"),
        Column::Right("BOUND"),
        Column::Left("UNIT"),
    ];
    let mut table = Table::new(look, &columns);
    for level in objectives {
        let tone = match level.value.total_cmp(&level.before) {
            std::cmp::Ordering::Less => Some(Tone::Good),
            std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => None,
        };
        let value = figure(level.value);
        let bound = level.bound.map_or("-".to_owned(), figure);
        table.row([
            level.name.clone().into(),
            figure(level.before).into(),
            tone.map_or_else(|| value.clone().into(), |tone| Cell::toned(tone, value.clone())),
            bound.into(),
            Cell::toned(Tone::Faint, unit(&level.name)),
        ]);
    }
    table.render()
}

fn unit(level: &str) -> &'static str {
    match level {
        "VIOLATIONS" => "weight",
        "ACTIVE_HOSTS" => "hosts",
        "ENERGY" => "W",
        "IMBALANCE" => "1/1000",
        "MIGRATIONS" => "moves",
        "MIGRATION_COST" => "MiB moved",
        "MAKESPAN" => "s",
        _ => "",
    }
}

/// The actions in their order; `state` tells how each stands, for a plan that is under way.
pub(crate) fn actions(look: Look, plan: &Plan, state: impl Fn(&Action) -> Option<Cell>) -> String {
    let states: Vec<_> = plan.actions.iter().map(&state).collect();
    let with_state = states.iter().any(Option::is_some);
    let mut columns = vec![
        Column::Right("ID"),
        Column::Left("ACTION"),
        Column::Left("VM"),
        Column::Left("FROM"),
        Column::Left("TO"),
        Column::Right("START"),
        Column::Right("END"),
        Column::Left("AFTER"),
    ];
    if with_state {
        columns.push(Column::Left("STATE"));
    }
    columns.push(Column::Text("BECAUSE"));
    let mut table = Table::new(look, &columns);
    for (action, state) in plan.actions.iter().zip(states) {
        let after: Vec<_> = action.after.iter().map(u64::to_string).collect();
        let mut row: Vec<Cell> = vec![
            action.id.to_string().into(),
            verb(action.kind).into(),
            action.vm.clone().into(),
            action.source.clone().into(),
            action.destination.clone().into(),
            seconds(action.start_s).into(),
            seconds(action.end_s).into(),
            after.join(",").into(),
        ];
        if with_state {
            row.push(state.unwrap_or_else(|| String::new().into()));
        }
        row.push(action.because.clone().into());
        table.row(row);
    }
    table.render()
}

fn verb(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::Migrate => "migrate",
        ActionKind::Start => "start",
        ActionKind::Boot => "boot",
        ActionKind::Shutdown => "shutdown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"{"status": "FEASIBLE", "actions": [
        {"id": 1, "type": "MIGRATE", "vm": "vm1", "source": "h1", "destination": "h2", "start_s": 0, "end_s": 2.4,
         "after": [], "because": "h1 is 1400 milli-cores over its cpu capacity"},
        {"id": 2, "type": "START", "vm": "vm9", "destination": "h1", "start_s": 2.4, "end_s": 6,
         "after": [1], "because": "vm9 waits"}],
        "placement": {"vm1": "h2", "vm9": "h1"}, "unplaced": ["vm3"],
        "objectives": [{"name": "VIOLATIONS", "before": 1000, "value": 0, "bound": 0}, {"name": "MAKESPAN", "value": 6}],
        "statistics": {"solve_s": 0.04, "backend": "highs"}}"#;

    #[test]
    fn a_plan_is_told_with_its_reasons() {
        let expected = "\
FEASIBLE: 2 actions on 2 VMs, done after 6 s. Solved in 0.04 s by highs.
Without a host: vm3

OBJECTIVE   BEFORE  AFTER  BOUND  UNIT
VIOLATIONS    1000      0      0  weight
MAKESPAN         0      6      -  s

ID  ACTION   VM   FROM  TO  START    END  AFTER  BECAUSE
 1  migrate  vm1  h1    h2    0 s  2.4 s         h1 is 1400 milli-cores over its cpu capacity
 2  start    vm9        h1  2.4 s    6 s  1      vm9 waits
";
        assert_eq!(whole(Look::PLAIN, &Problem::default(), &Plan::from_json(PLAN).unwrap()), expected);
    }

    #[test]
    fn a_conflict_is_told_in_words() {
        let text = r#"{"status": "INFEASIBLE", "reason": "db1 is pinned to h1, which is DRAINING",
            "conflict": {"hosts": ["h1"], "vms": ["db1"], "constraints": []}}"#;
        let expected = "INFEASIBLE: db1 is pinned to h1, which is DRAINING.\n\
            These cannot hold together: VMs db1; hosts h1.\n";
        assert_eq!(whole(Look::PLAIN, &Problem::default(), &Plan::from_json(text).unwrap()), expected);
        let many: Vec<_> = (0..25).map(|i| format!("v{i}")).collect();
        assert!(named(&many).ends_with("v19 and 5 more"));
    }
}
