//! The operator's rules: those of the configuration file, and those that can be changed while coordinators run. The latter
//! are kept in etcd where that tells the members of a ring, and in the state directory of a coordinator that is alone. All
//! hold. A rule of the file goes before a kept one of the same name.

mod judge;
#[cfg(test)]
mod tests;

pub use judge::faults;

use super::settings::Ring;
use crate::store::KeptRules;
use dvms_solver::file::{self, Constraint};
use std::collections::{BTreeMap, BTreeSet};

/// Where rules are that can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// In the state directory: this coordinator is alone.
    #[default]
    Here,
    /// In etcd, for all members.
    Etcd,
    /// There are none: of several coordinators with a fixed list of members none can tell all others.
    Files,
}

impl Place {
    /// Where the rules of a ring are.
    #[must_use]
    pub fn of(ring: &Ring) -> Self {
        if !ring.etcd.endpoints.is_empty() {
            Self::Etcd
        } else if ring.members.len() > 1 {
            Self::Files
        } else {
            Self::Here
        }
    }
}

/// The rules that are in force, and those that are not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policies {
    /// Where rules can be changed.
    pub place: Place,
    /// Of the configuration file.
    pub files: Vec<Constraint>,
    /// The others that are in force, and their revision.
    pub kept: KeptRules,
    /// Those of the others that are not as they are kept, and why.
    pub refused: BTreeMap<String, String>,
}

/// A fault: where it is, and what is wrong.
pub type Wrong = (String, String);

impl Policies {
    /// Those of the file, and those last known of the others.
    #[must_use]
    pub fn new(place: Place, files: Vec<Constraint>, kept: KeptRules) -> Self {
        let mut policies = Self { place, files, ..Self::default() };
        if place != Place::Files {
            policies
                .take(kept.revision, kept.rules.into_iter().map(|(name, rule)| (name, Ok(rule))).collect());
        }
        policies
    }

    /// All that are in force.
    #[must_use]
    pub fn in_force(&self) -> Vec<Constraint> {
        self.files.iter().chain(self.kept.rules.values()).cloned().collect()
    }

    /// These are kept now. One that cannot be used leaves the one of before in force.
    pub fn told(&mut self, revision: u64, rules: BTreeMap<String, String>) {
        if revision == 0 && rules.is_empty() {
            // Nobody has ever changed rules there: it is a new one, or has lost what it had.
            let why = "there are no rules in etcd, and never were: this one, last known, stays in force until it has some; \
                       keep it again";
            self.refused = self.kept.rules.keys().map(|name| (name.clone(), why.to_owned())).collect();
            return;
        }
        let rules = rules.into_iter().map(|(name, text)| {
            let rule = read(&name, &text);
            (name, rule)
        });
        self.take(revision, rules.collect());
    }

    fn take(&mut self, revision: u64, rules: BTreeMap<String, Result<Constraint, String>>) {
        self.refused.clear();
        let mut before = std::mem::take(&mut self.kept.rules);
        for (name, rule) in rules {
            let of_file = self.files.iter().any(|rule| rule.name == name);
            match rule {
                _ if of_file => {
                    let why =
                        "the configuration file of this coordinator has a rule of this name, which holds";
                    self.refused.insert(name, why.to_owned());
                }
                Ok(rule) => _ = self.kept.rules.insert(name, rule),
                Err(why) => match before.remove(&name) {
                    Some(rule) => {
                        self.refused.insert(name.clone(), format!("{why}; the one of before stays in force"));
                        self.kept.rules.insert(name, rule);
                    }
                    None => _ = self.refused.insert(name, why),
                },
            }
        }
        self.kept.revision = revision;
    }

    /// What speaks against keeping these rules: places are `rules[2].spread`.
    #[must_use]
    pub fn judge(&self, rules: &[Constraint]) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        faults(rules, &mut |path, message| {
            let path =
                path.strip_prefix("constraints").map_or(path.to_owned(), |rest| format!("rules{rest}"));
            wrong.push((path, message));
        });
        for (i, rule) in rules.iter().enumerate() {
            if self.files.iter().any(|other| other.name == rule.name) {
                let message = format!(
                    "the configuration file of this coordinator has a rule {:?}: change it there, or choose another name",
                    rule.name
                );
                wrong.push((format!("rules[{i}].name"), message));
            }
        }
        wrong
    }

    /// What has become of the others since `before`, for people; empty = nothing.
    #[must_use]
    pub fn news(&self, before: &Self) -> String {
        let names = |of: &Self| of.kept.rules.keys().cloned().collect::<BTreeSet<_>>();
        let (was, is) = (names(before), names(self));
        let list = |names: Vec<&String>| names.into_iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let changed = is.intersection(&was).filter(|name| self.kept.rules[*name] != before.kept.rules[*name]);
        let said = [
            ("new", list(is.difference(&was).collect())),
            ("changed", list(changed.collect())),
            ("gone", list(was.difference(&is).collect())),
        ];
        let said = said.into_iter().filter(|(_, names)| !names.is_empty());
        said.map(|(word, names)| format!("{word}: {names}")).collect::<Vec<_>>().join("; ")
    }
}

/// A rule as it is kept, judged.
fn read(name: &str, text: &str) -> Result<Constraint, String> {
    let rule: Constraint = file::read(text).map_err(|error| format!("it cannot be read: {error}"))?;
    if rule.name != name {
        return Err(format!("name: it is kept as {name:?} and says {:?}", rule.name));
    }
    let mut wrong = Vec::new();
    faults(std::slice::from_ref(&rule), &mut |path, message| {
        let path = path.strip_prefix("constraints[0]").unwrap_or(path).trim_start_matches('.');
        wrong.push(if path.is_empty() { message } else { format!("{path}: {message}") });
    });
    if wrong.is_empty() { Ok(rule) } else { Err(wrong.join("; ")) }
}

/// A rule as it is kept.
#[must_use]
pub fn write(rule: &Constraint) -> String {
    // Rules have a JSON form: strings, numbers and lists of them.
    serde_json::to_string(rule).unwrap_or_default()
}
