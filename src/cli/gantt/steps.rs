//! A plan from instant to instant: what ends, what begins, what that changes, and who waits for whom.

use super::marks::Marks;
use super::rows::named;
use crate::cli::bars::{bar, percent, share, tone_of_load};
use crate::cli::format::{amount, safe, seconds};
use crate::cli::paint::Tone;
use crate::cli::table::{Cell, Column, Look, Table};
use dvms_solver::timeline::{Change, Timeline};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// More lines of a kind are counted.
const MOST_LINES: usize = 12;

/// All steps, one after the other.
pub(super) fn all(timeline: &Timeline, look: Look, marks: Marks) -> String {
    let steps: Vec<_> = (0..timeline.steps.len()).map(|i| one(timeline, i, look, marks)).collect();
    if steps.is_empty() {
        "The plan has no actions: there are no steps.\n".to_owned()
    } else {
        steps.join("\n")
    }
}

/// One step, from 0.
pub(super) fn one(timeline: &Timeline, at: usize, look: Look, marks: Marks) -> String {
    let step = &timeline.steps[at];
    let head = format!("Step {} of {}, at {}", at + 1, timeline.steps.len(), seconds(step.at_s));
    let mut text = format!("{}\n", look.paint.tone(Tone::Strong, &head));
    let action = |id: &u64| {
        timeline.action(*id).map_or(id.to_string(), |bar| format!("{id} {}", safe(&named(bar, marks.arrow))))
    };
    let mut lines = |what: &str, lines: Vec<String>| {
        let shown = lines.len().min(MOST_LINES);
        for line in &lines[..shown] {
            let _ = writeln!(text, "  {what:<8} {line}");
        }
        if lines.len() > shown {
            let _ = writeln!(text, "  {what:<8} and {} more", lines.len() - shown);
        }
    };
    lines("ends", step.ends.iter().map(action).collect());
    let begins = |id: &u64| {
        let after: Vec<_> = timeline
            .action(*id)
            .map_or(&[][..], |bar| &bar.action.after)
            .iter()
            .map(u64::to_string)
            .collect();
        if after.is_empty() { action(id) } else { format!("{}, as {} ended", action(id), after.join(", ")) }
    };
    lines("begins", step.begins.iter().map(begins).collect());
    lines("changes", step.changes.iter().map(|change| changed(change, marks)).collect());
    let waiting = timeline.waiting(at).into_iter().filter(|(_, open)| !open.is_empty());
    let waits = waiting.map(|(id, open)| {
        let open: Vec<_> = open.iter().map(u64::to_string).collect();
        format!("{} for {}", action(&id), open.join(", "))
    });
    lines("waits", waits.collect());
    text
}

fn changed(change: &Change, marks: Marks) -> String {
    let node = change.node.map_or(String::new(), |node| format!(" node {node}"));
    let figure = |value: i64| amount(&change.resource, value);
    format!(
        "{}{node} {} {} {} {} of {} ({})",
        safe(&change.host),
        safe(&change.resource),
        figure(change.before),
        marks.arrow,
        figure(change.after),
        figure(change.usable),
        percent(share(change.after, change.usable))
    )
}

/// Hosts that the plan touches, as they are from a step on.
pub(super) fn hosts(timeline: &Timeline, at: usize, look: Look, most: usize) -> String {
    let at_s = timeline.steps[at].at_s;
    let mut table = Table::new(look, &[Column::Left("HOST"), Column::Left("STATE"), Column::Left("USE")]);
    for host in timeline.hosts.iter().filter(|host| host.touched).take(most) {
        let mut cell = Cell::from(String::new());
        for used in &host.uses {
            let node = used.node.map_or(String::new(), |node| format!(" {node}"));
            let load = share(used.steps.at(at_s), used.usable);
            cell = cell
                .then(format!("{}{node} ", used.resource))
                .then(Cell::toned(tone_of_load(load, 1.0), bar(load, 10)))
                .then(format!(" {:>5}  ", percent(load)));
        }
        table.row([host.name.clone().into(), host.states.at(at_s).into(), cell]);
    }
    table.render()
}

/// A step as data.
pub(super) fn value(timeline: &Timeline, at: usize) -> Value {
    let step = &timeline.steps[at];
    let waiting = timeline.waiting(at).into_iter();
    json!({
        "step": at + 1, "at_s": step.at_s, "ends": step.ends, "begins": step.begins, "changes": step.changes,
        "waits": waiting.map(|(id, after)| json!({"id": id, "for": after})).collect::<Vec<_>>(),
    })
}
