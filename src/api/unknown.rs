//! Messages of kinds that this version does not know: a newer one may send them, and all else that it says is still true.
//! They are passed over, counted, and told once.

use crate::coordinator::{Coordinator, Teller};
use std::collections::BTreeSet;

/// Kinds that are told of one stream; more are counted only.
const MOST_TOLD: usize = 16;
/// A name of a kind is no longer.
const LONGEST: usize = 64;

/// What is passed over of one stream.
pub(super) struct Unknown {
    coordinator: Coordinator,
    teller: Teller,
    who: String,
    told: BTreeSet<String>,
}

impl Unknown {
    /// Of what this one says.
    pub(super) fn of(coordinator: Coordinator, teller: Teller, who: &str) -> Self {
        Self { coordinator, teller, who: who.to_owned(), told: BTreeSet::new() }
    }

    /// Passes a message over.
    pub(super) fn pass_over(&mut self, kind: &str) {
        self.coordinator.passed_over(self.teller);
        let kind: String = kind.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        if self.told.len() < MOST_TOLD && self.told.insert(kind.clone()) {
            tracing::warn!(
                from = self.who,
                kind,
                "it says what this version does not know, and is perhaps newer: that is passed over, now and later"
            );
        }
    }
}
