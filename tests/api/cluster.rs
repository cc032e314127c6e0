//! `ClusterService`: pages, filters, watches, and what operators want.

use crate::support::{Agent, Server, assert_fields, failure, until, vm, within};
use dvms_proto::v1 as pb;
use pb::cluster_service_client::ClusterServiceClient;
use pb::session_request::Message as Said;
use pb::watch_request::Kind;
use pb::watch_response::Change;
use std::collections::BTreeMap;
use tonic::{Code, Streaming};

fn page(size: i32, token: &str, filter: &str) -> pb::ListHostsRequest {
    pb::ListHostsRequest { page_size: size, page_token: token.into(), filter: filter.into() }
}

#[tokio::test]
async fn lists_come_in_pages_and_filtered() {
    let server = Server::start().await;
    let mut agents = Vec::new();
    for host in ["h3", "h1", "h5", "h2", "h4"] {
        agents.push(Agent::with_vms(&server, host, &[&format!("{host}-a"), &format!("{host}-b")]).await);
    }
    let mut cluster = server.cluster().await;
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let found = cluster.list_hosts(page(2, &token, "")).await.unwrap().into_inner();
        assert!(found.hosts.len() <= 2 && found.total_size == 5);
        names.extend(found.hosts.into_iter().map(|host| host.name));
        token = found.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["h1", "h2", "h3", "h4", "h5"]);

    let filter = "name >= h2 AND name != h4 AND connection = CONNECTED";
    let first = cluster.list_hosts(page(2, "", filter)).await.unwrap().into_inner();
    assert_eq!((first.total_size, first.hosts.len()), (3, 2));
    let next = cluster.list_hosts(page(2, &first.next_page_token, filter)).await.unwrap().into_inner();
    assert_eq!(next.hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>(), ["h5"]);
    let vms =
        pb::ListVmsRequest { filter: "host = h3 AND demand.memory >= 512".into(), ..Default::default() };
    let vms = cluster.list_vms(vms).await.unwrap().into_inner();
    assert_eq!(vms.vms.iter().map(|vm| vm.name.as_str()).collect::<Vec<_>>(), ["h3-a", "h3-b"]);

    let events =
        pb::ListEventsRequest { filter: "kind = HOST_CONNECTED".into(), page_size: 3, ..Default::default() };
    let first = cluster.list_events(events.clone()).await.unwrap().into_inner();
    let token = first.next_page_token.clone();
    let next = cluster.list_events(pb::ListEventsRequest { page_token: token, ..events }).await.unwrap();
    let ids: Vec<_> = first.events.iter().chain(&next.get_ref().events).map(|event| event.id).collect();
    assert!(ids.len() == 5 && ids.is_sorted_by(|a, b| a > b), "newest first: {ids:?}");
    let event = cluster
        .get_event(pb::GetEventRequest { id: ids[0], ..Default::default() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!((event.kind(), event.host.as_str()), (pb::event::Kind::HostConnected, "h4"));

    for (request, field) in [
        (page(-1, "", ""), "page_size"),
        (page(2, "nonsense", ""), "page_token"),
        (page(2, &first.next_page_token, ""), "page_token"),
        (page(2, "", "colour = red"), "filter"),
        (page(2, "", "state = AWAY"), "filter"),
    ] {
        assert_fields(&cluster.list_hosts(request).await.unwrap_err(), &[field]);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = Server::start().await;
    let mut cluster = server.cluster().await;
    let state = pb::host::AdminState::Draining.into();
    for status in [
        cluster.get_host(pb::GetHostRequest { name: "x".into() }).await.unwrap_err(),
        cluster.get_vm(pb::GetVmRequest { name: "x".into() }).await.unwrap_err(),
        cluster.get_event(pb::GetEventRequest { id: 7, ..Default::default() }).await.unwrap_err(),
        cluster
            .set_host_state(pb::SetHostStateRequest { name: "x".into(), state, ..Default::default() })
            .await
            .unwrap_err(),
    ] {
        let (code, reason, _) = failure(&status);
        assert_eq!((code, reason.as_str()), (Code::NotFound, "NOT_FOUND"), "{status:?}");
    }
    server.stop().await;
}

async fn next(watch: &mut Streaming<pb::WatchResponse>) -> (u64, Change) {
    let response = within("a change", watch.message()).await.unwrap().expect("the watch goes on");
    (response.revision, response.change.expect("every message has a change"))
}

#[tokio::test]
async fn a_watch_tells_everything_then_what_changes() {
    let server = Server::start().await;
    let agent = Agent::with_vms(&server, "h1", &["a", "b"]).await;
    let mut cluster = server.cluster().await;
    let mut watch = cluster.watch(pb::WatchRequest::default()).await.unwrap().into_inner();
    let (mut hosts, mut vms) = (Vec::new(), Vec::new());
    let start = loop {
        match next(&mut watch).await {
            (_, Change::Host(host)) => hosts.push(host.name),
            (_, Change::Vm(vm)) => vms.push(vm.name),
            (revision, Change::Synced(true)) => break revision,
            other => panic!("before `synced` only hosts and VMs are told, not {other:?}"),
        }
    };
    assert_eq!((hosts, vms), (vec!["h1".to_owned()], vec!["a".to_owned(), "b".to_owned()]));

    let kinds = vec![Kind::Hosts.into()];
    let mut of_hosts = cluster.watch(pb::WatchRequest { kinds, after: None }).await.unwrap().into_inner();
    assert!(matches!(next(&mut of_hosts).await, (_, Change::Host(_))));
    assert!(matches!(next(&mut of_hosts).await, (_, Change::Synced(true))));

    agent
        .say(Said::Delta(pb::HostDelta {
            changed: vec![vm("c")],
            gone: vec!["a".into()],
            ..Default::default()
        }))
        .await;
    let wish = pb::SetHostStateRequest {
        name: "h1".into(),
        state: pb::host::AdminState::Cordoned.into(),
        reason: "test".into(),
    };
    let host = cluster.set_host_state(wish.clone()).await.unwrap().into_inner();
    assert_eq!(host.state(), pb::host::AdminState::Cordoned);
    let again = cluster.set_host_state(wish).await.unwrap().into_inner();
    assert_eq!(again.state(), pb::host::AdminState::Cordoned, "idempotent");
    let (mut came, mut went, mut cordoned, mut event) = (false, false, false, false);
    let mut last = start;
    while !(came && went && cordoned && event) {
        let (revision, change) = next(&mut watch).await;
        assert!(revision > start && revision >= last, "revisions rise: {revision} after {last}");
        last = revision;
        match change {
            Change::Vm(vm) => came |= vm.name == "c",
            Change::VmGone(name) => went |= name == "a",
            Change::Host(host) => cordoned |= host.state() == pb::host::AdminState::Cordoned,
            Change::Event(found) => event |= found.kind() == pb::event::Kind::Operator,
            other => panic!("{other:?} is no change"),
        }
    }
    loop {
        match next(&mut of_hosts).await.1 {
            Change::Host(host) if host.state() == pb::host::AdminState::Cordoned => break,
            Change::Host(_) => {}
            other => panic!("only hosts are watched, not {other:?}"),
        }
    }
    server.begin_stop();
    let status = loop {
        match within("the end of the watch", watch.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a watch ends with an error"),
            Err(status) => break status,
        }
    };
    let (code, reason, details) = failure(&status);
    assert_eq!((code, reason.as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
    assert!(details.retry_info().is_some());
    drop((watch, of_hosts));
    server.stop().await;
}

#[tokio::test]
async fn a_host_that_is_forgotten_goes_for_all_who_watch() {
    let server = Server::start().await;
    let gone = Agent::with_vms(&server, "h1", &["a"]).await;
    let _stays = Agent::with_vms(&server, "h2", &["b"]).await;
    let mut cluster = server.cluster().await;
    let forget = |name: &str, with_vms: bool| pb::ForgetHostRequest {
        name: name.into(),
        with_vms,
        reason: "scrapped".into(),
    };
    let status = cluster.forget_host(forget("h9", true)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let status = cluster.forget_host(forget("h1", true)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("its agent is connected"), "{}", status.message());
    drop(gone);
    until("the host is LOST", async || {
        let host = cluster.get_host(pb::GetHostRequest { name: "h1".into() }).await.unwrap().into_inner();
        host.connection() == pb::host::Connection::Lost
    })
    .await;
    let status = cluster.forget_host(forget("h1", false)).await.unwrap_err();
    assert!(status.message().contains("1 of its VMs"), "{}", status.message());
    let watch = cluster.watch(pb::WatchRequest::default()).await.unwrap();
    let mut watch = watch.into_inner();
    let told = cluster.forget_host(forget("h1", true)).await.unwrap().into_inner();
    assert_eq!((told.name.as_str(), told.vm_count), ("h1", 1));
    let (mut host, mut vm) = (false, false);
    while !(host && vm) {
        match next(&mut watch).await.1 {
            Change::HostGone(name) => host |= name == "h1",
            Change::VmGone(name) => vm |= name == "a",
            _ => {}
        }
    }
    let status = cluster.get_host(pb::GetHostRequest { name: "h1".into() }).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    // Should it come back, it is a new host.
    let _back = Agent::with_vms(&server, "h1", &["a"]).await;
    server.stop().await;
}

#[tokio::test]
async fn wishes_and_kinds_that_there_are_not_are_refused() {
    let server = Server::start().await;
    let _agent = Agent::with_vms(&server, "h1", &[]).await;
    let mut cluster = server.cluster().await;
    for state in [0, 77] {
        let request = pb::SetHostStateRequest { name: "h1".into(), state, ..Default::default() };
        assert_fields(&cluster.set_host_state(request).await.unwrap_err(), &["state"]);
    }
    let status = cluster.watch(pb::WatchRequest { kinds: vec![1, 0, 9], after: None }).await.unwrap_err();
    assert_fields(&status, &["kinds[1]", "kinds[2]"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_does_not_keep_up_is_cut_off() {
    const VMS: usize = 1000;
    let server = Server::start().await;
    let agent = Agent::open(&server, "h1").await;
    // Little fits between the two.
    let endpoint =
        server.endpoint().initial_stream_window_size(65_535).initial_connection_window_size(65_535);
    let mut slow = ClusterServiceClient::new(endpoint.connect().await.unwrap());
    let mut watch = slow.watch(pb::WatchRequest::default()).await.unwrap().into_inner();
    let mut cluster = server.cluster().await;
    let padding: BTreeMap<_, _> = [("padding".to_owned(), "x".repeat(200))].into();
    // More changes than are kept for a watcher, each round seen before the next.
    for round in 1..=12_i64 {
        let report = |i: usize| pb::VmReport {
            memory_mib: 512 + round,
            labels: padding.clone(),
            ..vm(&format!("v{i}"))
        };
        let changed = (0..VMS).map(report).collect();
        agent.say(Said::Delta(pb::HostDelta { changed, ..Default::default() })).await;
        until("a round is seen", async || {
            let last = cluster.get_vm(pb::GetVmRequest { name: format!("v{}", VMS - 1) }).await;
            last.is_ok_and(|vm| vm.into_inner().memory_mib == 512 + round)
        })
        .await;
    }
    let status = loop {
        match within("the end of the watch", watch.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the watch ended without an error"),
            Err(status) => break status,
        }
    };
    let (code, reason, details) = failure(&status);
    assert_eq!((code, reason.as_str()), (Code::ResourceExhausted, "SLOW_WATCHER"));
    assert!(details.retry_info().unwrap().retry_delay.is_some());
    server.assert_alive().await;
    server.stop().await;
}
