//! `PeerService`: what other members say.

use super::{PATIENCE, SPOKEN};
use crate::api::error::ApiError;
use crate::api::stream::{Answers, Caller, Ended, Heard, answers, first, receive};
use crate::api::unknown::Unknown;
use crate::api::versions::Versions;
use crate::coordinator::peers::{Frame, Read};
use crate::coordinator::{Coordinator, Teller};
use dvms_proto::v1 as pb;
use pb::exchange_request::Message as In;
use pb::exchange_response::Message as Out;
use pb::peer_service_server::PeerService;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// Answers on their way to a member.
const QUEUE: usize = 32;

/// The service.
pub(in crate::api) struct Peers {
    coordinator: Coordinator,
    stopped: CancellationToken,
}

impl Peers {
    /// Streams end when `stopped`.
    pub(in crate::api) fn new(coordinator: Coordinator, stopped: CancellationToken) -> Self {
        Self { coordinator, stopped }
    }
}

#[tonic::async_trait]
impl PeerService for Peers {
    type ExchangeStream = Answers<pb::ExchangeResponse>;

    async fn exchange(
        &self,
        request: Request<Streaming<pb::ExchangeRequest>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let coordinator = self.coordinator.clone();
        let task = |member| listen(coordinator, request.into_inner(), member);
        Ok(Response::new(answers(QUEUE, &self.stopped, task)))
    }
}

async fn listen(
    coordinator: Coordinator,
    mut inbox: Streaming<pb::ExchangeRequest>,
    member: Caller<pb::ExchangeResponse>,
) -> Result<(), Ended> {
    let hello = |message| if let In::Hello(hello) = message { Some(hello) } else { None };
    let hello = first(&mut inbox, |request| request.message, hello, PATIENCE).await?;
    let Some(hello) = hello else { return Ok(()) };
    let from = hello.member.clone();
    let version = judged(&coordinator, &hello)?;
    let welcome = pb::PeerWelcome {
        member: coordinator.name().to_owned(),
        version,
        software: env!("CARGO_PKG_VERSION").to_owned(),
    };
    say(&member, Out::Welcome(welcome)).await?;
    let mut unknown = Unknown::of(coordinator.clone(), Teller::Coordinator, &from);
    loop {
        match receive(&mut inbox, |request| request.message).await? {
            Heard::Message(In::Ping(pb::PeerPing { number })) => {
                say(&member, Out::Pong(pb::PeerPong { number })).await?;
            }
            Heard::Message(In::Frame(pb::PeerFrame { json })) => {
                let frame = Frame::read(&json).map_err(|why| ApiError::invalid_field("frame.json", why))?;
                match frame {
                    Read::Frame(frame) => {
                        if !coordinator.hear(&from, *frame).await {
                            return Err(ApiError::shutting_down().into());
                        }
                    }
                    Read::Unknown(kind) => unknown.pass_over(&kind),
                }
            }
            Heard::Message(In::Hello(_)) => {
                return Err(ApiError::invalid_field("hello", "must be sent once").into());
            }
            Heard::Unknown => unknown.pass_over("a message of the stream"),
            Heard::End => return Ok(()),
        }
    }
}

/// The version of the protocol that is spoken with who says this.
fn judged(coordinator: &Coordinator, hello: &pb::PeerHello) -> Result<u32, ApiError> {
    let pb::PeerHello { member, to, oldest_version, newest_version } = hello;
    let me = coordinator.name();
    if to != me {
        let message = format!("this is coordinator {me:?}, not {to:?}; look at ring.members");
        return Err(ApiError::foreign_member(message));
    }
    if !coordinator.ring().others.iter().any(|known| known.name == *member) {
        let message = format!("{member:?} is none of the other ring.members of {me:?}");
        return Err(ApiError::foreign_member(message));
    }
    let theirs = Versions { oldest: *oldest_version, newest: *newest_version };
    SPOKEN.common(theirs).ok_or_else(|| {
        ApiError::protocol_version(SPOKEN.nothing_in_common("coordinators", me, theirs, member))
    })
}

async fn say(member: &Caller<pb::ExchangeResponse>, message: Out) -> Result<(), Ended> {
    Ok(member.send(pb::ExchangeResponse { message: Some(message) }).await?)
}
