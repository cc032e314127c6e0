//! What is written is there after a restart; what cannot be used is refused with a word on what to do.

use super::*;
use crate::record::{ActionState, ActionStatus, EventKind, Mode, PlanState, Severity, VmReport};
use std::time::Duration;

fn plan(id: &str, state: PlanState) -> PlanRecord {
    PlanRecord {
        id: id.to_owned(),
        state,
        mode: Mode::Auto,
        trigger: "OVERLOAD".into(),
        purpose: "relieve h1".into(),
        event_ids: vec![7],
        hosts: vec!["h1".into(), "h2".into()],
        problem: None,
        plan: None,
        actions: Vec::new(),
        created: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        solved: None,
        started: None,
        ended: None,
        message: String::new(),
        successor: String::new(),
        revision: 1,
        paused: None,
        kept: None,
        scheduled: false,
        waits_for: String::new(),
        pace: crate::record::Pace::default(),
        request_id: String::new(),
        request: String::new(),
    }
}

fn event(id: u64) -> Event {
    Event {
        id,
        time: SystemTime::UNIX_EPOCH + Duration::from_secs(id),
        kind: EventKind::Overload,
        severity: Severity::Warning,
        host: "h1".into(),
        vm: String::new(),
        constraint: String::new(),
        plan_id: String::new(),
        action_id: 0,
        message: "h1 uses 9100 of 8000 millicores".into(),
    }
}

#[test]
fn everything_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = plan("01", PlanState::Executing);
    let problem = Problem { name: "of plan 01".into(), ..Problem::default() };
    record.problem = Some(Arc::new(problem));
    let answer = r#"{"status": "NO_CHANGE", "placement": {"v1": "h1"}, "statistics": {"solve_s": 0.5}}"#;
    record.plan = Some(Arc::new(serde_json::from_str(answer).unwrap()));
    let action = ActionStatus {
        action_id: 1,
        state: ActionState::Running,
        progress: None,
        started: Some(record.created),
        ended: None,
        message: String::new(),
        forecast: None,
    };
    record.actions.push(action);
    let host = KnownHost {
        name: "h1".into(),
        capacity: Capacity { cpu_millicores: 8000, migration_bandwidth_mib_s: 117.5, ..Capacity::default() },
        labels: BTreeMap::from([("rack".into(), "r1".into())]),
        last_seen: record.created,
        boot_id: "1".into(),
        vms: vec![VmReport { name: "v1".into(), definition: "<domain/>".into(), ..VmReport::default() }],
        waiting: Vec::new(),
    };
    {
        let mut store = Store::open(folder.path()).unwrap();
        let changes = [
            Change::Plan(Arc::new(plan("00", PlanState::Succeeded))),
            Change::Plan(Arc::new(record.clone())),
            Change::Event(Arc::new(event(1))),
            Change::Event(Arc::new(event(2))),
            Change::HostState("h2".into(), AdminState::Draining, 7),
            Change::HostState("gone".into(), AdminState::Cordoned, 8),
            Change::Host(host.clone()),
            Change::Host(KnownHost { name: "gone".into(), ..host.clone() }),
            Change::HostGone("gone".into()),
        ];
        store.write(&changes).unwrap();
    }
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.plans(10).unwrap(), [record.clone(), plan("00", PlanState::Succeeded)]);
    assert_eq!(store.plans(1).unwrap(), [record.clone()]);
    assert_eq!(store.plan("01").unwrap(), Some(record));
    assert_eq!(store.plan("02").unwrap(), None);
    assert_eq!(store.events(10).unwrap(), [event(2), event(1)]);
    assert_eq!(store.last_event_id().unwrap(), 2);
    assert_eq!(store.host_states().unwrap(), BTreeMap::from([("h2".into(), (AdminState::Draining, 7))]));
    assert_eq!(store.known_hosts().unwrap(), [host]);
}

/// What the first version wrote.
const PLAN_OF_VERSION_1: &str = r#"{
    "id": "01", "state": "SUCCEEDED", "mode": "auto", "trigger": "OVERLOAD", "purpose": "relieve h1", "event_ids": [7],
    "hosts": ["h1", "h2"], "actions": [], "created": {"secs_since_epoch": 1700000000, "nanos_since_epoch": 123000000},
    "solved": null, "started": null, "ended": null, "message": "", "successor": "", "revision": 1
}"#;
const EVENT_OF_VERSION_1: &str = r#"{
    "id": 5, "time": {"secs_since_epoch": 5, "nanos_since_epoch": 0}, "kind": "OVERLOAD", "severity": "WARNING",
    "host": "h1", "message": "h1 uses 9100 of 8000 millicores"
}"#;

#[test]
fn a_store_of_each_version_before_is_opened_with_all_that_is_in_it() {
    for version in 1..schema::VERSION {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        {
            let older = Connection::open(&path).unwrap();
            for script in &schema::MIGRATIONS[..usize::try_from(version).unwrap()] {
                older.execute_batch(script).unwrap();
            }
            let mark = format!("PRAGMA application_id = {}; PRAGMA user_version = {version};", 0x6476_6d73);
            older.execute_batch(&mark).unwrap();
            let plan = "INSERT INTO plans (id, state, ended, record) VALUES ('01', 'SUCCEEDED', 1, ?1)";
            older.execute(plan, [PLAN_OF_VERSION_1]).unwrap();
            let event = "INSERT INTO events VALUES (5, 'OVERLOAD', ?1)";
            older.execute(event, [EVENT_OF_VERSION_1]).unwrap();
            older.execute_batch("INSERT INTO counters VALUES ('epoch', 4096)").unwrap();
            let state = serde_json::to_string(&AdminState::Draining).unwrap();
            older.execute("INSERT INTO host_states (host, state) VALUES ('h2', ?1)", [state]).unwrap();
        }
        let mut store = Store::open(folder.path()).unwrap();
        let found = store.plans(10).unwrap();
        assert_eq!(found, [plan("01", PlanState::Succeeded)], "version {version}");
        assert_eq!(store.events(10).unwrap()[0].host, "h1");
        assert_eq!(store.host_states().unwrap(), BTreeMap::from([("h2".into(), (AdminState::Draining, 0))]));
        assert!(store.next_epoch(0).unwrap() > 4096, "epochs rise over the upgrade");
        store.save_plan(&plan("02", PlanState::Queued)).unwrap();
        drop(store);
        assert_eq!(
            Store::open(folder.path()).unwrap().plans(10).unwrap().len(),
            2,
            "it is of this version now"
        );
    }
}

#[test]
fn hosts_of_an_older_version_have_no_vms() {
    let store = Store::open_in_memory().unwrap();
    let known = KnownHost { name: "h1".into(), ..host() };
    let mut old = serde_json::to_value(&known).unwrap();
    for field in ["boot_id", "vms", "waiting"] {
        old.as_object_mut().unwrap().remove(field);
    }
    let sql = "INSERT INTO hosts VALUES ('h1', ?1)";
    store.connection.execute(sql, [old.to_string()]).unwrap();
    assert_eq!(store.known_hosts().unwrap(), [known]);
}

fn host() -> KnownHost {
    KnownHost {
        name: String::new(),
        capacity: Capacity::default(),
        labels: BTreeMap::new(),
        last_seen: SystemTime::UNIX_EPOCH,
        boot_id: String::new(),
        vms: Vec::new(),
        waiting: Vec::new(),
    }
}

#[test]
fn problem_and_plan_follow_the_record() {
    let mut store = Store::open_in_memory().unwrap();
    let mut record = plan("01", PlanState::Solving);
    store.save_plan(&record).unwrap();
    for name in ["first", "second"] {
        record.problem = Some(Arc::new(Problem { name: name.into(), ..Problem::default() }));
        for revision in [2, 3] {
            record.revision = revision;
            // Twice in one batch: the second sees what the first wrote.
            let changes = [Change::Plan(Arc::new(record.clone())), Change::Plan(Arc::new(record.clone()))];
            store.write(&changes).unwrap();
            assert_eq!(store.plan("01").unwrap().as_ref(), Some(&record));
        }
    }
    record.problem = None;
    store.save_plan(&record).unwrap();
    assert_eq!(store.plan("01").unwrap(), Some(record));
}

#[test]
fn epochs_rise_over_restarts_and_over_what_agents_have_seen() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0..3 {
        let mut store = Store::open(folder.path()).unwrap();
        for _ in 0..2 * EPOCH_BLOCK {
            let epoch = store.next_epoch(0).unwrap();
            assert!(epoch > last, "{epoch} after {last}");
            last = epoch;
        }
        let seen = last + 1000 * round;
        last = store.next_epoch(seen).unwrap();
        assert!(last > seen);
    }
    let mut store = Store::open(folder.path()).unwrap();
    assert!(matches!(store.next_epoch(u64::MAX), Err(StoreError::EpochExhausted(u64::MAX))));
    assert!(store.next_epoch(0).unwrap() > last, "a lie does not stop the others");
}

#[test]
fn a_second_server_is_refused_and_a_dead_one_is_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    let expected = format!("(process {})", std::process::id());
    assert!(matches!(&error, StoreError::InUse { by, .. } if by.contains(&expected)), "{error}");
    assert!(error.to_string().contains(folder.path().to_str().unwrap()));
    drop(store);
    Store::open(folder.path()).unwrap();
}

#[test]
fn old_records_are_forgotten_but_none_that_is_needed() {
    let mut store = Store::open_in_memory().unwrap();
    for i in 0..10 {
        let state = if i % 2 == 0 { PlanState::Succeeded } else { PlanState::Executing };
        store.save_plan(&plan(&format!("{i:02}"), state)).unwrap();
        store.append_event(&event(i + 1)).unwrap();
    }
    store.prune(2, 3).unwrap();
    let ids: Vec<String> = store.plans(100).unwrap().into_iter().map(|plan| plan.id).collect();
    assert_eq!(ids, ["09", "08", "07", "06", "05", "03", "01"]);
    let ids: Vec<u64> = store.events(100).unwrap().into_iter().map(|event| event.id).collect();
    assert_eq!(ids, [10, 9, 8]);
    store.prune(0, 0).unwrap();
    assert_eq!(store.last_event_id().unwrap(), 10, "ids must not be given twice");
}

#[test]
fn what_cannot_be_used_is_refused_with_a_word_on_what_to_do() {
    let refusal = |prepare: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        prepare(&folder.path().join(FILE));
        let error = Store::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains(FILE), "{error}");
        error
    };
    let noise: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let error = refusal(&|path| std::fs::write(path, &noise).unwrap());
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("move it"), "{error}");

    let error = refusal(&|path| {
        drop(Store::open(path.parent().unwrap()).unwrap());
        let mut bytes = std::fs::read(path).unwrap();
        let half = bytes.len() / 2;
        bytes[4096..half].fill(0xa5);
        std::fs::write(path, bytes).unwrap();
    });
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");

    let error = refusal(&|path| {
        let other = Connection::open(path).unwrap();
        other.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    });
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");

    let error = refusal(&|path| {
        drop(Store::open(path.parent().unwrap()).unwrap());
        let newer = Connection::open(path).unwrap();
        newer.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    });
    assert!(matches!(error, StoreError::Newer { found, .. } if found == schema::VERSION + 1), "{error}");
    assert!(error.to_string().contains("Run that version, or restore the file"), "{error}");

    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Store::open(&file.path().join("below")).unwrap_err();
    assert!(matches!(error, StoreError::Directory { .. }), "{error}");
    assert!(error.to_string().contains("state_dir"), "{error}");
}

#[test]
fn a_record_that_cannot_be_read_is_named() {
    let mut store = Store::open_in_memory().unwrap();
    store.save_plan(&plan("01", PlanState::Proposed)).unwrap();
    store.connection.execute("UPDATE plans SET record = '{}'", []).unwrap();
    let error = store.plans(1).unwrap_err();
    assert!(error.to_string().contains("plan 01"), "{error}");
}

#[test]
fn a_batch_is_written_whole_or_not() {
    let mut store = Store::open_in_memory().unwrap();
    store.connection.execute_batch("DROP TABLE host_states").unwrap();
    let changes = [
        Change::Event(Arc::new(event(1))),
        Change::Plan(Arc::new(plan("01", PlanState::Queued))),
        Change::HostState("h1".into(), AdminState::Draining, 0),
    ];
    store.write(&changes).unwrap_err();
    assert_eq!(store.last_event_id().unwrap(), 0);
    assert_eq!(store.plans(10).unwrap(), []);
}
