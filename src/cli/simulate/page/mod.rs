//! A report as one page that needs nothing else. It holds figures of virtual time only: the same file, seed and version give the
//! same page, byte for byte.

pub(super) mod along;
mod figures;
#[cfg(test)]
mod tests;

use super::sheets::sheets;
use super::show::notes;
use crate::cli::format::{count, seconds};
use crate::cli::plot::chart;
use crate::cli::plot::svg::escaped;
use crate::simulator::decision::Compute;
use crate::simulator::experiment::{Experiment, Report};
use figures::Figure;
use std::fmt::Write as _;

/// Where a report comes from, so that anyone can repeat it.
pub(super) struct Source<'a> {
    /// The command.
    pub(super) command: &'a str,
    /// What the file was called.
    pub(super) file: &'a str,
    /// What it says.
    pub(super) text: &'a str,
}

/// The page.
pub(super) fn page(report: &Report, source: &Source) -> String {
    let it = &report.experiment;
    let title = if it.title.is_empty() { source.file } else { &it.title };
    let mut body = headline(report);
    for note in notes(report) {
        let _ = writeln!(body, "<p class=\"note\">{}</p>", escaped(&note));
    }
    body += "<section id=\"tables\">\n";
    for sheet in sheets(&report.runs) {
        body += &table(sheet.title, sheet.headings, &sheet.rows);
    }
    body += "</section>\n<section id=\"charts\">\n<h2>Figures</h2>\n";
    body += &chart::key(report.runs.iter().map(|run| run.name.as_str()));
    body += "<div class=\"charts\">\n";
    for figure in figures::all(report) {
        body += &framed(&figure);
    }
    body += "</div>\n</section>\n";
    body += &repeated(&report.experiment, is_measured(&report.experiment), source);
    document(title, &body)
}

fn headline(report: &Report) -> String {
    let it = &report.experiment;
    let (hosts, vms) = (count(it.hosts.count as usize, "host"), count(it.vms.count as usize, "VM"));
    let runs = count(report.runs.len(), "run");
    format!(
        "<p>{hosts}, {vms}, {} of virtual time, {runs}</p>\n<p class=\"faint\">seed {}, dvms {}</p>\n",
        seconds(it.seconds),
        it.seed,
        escaped(&report.version)
    )
}

/// A table; the first column holds names.
pub(super) fn table(title: &str, headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("<h2>{}</h2>\n<div class=\"wide\"><table>\n<thead><tr>", escaped(title));
    for heading in headings {
        let _ = write!(text, "<th scope=\"col\">{}</th>", escaped(heading));
    }
    text += "</tr></thead>\n<tbody>\n";
    for row in rows {
        for (i, cell) in row.iter().enumerate() {
            let cell = escaped(cell);
            let cell = if i == 0 {
                format!("<tr><th scope=\"row\">{cell}</th>")
            } else {
                format!("<td>{cell}</td>")
            };
            text += &cell;
        }
        text += "</tr>\n";
    }
    text += "</tbody>\n</table></div>\n";
    text
}

/// A picture under what is said of it.
fn framed(figure: &Figure) -> String {
    let Figure { id, title, said, drawn } = figure;
    let (title, said) = (escaped(title), escaped(said));
    format!(
        "<figure id=\"{id}\">\n<figcaption><b>{title}</b><span>{said}</span></figcaption>\n{drawn}</figure>\n"
    )
}

/// Whether computing takes what it takes on this machine.
pub(super) fn is_measured(it: &Experiment) -> bool {
    let measured = Compute::Measured;
    it.compute == measured || it.runs.iter().any(|run| run.compute == Some(measured))
}

/// Everything that is needed to have the same again: what settings came to, and whether it is the same each time.
pub(super) fn repeated(settings: &impl serde::Serialize, varies: bool, source: &Source) -> String {
    let same = if varies {
        "Computing took what it took on that machine (compute model “measured”), so that figures differ a little each time."
    } else {
        "The same file, seed and version give the same figures, byte for byte."
    };
    let settings = serde_json::to_string_pretty(settings).unwrap_or_default();
    format!(
        "<section id=\"repeat\">\n<h2>To repeat it</h2>\n<p>{same}</p>\n<pre id=\"command\">{}</pre>\n\
         <p>{}:</p>\n<pre id=\"experiment\">{}</pre>\n\
         <details><summary>Every setting, with what the file does not say</summary>\n<pre id=\"settings\">{}</pre>\n</details>\n\
         </section>\n",
        escaped(source.command),
        escaped(source.file),
        verbatim(source.text),
        verbatim(&settings)
    )
}

/// Text of several lines as it stands.
fn verbatim(text: &str) -> String {
    text.trim_end().lines().map(escaped).collect::<Vec<_>>().join("\n")
}

/// A whole page about something.
pub(super) fn document(title: &str, body: &str) -> String {
    crate::cli::plot::page::document(title, include_str!("page.css"), body)
}
