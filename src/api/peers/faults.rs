//! Why links to other members do not stand, for people.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// By member. Clones are the same.
#[derive(Clone, Default)]
pub(in crate::api) struct Faults(Arc<Mutex<BTreeMap<String, String>>>);

impl Faults {
    /// Why the link to a member does not stand. True when that is news.
    pub(super) fn set(&self, member: &str, why: &str) -> bool {
        self.all().insert(member.to_owned(), why.to_owned()).is_none_or(|before| before != why)
    }

    /// It stands.
    pub(super) fn clear(&self, member: &str) {
        self.all().remove(member);
    }

    /// Why the link to a member does not stand; empty where it does, or was not tried yet.
    pub(super) fn of(&self, member: &str) -> String {
        self.all().get(member).cloned().unwrap_or_default()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
