//! Looks at all hypervisors, many times a second, past dvms and its agents.

use super::super::truth::listing;
use super::meter::Meter;
use super::virsh::Virsh;
use anyhow::{Context as _, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Between two rounds.
const EACH: Duration = Duration::from_millis(50);
/// Rounds from one look at the counters to the next.
const COUNT_EACH: usize = 8;
/// A round that is older says nothing about now.
const FRESH: Duration = Duration::from_secs(10);

/// What was seen.
#[derive(Debug, Default)]
struct Seen {
    /// VM → the hosts on which it ran in the last round.
    running: BTreeMap<String, BTreeSet<String>>,
    /// VM → where it was last seen alone.
    homes: BTreeMap<String, String>,
    meter: Meter,
    rounds: usize,
    arrived: usize,
    harm: BTreeSet<String>,
    at: Option<Instant>,
    failed: Option<String>,
}

/// Watches until it is dropped.
pub(super) struct Watcher {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
}

impl Watcher {
    /// Begins to watch hosts, given with their URIs. `apart`: rule → VMs of which no two may be on one host, not
    /// even on their way.
    ///
    /// # Errors
    /// A hypervisor cannot be reached.
    pub(super) fn start(
        hosts: &[(String, String)],
        apart: BTreeMap<String, BTreeSet<String>>,
    ) -> anyhow::Result<Self> {
        let connect = |(host, uri): &(String, String)| {
            let virsh = Virsh::connect(uri).with_context(|| format!("cannot look at {host}"))?;
            anyhow::Ok((host.clone(), virsh))
        };
        let mut eyes = hosts.iter().map(connect).collect::<Result<Vec<_>, _>>()?;
        let this = Self { seen: Arc::default(), stop: Arc::default() };
        let (seen, stop) = (Arc::clone(&this.seen), Arc::clone(&this.stop));
        let watch = move || {
            let begun = Instant::now();
            for round in 0.. {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let looked = look(&mut eyes, round % COUNT_EACH == 0);
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                match looked {
                    Ok((vms, used)) => {
                        seen.take(vms, &apart);
                        seen.count(used, begun.elapsed());
                    }
                    Err(error) => {
                        seen.failed = Some(format!("{error:#}"));
                        return;
                    }
                }
                drop(seen);
                thread::sleep(EACH);
            }
        };
        thread::Builder::new().name("watcher".into()).spawn(watch).context("cannot start a thread")?;
        Ok(this)
    }

    /// Where each VM runs, and the milli-cores that it uses.
    ///
    /// # Errors
    /// A hypervisor does not answer.
    pub(super) fn running(&self) -> anyhow::Result<BTreeMap<String, (BTreeSet<String>, i64)>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match (&seen.failed, seen.at) {
            (Some(why), _) => bail!("{why}"),
            (None, Some(at)) if at.elapsed() > FRESH => {
                bail!("the hypervisors have not answered for {} s", at.elapsed().as_secs())
            }
            (None, _) => {
                let used = |(vm, hosts): (&String, &BTreeSet<String>)| {
                    (vm.clone(), (hosts.clone(), seen.meter.millicores(vm)))
                };
                Ok(seen.running.iter().map(used).collect())
            }
        }
    }

    /// How often all hosts were looked at, how many VMs were seen to arrive, and what must never be and was.
    pub(super) fn account(&self) -> (usize, usize, Vec<String>) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.rounds, seen.arrived, seen.harm.iter().cloned().collect())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// Of each host the VMs that are there with whether they run, and what they have used so far.
type Look = (Vec<(String, BTreeMap<String, bool>)>, Vec<(String, BTreeMap<String, u64>)>);

fn look(eyes: &mut [(String, Virsh)], counters: bool) -> anyhow::Result<Look> {
    let (mut vms, mut used) = (Vec::new(), Vec::new());
    for (host, virsh) in eyes {
        vms.push((host.clone(), virsh.list().with_context(|| format!("cannot look at {host}"))?));
        if counters {
            used.push((host.clone(), virsh.cpu_ns().with_context(|| format!("cannot look at {host}"))?));
        }
    }
    Ok((vms, used))
}

impl Seen {
    /// Counters of hosts: those of VMs that live there alone tell what they use.
    fn count(&mut self, used: Vec<(String, BTreeMap<String, u64>)>, at: Duration) {
        for (host, vms) in used {
            for (vm, cpu_ns) in vms.into_iter().filter(|(vm, _)| self.homes.get(vm) == Some(&host)) {
                self.meter.take(&vm, &host, at, cpu_ns);
            }
        }
    }

    /// One round: hosts with the VMs that are there, and whether they run.
    fn take(
        &mut self,
        round: Vec<(String, BTreeMap<String, bool>)>,
        apart: &BTreeMap<String, BTreeSet<String>>,
    ) {
        self.running.clear();
        for (host, vms) in round {
            let here: BTreeSet<String> = vms.keys().cloned().collect();
            for (rule, set) in apart {
                let together: Vec<_> = set.intersection(&here).collect();
                if together.len() > 1 {
                    self.harm.insert(format!("{} were together on {host}: {rule}", listing(together)));
                }
            }
            for vm in vms.into_iter().filter(|(_, runs)| *runs).map(|(vm, _)| vm) {
                self.running.entry(vm).or_default().insert(host.clone());
            }
        }
        for (vm, hosts) in self.running.iter().filter(|(_, hosts)| hosts.len() == 1) {
            let Some(host) = hosts.first() else { continue };
            if self.homes.insert(vm.clone(), host.clone()).is_some_and(|before| before != *host) {
                self.arrived += 1;
            }
        }
        self.rounds += 1;
        self.at = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, vms: &[(&str, bool)]) -> (String, BTreeMap<String, bool>) {
        (name.to_owned(), vms.iter().map(|(vm, runs)| ((*vm).to_owned(), *runs)).collect())
    }

    #[test]
    fn arrivals_are_counted_and_vms_on_their_way_count_for_rules() {
        let apart = BTreeMap::from([("apart".to_owned(), BTreeSet::from(["v".to_owned(), "w".to_owned()]))]);
        let mut seen = Seen::default();
        seen.take(vec![host("a", &[("v", true)]), host("b", &[("w", true)])], &apart);
        // Both hosts are not looked at in the same instant: a VM seen twice is on its way.
        seen.take(
            vec![host("a", &[("v", true)]), host("b", &[("w", true)]), host("c", &[("v", true)])],
            &apart,
        );
        assert_eq!((seen.arrived, seen.harm.len(), seen.running["v"].len()), (0, 0, 2));
        seen.take(vec![host("a", &[]), host("b", &[("w", true)]), host("c", &[("v", true)])], &apart);
        assert_eq!((seen.arrived, seen.rounds), (1, 3));
        seen.take(vec![host("b", &[("w", true), ("v", false)]), host("c", &[("v", true)])], &apart);
        assert_eq!(seen.harm.iter().collect::<Vec<_>>(), ["v, w were together on b: apart"]);
    }
}
