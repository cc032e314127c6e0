//! Traces of Bitbrains (GWA-T-12; Shen, van Beek, Iosup, CCGRID 2015): a file for each VM, lines with semicolons.

use super::trace::{Row, Text, TextFault, Trace};

/// Columns that are used, by the begin of their names.
const COLUMNS: [&str; 5] =
    ["Timestamp", "CPU cores", "CPU capacity provisioned", "CPU usage [MHZ]", "Memory capacity provisioned"];
/// A VM is thought to be there until so long after its last line.
const STEP_S: f64 = 300.0;
const SECONDS_UP_TO: f64 = 1e11;

/// Reads files. Times are seconds, although their heading says milliseconds (such are known by their size). The trace begins
/// with the first line of all; a VM comes with its first line, and goes after its last one if others stay.
///
/// # Errors
/// The first fault of each file, some at most.
pub fn bitbrains(files: &[Text]) -> Result<Trace, Vec<TextFault>> {
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for file in files {
        match row(file) {
            Ok(row) => rows.push(row),
            Err(fault) => faults.push(fault),
        }
        if faults.len() > 20 {
            break;
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let begin = |row: &Row| row.points[0].0;
    let end = |row: &Row| row.points[row.points.len() - 1].0 + STEP_S;
    let first = rows.iter().map(begin).fold(f64::INFINITY, f64::min);
    let last = rows.iter().map(end).fold(f64::NEG_INFINITY, f64::max);
    for row in &mut rows {
        let ends = end(row);
        row.ends = (ends < last).then_some(ends - first);
        row.points.iter_mut().for_each(|(time, _)| *time -= first);
    }
    Ok(Trace { rows })
}

fn row(file: &Text) -> Result<Row, TextFault> {
    let mut lines = file.lines();
    let (line, heading) = lines.next().ok_or_else(|| file.fault(None, "is empty"))?;
    let names: Vec<&str> = heading.split(';').map(str::trim).collect();
    let mut places = [0; COLUMNS.len()];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        *place = names.iter().position(|name| name.starts_with(column)).ok_or_else(|| {
            file.fault(Some(line), format!("names no column {column:?}; it is no file of Bitbrains"))
        })?;
    }
    let name = file.name.rsplit('/').next().unwrap_or_default().trim_end_matches(".csv");
    let mut row = Row { name: name.to_owned(), ..Row::default() };
    for (line, text) in lines {
        let cells: Vec<&str> = text.split(';').map(str::trim).collect();
        let mut figures = [0.0; COLUMNS.len()];
        for ((figure, place), column) in figures.iter_mut().zip(places).zip(COLUMNS) {
            let cell = cells.get(place).copied().unwrap_or_default();
            *figure =
                cell.parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0).ok_or_else(
                    || file.fault(Some(line), format!("{column}: {cell:?} is no number, or below 0")),
                )?;
        }
        let [time, cores, capacity, usage, memory] = figures;
        let time = if time > SECONDS_UP_TO { time / 1000.0 } else { time };
        if row.points.last().is_some_and(|(before, _)| *before >= time) {
            return Err(file.fault(Some(line), "is not later than the line before"));
        }
        let share = if capacity > 0.0 { (usage / capacity * 100.0).min(100.0) } else { 0.0 };
        row.points.push((time, share as f32));
        // A VM has one size here: the largest that it had.
        row.cpu = row.cpu.max(Some((cores * 1000.0).clamp(1.0, 1e7) as u32));
        row.memory = row.memory.max(Some((memory / 1024.0).clamp(1.0, 1e8).round() as u32));
    }
    if row.points.is_empty() {
        return Err(file.fault(None, "has a heading and nothing else"));
    }
    Ok(row)
}
