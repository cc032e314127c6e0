//! What one side has no words for.

use std::collections::{BTreeMap, BTreeSet};

/// One thing that cannot be said on the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// What it is called, to leave it out.
    pub feature: String,
    /// How often it occurs.
    pub count: usize,
    /// Where it occurs first, as a JSON path of the file.
    pub path: String,
    /// Why it cannot be said, of the first.
    pub message: String,
}

/// All of them, by name of the feature. Not empty, when it is an error.
#[derive(Debug, Clone, PartialEq, Eq, Default, thiserror::Error)]
#[error("{} cannot be expressed on the other side", .0.iter().map(|gap| gap.feature.as_str()).collect::<Vec<_>>().join(", "))]
pub struct Gaps(pub Vec<Gap>);

/// Collects gaps, save those that are to be left out.
#[derive(Debug)]
pub(super) struct Collector<'a> {
    leave_out: &'a BTreeSet<String>,
    left_out: BTreeSet<String>,
    gaps: BTreeMap<String, Gap>,
    notes: Vec<String>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(leave_out: &'a BTreeSet<String>) -> Self {
        Self { leave_out, left_out: BTreeSet::new(), gaps: BTreeMap::new(), notes: Vec::new() }
    }

    /// Notes something that cannot be said.
    pub(super) fn cannot(&mut self, feature: &str, path: impl Into<String>, message: impl Into<String>) {
        if self.leave_out.contains(feature) {
            self.left_out.insert(feature.to_owned());
            return;
        }
        let first =
            || Gap { feature: feature.to_owned(), count: 0, path: path.into(), message: message.into() };
        self.gaps.entry(feature.to_owned()).or_insert_with(first).count += 1;
    }

    /// Notes what is not carried over although nothing depends on it, or what means something else here.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// What there is to know, if all can be said.
    ///
    /// # Errors
    /// What cannot.
    pub(super) fn finish(self) -> Result<Vec<String>, Gaps> {
        if !self.gaps.is_empty() {
            return Err(Gaps(self.gaps.into_values().collect()));
        }
        let mut notes: Vec<String> =
            self.left_out.iter().map(|feature| format!("left out as asked: {feature}")).collect();
        let unused = self.leave_out.difference(&self.left_out);
        notes.extend(unused.map(|feature| format!("there is no {feature} to leave out")));
        notes.extend(self.notes);
        Ok(notes)
    }
}
