//! `PlanService`: plans that the store has kept, and the life of a new one.

use crate::agents;
use crate::support::{Agent, Server, assert_fields, failure, until, within};
use dvms::api::server::Options;
use dvms::record::{ActionState, ActionStatus, Mode, PlanRecord, PlanState};
use dvms::solving::Engine;
use dvms::store::Store;
use dvms_proto::v1 as pb;
use dvms_solver::file::{Plan, Problem};
use std::sync::Arc;
use std::time::SystemTime;
use tonic::Code;

fn record(id: &str, state: PlanState) -> PlanRecord {
    PlanRecord {
        id: id.into(),
        state,
        mode: Mode::Approve,
        trigger: "OVERLOAD".into(),
        purpose: "to test".into(),
        event_ids: vec![1],
        hosts: vec!["h1".into(), "h2".into()],
        problem: Some(Arc::new(Problem { name: "p".into(), ..Problem::default() })),
        plan: Some(Arc::new(Plan::default())),
        actions: vec![ActionStatus {
            action_id: 1,
            state: ActionState::Done,
            progress: None,
            started: None,
            ended: None,
            message: String::new(),
            forecast: None,
        }],
        created: SystemTime::UNIX_EPOCH,
        solved: Some(SystemTime::UNIX_EPOCH),
        started: None,
        ended: None,
        message: String::new(),
        successor: String::new(),
        revision: 3,
        paused: None,
        kept: None,
        scheduled: false,
        waits_for: String::new(),
        pace: dvms::record::Pace::default(),
        request_id: String::new(),
        request: String::new(),
    }
}

async fn server() -> Server {
    let mut store = Store::open_in_memory().unwrap();
    for (id, state) in [
        ("p1", PlanState::Succeeded),
        ("p2", PlanState::Failed),
        ("p3", PlanState::Succeeded),
        ("p4", PlanState::Cancelled),
    ] {
        store.save_plan(&record(id, state)).unwrap();
    }
    Server::with(store, Arc::new(Engine), Options::default()).await
}

#[tokio::test]
async fn plans_are_listed_newest_first_and_shown_in_two_views() {
    let server = server().await;
    let mut client = server.plans().await;
    let page = |size, token: &str, filter: &str| pb::ListPlansRequest {
        page_size: size,
        page_token: token.into(),
        filter: filter.into(),
    };
    let first = client.list_plans(page(3, "", "")).await.unwrap().into_inner();
    let next = client.list_plans(page(3, &first.next_page_token, "")).await.unwrap().into_inner();
    let ids: Vec<_> = first.plans.iter().chain(&next.plans).map(|plan| plan.id.as_str()).collect();
    assert_eq!((ids, next.next_page_token.as_str()), (vec!["p4", "p3", "p2", "p1"], ""));
    assert!(first.plans.iter().all(|plan| plan.problem.is_none() && plan.plan.is_some()));
    let found =
        client.list_plans(page(0, "", "state = SUCCEEDED AND hosts : h2")).await.unwrap().into_inner();
    assert_eq!(found.plans.iter().map(|plan| plan.id.as_str()).collect::<Vec<_>>(), ["p3", "p1"]);
    assert_fields(&client.list_plans(page(0, "", "problem = 1")).await.unwrap_err(), &["filter"]);

    let get = |view| pb::GetPlanRequest { id: "p2".into(), view };
    let basic = client.get_plan(get(0)).await.unwrap().into_inner();
    assert_eq!(
        (basic.state(), basic.mode()),
        (pb::plan_record::State::Failed, pb::plan_record::Mode::Approve)
    );
    assert_eq!((basic.problem.as_ref(), basic.revision), (None, 3));
    assert_eq!(basic.actions[0].state(), pb::action_status::State::Done);
    let full = client.get_plan(get(pb::get_plan_request::View::Full.into())).await.unwrap().into_inner();
    assert_eq!(full.problem.map(|problem| problem.name), Some("p".into()));
    assert_fields(&client.get_plan(get(9)).await.unwrap_err(), &["view"]);
    server.stop().await;
}

#[tokio::test]
async fn a_watch_of_a_plan_ends_with_its_life() {
    let server = server().await;
    let mut client = server.plans().await;
    let mut watch = client.watch_plan(pb::WatchPlanRequest { id: "p1".into() }).await.unwrap().into_inner();
    let now = within("the record", watch.message()).await.unwrap().unwrap();
    assert_eq!(now.state(), pb::plan_record::State::Succeeded);
    assert_eq!(within("the end", watch.message()).await.unwrap(), None);
    server.stop().await;
}

#[tokio::test]
async fn plans_that_there_are_not_are_not_found() {
    let server = server().await;
    let mut client = server.plans().await;
    for status in [
        client.get_plan(pb::GetPlanRequest { id: "x".into(), view: 0 }).await.unwrap_err(),
        client.watch_plan(pb::WatchPlanRequest { id: "x".into() }).await.unwrap_err(),
    ] {
        let (code, reason, _) = failure(&status);
        assert_eq!((code, reason.as_str()), (Code::NotFound, "NOT_FOUND"));
    }
    server.stop().await;
}

#[tokio::test]
async fn requests_that_cannot_be_planned_are_refused_with_their_fields() {
    let server = server().await;
    let mut client = server.plans().await;
    let request = pb::CreatePlanRequest {
        objective: 77,
        mode: 9,
        hosts: vec!["h1".into(), String::new(), "h1".into()],
        ..Default::default()
    };
    let status = client.create_plan(request).await.unwrap_err();
    assert_fields(&status, &["objective", "mode", "hosts[1]", "hosts[2]"]);
    let limits =
        pb::problem::Limits { max_migrations: Some(-1), time_limit_s: Some(f64::NAN), ..Default::default() };
    let request = pb::CreatePlanRequest { limits: Some(limits), ..Default::default() };
    let status = client.create_plan(request).await.unwrap_err();
    assert_fields(&status, &["limits.time_limit_s", "limits.max_migrations"]);
    let pace = pb::Pace { max_concurrent: Some(0), bandwidth_mib_s: Some(f64::NAN) };
    let request = pb::CreatePlanRequest { pace: Some(pace), ..Default::default() };
    let status = client.create_plan(request).await.unwrap_err();
    assert_fields(&status, &["pace.max_concurrent", "pace.bandwidth_mib_s"]);
    let _agent = Agent::with_vms(&server, "h1", &["a"]).await;
    let limits = pb::problem::Limits { power_actions: true, ..Default::default() };
    let request = pb::CreatePlanRequest { limits: Some(limits), ..Default::default() };
    let status = client.create_plan(request).await.unwrap_err();
    assert_fields(&status, &["limits.power_actions"]);
    assert!(status.message().contains("agents cannot switch hosts on or off"), "{}", status.message());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_followed_from_its_request_to_its_end() {
    use pb::plan_record::State;
    let (world, folder) = (agents::world(), tempfile::tempdir().unwrap());
    let stop = tokio_util::sync::CancellationToken::new();
    let server = Server::start().await;
    agents::start(&world, server.address, folder.path(), &stop);
    let (mut client, mut cluster) = (server.plans().await, server.cluster().await);
    until("all VMs are seen", async || {
        cluster.list_vms(pb::ListVmsRequest::default()).await.unwrap().into_inner().total_size == 6
    })
    .await;

    let request = pb::CreatePlanRequest {
        request_id: "once".into(),
        objective: pb::problem::Goal::Repair.into(),
        mode: pb::plan_record::Mode::Approve.into(),
        ..Default::default()
    };
    let created = client.create_plan(request.clone()).await.unwrap().into_inner();
    let again = client.create_plan(request.clone()).await.unwrap().into_inner();
    assert_eq!(again.id, created.id, "a repeat is the same request");
    let other = pb::CreatePlanRequest { objective: pb::problem::Goal::Consolidate.into(), ..request };
    let (code, reason, _) = failure(&client.create_plan(other).await.unwrap_err());
    assert_eq!((code, reason.as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    let nowhere = pb::CreatePlanRequest { hosts: vec!["nowhere".into()], ..Default::default() };
    assert_eq!(failure(&client.create_plan(nowhere).await.unwrap_err()).0, Code::NotFound);

    let id = created.id;
    let mut watch = client.watch_plan(pb::WatchPlanRequest { id: id.clone() }).await.unwrap().into_inner();
    let mut last: Option<pb::PlanRecord> = None;
    while let Some(record) = within("the next state of the plan", watch.message()).await.unwrap() {
        assert!(last.is_none_or(|last| record.revision > last.revision), "revisions rise");
        assert!(record.problem.is_none(), "a watch leaves the problem out");
        last = Some(record);
    }
    let last = last.expect("a watch tells the record at least once");
    assert_eq!((last.id.as_str(), last.state()), (id.as_str(), State::Succeeded), "nothing was to be done");
    assert_eq!(last.hosts, ["h1", "h2", "h3"]);
    assert_eq!(last.plan.unwrap().status(), pb::plan::Status::NoChange);
    let cancelled = client.cancel_plan(pb::CancelPlanRequest { id, ..Default::default() }).await.unwrap();
    assert_eq!(cancelled.into_inner().state(), State::Succeeded, "what has ended stays as it is");
    for id in ["x", ""] {
        let approved = client.approve_plan(pb::ApprovePlanRequest { id: id.into() }).await.unwrap_err();
        assert_eq!(failure(&approved).0, Code::NotFound);
        let resumed = client.resume_plan(pb::ResumePlanRequest { id: id.into() }).await.unwrap_err();
        assert_eq!(failure(&resumed).0, Code::NotFound);
    }
    let paused = pb::PausePlanRequest { id: last.id, reason: "late".into() };
    let (code, reason, _) = failure(&client.pause_plan(paused).await.unwrap_err());
    assert_eq!((code, reason.as_str()), (Code::FailedPrecondition, "WRONG_STATE"), "it has ended");
    server.stop().await;
    stop.cancel();
}
