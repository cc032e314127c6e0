//! The coordinator's settings in the demo: those of a real site, with shorter waits, so that there is something
//! to see within a minute. What is decided and how stays the same.

use super::rules;
use crate::coordinator::settings::{Detection, Execution, Inventory, Planning, Settings};

/// For simulated hypervisors.
pub(super) fn simulated(seed: u64) -> Settings {
    Settings {
        inventory: Inventory {
            report_interval_s: 0.5,
            lost_after_s: 5.0,
            failed_after_s: 30.0,
            smoothing_s: 1.0,
            ..Inventory::default()
        },
        detection: Detection {
            hold_s: 2.0,
            // By day hosts use more of their processors than this, whatever their memory.
            underload: 0.4,
            underload_hold_s: 3.0,
            cool_down_s: 4.0,
            ..Detection::default()
        },
        planning: Planning { time_limit_s: 3.0, seed, ..Planning::default() },
        execution: Execution::default(),
        constraints: vec![
            rules::apart("web-apart", "web"),
            rules::only_on("licensed", "ora", "rack", super::simulated::LICENSED_RACK),
        ],
    }
}

/// What VMs may use of a host before that is called trouble: milli-cores, MiB.
pub(super) fn limits(settings: &Settings, cpu_millicores: i64, memory_mib: i64) -> (i64, i64) {
    let Inventory { cpu_overcommit, cpu_reserve, memory_overcommit, memory_reserve, .. } = settings.inventory;
    let part = |amount: i64, overcommit: f64, reserve: f64, share: f64| {
        (amount as f64 * overcommit * (1.0 - reserve) * share).floor() as i64
    };
    (
        part(cpu_millicores, cpu_overcommit, cpu_reserve, settings.detection.cpu_overload),
        part(memory_mib, memory_overcommit, memory_reserve, settings.detection.memory_overload),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_valid() {
        let mut faults = Vec::new();
        simulated(1).faults(&mut |path, message| faults.push(format!("{path}: {message}")));
        assert_eq!(faults, [""; 0]);
    }

    #[test]
    fn limits_follow_the_settings() {
        assert_eq!(limits(&simulated(1), 10_000, 1000), (9000, 950));
    }
}
