//! What is kept in etcd of hosts: written behind the present state, by the member that has the session of the host's agent.

use crate::coordinator::peers::KeptHost;
use crate::record::{Connection, HostRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What etcd is to be told, where it has something else. A newer session elsewhere is not overwritten.
pub(super) fn due(
    me: &str,
    hosts: &[Arc<HostRecord>],
    forgotten: &BTreeSet<String>,
    kept: &BTreeMap<String, KeptHost>,
) -> BTreeMap<String, Option<String>> {
    let mut due = BTreeMap::new();
    for host in hosts.iter().filter(|host| host.connection == Connection::Connected && host.epoch > 0) {
        let wanted = KeptHost { state: host.state, cell: me.to_owned(), epoch: host.epoch };
        let present = kept.get(&host.name);
        if present.is_none_or(|present| present.epoch <= wanted.epoch && *present != wanted) {
            due.insert(host.name.clone(), serde_json::to_string(&wanted).ok());
        }
    }
    for host in forgotten.iter().filter(|host| kept.contains_key(*host)) {
        due.entry(host.clone()).or_insert(None);
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{AdminState, Capacity, Usage};

    fn host(name: &str, state: AdminState, epoch: u64) -> Arc<HostRecord> {
        Arc::new(HostRecord {
            name: name.into(),
            state,
            connection: Connection::Connected,
            capacity: Capacity::default(),
            usage: Usage::default(),
            expected: BTreeMap::new(),
            usable: BTreeMap::new(),
            labels: BTreeMap::new(),
            vm_count: 0,
            agent_version: String::new(),
            driver: String::new(),
            last_report: None,
            epoch,
            partition: String::new(),
            migrations: 0,
            conditions: Vec::new(),
            migration: None,
        })
    }

    #[test]
    fn what_is_another_is_written_and_newer_sessions_elsewhere_stay() {
        let kept = |state, cell: &str, epoch| KeptHost { state, cell: cell.into(), epoch };
        let (online, draining) = (AdminState::Online, AdminState::Draining);
        let hosts =
            [host("a", online, 5), host("b", draining, 5), host("c", online, 5), host("d", online, 5)];
        let there = BTreeMap::from([
            ("b".to_owned(), kept(online, "east", 5)),
            ("c".to_owned(), kept(online, "east", 5)),
            ("d".to_owned(), kept(draining, "west", 6)),
            ("e".to_owned(), kept(online, "east", 2)),
        ]);
        let forgotten = BTreeSet::from(["e".to_owned(), "f".to_owned()]);
        let due = due("east", &hosts, &forgotten, &there);
        let value = |name: &str| due[name].as_deref().and_then(|text| serde_json::from_str(text).ok());
        assert_eq!(due.keys().collect::<Vec<_>>(), ["a", "b", "e"]);
        assert_eq!(value("a"), Some(kept(online, "east", 5)));
        assert_eq!(value("b"), Some(kept(draining, "east", 5)));
        assert_eq!(due["e"], None);
    }
}
