//! From libvirt's counters to usage: differences of two samples. Pure.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::ffi::Fields;

/// What counts upwards for one VM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub cpu_ns: u64,
    pub network_bytes: u64,
}

impl Counters {
    pub(super) fn of(fields: &Fields) -> Self {
        let interfaces = fields.number("net.count").unwrap_or(0).min(1024);
        let bytes = (0..interfaces).flat_map(|i| [format!("net.{i}.rx.bytes"), format!("net.{i}.tx.bytes")]);
        Self {
            cpu_ns: fields.number("cpu.time").unwrap_or(0),
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
    vms: BTreeMap<String, (Counters, Rate)>,
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
        let mut now: BTreeMap<String, (Counters, Rate)> =
            vms.into_iter().map(|(uuid, counters)| (uuid, (counters, Rate::default()))).collect();
        if let Some(last) = &self.last {
            let since = at.saturating_duration_since(last.at);
            if since < SHORTEST {
                let old = |uuid: &String| last.vms.get(uuid).map(|(_, rate)| *rate).unwrap_or_default();
                return (last.host_millicores, now.keys().map(|uuid| (uuid.clone(), old(uuid))).collect());
            }
            host_millicores = millicores(last.host_cpu_ns, host_cpu_ns, since);
            for (uuid, (counters, value)) in &mut now {
                if let Some((before, _)) = last.vms.get(uuid) {
                    *value = rate(*before, *counters, since);
                }
            }
        }
        let rates = now.iter().map(|(uuid, (_, rate))| (uuid.clone(), *rate)).collect();
        self.last = Some(Last { at, host_cpu_ns, host_millicores, vms: now });
        (host_millicores, rates)
    }
}

fn rate(before: Counters, now: Counters, since: Duration) -> Rate {
    let bytes = now.network_bytes.saturating_sub(before.network_bytes);
    Rate {
        cpu_millicores: millicores(before.cpu_ns, now.cpu_ns, since),
        network_mbits: per(u128::from(bytes) * 8 * 1_000_000_000 / 1_000_000, since),
    }
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
        let counters = Counters { cpu_ns: cpu_ms * 1_000_000, network_bytes: kib * 1024 };
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
        assert_eq!(Counters::of(&fields), Counters { cpu_ns: 0, network_bytes: 321 });
    }
}
