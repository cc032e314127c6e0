//! Events of all coordinators, from any of them.

use crate::ring::{Members, add_host, run_agent};
use crate::support::{failure, until, within};
use dvms_agent::hypervisor::simulated::SimulatedWorld;
use dvms_proto::v1 as pb;
use pb::cluster_service_client::ClusterServiceClient;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::Channel;

/// Events of a page or more, from any coordinator.
async fn events(client: &mut ClusterServiceClient<Channel>, page_size: i32) -> (Vec<pb::Event>, String) {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListEventsRequest { page_size, page_token, ..Default::default() };
        let answer = client.list_events(request).await.unwrap();
        let silent = answer.metadata().get(dvms::api::SILENT_HEADER);
        let silent = silent.map_or_else(String::new, |names| names.to_str().unwrap().to_owned());
        let page = answer.into_inner();
        all.extend(page.events);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return (all, silent);
        }
    }
}

/// The next that a watch tells: an event, or who is silent.
async fn told(watch: &mut tonic::Streaming<pb::WatchResponse>) -> Result<pb::Event, Vec<String>> {
    loop {
        match within("an event", watch.message()).await.unwrap().unwrap().change.unwrap() {
            pb::watch_response::Change::Event(event) => return Ok(event),
            pb::watch_response::Change::Silent(silent) => return Err(silent.names),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_all_coordinators_are_listed_and_watched_from_any() {
    let (world, stop) = (SimulatedWorld::new(1.0), CancellationToken::new());
    let at = [("e1", "east"), ("n1", "north"), ("w1", "west")];
    for (host, _) in at {
        add_host(&world, host, &[]);
    }
    let mut members = Members::start().await;
    for (host, member) in at {
        run_agent(&world, &members, host, member, &stop);
    }
    let mut client = ClusterServiceClient::new(members.channel("north").await);
    until("all hosts are there", async || {
        let (all, silent) = events(&mut client, 100).await;
        all.iter().filter(|event| event.kind() == pb::event::Kind::HostConnected).count() == 3
            && silent.is_empty()
    })
    .await;
    // Something happens at each of them, in this order.
    let cordon = async |client: &mut ClusterServiceClient<Channel>, host: &str, state: i32| {
        let request = pb::SetHostStateRequest { name: host.into(), state, reason: "test".into() };
        client.set_host_state(request).await.unwrap();
    };
    for (host, _) in at {
        cordon(&mut client, host, pb::host::AdminState::Cordoned as i32).await;
    }
    let (all, _) = events(&mut client, 100).await;
    let operators = |all: &[pb::Event]| {
        let done = all.iter().filter(|event| event.kind() == pb::event::Kind::Operator);
        done.map(|event| (event.host.clone(), event.coordinator.clone())).collect::<Vec<_>>()
    };
    let own = |(host, member): (&str, &str)| (host.to_owned(), member.to_owned());
    assert_eq!(operators(&all), [own(at[2]), own(at[1]), own(at[0])], "newest first");
    // The same page by page, and from another coordinator.
    for member in ["north", "west"] {
        let mut other = ClusterServiceClient::new(members.channel(member).await);
        assert_eq!(events(&mut other, 2).await.0, all);
    }
    let one = all.iter().find(|event| event.coordinator == "west").unwrap();
    let request = pb::GetEventRequest { id: one.id, coordinator: "west".into() };
    assert_eq!(client.get_event(request).await.unwrap().get_ref(), one);
    let request = pb::GetEventRequest { id: one.id, coordinator: "south".into() };
    assert_eq!(failure(&client.get_event(request).await.unwrap_err()).0, Code::NotFound);
    let filter = "coordinator = east AND kind = OPERATOR".to_owned();
    let request = pb::ListEventsRequest { filter, ..Default::default() };
    assert_eq!(client.list_events(request).await.unwrap().into_inner().events.len(), 1);
    let request = pb::ListEventsRequest { page_token: "00".into(), ..Default::default() };
    assert_eq!(failure(&client.list_events(request).await.unwrap_err()).0, Code::InvalidArgument);

    // Watched from where they were last read, through another coordinator than before.
    let list = client.list_events(pb::ListEventsRequest::default()).await.unwrap().into_inner();
    let mut read = list.position.unwrap();
    assert_eq!(read.ids.len(), 3);
    let online = pb::host::AdminState::Online as i32;
    for (host, _) in at {
        cordon(&mut client, host, online).await;
    }
    let kinds = vec![pb::watch_request::Kind::Events as i32];
    let mut east = ClusterServiceClient::new(members.channel("east").await);
    let request =
        |read: &pb::EventPosition| pb::WatchRequest { kinds: kinds.clone(), after: Some(read.clone()) };
    let mut watch = east.watch(request(&read)).await.unwrap().into_inner();
    for expected in at {
        let event = told(&mut watch).await.unwrap();
        assert_eq!((event.host.as_str(), event.coordinator.as_str()), expected);
        read.ids.insert(event.coordinator, event.id);
    }
    cordon(&mut client, "w1", pb::host::AdminState::Cordoned as i32).await;
    let live = told(&mut watch).await.unwrap();
    assert_eq!(live.coordinator, "west");
    drop(watch);
    // What came meanwhile comes again, and nothing else.
    let mut watch = east.watch(request(&read)).await.unwrap().into_inner();
    assert_eq!(told(&mut watch).await.unwrap(), live);
    read.ids.insert("west".into(), live.id);

    // One is silent: it is named, and what the others have is there. When it is back, so is what it has.
    members.stop("west").await;
    loop {
        match told(&mut watch).await {
            Err(silent) => break assert_eq!(silent, ["west"]),
            Ok(event) => _ = read.ids.insert(event.coordinator, event.id),
        }
    }
    let (all, silent) = events(&mut client, 3).await;
    assert_eq!(silent, "west");
    assert!(all.len() >= 4 && all.iter().all(|event| event.coordinator != "west"));
    members.start_again("west").await;
    loop {
        match told(&mut watch).await {
            Err(silent) => break assert!(silent.is_empty(), "{silent:?}"),
            Ok(event) => _ = read.ids.insert(event.coordinator, event.id),
        }
    }
    until("its events are there again", async || {
        let (all, silent) = events(&mut client, 100).await;
        silent.is_empty() && all.iter().any(|event| event == one)
    })
    .await;
    stop.cancel();
}
