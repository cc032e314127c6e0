//! A state as lines for a screen of some size. Pure, so that it can be looked at in tests.

use super::figures::Totals;
use super::panes;
use super::state::{Pane, State};
use crate::cli::bars::{bar, percent, tone_of_load};
use crate::cli::format::{count, safe, seconds, time};
use crate::cli::line::{Line, wrap};
use crate::cli::paint::Tone;
use std::time::SystemTime;

/// From this part of all hosts on there is little room.
const NEARLY_FULL: f64 = 0.9;

const HELP: [&str; 12] = [
    "Keys",
    "  q, Ctrl-C            quit",
    "  Tab, Shift-Tab, 1-5  another pane",
    "  arrows, PgUp, PgDn   scroll; Home, End",
    "  s                    sort hosts: load, name, VMs, moves, trouble",
    "  /                    filter by text; Enter takes it, Esc leaves it",
    "  Esc                  without a filter",
    "  r                    look now",
    "  ?                    this help",
    "",
    "Load is what VMs are expected to use when the migrations under way have ended.",
    "Any coordinator tells of all; what a silent one has is missing, or older.",
];

/// Exactly `height` lines of at most `width` characters.
pub(super) fn frame(state: &State, now: SystemTime, width: usize, height: usize) -> Vec<Line> {
    let mut lines = head(state, now, width, height);
    let left = height.saturating_sub(lines.len() + 1);
    lines.extend(body(state, now, width, left));
    lines.resize(height.saturating_sub(1), Line::default());
    lines.push(foot(state));
    lines.truncate(height);
    lines.into_iter().map(|line| line.cut(width)).collect()
}

/// How many lines of a pane the screen has room for.
pub(super) fn room(state: &State, now: SystemTime) -> usize {
    let (width, height) = state.size;
    let head = head(state, now, width, height).len();
    height.saturating_sub(head + 2)
}

/// How many lines the pane has.
pub(super) fn length(state: &State, now: SystemTime) -> usize {
    let Some(data) = &state.data else { return 0 };
    panes::pane(state, data, state.view.pane, now, state.size.0).lines.len()
}

fn head(state: &State, now: SystemTime, width: usize, height: usize) -> Vec<Line> {
    let mut lines = vec![title(state, now, width)];
    if let Some(trouble) = &state.trouble {
        let passed = seconds(now.duration_since(trouble.since).unwrap_or_default().as_secs_f64().floor());
        let why = format!("NO ANSWER for {passed}: {}", safe(&trouble.why));
        lines.push(Line::default().toned(Tone::Bad, why).cut(width));
    }
    if let Some(data) = &state.data {
        let totals = flow(&totals(&Totals::of(data, now), &data.silent), width);
        lines.extend(totals.into_iter().take((height / 3).max(1)));
    }
    lines.push(tabs(state, width));
    lines
}

fn title(state: &State, now: SystemTime, width: usize) -> Line {
    let answers = state.data.as_ref().map_or("", |data| data.ring.name.as_str());
    let who = if answers.is_empty() { String::new() } else { format!("{} at ", safe(answers)) };
    let age = state.age(now).as_secs_f64().floor();
    let (tone, word) = match (&state.data, &state.trouble) {
        (None, None) => (Tone::Busy, "asks".to_owned()),
        (None, Some(_)) => (Tone::Bad, "nothing is known".to_owned()),
        (Some(_), None) => (Tone::Good, format!("{} old", seconds(age))),
        (Some(_), Some(_)) => (Tone::Bad, format!("DATA {} OLD", seconds(age))),
    };
    let clock = time(now);
    let clock = clock.split(' ').next_back().unwrap_or_default();
    let right = Line::default().toned(tone, word).text(format!("  {clock}"));
    let left = format!("dvms top · {who}{}", safe(&state.server));
    let left = Line::default().toned(Tone::Strong, left).cut(width.saturating_sub(right.length() + 2));
    let gap = width.saturating_sub(left.length() + right.length());
    left.text(" ".repeat(gap)).append(right)
}

/// The totals, piece by piece.
pub(super) fn totals(totals: &Totals, silent: &[String]) -> Vec<Line> {
    let plain = |text: String| Line::default().text(text);
    let toned = |number: usize, tone: Tone, text: String| {
        Line::default().toned(if number > 0 { tone } else { Tone::Faint }, text)
    };
    let marked = |number: usize, tone: Tone, what: &str| toned(number, tone, format!("{number} {what}"));
    let counted = |number: usize, what: &str| toned(number, Tone::Busy, count(number, what));
    let load = |what: &str, share: f64| {
        let part = Line::default().text(format!("{what} "));
        let part = part.toned(tone_of_load(share, NEARLY_FULL), bar(share, 8));
        part.text(format!(" {}", percent(share)))
    };
    let members = if totals.silent == 0 {
        plain(format!("members {0} of {0}", totals.members))
    } else {
        let heard = totals.members - totals.silent;
        Line::default().toned(Tone::Bad, format!("members {heard} of {}", totals.members))
    };
    let mut pieces = vec![
        plain(format!("hosts {}", totals.hosts)),
        marked(totals.overloaded, Tone::Bad, "over"),
        marked(totals.underloaded, Tone::Warning, "under"),
        marked(totals.draining, Tone::Warning, "draining"),
        marked(totals.down, Tone::Bad, "down"),
        plain(format!("VMs {}", totals.vms)),
        load("cpu", totals.cpu),
        load("memory", totals.memory),
        counted(totals.plans, "plan").text(" under way"),
        counted(totals.migrations, "migration"),
        counted(totals.partitions, "partition"),
        members,
        plain(format!("{} events/min", totals.events)),
    ];
    if !silent.is_empty() {
        let names = safe(&silent.join(", "));
        pieces.insert(0, Line::default().toned(Tone::Bad, format!("SILENT: {names}")));
    }
    pieces
}

/// Pieces on as few lines as they fit on.
pub(super) fn flow(pieces: &[Line], width: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for piece in pieces {
        match lines.last_mut() {
            Some(line) if line.length() + 2 + piece.length() <= width => {
                *line = std::mem::take(line).text("  ").append(piece.clone());
            }
            _ => lines.push(piece.clone()),
        }
    }
    lines
}

fn tabs(state: &State, width: usize) -> Line {
    let counts = |pane: Pane| {
        let Some(data) = &state.data else { return String::new() };
        let count = match pane {
            Pane::Hosts => data.hosts.len(),
            Pane::Partitions => data.ring.members.iter().map(|member| member.partitions.len()).sum(),
            Pane::Plans => data.plans.len(),
            Pane::Members => data.ring.members.len(),
            Pane::Events => data.events.len(),
        };
        format!(" {count}")
    };
    let tabs = |long: bool| {
        let mut line = Line::default();
        for (i, pane) in Pane::ALL.into_iter().enumerate() {
            let gap = if i == 0 { "" } else { " " };
            let number = i + 1;
            line = if pane == state.view.pane {
                line.text(gap).toned(Tone::Strong, format!("[{number} {}{}]", pane.name(), counts(pane)))
            } else if long {
                line.text(format!("{gap} {number} {}{} ", pane.name(), counts(pane)))
            } else {
                line.text(format!("{gap} {number} "))
            };
        }
        line
    };
    let line = tabs(true);
    let line = if line.length() <= width { line } else { tabs(false) };
    let gap = width.saturating_sub(line.length());
    if gap < 3 { line } else { line.text(" ").toned(Tone::Faint, "─".repeat(gap - 1)) }
}

fn body(state: &State, now: SystemTime, width: usize, height: usize) -> Vec<Line> {
    if state.view.help {
        let words =
            |text: &str| if text.starts_with(' ') { vec![text.to_owned()] } else { wrap(text, width) };
        let lines =
            HELP.iter().flat_map(|text| if text.is_empty() { vec![String::new()] } else { words(text) });
        return lines.map(|text| Line::default().text(text)).take(height).collect();
    }
    let Some(data) = &state.data else { return Vec::new() };
    let pane = panes::pane(state, data, state.view.pane, now, width);
    let mut lines = vec![pane.heading];
    let above = state.view.above[state.view.pane as usize];
    lines.extend(pane.lines.into_iter().skip(above));
    lines.truncate(height);
    lines
}

fn foot(state: &State) -> Line {
    if let Some(typed) = &state.view.typed {
        return Line::default().toned(Tone::Strong, format!("/{}_", safe(typed))).text("  Enter, Esc");
    }
    let mut line = Line::default();
    if !state.view.filter.is_empty() {
        line = line.toned(Tone::Warning, format!("only /{}", safe(&state.view.filter))).text(" · ");
    }
    if state.view.pane == Pane::Hosts {
        line = line.text(format!("by {} · ", state.view.sort.name()));
    }
    line.toned(Tone::Faint, "q quit  ? help  Tab panes  / filter  s sort  r look")
}
