//! Who is not heard by a member of a ring: those of no ring, and a second process of a name that is taken.

use crate::ring::Members;
use crate::support::{failure, until, within};
use crate::versions::Log;
use dvms::record::EventKind;
use dvms_proto::v1 as pb;
use pb::exchange_request::Message as Said;
use pb::peer_service_client::PeerServiceClient;
use std::time::{Duration, Instant};
use tonic::Code;

// One thread, whose log is read.
#[tokio::test]
async fn a_member_hears_nobody_but_its_ring() {
    let (log, _logging) = Log::begin();
    let members = Members::start().await;
    // Words of the process that is known under this name.
    let instance = members.of("north").instance().to_owned();
    let hello = |member: &str, to: &str, oldest: u32| {
        let hello = pb::PeerHello {
            member: member.into(),
            to: to.into(),
            oldest_version: oldest,
            newest_version: oldest.max(1),
            instance: instance.clone(),
        };
        Some(Said::Hello(hello))
    };
    let frame = |json: &str| Some(Said::Frame(pb::PeerFrame { json: json.into() }));
    let say = async |messages: Vec<Option<Said>>| {
        let mut client = PeerServiceClient::new(members.channel("east").await);
        let messages: Vec<_> = messages.into_iter().map(|message| pb::ExchangeRequest { message }).collect();
        // The stream stays open: it is for the other side to end it.
        let (out, outbox) = tokio::sync::mpsc::channel(8);
        for message in messages {
            out.send(message).await.unwrap();
        }
        let stream = tokio_stream::wrappers::ReceiverStream::new(outbox);
        let mut inbox = client.exchange(stream).await.unwrap().into_inner();
        let status = within("the end of the stream", async {
            loop {
                match inbox.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("it ended without an error"),
                    Err(status) => return status,
                }
            }
        })
        .await;
        drop(out);
        let (code, reason, _) = failure(&status);
        (code, reason, status.message().to_owned())
    };
    let (code, reason, message) = say(vec![hello("mallory", "east", 1)]).await;
    assert_eq!((code, reason.as_str()), (Code::PermissionDenied, "FOREIGN_MEMBER"));
    assert!(message.contains("mallory") && message.contains("ring.members"), "{message}");
    // It tries again and again: that is told once, with where it is.
    say(vec![hello("mallory", "east", 1)]).await;
    assert_eq!(log.lines_with("\"mallory\" is none of"), 1);
    assert_eq!(log.lines_with("from=\"127.0.0.1:"), 1);
    let (code, reason, message) = say(vec![hello("north", "south", 1)]).await;
    assert_eq!((code, reason.as_str()), (Code::PermissionDenied, "FOREIGN_MEMBER"));
    assert!(message.contains("\"east\", not \"south\""), "{message}");
    let (code, reason, message) = say(vec![hello("north", "east", 9)]).await;
    assert_eq!((code, reason.as_str()), (Code::FailedPrecondition, "PROTOCOL_VERSION"));
    assert!(message.contains("upgrade the older"), "{message}");
    for garbage in ["", "{}", "[]", r#"{"type":"cell"}"#, r#"{"type":"landed","key":7,"done":true}"#] {
        let (code, reason, message) = say(vec![hello("north", "east", 1), frame(garbage)]).await;
        assert_eq!((code, reason.as_str()), (Code::InvalidArgument, "INVALID_FIELD"), "{garbage}");
        assert!(message.starts_with("frame.json: "), "{message}");
    }
    let (_, _, message) = say(vec![frame("{}")]).await;
    assert!(message.starts_with("hello: must be the first"), "{message}");
    // It goes on with those that it knows.
    until("all are reachable", async || {
        members.get_ring("east").await.members.iter().all(|member| member.reachable)
    })
    .await;
}

fn alarms(members: &Members, of: &str) -> Vec<String> {
    let events = members.of(of).events();
    let alarms = events.iter().filter(|event| event.kind == EventKind::Alarm);
    alarms.map(|event| event.message.clone()).collect()
}

fn are_linked(members: &Members, of: &str) -> bool {
    let ring = members.of(of).ring();
    ring.others.len() == 2 && ring.others.iter().all(|other| other.up)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_coordinators_of_one_name_the_first_is_heard_and_operators_are_told() {
    let mut members = Members::start().await;
    let all = ["east", "north", "west"];
    until("all are linked", async || all.iter().all(|name| are_linked(&members, name))).await;

    let mut twin = members.twin("east").await;
    let east = members.addresses["east"];
    let two = format!("two coordinators are named \"east\": the one at {east} is heard, ");
    until("the others tell of it", async || {
        ["north", "west"].iter().all(|name| !alarms(&members, name).is_empty())
    })
    .await;
    until("it says itself why it is not heard", async || {
        let ring = twin.get_ring("east").await;
        ring.members.iter().filter(|member| member.no_link.starts_with(&two)).count() == 2
    })
    .await;
    // It tries again and again.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        assert!(all.iter().all(|name| are_linked(&members, name)), "the first is heard all the time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(twin.of("east").ring().others.iter().all(|other| !other.up));
    for name in ["north", "west"] {
        let told = alarms(&members, name);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&two) && told[0].contains("calls from 127.0.0.1 is not"), "{told:?}");
    }
    assert_eq!(alarms(&members, "east"), [""; 0]);
    twin.stop("east").await;

    // One that is killed and begins again is another process, too: it is not kept out.
    members.kill("east").await;
    members.start_again("east").await;
    let begun = Instant::now();
    until("it is back", async || all.iter().all(|name| are_linked(&members, name))).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    for name in ["north", "west"] {
        assert_eq!(alarms(&members, name).len(), 1, "{:?}", alarms(&members, name));
    }
}
