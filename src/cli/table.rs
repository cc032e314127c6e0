//! Tables without lines: plain text when piped, as wide as the terminal otherwise.
//!
//! comfy-table lays out plain text. So that it need not know of colours, a coloured character carries a mark
//! that has no width (a variation selector), which is replaced when the table is laid out; however it
//! breaks lines, each character keeps its colour.

use super::format::safe;
use super::paint::{Paint, RESET, TONES, Tone};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement};

const FIRST_MARK: u32 = 0xE_0100;

/// How output is to look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Colours.
    pub(crate) paint: Paint,
    /// Characters of a line; `None` = not a terminal: lines are as long as they are.
    pub(crate) width: Option<u16>,
}

impl Look {
    /// Piped: plain text, lines as long as they are.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { paint: Paint::PLAIN, width: None };
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// Names, states: never broken.
    Left(&'static str),
    /// Figures: never broken.
    Right(&'static str),
    /// Sentences: broken where the line is too short.
    Text(&'static str),
}

/// Text of a cell with its tone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell(Vec<(Option<Tone>, String)>);

impl Cell {
    /// Text in a tone.
    pub(crate) fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self(vec![(Some(tone), text.into())])
    }

    /// More text behind it.
    pub(crate) fn then(mut self, other: impl Into<Self>) -> Self {
        self.0.extend(other.into().0);
        self
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self(vec![(None, text.into())])
    }
}

/// A table under construction.
pub(crate) struct Table {
    inner: comfy_table::Table,
    look: Look,
}

impl Table {
    /// An empty table with a heading.
    pub(crate) fn new(look: Look, columns: &[Column]) -> Self {
        let mut inner = comfy_table::Table::new();
        inner.load_preset(comfy_table::presets::NOTHING);
        if let Some(width) = look.width {
            inner.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.max(40));
        }
        let name = |column: &Column| match column {
            Column::Left(name) | Column::Right(name) | Column::Text(name) => *name,
        };
        let heading = |column| marked(look.paint, &Cell::toned(Tone::Faint, name(column)));
        inner.set_header(columns.iter().map(heading));
        for (shown, column) in inner.column_iter_mut().zip(columns) {
            shown.set_padding((0, 2));
            match column {
                Column::Left(_) => _ = shown.set_constraint(ColumnConstraint::ContentWidth),
                Column::Right(_) => {
                    shown.set_constraint(ColumnConstraint::ContentWidth);
                    shown.set_cell_alignment(CellAlignment::Right);
                }
                Column::Text(_) => {}
            }
        }
        Self { inner, look }
    }

    /// Adds a row with a cell for each column.
    pub(crate) fn row<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        let paint = self.look.paint;
        self.inner.add_row(cells.into_iter().map(|cell| marked(paint, &cell.into())));
    }

    /// The text, a line for each row at least; ends with a line break.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        for line in self.inner.lines() {
            coloured(&line, &mut text);
            text.push('\n');
        }
        text
    }
}

fn marked(paint: Paint, cell: &Cell) -> String {
    let mut text = String::new();
    for (tone, part) in &cell.0 {
        let mark = tone
            .filter(|_| paint.is_on())
            .and_then(|tone| TONES.iter().position(|other| *other == tone))
            .and_then(|at| char::from_u32(FIRST_MARK + at as u32));
        for c in safe(part).chars() {
            text.push(c);
            text.extend(mark);
        }
    }
    text
}

/// Replaces marks by what a terminal understands, and drops blanks at the end of the line.
fn coloured(line: &str, text: &mut String) {
    let tone_of = |c: char| TONES.get((c as u32).checked_sub(FIRST_MARK)? as usize).copied();
    let line = line.trim_end();
    let mut chars = line.chars().peekable();
    let mut now = None;
    while let Some(c) = chars.next() {
        let tone = chars.peek().and_then(|next| tone_of(*next));
        if tone.is_some() {
            chars.next();
        }
        if tone != now {
            if now.is_some() {
                text.push_str(RESET);
            }
            text.push_str(tone.map_or("", Tone::escape));
            now = tone;
        }
        text.push(c);
    }
    if now.is_some() {
        text.push_str(RESET);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::paint::ColorChoice;

    fn sample(look: Look) -> String {
        let mut table = Table::new(look, &[Column::Left("HOST"), Column::Right("VMS"), Column::Text("WHY")]);
        table.row(["h1".into(), Cell::toned(Tone::Good, "12"), "because it is so".into()]);
        table.row(["a-longer-name", "3", "the quick brown fox jumps over the lazy dog"]);
        table.render()
    }

    #[test]
    fn piped_tables_are_plain() {
        let text = sample(Look::PLAIN);
        let expected = "HOST           VMS  WHY\n\
                        h1              12  because it is so\n\
                        a-longer-name    3  the quick brown fox jumps over the lazy dog\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn colours_do_not_change_the_layout() {
        for width in [None, Some(40), Some(60), Some(200)] {
            let coloured = sample(Look { paint: Paint::for_stdout(ColorChoice::Always), width });
            assert!(coloured.contains("\x1b[32m12\x1b[0m"), "{coloured:?}");
            let mut plain = coloured;
            for escape in TONES.map(Tone::escape).into_iter().chain([RESET]) {
                plain = plain.replace(escape, "");
            }
            assert_eq!(plain, sample(Look { paint: Paint::PLAIN, width }), "{width:?}");
            if let Some(width) = width {
                assert!(plain.lines().all(|line| line.chars().count() <= usize::from(width)), "{plain}");
                assert!(plain.contains("a-longer-name"), "names are never broken: {plain}");
            }
        }
    }

    #[test]
    fn cells_cannot_steer_the_terminal() {
        let mut table = Table::new(Look::PLAIN, &[Column::Left("A")]);
        table.row(["x\x1b[2Jy\u{E0102}"]);
        assert_eq!(table.render(), "A\nx\u{FFFD}[2Jy\u{FFFD}\n");
    }
}
