//! Files of other engines: what `dvms import` and `dvms export` share.

pub(crate) mod export;
pub(crate) mod import;

use super::failure::{Failure, Fault};
use super::format::{count, safe};
use super::out_file::OutFile;
use super::output::Output;
use super::paint::{Paint, Tone};
use crate::btrplace::Gaps;
use std::path::Path;

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

/// Gives out what was made of a file: the text itself, or where it went and what it holds.
fn give(
    text: &str,
    out: Option<(OutFile, &Path)>,
    holds: &[(&str, usize)],
    notes: &[String],
    output: Output,
) -> Result<(), Failure> {
    let Some((file, path)) = out else { return Ok(output.text(text)?) };
    file.write(text)?;
    if output.is_json() {
        let counts: serde_json::Map<_, _> =
            holds.iter().map(|(what, number)| (format!("{what}s"), (*number).into())).collect();
        return Ok(output.value(&serde_json::json!({"file": path, "holds": counts, "notes": notes}))?);
    }
    let counts: Vec<String> = holds.iter().map(|(what, number)| count(*number, what)).collect();
    Ok(output.line(&format!("{}: {}", safe(&path.display().to_string()), counts.join(", ")))?)
}

/// Tells what is not carried over, on standard error.
fn tell(paint: Paint, notes: &[String]) {
    for note in notes {
        eprintln!("{} {}", paint.tone(Tone::Faint, "Note:"), safe(note));
    }
}
