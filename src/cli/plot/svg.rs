//! As much of SVG as is needed.

use super::{FAINT, INK};
use std::fmt::Write as _;

/// A picture under construction.
pub(in crate::cli) struct Svg {
    width: f64,
    body: String,
}

/// Where a text is held.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Text {
    pub(in crate::cli) size: f64,
    pub(in crate::cli) colour: &'static str,
    pub(in crate::cli) anchor: Anchor,
    pub(in crate::cli) bold: bool,
    pub(in crate::cli) italic: bool,
    /// Degrees, clockwise.
    pub(in crate::cli) slant: f64,
}

/// How a line looks.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Stroke {
    pub(in crate::cli) colour: &'static str,
    pub(in crate::cli) width: f64,
    /// Lengths of dashes and gaps; empty = none.
    pub(in crate::cli) dash: &'static str,
}

impl Default for Text {
    fn default() -> Self {
        Self { size: 12.0, colour: INK, anchor: Anchor::Start, bold: false, italic: false, slant: 0.0 }
    }
}

impl Text {
    /// What matters less.
    pub(in crate::cli) fn faint(size: f64) -> Self {
        Self { size, colour: FAINT, ..Self::default() }
    }
}

/// About how wide a text is.
pub(in crate::cli) fn width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.58
}

impl Svg {
    pub(in crate::cli) fn new(width: f64) -> Self {
        Self { width, body: String::new() }
    }

    /// The whole document.
    pub(in crate::cli) fn finish(self, height: f64) -> String {
        self.finish_on(height, "#ffffff")
    }

    /// The whole document, on a ground of this colour.
    pub(in crate::cli) fn finish_on(self, height: f64, ground: &str) -> String {
        let Self { width, body } = self;
        let height = short(height);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"system-ui, Helvetica, Arial, sans-serif\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"{ground}\"/>\n{body}</svg>\n"
        )
    }

    /// What is drawn together, with attributes for a script.
    pub(in crate::cli) fn group(&mut self, data: &[(&str, String)], draw: impl FnOnce(&mut Self)) {
        let all = data.iter().map(|(name, value)| format!(" {name}=\"{}\"", escaped(value)));
        let _ = writeln!(self.body, "<g{}>", all.collect::<String>());
        draw(self);
        self.body.push_str("</g>\n");
    }

    /// A box; `title` is shown where the pointer rests on it, unless it is empty.
    pub(in crate::cli) fn rect(
        &mut self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        fill: &str,
        title: &str,
    ) {
        let (x, y, width, height) = (short(x), short(y), short(width), short(height));
        let title =
            if title.is_empty() { String::new() } else { format!("<title>{}</title>", escaped(title)) };
        let _ = writeln!(
            self.body,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\">{title}</rect>"
        );
    }

    pub(in crate::cli) fn line(&mut self, points: &[(f64, f64)], stroke: &str, width: f64, dashed: bool) {
        let points = listed(points);
        let style = if dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        let _ = writeln!(
            self.body,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\"{style}/>"
        );
    }

    /// A line; `title` is shown where the pointer rests on it, unless it is empty.
    pub(in crate::cli) fn trace(&mut self, points: &[(f64, f64)], look: &Stroke, title: &str) {
        let (points, Stroke { colour, width, dash }) = (listed(points), look);
        let dash = if dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dash}\"") };
        let title =
            if title.is_empty() { String::new() } else { format!("<title>{}</title>", escaped(title)) };
        let _ = writeln!(
            self.body,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dash}>{title}</polyline>"
        );
    }

    pub(in crate::cli) fn dot(&mut self, (x, y): (f64, f64), fill: &str, title: &str) {
        let (x, y) = (short(x), short(y));
        let _ = writeln!(
            self.body,
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"2.8\" fill=\"{fill}\"><title>{}</title></circle>",
            escaped(title)
        );
    }

    /// A surface, so pale that what is below can be seen.
    pub(in crate::cli) fn area(&mut self, points: &[(f64, f64)], fill: &str, opacity: f64) {
        let points = listed(points);
        let _ =
            writeln!(self.body, "<polygon points=\"{points}\" fill=\"{fill}\" fill-opacity=\"{opacity}\"/>");
    }

    /// A heading, and what is said of it.
    pub(in crate::cli) fn heading(&mut self, (x, y): (f64, f64), heading: &str, said: &str) {
        let (x, y) = (short(x), short(y));
        let _ = writeln!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"12\"><tspan font-weight=\"600\" fill=\"{INK}\">{}</tspan>\
             <tspan dx=\"10\" fill=\"{FAINT}\">{}</tspan></text>",
            escaped(heading),
            escaped(said)
        );
    }

    pub(in crate::cli) fn text(&mut self, (x, y): (f64, f64), look: &Text, text: &str) {
        let anchor = match look.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y) = (short(x), short(y));
        let bold = if look.bold { " font-weight=\"600\"" } else { "" };
        let italic = if look.italic { " font-style=\"italic\"" } else { "" };
        let slant = if look.slant == 0.0 {
            String::new()
        } else {
            format!(" transform=\"rotate({} {x} {y})\"", short(look.slant))
        };
        let _ = writeln!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" text-anchor=\"{anchor}\" fill=\"{}\"{bold}{italic}{slant}>{}</text>",
            look.size,
            look.colour,
            escaped(text)
        );
    }
}

fn listed(points: &[(f64, f64)]) -> String {
    let points: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", short(*x), short(*y))).collect();
    points.join(" ")
}

/// Two decimals are finer than a screen.
fn short(value: f64) -> f64 {
    let value = (value * 100.0).round() / 100.0;
    if value.is_finite() { value + 0.0 } else { 0.0 }
}

/// As it stands in XML, between tags and in attributes.
pub(in crate::cli) fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // XML has no such characters at all.
            c if c.is_control() || c == '\u{FFFE}' || c == '\u{FFFF}' => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_xml_whatever_the_names() {
        let mut svg = Svg::new(100.0);
        let look = Text { anchor: Anchor::End, slant: -45.0, ..Text::faint(9.0) };
        svg.text((1.0, f64::NAN), &look, "<a & \"b\">\u{1}");
        svg.area(&[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)], "blue", 0.1);
        svg.rect((1.234_567, -0.0), (f64::INFINITY, 2.0), "red", "]]>");
        svg.line(&[(0.0, 1.0), (2.5, 3.0)], "blue", 1.0, true);
        svg.dot((1.0, 1.0), "blue", "x");
        let text = svg.finish(50.0);
        let document = roxmltree::Document::parse(&text).unwrap();
        let find = |name: &str| document.descendants().find(|node| node.has_tag_name(name)).unwrap();
        assert_eq!(find("text").text(), Some("<a & \"b\"> "));
        assert_eq!(
            (find("text").attribute("y"), find("polyline").attribute("points")),
            (Some("0"), Some("0,1 2.5,3"))
        );
        assert_eq!(find("svg").attribute("viewBox"), Some("0 0 100 50"));
    }
}
