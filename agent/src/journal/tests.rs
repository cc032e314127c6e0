use super::*;
use crate::action::{State, Work};
use crate::hypervisor::Reason;
use std::time::{Duration, UNIX_EPOCH};

fn order(action_id: u64) -> Order {
    Order {
        key: ActionKey { plan_id: "p1".into(), action_id },
        epoch: 3,
        vm: format!("vm{action_id}"),
        vm_uuid: "u".into(),
        deadline: Duration::from_mins(1),
        stall: Duration::from_secs(10),
        work: Work::Migrate {
            destination: "h2".into(),
            destination_uri: "qemu+tcp://h2/system".into(),
            bandwidth_mib_s: 100,
            auto_converge: true,
            post_copy: false,
        },
    }
}

fn failed() -> Progress {
    Progress {
        state: State::Failed,
        reason: Some(Reason::Stalled),
        message: "no progress".into(),
        bytes_processed: 7,
        bytes_remaining: 8,
        elapsed: Duration::from_millis(1500),
        downtime_ms: None,
        bandwidth_mib_s: 12.5,
    }
}

fn at() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

#[test]
fn what_was_noted_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    journal.raise_epoch(5).unwrap();
    journal.raise_epoch(4).unwrap();
    for id in [1, 2, 3] {
        journal.accept(&order(id), at()).unwrap();
    }
    journal.note_autostart(&order(1).key).unwrap();
    journal.end(&order(2).key, &failed()).unwrap();
    journal.forget(&order(3).key).unwrap();
    let before = journal.entries().clone();
    drop(journal);

    let journal = Journal::open(folder.path()).unwrap();
    assert_eq!(journal.epoch(), 5);
    assert_eq!(*journal.entries(), before);
    assert_eq!(
        before[&order(1).key],
        Entry { order: order(1), accepted: at(), autostart: true, ended: None }
    );
    assert_eq!(before[&order(2).key].ended, Some(failed()));
    assert!(!before.contains_key(&order(3).key));
}

#[test]
fn a_crash_anywhere_in_a_write_loses_that_line_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let mut journal = Journal::open(folder.path()).unwrap();
    journal.accept(&order(1), at()).unwrap();
    let whole = std::fs::read(&path).unwrap();
    journal.accept(&order(2), at()).unwrap();
    let longer = std::fs::read(&path).unwrap();
    drop(journal);
    for torn in whole.len()..longer.len() {
        std::fs::write(&path, &longer[..torn]).unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        assert_eq!(journal.entries().keys().collect::<Vec<_>>(), [&order(1).key], "torn at {torn}");
    }
    std::fs::write(&path, &longer).unwrap();
    assert_eq!(Journal::open(folder.path()).unwrap().entries().len(), 2);
}

#[test]
fn a_damaged_line_is_an_error_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    drop(Journal::open(folder.path()).unwrap());
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("{\"Accepted\": nonsense}\n{\"Epoch\":9}\n");
    std::fs::write(&path, text).unwrap();
    let error = Journal::open(folder.path()).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { line: 3, .. }), "{error}");
}

#[test]
fn a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), "{\"Version\":2}\n").unwrap();
    let error = Journal::open(folder.path()).unwrap_err();
    assert!(matches!(error, JournalError::Version { found: 2, .. }), "{error}");
    // Whoever moved it away would lose what is under way.
    assert!(error.to_string().contains("Run that version") && !error.to_string().contains("move"), "{error}");
}

#[test]
fn two_agents_cannot_share_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let first = Journal::open(folder.path()).unwrap();
    assert!(matches!(Journal::open(folder.path()), Err(JournalError::InUse { .. })));
    drop(first);
    Journal::open(folder.path()).unwrap();
}

#[test]
fn it_does_not_grow_without_bound() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    journal.accept(&order(1), at()).unwrap();
    for epoch in 1..=2500 {
        journal.raise_epoch(epoch).unwrap();
    }
    let lines = std::fs::read_to_string(folder.path().join(FILE)).unwrap().lines().count();
    assert!(lines <= MOST_LINES + 3, "{lines} lines");
    drop(journal);
    let journal = Journal::open(folder.path()).unwrap();
    assert_eq!((journal.epoch(), journal.entries().len()), (2500, 1));
}

#[test]
fn a_write_that_fails_anywhere_leaves_nothing_behind() {
    let length = encode(&Line::Accepted { order: Box::new(order(2)), at: at(), autostart: false }).len();
    for room in [0, 1, length / 2, length - 1, length] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let mut journal = Journal::open(folder.path()).unwrap();
        journal.accept(&order(1), at()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        journal.room = Some(room);
        let error = journal.accept(&order(2), at()).unwrap_err();
        assert!(matches!(error, JournalError::Io { what: "write", .. }), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), whole, "{room} bytes were written");
        assert!(!journal.entries().contains_key(&order(2).key));
        drop(journal);

        let mut journal = Journal::open(folder.path()).unwrap();
        journal.room = Some(room);
        journal.raise_epoch(8).unwrap_err();
        assert_eq!(journal.epoch(), 0);
        journal.accept(&order(3), at()).unwrap();
        journal.raise_epoch(9).unwrap();
        drop(journal);
        let journal = Journal::open(folder.path()).unwrap();
        assert_eq!(journal.epoch(), 9);
        assert_eq!(journal.entries().keys().collect::<Vec<_>>(), [&order(1).key, &order(3).key]);
    }
}
