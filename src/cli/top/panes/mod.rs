//! What is below the totals: one pane at a time.

mod events;
mod hosts;
mod members;
mod partitions;
mod plans;

use super::data::Data;
use super::state::{Pane, State};
use crate::cli::line::Line;
use crate::cli::paint::Tone;
use std::time::SystemTime;

/// Narrower screens show less of each thing.
const WIDE: usize = 80;

/// A pane: what its columns are, and its lines.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub(super) heading: Line,
    pub(super) lines: Vec<Line>,
}

/// One thing of a pane.
#[derive(Debug, Clone, Default)]
struct Item {
    lines: Vec<Line>,
    /// What a filter finds it by, beside its lines.
    words: String,
}

impl Item {
    fn of(line: Line) -> Self {
        Self { lines: vec![line], words: String::new() }
    }
}

/// A pane as it is now, with what matches the filter.
pub(super) fn pane(state: &State, data: &Data, pane: Pane, now: SystemTime, width: usize) -> Shown {
    let (heading, items) = match pane {
        Pane::Hosts => hosts::hosts(&data.hosts, state.view.sort, width),
        Pane::Partitions => partitions::partitions(&data.ring, now, width),
        Pane::Plans => plans::plans(&data.plans, now, width),
        Pane::Members => members::members(&data.ring, width),
        Pane::Events => events::events(&data.events, data.ring.members.len() > 1, width),
    };
    let all = items.len();
    let wanted = state.view.filter.to_lowercase();
    let matches = |item: &Item| {
        wanted.is_empty()
            || item.words.to_lowercase().contains(&wanted)
            || item.lines.iter().any(|line| line.plain().to_lowercase().contains(&wanted))
    };
    let items: Vec<Item> = items.into_iter().filter(matches).collect();
    let heading = heading.map(|heading| Line::default().toned(Tone::Faint, heading));
    let lines: Vec<Line> = match items.len() {
        0 if all > 0 => vec![Line::default().text("Nothing has that text in it.")],
        0 => vec![Line::default().text(nothing(pane))],
        _ => items.into_iter().flat_map(|item| item.lines).collect(),
    };
    Shown { heading: heading.unwrap_or_default(), lines }
}

fn nothing(pane: Pane) -> &'static str {
    match pane {
        Pane::Hosts => "There are no hosts: no agent has connected yet.",
        Pane::Partitions => "No partition goes over several coordinators now.",
        Pane::Plans => "There are no plans.",
        Pane::Members => "No coordinator is known.",
        Pane::Events => "There are no events.",
    }
}

/// A name in a column: cut where it is longer.
fn column(text: &str, width: usize) -> String {
    let text = Line::default().text(text).cut(width).plain();
    format!("{text:<width$}")
}

/// The width of a column for these names: that of the longest, within limits.
fn widest<'a>(names: impl Iterator<Item = &'a str>, least: usize, most: usize) -> usize {
    names.map(|name| name.chars().count()).max().unwrap_or(0).clamp(least, most.max(least))
}
