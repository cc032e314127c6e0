//! What becomes of runs along something that differs: the number of hosts, the load.

use super::framed;
use crate::cli::plot::chart::{self, Along, Line};
use crate::cli::plot::svg::escaped;
use crate::cli::simulate::page::figures::Figure;

/// A measure that is drawn: how its element begins, title, what is said, path, factor.
const DRAWN: [(&str, &str, &str, &str, f64); 4] = [
    ("violation-time", "Violation time", "host-seconds", "violations.all.total", 1.0),
    ("time-to-solve", "Time to solve", "mean, ms", "rounds.plan.mean", 1e3),
    ("migrations", "Migrations", "that ended well", "migrations.done.count", 1.0),
    ("messages", "Messages", "a minute and host", "traffic.messages_per_host_s", 60.0),
];

/// The points of a line: of its number and a measure.
type Points<'p> = dyn Fn(usize, &str) -> Vec<(f64, f64)> + 'p;

/// A section of charts, a line for each name: `points` are those of a number and a measure.
pub(in crate::cli::simulate) fn section(
    id: &str,
    title: &str,
    label: &str,
    names: &[&str],
    points: &Points,
) -> String {
    let mut text = format!("<section id=\"{id}\">\n<h2>{}</h2>\n", escaped(title));
    text += &chart::key(names.iter().copied());
    text += "<div class=\"charts\">\n";
    for (start, title, said, path, factor) in DRAWN {
        let line = |(number, name): (usize, &&str)| {
            let scaled = points(number, path).into_iter().map(|(at, value)| (at, value * factor)).collect();
            Line { number, name: (*name).to_owned(), points: scaled }
        };
        let lines: Vec<Line> = names.iter().enumerate().map(line).collect();
        let drawn = chart::lines(&lines, Along::Amounts, label, None);
        // Where there are several sections, an element is called after its own.
        let id = if id == "charts" { start.to_owned() } else { format!("{id}-{start}") };
        text += &framed(&Figure { id, title, said: said.to_owned(), drawn });
    }
    text + "</div>\n</section>\n"
}
