//! One migration, pass by pass.

use serde::{Deserialize, Serialize};

/// A pass that leaves this share of what it sent, or more, to be sent again does not bring the end nearer (the
/// contract: a VM whose dirty rate is 0.8 of its rate or more is not migrated).
pub const CONVERGES: f64 = 0.8;
/// By how much of its time auto-converge slows a guest down first, then each further time, and at most. QEMU's
/// defaults (`cpu-throttle-initial`, `-increment`, `max-cpu-throttle`), percent.
const THROTTLE: (u32, u32, u32) = (20, 10, 99);
/// No path is slower, MiB/s.
const SLOWEST: f64 = 1e-3;

/// What a guest has in memory and does with it. Amounts in MiB, times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Workload {
    /// What is to be sent.
    pub memory_mib: f64,
    /// The part that is written again and again …
    pub hot_mib: f64,
    /// … all of it within so many seconds.
    pub hot_s: f64,
    /// Pages besides that are written, MiB/s, each another one.
    pub cold_mib_s: f64,
}

/// Where it goes through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Path {
    /// MiB/s that it may use, as links are named: before any loss.
    pub bandwidth_mib_s: f64,
}

/// What may be done with a guest that writes faster than is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// It may be slowed down.
    pub auto_converge: bool,
    /// It may go on at the destination before its memory is there. A host that is lost meanwhile loses the guest.
    pub post_copy: bool,
    /// Seconds that it may stand still at the end.
    pub downtime_limit_s: f64,
}

impl Default for Policy {
    /// QEMU's: 300 ms, and neither.
    fn default() -> Self {
        Self { auto_converge: false, post_copy: false, downtime_limit_s: 0.3 }
    }
}

/// What is known of migrations from measurements.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Share of a path's bandwidth that gets through.
    pub efficiency: f64,
    /// Seconds before the first byte and after the last one.
    pub setup_s: f64,
    /// Seconds that a guest stands still besides what is sent meanwhile.
    pub switch_s: f64,
    /// Share of the hot set that is found written after a pass: guests come to their pages later than they could.
    pub hot_share: f64,
    /// MiB sent for each that is expected: less than 1 where guests have pages that hold nothing.
    pub volume: f64,
}

impl Calibration {
    /// The contract's: nothing is lost, nothing takes time besides.
    pub const CONTRACT: Self =
        Self { efficiency: 1.0, setup_s: 0.0, switch_s: 0.03, hot_share: 1.0, volume: 1.0 };

    /// Fitted by [`super::fit::fit`] to 2,000 timed migrations of KVM guests of 2,000 and 3,000 MB over paths of 500
    /// Mbit/s and 1 Gbit/s: the executions of 50 random plans in the thesis of V. Kherbache (BtrPlace). TCP over
    /// Ethernet lets 0.95 of a link through.
    pub const KVM: Self = Self { efficiency: 0.97, setup_s: 2.05, hot_share: 0.3, ..Self::CONTRACT };
}

impl Default for Calibration {
    fn default() -> Self {
        Self::KVM
    }
}

/// How a migration comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// By itself: what is left gets less with each pass.
    PreCopy,
    /// Because the guest is slowed down.
    AutoConverge,
    /// The guest goes on at the destination, and what is missing is fetched.
    PostCopy,
    /// It does not: the guest writes faster than is sent.
    Never,
}

impl Mode {
    /// As in files and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PreCopy => "PRE_COPY",
            Self::AutoConverge => "AUTO_CONVERGE",
            Self::PostCopy => "POST_COPY",
            Self::Never => "NEVER",
        }
    }
}

/// What is to be expected of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Seconds from the order to the end; with [`Mode::Never`] until that is plain.
    pub duration_s: f64,
    /// Seconds that the guest stands still.
    pub downtime_s: f64,
    /// MiB sent.
    pub moved_mib: f64,
    /// Passes over the memory, what is sent while the guest stands still not counted.
    pub rounds: u32,
    /// How it ends.
    pub mode: Mode,
    /// How far the guest is slowed down at most, percent.
    pub throttle_percent: u32,
}

impl Forecast {
    /// Whether it ends.
    #[must_use]
    pub fn converges(&self) -> bool {
        self.mode != Mode::Never
    }
}

impl Workload {
    /// MiB that are found written some seconds after they were sent, in a guest that is slowed down.
    fn dirtied(&self, seconds: f64, throttle_percent: u32, hot_share: f64) -> f64 {
        let own = seconds * f64::from(100 - throttle_percent) / 100.0;
        let again = if own >= self.hot_s { 1.0 } else { own / self.hot_s };
        (self.hot_mib * hot_share * again + self.cold_mib_s * own).min(self.memory_mib)
    }
}

/// What is to be expected of a migration.
///
/// Each pass sends what the one before it left; meanwhile the guest writes. When the rest can be sent within the
/// downtime limit, the guest stands still until it is over. A pass that leaves 0.8 of what it sent, or more, is not
/// getting anywhere: then post-copy is begun where it is allowed, else the guest is slowed down step by step where that
/// is allowed, else there is no end. It takes at most some hundred passes, whatever the figures are.
#[must_use]
pub fn forecast(workload: &Workload, path: Path, policy: &Policy, calibration: &Calibration) -> Forecast {
    let rate = (path.bandwidth_mib_s * calibration.efficiency).max(SLOWEST);
    let (first, step, most) = THROTTLE;
    let mut found = Forecast {
        duration_s: 0.0,
        downtime_s: calibration.switch_s,
        moved_mib: 0.0,
        rounds: 0,
        mode: Mode::PreCopy,
        throttle_percent: 0,
    };
    let mut left = workload.memory_mib.max(0.0);
    let rest = loop {
        let seconds = left / rate;
        found.rounds += 1;
        found.duration_s += seconds;
        found.moved_mib += left;
        let dirty = workload.dirtied(seconds, found.throttle_percent, calibration.hot_share);
        if dirty <= rate * policy.downtime_limit_s {
            found.downtime_s += dirty / rate;
            break dirty;
        }
        if dirty >= CONVERGES * left {
            if policy.post_copy {
                found.mode = Mode::PostCopy;
                break dirty;
            }
            if !policy.auto_converge || found.throttle_percent >= most {
                found.mode = Mode::Never;
                found.downtime_s = 0.0;
                break 0.0;
            }
            found.mode = Mode::AutoConverge;
            let slower = if found.throttle_percent == 0 { first } else { found.throttle_percent + step };
            found.throttle_percent = slower.min(most);
        }
        left = dirty;
    };
    found.moved_mib = (found.moved_mib + rest) * calibration.volume;
    found.duration_s += rest / rate + calibration.setup_s + calibration.switch_s;
    found
}
