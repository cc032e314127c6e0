//! `AgentService`, with agents that a test plays: what is refused, and how.

use crate::support::{Agent, Server, assert_fields, failure, hello, until, vm, within};
use dvms_proto::v1 as pb;
use pb::agent_service_client::AgentServiceClient;
use pb::session_request::Message as Said;
use pb::session_response::Message as Told;
use tonic::Code;

async fn end_after(server: &Server, messages: impl IntoIterator<Item = Said>) -> tonic::Status {
    let agent = Agent::silent(server).await;
    for message in messages {
        agent.say(message).await;
    }
    agent.end().await
}

#[tokio::test]
async fn a_host_is_served_from_its_inventory_on() {
    let server = Server::start().await;
    let agent = Agent::with_vms(&server, "h1", &["a", "b"]).await;
    let mut cluster = server.cluster().await;
    let host = cluster.get_host(pb::GetHostRequest { name: "h1".into() }).await.unwrap().into_inner();
    assert_eq!(host.connection(), pb::host::Connection::Connected);
    assert_eq!((host.vm_count, host.driver.as_str()), (2, "simulated"));
    let a = cluster.get_vm(pb::GetVmRequest { name: "a".into() }).await.unwrap().into_inner();
    assert_eq!((a.host.as_str(), a.state()), ("h1", pb::vm_report::State::Running));

    let delta = pb::HostDelta { gone: vec!["b".into()], changed: vec![vm("c")], ..Default::default() };
    agent.say(Said::Delta(delta)).await;
    until("the delta is seen", async || {
        let b = cluster.get_vm(pb::GetVmRequest { name: "b".into() }).await;
        let c = cluster.get_vm(pb::GetVmRequest { name: "c".into() }).await;
        c.is_ok_and(|c| c.into_inner().host == "h1") && b.is_err()
    })
    .await;
    drop(agent);
    until("the host is LOST", async || {
        let host = cluster.get_host(pb::GetHostRequest { name: "h1".into() }).await.unwrap().into_inner();
        host.connection() == pb::host::Connection::Lost
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn a_session_begins_with_a_hello_that_can_be_used() {
    let server = Server::start().await;
    let status = end_after(&server, [Said::Delta(pb::HostDelta::default())]).await;
    assert_fields(&status, &["hello"]);
    let status = end_after(&server, [Said::Hello(pb::Hello { protocol_version: 2, ..hello("h1") })]).await;
    let (code, reason, _) = failure(&status);
    assert_eq!((code, reason.as_str()), (Code::FailedPrecondition, "PROTOCOL_VERSION"));
    let capacity =
        pb::HostCapacity { memory_mib: -1, migration_bandwidth_mib_s: f64::NAN, ..Default::default() };
    let bad = pb::Hello { capacity: Some(capacity), ..hello("two words") };
    let fields = ["hello.host", "hello.capacity.memory_mib", "hello.capacity.migration_bandwidth_mib_s"];
    assert_fields(&end_after(&server, [Said::Hello(bad)]).await, &fields);
    let bare = pb::Hello { capacity: None, ..hello("h1") };
    assert_fields(&end_after(&server, [Said::Hello(bare)]).await, &["hello.capacity"]);
    // None of them is a host now.
    let found = server.cluster().await.list_hosts(pb::ListHostsRequest::default()).await.unwrap();
    assert_eq!(found.into_inner().total_size, 0);
    server.stop().await;
}

#[tokio::test]
async fn an_agent_that_speaks_about_another_host_is_shut_out() {
    let server = Server::start().await;
    let honest = Agent::with_vms(&server, "h1", &["a"]).await;
    for lie in [
        Said::Inventory(pb::HostInventory { host: "h1".into(), ..Default::default() }),
        Said::Delta(pb::HostDelta { host: "h1".into(), gone: vec!["a".into()], ..Default::default() }),
    ] {
        let liar = Agent::open(&server, "h2").await;
        liar.say(lie).await;
        let (code, reason, _) = failure(&liar.end().await);
        assert_eq!((code, reason.as_str()), (Code::PermissionDenied, "FOREIGN_HOST"));
    }
    let a = server.cluster().await.get_vm(pb::GetVmRequest { name: "a".into() }).await.unwrap();
    assert_eq!(a.into_inner().host, "h1");
    // Its own name it may say.
    honest
        .say(Said::Delta(pb::HostDelta { host: "h1".into(), changed: vec![vm("b")], ..Default::default() }))
        .await;
    let mut cluster = server.cluster().await;
    until("the honest one is heard", async || {
        cluster.get_vm(pb::GetVmRequest { name: "b".into() }).await.is_ok()
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn a_newer_session_of_a_host_ends_the_older_one() {
    let server = Server::start().await;
    let old = Agent::open(&server, "h1").await;
    let new = Agent::with_vms(&server, "h1", &["a"]).await;
    let (code, reason, _) = failure(&old.end().await);
    assert_eq!((code, reason.as_str()), (Code::Aborted, "SUPERSEDED"));
    new.say(Said::Delta(pb::HostDelta { changed: vec![vm("b")], ..Default::default() })).await;
    let mut cluster = server.cluster().await;
    until("the newer one goes on", async || {
        cluster.get_vm(pb::GetVmRequest { name: "b".into() }).await.is_ok()
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn malformed_reports_end_the_session_and_name_the_field() {
    let server = Server::start().await;
    let named = |state: i32| pb::VmReport { state, ..vm("a") };
    let action = pb::ActionProgress { state: 99, reason: 99, elapsed_s: -1.0, ..Default::default() };
    let cases: Vec<(Said, &[&str])> = vec![
        (
            Said::Inventory(pb::HostInventory {
                vms: vec![vm("a"), pb::VmReport { memory_mib: -1, cpu_millicores: i64::MAX, ..vm("a") }],
                ..Default::default()
            }),
            &["inventory.vms[1].cpu_millicores", "inventory.vms[1].memory_mib", "inventory.vms[1].name"],
        ),
        (
            Said::Delta(pb::HostDelta { changed: vec![named(0), vm("")], ..Default::default() }),
            &["delta.changed[0].state", "delta.changed[1].name"],
        ),
        (
            Said::Delta(pb::HostDelta {
                usage: Some(pb::HostUsage { memory_mib: i64::MIN, ..Default::default() }),
                gone: vec!["x".repeat(300)],
                ..Default::default()
            }),
            &["delta.usage.memory_mib", "delta.gone[0]"],
        ),
        (
            Said::ActionProgress(action),
            &[
                "action_progress.state",
                "action_progress.reason",
                "action_progress.plan_id",
                "action_progress.elapsed_s",
            ],
        ),
        (Said::Hello(hello("h1")), &["hello"]),
    ];
    for (message, fields) in cases {
        let agent = Agent::open(&server, "h1").await;
        agent.say(message).await;
        assert_fields(&agent.end().await, fields);
    }
    server.assert_alive().await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_message_at_all_is_the_agents_fault() {
    let server = Server::start().await;
    // Nothing in the oneof: perhaps a message of a newer protocol.
    let (sender, said) = tokio::sync::mpsc::channel(1);
    sender.send(pb::SessionRequest::default()).await.unwrap();
    let mut client = AgentServiceClient::new(server.channel().await);
    let stream = tokio_stream::wrappers::ReceiverStream::new(said);
    let mut inbox = client.session(stream).await.unwrap().into_inner();
    assert_fields(&within("the end", inbox.message()).await.unwrap_err(), &["message"]);

    // Bytes that are no hello where one should be.
    let mut client = tonic::client::Grpc::new(server.channel().await);
    client.ready().await.unwrap();
    let path = "/dvms.v1.AgentService/Session".parse().unwrap();
    let codec = tonic_prost::ProstCodec::<Vec<u8>, pb::SessionResponse>::default();
    let request = tonic::Request::new(tokio_stream::once(vec![0xff_u8; 100]));
    let mut inbox = client.streaming(request, path, codec).await.unwrap().into_inner();
    let (code, reason, _) = failure(&within("the end", inbox.message()).await.unwrap_err());
    assert_eq!((code, reason.as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
    server.assert_alive().await;
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_sends_its_agents_away_in_order() {
    let server = Server::start().await;
    let mut agent = Agent::open(&server, "h1").await;
    server.begin_stop();
    let Told::GoAway(go_away) = agent.told().await.unwrap() else { panic!("the last word is a go_away") };
    assert!(!go_away.reason.is_empty());
    assert_eq!(agent.told().await.unwrap_err().code(), Code::Ok);
    server.stop().await;
}
