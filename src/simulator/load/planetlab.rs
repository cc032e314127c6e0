//! Traces of `PlanetLab` nodes: percent of CPU every five minutes (`CoMon`; Park, Pai, OSR 40(1), 2006), as CloudSim has them.

use super::trace::{Row, Text, TextFault, Trace, percent};

const STEP_S: f64 = 300.0;

/// Reads a day: files with a VM a line (a name, then its figures, by commas), called `….csv`, or a file for each VM with a
/// figure a line, as they come with CloudSim.
///
/// # Errors
/// Each line that is not so, some at most, and VMs with more or fewer figures than the first.
pub fn planetlab(files: &[Text]) -> Result<Trace, Vec<TextFault>> {
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for file in files {
        let is_table =
            std::path::Path::new(&file.name).extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
        let found = if is_table { table(file, &mut rows) } else { alone(file, &mut rows) };
        faults.extend(found.err());
        if faults.len() > 20 {
            break;
        }
    }
    if faults.is_empty() && rows.is_empty() {
        let name = files.first().map(|file| file.name.clone()).unwrap_or_default();
        faults.push(TextFault { file: name, line: None, message: "has no VM".to_owned() });
    }
    if faults.is_empty() { Ok(Trace { rows }) } else { Err(faults) }
}

fn table(file: &Text, rows: &mut Vec<Row>) -> Result<(), TextFault> {
    for (line, text) in file.lines() {
        let (name, figures) = text
            .split_once(',')
            .ok_or_else(|| file.fault(Some(line), "is not a name and figures, by commas"))?;
        let values: Result<Vec<f32>, String> = figures.split(',').map(percent).collect();
        let values = values.map_err(|message| file.fault(Some(line), message))?;
        enter(name.trim(), &values, rows).map_err(|message| file.fault(Some(line), message))?;
    }
    Ok(())
}

fn alone(file: &Text, rows: &mut Vec<Row>) -> Result<(), TextFault> {
    let mut values = Vec::new();
    for (line, text) in file.lines() {
        values.push(percent(text).map_err(|message| file.fault(Some(line), message))?);
    }
    if values.is_empty() {
        return Err(file.fault(None, "is empty; percent were expected, one a line"));
    }
    let name = file.name.rsplit('/').next().unwrap_or_default();
    enter(name, &values, rows).map_err(|message| file.fault(None, message))
}

fn enter(name: &str, values: &[f32], rows: &mut Vec<Row>) -> Result<(), String> {
    if let Some(first) = rows.first().filter(|first| first.points.len() != values.len()) {
        return Err(format!(
            "{name} has {} figures, but {} has {}",
            values.len(),
            first.name,
            first.points.len()
        ));
    }
    let points = (0_u32..).map(|step| f64::from(step) * STEP_S).zip(values.iter().copied()).collect();
    rows.push(Row { name: name.to_owned(), points, ..Row::default() });
    Ok(())
}
