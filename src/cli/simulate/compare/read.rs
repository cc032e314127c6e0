//! From a report's JSON form to what can be compared. What another version tells more, or no more, is no fault; what is no
//! report is. Of a report of an experiment whose settings vary, runs at each combination are compared, on average over seeds.

use crate::cli::failure::{Failure, Fault};
use crate::cli::input::Input;
use crate::cli::locate::position;
use crate::simulator::experiment::scalars;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is told of a file.
#[derive(Debug, PartialEq)]
pub(super) struct Told {
    /// Its name.
    pub(super) file: String,
    /// Of dvms.
    pub(super) version: String,
    pub(super) title: String,
    /// Every setting, by its path; those of runs as `name: path`.
    pub(super) settings: BTreeMap<String, Value>,
    /// How many hosts there were.
    pub(super) hosts: u64,
    pub(super) runs: Vec<Run>,
}

/// One run of it.
#[derive(Debug, PartialEq)]
pub(super) struct Run {
    pub(super) name: String,
    /// Whether it came to its end.
    pub(super) complete: bool,
    /// Over how many seeds its figures are means; 1 of a single run.
    pub(super) seeds: u64,
    /// All figures, by their paths.
    pub(super) figures: BTreeMap<String, f64>,
}

impl Run {
    /// A figure; the mean of nothing is none.
    pub(super) fn figure(&self, path: &str) -> Option<f64> {
        let counted = path.strip_suffix(".mean").map(|of| format!("{of}.count"));
        let there = counted.is_none_or(|count| self.figures.get(&count).is_none_or(|count| *count > 0.0));
        self.figures.get(path).copied().filter(|_| there)
    }
}

impl Told {
    /// The names of its runs, for people.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.runs.iter().map(|run| run.name.as_str()).collect();
        if names.is_empty() { "no runs".to_owned() } else { names.join(", ") }
    }
}

/// Reads a report.
///
/// # Errors
/// Each fault with its place.
pub(super) fn told(input: &Input) -> Result<Told, Failure> {
    let value: Value = input.json("report of an experiment", dvms_solver::file::read)?;
    let mut reader = Reader { text: input.text(), faults: Vec::new() };
    let told = reader.report(&input.name, &value);
    if reader.faults.is_empty() {
        return Ok(told);
    }
    Err(Failure::bad_input(format!("{} is no report of an experiment:", input.name))
        .faults(reader.faults)
        .hint("`dvms simulate FILE --output json` prints one."))
}

fn object(value: &Value) -> Option<&Value> {
    Some(value).filter(|value| value.is_object())
}

struct Reader<'t> {
    text: &'t str,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, path: &str, message: impl Into<String>) {
        let (line, column) = position(self.text, path).unzip();
        self.faults.push(Fault { line, column, path: path.to_owned(), message: message.into() });
    }

    /// What is at a path, if it is of the kind that is wanted.
    fn part<'v, T>(
        &mut self,
        of: &'v Value,
        path: &str,
        kind: &str,
        want: impl Fn(&'v Value) -> Option<T>,
    ) -> Option<T> {
        let key = path.rsplit_once('.').map_or(path, |(_, key)| key);
        match of.get(key) {
            None => self.fault(path, "is not there"),
            Some(value) => match want(value) {
                Some(value) => return Some(value),
                None => self.fault(path, format!("must be {kind}")),
            },
        }
        None
    }

    fn report(&mut self, file: &str, value: &Value) -> Told {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if !value.is_object() {
            self.fault("", "must be an object with version, experiment and runs");
        }
        let mut it = Told {
            file: file.to_owned(),
            version: String::new(),
            title: String::new(),
            settings: BTreeMap::new(),
            hosts: 0,
            runs: Vec::new(),
        };
        if !self.faults.is_empty() {
            return it;
        }
        it.version = self.part(value, "version", "a text", text).unwrap_or_default();
        if value.get("vary").is_some() {
            self.study(value, &mut it);
            return it;
        }
        if let Some(experiment) = self.part(value, "experiment", "an object", object) {
            self.experiment("experiment", experiment, &mut it);
        }
        for (i, run) in self.part(value, "runs", "a list", Value::as_array).into_iter().flatten().enumerate()
        {
            let run = self.run(&format!("runs[{i}]"), run);
            if it.runs.iter().any(|other| other.name == run.name) {
                self.fault(
                    &format!("runs[{i}].name"),
                    format!("{:?} is the name of another run, too", run.name),
                );
            }
            it.runs.push(run);
        }
        it
    }

    /// What there is, and its settings.
    fn experiment(&mut self, path: &str, value: &Value, it: &mut Told) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        it.title = self.part(value, &format!("{path}.title"), "a text", text).unwrap_or_default();
        if let Some(hosts) = self.part(value, &format!("{path}.hosts"), "an object", object) {
            let count = self.part(hosts, &format!("{path}.hosts.count"), "a whole number", Value::as_u64);
            it.hosts = count.unwrap_or_default();
        }
        let settings = scalars(value).into_iter().filter(|(path, _)| path != "title");
        it.settings = settings.map(|(path, value)| (path, value.clone())).collect();
        for run in value.get("runs").and_then(Value::as_array).into_iter().flatten() {
            let name = run.get("name").and_then(Value::as_str).unwrap_or_default();
            let settings = scalars(run).into_iter().filter(|(path, _)| path != "name");
            it.settings.extend(settings.map(|(path, value)| (format!("{name}: {path}"), value.clone())));
        }
    }

    /// The same of several experiments that a file makes: what varies is of the names of runs, not of the settings.
    fn study(&mut self, value: &Value, it: &mut Told) {
        let list = |value: &Value| value.as_array().cloned();
        let points = self.part(value, "points", "a list", list).unwrap_or_default();
        if let Some(experiment) = points.first().and_then(|point| point.get("experiment")) {
            self.experiment("points[0].experiment", experiment, it);
        }
        let mut varied: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (path, value) in points.iter().filter_map(|point| point.get("at")).flat_map(scalars) {
            let (values, value) = (varied.entry(path).or_default(), value.to_string());
            if !values.contains(&value) {
                values.push(value);
            }
        }
        let varied = varied.into_iter().map(|(path, values)| (path, Value::from(values.join(", "))));
        it.settings.extend(varied);
        let groups = self.part(value, "groups", "a list", list).unwrap_or_default();
        for (i, group) in groups.iter().enumerate() {
            let at = |key: &str| format!("groups[{i}].{key}");
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let run = self.part(group, &at("run"), "a text", text).unwrap_or_default();
            let varied = self.part(group, &at("at"), "an object", |value| value.as_object().cloned());
            let words = varied.into_iter().flatten().map(|(setting, value)| format!("{setting}={value}"));
            let name = std::iter::once(run).chain(words).collect::<Vec<_>>().join(" ");
            let measures = self.part(group, &at("measures"), "an object", |value| value.as_object().cloned());
            let counts = || measures.iter().flatten().filter_map(|(_, over)| over.get("count")?.as_u64());
            let seeds = counts().max().unwrap_or(0);
            let mean = |(path, over): (String, Value)| Some((path, over.get("mean")?.as_f64()?));
            let figures: BTreeMap<String, f64> = measures.into_iter().flatten().filter_map(mean).collect();
            // One that was interrupted is in no group.
            it.runs.push(Run { name, complete: true, seeds, figures });
        }
    }

    fn run(&mut self, path: &str, value: &Value) -> Run {
        let at = |key: &str| format!("{path}.{key}");
        let name = self.part(value, &at("name"), "a text", |value| value.as_str().map(str::to_owned));
        let complete = self.part(value, &at("complete"), "true or false", Value::as_bool);
        let violations = self.part(value, &at("violations"), "an object", object);
        let mut figures = BTreeMap::new();
        for (key, value) in scalars(value) {
            match value {
                Value::Number(number) => _ = figures.insert(key, number.as_f64().unwrap_or(f64::NAN)),
                // No mean of nothing, and the like.
                Value::Null => {}
                _ if key == "name" || key == "complete" => {}
                _ => self.fault(&at(&key), "must be a number"),
            }
        }
        // Only a run has this measure, and none that is a run lacks it.
        let total = "violations.all.total";
        let told = figures.contains_key(total) || self.faults.iter().any(|fault| fault.path == at(total));
        if violations.is_some() && !told {
            self.fault(&at(total), "is not there");
        }
        Run { name: name.unwrap_or_default(), complete: complete.unwrap_or_default(), seeds: 1, figures }
    }
}
