//! Reports as lines with commas: what one run came to in a line, and what was so over time.

use super::{Measured, Report};
use crate::simulator::measures::Sample;
use serde_json::Value;
use std::fmt::Write as _;

/// What a JSON value holds that is no list, each with its path: `("violations.all.total", 765.03)`.
#[must_use]
pub fn scalars(value: &Value) -> Vec<(String, &Value)> {
    fn walk<'v>(path: &str, value: &'v Value, found: &mut Vec<(String, &'v Value)>) {
        match value {
            Value::Object(parts) => {
                for (key, part) in parts {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    walk(&path, part, found);
                }
            }
            Value::Array(_) => {}
            scalar => found.push((path.to_owned(), scalar)),
        }
    }
    let mut found = Vec::new();
    walk("", value, &mut found);
    found
}

impl Measured {
    /// Everything of it that is one figure or word, with its path in the JSON form; the name first.
    #[must_use]
    pub fn columns(&self) -> Vec<(String, Value)> {
        let value = serde_json::to_value(self).unwrap_or_default();
        let mut columns: Vec<(String, Value)> =
            scalars(&value).into_iter().map(|(path, value)| (path, value.clone())).collect();
        columns.sort_by_key(|(path, _)| path != "name");
        columns
    }

    /// The same as text; what is not there is empty.
    pub(super) fn cells(&self) -> Vec<(String, String)> {
        let told = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        self.columns().into_iter().map(|(path, value)| (path, told(&value))).collect()
    }
}

impl Report {
    /// A line for each run, with all measures: the columns are named as in the JSON form. The first ones tell what was run.
    #[must_use]
    pub fn runs_csv(&self) -> String {
        let it = &self.experiment;
        let common = format!("{},{},{},{}", self.version, it.seed, it.hosts.count, it.vms.count);
        let mut text = String::new();
        for run in &self.runs {
            let columns = run.cells();
            if text.is_empty() {
                let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
                text = format!("version,seed,hosts,vms,{}\n", names.join(","));
            }
            let cells: Vec<&str> = columns.iter().map(|(_, cell)| cell.as_str()).collect();
            let _ = writeln!(text, "{common},{}", cells.join(","));
        }
        text
    }

    /// The time series of all runs, a line for each run and time.
    #[must_use]
    pub fn series_csv(&self) -> String {
        let mut text = format!("run,{}\n", Sample::COLUMNS);
        for run in &self.runs {
            for sample in &run.series {
                let _ = writeln!(text, "{},{}", run.name, sample.row());
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::experiment::{Experiment, run};

    #[test]
    fn a_line_of_a_run_holds_every_measure_of_its_json_form() {
        let text = "seconds = 400\n[hosts]\ncount = 8\ncpu = 6500\n[[run]]\nstrategy = 'none'\n[[run]]\nstrategy = 'drs'\n";
        let experiment = Experiment::from_toml(text).unwrap();
        let runs = experiment.runs.iter().map(|it| run(&experiment, it, &mut |_| true).unwrap()).collect();
        let report = Report { version: "1".to_owned(), experiment, runs };
        let csv = report.runs_csv();
        let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let names = lines.next().unwrap();
        assert_eq!(names[..5], ["version", "seed", "hosts", "vms", "name"]);
        let json = serde_json::to_value(&report).unwrap();
        for (i, cells) in lines.by_ref().enumerate() {
            assert_eq!(cells[..4], ["1", "23", "8", "80"]);
            let of_json = scalars(&json["runs"][i]);
            assert_eq!((of_json.len() + 4, cells.len()), (names.len(), names.len()));
            for (path, value) in of_json {
                let at = names.iter().position(|name| *name == path).unwrap();
                assert_eq!(cells[at], value.to_string().trim_matches('"'), "{path}");
            }
        }
        assert_eq!(csv.lines().count(), 3);
        let series = report.series_csv();
        assert!(series.starts_with("run,time_s,load,over,") && series.contains("\ndrs,0,"), "{series}");
        assert_eq!(series.lines().count(), 1 + report.runs.iter().map(|run| run.series.len()).sum::<usize>());
    }
}
