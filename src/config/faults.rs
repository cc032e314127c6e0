//! What can be wrong with a configuration.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file can be read, but not used.
    #[error("the configuration {} has faults:{}", path.display(), lines(faults))]
    Faulty {
        /// The file.
        path: PathBuf,
        /// Never empty.
        faults: Vec<Fault>,
    },
}

fn lines(faults: &[Fault]) -> String {
    let mut lines = String::new();
    for fault in faults {
        let _ = write!(lines, "\n  {fault}");
    }
    lines
}

/// One fault of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// From 1; `None` where a default is at fault.
    pub line: Option<usize>,
    /// The setting, `server.listen`; empty for a fault of syntax.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Fault {
    /// A fault of a value: its line is found by its path.
    pub(super) fn of_setting(text: &str, path: &str, message: String) -> Self {
        Self { line: super::read::line_of_setting(text, path), path: path.to_owned(), message }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}
