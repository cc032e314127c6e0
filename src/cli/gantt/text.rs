//! The chart for a terminal.

use super::marks::Marks;
use super::rows::{By, Row, label, named, real, rows};
use crate::cli::format::{count, figure, safe, seconds};
use crate::cli::paint::{Paint, Tone};
use crate::cli::plot::axis::ticks;
use crate::cli::table::Look;
use dvms_solver::timeline::{Critical, Load, Reason, Timeline, Use, What};
use std::fmt::Write as _;

/// More lines of bars are no chart.
const MOST_TRACKS: usize = 40;
/// Of ports and links, and of hosts.
const MOST_SPARKS: usize = 5;
/// Of the chain that the end waits for.
const MOST_CHAIN: usize = 12;
/// Lines of a pipe.
const PIPED: usize = 100;
/// Longer names are cut.
const LONGEST_NAME: usize = 24;

/// A line of characters, each in a tone.
struct Line(Vec<(char, Option<Tone>)>);

impl Line {
    fn blank(width: usize) -> Self {
        Self(vec![(' ', None); width])
    }

    fn put(&mut self, at: usize, c: char, tone: Option<Tone>) {
        if let Some(cell) = self.0.get_mut(at) {
            *cell = (c, tone);
        }
    }

    fn write(&mut self, at: usize, text: &str, tone: Option<Tone>) {
        text.chars().enumerate().for_each(|(i, c)| self.put(at + i, c, tone));
    }

    fn painted(&self, paint: Paint) -> String {
        let mut text = String::new();
        let end = self.0.iter().rposition(|(c, _)| *c != ' ').map_or(0, |last| last + 1);
        for run in self.0[..end].chunk_by(|a, b| a.1 == b.1) {
            let part: String = run.iter().map(|(c, _)| c).collect();
            match run[0].1 {
                Some(tone) => text.push_str(&paint.tone(tone, &part)),
                None => text.push_str(&part),
            }
        }
        text
    }
}

/// Where times are, in columns.
struct Scale {
    left: usize,
    columns: usize,
    until_s: f64,
}

impl Scale {
    /// The first and the last column of a time.
    fn columns(&self, from_s: f64, to_s: f64) -> (usize, usize) {
        let at = |time: f64| time / self.until_s * self.columns as f64;
        let first = (at(from_s).round() as usize).min(self.columns - 1);
        let last = (at(to_s).round() as usize).saturating_sub(1).clamp(first, self.columns - 1);
        (self.left + first, self.left + last)
    }

    /// From when to when each column is.
    fn times(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let at = |column: usize| column as f64 / self.columns as f64 * self.until_s;
        (0..self.columns).map(move |column| (at(column), at(column + 1)))
    }
}

/// The whole chart; ends with a line break.
pub(super) fn chart(timeline: &Timeline, by: By, look: Look, marks: Marks) -> String {
    if timeline.actions.is_empty() {
        return "The plan has no actions: there is nothing to draw.\n".to_owned();
    }
    let width = look.width.map_or(PIPED, usize::from).max(50);
    let shown = rows(timeline, by, MOST_TRACKS);
    let sparks = sparks(timeline);
    let names = shown.list.iter().map(|row| &row.name).chain(sparks.iter().map(|spark| &spark.name));
    let longest = names.map(|name| safe(name).chars().count()).max().unwrap_or(0).min(LONGEST_NAME);
    let left = longest + 2;
    // Something that takes no time is drawn, too.
    let until_s = if timeline.until_s() > 0.0 { timeline.until_s() } else { 1.0 };
    let scale = Scale { left, columns: width - left, until_s };
    let mut text = String::new();
    let _ = writeln!(text, "{}", bound(timeline));
    axis(&scale, look, marks, &mut text);
    for row in &shown.list {
        draw_row(timeline, row, by, &scale, look, marks, &mut text);
    }
    if shown.left_out > 0 {
        let what = match by {
            By::Host => "host",
            By::Vm => "VM",
        };
        let rows = count(shown.left_out, what);
        let actions = count(shown.left_out_actions, "action");
        let _ = writeln!(text, "{rows} with less to do, {actions}, not shown: --output json has all.");
    }
    draw_sparks(&sparks, &scale, look, marks, &mut text);
    chain(timeline, look, marks, &mut text);
    text
}

/// How long the plan takes and cannot take less than.
pub(super) fn bound(timeline: &Timeline) -> String {
    let mut text = format!("makespan {}", seconds(timeline.makespan_s));
    if let Some(real) = timeline.real_s {
        let _ = write!(text, ", really {}", seconds(real));
    }
    if let Some(bound) = timeline.bound() {
        let _ = write!(text, ", bound {}: {}", seconds(bound.seconds), safe(&bound.what.to_string()));
        let busiest = timeline.bounds.iter().find(|bound| is_port(&bound.what));
        if let Some(port) = busiest.filter(|port| *port != bound) {
            let _ = write!(text, ", {}: {}", safe(&port.what.to_string()), seconds(port.seconds));
        }
    }
    if timeline.chain.actions.len() > 1 {
        let chain = &timeline.chain;
        let (actions, time) = (count(chain.actions.len(), "action"), seconds(chain.seconds));
        let _ = write!(text, "; longest chain of `after` {time} ({actions})");
    }
    text
}

fn is_port(what: &What) -> bool {
    matches!(what, What::Out { .. } | What::Into { .. } | What::Backbone | What::Link { .. })
}

fn axis(scale: &Scale, look: Look, marks: Marks, text: &mut String) {
    let (mut labels, mut line) =
        (Line::blank(scale.left + scale.columns), Line::blank(scale.left + scale.columns));
    (0..scale.columns).for_each(|i| line.put(scale.left + i, marks.axis[0], Some(Tone::Faint)));
    let mut free = 0;
    for tick in ticks(0.0, scale.until_s, scale.columns / 10) {
        let column = (tick / scale.until_s * scale.columns as f64).round() as usize;
        let label = format!("{} s", figure(tick));
        if column >= free && column < scale.columns {
            line.put(scale.left + column, marks.axis[1], Some(Tone::Faint));
            if column + label.len() <= scale.columns {
                labels.write(scale.left + column, &label, Some(Tone::Faint));
                free = column + label.len() + 2;
            }
        }
    }
    let _ = writeln!(text, "{}\n{}", labels.painted(look.paint), line.painted(look.paint));
}

/// A name of at most so many characters.
fn cut(name: &str, most: usize, marks: Marks) -> String {
    let name = safe(name);
    if name.chars().count() <= most {
        return name;
    }
    name.chars().take(most.saturating_sub(1)).chain([marks.ellipsis]).collect()
}

fn draw_row(
    timeline: &Timeline,
    row: &Row,
    by: By,
    scale: &Scale,
    look: Look,
    marks: Marks,
    text: &mut String,
) {
    for (i, track) in row.tracks.iter().enumerate() {
        let mut line = Line::blank(scale.left + scale.columns);
        if i == 0 {
            line.write(0, &cut(&row.name, scale.left - 2, marks), None);
        }
        let places: Vec<_> = (track.iter())
            .map(|i| &timeline.actions[*i].action)
            .map(|action| scale.columns(action.start_s, action.end_s))
            .collect();
        for (n, (i, place)) in track.iter().zip(&places).enumerate() {
            let bar = &timeline.actions[*i];
            let (shape, tone) = if bar.critical {
                (marks.critical, Some(Tone::Warning))
            } else {
                (marks.bar, Some(Tone::Busy))
            };
            draw_bar(&mut line, *place, shape, marks.short[usize::from(bar.critical)], tone);
            let next = places.get(n + 1).map_or(scale.left + scale.columns, |(first, _)| *first);
            let long = safe(&label(bar, by, marks.arrow));
            let brief = safe(if bar.action.vm.is_empty() { &row.name } else { &bar.action.vm });
            draw_label(&mut line, *place, next, &[long, brief], marks);
        }
        let _ = writeln!(text, "{}", line.painted(look.paint));
        draw_real(timeline, track, scale, look, marks, text);
    }
}

fn draw_bar(
    line: &mut Line,
    (first, last): (usize, usize),
    shape: [char; 3],
    short: char,
    tone: Option<Tone>,
) {
    if first == last {
        return line.put(first, short, tone);
    }
    (first..=last).for_each(|at| line.put(at, shape[1], tone));
    line.put(first, shape[0], tone);
    line.put(last, shape[2], tone);
}

/// In the bar if it finds room there, else behind it, else cut.
fn draw_label(line: &mut Line, (first, last): (usize, usize), next: usize, labels: &[String], marks: Marks) {
    let (inside, behind) = ((last - first).saturating_sub(1), next.saturating_sub(last + 3));
    for label in labels {
        let width = label.chars().count();
        if width <= inside {
            return line.write(first + 1, label, None);
        }
        if width <= behind {
            return line.write(last + 2, label, None);
        }
    }
    if let Some(label) = labels.last().filter(|_| inside >= 2) {
        line.write(first + 1, &cut(label, inside, marks), None);
    }
}

/// Under the bars of a track, how they really went.
fn draw_real(
    timeline: &Timeline,
    track: &[usize],
    scale: &Scale,
    look: Look,
    marks: Marks,
    text: &mut String,
) {
    let known: Vec<_> = (track.iter())
        .map(|i| &timeline.actions[*i])
        .filter_map(|bar| Some((bar.real.as_ref()?, real(timeline, bar)?)))
        .collect();
    if known.is_empty() {
        return;
    }
    let mut line = Line::blank(scale.left + scale.columns);
    let places: Vec<_> = known.iter().map(|(_, (from, to))| scale.columns(*from, *to)).collect();
    for (n, ((real, _), place)) in known.iter().zip(&places).enumerate() {
        let tone = match real.state.as_str() {
            "DONE" => Tone::Good,
            "FAILED" | "UNCERTAIN" => Tone::Bad,
            _ => Tone::Busy,
        };
        (place.0..=place.1).for_each(|at| line.put(at, marks.real, Some(tone)));
        let next = places.get(n + 1).map_or(scale.left + scale.columns, |(first, _)| *first);
        draw_label(&mut line, *place, next, &[safe(&real.state.to_lowercase())], marks);
    }
    let _ = writeln!(text, "{}", line.painted(look.paint));
}

/// A course as shares from 0 to 1.
struct Spark {
    name: String,
    said: String,
    share: Box<dyn Fn(f64, f64) -> f64>,
}

/// The busiest ports and links, and the hosts that are fullest at some time.
fn sparks(timeline: &Timeline) -> Vec<Spark> {
    let rates = timeline.loads.iter().filter(|load| is_port(&load.what)).take(MOST_SPARKS).map(of_load);
    let mut uses: Vec<_> = (timeline.hosts.iter().filter(|host| host.touched))
        .flat_map(|host| host.uses.iter().map(move |used| (host.name.as_str(), used)))
        .filter(|(_, used)| used.usable > 0)
        .map(|(host, used)| (most(used) as f64 / used.usable as f64, host, used))
        .collect();
    uses.sort_by(|a, b| b.0.total_cmp(&a.0));
    let uses = uses.into_iter().take(MOST_SPARKS).map(|(_, host, used)| of_use(host, used));
    rates.chain(uses).collect()
}

fn most(used: &Use) -> i64 {
    used.steps.steps().map(|(_, amount)| amount).max().unwrap_or(0)
}

fn of_load(load: &Load) -> Spark {
    let most = load.steps.steps().map(|(_, rate)| rate).fold(0.0, f64::max);
    let (capacity, steps) = (load.capacity, load.steps.clone());
    let said = format!("{} of {} MiB/s", figure(most), figure(capacity));
    let share = move |from: f64, to: f64| {
        let sent: f64 = steps.between(from, to).map(|(time, rate)| time * rate).sum();
        if capacity > 0.0 && to > from { sent / (to - from) / capacity } else { 0.0 }
    };
    Spark { name: load.what.to_string(), said, share: Box::new(share) }
}

fn of_use(host: &str, used: &Use) -> Spark {
    let node = used.node.map_or(String::new(), |node| format!(" node {node}"));
    let (usable, steps) = (used.usable, used.steps.clone());
    let said = format!("{} of {}", most(used), usable);
    // An instant above all is worth more than the mean.
    let share = move |from: f64, to: f64| {
        let most = steps.between(from, to).map(|(_, amount)| amount).max().unwrap_or(0);
        most as f64 / usable as f64
    };
    Spark { name: format!("{host}{node} {}", used.resource), said, share: Box::new(share) }
}

fn draw_sparks(sparks: &[Spark], scale: &Scale, look: Look, marks: Marks, text: &mut String) {
    if !sparks.is_empty() {
        text.push('\n');
    }
    for spark in sparks {
        let said = format!("  at most {}", spark.said);
        // What is said has its place at the end of the line, under the end of the axis.
        let mut line = Line::blank(scale.left + scale.columns);
        line.write(0, &cut(&spark.name, scale.left - 2, marks), None);
        for (i, (from, to)) in scale.times().enumerate() {
            let share = (spark.share)(from, to);
            let tone = if share > 1.01 { Tone::Bad } else { Tone::Busy };
            line.put(scale.left + i, marks.level(share), Some(tone));
        }
        let _ = writeln!(text, "{}", line.painted(look.paint));
        let _ = writeln!(text, "{}", look.paint.tone(Tone::Faint, &said));
    }
}

fn chain(timeline: &Timeline, look: Look, marks: Marks, text: &mut String) {
    let all = &timeline.critical;
    let _ = writeln!(text, "\nThe end waits for:");
    let skipped = all.len().saturating_sub(MOST_CHAIN);
    if skipped > 0 {
        let _ = writeln!(text, "  {} {} before these", marks.ellipsis, count(skipped, "action"));
    }
    for link in &all[skipped..] {
        let Some(bar) = timeline.action(link.id) else { continue };
        let (start, end) = (seconds(bar.action.start_s), seconds(bar.action.end_s));
        let line =
            format!("  {:>3} {}, {start} to {end}{}", link.id, safe(&named(bar, marks.arrow)), reason(link));
        let _ = writeln!(text, "{}", look.paint.tone(Tone::Warning, &line));
    }
}

/// Why an action did not begin before.
pub(super) fn reason(link: &Critical) -> String {
    match &link.reason {
        Reason::Nothing => String::new(),
        Reason::After { other } => format!(", after {other}"),
        Reason::Shares { other, what } => format!(", shares {} with {other}", safe(&what.to_string())),
    }
}
