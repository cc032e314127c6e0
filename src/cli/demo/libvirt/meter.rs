//! What guests use, from the counters that libvirt keeps of them. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Figures are averages over so long.
const OVER: Duration = Duration::from_secs(3);
/// Two samples closer than this give no figure.
const SHORTEST: Duration = Duration::from_millis(800);

/// The counters of all guests over the last seconds.
#[derive(Debug, Default)]
pub(super) struct Meter {
    guests: BTreeMap<String, Guest>,
}

#[derive(Debug, Default)]
struct Guest {
    host: String,
    /// When, and nanoseconds of processor time so far.
    samples: VecDeque<(Duration, u64)>,
    millicores: i64,
}

impl Meter {
    /// Takes the counter of a guest that runs on a host. Counters begin anew on another host: until there is a
    /// figure the last one stands.
    pub(super) fn take(&mut self, guest: &str, host: &str, at: Duration, cpu_ns: u64) {
        let guest = self.guests.entry(guest.to_owned()).or_default();
        if guest.host != host || guest.samples.back().is_some_and(|(_, last)| *last > cpu_ns) {
            host.clone_into(&mut guest.host);
            guest.samples.clear();
        }
        guest.samples.push_back((at, cpu_ns));
        while guest.samples.len() > 2
            && guest.samples.get(1).is_some_and(|(time, _)| at.saturating_sub(*time) >= OVER)
        {
            guest.samples.pop_front();
        }
        let Some((since, first)) = guest.samples.front() else { return };
        let passed = at.saturating_sub(*since);
        if passed >= SHORTEST {
            let used_ns = cpu_ns.saturating_sub(*first) as f64;
            guest.millicores = (used_ns / passed.as_nanos() as f64 * 1000.0).round() as i64;
        }
    }

    /// What a guest uses; 0 = not known yet.
    pub(super) fn millicores(&self, guest: &str) -> i64 {
        self.guests.get(guest).map_or(0, |guest| guest.millicores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_averages_and_outlive_a_move() {
        let mut meter = Meter::default();
        let ms = Duration::from_millis;
        meter.take("v", "a", ms(0), 5_000_000_000);
        assert_eq!(meter.millicores("v"), 0);
        meter.take("v", "a", ms(1000), 5_200_000_000);
        assert_eq!(meter.millicores("v"), 200);
        meter.take("v", "a", ms(4000), 5_200_000_000);
        meter.take("v", "a", ms(5000), 5_600_000_000);
        assert_eq!(meter.millicores("v"), 100, "0.4 s in the last 4");
        // On another host the counter begins at 0.
        meter.take("v", "b", ms(5500), 10_000_000);
        assert_eq!(meter.millicores("v"), 100);
        meter.take("v", "b", ms(6500), 310_000_000);
        assert_eq!(meter.millicores("v"), 300);
        assert_eq!(meter.millicores("w"), 0);
    }
}
