//! The unsafe module against libvirt's test driver, and against real daemons where the machine allows it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(feature = "libvirt")]

mod support;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use dvms_agent::hypervisor::libvirt::ffi::{
    self, CloseReason, Event, Groups, JobKind, Lifecycle, MigrateParams, Registrations, Which,
};
use support::{Testbed, wait_for};
use virt::connect::Connect;

// Error codes of libvirt, by number: they never change.
const NO_SUPPORT: u32 = 3;
const INVALID_ARG: u32 = 8;
const NO_DOMAIN: u32 = 42;
const INVALID_OPERATION: u32 = 55;
const ABORTED: u32 = 78;

const TEST_DRIVER: &str = "test:///default";
const USAGE: Groups = Groups { usage: true, dirty_rate: false };

fn open(uri: &str) -> Connect {
    ffi::start_event_loop().unwrap();
    ffi::open(uri).unwrap()
}

fn code(error: &virt::error::Error) -> u32 {
    error.code().to_raw()
}

fn sockets() -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|e| fs::read_link(e.ok()?.path()).ok());
    links.filter(|l| l.to_string_lossy().starts_with("socket:")).count()
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Counts how many of its clones are alive, as a handler captures them.
fn watched_handler(alive: &Arc<()>) -> impl Fn(Event) + Send + Sync + use<> {
    let alive = Arc::clone(alive);
    move |_| {
        let _ = &alive;
    }
}

fn next(events: &Receiver<Event>, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
    let end = Instant::now() + Duration::from_secs(15);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let event = events.recv_timeout(left).unwrap_or_else(|e| panic!("no event ({what}): {e}"));
        if wanted(&event) {
            return event;
        }
    }
}

#[test]
fn a_nul_byte_is_an_error_not_a_panic() {
    ffi::start_event_loop().unwrap();
    let error = ffi::open("test:///def\0ault").unwrap_err();
    assert_eq!(code(&error), INVALID_ARG);
    let connect = open(TEST_DRIVER);
    let domain = connect.lookup_domain_by_name("test").unwrap();
    let how = MigrateParams { bandwidth_mib_s: 1, ..MigrateParams::default() };
    let error = ffi::migrate(&domain, "qemu+tcp://a\0b/system", &how).unwrap_err();
    assert_eq!(code(&error), INVALID_ARG);
    let how = MigrateParams { data_uri: Some("tcp://\0"), ..how };
    let error = ffi::migrate(&domain, "qemu+tcp://b/system", &how).unwrap_err();
    assert_eq!(code(&error), INVALID_ARG);
}

#[test]
fn what_the_test_driver_cannot_do_is_an_error_of_its_own() {
    let connect = open(TEST_DRIVER);
    let domain = connect.lookup_domain_by_name("test").unwrap();
    for error in [
        ffi::job_stats(&domain).unwrap_err(),
        ffi::abort_job(&domain).unwrap_err(),
        ffi::start_post_copy(&domain).unwrap_err(),
        ffi::start_dirty_rate(&domain, 1).unwrap_err(),
        ffi::node_memory_stats(&connect).unwrap_err(),
    ] {
        assert_eq!(code(&error), NO_SUPPORT, "{error}");
    }
    let how = MigrateParams { bandwidth_mib_s: 1, ..MigrateParams::default() };
    let error = ffi::migrate(&domain, "test:///other", &how).unwrap_err();
    assert!(error.message().contains("not supported"), "{error}");
    assert!(ffi::node_cpu_stats(&connect).unwrap().iter().any(|(name, _)| name == "user"));
}

#[test]
fn ten_thousand_bulk_statistics_do_not_grow() {
    let connect = open(TEST_DRIVER);
    let ask = || {
        let records = ffi::all_domain_stats(&connect, USAGE, Which::All).unwrap();
        assert_eq!(records[0].name, "test");
        assert_eq!(records[0].uuid.len(), 36);
        assert_eq!(records[0].fields.number("state.state"), Some(1));
    };
    (0..500).for_each(|_| ask());
    let before = resident_kib();
    (0..10_000).for_each(|_| ask());
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 2048, "grew by {grown} KiB"); // one leaked record each would be some 10 MiB
}

#[test]
fn lifecycle_events_arrive_and_a_panic_in_the_handler_harms_nobody() {
    let connect = open(TEST_DRIVER);
    let (sender, events) = mpsc::sync_channel(64);
    let panics = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&panics);
    let registrations = Registrations::new(&connect, move |event| {
        let _ = sender.try_send(event);
        counted.fetch_add(1, Ordering::SeqCst);
        panic!("a handler with a fault");
    })
    .unwrap();
    let xml =
        "<domain type='test'><name>ev</name><memory unit='MiB'>8</memory><os><type>hvm</type></os></domain>";
    let domain = connect.create_domain_xml(xml, 0).unwrap();
    domain.destroy().unwrap();
    let is = |wanted: Lifecycle| move |e: &Event| matches!(e, Event::Lifecycle { name, change, .. } if name == "ev" && *change == wanted);
    next(&events, "started", is(Lifecycle::Started));
    next(&events, "stopped", is(Lifecycle::Stopped));
    // The handler counts after it has sent.
    wait_for("both calls have panicked", Duration::from_secs(15), || panics.load(Ordering::SeqCst) >= 2);
    drop(registrations);
}

#[test]
fn registrations_are_given_back() {
    let alive = Arc::new(());
    for _ in 0..100 {
        let connect = open(TEST_DRIVER);
        drop(Registrations::new(&connect, watched_handler(&alive)).unwrap());
    }
    wait_for("all contexts freed", Duration::from_secs(5), || Arc::strong_count(&alive) == 1);
}

#[test]
fn each_thread_reads_its_own_error() {
    let connect = open(TEST_DRIVER);
    thread::scope(|scope| {
        for i in 0..16 {
            let connect = &connect;
            scope.spawn(move || {
                for _ in 0..50 {
                    let name = format!("nobody-{i}");
                    let error = connect.lookup_domain_by_name(&name).err().unwrap();
                    assert_eq!(code(&error), NO_DOMAIN);
                    let domain = connect.lookup_domain_by_name("test").unwrap();
                    let error = ffi::abort_job(&domain).unwrap_err();
                    assert_eq!(code(&error), NO_SUPPORT, "{error}");
                }
            });
        }
    });
}

/// One test bed for all that needs daemons, as booting it is what takes time.
#[test]
fn against_real_daemons() {
    let Some(bed) = Testbed::up(2) else { return };
    bed.create(1, "ffi", 32, "d=16 r=5");
    let (uri, peer) = (bed.uri(1), bed.peer_uri(2));

    figures(&uri);
    no_job_is_no_trouble(&uri);
    connections_are_given_back(&uri);
    migration_with_events(&bed, &uri, &peer);
    close_reasons(&bed, &bed.uri(2));
}

fn figures(uri: &str) {
    let connect = open(uri);
    let memory = ffi::node_memory_stats(&connect).unwrap();
    let get = |name: &str| memory.iter().find(|(n, _)| n == name).expect(name).1;
    assert!(get("total") > get("free") && get("free") > 0);
    let cpu = ffi::node_cpu_stats(&connect).unwrap();
    for name in ["user", "kernel", "idle", "iowait"] {
        assert!(cpu.iter().any(|(n, _)| n == name), "{name} in {cpu:?}");
    }
    let records = ffi::all_domain_stats(&connect, USAGE, Which::Active).unwrap();
    let fields = &records.iter().find(|r| r.name == "ffi").unwrap().fields;
    assert!(fields.number("cpu.time").unwrap() > 0);
    assert_eq!(fields.number("balloon.current"), Some(32 * 1024));
    assert_eq!(fields.number("vcpu.current"), Some(1));
    assert!(fields.value("balloon.nothing").is_none());

    let before = (resident_kib(), sockets());
    for _ in 0..500 {
        ffi::all_domain_stats(&connect, USAGE, Which::Active).unwrap();
    }
    assert!(resident_kib() < before.0 + 2048 && sockets() == before.1);

    let domain = connect.lookup_domain_by_name("ffi").unwrap();
    ffi::start_dirty_rate(&domain, 1).unwrap();
    wait_for("a measured dirty rate", Duration::from_secs(5), || {
        let groups = Groups { usage: false, dirty_rate: true };
        let records = ffi::all_domain_stats(&connect, groups, Which::Active).unwrap();
        records[0].fields.number("dirtyrate.calc_status") == Some(2)
            && records[0].fields.number("dirtyrate.megabytes_per_second").is_some()
    });
}

fn no_job_is_no_trouble(uri: &str) {
    let connect = open(uri);
    let domain = connect.lookup_domain_by_name("ffi").unwrap();
    for _ in 0..100 {
        let (kind, fields) = ffi::job_stats(&domain).unwrap();
        assert!(kind == JobKind::None && fields.is_empty());
    }
    assert_eq!(ffi::completed_job_stats(&domain).unwrap().0, JobKind::None);
    assert_eq!(code(&ffi::abort_job(&domain).unwrap_err()), INVALID_OPERATION);
    assert_eq!(code(&ffi::start_post_copy(&domain).unwrap_err()), INVALID_OPERATION);
}

fn connections_are_given_back(uri: &str) {
    let alive = Arc::new(());
    let before = sockets();
    for _ in 0..100 {
        let connect = open(uri);
        let registrations = Registrations::new(&connect, watched_handler(&alive)).unwrap();
        ffi::all_domain_stats(&connect, USAGE, Which::All).unwrap();
        drop(connect); // the registrations hold it until they go
        drop(registrations);
    }
    wait_for("contexts and sockets given back", Duration::from_secs(10), || {
        Arc::strong_count(&alive) == 1 && sockets() <= before
    });
}

fn migration_with_events(bed: &Testbed, uri: &str, peer: &str) {
    let (sender, events) = mpsc::sync_channel(256);
    let control = open(uri);
    let registrations = Registrations::new(&control, move |e| drop(sender.try_send(e))).unwrap();
    let watched = control.lookup_domain_by_name("ffi").unwrap();

    let begin = |bandwidth_mib_s| {
        let connect = open(uri);
        let peer = peer.to_owned();
        thread::spawn(move || {
            let domain = connect.lookup_domain_by_name("ffi").unwrap();
            let how = MigrateParams { bandwidth_mib_s, auto_converge: true, ..MigrateParams::default() };
            ffi::migrate(&domain, &peer, &how)
        })
    };
    let slow = begin(1);
    wait_for("a running job", Duration::from_secs(10), || {
        let (kind, fields) = ffi::job_stats(&watched).unwrap();
        kind.is_running() && fields.number("memory_processed").unwrap_or(0) > 0
    });
    ffi::abort_job(&watched).unwrap();
    assert_eq!(code(&slow.join().unwrap().unwrap_err()), ABORTED);
    assert_eq!(ffi::job_stats(&watched).unwrap().0, JobKind::None);
    assert_eq!(bed.hosts_of("ffi"), [1]);

    begin(50).join().unwrap().unwrap();
    assert_eq!(bed.hosts_of("ffi"), [2]);
    next(&events, "an iteration", |e| matches!(e, Event::MigrationIteration { iteration: 1, .. }));
    let is_stop = |e: &Event| matches!(e, Event::Lifecycle { change: Lifecycle::Stopped, detail: 3, .. });
    next(&events, "stopped by migration", is_stop);
    let done = next(&events, "job completed", |e| matches!(e, Event::JobCompleted { .. }));
    let Event::JobCompleted { figures, .. } = done else { unreachable!() };
    assert!(figures.number("downtime").is_some() && figures.number("memory_processed").is_some());
    drop(registrations);
}

fn close_reasons(bed: &Testbed, uri: &str) {
    let closed = |e: &Event| matches!(e, Event::Closed(_));
    for (fault, mend, reason) in
        [("kill", "start", CloseReason::EndOfFile), ("hang", "resume", CloseReason::KeepAlive)]
    {
        let (sender, events) = mpsc::sync_channel(16);
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let connect = open(uri);
        let registrations = Registrations::new(&connect, move |e| {
            let _ = &held;
            let _ = sender.try_send(e);
        })
        .unwrap();
        bed.run(&["libvirtd", "2", fault]);
        assert_eq!(next(&events, fault, closed), Event::Closed(reason));
        // On a dead connection a registration fails, and its context goes all the same.
        assert!(Registrations::new(&connect, watched_handler(&alive)).is_err());
        drop(registrations);
        drop(connect);
        wait_for("contexts freed", Duration::from_secs(5), || Arc::strong_count(&alive) == 1);
        bed.run(&["libvirtd", "2", mend]);
    }
}
