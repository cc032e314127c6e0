//! What has changed on the host since the last report.

use crate::hypervisor::{HostUsage, Sample, VmStatus};
use std::collections::BTreeMap;

/// A change to be reported; an empty one says that agent and hypervisor are well.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Delta {
    /// `None` = as before.
    pub(crate) usage: Option<HostUsage>,
    /// New and changed VMs, whole; their definition only where it is new.
    pub(crate) changed: Vec<(VmStatus, Definition)>,
    /// Names of VMs that are not here any more.
    pub(crate) gone: Vec<String>,
}

/// Whether a VM's definition is to be sent: it is long and hardly ever changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Definition {
    Send,
    Known,
}

/// What must be said to one who knows `before`, so that he knows `now`.
pub(crate) fn delta(before: &Sample, now: &Sample) -> Delta {
    let changed = now.vms.iter().filter_map(|(name, vm)| {
        let known = before.vms.get(name);
        if known == Some(vm) {
            return None;
        }
        let same = known.is_some_and(|known| known.definition == vm.definition);
        Some((vm.clone(), if same { Definition::Known } else { Definition::Send }))
    });
    let gone = missing(&before.vms, &now.vms);
    Delta { usage: (before.usage != now.usage).then_some(now.usage), changed: changed.collect(), gone }
}

fn missing(before: &BTreeMap<String, VmStatus>, now: &BTreeMap<String, VmStatus>) -> Vec<String> {
    before.keys().filter(|name| !now.contains_key(*name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::{VmKey, VmState};
    use std::sync::Arc;

    fn vm(name: &str, cpu_millicores: i64, definition: &str) -> (String, VmStatus) {
        let status = VmStatus {
            key: VmKey { name: name.into(), uuid: format!("uuid-{name}") },
            state: VmState::Running,
            vcpus: 1,
            memory_max_mib: 64,
            cpu_millicores,
            memory_mib: 64,
            memory_used_mib: None,
            network_mbits: 0,
            dirty_rate_mib_s: None,
            labels: Arc::default(),
            persistent: true,
            definition: definition.into(),
        };
        (name.to_owned(), status)
    }

    fn sample(vms: impl IntoIterator<Item = (String, VmStatus)>) -> Sample {
        Sample { usage: HostUsage::default(), vms: vms.into_iter().collect() }
    }

    #[test]
    fn nothing_changed_is_an_empty_delta() {
        let now = sample([vm("a", 10, "x")]);
        assert_eq!(delta(&now, &now.clone()), Delta::default());
    }

    #[test]
    fn only_what_changed_is_said_and_a_known_definition_is_not_repeated() {
        let before = sample([vm("a", 10, "x"), vm("b", 10, "x"), vm("c", 10, "x")]);
        let now = sample([vm("a", 10, "x"), vm("b", 20, "x"), vm("c", 10, "y"), vm("d", 0, "z")]);
        let said = delta(&before, &now);
        let names: Vec<_> =
            said.changed.iter().map(|(vm, definition)| (vm.key.name.as_str(), *definition)).collect();
        assert_eq!(names, [("b", Definition::Known), ("c", Definition::Send), ("d", Definition::Send)]);
        assert!(said.gone.is_empty() && said.usage.is_none());
    }

    #[test]
    fn a_vm_that_left_is_gone() {
        let said = delta(&sample([vm("a", 1, "x"), vm("b", 1, "x")]), &sample([vm("b", 1, "x")]));
        assert_eq!((said.gone, said.changed), (vec!["a".to_owned()], vec![]));
    }

    #[test]
    fn usage_is_said_when_it_changed() {
        let mut now = sample([]);
        now.usage.cpu_millicores = 5;
        assert_eq!(delta(&sample([]), &now).usage, Some(now.usage));
    }
}
