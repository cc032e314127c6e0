//! One session with a coordinator; the order of its messages is in `agent_service.proto`.

use super::{Link, convert};
use crate::action::{ActionKey, Actions};
use crate::hypervisor::Sample;
use crate::report;
use dvms_proto::v1 as pb;
use pb::agent_service_client::AgentServiceClient;
use pb::session_request::Message as Out;
use pb::session_response::Message as In;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Endpoint;

/// Messages that wait to be sent. A coordinator that does not read for long loses the session.
const WAITING: usize = 64;
/// Longest that a message may wait, and that the coordinator may take to answer a hello.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest that the coordinator may take to end a session that the agent leaves.
const FAREWELL: Duration = Duration::from_secs(1);
/// Versions of the protocol that this agent speaks, from the oldest to the newest.
const SPOKEN: std::ops::RangeInclusive<u32> = 1..=1;
const SHORTEST_INTERVAL_MS: u32 = 100;
const LONGEST_INTERVAL_MS: u32 = 60_000;
/// A definition of a VM may be long; a message is not.
const LARGEST_MESSAGE: usize = 4 << 20;

/// How a session ended.
pub(super) enum Ending {
    /// As the coordinator wished.
    GoAway { reason: String, after: Duration },
    /// Otherwise; why.
    Lost(String),
}

impl From<tonic::Status> for Ending {
    fn from(status: tonic::Status) -> Self {
        Self::Lost(format!("{:?}: {}", status.code(), status.message()))
    }
}

/// How an open session ended.
pub(super) enum Held {
    /// By itself.
    Ended(Ending),
    /// As the agent wished.
    Left,
}

/// A session with its welcome.
pub(super) struct Open<'l> {
    session: Session<'l>,
    inbox: Streaming<pb::SessionResponse>,
}

impl Open<'_> {
    /// Holds the session until it ends, or `leave` does.
    pub(super) async fn hold(self, leave: impl Future<Output = ()>) -> Held {
        let Self { mut session, mut inbox } = self;
        let ended = tokio::select! {
            ended = session.serve(&mut inbox) => Some(ended),
            () = leave => None,
        };
        match ended {
            Some(Ok(never)) => match never {},
            Some(Err(ending)) => Held::Ended(ending),
            None => {
                session.leave(inbox).await;
                Held::Left
            }
        }
    }
}

/// Opens a session.
///
/// # Errors
/// None can be had.
pub(super) async fn open<'l>(link: &'l mut Link, endpoint: &Endpoint) -> Result<Open<'l>, Ending> {
    let channel = endpoint.connect().await.map_err(|error| Ending::Lost(with_sources(&error)))?;
    let mut client = AgentServiceClient::new(channel).max_decoding_message_size(LARGEST_MESSAGE);
    let (out, outbox) = mpsc::channel(WAITING);
    let description = link.watched.description.borrow_and_update().clone();
    let host = link.identity.host.clone().unwrap_or_else(|| description.name.clone());
    let hello =
        convert::hello(&link.identity, &host, link.driver, &description, link.actions.epoch(), SPOKEN);
    let mut session =
        Session { link, out, host, told: Sample::default(), told_actions: 0, told_unknown: false };
    session.send(Out::Hello(hello)).await?;

    let opening = client.session(ReceiverStream::new(outbox));
    let late = |_| Ending::Lost(format!("no answer within {PATIENCE:?}"));
    let mut inbox = tokio::time::timeout(PATIENCE, opening).await.map_err(late)??.into_inner();
    let first = tokio::time::timeout(PATIENCE, inbox.message()).await.map_err(late)??;
    session.welcome(first)?;
    tracing::info!(coordinator = %endpoint.uri(), epoch = session.link.actions.epoch(), "session opened");
    Ok(Open { session, inbox })
}

struct Session<'l> {
    link: &'l mut Link,
    out: mpsc::Sender<pb::SessionRequest>,
    host: String,
    /// What the coordinator knows of the host.
    told: Sample,
    /// Up to which revision the coordinator knows the actions.
    told_actions: u64,
    /// It was said that something of the coordinator's is passed over.
    told_unknown: bool,
}

impl Session<'_> {
    async fn send(&self, message: Out) -> Result<(), Ending> {
        let message = pb::SessionRequest { message: Some(message) };
        match self.out.send_timeout(message, PATIENCE).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                Err(Ending::Lost(format!("the coordinator has read nothing for {PATIENCE:?}")))
            }
            // The stream has ended; its last message says why.
            Err(mpsc::error::SendTimeoutError::Closed(_)) => {
                Err(Ending::Lost("the stream was closed".into()))
            }
        }
    }

    /// Ends the session in order. Orders that were on their way are taken, so that none is lost: the next coordinator hears
    /// of them in the inventory.
    async fn leave(self, mut inbox: Streaming<pb::SessionResponse>) {
        let Session { link, out, .. } = self;
        drop(out);
        let rest = async {
            while let Ok(Some(response)) = inbox.message().await {
                if let Some(message) = response.message {
                    obey(&link.actions, message);
                }
            }
        };
        // A coordinator that does not end it has nothing more to say.
        let _ = tokio::time::timeout(FAREWELL, rest).await;
    }

    fn welcome(&mut self, first: Option<pb::SessionResponse>) -> Result<(), Ending> {
        let welcome = match first.map(|response| response.message) {
            Some(Some(In::Welcome(welcome))) => welcome,
            Some(Some(In::GoAway(go_away))) => return Err(gone(go_away)),
            Some(_) => return Err(Ending::Lost("the coordinator did not begin with a welcome".into())),
            None => return Err(Ending::Lost("the coordinator ended the stream".into())),
        };
        if !SPOKEN.contains(&welcome.protocol_version) {
            let message = format!(
                "the coordinator speaks version {} of the protocol, this agent {} to {}; upgrade the older of the two",
                welcome.protocol_version,
                SPOKEN.start(),
                SPOKEN.end()
            );
            return Err(Ending::Lost(message));
        }
        let seen = self.link.actions.epoch();
        if welcome.epoch <= seen {
            let message =
                format!("the coordinator gave epoch {}, this host has seen {seen} already", welcome.epoch);
            return Err(Ending::Lost(message));
        }
        let raised = self.link.actions.raise_epoch(welcome.epoch);
        raised.map_err(|error| Ending::Lost(error.to_string()))?;
        let interval = welcome.report_interval_ms.clamp(SHORTEST_INTERVAL_MS, LONGEST_INTERVAL_MS);
        self.link.watched.pace.send_replace(Duration::from_millis(interval.into()));
        Ok(())
    }

    /// Sends all there is. Waits for a first look at the host, without which there is nothing to say.
    async fn inventory(&mut self) -> Result<(), Ending> {
        let sample = match self.link.watched.sample.wait_for(Option::is_some).await {
            Ok(sample) => sample.clone().expect("waited for"),
            Err(_) => return Err(Ending::Lost("the agent stops".into())),
        };
        let (actions, revision) = self.link.actions.since(0);
        self.send(Out::Inventory(convert::inventory(&self.host, &sample, &actions))).await?;
        self.told = Sample::clone(&sample);
        self.told_actions = revision;
        Ok(())
    }

    async fn serve(
        &mut self,
        inbox: &mut Streaming<pb::SessionResponse>,
    ) -> Result<std::convert::Infallible, Ending> {
        self.inventory().await?;
        self.exchange(inbox).await
    }

    async fn exchange(
        &mut self,
        inbox: &mut Streaming<pb::SessionResponse>,
    ) -> Result<std::convert::Infallible, Ending> {
        let mut samples = self.link.watched.sample.clone();
        let mut descriptions = self.link.watched.description.clone();
        let mut actions = self.link.actions.changes();
        samples.mark_unchanged();
        descriptions.mark_unchanged();
        actions.mark_changed();
        loop {
            tokio::select! {
                message = inbox.message() => match message?.map(|response| response.message) {
                    Some(Some(message)) => self.receive(message).await?,
                    Some(None) => self.pass_over(),
                    None => return Err(Ending::Lost("the coordinator ended the stream".into())),
                },
                changed = samples.changed() => {
                    changed.map_err(|_| Ending::Lost("the agent stops".into()))?;
                    let sample = samples.borrow_and_update().clone();
                    if let Some(sample) = sample {
                        self.delta(&sample).await?;
                    }
                }
                changed = descriptions.changed() => {
                    changed.map_err(|_| Ending::Lost("the agent stops".into()))?;
                    let capacity = convert::capacity(&self.link.identity, &descriptions.borrow_and_update());
                    let delta = pb::HostDelta { capacity: Some(capacity), ..convert::delta(&self.host, &report::Delta::default()) };
                    self.send(Out::Delta(delta)).await?;
                }
                changed = actions.changed() => {
                    changed.map_err(|_| Ending::Lost("the agent stops".into()))?;
                    self.progress().await?;
                }
            }
        }
    }

    /// A newer coordinator may say what this agent does not know.
    fn pass_over(&mut self) {
        if !std::mem::replace(&mut self.told_unknown, true) {
            tracing::warn!(
                "the coordinator says what this agent does not know, and is perhaps newer: that is passed over, now and \
                 later"
            );
        }
    }

    async fn delta(&mut self, sample: &Arc<Sample>) -> Result<(), Ending> {
        let delta = report::delta(&self.told, sample);
        self.send(Out::Delta(convert::delta(&self.host, &delta))).await?;
        self.told = Sample::clone(sample);
        Ok(())
    }

    async fn progress(&mut self) -> Result<(), Ending> {
        let (changed, revision) = self.link.actions.since(self.told_actions);
        for (order, progress) in &changed {
            self.send(Out::ActionProgress(convert::progress(order, progress))).await?;
        }
        self.told_actions = revision;
        Ok(())
    }

    async fn receive(&mut self, message: In) -> Result<(), Ending> {
        match message {
            In::Execute(_) | In::Cancel(_) | In::Acknowledge(_) => obey(&self.link.actions, message),
            In::Resync(resync) => {
                tracing::info!(reason = resync.reason, "the coordinator asks for everything again");
                self.inventory().await?;
            }
            In::GoAway(go_away) => return Err(gone(go_away)),
            In::Welcome(_) => return Err(Ending::Lost("the coordinator sent a second welcome".into())),
        }
        Ok(())
    }
}

/// Takes what is about actions.
fn obey(actions: &Actions, message: In) {
    match message {
        In::Execute(execute) => actions.take(convert::order(execute)),
        In::Cancel(cancel) => {
            let key = ActionKey { plan_id: cancel.plan_id, action_id: cancel.action_id };
            actions.cancel(&key, cancel.epoch);
        }
        In::Acknowledge(acknowledge) => {
            let key = |key: pb::acknowledge::ActionKey| ActionKey {
                plan_id: key.plan_id,
                action_id: key.action_id,
            };
            let keys: Vec<_> = acknowledge.actions.into_iter().map(key).collect();
            actions.acknowledge(&keys);
        }
        In::Resync(_) | In::GoAway(_) | In::Welcome(_) => {}
    }
}

fn gone(go_away: pb::GoAway) -> Ending {
    Ending::GoAway { reason: go_away.reason, after: Duration::from_millis(go_away.reconnect_after_ms.into()) }
}

/// An error with what it comes from: transport errors say too little by themselves.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
