//! Why a command did not do what it was asked, for people: what was tried, what is wrong and where, and what
//! to do about it.

use super::exit::Exit;
use super::format::safe;
use super::output::Format;
use super::paint::{Paint, Tone};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, Write as _};

/// Faults that are shown; more are counted.
const FAULTS_SHOWN: usize = 20;

/// How a command ends when it does not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Whoever read the output is gone: nothing to say, and nobody to say it to.
    Closed,
    /// Something to tell.
    Because(Box<Trouble>),
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    exit: Exit,
    message: String,
    faults: Vec<Fault>,
    hint: Option<String>,
}

/// One fault of what was given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Fault {
    /// From 1, where known.
    pub(crate) line: Option<usize>,
    /// From 1, where known.
    pub(crate) column: Option<usize>,
    /// JSON path, field or setting; empty = the whole.
    pub(crate) path: String,
    /// What is wrong.
    pub(crate) message: String,
}

impl Failure {
    /// Anything without a number of its own.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::with(Exit::Failure, message)
    }

    /// What was given cannot be used.
    pub(crate) fn bad_input(message: impl Into<String>) -> Self {
        Self::with(Exit::BadInput, message)
    }

    pub(crate) fn with(exit: Exit, message: impl Into<String>) -> Self {
        Self::Because(Box::new(Trouble { exit, message: message.into(), faults: Vec::new(), hint: None }))
    }

    /// Each thing that is wrong.
    pub(crate) fn faults(mut self, faults: Vec<Fault>) -> Self {
        if let Self::Because(trouble) = &mut self {
            trouble.faults = faults;
        }
        self
    }

    /// What to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Because(trouble) = &mut self {
            trouble.hint = Some(hint.into());
        }
        self
    }

    /// The exit status. A reader that is gone had what it wanted.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Closed => Exit::Success,
            Self::Because(trouble) => trouble.exit,
        }
    }

    /// What went wrong, in one line; empty when there is nobody to say it to.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Closed => String::new(),
            Self::Because(trouble) => safe(&trouble.message),
        }
    }

    /// Tells it on standard error, in the form that was asked for.
    pub(crate) fn tell(&self, format: Format, paint: Paint) {
        let Self::Because(trouble) = self else { return };
        let text = match format {
            Format::Table => trouble.text(paint),
            Format::Json => format!("{}\n", trouble.value()),
        };
        // Where nobody reads, nobody is told.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

/// Of writing to standard output; everything else says what it was doing.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::new(format!("cannot write to standard output: {error}")),
        }
    }
}

impl Trouble {
    fn text(&self, paint: Paint) -> String {
        // A message may hold several lines, each of them plain.
        let mut lines = self.message.lines().map(safe);
        let mut text = format!("{} {}\n", paint.tone(Tone::Bad, "dvms:"), lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
        for fault in self.faults.iter().take(FAULTS_SHOWN) {
            let _ = writeln!(text, "  {}", fault.text(paint));
        }
        if let Some(more) = self.faults.len().checked_sub(FAULTS_SHOWN).filter(|more| *more > 0) {
            let _ = writeln!(text, "  … and {more} more; --output json has them all");
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "  {}", safe(hint));
        }
        text
    }

    fn value(&self) -> Value {
        let fault = |fault: &Fault| {
            let mut value = json!({"path": fault.path, "message": fault.message});
            for (name, number) in [("line", fault.line), ("column", fault.column)] {
                if let Some(number) = number {
                    value[name] = number.into();
                }
            }
            value
        };
        let mut error = json!({"message": self.message, "exit_status": self.exit as u8});
        if !self.faults.is_empty() {
            error["faults"] = self.faults.iter().map(fault).collect();
        }
        if let Some(hint) = &self.hint {
            error["hint"] = hint.as_str().into();
        }
        json!({"error": error})
    }
}

impl Fault {
    fn text(&self, paint: Paint) -> String {
        let mut text = String::new();
        if let Some(line) = self.line {
            let column = self.column.map(|column| format!(", column {column}")).unwrap_or_default();
            let _ = write!(text, "line {line}{column}: ");
        }
        if !self.path.is_empty() {
            let _ = write!(text, "{}: ", paint.tone(Tone::Strong, &safe(&self.path)));
        }
        text + &safe(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(faults: usize) -> Trouble {
        let fault = Fault {
            line: Some(3),
            column: Some(7),
            path: "vms[0].host".into(),
            message: "no host \"x\"".into(),
        };
        let failure =
            Failure::bad_input("rack.json cannot be used").faults(vec![fault; faults]).hint("fix it");
        assert_eq!(failure.exit(), Exit::BadInput);
        match failure {
            Failure::Because(trouble) => *trouble,
            Failure::Closed => panic!("there is something to tell"),
        }
    }

    #[test]
    fn people_get_lines() {
        let expected =
            "dvms: rack.json cannot be used\n  line 3, column 7: vms[0].host: no host \"x\"\n  fix it\n";
        assert_eq!(sample(1).text(Paint::PLAIN), expected);
        assert!(sample(25).text(Paint::PLAIN).contains("  … and 5 more; --output json has them all\n"));
    }

    #[test]
    fn programs_get_everything() {
        let value = sample(25).value();
        assert_eq!(value["error"]["faults"].as_array().unwrap().len(), 25);
        assert_eq!(value["error"]["faults"][0]["line"], 3);
        assert_eq!(value["error"]["exit_status"], 2);
    }

    #[test]
    fn a_reader_that_is_gone_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.exit(), Exit::Success);
    }
}
