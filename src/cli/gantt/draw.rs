//! The chart as SVG: rows of bars, loads of ports and links, use of hosts, on one axis of time.

use super::rows::{By, Rows, label, named, real, rows};
use super::text::{bound, reason};
use crate::cli::bars::percent;
use crate::cli::format::{count, figure, seconds};
use crate::cli::plot::axis::ticks;
use crate::cli::plot::svg::{Anchor, Svg, Text, width};
use dvms_solver::timeline::{Bar, Timeline, What};

pub(super) const WIDTH: f64 = 1080.0;
pub(super) const LEFT: f64 = 170.0;
pub(super) const RIGHT: f64 = WIDTH - 24.0;
const TRACK: f64 = 24.0;
const STRIP: f64 = 40.0;
/// More strips say less.
const MOST_STRIPS: usize = 12;

/// The colours of a chart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    pub(super) page: &'static str,
    pub(super) ink: &'static str,
    pub(super) faint: &'static str,
    pub(super) grid: &'static str,
    pub(super) bar: &'static str,
    pub(super) critical: &'static str,
    pub(super) done: &'static str,
    pub(super) failed: &'static str,
    pub(super) load: &'static str,
}

impl Palette {
    /// For paper and for viewers that know no style sheets.
    pub(super) const LIGHT: Self = Self {
        page: "#ffffff",
        ink: "#1f2933",
        faint: "#5f6b78",
        grid: "#dfe4ea",
        bar: "#a9c4e2",
        critical: "#f0b96b",
        done: "#3f9b62",
        failed: "#c8372d",
        load: "#2364aa",
    };
    /// For a page whose style sheet has the colours.
    pub(super) const OF_PAGE: Self = Self {
        page: "var(--page)",
        ink: "var(--ink)",
        faint: "var(--faint)",
        grid: "var(--grid)",
        bar: "var(--bar)",
        critical: "var(--critical)",
        done: "var(--done)",
        failed: "var(--failed)",
        load: "var(--load)",
    };

    fn text(&self, size: f64) -> Text {
        Text { size, colour: self.ink, ..Text::default() }
    }

    fn faint(&self, size: f64) -> Text {
        Text { size, colour: self.faint, ..Text::default() }
    }
}

/// A plan in one picture, for files.
pub(super) fn picture(timeline: &Timeline, title: &str, by: By, most_tracks: usize) -> String {
    let palette = &Palette::LIGHT;
    let mut svg = Svg::new(WIDTH);
    svg.text((24.0, 34.0), &Text { bold: true, ..palette.text(19.0) }, title);
    svg.text((24.0, 56.0), &palette.faint(12.5), &bound(timeline));
    let bottom = chart(&mut svg, timeline, &rows(timeline, by, most_tracks), by, palette, 86.0);
    let bottom = loads(&mut svg, timeline, palette, bottom + 40.0);
    let bottom = uses(&mut svg, timeline, palette, bottom + 40.0);
    svg.finish_on(bottom + 10.0, palette.page)
}

fn x(timeline: &Timeline, time_s: f64) -> f64 {
    let until = timeline.until_s();
    LEFT + if until > 0.0 { (time_s / until).clamp(0.0, 1.0) * (RIGHT - LEFT) } else { 0.0 }
}

/// Ticks with their lines from top to bottom.
fn axis(svg: &mut Svg, timeline: &Timeline, palette: &Palette, top: f64, bottom: f64) {
    for tick in ticks(0.0, timeline.until_s(), 10) {
        let at = x(timeline, tick);
        svg.line(&[(at, top), (at, bottom)], palette.grid, 1.0, false);
        let text = Text { anchor: Anchor::Middle, ..palette.faint(10.5) };
        svg.text((at, top - 5.0), &text, &format!("{} s", figure(tick)));
    }
}

/// Everything of an action, for who points at it.
fn told(timeline: &Timeline, bar: &Bar) -> String {
    let action = &bar.action;
    let mut told = format!(
        "{} {}: {} to {}",
        action.id,
        named(bar, "→"),
        seconds(action.start_s),
        seconds(action.end_s)
    );
    let mut add = |part: String| {
        told += "; ";
        told += &part;
    };
    if bar.rate_mib_s > 0.0 {
        add(format!("{} MiB/s", figure(bar.rate_mib_s)));
    }
    if !action.after.is_empty() {
        add(format!("after {}", action.after.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")));
    }
    if !action.because.is_empty() {
        add(action.because.clone());
    }
    if let Some(link) = timeline.critical.iter().find(|link| link.id == action.id) {
        add(format!("the end waits for it{}", reason(link)));
    }
    if let (Some(known), Some((from, to))) = (&bar.real, real(timeline, bar)) {
        add(format!("really {} to {}, {}", seconds(from), seconds(to), known.state));
    }
    told
}

/// Rows of bars below `top`; returns where they end.
pub(super) fn chart(
    svg: &mut Svg,
    timeline: &Timeline,
    rows: &Rows,
    by: By,
    palette: &Palette,
    top: f64,
) -> f64 {
    let tracks: usize = rows.list.iter().map(|row| row.tracks.len()).sum();
    let bottom = top + TRACK * tracks as f64 + 4.0;
    axis(svg, timeline, palette, top, bottom);
    let mut y = top + 3.0;
    for row in &rows.list {
        svg.line(&[(24.0, y - 1.5), (RIGHT, y - 1.5)], palette.grid, 1.0, false);
        let name = shortened(&row.name, LEFT - 36.0, 12.0);
        svg.text((24.0, y + 14.0), &palette.text(12.0), &name);
        for track in &row.tracks {
            for (n, i) in track.iter().enumerate() {
                let next = track
                    .get(n + 1)
                    .map_or(RIGHT, |next| x(timeline, timeline.actions[*next].action.start_s));
                bar(svg, timeline, *i, by, palette, (y, next));
            }
            y += TRACK;
        }
    }
    if rows.left_out == 0 {
        return bottom;
    }
    let what = if by == By::Host { "host" } else { "VM" };
    let more = format!(
        "{} with less to do, {}, not shown",
        count(rows.left_out, what),
        count(rows.left_out_actions, "action")
    );
    svg.text((24.0, bottom + 14.0), &palette.faint(11.0), &more);
    bottom + 22.0
}

fn bar(svg: &mut Svg, timeline: &Timeline, i: usize, by: By, palette: &Palette, (y, next): (f64, f64)) {
    let known = &timeline.actions[i];
    let (from, to) = (x(timeline, known.action.start_s), x(timeline, known.action.end_s));
    // What takes no time can be seen, too.
    let width_px = (to - from).max(3.0);
    let really = real(timeline, known);
    let height = if really.is_some() { 13.0 } else { 18.0 };
    let colour = if known.critical { palette.critical } else { palette.bar };
    let data = [("data-action", known.action.id.to_string())];
    svg.group(&data, |svg| {
        let title = told(timeline, known);
        svg.rect((from, y), (width_px - 0.6, height), colour, &title);
        if let (Some((from, to)), Some(known)) = (really, &known.real) {
            let colour = match known.state.as_str() {
                "DONE" => palette.done,
                "FAILED" | "UNCERTAIN" => palette.failed,
                _ => palette.load,
            };
            let (from, to) = (x(timeline, from), x(timeline, to));
            svg.rect((from, y + 14.0), ((to - from).max(3.0), 5.0), colour, &title);
        }
    });
    let text = palette.text(10.5);
    let brief = if known.action.vm.is_empty() { &known.action.destination } else { &known.action.vm };
    let at = (y + height / 2.0 + 3.7, 3.0);
    for label in [label(known, by, " → "), brief.clone()] {
        let needs = width(&label, 10.5);
        if needs < width_px - 6.0 {
            return svg.text((from + at.1, at.0), &text, &label);
        }
        if from + width_px + needs + 6.0 < next {
            return svg.text((from + width_px + at.1, at.0), &text, &label);
        }
    }
}

fn shortened(name: &str, room: f64, size: f64) -> String {
    if width(name, size) <= room {
        return name.to_owned();
    }
    let most = (room / (size * 0.58)) as usize;
    name.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A course below the axis: what is used or carried, against what there is.
struct Strip {
    name: String,
    said: String,
    /// From each second on, as a share of what there is.
    steps: Vec<(f64, f64)>,
}

fn strips(
    svg: &mut Svg,
    timeline: &Timeline,
    palette: &Palette,
    heading: &str,
    strips: &[Strip],
    top: f64,
) -> f64 {
    if strips.is_empty() {
        return top - 40.0;
    }
    svg.text((24.0, top - 14.0), &Text { bold: true, ..palette.text(12.0) }, heading);
    let bottom = top + (STRIP + 6.0) * strips.len() as f64 + 6.0;
    axis(svg, timeline, palette, top + 4.0, bottom);
    let mut y = top + 8.0;
    for strip in strips {
        let most = strip.steps.iter().map(|(_, share)| *share).fold(1.0, f64::max).min(2.0);
        let height = |share: f64| y + STRIP - share.clamp(0.0, most) / most * (STRIP - 6.0);
        let mut points = vec![(x(timeline, 0.0), y + STRIP)];
        for (n, (from, share)) in strip.steps.iter().enumerate() {
            let to = strip.steps.get(n + 1).map_or(timeline.until_s(), |(next, _)| *next);
            points.extend([(x(timeline, *from), height(*share)), (x(timeline, to), height(*share))]);
        }
        points.push((RIGHT, y + STRIP));
        let over = strip.steps.iter().any(|(_, share)| *share > 1.01);
        let colour = if over { palette.failed } else { palette.load };
        svg.area(&points, colour, 0.35);
        svg.line(&points[1..points.len() - 1], colour, 1.2, false);
        svg.line(&[(LEFT, height(1.0)), (RIGHT, height(1.0))], palette.faint, 0.8, true);
        svg.text((24.0, y + 18.0), &palette.text(11.5), &shortened(&strip.name, LEFT - 34.0, 11.5));
        svg.text((24.0, y + 33.0), &palette.faint(10.0), &shortened(&strip.said, LEFT - 34.0, 10.0));
        y += STRIP + 6.0;
    }
    bottom
}

/// What ports and links carry; returns where it ends.
pub(super) fn loads(svg: &mut Svg, timeline: &Timeline, palette: &Palette, top: f64) -> f64 {
    let shown =
        timeline.loads.iter().filter(|load| !matches!(load.what, What::Slots { .. })).take(MOST_STRIPS);
    let all: Vec<Strip> = shown
        .map(|load| {
            let share = |taken: f64| if load.capacity > 0.0 { taken / load.capacity } else { 0.0 };
            let most = load.steps.steps().map(|(_, taken)| taken).fold(0.0, f64::max);
            Strip {
                name: load.what.to_string(),
                said: format!("{} of {} MiB/s", figure(most), figure(load.capacity)),
                steps: load.steps.steps().map(|(at, taken)| (at, share(taken))).collect(),
            }
        })
        .collect();
    strips(svg, timeline, palette, "Busiest ports and links", &all, top)
}

/// What is used of hosts, the fullest first; returns where it ends.
pub(super) fn uses(svg: &mut Svg, timeline: &Timeline, palette: &Palette, top: f64) -> f64 {
    let mut all: Vec<Strip> = Vec::new();
    for host in timeline.hosts.iter().filter(|host| host.touched) {
        for used in host.uses.iter().filter(|used| used.usable > 0) {
            let share = |amount: i64| amount as f64 / used.usable as f64;
            let steps: Vec<_> = used.steps.steps().map(|(at, amount)| (at, share(amount))).collect();
            let most = steps.iter().map(|(_, share)| *share).fold(0.0, f64::max);
            let node = used.node.map_or(String::new(), |node| format!(" node {node}"));
            let said = format!("at most {} of {}", percent(most), used.usable);
            all.push(Strip { name: format!("{}{node} {}", host.name, used.resource), said, steps });
        }
    }
    let most = |strip: &Strip| strip.steps.iter().map(|(_, share)| *share).fold(0.0, f64::max);
    all.sort_by(|a, b| most(b).total_cmp(&most(a)));
    all.truncate(MOST_STRIPS);
    strips(svg, timeline, palette, "Fullest hosts (a VM on its way counts at both ends)", &all, top)
}
