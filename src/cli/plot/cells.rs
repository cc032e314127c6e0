//! A small square for each host, before and after, the darker the fuller.

use super::hosts::{Use, When, load};
use super::svg::{Svg, Text};
use super::{LEFT, OVER, RIGHT, Sample, legend};
use dvms_solver::file::Problem;

/// More squares than so many are no picture.
const MOST_CELLS: usize = 2500;
/// Between the two pictures.
const GAP: f64 = 28.0;
const HEIGHT: f64 = 150.0;
/// From empty to full.
const SHADES: [&str; 6] = ["#f1f4f8", "#d3e0ef", "#a9c4e2", "#7aa3d0", "#4a7fbb", "#174a85"];

pub(super) fn draw(svg: &mut Svg, problem: &Problem, resource: &str, uses: &[Use], top: f64) -> f64 {
    let each = uses.len().div_ceil(MOST_CELLS).max(1);
    let many = if each > 1 { format!("; {each} hosts in each") } else { String::new() };
    svg.text(
        (LEFT, top),
        &Text { size: 12.0, bold: true, ..Text::default() },
        &format!("{resource} of each host{many}"),
    );
    legend(
        svg,
        top,
        &[("empty to full", Sample::Boxes(&SHADES)), ("over its limit", Sample::Boxes(&[OVER]))],
    );
    let width = (RIGHT - LEFT - GAP) / 2.0;
    let count = uses.len().div_ceil(each).max(1);
    let (columns, side) = grid(count, width);
    let rows = count.div_ceil(columns);
    for (when, left) in [(When::Before, LEFT), (When::After, LEFT + width + GAP)] {
        svg.text((left, top + 18.0), &Text::faint(11.0), when.name());
        for (i, group) in uses.chunks(each).enumerate() {
            let load = load(problem, resource, i * each, group, when);
            let colour = if load.over > 0 { OVER } else { shade(load.share) };
            let place = (left + side * (i % columns) as f64, top + 25.0 + side * (i / columns) as f64);
            let inner = side - (side * 0.14).clamp(0.5, 2.0);
            svg.rect(place, (inner, inner), colour, &load.title);
        }
    }
    top + 25.0 + side * rows as f64 + 28.0
}

/// Columns, and the side of a square, so that all find room.
fn grid(count: usize, width: f64) -> (usize, f64) {
    let mut columns = ((count as f64 * width / HEIGHT).sqrt().ceil() as usize).max(1);
    // Squares of a readable size leave some of the height empty.
    columns = columns.max((width / 22.0).ceil() as usize);
    (columns, width / columns as f64)
}

fn shade(share: f64) -> &'static str {
    if share <= 0.0 {
        return SHADES[0];
    }
    let steps = (SHADES.len() - 1) as f64;
    SHADES[((share * steps).ceil() as usize).clamp(1, SHADES.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_cells_find_room() {
        for count in [1, 41, 300, 2500] {
            let (columns, side) = grid(count, 400.0);
            assert!(side * columns as f64 <= 400.1 && side * count.div_ceil(columns) as f64 <= HEIGHT + side);
        }
    }

    #[test]
    fn full_is_dark_and_empty_is_pale() {
        assert_eq!([shade(0.0), shade(0.01), shade(1.0)], [SHADES[0], SHADES[1], SHADES[5]]);
        assert_eq!(shade(0.8), SHADES[4]);
    }
}
