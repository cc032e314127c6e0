//! Plans and their migrations.

use super::{Item, WIDE, column, widest};
use crate::cli::bars::{bar, percent};
use crate::cli::format::{ago, mib, safe, seconds, system_time};
use crate::cli::line::Line;
use crate::cli::paint::Tone;
use crate::cli::top::data::is_under_way;
use crate::cli::top::figures::in_flight;
use dvms_proto::v1::action_status::State as ActionState;
use dvms_proto::v1::plan::Action;
use dvms_proto::v1::plan_record::State;
use dvms_proto::v1::{ActionStatus, PlanRecord};
use std::time::SystemTime;

pub(super) fn plans(plans: &[PlanRecord], now: SystemTime, width: usize) -> (Option<String>, Vec<Item>) {
    let wide = width >= WIDE;
    let id = widest(plans.iter().map(|plan| plan.id.as_str()), 4, if wide { width / 3 } else { 10 });
    let bar_width = if wide { 10 } else { 4 };
    let item = |plan: &PlanRecord| {
        let mut lines = vec![headline(plan, now, id, bar_width, wide)];
        lines.extend(in_flight(plan).map(|(action, status)| migration(action, status, bar_width, wide)));
        if is_under_way(plan) && !plan.waits_for.is_empty() {
            lines.push(Line::default().toned(Tone::Warning, format!("  waits: {}", safe(&plan.waits_for))));
        }
        Item { lines, words: format!("{} {}", plan.purpose, plan.hosts.join(" ")) }
    };
    let heading = if wide {
        let done = bar_width + 8;
        format!(
            "{:<id$}  {:<9}  {:<done$} {:<10} {:<12} PURPOSE",
            "PLAN", "STATE", "DONE", "CREATED", "TRIGGER"
        )
    } else {
        format!("{:<id$} {:<9} DONE", "PLAN", "STATE")
    };
    (Some(heading), plans.iter().map(item).collect())
}

fn headline(plan: &PlanRecord, now: SystemTime, id: usize, bar_width: usize, wide: bool) -> Line {
    let done = plan.actions.iter().filter(|action| action.state() == ActionState::Done).count();
    let all = plan.actions.len();
    let share = if all == 0 { 0.0 } else { done as f64 / all as f64 };
    let tone = match plan.state() {
        State::Succeeded => Tone::Good,
        State::Failed | State::Blocked => Tone::Bad,
        State::Proposed => Tone::Warning,
        State::Queued | State::Solving | State::Executing => Tone::Busy,
        State::Cancelled | State::Unspecified => Tone::Faint,
    };
    let text = if plan.message.is_empty() { &plan.purpose } else { &plan.message };
    let gap = if wide { "  " } else { " " };
    let line = Line::default().toned(Tone::Strong, column(&safe(&plan.id), id)).text(gap);
    let line = line.toned(tone, format!("{:<9}", plan.state().as_str_name())).text(gap);
    let line = line.toned(tone, bar(share, bar_width)).text(format!("{:>7} ", format!("{done}/{all}")));
    if !wide {
        return line.text(safe(&plan.trigger));
    }
    let created = plan.created.and_then(system_time).map_or_else(|| "-".to_owned(), |time| ago(time, now));
    let line = line.toned(Tone::Faint, format!(" {created:<10} ")).text(column(&safe(&plan.trigger), 12));
    let paused = plan.paused.as_ref().map(|why| format!(" PAUSED {} ·", safe(why))).unwrap_or_default();
    line.toned(Tone::Warning, paused).text(" ").text(safe(text))
}

fn migration(action: &Action, status: &ActionStatus, bar_width: usize, wide: bool) -> Line {
    let progress = status.progress.clone().unwrap_or_default();
    let all = progress.bytes_processed.saturating_add(progress.bytes_remaining);
    let share = if all == 0 { 0.0 } else { progress.bytes_processed as f64 / all as f64 };
    let word = match status.state() {
        ActionState::Uncertain => "unclear".to_owned(),
        ActionState::Sent => "sent".to_owned(),
        _ => percent(share),
    };
    let tone = if status.state() == ActionState::Uncertain { Tone::Bad } else { Tone::Busy };
    let line = Line::default().text("  ").toned(tone, bar(share, bar_width)).text(format!(" {word:>7} "));
    let way = format!("{}: {} → {}", action.vm, action.source, action.destination);
    if !wide {
        return line.text(safe(&way));
    }
    let bytes = |bytes: u64| mib(i64::try_from(bytes >> 20).unwrap_or(i64::MAX));
    let sent = if all == 0 {
        String::new()
    } else {
        format!("{} of {}", bytes(progress.bytes_processed), bytes(all))
    };
    let line = line.text(format!(" {sent:<20} ")).text(safe(&way));
    let passed =
        if progress.elapsed_s > 0.0 { format!("  {}", seconds(progress.elapsed_s)) } else { String::new() };
    line.toned(Tone::Faint, format!("{passed}  {}", safe(&action.because)))
}
