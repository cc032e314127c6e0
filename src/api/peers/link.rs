//! The own side of links: one stream to each other member, kept open.

use super::lives::{Place, Voice};
use super::{Faults, Lives, PATIENCE, SPOKEN, endpoint};
use crate::api::error::with_causes;
use crate::api::unknown::Unknown;
use crate::api::versions::Versions;
use crate::coordinator::{Coordinator, Teller};
use dvms_proto::v1 as pb;
use pb::exchange_request::Message as Out;
use pb::exchange_response::Message as In;
use pb::peer_service_client::PeerServiceClient;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

/// Frames that wait for the connection; those beyond wait at the coordinator.
const WAITING: usize = 64;
/// Between two looks at who takes part.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Between two pings.
const PING_EVERY: Duration = Duration::from_secs(1);
/// A member that does not answer a ping for so long is not there.
const SILENT_AFTER: Duration = Duration::from_secs(3);
/// Longest that a link is waited for which has nothing more to say.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// First and longest pause between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Links that are kept; they end with the coordinator.
pub(in crate::api) struct Links {
    ended: mpsc::Receiver<()>,
}

impl Links {
    /// Waits until all have ended, and what the coordinator said last is on its way; not for long.
    pub(in crate::api) async fn end(mut self) {
        let _ = tokio::time::timeout(LAST_WORDS, self.ended.recv()).await;
    }
}

/// Keeps links to all other members, whoever these are, until the coordinator has stopped, or until `stopped`; tells `faults`
/// of those that do not stand.
pub(in crate::api) fn keep_links(
    coordinator: &Coordinator,
    faults: &Faults,
    lives: &Lives,
    stopped: &CancellationToken,
) -> Links {
    let (coordinator, faults, lives, stopped) =
        (coordinator.clone(), faults.clone(), lives.clone(), stopped.clone());
    // Nothing is ever sent: it is closed when the last link has ended.
    let (alive, ended) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut kept: BTreeMap<(String, String), CancellationToken> = BTreeMap::new();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let mut over = coordinator.stopped();
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                _ = over.wait_for(|over| *over) => return,
                () = stopped.cancelled() => return,
            }
            let ring = coordinator.ring();
            let wanted: BTreeSet<(String, String)> =
                ring.others.iter().map(|other| (other.name.clone(), other.address.clone())).collect();
            kept.retain(|member, ended| {
                let stays = wanted.contains(member);
                if !stays {
                    ended.cancel();
                }
                stays
            });
            for member in wanted {
                kept.entry(member.clone()).or_insert_with(|| {
                    let ended = stopped.child_token();
                    let (coordinator, faults, until) = (coordinator.clone(), faults.clone(), ended.clone());
                    let (lives, alive) = (lives.clone(), alive.clone());
                    tokio::spawn(async move {
                        let _alive = alive;
                        let keeping = keep(&coordinator, &faults, &lives, &member.0, &member.1);
                        until.run_until_cancelled(keeping).await;
                        faults.clear(&member.0);
                    });
                    ended
                });
            }
        }
    });
    Links { ended }
}

async fn keep(coordinator: &Coordinator, faults: &Faults, lives: &Lives, member: &str, address: &str) {
    let mut pause = PAUSES.0;
    loop {
        let begun = Instant::now();
        let Err(why) = hold(coordinator, faults, lives, member, address).await else { return };
        // The same again is said once.
        if faults.set(member, &why) {
            tracing::warn!(member, address, "no link: {why}");
        }
        if begun.elapsed() > SILENT_AFTER {
            pause = PAUSES.0;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Holds one stream until it breaks; `Ok` when the coordinator has stopped.
async fn hold(
    coordinator: &Coordinator,
    faults: &Faults,
    lives: &Lives,
    member: &str,
    address: &str,
) -> Result<(), String> {
    let endpoint = endpoint(address).map_err(|error| with_causes(&error))?;
    let channel = endpoint.connect().await.map_err(|error| with_causes(&error))?;
    let mut client = PeerServiceClient::new(channel);
    let (out, outbox) = mpsc::channel(WAITING);
    let hello = pb::PeerHello {
        member: coordinator.name().to_owned(),
        to: member.to_owned(),
        oldest_version: SPOKEN.oldest,
        newest_version: SPOKEN.newest,
        instance: coordinator.instance().to_owned(),
    };
    send(&out, Out::Hello(hello)).await?;
    let late = |_| format!("no answer within {PATIENCE:?}");
    let opening = client.exchange(ReceiverStream::new(outbox));
    let answer = tokio::time::timeout(PATIENCE, opening).await.map_err(late)?;
    let mut inbox = answer.map_err(|status| status.message().to_owned())?.into_inner();
    let first = tokio::time::timeout(PATIENCE, next(&mut inbox)).await.map_err(late)??;
    let Some(In::Welcome(welcome)) = first else { return Err("it did not begin with a welcome".to_owned()) };
    let theirs = Versions { oldest: welcome.version, newest: welcome.version };
    if SPOKEN.common(theirs).is_none() {
        return Err(SPOKEN.nothing_in_common("coordinators", coordinator.name(), theirs, member));
    }
    let voice = match lives.begin(member, &welcome.instance, Place::At(address.to_owned()), Instant::now()) {
        Ok(voice) => voice,
        Err(rival) => {
            lives.tell(coordinator, member, &rival).await;
            return Err(rival.why);
        }
    };
    tracing::info!(member, version = welcome.software, protocol = welcome.version, "a link stands");
    let Some(link) = coordinator.link(member).await else { return Ok(()) };
    faults.clear(member);
    let unknown = Unknown::of(coordinator.clone(), Teller::Coordinator, member);
    speak(link, &out, &mut inbox, unknown, &voice).await?;
    // What was said last is read before the other side ends it.
    drop(out);
    let _ = tokio::time::timeout(LAST_WORDS, async { while next(&mut inbox).await.is_ok() {} }).await;
    Ok(())
}

async fn speak(
    mut link: crate::coordinator::Link,
    out: &mpsc::Sender<pb::ExchangeRequest>,
    inbox: &mut Streaming<pb::ExchangeResponse>,
    mut unknown: Unknown,
    voice: &Voice,
) -> Result<(), String> {
    let mut ticks = tokio::time::interval(PING_EVERY);
    let mut number = 0;
    let mut asked: Option<Instant> = None;
    loop {
        tokio::select! {
            frame = link.frames.recv() => {
                // A newer link has taken its place, or the coordinator has stopped.
                let Some(frame) = frame else { return Ok(()) };
                let json = serde_json::to_string(&frame).map_err(|error| error.to_string())?;
                link.sent(json.len());
                send(out, Out::Frame(pb::PeerFrame { json })).await?;
            }
            message = next(inbox) => match message? {
                Some(In::Pong(pong)) => {
                    if !voice.heard(Instant::now()) {
                        return Err("another process of its name has taken its place".to_owned());
                    }
                    if let Some(then) = asked.filter(|_| pong.number == number) {
                        asked = None;
                        link.measured(then.elapsed()).await;
                    }
                }
                Some(In::Welcome(_)) => return Err("it sent a second welcome".to_owned()),
                None => unknown.pass_over("an answer of the stream"),
            },
            _ = ticks.tick() => match asked {
                Some(then) if then.elapsed() > SILENT_AFTER => {
                    return Err(format!("it has not answered for {SILENT_AFTER:?}"));
                }
                Some(_) => {}
                None => {
                    number += 1;
                    asked = Some(Instant::now());
                    send(out, Out::Ping(pb::PeerPing { number })).await?;
                }
            },
        }
    }
}

async fn send(out: &mpsc::Sender<pb::ExchangeRequest>, message: Out) -> Result<(), String> {
    let message = pb::ExchangeRequest { message: Some(message) };
    match out.send_timeout(message, SILENT_AFTER).await {
        Ok(()) => Ok(()),
        Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
            Err(format!("it has read nothing for {SILENT_AFTER:?}"))
        }
        Err(mpsc::error::SendTimeoutError::Closed(_)) => Err("the stream was closed".to_owned()),
    }
}

/// The next answer; `None` = one that is not known here.
async fn next(inbox: &mut Streaming<pb::ExchangeResponse>) -> Result<Option<In>, String> {
    let message = inbox.message().await.map_err(|status| status.message().to_owned())?;
    Ok(message.ok_or_else(|| "it ended the stream".to_owned())?.message)
}
