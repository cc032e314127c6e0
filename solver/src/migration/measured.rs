//! Timed migrations, as a table in a file of comma-separated values.
//!
//! The columns are found by their names, in any order; others are left aside:
//!
//! | column | |
//! | --- | --- |
//! | `bandwidth_mbit_s` | of the path |
//! | `memory_mb` | in use, taken as MiB |
//! | `hot_dirty_mb`, `hot_dirty_s` | what is written again within so many seconds; may be missing |
//! | `cold_dirty_mb_s` | written besides; may be missing |
//! | `start_s`, `end_s` | measured |
//! | `execution` | which repetition, for cross-validation; may be missing |

use super::rivals::mib_s;
use super::{Path, Workload};

/// A migration that was timed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// What was moved.
    pub workload: Workload,
    /// Mbit/s of the path.
    pub mbit_s: f64,
    /// Seconds that it took.
    pub duration_s: f64,
    /// Which repetition of the experiment it is of.
    pub execution: i64,
}

impl Measured {
    /// What it went through.
    #[must_use]
    pub fn path(&self) -> Path {
        Path { bandwidth_mib_s: mib_s(self.mbit_s) }
    }
}

/// What is wrong with a file, with its place from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Fault {
    /// Line.
    pub line: usize,
    /// Character in it.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// Columns that must be there, then those that may be missing.
const NAMES: [&str; 8] = [
    "bandwidth_mbit_s",
    "memory_mb",
    "start_s",
    "end_s",
    "hot_dirty_mb",
    "hot_dirty_s",
    "cold_dirty_mb_s",
    "execution",
];
const NEEDED: usize = 4;
/// No figure of a migration is greater.
const MOST: f64 = 1e9;
/// Faults that are told.
const TOLD: usize = 100;

/// Reads a file.
///
/// # Errors
/// Every fault with its place: a column that is missing, a line with too few values, a value that is no number or makes
/// no sense.
pub fn read(text: &str) -> Result<Vec<Measured>, Vec<Fault>> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let fault = |line, column, message: String| Fault { line, column, message };
    let Some((at, heading)) = lines.next() else {
        return Err(vec![fault(1, 1, "the file has no line of column names".to_owned())]);
    };
    let heading: Vec<&str> = heading.trim_start_matches('\u{feff}').split(',').map(str::trim).collect();
    let place = NAMES.map(|name| heading.iter().position(|there| *there == name));
    let missing: Vec<&str> =
        NAMES.iter().zip(place).take(NEEDED).filter(|(_, at)| at.is_none()).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        return Err(vec![fault(at + 1, 1, format!("there is no column {}", missing.join(", ")))]);
    }
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for (at, line) in lines {
        match row(line, &place) {
            Ok(row) => rows.push(row),
            Err((column, message)) => faults.push(fault(at + 1, column, message)),
        }
        if faults.len() >= TOLD {
            break;
        }
    }
    if faults.is_empty() && rows.is_empty() {
        faults.push(fault(at + 2, 1, "there are no migrations after the column names".to_owned()));
    }
    if faults.is_empty() { Ok(rows) } else { Err(faults) }
}

fn row(line: &str, place: &[Option<usize>; 8]) -> Result<Measured, (usize, String)> {
    // Each value with the character that it begins at.
    let mut begins = 1;
    let mut values = Vec::new();
    for value in line.split(',') {
        values.push((begins, value.trim()));
        begins += value.chars().count() + 1;
    }
    let mut numbers = [0.0; 8];
    let mut columns = [1; 8];
    for (i, at) in place.iter().enumerate() {
        let Some(at) = at else { continue };
        let (column, value) = values.get(*at).copied().ok_or_else(|| {
            (line.chars().count() + 1, format!("ends before {}, its value {}", NAMES[i], at + 1))
        })?;
        columns[i] = column;
        numbers[i] = match value.parse::<f64>() {
            Ok(number) if number.abs() <= MOST => number,
            _ => return Err((column, format!("{}: {value:?} is not a number", NAMES[i]))),
        };
        if number_is_bad(i, numbers[i]) {
            let least = if i < 2 { "more than 0" } else { "0 or more" };
            return Err((column, format!("{}: must be {least}, is {value}", NAMES[i])));
        }
    }
    let [mbit_s, memory_mib, start_s, end_s, hot_mib, hot_s, cold_mib_s, execution] = numbers;
    if end_s <= start_s {
        return Err((columns[3], format!("end_s: {end_s} is not after start_s, {start_s}")));
    }
    Ok(Measured {
        workload: Workload { memory_mib, hot_mib, hot_s, cold_mib_s },
        mbit_s,
        duration_s: end_s - start_s,
        execution: execution as i64,
    })
}

/// Bandwidth and memory are there, the rest is not negative; times are as they are.
fn number_is_bad(column: usize, number: f64) -> bool {
    match column {
        0 | 1 => number <= 0.0,
        4..=6 => number < 0.0,
        _ => false,
    }
}
