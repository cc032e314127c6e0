use super::frame::frame;
use super::news::of_event;
use super::plain;
use super::scene::Scene;
use crate::coordinator::Change;
use crate::record::{
    ActionProgress, ActionState, ActionStatus, AdminState, Capacity, Connection, Event, EventKind,
    HostRecord, Mode, PlanRecord, PlanState, ProgressState, Severity, Usage,
};
use dvms_solver::file::Plan;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

fn host(name: &str, cpu: i64, memory: i64, vms: u32) -> HostRecord {
    let amounts = |cpu, memory| BTreeMap::from([("cpu".to_owned(), cpu), ("memory".to_owned(), memory)]);
    HostRecord {
        name: name.into(),
        state: AdminState::Online,
        connection: Connection::Connected,
        capacity: Capacity::default(),
        usage: Usage::default(),
        expected: amounts(cpu, memory),
        usable: amounts(1000, 1000),
        labels: BTreeMap::new(),
        vm_count: vms,
        agent_version: String::new(),
        driver: "simulated".into(),
        last_report: None,
        epoch: 1,
        partition: String::new(),
        migrations: 0,
        conditions: Vec::new(),
        migration: None,
    }
}

fn at(seconds: f64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds)
}

fn event(kind: EventKind, message: &str) -> Change {
    Change::Event(Arc::new(Event {
        id: 1,
        time: at(0.0),
        kind,
        severity: Severity::Warning,
        host: "hv03".into(),
        vm: String::new(),
        constraint: String::new(),
        plan_id: String::new(),
        action_id: 0,
        message: message.into(),
    }))
}

const PLAN: &str = r#"{"status": "OPTIMAL", "actions": [
    {"id": 1, "type": "MIGRATE", "vm": "vm-21", "source": "hv03", "destination": "hv11", "start_s": 0, "end_s": 2,
     "after": [], "because": "hv03 is 5400 milli-cores over its cpu target"},
    {"id": 2, "type": "MIGRATE", "vm": "web-2", "source": "hv03", "destination": "hv10", "start_s": 0, "end_s": 2,
     "after": [], "because": "hv03 is 5400 milli-cores over its cpu target"},
    {"id": 3, "type": "MIGRATE", "vm": "vm-22", "source": "hv03", "destination": "hv11", "start_s": 2, "end_s": 4,
     "after": [1], "because": "hv03 is 5400 milli-cores over its cpu target"}],
    "placement": {}, "objectives": [], "statistics": {"solve_s": 0.04}}"#;

fn status(id: u64, state: ActionState, sent: u64) -> ActionStatus {
    let progress = ActionProgress {
        state: ProgressState::Running,
        bytes_processed: sent,
        bytes_remaining: 1000 - sent,
        downtime_ms: (state == ActionState::Done).then_some(30),
        ..ActionProgress::default()
    };
    let ended = (state == ActionState::Done).then(|| at(4.5));
    ActionStatus {
        action_id: id,
        state,
        progress: Some(progress),
        started: Some(at(2.0)),
        ended,
        message: "the stream broke".into(),
        forecast: None,
    }
}

fn plan(state: PlanState, actions: Vec<ActionStatus>) -> Change {
    Change::Plan(Arc::new(PlanRecord {
        id: "p-17".into(),
        state,
        mode: Mode::Auto,
        trigger: "OVERLOAD".into(),
        purpose: "repair the overload of hv03".into(),
        event_ids: vec![1],
        hosts: Vec::new(),
        problem: None,
        plan: Some(Arc::new(Plan::from_json(PLAN).unwrap())),
        actions,
        created: at(1.0),
        solved: Some(at(1.1)),
        started: Some(at(2.0)),
        ended: state.is_terminal().then(|| at(7.0)),
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
    }))
}

/// Twelve hosts, one overloaded, one draining, one empty; a plan under way.
fn scene() -> Scene {
    let mut scene = Scene {
        inventory: "12 simulated hypervisors, 97 VMs".into(),
        address: "127.0.0.1:7600".into(),
        act: "act 1 of 3: hv03 is overloaded".into(),
        overload: 0.9,
        time: Duration::from_millis(3100),
        ..Scene::default()
    };
    for i in 1..=12 {
        let mut record = host(&format!("hv{i:02}"), 520 + 10 * i, 330, 8);
        match i {
            3 => {
                (record.conditions, record.migrations) = (vec!["OVERLOAD".into()], 2);
                record.expected.insert("cpu".into(), 980);
            }
            5 => record.state = AdminState::Draining,
            7 => (record.expected, record.vm_count) = (BTreeMap::new(), 0),
            9 => record.connection = Connection::Lost,
            _ => {}
        }
        scene.take(&Change::Host(Arc::new(record)));
    }
    scene.take(&event(EventKind::Overload, "hv03 uses 98 % of its cpu"));
    scene.take(&event(EventKind::PlanStarted, "told by the plan itself"));
    scene.take(&plan(
        PlanState::Executing,
        vec![
            status(1, ActionState::Done, 1000),
            status(2, ActionState::Running, 400),
            status(3, ActionState::Waiting, 0),
        ],
    ));
    scene
}

fn text(scene: &Scene, width: usize, height: usize) -> String {
    frame(scene, width, height).iter().map(|line| line.plain().trim_end().to_owned() + "\n").collect()
}

#[test]
fn a_frame_of_80_by_24() {
    let expected = "\
dvms demo · act 1 of 3: hv03 is overloaded                                   3 s
host   state     cpu                           memory                 VMs moves
hv01   online    ███████████▏·········   53 %  ████▋·········   33 %    8
hv02   online    ███████████▍·········   54 %  ████▋·········   33 %    8
hv03   overload  ████████████████████▋   98 %  ████▋·········   33 %    8     2
hv04   online    ███████████▊·········   56 %  ████▋·········   33 %    8
hv05   draining  ████████████·········   57 %  ████▋·········   33 %    8
hv06   online    ████████████▏········   58 %  ████▋·········   33 %    8
hv07   free      ·····················    0 %  ··············    0 %    0
hv08   online    ████████████▋········   60 %  ████▋·········   33 %    8
hv09   lost      ████████████▊········   61 %  ████▋·········   33 %    8
hv10   online    █████████████········   62 %  ████▋·········   33 %    8
hv11   online    █████████████▎·······   63 %  ████▋·········   33 %    8
hv12   online    █████████████▌·······   64 %  ████▋·········   33 %    8
── plan 1 · OVERLOAD · OPTIMAL · 1 done, 1 moving, 1 waiting ───────────────────
  web-2: hv03 -> hv10     ███▎···· 40 %    hv03 is 5400 milli-cores over its cp…
  vm-22: hv03 -> hv11     ········ waits   hv03 is 5400 milli-cores over its cp…
  vm-21: hv03 -> hv11     ████████ done    hv03 is 5400 milli-cores over its cp…
── events ──────────────────────────────────────────────────────────────────────
  3.1 s  OVERLOAD  hv03 uses 98 % of its cpu
  3.1 s  plan 1  OVERLOAD: 3 moves, solved in 40 ms, OPTIMAL


12 simulated hypervisors, 97 VMs · served at 127.0.0.1:7600 · Ctrl-C ends
";
    assert_eq!(text(&scene(), 80, 24), expected);
}

#[test]
fn a_frame_fits_any_screen() {
    for (width, height) in [(80, 24), (120, 50), (40, 10), (60, 14), (1, 1), (0, 0), (200, 15), (80, 16)] {
        let lines = frame(&scene(), width, height);
        assert_eq!(lines.len(), height, "{width}x{height}");
        assert!(lines.iter().all(|line| line.plain().chars().count() <= width), "{width}x{height}");
    }
    // More hosts than lines: the first ones.
    assert!(text(&scene(), 80, 10).contains("hv07") && !text(&scene(), 80, 10).contains("hv09"));
}

#[test]
fn lines_carry_no_escape_codes_and_say_everything() {
    let mut scene = Scene { time: Duration::from_secs(3), ..Scene::default() };
    let mut said = Vec::new();
    let mut take = |change: Change| {
        for news in scene.take(&change) {
            said.push(plain::timed(scene.time.as_secs_f64(), &news.line));
        }
    };
    take(event(EventKind::Overload, "hv03 uses 98 % of its cpu\u{1b}[31m"));
    take(plan(PlanState::Executing, vec![status(1, ActionState::Sent, 0)]));
    take(plan(PlanState::Executing, vec![status(1, ActionState::Done, 1000)]));
    take(plan(PlanState::Executing, vec![status(1, ActionState::Done, 1000)]));
    take(plan(
        PlanState::Failed,
        vec![status(1, ActionState::Done, 1000), status(2, ActionState::Failed, 1)],
    ));
    let expected = "\
[  3.0 s] OVERLOAD  hv03 uses 98 % of its cpu\u{fffd}[31m
[  3.0 s] plan 1  OVERLOAD: 3 moves, solved in 40 ms, OPTIMAL
[  3.0 s]   vm-21: hv03 -> hv11  because hv03 is 5400 milli-cores over its cpu target
[  3.0 s]   web-2: hv03 -> hv10  because hv03 is 5400 milli-cores over its cpu target
[  3.0 s]   vm-22: hv03 -> hv11  because hv03 is 5400 milli-cores over its cpu target
[  3.0 s] done  vm-21 runs on hv11 after 2.5 s, stood still for 30 ms
[  3.0 s] FAILED  web-2 stays on hv03: the stream broke
[  3.0 s] plan 1  FAILED after 6 s";
    assert_eq!(said.join("\n"), expected);
}

#[test]
fn progress_is_told_while_something_moves() {
    assert_eq!(
        plain::progress(&scene()).unwrap().plain(),
        "plan 1  1 of 3 moves done, under way web-2: hv03 -> hv10 40 %"
    );
    assert_eq!(plain::progress(&Scene::default()), None);
    let hosts = plain::hosts(&scene());
    assert_eq!(
        hosts[2],
        "  hv03   cpu [####################]  98 %  memory [#######.............]  33 %    8 VMs  OVERLOAD"
    );
    assert_eq!(hosts.len(), 12);
}

#[test]
fn only_what_plans_do_not_tell_is_told_of_events() {
    let told = |kind| match event(kind, "x") {
        Change::Event(event) => of_event(&event).is_some(),
        _ => false,
    };
    assert!(told(EventKind::Underload) && told(EventKind::Alarm) && told(EventKind::Resolved));
    assert!(!told(EventKind::ActionEnded) && !told(EventKind::HostConnected));
}
