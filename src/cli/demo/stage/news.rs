//! What has changed, in lines that stay: events, plans with the reason for each move, what became of moves.

use crate::cli::format::{count, safe, seconds};
use crate::cli::line::Line;
use crate::cli::paint::Tone;
use crate::record::{ActionState, Event, EventKind, PlanRecord, PlanState, Severity};
use dvms_solver::file::{Action, ActionKind, Statistic};
use std::time::Duration;

/// A line that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct News {
    /// Not shown where moves have a place of their own.
    pub(super) of_a_move: bool,
    pub(super) line: Line,
}

impl News {
    pub(super) fn new(line: Line) -> Self {
        Self { of_a_move: false, line }
    }

    fn of_a_move(line: Line) -> Self {
        Self { of_a_move: true, line }
    }
}

/// An event in a line; `None` for those that the lines about plans tell better.
pub(super) fn of_event(event: &Event) -> Option<News> {
    let told_elsewhere = matches!(
        event.kind,
        EventKind::HostConnected
            | EventKind::PlanCreated
            | EventKind::PlanStarted
            | EventKind::PlanEnded
            | EventKind::ActionStarted
            | EventKind::ActionEnded
    );
    if told_elsewhere {
        return None;
    }
    let tone = match (event.kind, event.severity) {
        (EventKind::Resolved, _) => Tone::Good,
        (_, Severity::Info) => Tone::Strong,
        (_, Severity::Warning) => Tone::Warning,
        (_, Severity::Error) => Tone::Bad,
    };
    let line = Line::default().toned(tone, event.kind.name()).text("  ").text(safe(&event.message));
    Some(News::new(line))
}

/// What is new about a plan since it was last seen; `number` is its place among all plans, from 1.
pub(super) fn of_plan(number: usize, before: Option<&PlanRecord>, now: &PlanRecord) -> Vec<News> {
    let mut news = Vec::new();
    if before.and_then(|before| before.plan.as_ref()).is_none() && now.plan.is_some() {
        news.extend(solved(number, now));
    }
    for (i, status) in now.actions.iter().enumerate() {
        let was = before.and_then(|before| before.actions.get(i)).map(|status| status.state);
        let ended = matches!(status.state, ActionState::Done | ActionState::Failed);
        let Some(action) = action_of(now, status.action_id).filter(|_| ended && was != Some(status.state))
        else {
            continue;
        };
        let took = status.started.zip(status.ended).and_then(|(from, to)| to.duration_since(from).ok());
        let took = took.map_or(String::new(), |took| format!(" after {}", seconds(took.as_secs_f64())));
        news.push(News::of_a_move(if status.state == ActionState::Done {
            let downtime = status.progress.as_ref().and_then(|progress| progress.downtime_ms);
            let downtime = downtime.map_or(String::new(), |ms| format!(", stood still for {ms} ms"));
            let text = format!("  {} runs on {}{took}{downtime}", action.vm, action.destination);
            Line::default().toned(Tone::Good, "done").text(text)
        } else {
            let text = format!("  {} stays on {}{took}: {}", action.vm, action.source, safe(&status.message));
            Line::default().toned(Tone::Bad, "FAILED").text(text)
        }));
    }
    let ended = now.state.is_terminal() && before.is_none_or(|before| !before.state.is_terminal());
    if ended {
        news.push(News::new(end(number, now)));
    }
    news
}

fn solved(number: usize, record: &PlanRecord) -> Vec<News> {
    let Some(plan) = &record.plan else { return Vec::new() };
    let figure = |name: &str| match plan.statistics.get(name) {
        Some(Statistic::Number(value)) => Some(*value),
        _ => None,
    };
    let took = figure("solve_s").map_or(String::new(), |took| format!(", solved in {:.0} ms", took * 1000.0));
    let moves = count(plan.actions.len(), "move");
    let text = format!("  {}: {moves}{took}, {}", safe(&record.trigger), plan.status.name());
    let mut news = vec![News::new(Line::default().toned(Tone::Busy, format!("plan {number}")).text(text))];
    if !plan.status.has_plan() {
        news.push(News::new(Line::default().text(format!("  {}", safe(&plan.reason)))));
    }
    news.extend(plan.actions.iter().map(|action| {
        let line = Line::default().text(format!("  {}", way(action)));
        News::of_a_move(line.toned(Tone::Faint, format!("  because {}", safe(&action.because))))
    }));
    news
}

fn end(number: usize, record: &PlanRecord) -> Line {
    let took = record.ended.and_then(|ended| ended.duration_since(record.created).ok());
    let took = took.unwrap_or(Duration::ZERO).as_secs_f64();
    let tone = match record.state {
        PlanState::Succeeded => Tone::Good,
        PlanState::Cancelled => Tone::Warning,
        _ => Tone::Bad,
    };
    let line = Line::default().toned(tone, format!("plan {number}"));
    let why = if record.message.is_empty() { String::new() } else { format!(": {}", safe(&record.message)) };
    line.text(format!("  {} after {}{why}", record.state.name(), seconds(took)))
}

/// An action of a plan.
pub(super) fn action_of(record: &PlanRecord, id: u64) -> Option<&Action> {
    record.plan.as_ref()?.actions.iter().find(|action| action.id == id)
}

/// A move in short.
pub(super) fn way(action: &Action) -> String {
    match action.kind {
        ActionKind::Migrate => format!("{}: {} -> {}", action.vm, action.source, action.destination),
        ActionKind::Start => format!("{}: start on {}", action.vm, action.destination),
        ActionKind::Boot => format!("boot {}", action.destination),
        ActionKind::Shutdown => format!("shut down {}", action.source),
    }
}
