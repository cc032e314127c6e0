//! Coordinators that serve one infrastructure together: the links between them, and what they ask each other for their
//! callers.

mod exchange;
mod link;
mod others;
mod ring_service;

pub(super) use exchange::Peers;
pub(super) use link::keep_links;
pub(super) use others::{Asked, Others, alone, answer, lasting};
pub use others::{LOCAL_HEADER, SILENT_HEADER};
pub(super) use ring_service::RingAnswers;

use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

/// Versions of the protocol between coordinators.
const OLDEST: u32 = 1;
const NEWEST: u32 = 1;
/// Longest that a member may take to take a connection, and to answer a hello.
const PATIENCE: Duration = Duration::from_secs(3);

/// The newest version that both speak.
fn common(oldest: u32, newest: u32) -> Option<u32> {
    let version = newest.min(NEWEST);
    (version >= oldest.max(OLDEST)).then_some(version)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_that_both_speak_is_taken() {
        assert_eq!(common(1, 1), Some(1));
        assert_eq!(common(1, 7), Some(NEWEST));
        assert_eq!(common(NEWEST + 1, NEWEST + 2), None);
        assert_eq!(common(0, OLDEST - 1), None);
    }
}
