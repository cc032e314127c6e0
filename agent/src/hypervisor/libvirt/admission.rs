//! libvirt starts or takes in a VM that does not fit and lets the kernel kill one later. So the agent does
//! the sum itself: what all VMs of the host may use at most, those on their way to it included.

use super::{ffi::DomainRecord, settings::LibvirtSettings};
use crate::hypervisor::{Failure, Reason};

/// What an active VM counts with, in KiB: the most that its guest may be given, and what QEMU needs besides. The
/// same is reported, so that what a plan fits onto a host is let in there.
pub(super) fn held_kib(settings: &LibvirtSettings, max_kib: u64) -> u64 {
    max_kib.saturating_add(settings.overhead_mib_per_vm * 1024)
}

/// Refuses a VM of `new_kib` on a host of `total_kib` where the VMs of `present` are active. The VM itself
/// does not count twice if its shell is there already.
pub(super) fn admit(
    settings: &LibvirtSettings,
    host: &str,
    total_kib: u64,
    present: &[DomainRecord],
    new_uuid: &str,
    new_kib: u64,
) -> Result<(), Failure> {
    let others = present.iter().filter(|r| r.uuid != new_uuid);
    let max = |vm: &DomainRecord| vm.fields.number("balloon.maximum").unwrap_or(0);
    let held: u64 = others.map(|vm| held_kib(settings, max(vm))).sum();
    let limit = u128::from(total_kib) * u128::from(settings.memory_overcommit_permille) / 1000;
    let new = held_kib(settings, new_kib);
    if u128::from(held) + u128::from(new) <= limit {
        return Ok(());
    }
    Err(Failure::new(
        Reason::Limit,
        format!(
            "not enough memory on {host}: its VMs may use {} MiB, this one {} MiB, which is over its limit \
             of {} MiB",
            held / 1024,
            new / 1024,
            limit / 1024
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::libvirt::ffi::{Fields, Value};

    fn vm(uuid: &str, mib: u64) -> DomainRecord {
        let fields = Fields::from_iter([("balloon.maximum".to_owned(), Value::Uint(mib * 1024))]);
        DomainRecord { name: uuid.into(), uuid: uuid.into(), fields }
    }

    #[test]
    fn the_last_mib_counts() {
        let settings = LibvirtSettings { overhead_mib_per_vm: 10, ..LibvirtSettings::default() };
        let present = [vm("a", 500), vm("b", 300)];
        let total = |mib: u64| mib * 1024;
        // 500 + 10 + 300 + 10 + 170 + 10
        assert!(admit(&settings, "h", total(1000), &present, "c", 170 * 1024).is_ok());
        let refused = admit(&settings, "h", total(999), &present, "c", 170 * 1024).unwrap_err();
        assert_eq!(refused.reason, Reason::Limit);
        assert!(refused.message.contains("820 MiB") && refused.message.contains("180 MiB"), "{refused}");
    }

    #[test]
    fn its_own_shell_is_not_counted_twice_and_overcommit_is_the_operators() {
        let settings = LibvirtSettings { overhead_mib_per_vm: 0, ..LibvirtSettings::default() };
        let present = [vm("a", 900)];
        assert!(admit(&settings, "h", 1000 * 1024, &present, "a", 900 * 1024).is_ok());
        assert!(admit(&settings, "h", 1000 * 1024, &present, "b", 200 * 1024).is_err());
        let twice = LibvirtSettings { memory_overcommit_permille: 2000, ..settings };
        assert!(admit(&twice, "h", 1000 * 1024, &present, "b", 200 * 1024).is_ok());
    }
}
