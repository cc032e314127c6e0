use super::*;
use crate::coordinator::settings;
use crate::record::{
    ActionKey, AdminState, Capacity, Connection, Delta, Hello, Inventory, VmReport, VmState,
};
use std::time::UNIX_EPOCH;

fn now(seconds: f64) -> Now {
    let at = Duration::from_secs_f64(seconds);
    Now { at, wall: UNIX_EPOCH + at }
}

fn settings() -> settings::Inventory {
    settings::Inventory { smoothing_s: 0.0, ..settings::Inventory::default() }
}

fn hello(host: &str, boot: &str) -> Hello {
    let capacity = Capacity { cpu_millicores: 8000, memory_mib: 1000, ..Capacity::default() };
    Hello { host: host.into(), boot_id: boot.into(), capacity, ..Hello::default() }
}

fn vm(name: &str, state: VmState) -> VmReport {
    VmReport { name: name.into(), state, cpu_millicores: 995, memory_mib: 100, ..VmReport::default() }
}

/// Hosts a and b, VM v on a.
fn cell() -> Cell {
    let mut cell = Cell::default();
    for (i, host) in ["a", "b"].into_iter().enumerate() {
        cell.attach(hello(host, "1"), AdminState::Online, i as u64 + 1, now(0.0));
        let vms = if host == "a" { vec![vm("v", VmState::Running)] } else { vec![] };
        cell.inventory(host, Inventory { vms, ..Inventory::default() }, now(0.0), &settings());
    }
    assert_eq!(cell.news(now(0.0)), [Settled::Came { vm: "v".into(), host: "a".into() }]);
    cell
}

fn says(cell: &mut Cell, host: &str, changed: Vec<VmReport>, gone: &[&str], at: f64) {
    let gone = gone.iter().map(|&name| name.to_owned()).collect();
    cell.delta(host, Delta { changed, gone, ..Delta::default() }, now(at), &settings());
}

#[test]
fn a_migration_in_flight_counts_at_both_ends_and_only_once_at_each() {
    let mut cell = cell();
    assert_eq!((cell.expected("a")["cpu"], cell.expected("b")["cpu"]), (1000, 0));
    let flight = Flight {
        key: ActionKey::default(),
        source: "a".into(),
        destination: "b".into(),
        migrates: true,
        rate: 0.0,
    };
    cell.take_off("v", flight);
    assert_eq!((cell.expected("a")["cpu"], cell.expected("b")["memory"]), (1000, 100));
    assert_eq!((cell.migrations("a"), cell.migrations("b")), (1, 1));
    says(&mut cell, "a", vec![vm("v", VmState::MigratingOut)], &[], 1.0);
    says(&mut cell, "b", vec![vm("v", VmState::MigratingIn)], &[], 1.0);
    assert_eq!((cell.expected("a")["cpu"], cell.expected("b")["cpu"]), (1000, 1000));
    // The destination reports it running before the action is known to have ended.
    says(&mut cell, "b", vec![vm("v", VmState::Running)], &[], 2.0);
    assert_eq!(cell.expected("b")["cpu"], 1000);
    cell.land("v", true);
    assert_eq!((cell.expected("a")["cpu"], cell.expected("b")["cpu"]), (0, 1000));
    assert_eq!(cell.home("v"), Some("b"));
    says(&mut cell, "a", vec![], &["v"], 2.5);
    assert_eq!(cell.news(now(60.0)), [], "our own move is no news");
}

#[test]
fn our_own_move_is_no_news_when_both_hosts_tell_of_it_before_its_end_is_known() {
    let mut cell = cell();
    let flight = Flight {
        key: ActionKey::default(),
        source: "a".into(),
        destination: "b".into(),
        migrates: true,
        rate: 0.0,
    };
    cell.take_off("v", flight);
    says(&mut cell, "a", vec![], &["v"], 1.0);
    says(&mut cell, "b", vec![vm("v", VmState::Running)], &[], 1.0);
    cell.land("v", true);
    assert_eq!(cell.news(now(1.0)), []);
    assert_eq!(cell.news(now(60.0)), []);
}

#[test]
fn an_action_that_failed_leaves_the_vm_where_it_was() {
    let mut cell = cell();
    let flight = Flight {
        key: ActionKey::default(),
        source: "a".into(),
        destination: "b".into(),
        migrates: true,
        rate: 0.0,
    };
    cell.take_off("v", flight);
    cell.land("v", false);
    assert_eq!((cell.home("v"), cell.expected("b")["cpu"]), (Some("a"), 0));
}

#[test]
fn a_foreign_move_is_told_once_in_whatever_order_the_hosts_speak() {
    let moved = Settled::Moved { vm: "v".into(), from: "a".into(), to: "b".into() };
    let mut cell_a = cell();
    says(&mut cell_a, "a", vec![], &["v"], 1.0);
    assert_eq!(cell_a.news(now(1.0)), []);
    says(&mut cell_a, "b", vec![vm("v", VmState::Running)], &[], 2.0);
    assert_eq!(cell_a.news(now(2.0)), std::slice::from_ref(&moved));
    assert_eq!(cell_a.news(now(30.0)), []);
    let mut cell_b = cell();
    says(&mut cell_b, "b", vec![vm("v", VmState::Running)], &[], 1.0);
    assert_eq!(cell_b.news(now(1.0)), []);
    says(&mut cell_b, "a", vec![], &["v"], 2.0);
    assert_eq!(cell_b.news(now(2.0)), [moved]);
}

#[test]
fn a_vm_on_two_hosts_and_one_on_none_are_believed_after_a_while() {
    let mut cell = cell();
    says(&mut cell, "b", vec![vm("v", VmState::Running)], &[], 1.0);
    assert_eq!(cell.news(now(5.9)), []);
    let doubled = Settled::Doubled { vm: "v".into(), hosts: vec!["a".into(), "b".into()] };
    assert_eq!(cell.news(now(6.1)), [doubled]);
    assert_eq!(cell.news(now(20.0)), [], "it is said once");
    assert_eq!(cell.home("v"), None);
    says(&mut cell, "b", vec![], &["v"], 21.0);
    says(&mut cell, "a", vec![vm("v", VmState::Off)], &[], 22.0);
    assert_eq!(cell.news(now(22.0)), []);
    assert_eq!(cell.news(now(28.0)), [Settled::Went { vm: "v".into(), host: "a".into() }]);
}

#[test]
fn a_silent_host_is_lost_then_failed_and_a_reboot_makes_its_vms_wait() {
    let mut cell = cell();
    assert_eq!(cell.age(now(5.0), &settings()), []);
    let lost = cell.age(now(5.1), &settings());
    assert_eq!(lost, [("a".into(), Connection::Lost), ("b".into(), Connection::Lost)]);
    says(&mut cell, "b", vec![], &[], 6.0);
    assert_eq!(cell.age(now(6.5), &settings()), []);
    assert!(cell.detach("a", 1, now(6.5)));
    assert_eq!(cell.age(now(66.6), &settings())[0], ("a".into(), Connection::Failed));
    cell.attach(hello("a", "2"), AdminState::Online, 9, now(70.0));
    assert_eq!(cell.waiting.keys().collect::<Vec<_>>(), ["v"]);
    cell.inventory("a", Inventory::default(), now(70.0), &settings());
    assert!(cell.hosts["a"].is_known());
    assert_eq!(cell.home("v"), None);
}

#[test]
fn a_host_whose_session_stands_is_lost_however_long_it_is_silent() {
    let mut cell = cell();
    assert_eq!(cell.age(now(5.1), &settings()).len(), 2);
    assert_eq!(cell.age(now(1000.0), &settings()), []);
    assert!(cell.detach("a", 1, now(1000.0)));
    assert_eq!(cell.age(now(1060.0), &settings()), []);
    assert_eq!(cell.age(now(1060.1), &settings()), [("a".into(), Connection::Failed)]);
}

#[test]
fn an_old_session_that_ends_does_not_end_the_new_one() {
    let mut cell = cell();
    cell.attach(hello("a", "1"), AdminState::Online, 7, now(1.0));
    assert!(!cell.detach("a", 1, now(2.0)));
    assert_eq!(cell.hosts["a"].connection, Connection::Connected);
    assert!(cell.detach("a", 7, now(2.0)));
    assert_eq!(cell.hosts["a"].connection, Connection::Lost);
    assert_eq!(cell.home("v"), Some("a"), "a lost host keeps its VMs");
}

#[test]
fn use_is_smoothed_and_definitions_are_kept() {
    let mut cell = cell();
    let smooth = settings::Inventory { smoothing_s: 10.0, ..settings() };
    let report = |cpu| VmReport { cpu_millicores: cpu, ..vm("v", VmState::Running) };
    let mut first = report(1000);
    first.definition = "<domain/>".into();
    cell.delta("a", Delta { changed: vec![first], ..Delta::default() }, now(0.0), &smooth);
    cell.delta("a", Delta { changed: vec![report(8000)], ..Delta::default() }, now(1.0), &smooth);
    let (_, entry) = cell.vm("v").unwrap();
    let cpu = entry.demand()["cpu"];
    assert!((1600..1720).contains(&cpu), "{cpu}");
    assert_eq!(entry.report.definition, "<domain/>");
}

#[test]
fn what_is_planned_with_comes_to_what_is_used_though_agents_tell_only_what_has_changed() {
    let smooth = settings::Inventory { smoothing_s: 10.0, ..settings() };
    let report = |cpu| VmReport { cpu_millicores: cpu, ..vm("v", VmState::Running) };
    for (before, after) in [(100, 6500), (6500, 100)] {
        let mut cell = cell();
        cell.delta("a", Delta { changed: vec![report(before)], ..Delta::default() }, now(0.0), &smooth);
        let mut told = before;
        // It comes with what is known of it from before.
        for second in 1..=240 {
            // It changes once, after a time in which it did not.
            let use_now = if second < 120 { before } else { after };
            let changed = if use_now == told { vec![] } else { vec![report(use_now)] };
            told = use_now;
            cell.delta("a", Delta { changed, ..Delta::default() }, now(f64::from(second)), &smooth);
            let cpu = cell.vm("v").unwrap().1.demand()["cpu"];
            match second {
                119 => assert_eq!(cpu, before, "after {second} s"),
                120 => {
                    assert!(
                        (cpu - before).abs() < (after - before).abs() / 8,
                        "{cpu}: one sample is not all"
                    );
                }
                _ => {}
            }
        }
        assert_eq!(cell.vm("v").unwrap().1.demand()["cpu"], after);
    }
}

#[test]
fn a_vm_that_arrives_is_expected_to_use_what_it_used_before() {
    let smooth = settings::Inventory { smoothing_s: 10.0, ..settings() };
    let shell = |state| VmReport { cpu_millicores: 0, ..vm("v", state) };
    // The order in which the destination runs it, the source forgets it, and its end becomes known.
    for order in
        ["end run gone", "end gone run", "run gone end", "gone run end", "off run end", "gone end run"]
    {
        let mut cell = cell();
        let flight = Flight {
            key: ActionKey::default(),
            source: "a".into(),
            destination: "b".into(),
            migrates: true,
            rate: 0.0,
        };
        cell.take_off("v", flight);
        let say = |cell: &mut Cell, host: &str, changed: Vec<VmReport>, gone: &[&str], at: f64| {
            let gone = gone.iter().map(|&name| name.to_owned()).collect();
            cell.delta(host, Delta { changed, gone, ..Delta::default() }, now(at), &smooth);
        };
        say(&mut cell, "b", vec![shell(VmState::MigratingIn)], &[], 0.1);
        for (i, step) in order.split(' ').enumerate() {
            let at = 0.2 + 0.1 * i as f64;
            match step {
                "end" => cell.land("v", true),
                "run" => say(&mut cell, "b", vec![shell(VmState::Running)], &[], at),
                "off" => say(&mut cell, "a", vec![shell(VmState::Off)], &[], at),
                _ => say(&mut cell, "a", vec![], &["v"], at),
            }
            let cpu = cell.expected("b")["cpu"];
            assert!(cpu >= 900, "{cpu} after {step} of {order}");
        }
        say(&mut cell, "b", vec![shell(VmState::Running)], &[], 1.0);
        let cpu = cell.expected("b")["cpu"];
        assert!((900..1000).contains(&cpu), "{cpu} in the end of {order}");
    }
}

#[test]
fn a_vm_that_is_started_is_expected_to_use_what_it_used_before_it_went_down() {
    let smooth = settings::Inventory { smoothing_s: 10.0, ..settings() };
    let shell = VmReport { cpu_millicores: 0, ..vm("v", VmState::Running) };
    for run_first in [false, true] {
        let mut cell = cell();
        cell.attach(hello("a", "2"), AdminState::Online, 9, now(0.0));
        let key = ActionKey::default();
        let flight =
            Flight { key, source: String::new(), destination: "b".into(), migrates: false, rate: 0.0 };
        cell.take_off("v", flight);
        let delta = || Delta { changed: vec![shell.clone()], ..Delta::default() };
        if run_first {
            cell.delta("b", delta(), now(0.5), &smooth);
        }
        cell.land("v", true);
        cell.delta("b", delta(), now(1.0), &smooth);
        let cpu = cell.expected("b")["cpu"];
        assert!((900..1000).contains(&cpu), "{cpu}");
    }
}
