//! Reading and writing JSON text.

use super::{Plan, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// Why a file was not read: the place and the fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ReadError {
    /// In the notation of JSON paths, `vms[3].demand.cpu`; `.` for the whole file.
    pub path: String,
    /// From 1; 0 = not known.
    pub line: usize,
    /// From 1; 0 = not known.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if self.path != "." {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Reads a JSON document of any form.
///
/// # Errors
/// The first fault, with its place.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, ReadError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        fault(path, &error.into_inner())
    })?;
    json.end().map_err(|error| fault(".".into(), &error))?;
    Ok(value)
}

fn fault(path: String, error: &serde_json::Error) -> ReadError {
    let text = error.to_string();
    // A key without letters leaves no path.
    let path = if path.is_empty() { ".".to_owned() } else { path };
    // serde_json appends the place, which we give in fields of its own.
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned();
    ReadError { path, line: error.line(), column: error.column(), message }
}

fn write<T: Serialize>(value: &T) -> String {
    let mut text =
        serde_json::to_string_pretty(value).expect("file forms have string keys and finite numbers");
    text.push('\n');
    text
}

impl Problem {
    /// Reads the file form. Strict: unknown fields, repeated keys and wrong types are errors.
    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        read(text)
    }

    /// Writes the file form; fields that have their default are left out.
    #[must_use]
    pub fn to_json(&self) -> String {
        write(self)
    }
}

impl Plan {
    /// Reads the file form, as strictly as [`Problem::from_json`].
    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        read(text)
    }

    /// Writes the file form.
    #[must_use]
    pub fn to_json(&self) -> String {
        write(self)
    }
}
