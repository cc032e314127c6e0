//! `PeerService`: what other members say.

use super::lives::{Place, Voice};
use super::{Lives, PATIENCE, SPOKEN};
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
use std::net::SocketAddr;
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// Answers on their way to a member.
const QUEUE: usize = 32;

/// The service.
pub(in crate::api) struct Peers {
    coordinator: Coordinator,
    lives: Lives,
    stopped: CancellationToken,
}

impl Peers {
    /// Streams end when `stopped`; `lives`: who speaks under each name.
    pub(in crate::api) fn new(coordinator: Coordinator, lives: Lives, stopped: CancellationToken) -> Self {
        Self { coordinator, lives, stopped }
    }
}

#[tonic::async_trait]
impl PeerService for Peers {
    type ExchangeStream = Answers<pb::ExchangeResponse>;

    async fn exchange(
        &self,
        request: Request<Streaming<pb::ExchangeRequest>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let from = request.remote_addr();
        let gate = Gate { coordinator: self.coordinator.clone(), lives: self.lives.clone(), from };
        let task = |member| listen(gate, request.into_inner(), member);
        Ok(Response::new(answers(QUEUE, &self.stopped, task)))
    }
}

async fn listen(
    gate: Gate,
    mut inbox: Streaming<pb::ExchangeRequest>,
    member: Caller<pb::ExchangeResponse>,
) -> Result<(), Ended> {
    let hello = |message| if let In::Hello(hello) = message { Some(hello) } else { None };
    let hello = first(&mut inbox, |request| request.message, hello, PATIENCE).await?;
    let Some(hello) = hello else { return Ok(()) };
    let from = hello.member.clone();
    let version = gate.judged(&hello)?;
    let voice = gate.admitted(&hello).await?;
    let coordinator = gate.coordinator;
    let welcome = pb::PeerWelcome {
        member: coordinator.name().to_owned(),
        version,
        software: env!("CARGO_PKG_VERSION").to_owned(),
        instance: coordinator.instance().to_owned(),
    };
    say(&member, Out::Welcome(welcome)).await?;
    let mut unknown = Unknown::of(coordinator.clone(), Teller::Coordinator, &from);
    loop {
        let heard = receive(&mut inbox, |request| request.message).await?;
        if !voice.heard(Instant::now()) {
            return Err(ApiError::name_taken("another process of this name has taken its place").into());
        }
        match heard {
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

/// Who may speak, and who calls.
struct Gate {
    coordinator: Coordinator,
    lives: Lives,
    from: Option<SocketAddr>,
}

impl Gate {
    /// The version of the protocol that is spoken with who says this.
    fn judged(&self, hello: &pb::PeerHello) -> Result<u32, ApiError> {
        let pb::PeerHello { member, to, oldest_version, newest_version, .. } = hello;
        let me = self.coordinator.name();
        if to != me {
            let message = format!("this is coordinator {me:?}, not {to:?}; look at ring.members");
            return Err(self.foreign(member, message));
        }
        if !self.coordinator.ring().others.iter().any(|known| known.name == *member) {
            let message = format!("{member:?} is none of the other ring.members of {me:?}");
            return Err(self.foreign(member, message));
        }
        let theirs = Versions { oldest: *oldest_version, newest: *newest_version };
        SPOKEN.common(theirs).ok_or_else(|| {
            ApiError::protocol_version(SPOKEN.nothing_in_common("coordinators", me, theirs, member))
        })
    }

    /// It tries again and again: that is told once a minute.
    fn foreign(&self, member: &str, message: String) -> ApiError {
        if self.lives.is_news(&format!("foreign {member}"), Instant::now()) {
            let from = self.from.map(|from| from.to_string()).unwrap_or_default();
            tracing::warn!(member, from, "a coordinator is refused: {message}");
        }
        ApiError::foreign_member(message)
    }

    /// Whoever says this is the only one of its name.
    async fn admitted(&self, hello: &pb::PeerHello) -> Result<Voice, ApiError> {
        // Without the port, which is another one at each try.
        let from = self.from.map(|from| from.ip().to_string()).unwrap_or_default();
        match self.lives.begin(&hello.member, &hello.instance, Place::From(from), Instant::now()) {
            Ok(voice) => Ok(voice),
            Err(rival) => {
                self.lives.tell(&self.coordinator, &hello.member, &rival).await;
                Err(ApiError::name_taken(rival.why))
            }
        }
    }
}

async fn say(member: &Caller<pb::ExchangeResponse>, message: Out) -> Result<(), Ended> {
    Ok(member.send(pb::ExchangeResponse { message: Some(message) }).await?)
}
