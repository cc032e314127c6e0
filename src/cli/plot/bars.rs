//! Two bars for each host.

use super::hosts::{Use, When, load};
use super::svg::{Anchor, Svg, Text, width};
use super::{AXIS, BEFORE, FAINT, GRID, INK, LEFT, OVER, OVER_BEFORE, RIGHT, Sample, VALUE, legend};
use dvms_solver::file::Problem;

const HEIGHT: f64 = 110.0;
/// Above this share a bar is cut off.
const MOST_SHARE: f64 = 1.5;
/// Of longer names the end is shown.
const LONGEST_NAME: usize = 16;

pub(super) fn draw(svg: &mut Svg, problem: &Problem, resource: &str, uses: &[Use], top: f64) -> f64 {
    let title = Text { size: 12.0, bold: true, ..Text::default() };
    svg.text((LEFT, top), &title, &format!("{resource} of each host"));
    let samples = [
        ("before", Sample::Boxes(&[BEFORE])),
        ("after", Sample::Boxes(&[VALUE])),
        ("over its limit", Sample::Boxes(&[OVER_BEFORE, OVER])),
    ];
    legend(svg, top, &samples);
    let (bottom, each) = (top + 12.0 + HEIGHT, (RIGHT - LEFT) / uses.len().max(1) as f64);
    let loads: Vec<[_; 2]> = (uses.iter().enumerate())
        .map(|(i, host)| [When::Before, When::After].map(|when| load(problem, resource, i, &[*host], when)))
        .collect();
    let most = loads.iter().flatten().map(|load| load.share).fold(1.0, f64::max).min(MOST_SHARE) * 1.04;
    let y = |share: f64| bottom - share.clamp(0.0, most) / most * HEIGHT;
    for (share, text) in [(0.5, "50 %"), (1.0, "100 %")] {
        svg.line(&[(LEFT, y(share)), (RIGHT, y(share))], GRID, 1.0, false);
        svg.text((LEFT - 8.0, y(share) + 4.0), &Text { anchor: Anchor::End, ..Text::faint(11.0) }, text);
    }
    // A few hosts need no wide bars.
    let bar = (each * 0.38).min(34.0);
    for (i, [before, after]) in loads.iter().enumerate() {
        let middle = LEFT + each * (i as f64 + 0.5);
        for (load, left, colours) in
            [(before, middle - bar, [BEFORE, OVER_BEFORE]), (after, middle, [VALUE, OVER])]
        {
            let height = bottom - y(load.share);
            let colour = colours[usize::from(load.over > 0)];
            svg.rect((left, bottom - height), (bar, height), colour, &load.title);
        }
    }
    svg.line(&[(LEFT, y(1.0)), (RIGHT, y(1.0))], AXIS, 1.0, true);
    svg.line(&[(LEFT, bottom), (RIGHT, bottom)], AXIS, 1.0, false);
    bottom + names(svg, problem, each, bottom) + 30.0
}

/// The names below the bars; returns the height that they take.
fn names(svg: &mut Svg, problem: &Problem, each: f64, bottom: f64) -> f64 {
    const SIZE: f64 = 10.0;
    let names: Vec<String> = problem.hosts.iter().map(|host| shortened(&host.name)).collect();
    let longest = names.iter().map(|name| width(name, SIZE)).fold(0.0, f64::max);
    let slanted = longest > each - 4.0;
    for (i, (host, name)) in problem.hosts.iter().zip(&names).enumerate() {
        let middle = LEFT + each * (i as f64 + 0.5);
        let up = host.state.is_empty() || host.state == "ONLINE";
        // What is not online is told by its tone, and in words where the pointer rests.
        let colour = if up { INK } else { FAINT };
        let text = Text { size: SIZE, colour, italic: !up, ..Text::default() };
        if slanted {
            let text = Text { anchor: Anchor::End, slant: -45.0, ..text };
            svg.text((middle + 4.0, bottom + 12.0), &text, name);
        } else {
            svg.text((middle, bottom + 14.0), &Text { anchor: Anchor::Middle, ..text }, name);
        }
    }
    if slanted { longest * 0.71 + 14.0 } else { 16.0 }
}

fn shortened(name: &str) -> String {
    let all = name.chars().count();
    if all <= LONGEST_NAME {
        return name.to_owned();
    }
    std::iter::once('…').chain(name.chars().skip(all + 1 - LONGEST_NAME)).collect()
}
