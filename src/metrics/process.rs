//! What the process itself uses, as the kernel tells.

use std::fs;

/// Ticks in a second in which the kernel counts time for programs; the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// What the process uses; `None` where the kernel does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Process {
    pub(super) resident_bytes: Option<f64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) open_files: Option<f64>,
    /// Since 1970.
    pub(super) start_seconds: Option<f64>,
}

impl Process {
    pub(super) fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let stat = Stat::of(&read("/proc/self/stat"));
        let boot = boot_seconds(&read("/proc/stat"));
        Self {
            resident_bytes: resident_bytes(&read("/proc/self/status")),
            cpu_seconds: stat.map(|stat| stat.cpu_seconds),
            open_files: fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64),
            start_seconds: stat.zip(boot).map(|(stat, boot)| boot + stat.start_seconds),
        }
    }
}

#[derive(Clone, Copy)]
struct Stat {
    cpu_seconds: f64,
    /// Since the machine was booted.
    start_seconds: f64,
}

impl Stat {
    /// The name in parentheses may hold anything; fields are counted from behind it, where the third begins.
    fn of(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
            start_seconds: ticks(22)? / TICKS_PER_SECOND,
        })
    }
}

fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024.0)
}

fn boot_seconds(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_understood() {
        let text = "7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 150 50 0 0 20 0 1 0 4200 0 0";
        let stat = Stat::of(text).unwrap();
        assert!((stat.cpu_seconds - 2.0).abs() < 1e-9 && (stat.start_seconds - 42.0).abs() < 1e-9);
        assert_eq!(resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t    12 kB\n"), Some(12.0 * 1024.0));
        assert_eq!(boot_seconds("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000.0));
        assert!(Stat::of("").is_none() && resident_bytes("").is_none() && boot_seconds("").is_none());
    }

    #[test]
    fn this_process_is_seen() {
        let process = Process::now();
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 1e5), "{process:?}");
        assert!(process.open_files.is_some_and(|files| files >= 1.0), "{process:?}");
        assert!(process.cpu_seconds.is_some(), "{process:?}");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(process.start_seconds.is_some_and(|start| start > 1e9 && start < now + 5.0), "{process:?}");
    }
}
