//! Goes through every step of every migration and says what must never happen and did: what a look at the
//! world now and then could miss.

use super::super::truth::listing;
use dvms_agent::hypervisor::simulated::{Resident, Step, StepKind};
use std::collections::{BTreeMap, BTreeSet};

/// Knows where every VM has a place, step by step.
#[derive(Debug)]
pub(super) struct Witness {
    /// MiB of each host.
    memory: BTreeMap<String, i64>,
    /// MiB of each VM.
    sizes: BTreeMap<String, i64>,
    /// Host → the VMs that have a place there: those that run, and those on their way in.
    places: BTreeMap<String, BTreeSet<String>>,
    /// VM → where it runs.
    homes: BTreeMap<String, String>,
    /// Rule → VMs of which no two may be on one host.
    apart: BTreeMap<String, BTreeSet<String>>,
    /// Last step that was looked at.
    seen: u64,
    begun: usize,
    arrived: usize,
    failed: usize,
    harm: Vec<String>,
}

impl Witness {
    /// A witness of everything from now on.
    pub(super) fn new(
        memory: BTreeMap<String, i64>,
        residents: &[Resident],
        apart: BTreeMap<String, BTreeSet<String>>,
    ) -> Self {
        let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for resident in residents {
            places.entry(resident.host.clone()).or_default().insert(resident.vm.clone());
        }
        Self {
            memory,
            sizes: residents.iter().map(|r| (r.vm.clone(), r.memory_mib)).collect(),
            places,
            homes: residents.iter().map(|r| (r.vm.clone(), r.host.clone())).collect(),
            apart,
            seen: 0,
            begun: 0,
            arrived: 0,
            failed: 0,
            harm: Vec::new(),
        }
    }

    /// The last step that was looked at.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Migrations that arrived, and that failed.
    pub(super) fn ended(&self) -> (usize, usize) {
        (self.arrived, self.failed)
    }

    /// What must never happen and did.
    pub(super) fn harm(&self) -> &[String] {
        &self.harm
    }

    /// Looks at the steps that follow those seen.
    pub(super) fn look(&mut self, steps: &[Step]) {
        for step in steps {
            if step.number != self.seen + 1 {
                let (from, to) = (self.seen + 1, step.number - 1);
                self.harm.push(format!("steps {from} to {to} were not seen: nothing can be said of them"));
            }
            self.seen = step.number;
            self.take(step);
        }
    }

    /// That the world now is what the steps have made of it.
    pub(super) fn compare(&mut self, residents: &[Resident]) {
        let mut running: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
        for resident in residents.iter().filter(|resident| resident.runs) {
            running.entry(&resident.vm).or_default().insert(&resident.host);
        }
        for (vm, home) in &self.homes {
            let hosts = running.remove(vm).unwrap_or_default();
            if hosts.len() != 1 || !hosts.contains(home) {
                let hosts = if hosts.is_empty() { "nowhere".to_owned() } else { listing(hosts) };
                self.harm.push(format!("{vm} should run on {home} and runs on {hosts}"));
            }
        }
        self.harm.extend(running.into_keys().map(|vm| format!("{vm} has come from nowhere")));
    }

    fn take(&mut self, step: &Step) {
        let Step { vm, source, destination, at_s, .. } = step;
        if self.homes.get(vm) != Some(source) {
            let home = self.homes.get(vm).map_or("nowhere", String::as_str);
            self.harm.push(format!("after {at_s:.1} s {vm} left {source}, but ran on {home}"));
        }
        match step.kind {
            StepKind::Begun => {
                self.begun += 1;
                self.places.entry(destination.clone()).or_default().insert(vm.clone());
                self.judge(destination, *at_s);
            }
            StepKind::Arrived => {
                self.arrived += 1;
                self.leave(source, vm);
                self.homes.insert(vm.clone(), destination.clone());
            }
            StepKind::Failed => {
                self.failed += 1;
                self.leave(destination, vm);
            }
        }
    }

    fn leave(&mut self, host: &str, vm: &str) {
        if let Some(vms) = self.places.get_mut(host) {
            vms.remove(vm);
        }
    }

    /// A host after a VM was given a place on it.
    fn judge(&mut self, host: &str, at_s: f64) {
        let here = self.places.get(host).cloned().unwrap_or_default();
        let held: i64 = here.iter().filter_map(|vm| self.sizes.get(vm)).sum();
        let has = self.memory.get(host).copied().unwrap_or(0);
        if held > has {
            self.harm.push(format!("after {at_s:.1} s the VMs of {host} held {held} MiB of {has}"));
        }
        for (rule, vms) in &self.apart {
            let together: Vec<_> = vms.intersection(&here).collect();
            if together.len() > 1 {
                let together = listing(together);
                self.harm.push(format!("after {at_s:.1} s {together} were together on {host}: {rule}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident(vm: &str, host: &str) -> Resident {
        Resident { vm: vm.into(), host: host.into(), runs: true, wanted_millicores: 100, memory_mib: 10 }
    }

    fn residents() -> Vec<Resident> {
        vec![resident("v", "a"), resident("w", "b")]
    }

    fn witness() -> Witness {
        let memory = ["a", "b", "c"].map(|host| (host.to_owned(), 15)).into();
        let apart = BTreeMap::from([("apart".to_owned(), BTreeSet::from(["v".to_owned(), "w".to_owned()]))]);
        Witness::new(memory, &residents(), apart)
    }

    fn steps(kinds: &[(StepKind, &str, &str, &str)]) -> Vec<Step> {
        let step = |(i, (kind, vm, source, destination)): (usize, &(StepKind, &str, &str, &str))| Step {
            number: i as u64 + 1,
            at_s: 1.0,
            vm: (*vm).into(),
            source: (*source).into(),
            destination: (*destination).into(),
            kind: *kind,
        };
        kinds.iter().enumerate().map(step).collect()
    }

    #[test]
    fn moves_in_order_are_no_harm() {
        let mut witness = witness();
        let all = steps(&[
            (StepKind::Begun, "v", "a", "c"),
            (StepKind::Arrived, "v", "a", "c"),
            (StepKind::Begun, "w", "b", "a"),
            (StepKind::Failed, "w", "b", "a"),
        ]);
        witness.look(&all[..3]);
        witness.look(&all[3..]);
        witness.compare(&[resident("v", "c"), resident("w", "b")]);
        assert_eq!(witness.harm(), [""; 0]);
        assert_eq!((witness.seen(), witness.begun, witness.ended()), (4, 2, (1, 1)));
    }

    #[test]
    fn a_rule_broken_for_an_instant_is_seen() {
        let mut witness = witness();
        witness.look(&steps(&[(StepKind::Begun, "v", "a", "b"), (StepKind::Failed, "v", "a", "b")]));
        let harm = witness.harm();
        assert!(harm[0].contains("held 20 MiB of 15"), "{harm:?}");
        assert!(harm[1].contains("v, w were together on b"), "{harm:?}");
        assert_eq!(harm.len(), 2);
    }

    #[test]
    fn gaps_double_lives_and_lost_vms_are_seen() {
        let mut gap = witness();
        gap.look(&steps(&[(StepKind::Begun, "v", "a", "c"), (StepKind::Arrived, "v", "a", "c")])[1..]);
        assert!(gap.harm()[0].contains("steps 1 to 1"), "{:?}", gap.harm());
        let mut wrong = witness();
        wrong.look(&steps(&[(StepKind::Begun, "v", "b", "c")]));
        assert!(wrong.harm()[0].contains("v left b, but ran on a"), "{:?}", wrong.harm());
        let mut doubled = witness();
        doubled.compare(&[residents(), vec![resident("v", "c")]].concat());
        assert!(doubled.harm()[0].contains("v should run on a and runs on a, c"), "{:?}", doubled.harm());
        let mut lost = witness();
        lost.compare(&residents()[1..]);
        assert!(lost.harm()[0].contains("v should run on a and runs on nowhere"), "{:?}", lost.harm());
    }
}
