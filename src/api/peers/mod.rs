//! Coordinators that serve one infrastructure together: the links between them, and what they ask each other for their
//! callers.

mod exchange;
mod faults;
mod link;
mod lives;
mod others;
mod ring_service;

pub(super) use exchange::Peers;
pub(super) use faults::Faults;
pub(super) use link::keep_links;
pub(super) use lives::Lives;
use others::SHORT;
pub(super) use others::{Asked, Other, Others, alone, answer, lasting};
pub use others::{LOCAL_HEADER, SILENT_HEADER};
pub(super) use ring_service::RingAnswers;

use super::versions::Versions;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

/// Versions of the protocol between coordinators.
const SPOKEN: Versions = Versions { oldest: 1, newest: 1 };
/// Longest that a member may take to take a connection, and to answer a hello.
const PATIENCE: Duration = Duration::from_secs(3);

/// A connection that is made when it is first used, and again when it was lost.
fn channel(address: &str) -> Result<Channel, tonic::transport::Error> {
    Ok(endpoint(address)?.connect_lazy())
}

fn endpoint(address: &str) -> Result<Endpoint, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    Ok(endpoint
        .connect_timeout(PATIENCE)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true))
}
