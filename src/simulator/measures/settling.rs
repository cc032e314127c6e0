//! How long it takes after a fault until overloads are ended in time again.

use super::{Spread, Tally, Violation};

/// A violation that is older than so many seconds is late: a migration takes half of that.
pub const LATE_S: f64 = 20.0;

/// Of each fault (a host that fails, or is up again) the seconds until there was the last late violation before the next fault,
/// or the end; 0 where there was none.
#[must_use]
pub fn settling(faults: &[f64], log: &[Violation], until: f64) -> Spread {
    let mut seconds = vec![0.0_f64; faults.len()];
    let end = |fault: usize| faults.get(fault + 1).copied().unwrap_or(until);
    for violation in log {
        let (late, ended) = (violation.began + LATE_S, violation.began + violation.lasted(until));
        let first = faults.partition_point(|fault| *fault <= late).saturating_sub(1);
        let those = first..faults.partition_point(|fault| *fault < ended);
        for fault in those.filter(|fault| ended > late && end(*fault) > late) {
            seconds[fault] = seconds[fault].max(ended.min(end(fault)) - faults[fault]);
        }
    }
    seconds.into_iter().collect::<Tally>().spread()
}

#[cfg(test)]
mod tests {
    use super::super::Cause;
    use super::*;
    use crate::simulator::ids::HostId;

    #[test]
    fn it_is_until_the_last_late_violation_before_the_next_fault() {
        let of = |began: f64, ended: f64| Violation {
            host: HostId(0),
            began,
            ended,
            detected: f64::NAN,
            cause: Cause::Load,
        };
        let all = |log: &[Violation]| settling(&[100.0, 200.0, 500.0], log, 600.0);
        // In time: 20 s are not late.
        assert_eq!(all(&[of(101.0, 121.0), of(550.0, 570.0)]).total, 0.0);
        // Late from 125 to 140: 40 s after the first fault.
        assert_eq!(all(&[of(105.0, 140.0)]).total, 40.0);
        // Late before any fault, and over two of them: 100 until the next one, and 30 after that.
        let both = all(&[of(10.0, 50.0), of(90.0, 230.0)]);
        assert_eq!((both.count, both.total, both.max), (3, 130.0, 100.0));
        // One that lasts is cut at the end.
        assert_eq!(all(&[of(510.0, f64::NAN)]).total, 100.0);
        assert_eq!(settling(&[], &[of(0.0, 90.0)], 100.0).count, 0);
    }
}
