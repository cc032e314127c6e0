//! Where VMs live and lived: tells what moved, came and went without our doing, and what lives twice. A move is
//! reported by two hosts, one after the other, so that nothing is said before it has settled.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a VM may be nowhere, or on two hosts, before that is believed.
const BELIEVED_AFTER: Duration = Duration::from_secs(5);

/// What has become of a VM without our doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It lives on another host than before.
    Moved { vm: String, from: String, to: String },
    /// It is new here.
    Came { vm: String, host: String },
    /// It is nowhere.
    Went { vm: String, host: String },
    /// It lives on several hosts.
    Doubled { vm: String, hosts: Vec<String> },
}

/// Where VMs live.
#[derive(Debug, Default)]
pub(super) struct Homes {
    now: BTreeMap<String, BTreeSet<String>>,
    /// Where a VM lived when that was last certain.
    settled: BTreeMap<String, String>,
    /// VMs that are on none or several hosts, since when, and whether it was said.
    unsettled: BTreeMap<String, (Duration, bool)>,
    news: Vec<Settled>,
}

impl Homes {
    pub(super) fn only(&self, vm: &str) -> Option<&str> {
        let hosts = self.now.get(vm)?;
        hosts.first().filter(|_| hosts.len() == 1).map(String::as_str)
    }

    pub(super) fn all(&self, vm: &str) -> impl Iterator<Item = &str> {
        self.now.get(vm).into_iter().flatten().map(String::as_str)
    }

    pub(super) fn lives(&self, vm: &str, host: &str) -> bool {
        self.now.get(vm).is_some_and(|hosts| hosts.contains(host))
    }

    /// Our own action has brought a VM from a host (empty = none) to another.
    pub(super) fn moved_by_us(&mut self, vm: &str, from: &str, to: &str) {
        let hosts = self.now.entry(vm.to_owned()).or_default();
        hosts.remove(from);
        hosts.insert(to.to_owned());
        if hosts.len() == 1 {
            self.unsettled.remove(vm);
        }
        self.settled.insert(vm.to_owned(), to.to_owned());
        // Both hosts may have told of it before the action was known to have ended.
        self.news.retain(|news| match news {
            Settled::Moved { vm: moved, to: there, .. } => moved != vm || there != to,
            _ => true,
        });
    }

    /// Where a VM was is not known any more.
    pub(super) fn forget(&mut self, vm: &str) {
        self.now.remove(vm);
        self.settled.remove(vm);
        self.unsettled.remove(vm);
    }

    /// A VM lives on a host, which is no news.
    pub(super) fn place(&mut self, vm: &str, host: &str) {
        self.now.entry(vm.to_owned()).or_default().insert(host.to_owned());
    }

    /// A VM does not count on a host any more, which is no news.
    pub(super) fn leave(&mut self, vm: &str, host: &str) {
        let Some(hosts) = self.now.get_mut(vm) else { return };
        if hosts.remove(host) && hosts.is_empty() {
            self.forget(vm);
        }
    }

    /// A host has spoken about a VM.
    pub(super) fn report(&mut self, vm: &str, host: &str, lives: bool, at: Duration) {
        let mut hosts = self.now.remove(vm).unwrap_or_default();
        if lives {
            hosts.insert(host.to_owned());
        } else {
            hosts.remove(host);
        }
        self.judge(vm, &hosts, at);
        if !hosts.is_empty() {
            self.now.insert(vm.to_owned(), hosts);
        }
    }

    fn judge(&mut self, vm: &str, hosts: &BTreeSet<String>, at: Duration) {
        let (Some(home), 1) = (hosts.first(), hosts.len()) else {
            if !hosts.is_empty() || self.settled.contains_key(vm) {
                self.unsettled.entry(vm.to_owned()).or_insert((at, false));
            }
            return;
        };
        self.unsettled.remove(vm);
        match self.settled.insert(vm.to_owned(), home.clone()) {
            Some(before) if before == *home => {}
            Some(from) => {
                self.news.push(Settled::Moved { vm: vm.to_owned(), from, to: home.clone() });
            }
            None => self.news.push(Settled::Came { vm: vm.to_owned(), host: home.clone() }),
        }
    }

    /// What has settled since the last call.
    pub(super) fn news(&mut self, at: Duration) -> Vec<Settled> {
        let mut gone = Vec::new();
        for (vm, (since, said)) in &mut self.unsettled {
            if *said || at.saturating_sub(*since) < BELIEVED_AFTER {
                continue;
            }
            *said = true;
            match self.now.get(vm) {
                Some(hosts) => {
                    let hosts = hosts.iter().cloned().collect();
                    self.news.push(Settled::Doubled { vm: vm.clone(), hosts });
                }
                None => gone.push(vm.clone()),
            }
        }
        for vm in gone {
            self.unsettled.remove(&vm);
            if let Some(host) = self.settled.remove(&vm) {
                self.news.push(Settled::Went { vm, host });
            }
        }
        std::mem::take(&mut self.news)
    }
}
