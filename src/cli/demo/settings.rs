//! The coordinator's settings in the demo: those of a real site, with shorter waits, so that there is something
//! to see within a minute. What is decided and how stays the same.

use super::{libvirt, rules};
use crate::coordinator::settings::{Detection, Execution, Inventory, Migration, Planning, Ring, Settings};

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
        migration: Migration::default(),
        ring: Ring::default(),
        constraints: vec![
            rules::apart("web-apart", rules::of_app("web")),
            rules::only_on("licensed", rules::of_app("ora"), "rack", super::simulated::LICENSED_RACK),
        ],
    }
}

/// For real hypervisors that share the cores of one machine: VMs may use `usable` milli-cores of each, although each
/// reports all `cores` (milli-cores) of the machine.
pub(super) fn on_libvirt(cores: i64, usable: i64) -> Settings {
    let share = usable as f64 / cores.max(1) as f64;
    let (cpu_overcommit, cpu_reserve) = if share >= 0.1 { (share, 0.0) } else { (0.1, 1.0 - share * 10.0) };
    Settings {
        inventory: Inventory {
            report_interval_s: 0.5,
            failed_after_s: 30.0,
            smoothing_s: 3.0,
            cpu_overcommit,
            cpu_reserve: cpu_reserve.clamp(0.0, 0.9),
            ..Inventory::default()
        },
        detection: Detection {
            // Emulated guests get less than they want when the machine is busy: half of it is enough here.
            cpu_overload: 0.5,
            cpu_target: 0.45,
            hold_s: 3.0,
            underload: 0.1,
            underload_hold_s: 6.0,
            cool_down_s: 5.0,
            ..Detection::default()
        },
        planning: Planning { time_limit_s: 3.0, ..Planning::default() },
        execution: Execution::default(),
        migration: Migration::default(),
        ring: Ring::default(),
        constraints: vec![
            // Guests of the test bed have no labels.
            rules::apart("web-apart", rules::named(&libvirt::WEBS)),
            rules::only_on("licensed", rules::named(&libvirt::LICENSED), "rack", libvirt::LICENSED_RACK),
        ],
    }
}

/// What VMs may use of a host before that is called trouble: milli-cores, MiB.
pub(super) fn limits(settings: &Settings, cpu_millicores: i64, memory_mib: i64) -> (i64, i64) {
    let Inventory { cpu_overcommit, cpu_reserve, memory_overcommit, memory_reserve, .. } = settings.inventory;
    let part = |amount: i64, overcommit: f64, reserve: f64, share: f64| {
        (amount as f64 * overcommit * (1.0 - reserve) * share + 1e-6).floor() as i64
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
        let all = [1000, 2000, 16_000, 64_000, 256_000].map(|cores| on_libvirt(cores, 800.max(cores / 100)));
        for settings in all.into_iter().chain([simulated(1)]) {
            settings.faults(&mut |path, message| faults.push(format!("{path}: {message}")));
        }
        assert_eq!(faults, [""; 0]);
    }

    #[test]
    fn limits_follow_the_settings() {
        assert_eq!(limits(&simulated(1), 10_000, 1000), (9000, 950));
        assert_eq!(limits(&on_libvirt(2000, 800), 2000, 1000).0, 400);
        assert_eq!(limits(&on_libvirt(16_000, 800), 16_000, 1000).0, 400);
    }
}
