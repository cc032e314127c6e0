//! Files of other engines: what `dvms import` and `dvms export` share.

pub(crate) mod export;
pub(crate) mod import;

use super::failure::{Failure, Fault};
use super::format::{count, safe};
use super::paint::{Paint, Tone};
use crate::btrplace::Gaps;
use dvms_solver::file::ReadError;
use serde::de::DeserializeOwned;

/// Reads JSON of another engine.
fn read<T: DeserializeOwned>(text: &str) -> Result<T, ReadError> {
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let text = inner.to_string();
        let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned();
        ReadError { path, line: inner.line(), column: inner.column(), message }
    })
}

/// What cannot be said on the other side, each with its place.
fn gaps(name: &str, side: &str, gaps: &Gaps) -> Failure {
    let fault = |gap: &crate::btrplace::Gap| {
        let times = if gap.count > 1 { format!(" (and {} more)", gap.count - 1) } else { String::new() };
        Fault {
            path: gap.path.clone(),
            message: format!("[{}] {}{times}", gap.feature, gap.message),
            ..Fault::default()
        }
    };
    let what = count(gaps.0.len(), "thing");
    Failure::bad_input(format!("{name} holds {what} that {side} has no words for:"))
        .faults(gaps.0.iter().map(fault).collect())
        .hint("--leave-out NAME does without one of them, by its name in brackets; the rest is then less strict")
}

/// Tells what is not carried over, on standard error.
fn tell(paint: Paint, notes: &[String]) {
    for note in notes {
        eprintln!("{} {}", paint.tone(Tone::Faint, "Note:"), safe(note));
    }
}
