//! Standard output: tables for people, JSON for programs.

use super::paint::{ColorChoice, Paint};
use super::table::Look;
use prost::{Message, Name};
use serde_json::Value;
use std::io::{self, IsTerminal as _, Write as _};

/// The form of what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// Tables and sentences for people.
    #[default]
    Table,
    /// JSON for programs: messages of the API in their proto3-JSON form, lists as arrays, what is followed
    /// as one object a line.
    Json,
}

/// Where a command writes to, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// The form.
    pub(crate) format: Format,
    /// How the form for people looks.
    pub(crate) look: Look,
}

impl Output {
    /// Standard output as it is: a terminal or not.
    pub(crate) fn new(format: Format, color: ColorChoice) -> Self {
        let terminal = io::stdout().is_terminal();
        let width = terminal.then(|| crossterm::terminal::size().map_or(100, |(columns, _)| columns));
        // A terminal of width 0 does not tell.
        let width = width.map(|columns| if columns == 0 { 100 } else { columns });
        Self { format, look: Look { paint: Paint::for_stdout(color), width } }
    }

    /// Whether programs read it.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Writes text as it is.
    ///
    /// # Errors
    /// As writing; the reader may be gone.
    #[expect(clippy::unused_self, reason = "where an output goes is its own business")]
    pub(crate) fn text(self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// Writes a line.
    ///
    /// # Errors
    /// As writing.
    pub(crate) fn line(self, line: &str) -> io::Result<()> {
        self.text(&format!("{line}\n"))
    }

    /// Writes a JSON document.
    ///
    /// # Errors
    /// As writing.
    pub(crate) fn value(self, value: &Value) -> io::Result<()> {
        self.line(&format!("{value:#}"))
    }

    /// Writes messages as one array.
    ///
    /// # Errors
    /// As writing.
    pub(crate) fn messages<M: Message + Name>(self, messages: &[M]) -> io::Result<()> {
        self.value(&messages.iter().map(crate::json::to_value).collect())
    }

    /// Writes one message as a document.
    ///
    /// # Errors
    /// As writing.
    pub(crate) fn message<M: Message + Name>(self, message: &M) -> io::Result<()> {
        self.value(&crate::json::to_value(message))
    }

    /// Writes one message as a line.
    ///
    /// # Errors
    /// As writing.
    pub(crate) fn message_line<M: Message + Name>(self, message: &M) -> io::Result<()> {
        self.line(&crate::json::to_value(message).to_string())
    }
}
