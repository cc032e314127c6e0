//! From TOML text to settings. Each key is read for itself, so that one fault does not hide the next.

use super::{Config, Fault};
use crate::lines::{line_at, place_of};
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const SECTIONS: &str = "state_dir, server, metrics, log, solve, inventory, detection, planning, execution, migration, ring, constraints";

/// The settings that can be read, and the faults of the others.
pub(super) fn read(text: &str) -> (Config, Vec<Fault>) {
    let mut config = Config::default();
    let (document, syntax) = DeTable::parse_recoverable(text);
    let mut reader = Reader { text, faults: Vec::new() };
    for error in &syntax {
        reader.fault("", error);
    }
    if !syntax.is_empty() {
        return (config, reader.faults);
    }
    for (key, value) in document.get_ref() {
        match key.get_ref().as_ref() {
            "state_dir" => config.state_dir = reader.value("state_dir", value).unwrap_or(config.state_dir),
            "server" => config.server = reader.section("server", value),
            "metrics" => config.metrics = reader.section("metrics", value),
            "log" => config.log = reader.section("log", value),
            "solve" => config.solve = reader.section("solve", value),
            "inventory" => config.inventory = reader.section("inventory", value),
            "detection" => config.detection = reader.section("detection", value),
            "planning" => config.planning = reader.section("planning", value),
            "execution" => config.execution = reader.section("execution", value),
            "migration" => config.migration = reader.section("migration", value),
            "ring" => config.ring = reader.section("ring", value),
            "constraints" => config.constraints = reader.list("constraints", value),
            unknown => {
                let line = Some(line_at(text, key.span().start));
                let message = format!("there is no such setting; there are {SECTIONS}");
                reader.faults.push(Fault { line, path: unknown.to_owned(), message });
            }
        }
    }
    (config, reader.faults)
}

struct Reader<'t> {
    text: &'t str,
    faults: Vec<Fault>,
}

impl<'t> Reader<'t> {
    fn fault(&mut self, path: &str, error: &toml::de::Error) {
        let line = error.span().map(|span| line_at(self.text, span.start));
        let message = error.message().trim().to_owned();
        self.faults.push(Fault { line, path: path.to_owned(), message });
    }

    fn value<T: DeserializeOwned>(&mut self, path: &str, value: &Spanned<DeValue<'t>>) -> Option<T> {
        let reader = toml::de::ValueDeserializer::from(value.clone());
        match serde_path_to_error::deserialize(reader) {
            Ok(value) => Some(value),
            Err(error) => {
                let inner = error.path().to_string();
                let path = if inner == "." { path.to_owned() } else { format!("{path}.{inner}") };
                self.fault(&path, error.inner());
                // An error without a place is at least in this value.
                if let Some(fault) = self.faults.last_mut() {
                    fault.line.get_or_insert(line_at(self.text, value.span().start));
                }
                None
            }
        }
    }

    /// A table whose keys all have defaults.
    fn section<T: DeserializeOwned + Default>(&mut self, path: &str, value: &Spanned<DeValue<'t>>) -> T {
        let DeValue::Table(table) = value.get_ref() else {
            let line = Some(line_at(self.text, value.span().start));
            let message = format!("must be a table, written [{path}]");
            self.faults.push(Fault { line, path: path.to_owned(), message });
            return T::default();
        };
        let mut good = DeTable::new();
        for (key, value) in table {
            let mut alone = DeTable::new();
            alone.insert(key.clone(), value.clone());
            let alone = Spanned::new(value.span(), DeValue::Table(alone));
            if self.value::<T>(path, &alone).is_some() {
                good.insert(key.clone(), value.clone());
            } else if let Some(fault) = self.faults.last_mut().filter(|fault| fault.path == path) {
                // A name that is not known is a fault of the table, which says too little.
                fault.path = format!("{path}.{}", key.get_ref());
                fault.line = Some(line_at(self.text, key.span().start));
            }
        }
        let good = Spanned::new(value.span(), DeValue::Table(good));
        self.value(path, &good).unwrap_or_default()
    }

    fn list<T: DeserializeOwned>(&mut self, path: &str, value: &Spanned<DeValue<'t>>) -> Vec<T> {
        let DeValue::Array(items) = value.get_ref() else {
            let line = Some(line_at(self.text, value.span().start));
            let message = format!("must be a list of tables, each written [[{path}]]");
            self.faults.push(Fault { line, path: path.to_owned(), message });
            return Vec::new();
        };
        let item = |(i, item): (usize, &Spanned<DeValue<'t>>)| self.value(&format!("{path}[{i}]"), item);
        items.iter().enumerate().filter_map(item).collect()
    }
}

/// The line of a setting by its path (`server.listen`, `constraints[2].spread`); `None` when the text does
/// not set it. Where the path goes on below what is there, the line of the innermost thing that is.
pub(super) fn line_of_setting(text: &str, path: &str) -> Option<usize> {
    let place = place_of(text, path)?;
    // A setting that the section does not set has no line of its own.
    (place.whole || path.contains('[')).then_some(place.line)
}
