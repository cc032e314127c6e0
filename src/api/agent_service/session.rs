//! One session of an agent; the order of its messages is in `agent_service.proto`.

use crate::api::convert::{
    delta_from_wire, hello_from_wire, inventory_from_wire, order_to_wire, progress_from_wire,
};
use crate::api::error::ApiError;
use crate::api::stream::{Caller, Ended, Heard, first, receive};
use crate::api::unknown::Unknown;
use crate::api::versions::Versions;
use crate::coordinator::{AttachError, Coordinator, Reports, Teller};
use crate::record::{Order, Report};
use dvms_proto::v1 as pb;
use pb::session_request::Message as In;
use pb::session_response::Message as Out;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::Streaming;

/// Versions of the protocol between agents and coordinators.
const SPOKEN: Versions = Versions { oldest: 1, newest: 1 };
/// Longest that an agent may take to say hello, and to read what it is told.
const PATIENCE: Duration = Duration::from_secs(10);

type Agent = Caller<pb::SessionResponse>;

/// Holds a session until it ends.
pub(super) async fn hold(
    coordinator: Coordinator,
    mut inbox: Streaming<pb::SessionRequest>,
    agent: Agent,
) -> Result<(), Ended> {
    let hello = |message| if let In::Hello(hello) = message { Some(hello) } else { None };
    let hello = first(&mut inbox, |request| request.message, hello, PATIENCE).await?;
    let Some(hello) = hello else { return Ok(()) };
    let version = judged(&coordinator, &hello)?;
    let hello = hello_from_wire(hello).map_err(ApiError::invalid)?;
    let host = hello.host.clone();
    let session = coordinator.attach(hello).await.map_err(ApiError::from)?;
    let welcome = pb::Welcome {
        coordinator: coordinator.name().to_owned(),
        epoch: session.epoch,
        report_interval_ms: u32::try_from(session.report_interval.as_millis()).unwrap_or(u32::MAX),
        protocol_version: version,
    };
    tell(&agent, Out::Welcome(welcome)).await?;
    let unknown = Unknown::of(coordinator, Teller::Agent, &host);
    let ended = tokio::select! {
        ended = listen(&mut inbox, &session.reports, &host, unknown) => ended,
        ended = command(session.orders, session.epoch, &host, &agent) => ended,
    };
    if let Err(Ended::Error(error)) = &ended {
        tracing::warn!(host, epoch = session.epoch, %error, "the session of an agent is ended");
    }
    ended
}

/// The version of the protocol that is spoken with an agent that says this.
fn judged(coordinator: &Coordinator, hello: &pb::Hello) -> Result<u32, ApiError> {
    let oldest = hello.protocol_version;
    let theirs = Versions { oldest, newest: hello.newest_protocol_version.max(oldest) };
    SPOKEN.common(theirs).ok_or_else(|| {
        let own = format!("coordinator {} ({})", coordinator.name(), env!("CARGO_PKG_VERSION"));
        let agent = format!("the agent of host {} ({})", hello.host, hello.agent_version);
        let message = SPOKEN.nothing_in_common("agents and coordinators", &own, theirs, &agent);
        tracing::warn!("an agent is refused: {message}");
        ApiError::protocol_version(message)
    })
}

/// Takes what the agent says, until it says no more.
async fn listen(
    inbox: &mut Streaming<pb::SessionRequest>,
    reports: &Reports,
    host: &str,
    mut unknown: Unknown,
) -> Result<(), Ended> {
    loop {
        match receive(inbox, |request| request.message).await? {
            Heard::Message(message) => reports.send(report(message, host)?).await.map_err(ApiError::from)?,
            Heard::Unknown => unknown.pass_over("a message of the session"),
            Heard::End => return Ok(()),
        }
    }
}

fn report(message: In, host: &str) -> Result<Report, ApiError> {
    let own = |named: &str, what: &str| {
        if named.is_empty() || named == host {
            return Ok(());
        }
        Err(ApiError::foreign_host(format!("the agent of host {host:?} sent {what} of host {named:?}")))
    };
    match message {
        In::Hello(_) => Err(ApiError::invalid_field("hello", "must be sent once")),
        In::Inventory(inventory) => {
            own(&inventory.host, "an inventory")?;
            inventory_from_wire(inventory).map_err(ApiError::invalid)
        }
        In::Delta(delta) => {
            own(&delta.host, "a delta")?;
            delta_from_wire(delta).map_err(ApiError::invalid)
        }
        In::ActionProgress(progress) => progress_from_wire(progress).map_err(ApiError::invalid),
    }
}

/// Tells the agent what to do, until the session ends.
async fn command(
    mut orders: mpsc::Receiver<Order>,
    epoch: u64,
    host: &str,
    agent: &Agent,
) -> Result<(), Ended> {
    while let Some(order) = orders.recv().await {
        let last = matches!(order, Order::GoAway { .. });
        tell(agent, order_to_wire(order, epoch)).await?;
        if last {
            return Ok(());
        }
    }
    Err(ApiError::superseded(host).into())
}

async fn tell(agent: &Agent, message: Out) -> Result<(), Ended> {
    let sending = agent.send(pb::SessionResponse { message: Some(message) });
    match tokio::time::timeout(PATIENCE, sending).await {
        Ok(sent) => Ok(sent?),
        Err(_) => Err(ApiError::deadline(format!("the agent has read nothing for {PATIENCE:?}")).into()),
    }
}

impl From<AttachError> for ApiError {
    fn from(error: AttachError) -> Self {
        match error {
            AttachError::Stopping => Self::shutting_down(),
            AttachError::Invalid { field, message } => Self::invalid_field(format!("hello.{field}"), message),
            AttachError::Store(message) => Self::internal(message),
        }
    }
}
