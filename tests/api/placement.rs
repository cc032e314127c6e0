//! `PlacementService`: plans in time, errors in place, no thread wasted.

use crate::support::{Fake, Server, assert_fields, failure, until, within};
use dvms::api::server::Options;
use dvms::config;
use dvms_proto::v1 as pb;
use dvms_solver::file::{Plan, Status};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tonic::{Code, Request, Streaming};

/// As in docs/examples/rack.json.
fn rack() -> pb::Problem {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/rack.json");
    dvms::json::from_text(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn plan(reason: &str) -> Plan {
    Plan { status: Status::Feasible, reason: reason.into(), ..Plan::default() }
}

fn one_at_once() -> Options {
    Options { solve: config::Solve { concurrent: 1, ..config::Solve::default() }, ..Options::default() }
}

/// The plans of a stream, the last of which is the only final one.
async fn all(mut stream: Streaming<pb::SolveResponse>) -> Result<Vec<pb::Plan>, tonic::Status> {
    let mut plans = Vec::new();
    let mut last = false;
    while let Some(response) = within("a plan", stream.message()).await? {
        assert!(!last, "a plan came after the final one");
        last = response.r#final;
        plans.push(response.plan.expect("every message has a plan"));
    }
    assert!(last, "the last plan is the final one");
    Ok(plans)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_plan_of_a_solve_is_valid() {
    let server = Server::start().await;
    let mut client = server.placement().await;
    let problem = rack();
    let plans = all(client.solve(problem.clone()).await.unwrap().into_inner()).await.unwrap();
    let judge = dvms::api::convert::problem_from_wire(problem.clone()).unwrap();
    for plan in plans {
        let read = dvms::api::convert::plan_from_wire(plan.clone()).unwrap();
        assert_eq!(dvms_solver::check::check(&judge, &read).violations, []);
        let request = pb::CheckRequest { problem: Some(problem.clone()), plan: Some(plan) };
        let answer = client.check(request).await.unwrap().into_inner();
        assert!(answer.valid && answer.violations.is_empty(), "{answer:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_plan_that_breaks_a_rule_is_told_so() {
    let server = Server::start().await;
    let plan = pb::Plan {
        status: pb::plan::Status::Feasible.into(),
        placement: BTreeMap::from([("web1".into(), "h2".into()), ("web2".into(), "h2".into())]),
        ..Default::default()
    };
    let request = pb::CheckRequest { problem: Some(rack()), plan: Some(plan) };
    let answer = server.placement().await.check(request).await.unwrap().into_inner();
    assert!(!answer.valid && !answer.violations.is_empty());
    assert!(answer.violations.iter().all(|v| !v.subject.is_empty() && !v.message.is_empty()), "{answer:?}");

    let nothing = server.placement().await.check(pb::CheckRequest::default()).await.unwrap_err();
    assert_fields(&nothing, &["problem", "plan"]);
    let mut problem = rack();
    problem.vms[0].host = "nowhere".into();
    let plan = Some(pb::Plan { status: 1, ..Default::default() });
    let wrong = server.placement().await.check(pb::CheckRequest { problem: Some(problem), plan }).await;
    assert_fields(&wrong.unwrap_err(), &["problem.vms[0].host"]);
    server.stop().await;
}

#[tokio::test]
async fn every_fault_of_a_problem_has_its_place() {
    let server = Server::start().await;
    let mut problem = rack();
    problem.hosts[0].capacity.insert("cpu".into(), -1);
    problem.hosts[1].capacity.insert("memory".into(), (1 << 53) + 1);
    problem.hosts[2].name = "h1".into();
    problem.vms[0].host = "nowhere".into();
    problem.vms[1].demand.insert("cpu".into(), i64::MIN);
    problem.vms[2].name = "web1".into();
    problem.vms[4].name = "two words".into();
    problem.limits = Some(pb::problem::Limits { max_migrations: Some(-5), ..Default::default() });
    let status = server.placement().await.solve(problem).await.unwrap_err();
    let (code, reason, details) = failure(&status);
    assert_eq!((code, reason.as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
    let found: Vec<_> =
        details.bad_request().unwrap().field_violations.iter().map(|v| v.field.clone()).collect();
    for field in [
        "hosts[0].capacity.cpu",
        "hosts[1].capacity.memory",
        "hosts[2].name",
        "vms[0].host",
        "vms[1].demand.cpu",
        "vms[2].name",
        "vms[4].name",
        "limits.max_migrations",
    ] {
        assert!(found.iter().any(|got| got == field), "{field} is not among {found:?}");
    }

    let mut problem = rack();
    problem.hosts[0].state = 99;
    assert_fields(&server.placement().await.solve(problem).await.unwrap_err(), &["hosts[0].state"]);
    server.assert_alive().await;
    server.stop().await;
}

#[tokio::test]
async fn a_network_is_planned_with() {
    let server = Server::start().await;
    let mut problem = rack();
    // All hosts behind one switch that carries 10 MiB/s.
    let switch = pb::problem::network::Switch { name: "s".into(), bandwidth: Some(10.0) };
    let link = |host: &pb::problem::Host| pb::problem::network::Link {
        name: format!("l-{}", host.name),
        a: host.name.clone(),
        b: "s".into(),
        bandwidth: Some(1000.0),
        ..Default::default()
    };
    let links = problem.hosts.iter().map(link).collect();
    problem.network = Some(pb::problem::Network { switches: vec![switch], links, ..Default::default() });
    let plans =
        all(server.placement().await.solve(problem.clone()).await.unwrap().into_inner()).await.unwrap();
    let plan = plans.last().unwrap();
    let slow = plan.actions.iter().filter(|action| action.end_s - action.start_s > 100.0);
    assert!(slow.count() > 0, "{plan:?}");
    // A link to nowhere is told with its place.
    problem.network.as_mut().unwrap().links[0].b = "t".into();
    let status = server.placement().await.solve(problem).await.unwrap_err();
    let (code, _, details) = failure(&status);
    assert_eq!(code, Code::InvalidArgument);
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "network.links[0].b");
    server.stop().await;
}

#[tokio::test]
async fn the_final_plan_leaves_before_the_deadline_whatever_the_solver_does() {
    // It finds a plan at once, then neither looks at the clock nor listens, until the test lets it go.
    let go = Arc::new(AtomicBool::new(false));
    let waits = go.clone();
    let deaf = Fake(move |_: &_, _: &_, better: &mut dyn FnMut(&Plan)| {
        better(&plan("early"));
        while !waits.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        plan("late")
    });
    let server = Server::solving_by(deaf, Options::default()).await;
    let mut client = server.placement().await;
    let mut request = Request::new(rack());
    request.set_timeout(Duration::from_secs(2));
    let begun = Instant::now();
    let plans = all(client.solve(request).await.unwrap().into_inner()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "the final plan came after {:?}", begun.elapsed());
    assert_eq!(plans.iter().map(|plan| plan.reason.as_str()).collect::<Vec<_>>(), ["early", "early"]);
    go.store(true, Ordering::Relaxed);
    server.stop().await;
}

#[tokio::test]
async fn the_solver_gets_the_shortest_of_all_limits() {
    let limits = Arc::new(Mutex::new(Vec::new()));
    let seen = limits.clone();
    let notes = Fake(move |order: &dvms::solving::Order, _: &_, _: &mut dyn FnMut(&Plan)| {
        seen.lock().unwrap().push(order.time_limit);
        plan("done")
    });
    let solve =
        config::Solve { default_time_limit_s: 7.0, max_time_limit_s: 60.0, ..config::Solve::default() };
    let server = Server::solving_by(notes, Options { solve, ..Options::default() }).await;
    let mut client = server.placement().await;
    for (asked, deadline_s) in [(None, None), (Some(0.5), None), (Some(1e6), None), (Some(50.0), Some(10))] {
        let mut problem = rack();
        problem.limits =
            asked.map(|seconds| pb::problem::Limits { time_limit_s: Some(seconds), ..Default::default() });
        let mut request = Request::new(problem);
        if let Some(seconds) = deadline_s {
            request.set_timeout(Duration::from_secs(seconds));
        }
        all(client.solve(request).await.unwrap().into_inner()).await.unwrap();
    }
    let limits = limits.lock().unwrap().clone();
    assert_eq!(limits[..3], [7.0, 0.5, 60.0].map(Duration::from_secs_f64));
    assert!(limits[3] < Duration::from_millis(9800) && limits[3] > Duration::from_secs(5), "{:?}", limits[3]);

    // Less than the answer needs to get back.
    let mut request = Request::new(rack());
    request.set_timeout(Duration::from_millis(1));
    let status = client.solve(request).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    server.assert_alive().await;
    server.stop().await;
}

/// A solver that works until it is asked to stop; tells how many work.
fn endless() -> (impl dvms::solving::Solver, Arc<Mutex<usize>>) {
    let working = Arc::new(Mutex::new(0));
    let count = working.clone();
    let solver = Fake(move |_: &_, stop: &dvms::solving::Stop, better: &mut dyn FnMut(&Plan)| {
        *count.lock().unwrap() += 1;
        better(&plan("first"));
        while !stop.is_asked() {
            std::thread::sleep(Duration::from_millis(5));
        }
        *count.lock().unwrap() -= 1;
        plan("last")
    });
    (solver, working)
}

#[tokio::test]
async fn a_caller_that_goes_away_stops_its_solver() {
    let (solver, working) = endless();
    let server = Server::solving_by(solver, one_at_once()).await;
    let mut client = server.placement().await;
    let mut stream = client.solve(rack()).await.unwrap().into_inner();
    let first = within("a first plan", stream.message()).await.unwrap().unwrap();
    assert!(!first.r#final && first.plan.unwrap().reason == "first");

    // All threads are taken: come back later.
    let status = client.solve(rack()).await.unwrap_err();
    let (code, reason, details) = failure(&status);
    assert_eq!((code, reason.as_str()), (Code::ResourceExhausted, "BUSY"));
    assert!(details.retry_info().unwrap().retry_delay.is_some_and(|delay| !delay.is_zero()));
    // Bad input is told apart even then.
    let mut wrong = rack();
    wrong.vms[0].host = "nowhere".into();
    assert_fields(&client.solve(wrong).await.unwrap_err(), &["vms[0].host"]);

    drop(stream);
    until("the solver has stopped", async || *working.lock().unwrap() == 0).await;
    let mut again = None;
    until("its thread is free again", async || {
        again = client.solve(rack()).await.ok();
        again.is_some()
    })
    .await;
    drop(again);
    server.stop().await;
}

#[tokio::test]
async fn a_stop_of_the_server_gives_callers_what_was_found() {
    let (solver, working) = endless();
    let server = Server::solving_by(solver, Options::default()).await;
    let mut stream = server.placement().await.solve(rack()).await.unwrap().into_inner();
    within("a first plan", stream.message()).await.unwrap().unwrap();
    let stop = tokio::spawn(server.stop());
    let plans = all(stream).await.unwrap();
    assert_eq!(plans.last().unwrap().reason, "last");
    assert_eq!(*working.lock().unwrap(), 0);
    stop.await.unwrap();
}

#[tokio::test]
async fn a_solver_that_panics_harms_one_call() {
    let server = Server::solving_by(
        Fake(|_: &_, _: &_, _: &mut dyn FnMut(&Plan)| panic!("a defect, for a test")),
        one_at_once(),
    )
    .await;
    let mut client = server.placement().await;
    for _ in 0..2 {
        // The thread of the one before is free again.
        let mut status = None;
        until("the call to be tried", async || {
            let error = match client.solve(rack()).await {
                Ok(stream) => all(stream.into_inner()).await.unwrap_err(),
                Err(error) => error,
            };
            let busy = error.code() == Code::ResourceExhausted;
            status = Some(error);
            !busy
        })
        .await;
        let (code, reason, _) = failure(&status.unwrap());
        assert_eq!((code, reason.as_str()), (Code::Internal, "INTERNAL"));
    }
    server.assert_alive().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_pass_the_checker_of_the_contract_too() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/check_plan.py");
    if !script.is_file() {
        eprintln!("SKIPPED: {} is not there", script.display());
        return;
    }
    let server = Server::start().await;
    let problem = rack();
    let plans =
        all(server.placement().await.solve(problem.clone()).await.unwrap().into_inner()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (problem_file, plan_file) = (folder.path().join("problem.json"), folder.path().join("plan.json"));
    std::fs::write(&problem_file, dvms::json::to_value(&problem).to_string()).unwrap();
    for plan in plans {
        let text = dvms::api::convert::plan_from_wire(plan).unwrap().to_json();
        std::fs::write(&plan_file, text).unwrap();
        let mut python = std::process::Command::new("python3");
        let output = python.arg(&script).arg(&problem_file).arg(&plan_file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    server.stop().await;
}

/// A word among the statistics of a plan; empty if there is none.
fn word(plan: &pb::Plan, name: &str) -> String {
    match dvms::api::convert::plan_from_wire(plan.clone()).unwrap().statistics.get(name) {
        Some(dvms_solver::file::Statistic::Text(word)) => word.clone(),
        _ => String::new(),
    }
}

/// A request with these metadata.
fn told(metadata: &[(&'static str, &str)]) -> Request<pb::Problem> {
    let mut request = Request::new(rack());
    for (name, value) in metadata {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_say_how_to_search() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = seen.clone();
    let solver =
        Fake(move |order: &dvms::solving::Order, _: &dvms::solving::Stop, _: &mut dyn FnMut(&Plan)| {
            notes.lock().unwrap().push((order.seed, order.work_limit, order.migration_price, order.backend));
            plan("as asked")
        });
    let server = Server::solving_by(solver, one_at_once()).await;
    let mut client = server.placement().await;
    let all_of_them = [
        ("dvms-seed", "7"),
        ("dvms-work-limit", "900"),
        ("dvms-migration-price", "inf"),
        ("dvms-backend", "cp"),
    ];
    all(client.solve(told(&all_of_them)).await.unwrap().into_inner()).await.unwrap();
    all(client.solve(told(&[])).await.unwrap().into_inner()).await.unwrap();
    let usual = dvms::solving::Backend::default();
    let expected = [(7, Some(900), Some(f64::INFINITY), dvms::solving::Backend::Cp), (0, None, None, usual)];
    assert_eq!(*seen.lock().unwrap(), expected);
    let status = client.solve(told(&[("dvms-seed", "x"), ("dvms-migration-price", "-1")])).await.unwrap_err();
    assert_fields(&status, &["dvms-seed", "dvms-migration-price"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_work_and_seed_give_the_same_plan_over_the_wire() {
    let server = Server::start().await;
    let mut client = server.placement().await;
    let mut plans = Vec::new();
    for _ in 0..2 {
        let request =
            told(&[("dvms-seed", "3"), ("dvms-work-limit", "20000"), ("dvms-backend", "heuristic")]);
        plans.push(all(client.solve(request).await.unwrap().into_inner()).await.unwrap().pop().unwrap());
    }
    assert_eq!((&plans[0].actions, &plans[0].placement), (&plans[1].actions, &plans[1].placement));
    assert_eq!(word(&plans[0], "backend"), "heuristic");
    // A move of any size pays by what it ends; that rule 1 holds is worth all that it takes, whatever the price.
    let request = told(&[("dvms-migration-price", "0")]);
    let free = all(client.solve(request).await.unwrap().into_inner()).await.unwrap().pop().unwrap();
    assert!(!free.actions.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn what_is_proved_later_is_told_in_the_stream() {
    let solver = Fake(|_: &dvms::solving::Order, _: &dvms::solving::Stop, better: &mut dyn FnMut(&Plan)| {
        let mut found = plan("found");
        better(&found);
        let phase = dvms_solver::file::Statistic::Text("bounds".to_owned());
        found.statistics.insert("phase".to_owned(), phase);
        better(&found);
        found
    });
    let server = Server::solving_by(solver, one_at_once()).await;
    let plans = all(server.placement().await.solve(rack()).await.unwrap().into_inner()).await.unwrap();
    let bounds = |plan: &pb::Plan| word(plan, "phase") == "bounds";
    assert_eq!(plans.iter().map(bounds).collect::<Vec<_>>(), [false, true, true]);
    server.stop().await;
}
