//! From TOML text to an experiment. Each key is read for itself, so that one fault does not hide the next.

use super::choice::NAMES;
use super::load::{KINDS, What};
use super::origin::{SAID, Start};
use super::sections::compute_faults;
use super::study::{Point, Study};
use super::vary::{Varied, at_point, axes, points};
use super::{Choice, Experiment, Faults, Hosts, Load, Network, Run, Vms};
use crate::lines::{line_at, place_of};
use crate::simulator::decision::Compute;
use serde::de::DeserializeOwned;
use std::fmt;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const SECTIONS: &str =
    "title, seed, seconds, sample_s, start, hosts, vms, network, load, faults, compute, vary, run";
const LONGEST_S: f64 = 1e8;
const MOST_SAMPLES: f64 = 1e7;

/// One fault of an experiment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// From 1; `None` where a default is at fault.
    pub line: Option<usize>,
    /// The setting, `hosts.count`; empty for a fault of syntax.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

pub(super) type Item<'t> = Spanned<DeValue<'t>>;

/// Reads and validates a file: one experiment, or several where settings vary.
pub(super) fn study(text: &str) -> Result<Study, Vec<Fault>> {
    let mut reader = Reader { text, faults: Vec::new() };
    let (document, syntax) = DeTable::parse_recoverable(text);
    for error in &syntax {
        reader.refuse("", error, 0);
    }
    if !syntax.is_empty() {
        return Err(reader.faults);
    }
    let document = document.get_ref();
    let (axes, varied) =
        document.get("vary").map(|told| axes(&mut reader, document, told)).unwrap_or_default();
    if !reader.faults.is_empty() {
        return Err(reader.faults);
    }
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    for at in points(&axes) {
        match experiment(text, &at_point(document, &varied, &at), &varied, &at) {
            Ok(experiment) => all.push(Point { at, experiment }),
            // What is wrong at many points is told once.
            Err(more) => more.into_iter().for_each(|fault| {
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
            }),
        }
    }
    faults.sort_by_key(|fault| fault.line);
    let title = all.first().map(|point| point.experiment.title.clone()).unwrap_or_default();
    if faults.is_empty() { Ok(Study { title, axes, points: all }) } else { Err(faults) }
}

/// Reads one experiment.
fn experiment(
    text: &str,
    document: &DeTable,
    varied: &[Varied],
    at: &[usize],
) -> Result<Experiment, Vec<Fault>> {
    let mut reader = Reader { text, faults: Vec::new() };
    let mut it = Experiment {
        title: String::new(),
        seed: 23,
        seconds: 1800.0,
        sample_s: 10.0,
        start: None,
        hosts: Hosts::default(),
        vms: Vms::default(),
        network: Network::default(),
        load: Load::default(),
        faults: None,
        compute: Compute::default(),
        runs: Vec::new(),
    };
    let mut counted = false;
    for (key, value) in document {
        match key.get_ref().as_ref() {
            "title" => it.title = reader.value("title", value).unwrap_or_default(),
            "seed" => it.seed = reader.value("seed", value).unwrap_or(it.seed),
            "seconds" => it.seconds = reader.number("seconds", value).unwrap_or(it.seconds),
            "sample_s" => it.sample_s = reader.number("sample_s", value).unwrap_or(it.sample_s),
            "start" => it.start = Some(reader.section::<Start>("start", value)),
            "hosts" => it.hosts = reader.section("hosts", value),
            "vms" => {
                counted = value.get_ref().as_table().is_some_and(|table| table.contains_key("count"));
                it.vms = reader.section("vms", value);
            }
            "network" => it.network = reader.section("network", value),
            "load" => it.load = reader.load(value),
            "faults" => it.faults = Some(reader.section::<Faults>("faults", value)),
            "compute" => it.compute = reader.value("compute", value).unwrap_or_default(),
            "run" => it.runs = reader.runs(value),
            unknown => {
                let message = format!("there is no such setting; there are {SECTIONS}");
                reader.fault(unknown, message, key.span().start);
            }
        }
    }
    if !it.hosts.kinds.is_empty() {
        it.hosts.count = it.hosts.kinds.iter().fold(0, |sum, kind| sum.saturating_add(kind.count));
    }
    if !counted {
        // A trace or a problem says itself how many it has.
        it.vms.count = if it.load.recorded().is_some() || it.start.is_some() {
            0
        } else {
            it.hosts.count.saturating_mul(10)
        };
    }
    let mut faults = reader.faults;
    // What could not be read is told; what follows from it is not.
    if faults.is_empty() {
        faults.extend(said_twice(document, text));
        let said = SAID.iter().filter(|_| it.start.is_some());
        let said = said.filter_map(|path| Some((*path, place_of(text, path).filter(|place| place.whole)?)));
        faults.extend(said.map(|(path, place)| Fault {
            line: Some(place.line),
            path: path.to_owned(),
            message: "is what the problem says that [start] names".to_owned(),
        }));
        it.judge(&mut |path, message| {
            faults.push(Fault {
                line: place_of(
                    text,
                    &varied.iter().find_map(|it| it.place(path, at)).unwrap_or(path.to_owned()),
                )
                .map(|place| place.line),
                path: path.to_owned(),
                message,
            });
        });
    }
    faults.sort_by_key(|fault| fault.line);
    if faults.is_empty() { Ok(it) } else { Err(faults) }
}

/// What a section says of all, and each of its kinds says, too.
fn said_twice(document: &DeTable, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (section, keys) in [("hosts", &["count", "cpu", "memory"][..]), ("vms", &["cpu", "memory"][..])] {
        let Some(DeValue::Table(table)) = document.get(section).map(Spanned::get_ref) else { continue };
        if !table.contains_key("kind") {
            continue;
        }
        for (key, _) in table.iter().filter(|(key, _)| keys.contains(&key.get_ref().as_ref())) {
            let path = format!("{section}.{}", key.get_ref());
            let message = format!("is what each [[{section}.kind]] says");
            faults.push(Fault { line: Some(line_at(text, key.span().start)), path, message });
        }
    }
    faults
}

impl Experiment {
    fn judge(&self, wrong: &mut super::sections::Wrong) {
        if !(self.seconds > 0.0 && self.seconds <= LONGEST_S) {
            wrong("seconds", format!("must be above 0, {LONGEST_S} at most, not {}", self.seconds));
        }
        if !(self.sample_s > 0.0 && self.sample_s <= LONGEST_S) {
            wrong("sample_s", format!("must be above 0, {LONGEST_S} at most, not {}", self.sample_s));
        } else if self.seconds / self.sample_s > MOST_SAMPLES {
            let least = self.seconds / MOST_SAMPLES;
            wrong("sample_s", format!("makes more than {MOST_SAMPLES} samples; {least} at least"));
        }
        self.hosts.faults(wrong);
        self.vms.faults(&self.hosts, self.load.recorded().is_some() || self.start.is_some(), wrong);
        if let Some(start) = &self.start {
            start.faults(self, wrong);
        }
        self.network.faults(wrong);
        self.load.faults(wrong);
        if let Some(faults) = &self.faults {
            faults.faults(wrong);
        }
        compute_faults(self.compute, "compute", wrong);
        if self.runs.is_empty() {
            wrong("run", "there must be one at least, written [[run]]".to_owned());
        }
        for (i, run) in self.runs.iter().enumerate() {
            let path = format!("run[{i}]");
            run.choice.faults(&path, wrong);
            if let Some(compute) = run.compute {
                compute_faults(compute, &format!("{path}.compute"), wrong);
            }
            let named = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if run.name.is_empty() || run.name.len() > 100 || !run.name.chars().all(named) {
                let message =
                    "must be letters, digits, '-', '_' and '.', as files are named after it".to_owned();
                wrong(&format!("{path}.name"), message);
            }
            if self.runs[..i].iter().any(|other| other.name == run.name) {
                wrong(&format!("{path}.name"), format!("{:?} is the name of another run, too", run.name));
            }
        }
    }
}

pub(super) struct Reader<'t> {
    text: &'t str,
    faults: Vec<Fault>,
}

impl<'t> Reader<'t> {
    pub(super) fn fault(&mut self, path: &str, message: String, offset: usize) {
        self.faults.push(Fault { line: Some(line_at(self.text, offset)), path: path.to_owned(), message });
    }

    fn refuse(&mut self, path: &str, error: &toml::de::Error, offset: usize) {
        let offset = error.span().map_or(offset, |span| span.start);
        self.fault(path, error.message().trim().to_owned(), offset);
    }

    /// How many faults there are so far.
    pub(super) fn count(&self) -> usize {
        self.faults.len()
    }

    /// A value for what it is; what cannot be said in JSON is told when it is read for what it means.
    pub(super) fn plain(value: &Item<'t>) -> Option<serde_json::Value> {
        serde::Deserialize::deserialize(toml::de::ValueDeserializer::from(value.clone())).ok()
    }

    fn value<T: DeserializeOwned>(&mut self, path: &str, value: &Item<'t>) -> Option<T> {
        let read = serde_path_to_error::deserialize(toml::de::ValueDeserializer::from(value.clone()));
        read.map_err(|error| {
            let inner = error.path().to_string();
            let path = if inner == "." { path.to_owned() } else { format!("{path}.{inner}") };
            self.refuse(&path, error.inner(), value.span().start);
        })
        .ok()
    }

    /// A number, whole or not.
    fn number(&mut self, path: &str, value: &Item<'t>) -> Option<f64> {
        self.value(path, value)
    }

    /// A table whose keys all have defaults.
    fn section<T: DeserializeOwned + Default>(&mut self, path: &str, value: &Item<'t>) -> T {
        let DeValue::Table(table) = value.get_ref() else {
            self.fault(path, format!("must be a table, written [{path}]"), value.span().start);
            return T::default();
        };
        self.settings(path, table, value)
    }

    /// The same, of a table without those keys that were read before.
    fn settings<T: DeserializeOwned + Default>(
        &mut self,
        path: &str,
        table: &DeTable<'t>,
        at: &Item<'t>,
    ) -> T {
        let mut good = DeTable::new();
        for (key, value) in table {
            let mut alone = DeTable::new();
            alone.insert(key.clone(), value.clone());
            let before = self.faults.len();
            if self.value::<T>(path, &Spanned::new(at.span(), DeValue::Table(alone))).is_some() {
                good.insert(key.clone(), value.clone());
            } else if let Some(fault) = self.faults.get_mut(before).filter(|fault| fault.path == path) {
                // A name that is not known is a fault of the table, which says too little.
                fault.path = format!("{path}.{}", key.get_ref());
                fault.line = Some(line_at(self.text, key.span().start));
            }
        }
        self.value(path, &Spanned::new(at.span(), DeValue::Table(good))).unwrap_or_default()
    }

    fn load(&mut self, value: &Item<'t>) -> Load {
        let DeValue::Table(table) = value.get_ref() else {
            self.fault("load", "must be a table, written [load]".to_owned(), value.span().start);
            return Load::default();
        };
        let mut rest = table.clone();
        let (kind, seed) = (rest.remove("kind"), rest.remove("seed"));
        let seed = seed.and_then(|seed| self.value("load.seed", &seed));
        let chosen: Option<String> = kind.as_ref().and_then(|kind| self.value("load.kind", kind));
        let what = match chosen.as_deref().unwrap_or("vmplaces") {
            "vmplaces" => What::Vmplaces(self.settings("load", &rest, value)),
            "gaussian" => What::Gaussian(self.settings("load", &rest, value)),
            "poisson" => What::Poisson(self.settings("load", &rest, value)),
            "day-night" => What::DayNight(self.settings("load", &rest, value)),
            "flash-crowd" => What::FlashCrowd(self.settings("load", &rest, value)),
            "constant" => What::Constant(self.settings("load", &rest, value)),
            "arrivals" => What::Arrivals(self.settings("load", &rest, value)),
            "planetlab" => What::Planetlab(self.settings("load", &rest, value)),
            "bitbrains" => What::Bitbrains(self.settings("load", &rest, value)),
            "azure" => What::Azure(self.settings("load", &rest, value)),
            unknown => {
                let at = kind.as_ref().map_or(value.span().start, |kind| kind.span().start);
                self.fault("load.kind", format!("there is no load {unknown:?}; there are {KINDS}"), at);
                What::default()
            }
        };
        Load { seed, what }
    }

    fn runs(&mut self, value: &Item<'t>) -> Vec<Run> {
        let DeValue::Array(items) = value.get_ref() else {
            self.fault(
                "run",
                "must be a list of tables, each written [[run]]".to_owned(),
                value.span().start,
            );
            return Vec::new();
        };
        let run = |(i, item): (usize, &Item<'t>)| self.run(&format!("run[{i}]"), item);
        items.iter().enumerate().filter_map(run).collect()
    }

    fn run(&mut self, path: &str, item: &Item<'t>) -> Option<Run> {
        let DeValue::Table(table) = item.get_ref() else {
            self.fault(path, "must be a table, written [[run]]".to_owned(), item.span().start);
            return None;
        };
        let mut rest = table.clone();
        let mut take = |name: &str| rest.remove(name);
        let (strategy, name, compute) = (take("strategy"), take("name"), take("compute"));
        let Some(strategy) = strategy else {
            self.fault(path, format!("says no strategy; there are {NAMES}"), item.span().start);
            return None;
        };
        let chosen: String = self.value(&format!("{path}.strategy"), &strategy)?;
        let choice = match chosen.as_str() {
            "none" => {
                self.settings::<NoSettings>(path, &rest, item);
                Choice::None
            }
            "centralised" => Choice::Centralised(self.settings(path, &rest, item)),
            "hierarchical" => Choice::Hierarchical(self.settings(path, &rest, item)),
            "dvms" => Choice::Dvms(self.settings(path, &rest, item)),
            "dvms-classic" => Choice::DvmsClassic(self.settings(path, &rest, item)),
            "drs" => Choice::Drs(self.settings(path, &rest, item)),
            "gossip" => Choice::Gossip(self.settings(path, &rest, item)),
            "ecocloud" => Choice::Ecocloud(self.settings(path, &rest, item)),
            "p2p" => Choice::P2p(self.settings(path, &rest, item)),
            "scouts" => Choice::Scouts(self.settings(path, &rest, item)),
            "mcda" => Choice::Mcda(self.settings(path, &rest, item)),
            "balancer" => Choice::Balancer(self.settings(path, &rest, item)),
            unknown => {
                let message = format!("there is no strategy {unknown:?}; there are {NAMES}");
                self.fault(&format!("{path}.strategy"), message, strategy.span().start);
                return None;
            }
        };
        let name = name.and_then(|name| self.value(&format!("{path}.name"), &name)).unwrap_or(chosen);
        let compute = compute.and_then(|compute| self.value(&format!("{path}.compute"), &compute));
        Some(Run { name, choice, compute })
    }
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NoSettings {}
