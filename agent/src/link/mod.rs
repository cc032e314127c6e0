//! The link to the coordinator: one session after the other, for as long as the agent runs. Wire types are
//! known here and nowhere else.

mod backoff;
mod convert;
mod session;

use crate::action::Actions;
use crate::agent::{AgentError, Identity};
use crate::watcher::Watched;
use backoff::Backoff;
use session::Ending;
use std::time::{Duration, Instant};
use tonic::transport::Endpoint;

/// A session that lived so long was a good one: the next failure is a new one.
const GOOD_SESSION: Duration = Duration::from_secs(10);
/// Longest that a coordinator may send an agent away for.
const LONGEST_AWAY: Duration = Duration::from_mins(1);

/// Addresses of coordinators, checked.
pub(crate) fn endpoints(urls: &[String]) -> Result<Vec<Endpoint>, AgentError> {
    let endpoint = |url: &String| {
        // `host:port` is what people write; the scheme says plain text.
        let full = if url.contains("://") { url.clone() } else { format!("http://{url}") };
        let endpoint = Endpoint::from_shared(full)
            .map_err(|error| AgentError::Address { url: url.clone(), why: error.to_string() })?;
        Ok(endpoint
            .connect_timeout(Duration::from_secs(3))
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(5))
            .keep_alive_timeout(Duration::from_secs(5))
            .keep_alive_while_idle(true))
    };
    if urls.is_empty() {
        return Err(AgentError::NoCoordinator);
    }
    urls.iter().map(endpoint).collect()
}

/// Everything that sessions need.
pub(crate) struct Link {
    pub(crate) identity: Identity,
    pub(crate) driver: &'static str,
    pub(crate) coordinators: Vec<Endpoint>,
    pub(crate) watched: Watched,
    pub(crate) actions: Actions,
}

impl Link {
    /// Holds a session with one of the coordinators, for ever.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::default();
        for at in (0..self.coordinators.len()).cycle() {
            let endpoint = self.coordinators[at].clone();
            let address = endpoint.uri().to_string();
            let begun = Instant::now();
            // The same one is taken again as long as it sends the agent away in order.
            let pause = loop {
                match session::hold(&mut self, &endpoint).await {
                    Ending::GoAway { reason, after } => {
                        let after = after.min(LONGEST_AWAY);
                        tracing::info!(
                            coordinator = address,
                            reason,
                            ?after,
                            "the coordinator ended the session"
                        );
                        if self.coordinators.len() > 1 {
                            break after;
                        }
                        tokio::time::sleep(backoff::jitter(after)).await;
                    }
                    Ending::Lost(error) => {
                        if begun.elapsed() >= GOOD_SESSION {
                            backoff = Backoff::default();
                        }
                        let pause = backoff.next();
                        tracing::warn!(coordinator = address, retry_in = ?pause, "no session: {error}");
                        break pause;
                    }
                }
            };
            tokio::time::sleep(backoff::jitter(pause)).await;
        }
    }
}
