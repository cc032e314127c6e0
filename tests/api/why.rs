//! `PlacementService`: why, what if, how many more.

use crate::support::{Fake, Server, assert_fields, failure, until, within};
use dvms::api::convert::{plan_from_wire, problem_from_wire};
use dvms::api::server::Options;
use dvms::solving::{Order, Stop};
use dvms_proto::v1 as pb;
use dvms_solver::file::{Plan, Status};
use pb::what_if_request::edit::Edit;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tonic::{Code, Request};

/// As in docs/examples/rack.json.
fn rack() -> pb::Problem {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/rack.json");
    dvms::json::from_text(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn why(vm: &str, host: &str) -> pb::ExplainRequest {
    pb::ExplainRequest { problem: Some(rack()), vm: vm.into(), host: host.into(), solve: false }
}

fn what_if(edits: Vec<Edit>) -> pb::WhatIfRequest {
    let edits = edits.into_iter().map(|edit| pb::what_if_request::Edit { edit: Some(edit) }).collect();
    pb::WhatIfRequest { problem: Some(rack()), edits, ..Default::default() }
}

fn add_hosts(count: u32, like: &str) -> Edit {
    Edit::AddHosts(pb::what_if_request::AddHosts { count, like: like.into() })
}

fn room_for(cpu: i64) -> pb::FitRequest {
    let demand = BTreeMap::from([("cpu".to_owned(), cpu)]);
    let vm = pb::problem::Vm { demand, ..Default::default() };
    pb::FitRequest { problem: Some(rack()), vm: Some(vm), ..Default::default() }
}

#[tokio::test]
async fn a_vm_is_explained() {
    use pb::explain_response::{cause, change};
    let server = Server::start().await;
    let mut client = server.placement().await;
    let told = client.explain(why("web1", "h2")).await.unwrap().into_inner();
    assert_eq!((told.vm.as_str(), told.host.as_str(), told.running), ("web1", "h1", true));
    assert_eq!((told.wrong[0].kind(), told.wrong[0].short), (cause::Kind::Room, Some(3000)));
    assert_eq!(told.hosts.iter().map(|host| host.host.as_str()).collect::<Vec<_>>(), ["h2", "h3", "h4"]);
    let cause = &told.hosts[0].causes[0];
    assert_eq!((cause.kind(), cause.subject.as_str()), (cause::Kind::Rule, "web-apart"));
    assert!(told.rules.iter().any(|rule| rule.rule == "web-apart" && rule.kind == "spread" && rule.holds));
    assert!(told.resources.iter().any(|need| need.resource == "cpu" && need.demand > 0));
    let changes = told.changes.unwrap();
    assert!(changes.minimal);
    assert_eq!((changes.least[0].kind(), changes.least[0].subject.as_str()), (change::Kind::Leave, "web2"));
    assert_eq!(changes.in_place[0].kind(), change::Kind::DropRule);
    assert!(client.explain(why("web1", "")).await.unwrap().into_inner().changes.is_none());

    assert_fields(&client.explain(why("nobody", "")).await.unwrap_err(), &["vm"]);
    assert_fields(&client.explain(why("web1", "nowhere")).await.unwrap_err(), &["host"]);
    assert_fields(&client.explain(pb::ExplainRequest::default()).await.unwrap_err(), &["problem"]);
    let mut wrong = why("web1", "");
    wrong.problem.as_mut().unwrap().vms[0].host = "nowhere".into();
    assert_fields(&client.explain(wrong).await.unwrap_err(), &["problem.vms[0].host"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vm_is_explained_with_what_solves_find() {
    let server = Server::start().await;
    let mut client = server.placement().await;
    let told =
        client.explain(pb::ExplainRequest { solve: true, ..why("web1", "h2") }).await.unwrap().into_inner();
    let solved = plan_from_wire(told.plan.unwrap()).unwrap();
    assert_eq!(dvms_solver::check::check(&problem_from_wire(rack()).unwrap(), &solved).violations, []);
    let asked = told.asked.unwrap();
    // The other VM of its rule makes way.
    assert_eq!((asked.rule.as_str(), asked.changed), ("asked-for", false));
    let plan = asked.plan.unwrap();
    assert_eq!(plan.placement["web1"], "h2");
    assert!(plan.placement["web2"] != "h2");
    // Where no host is asked for there is one solve; without a solve there is none.
    let told =
        client.explain(pb::ExplainRequest { solve: true, ..why("web1", "") }).await.unwrap().into_inner();
    assert!(told.plan.is_some() && told.asked.is_none());
    let told = client.explain(why("web1", "h2")).await.unwrap().into_inner();
    assert!(told.plan.is_none() && told.asked.is_none());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_go_and_vms_and_rules_come() {
    let server = Server::start().await;
    let mut client = server.placement().await;
    let demand = BTreeMap::from([("cpu".to_owned(), 1000), ("memory".to_owned(), 1024)]);
    let vms = pb::what_if_request::AddVms { count: 3, like: "web1".into(), demand };
    let ban = pb::problem::Ban {
        vms: ["new-vm-1", "new-vm-2", "new-vm-3"].map(str::to_owned).into(),
        hosts: vec!["h3".into()],
        ..Default::default()
    };
    let rule = pb::problem::Constraint {
        name: "not-there".into(),
        body: Some(pb::problem::constraint::Body::Ban(ban)),
        ..Default::default()
    };
    let edits = vec![
        Edit::DropRule("web-apart".into()),
        add_hosts(2, "h1"),
        Edit::AddVms(vms),
        Edit::RemoveHost("h2".into()),
        Edit::AddRule(rule),
    ];
    let told = client.what_if(what_if(edits)).await.unwrap().into_inner();
    let (problem, after) = (told.problem.unwrap(), told.after.unwrap());
    let host = |name: &str| problem.hosts.iter().find(|host| host.name == name).unwrap();
    assert_eq!(host("h2").state(), pb::problem::host::State::Draining);
    assert_eq!(problem.vms.len(), rack().vms.len() + 3);
    let names: Vec<&str> = problem.constraints.iter().map(|rule| rule.name.as_str()).collect();
    assert!(names.contains(&"not-there") && !names.contains(&"web-apart"), "{names:?}");
    let file = problem_from_wire(problem).unwrap();
    assert_eq!(dvms_solver::check::check(&file, &plan_from_wire(after.clone()).unwrap()).violations, []);
    for vm in ["new-vm-1", "new-vm-2", "new-vm-3"] {
        assert!(!["h2", "h3"].contains(&after.placement[vm].as_str()), "{:?}", after.placement);
    }
    assert!(after.placement.values().all(|host| host != "h2"), "{:?}", after.placement);
    // What differs is what the two plans say.
    let before = told.before.unwrap();
    for differing in &told.differing {
        assert_eq!(before.placement.get(&differing.vm).cloned().unwrap_or_default(), differing.before);
        assert_eq!(after.placement.get(&differing.vm).cloned().unwrap_or_default(), differing.after);
        assert_ne!(differing.before, differing.after);
    }
    let new = told.differing.iter().filter(|differing| differing.before.is_empty()).count();
    assert_eq!(new, 3, "{:?}", told.differing);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_plans_that_are_given_are_compared_without_a_solve() {
    let (solver, seen) = patient();
    let server = Server::solving_by(solver, Options::default()).await;
    let mut client = server.placement().await;
    let file = problem_from_wire(rack()).unwrap();
    let solve = |objective: &str| {
        let problem = dvms_solver::file::Problem { objective: objective.into(), ..file.clone() };
        let plan = dvms_solver::solve(
            &problem,
            &dvms_solver::Options::default(),
            &dvms_solver::Cancel::default(),
            &mut |_| {},
        );
        dvms::api::convert::plan_to_wire(&plan.unwrap())
    };
    let (repair, thrift) = (solve("REPAIR"), solve("CONSOLIDATE"));
    let given =
        pb::WhatIfRequest { plan: Some(repair.clone()), with: Some(thrift.clone()), ..what_if(vec![]) };
    let told = client.what_if(given.clone()).await.unwrap().into_inner();
    assert_eq!(
        (told.before.unwrap().placement, told.after.unwrap().placement),
        (repair.placement.clone(), thrift.placement.clone())
    );
    let differs =
        repair.placement.iter().filter(|(vm, host)| thrift.placement.get(*vm) != Some(host)).count();
    assert_eq!((told.differing.len(), differs > 0), (differs, true));
    assert_eq!(seen.lock().unwrap().0, [], "nothing was solved");

    let alone = pb::WhatIfRequest { plan: None, ..given.clone() };
    assert_fields(
        &client
            .what_if(pb::WhatIfRequest { edits: what_if(vec![add_hosts(1, "")]).edits, ..alone })
            .await
            .unwrap_err(),
        &["with"],
    );
    let edited = pb::WhatIfRequest { edits: what_if(vec![add_hosts(1, "")]).edits, ..given.clone() };
    assert_fields(&client.what_if(edited).await.unwrap_err(), &["with"]);
    let mut wrong = given;
    wrong.with.as_mut().unwrap().actions[0].destination = "nowhere".into();
    let status = client.what_if(wrong).await.unwrap_err();
    assert!(status.message().contains("with"), "{status:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_problem_is_compared_with_an_edited_one() {
    let server = Server::start().await;
    let mut client = server.placement().await;
    let lose = pb::what_if_request::Lose { scope: "rack".into(), value: "a".into() };
    let edits = vec![add_hosts(1, "h1"), Edit::Lose(lose), Edit::DropRule("web-apart".into())];
    let told = client.what_if(what_if(edits)).await.unwrap().into_inner();
    let (before, after) = (told.before.unwrap(), told.after.unwrap());
    let edited = told.problem.unwrap();
    assert_eq!((edited.hosts.len(), edited.hosts[4].name.as_str()), (5, "new-host-1"));
    for (problem, plan) in [(rack(), before), (edited, after.clone())] {
        let (problem, plan) = (problem_from_wire(problem).unwrap(), plan_from_wire(plan).unwrap());
        assert!(plan.status.has_plan());
        assert_eq!(dvms_solver::check::check(&problem, &plan).violations, []);
    }
    assert!(after.placement.values().all(|host| host != "h1" && host != "h2"), "{:?}", after.placement);

    assert_fields(&client.what_if(what_if(vec![])).await.unwrap_err(), &["edits"]);
    let nothing = pb::WhatIfRequest { edits: vec![pb::what_if_request::Edit::default()], ..what_if(vec![]) };
    assert_fields(&client.what_if(nothing).await.unwrap_err(), &["edits[0]"]);
    let ban = pb::problem::Ban { vms: vec!["nobody".into()], hosts: vec!["h1".into()], ..Default::default() };
    let rule = pb::problem::Constraint {
        name: "off".into(),
        body: Some(pb::problem::constraint::Body::Ban(ban)),
        ..Default::default()
    };
    for edit in [
        add_hosts(0, ""),
        add_hosts(100_000, ""),
        Edit::RemoveHost("h9".into()),
        Edit::DropRule("x".into()),
        Edit::AddRule(rule),
    ] {
        let status = client.what_if(what_if(vec![add_hosts(1, ""), edit])).await.unwrap_err();
        assert_fields(&status, &["edits[1]"]);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_is_given_is_compared_over_the_api() {
    let server = Server::start().await;
    let mut client = server.placement().await;
    let solved = client.what_if(what_if(vec![add_hosts(1, "")])).await.unwrap().into_inner().before.unwrap();
    let stay = pb::Plan {
        status: pb::plan::Status::NoChange.into(),
        placement: rack().vms.iter().map(|vm| (vm.name.clone(), vm.host.clone())).collect(),
        ..solved.clone()
    };
    let nothing = pb::Plan { actions: vec![], objectives: vec![], ..stay };
    let given = pb::WhatIfRequest { plan: Some(solved.clone()), ..what_if(vec![]) };
    let told = client.what_if(given.clone()).await.unwrap().into_inner();
    assert_eq!((told.before, told.problem), (Some(solved), Some(rack())));
    assert!(told.after.unwrap().status() != pb::plan::Status::Unspecified);
    // It is one of the problem as it is: host h1 is over there, so that nothing may stay as it is only if that is valid.
    let mut wrong = given.clone();
    wrong.plan.as_mut().unwrap().actions[0].destination = "nowhere".into();
    let status = client.what_if(wrong).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("plan"), "{status:?}");
    let nameless = pb::WhatIfRequest { plan: Some(pb::Plan { status: 99, ..nothing }), ..what_if(vec![]) };
    assert_fields(&client.what_if(nameless).await.unwrap_err(), &["plan.status"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_is_counted() {
    let server = Server::start().await;
    let mut client = server.placement().await;
    let told = client.fit(room_for(5000)).await.unwrap().into_inner();
    let room = told.as_it_is.unwrap();
    assert_eq!((room.fits, room.bound, room.bound_by.as_str()), (4, 4, "counting"));
    assert_eq!(room.hosts, BTreeMap::from([("h2".to_owned(), 2), ("h3".to_owned(), 2)]));
    assert!(
        told.with_moves.is_none() && told.notes.iter().any(|note| note.ends_with(": h4")),
        "{:?}",
        told.notes
    );
    let with = pb::FitRequest { moves: Some(1), ..room_for(16_000) };
    let room = client.fit(with).await.unwrap().into_inner().with_moves.unwrap();
    assert_eq!((room.moves, room.fits, room.bound), (1, 1, 1));
    assert!(room.plan.unwrap().placement.contains_key("new-vm-1"));

    let none = pb::FitRequest { vm: None, ..room_for(1) };
    let spread = pb::fit_request::Spread { scope: "zone".into(), max: 1 };
    let spread = pb::FitRequest { spread: Some(spread), ..room_for(1) };
    let hosts = pb::FitRequest { hosts: vec!["h9".into()], ..room_for(1) };
    for (request, field) in [
        (none, "vm"),
        (room_for(0), "vm"),
        (room_for(-1), "vm.demand.cpu"),
        (spread, "spread"),
        (hosts, "hosts"),
    ] {
        assert_fields(&client.fit(request).await.unwrap_err(), &[field]);
    }
    server.stop().await;
}

/// The limits of all solves, and how many work.
type Seen = Arc<Mutex<(Vec<Duration>, usize)>>;

/// A solver that works until it is asked to stop, or for half as long as it may; tells the limits, and how many work.
fn patient() -> (impl dvms::solving::Solver, Seen) {
    let seen = Seen::default();
    let notes = seen.clone();
    let solver = Fake(move |order: &Order, stop: &Stop, _: &mut dyn FnMut(&Plan)| {
        {
            let mut notes = notes.lock().unwrap();
            notes.0.push(order.time_limit);
            notes.1 += 1;
        }
        let begun = std::time::Instant::now();
        while !stop.is_asked() && begun.elapsed() < order.time_limit / 2 {
            std::thread::sleep(Duration::from_millis(2));
        }
        notes.lock().unwrap().1 -= 1;
        Plan { status: Status::Unknown, reason: "as asked".into(), ..Plan::default() }
    });
    (solver, seen)
}

#[tokio::test]
async fn the_solves_of_a_question_share_the_time_of_the_call() {
    let (solver, seen) = patient();
    let server = Server::solving_by(solver, Options::default()).await;
    let mut request = Request::new(what_if(vec![add_hosts(1, "")]));
    request.set_timeout(Duration::from_secs(2));
    let told = server.placement().await.what_if(request).await.unwrap().into_inner();
    assert_eq!(told.after.unwrap().reason, "as asked");
    let limits = seen.lock().unwrap().0.clone();
    assert_eq!(limits.len(), 2);
    // The second has all that the first, which took half of its share, has left.
    let most = [Duration::from_secs(1), Duration::from_millis(1500)];
    assert!(limits[0] <= most[0] && limits[1] <= most[1], "{limits:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_question_that_nobody_waits_for_is_dropped() {
    let (solver, seen) = patient();
    let solve = dvms::config::Solve { concurrent: 1, ..dvms::config::Solve::default() };
    let server = Server::solving_by(solver, Options { solve, ..Options::default() }).await;
    let mut client = server.placement().await;
    let asking = {
        let mut client = client.clone();
        tokio::spawn(async move { client.what_if(what_if(vec![add_hosts(1, "")])).await })
    };
    until("the solver works", async || seen.lock().unwrap().1 == 1).await;
    // All threads are taken: come back later.
    let status = client.fit(pb::FitRequest { moves: Some(1), ..room_for(16_000) }).await.unwrap_err();
    let (code, reason, _) = failure(&status);
    assert_eq!((code, reason.as_str()), (Code::ResourceExhausted, "BUSY"));
    asking.abort();
    until("the solver has stopped", async || seen.lock().unwrap().1 == 0).await;
    let asked = within("its thread is free", async {
        loop {
            let asked = client.fit(room_for(5000)).await;
            if asked.is_ok() {
                return asked;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!(asked.await.unwrap().into_inner().as_it_is.unwrap().fits, 4);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_over_time_is_told_as_the_command_draws_it() {
    use pb::timeline_response::what;
    let server = Server::start().await;
    let mut client = server.placement().await;
    let plan = client.what_if(what_if(vec![add_hosts(1, "")])).await.unwrap().into_inner().before.unwrap();
    let request = pb::TimelineRequest { problem: Some(rack()), plan: Some(plan.clone()) };
    let told = client.timeline(request.clone()).await.unwrap().into_inner();
    let end = plan.actions.iter().map(|action| action.end_s).fold(0.0, f64::max);
    assert!((told.makespan_s - end).abs() < 1e-9 && end > 0.0);
    let ids = |bars: &[pb::timeline_response::Bar]| bars.iter().map(|bar| bar.id).collect::<Vec<_>>();
    assert_eq!(ids(&told.actions), plan.actions.iter().map(|action| action.id).collect::<Vec<_>>());
    assert!(told.actions.iter().all(|bar| bar.rate_mib_s > 0.0 && bar.end_s > bar.start_s));
    assert!(told.bounds[0].seconds <= told.makespan_s + 1e-6);
    let hosts: Vec<&str> = told.hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(hosts, rack().hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>());
    // What a host has used at the end is what its VMs need.
    let cpu = |host: &pb::timeline_response::Host| {
        let used = host.uses.iter().find(|used| used.resource == "cpu").unwrap();
        used.steps.last().unwrap().amount
    };
    for host in &told.hosts {
        let vms = rack().vms.into_iter().filter(|vm| plan.placement.get(&vm.name) == Some(&host.name));
        assert_eq!(cpu(host), vms.map(|vm| vm.demand["cpu"]).sum::<i64>(), "{}", host.name);
    }
    let out = told.loads.iter().find(|load| load.what.as_ref().unwrap().kind() == what::Kind::Out).unwrap();
    assert!(out.capacity > 0.0 && out.busy_s > 0.0 && out.steps.len() > 1, "{out:?}");

    let mut wrong = request;
    wrong.plan.as_mut().unwrap().actions[0].destination = "nowhere".into();
    assert_fields(&client.timeline(wrong).await.unwrap_err(), &["plan.actions[0].destination"]);
    let status =
        client.timeline(pb::TimelineRequest { problem: Some(rack()), plan: None }).await.unwrap_err();
    assert_fields(&status, &["plan"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_of_a_plan_are_forecast() {
    let server = Server::start().await;
    let mut client = server.placement().await;
    let plan = client.what_if(what_if(vec![add_hosts(1, "")])).await.unwrap().into_inner().before.unwrap();
    let usual = pb::ForecastRequest { problem: Some(rack()), plan: Some(plan.clone()), ..Default::default() };
    let told = client.forecast(usual.clone()).await.unwrap().into_inner();
    let moved = plan.actions.iter().filter(|action| action.r#type() == pb::plan::action::Type::Migrate);
    let moved: Vec<(u64, &str)> = moved.map(|action| (action.id, action.vm.as_str())).collect();
    let forecast: Vec<(u64, &str)> = told.migrations.iter().map(|one| (one.id, one.vm.as_str())).collect();
    assert_eq!(forecast, moved);
    assert!(!moved.is_empty());
    for one in &told.migrations {
        let forecast = one.forecast.as_ref().unwrap();
        assert!(forecast.duration_s > 0.0 && forecast.moved_mib > 0.0, "{one:?}");
    }
    let totals = told.plan.unwrap();
    assert_eq!((totals.migrations as usize, totals.endless), (moved.len(), 0));
    // Half the bandwidth, and ten seconds more for each.
    let slow = pb::ForecastRequest { efficiency: Some(0.4), setup_s: Some(10.0), ..usual.clone() };
    let slow = client.forecast(slow).await.unwrap().into_inner();
    for (slow, quick) in slow.migrations.iter().zip(&told.migrations) {
        let seconds = |one: &pb::forecast_response::Migration| one.forecast.as_ref().unwrap().duration_s;
        assert!(seconds(slow) > seconds(quick) + 5.0);
    }
    let wrong = pb::ForecastRequest {
        efficiency: Some(0.0),
        setup_s: Some(f64::NAN),
        downtime_limit_s: Some(-1.0),
        ..usual
    };
    let status = client.forecast(wrong).await.unwrap_err();
    assert_fields(&status, &["efficiency", "setup_s", "downtime_limit_s"]);
    server.stop().await;
}
