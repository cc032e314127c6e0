//! From libvirt's counters to usage: differences of two samples. Pure.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::ffi::Fields;

/// What counts upwards for one VM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// `None` = libvirt does not say: the VM is off, or its statistics could not be read this time.
    pub cpu_ns: Option<u64>,
    pub network_bytes: u64,
}

impl Counters {
    pub(super) fn of(fields: &Fields) -> Self {
        let interfaces = fields.number("net.count").unwrap_or(0).min(1024);
        let bytes = (0..interfaces).flat_map(|i| [format!("net.{i}.rx.bytes"), format!("net.{i}.tx.bytes")]);
        Self {
            cpu_ns: fields.number("cpu.time"),
            network_bytes: bytes.filter_map(|name| fields.number(&name)).sum(),
        }
    }
}

/// Use per time since the sample before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rate {
    pub cpu_millicores: i64,
    pub network_mbits: i64,
}

/// Keeps the last sample.
#[derive(Debug, Default)]
pub(super) struct Meter {
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    at: Instant,
    host_cpu_ns: u64,
    host_millicores: i64,
    vms: BTreeMap<String, Seen>,
}

/// What is kept of a VM.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// CPU time, and when it was read.
    cpu: Option<(Instant, u64)>,
    network_bytes: u64,
    rate: Rate,
}

/// Two samples closer than this give no figure; the last one stands.
const SHORTEST: Duration = Duration::from_millis(100);

impl Meter {
    /// Takes a sample; answers the use of the host's CPU in millicores, and that of each VM by UUID. A VM seen
    /// for the first time, or whose counters have begun anew (a migration), says 0.
    pub(super) fn turn(
        &mut self,
        at: Instant,
        host_cpu_ns: u64,
        vms: BTreeMap<String, Counters>,
    ) -> (i64, BTreeMap<String, Rate>) {
        let mut host_millicores = 0;
        if let Some(last) = &self.last {
            let since = at.saturating_duration_since(last.at);
            if since < SHORTEST {
                let old = |uuid: &String| last.vms.get(uuid).map(|seen| seen.rate).unwrap_or_default();
                return (last.host_millicores, vms.keys().map(|uuid| (uuid.clone(), old(uuid))).collect());
            }
            host_millicores = millicores(last.host_cpu_ns, host_cpu_ns, since);
        }
        let last = self.last.take();
        let before = |uuid: &String| {
            let last = last.as_ref()?;
            Some((last.at, *last.vms.get(uuid)?))
        };
        let now = vms.into_iter().map(|(uuid, counters)| {
            let seen = next(before(&uuid), counters, at);
            (uuid, seen)
        });
        let now: BTreeMap<String, Seen> = now.collect();
        let rates = now.iter().map(|(uuid, seen)| (uuid.clone(), seen.rate)).collect();
        self.last = Some(Last { at, host_cpu_ns, host_millicores, vms: now });
        (host_millicores, rates)
    }
}

fn next(before: Option<(Instant, Seen)>, counters: Counters, at: Instant) -> Seen {
    let cpu = counters.cpu_ns.map(|ns| (at, ns));
    let Some((before_at, before)) = before else {
        return Seen { cpu, network_bytes: counters.network_bytes, rate: Rate::default() };
    };
    let cpu_millicores = match (before.cpu, cpu) {
        (Some((then, old_ns)), Some((_, ns))) => millicores(old_ns, ns, at.saturating_duration_since(then)),
        // Nothing to compare with: not all that the VM has ever used.
        (None, Some(_)) => 0,
        (_, None) => before.rate.cpu_millicores,
    };
    let bytes = counters.network_bytes.saturating_sub(before.network_bytes);
    let since = at.saturating_duration_since(before_at);
    let network_mbits = per(u128::from(bytes) * 8 * 1_000_000_000 / 1_000_000, since);
    Seen {
        cpu: cpu.or(before.cpu),
        network_bytes: counters.network_bytes,
        rate: Rate { cpu_millicores, network_mbits },
    }
}

/// No more than the vCPUs can use, and a tenth for what QEMU itself does.
pub(super) fn plausible(cpu_millicores: i64, vcpus: i64) -> i64 {
    if vcpus > 0 { cpu_millicores.min(vcpus.saturating_mul(1100)) } else { cpu_millicores }
}

fn millicores(before_ns: u64, now_ns: u64, since: Duration) -> i64 {
    per(u128::from(now_ns.saturating_sub(before_ns)) * 1000, since)
}

fn per(amount: u128, since: Duration) -> i64 {
    let ns = since.as_nanos();
    (amount + ns / 2).checked_div(ns).map_or(0, |rate| i64::try_from(rate).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::libvirt::ffi::Value;

    fn vms(cpu_ms: u64, kib: u64) -> BTreeMap<String, Counters> {
        let counters = Counters { cpu_ns: Some(cpu_ms * 1_000_000), network_bytes: kib * 1024 };
        BTreeMap::from([("a".to_owned(), counters)])
    }

    #[test]
    fn differences_over_time() {
        let mut meter = Meter::default();
        let start = Instant::now();
        let (host, rates) = meter.turn(start, 5_000_000_000, vms(900, 0));
        assert_eq!((host, rates["a"]), (0, Rate::default()), "nothing to compare with yet");
        let (host, rates) = meter.turn(start + Duration::from_secs(2), 8_000_000_000, vms(1400, 1000));
        assert_eq!(host, 1500);
        assert_eq!(rates["a"], Rate { cpu_millicores: 250, network_mbits: 4 });
    }

    #[test]
    fn a_counter_that_begins_anew_says_nothing_and_then_counts_again() {
        let mut meter = Meter::default();
        let start = Instant::now();
        meter.turn(start, 0, vms(50_000, 0));
        let (_, rates) = meter.turn(start + Duration::from_secs(1), 0, vms(100, 0));
        assert_eq!(rates["a"].cpu_millicores, 0);
        let (_, rates) = meter.turn(start + Duration::from_secs(2), 0, vms(600, 0));
        assert_eq!(rates["a"].cpu_millicores, 500);
    }

    #[test]
    fn a_counter_that_is_missing_once_is_no_leap() {
        let mut meter = Meter::default();
        let start = Instant::now();
        let after = |s| start + Duration::from_secs(s);
        let missing = || BTreeMap::from([("a".to_owned(), Counters::of(&Fields::default()))]);
        let cpu = |(_, rates): (i64, BTreeMap<String, Rate>)| rates["a"].cpu_millicores;
        meter.turn(start, 0, vms(5_000_000, 0));
        assert_eq!(cpu(meter.turn(after(1), 0, vms(5_000_300, 0))), 300);
        assert_eq!(cpu(meter.turn(after(2), 0, missing())), 300, "the last figure stands");
        assert_eq!(cpu(meter.turn(after(3), 0, vms(5_001_500, 0))), 600, "1.2 s in two seconds");

        let mut meter = Meter::default();
        meter.turn(start, 0, missing());
        assert_eq!(cpu(meter.turn(after(1), 0, vms(5_000_000, 0))), 0, "nothing to compare with");
        assert_eq!(cpu(meter.turn(after(2), 0, vms(5_000_100, 0))), 100);
    }

    #[test]
    fn no_vm_uses_more_than_its_vcpus_can() {
        assert_eq!(plausible(900, 1), 900);
        assert_eq!(plausible(50_000_000, 2), 2200);
        assert_eq!(plausible(700, 0), 700, "vCPUs not known");
    }

    #[test]
    fn two_samples_at_once_keep_the_last_figure() {
        let mut meter = Meter::default();
        let start = Instant::now();
        meter.turn(start, 0, vms(0, 0));
        meter.turn(start + Duration::from_secs(1), 0, vms(700, 0));
        let (_, rates) = meter.turn(start + Duration::from_millis(1001), 0, vms(701, 0));
        assert_eq!(rates["a"].cpu_millicores, 700);
        let (_, rates) = meter.turn(start + Duration::from_secs(2), 0, vms(1200, 0));
        assert_eq!(rates["a"].cpu_millicores, 500);
    }

    #[test]
    fn all_interfaces_in_both_directions() {
        let fields =
            [("net.count", 2), ("net.0.rx.bytes", 1), ("net.0.tx.bytes", 20), ("net.1.rx.bytes", 300)];
        let fields: Fields = fields.map(|(n, v)| (n.to_owned(), Value::Uint(v))).into_iter().collect();
        assert_eq!(Counters::of(&fields), Counters { cpu_ns: None, network_bytes: 321 });
    }
}
