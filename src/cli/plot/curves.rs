//! Value and bound of each level over time.

use super::axis::{Time, brief, ticks, time};
use super::svg::{Anchor, Svg, Text};
use super::{AXIS, BOUND, GRID, LEFT, RIGHT, Sample, VALUE, legend};
use crate::cli::format::figure;
use crate::cli::trace::{Point, Trace};

/// Levels that are drawn, those that matter most.
const MOST_LEVELS: usize = 4;
/// More dots hide the line.
const MOST_DOTS: usize = 200;

/// Draws them below `top`; returns where they end.
pub(super) fn draw(svg: &mut Svg, trace: &Trace, top: f64) -> f64 {
    let points = trace.all();
    if points.is_empty() {
        svg.text((LEFT, top + 14.0), &Text::faint(13.0), "There is no plan to be drawn.");
        return top + 24.0;
    }
    let levels = trace.telling_levels();
    let shown = &levels[..levels.len().min(MOST_LEVELS)];
    let height = if shown.len() == 1 { 180.0 } else { 84.0 };
    let times = Time::new(points.iter().map(|point| point.time_s));
    let samples = [
        ("best plan", Sample::Line { colour: VALUE, dashed: false }),
        ("proved bound", Sample::Line { colour: BOUND, dashed: true }),
    ];
    legend(svg, top + 18.0, &samples);
    let mut bottom = top;
    for &i in shown {
        bottom = level(svg, &points, &trace.levels[i], i, &times, bottom + 26.0, height);
    }
    for tick in times.ticks() {
        let at = x(&times, tick);
        svg.line(&[(at, bottom), (at, bottom + 4.0)], AXIS, 1.0, false);
        svg.text((at, bottom + 17.0), &Text { anchor: Anchor::Middle, ..Text::faint(11.0) }, &time(tick));
    }
    bottom + 20.0
}

fn x(axis: &Time, time_s: f64) -> f64 {
    LEFT + axis.share(time_s) * (RIGHT - LEFT)
}

/// One level; returns the line at its bottom.
fn level(svg: &mut Svg, points: &[&Point], name: &str, i: usize, times: &Time, top: f64, height: f64) -> f64 {
    let of = |list: &[f64]| list.get(i).copied().unwrap_or(0.0);
    let values: Vec<f64> = points.iter().map(|point| of(&point.values)).collect();
    let bounds: Vec<f64> = points.iter().map(|point| of(&point.bounds)).collect();
    let all = values.iter().chain(&bounds).copied();
    let (least, most) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    // Curves that are one line need some room, too.
    let (least, most) = if most > least { (least, most) } else { (least - 1.0, most + 1.0) };
    let bottom = top + height;
    let y = |value: f64| bottom - 5.0 - (value - least) / (most - least) * (height - 14.0);

    let end = (values.last().copied().unwrap_or(0.0), bounds.last().copied().unwrap_or(0.0));
    let (value, bound) = (figure(end.0), figure(end.1));
    let told = if value == bound {
        format!("{value}, proved")
    } else {
        format!("{value}; proved: at least {bound}")
    };
    svg.heading((LEFT, top - 7.0), name, &told);
    for tick in ticks(least, most, if height > 100.0 { 6 } else { 3 }) {
        svg.line(&[(LEFT, y(tick)), (RIGHT, y(tick))], GRID, 1.0, false);
        svg.text(
            (LEFT - 8.0, y(tick) + 4.0),
            &Text { anchor: Anchor::End, ..Text::faint(11.0) },
            &brief(tick),
        );
    }
    svg.line(&[(LEFT, top), (LEFT, bottom), (RIGHT, bottom)], AXIS, 1.0, false);
    let upper = steps(points, &values, |at| x(times, at), y);
    let lower = steps(points, &bounds, |at| x(times, at), y);
    let between: Vec<(f64, f64)> = upper.iter().chain(lower.iter().rev()).copied().collect();
    svg.area(&between, VALUE, 0.08);
    svg.line(&lower, BOUND, 1.8, true);
    svg.line(&upper, VALUE, 2.2, false);
    for (point, (value, bound)) in points.iter().zip(values.iter().zip(&bounds)).take(MOST_DOTS) {
        let bound = if bound < value { format!(" (≥ {})", figure(*bound)) } else { String::new() };
        let title = format!("{} s, {}: {name} {}{bound}", seconds(point.time_s), point.phase, figure(*value));
        svg.dot((x(times, point.time_s), y(*value)), VALUE, &title);
    }
    bottom
}

/// What was known at each time, until something else was.
fn steps(
    points: &[&Point],
    values: &[f64],
    x: impl Fn(f64) -> f64,
    y: impl Fn(f64) -> f64,
) -> Vec<(f64, f64)> {
    let mut line: Vec<(f64, f64)> = Vec::new();
    for (point, value) in points.iter().zip(values) {
        if let Some((_, before)) = line.last().copied() {
            line.push((x(point.time_s), before));
        }
        line.push((x(point.time_s), y(*value)));
    }
    line
}

/// Milliseconds matter.
fn seconds(seconds: f64) -> String {
    let text = format!("{seconds:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
