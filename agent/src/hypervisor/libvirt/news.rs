//! What libvirt's events leave behind for the next sample. Filled on libvirt's threads, so nothing here waits
//! or calls libvirt.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::ffi::{Event, Fields};

/// Shared between the event handler, the sampler and the migrations.
#[derive(Default)]
pub(super) struct News {
    changed: Notify,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    /// VMs whose facts must be read again.
    stale: BTreeSet<String>,
    /// All of them, and their jobs: events may have been missed.
    all_stale: bool,
    /// VMs that have begun to migrate out.
    migrating: BTreeSet<String>,
    /// VMs that this agent migrates, and the figures of their end.
    own: BTreeMap<String, Option<Fields>>,
}

impl News {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves at the first news since it last did.
    pub(super) async fn wait(&self) {
        self.changed.notified().await;
    }

    /// Takes an event in.
    pub(super) fn note(&self, event: Event) {
        let mut noted = self.noted();
        match event {
            Event::Lifecycle { uuid, .. } => drop(noted.stale.insert(uuid)),
            Event::MigrationIteration { uuid, .. } => {
                if !noted.migrating.insert(uuid) {
                    return; // a further pass is no news
                }
            }
            Event::JobCompleted { uuid, figures } => {
                if let Some(end) = noted.own.get_mut(&uuid) {
                    *end = Some(figures);
                }
            }
            Event::Closed(_) => noted.all_stale = true,
        }
        drop(noted);
        self.changed.notify_one();
    }

    /// A new connection: everything must be read again.
    pub(super) fn connected(&self) {
        self.noted().all_stale = true;
    }

    /// VMs to read again, and whether all must be.
    pub(super) fn take_stale(&self) -> (bool, BTreeSet<String>) {
        let mut noted = self.noted();
        (mem::take(&mut noted.all_stale), mem::take(&mut noted.stale))
    }

    /// VMs that may be migrating out.
    pub(super) fn migrating(&self) -> BTreeSet<String> {
        let noted = self.noted();
        noted.migrating.iter().chain(noted.own.keys()).cloned().collect()
    }

    /// This VM has no outgoing job (any more).
    pub(super) fn no_longer_migrating(&self, uuid: &str) {
        self.noted().migrating.remove(uuid);
    }

    /// Takes a place for a migration of this agent's own. `Err` = `limit` of them run, or this VM's does.
    pub(super) fn begin(&self, uuid: &str, limit: usize) -> Result<(), String> {
        let mut noted = self.noted();
        if noted.own.contains_key(uuid) {
            return Err("this agent is migrating it already".into());
        }
        if noted.own.len() >= limit {
            return Err(format!("{} migrations run, the limit is {limit}", noted.own.len()));
        }
        noted.own.insert(uuid.to_owned(), None);
        Ok(())
    }

    /// Figures of this agent's migration, once libvirt has sent them.
    pub(super) fn figures(&self, uuid: &str) -> Option<Fields> {
        self.noted().own.get(uuid).cloned().flatten()
    }

    /// The migration's call has ended.
    pub(super) fn end(&self, uuid: &str) {
        self.noted().own.remove(uuid);
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::libvirt::ffi::CloseReason;

    #[test]
    fn places_are_bounded_and_given_back() {
        let news = News::default();
        news.begin("a", 2).unwrap();
        assert!(news.begin("a", 2).unwrap_err().contains("already"));
        news.begin("b", 2).unwrap();
        assert!(news.begin("c", 2).unwrap_err().contains("limit is 2"));
        news.end("a");
        news.begin("c", 2).unwrap();
    }

    #[test]
    fn figures_are_kept_only_for_own_migrations() {
        let news = News::default();
        let done = |uuid: &str| Event::JobCompleted { uuid: uuid.into(), figures: Fields::default() };
        news.note(done("someone's"));
        assert_eq!(news.figures("someone's"), None);
        news.begin("a", 1).unwrap();
        news.note(done("a"));
        assert!(news.figures("a").is_some());
    }

    #[tokio::test]
    async fn a_lost_connection_makes_all_stale_once() {
        let news = News::default();
        news.note(Event::Closed(CloseReason::EndOfFile));
        news.wait().await;
        assert!(news.take_stale().0);
        assert!(!news.take_stale().0);
    }
}
