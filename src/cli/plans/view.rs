//! Plans with their lives, for people.

use super::ask::plan_of;
use crate::cli::failure::Failure;
use crate::cli::forecast_view::Shown;
use crate::cli::format::{ago, count, duration, mib, safe, system_time};
use crate::cli::paint::{Paint, Tone};
use crate::cli::plan_view;
use crate::cli::table::{Cell, Column, Look, Table};
use dvms_proto::v1::action_status::State as ActionState;
use dvms_proto::v1::plan_record::State;
use dvms_proto::v1::{ActionStatus, PlanRecord};
use std::fmt::Write as _;
use std::time::SystemTime;

/// One line a plan.
pub(super) fn table(look: Look, records: &[PlanRecord]) -> String {
    let columns = [
        Column::Left("PLAN"),
        Column::Left("STATE"),
        Column::Left("MODE"),
        Column::Left("TRIGGER"),
        Column::Right("DONE"),
        Column::Left("CREATED"),
        Column::Text("PURPOSE"),
    ];
    let mut table = Table::new(look, &columns);
    let now = SystemTime::now();
    for record in records {
        let created = record.created.and_then(system_time);
        let message = if record.message.is_empty() { &record.purpose } else { &record.message };
        table.row([
            record.id.clone().into(),
            Cell::toned(tone_of(record.state()), record.state().as_str_name()),
            record.mode().as_str_name().into(),
            record.trigger.clone().into(),
            done(record).into(),
            created.map_or("-".to_owned(), |created| ago(created, now)).into(),
            message.clone().into(),
        ]);
    }
    table.render()
}

fn done(record: &PlanRecord) -> String {
    if record.plan.is_none() {
        return "-".to_owned();
    }
    let done = record.actions.iter().filter(|action| action.state() == ActionState::Done).count();
    format!("{done}/{}", record.actions.len())
}

fn tone_of(state: State) -> Tone {
    match state {
        State::Succeeded => Tone::Good,
        State::Failed | State::Blocked => Tone::Bad,
        State::Proposed => Tone::Warning,
        State::Queued | State::Solving | State::Executing => Tone::Busy,
        State::Cancelled | State::Unspecified => Tone::Faint,
    }
}

/// State, id and what it is for, in one line.
pub(crate) fn headline(paint: Paint, record: &PlanRecord) -> String {
    let state = paint.tone(tone_of(record.state()), record.state().as_str_name());
    let plan = if record.id.is_empty() { "Plan".to_owned() } else { format!("Plan {}", safe(&record.id)) };
    let mut text = format!("{plan} is {state}");
    if !record.purpose.is_empty() {
        let _ = write!(text, ": {}", safe(&record.purpose));
    }
    if !record.message.is_empty() {
        let _ = write!(text, " ({})", safe(&record.message));
    }
    if record.state() == State::Executing && !record.waits_for.is_empty() {
        let _ = write!(text, "; what could be begun waits: {}", safe(&record.waits_for));
    }
    text
}

/// Everything about a plan.
pub(super) fn whole(look: Look, record: &PlanRecord) -> Result<String, Failure> {
    let mut text = headline(look.paint, record);
    text.push('\n');
    let mut line = |label: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{label:<11} {}", safe(&value));
        }
    };
    line("mode", record.mode().as_str_name().to_owned());
    line("trigger", record.trigger.clone());
    let events: Vec<_> = record.event_ids.iter().map(u64::to_string).collect();
    line("events", events.join(", "));
    line("hosts", plan_view::named(&record.hosts));
    line("times", times(record, SystemTime::now()));
    line("successor", record.successor.clone());
    if let Some(plan) = plan_of(record)? {
        let _ = write!(
            text,
            "\n{}\n{}",
            plan_view::headline(look.paint, &plan),
            plan_view::explanation(look.paint, &plan)
        );
        if !plan.objectives.is_empty() {
            let _ = write!(text, "\n{}", plan_view::levels(look, &plan.objectives));
        }
        if !plan.actions.is_empty() {
            let _ = write!(text, "\n{}", actions(look, record)?);
            text.push_str(&Shown::of_record(record).text(look));
        }
    }
    for action in record.actions.iter().filter(|action| !action.message.is_empty()) {
        let _ = writeln!(text, "action {}: {}", action.action_id, safe(&action.message));
    }
    Ok(text)
}

fn times(record: &PlanRecord, now: SystemTime) -> String {
    let time = |time: &Option<prost_types::Timestamp>| time.and_then(system_time);
    let Some(created) = time(&record.created) else { return String::new() };
    let mut text = format!("created {}", ago(created, now));
    for (what, at) in [("solved", &record.solved), ("started", &record.started), ("ended", &record.ended)] {
        if let Some(passed) = time(at).and_then(|at| at.duration_since(created).ok()) {
            let _ = write!(text, ", {what} {} later", duration(passed));
        }
    }
    text
}

/// The actions of a plan with how each stands; empty while it is solved.
///
/// # Errors
/// The server sent a plan that this version cannot read.
pub(crate) fn actions(look: Look, record: &PlanRecord) -> Result<String, Failure> {
    let Some(plan) = plan_of(record)? else { return Ok(String::new()) };
    let state = |id: u64| record.actions.iter().find(|status| status.action_id == id).map(state_of);
    // What is never executed has no states to show.
    let lives =
        matches!(record.state(), State::Executing | State::Succeeded | State::Failed | State::Cancelled);
    Ok(plan_view::actions(look, &plan, |action| lives.then(|| state(action.id)).flatten()))
}

/// How an action stands, with how much of a migration is sent.
pub(super) fn state_of(status: &ActionStatus) -> Cell {
    let tone = match status.state() {
        ActionState::Done => Tone::Good,
        ActionState::Failed | ActionState::Uncertain => Tone::Bad,
        ActionState::Running | ActionState::Sent => Tone::Busy,
        ActionState::Waiting | ActionState::Skipped | ActionState::Unspecified => Tone::Faint,
    };
    let cell = Cell::toned(tone, status.state().as_str_name());
    match sent(status) {
        Some(sent) if status.state() == ActionState::Running => cell.then(format!(" {sent}")),
        _ => cell,
    }
}

/// What of a migration is sent: `512 MiB of 2 GiB`.
pub(super) fn sent(status: &ActionStatus) -> Option<String> {
    let progress = status.progress.as_ref()?;
    let all = progress.bytes_processed.checked_add(progress.bytes_remaining).filter(|all| *all > 0)?;
    let mebibytes = |bytes: u64| mib(i64::try_from(bytes >> 20).unwrap_or(i64::MAX));
    Some(format!("{} of {}", mebibytes(progress.bytes_processed), mebibytes(all)))
}

/// What happened to a plan since its record was last shown, one line each.
pub(super) fn changes(paint: Paint, before: Option<&PlanRecord>, now: &PlanRecord) -> Vec<String> {
    let mut lines = Vec::new();
    let plan_is_new = now.plan.is_some() && before.is_none_or(|before| before.plan.is_none());
    if before.is_none_or(|before| before.state != now.state) {
        lines.push(headline(paint, now));
    }
    if plan_is_new && let Some(plan) = &now.plan {
        lines.push(format!("  {} in the plan", count(plan.actions.len(), "action")));
    }
    let of = |record: &PlanRecord, id: u64| record.actions.iter().find(|a| a.action_id == id).cloned();
    let actions = now.plan.as_ref().map(|plan| plan.actions.as_slice()).unwrap_or_default();
    for status in &now.actions {
        let known = before.and_then(|before| of(before, status.action_id));
        let same = known.as_ref().map_or(ActionState::Waiting, ActionStatus::state) == status.state();
        let Some(action) = actions.iter().find(|action| action.id == status.action_id).filter(|_| !same)
        else {
            continue;
        };
        let tone = match status.state() {
            ActionState::Done => Tone::Good,
            ActionState::Failed | ActionState::Uncertain => Tone::Bad,
            _ => Tone::Busy,
        };
        let way = match (action.source.as_str(), action.destination.as_str()) {
            ("", to) => format!("on {to}"),
            (from, "") => from.to_owned(),
            (from, to) => format!("{from} → {to}"),
        };
        let state = paint.tone(tone, &format!("{:<9}", status.state().as_str_name()));
        let mut line = format!("  {:>3} {state} {} {}", status.action_id, safe(&action.vm), safe(&way));
        let why = if status.message.is_empty() && status.state() == ActionState::Sent {
            &action.because
        } else {
            &status.message
        };
        if !why.is_empty() {
            let _ = write!(line, ": {}", safe(why));
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use dvms_proto::v1::plan::Action;
    use dvms_proto::v1::plan::action::Type;
    use dvms_proto::v1::{ActionProgress, Plan, plan};

    fn record(state: State, action: ActionState) -> PlanRecord {
        let migrate = Action {
            id: 1,
            r#type: Type::Migrate.into(),
            vm: "vm1".into(),
            source: "h1".into(),
            destination: "h2".into(),
            end_s: 2.0,
            because: "h1 is full".into(),
            ..Action::default()
        };
        let plan = Plan { status: plan::Status::Feasible.into(), actions: vec![migrate], ..Plan::default() };
        let progress =
            ActionProgress { bytes_processed: 1 << 29, bytes_remaining: 3 << 29, ..Default::default() };
        let status = ActionStatus {
            action_id: 1,
            state: action.into(),
            progress: Some(progress),
            ..Default::default()
        };
        PlanRecord {
            id: "p1".into(),
            state: state.into(),
            purpose: "repair h1".into(),
            plan: (state != State::Solving).then_some(plan),
            actions: if state == State::Solving { vec![] } else { vec![status] },
            ..PlanRecord::default()
        }
    }

    #[test]
    fn changes_are_told_once() {
        let solving = record(State::Solving, ActionState::Waiting);
        assert_eq!(changes(Paint::PLAIN, None, &solving), ["Plan p1 is SOLVING: repair h1"]);
        let waiting = record(State::Executing, ActionState::Waiting);
        let told = changes(Paint::PLAIN, Some(&solving), &waiting);
        assert_eq!(told, ["Plan p1 is EXECUTING: repair h1", "  1 action in the plan"]);
        let sent = record(State::Executing, ActionState::Sent);
        let told = changes(Paint::PLAIN, Some(&waiting), &sent);
        assert_eq!(told, ["    1 SENT      vm1 h1 → h2: h1 is full"]);
        assert_eq!(changes(Paint::PLAIN, Some(&sent), &sent), Vec::<String>::new());
    }

    #[test]
    fn a_running_migration_shows_what_is_sent() {
        let text = whole(Look::PLAIN, &record(State::Executing, ActionState::Running)).unwrap();
        assert!(text.contains("RUNNING 512 MiB of 2 GiB"), "{text}");
        assert!(text.contains("h1 is full"), "{text}");
    }
}
