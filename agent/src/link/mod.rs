//! The link to the coordinator: one session after the other, for as long as the agent runs. Wire types are
//! known here and nowhere else.
//!
//! ```text
//! choice   which coordinator, and when it is another one (pure)
//! probe    how far they are
//! session  one session
//! ```

mod backoff;
mod choice;
mod convert;
mod probe;
mod session;

pub use choice::Nearness;

use crate::action::Actions;
use crate::agent::{AgentError, Identity};
use crate::hypervisor::VmState;
use crate::watcher::Watched;
use choice::{Choice, End, Step};
use rand::Rng as _;
use session::{Ending, Held};
use std::time::{Duration, Instant};
use tonic::transport::Endpoint;

/// How often it is looked whether the host is at rest, where the agent wants to go to another coordinator.
const AT_REST_EACH: Duration = Duration::from_millis(200);

/// Addresses of coordinators, checked.
pub(crate) fn endpoints(urls: &[String]) -> Result<Vec<Endpoint>, AgentError> {
    let endpoint = |url: &String| {
        // `host:port` is what people write; the scheme says plain text.
        let full = if url.contains("://") { url.clone() } else { format!("http://{url}") };
        let endpoint = Endpoint::from_shared(full)
            .map_err(|error| AgentError::Address { url: url.clone(), why: error.to_string() })?;
        Ok(endpoint
            .connect_timeout(Duration::from_secs(2))
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(2))
            .keep_alive_timeout(Duration::from_secs(4))
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
        let started = Instant::now();
        let mut choice = Choice::new(self.identity.coordinators.clone(), self.identity.nearness.clone());
        loop {
            match choice.next(started.elapsed(), random()) {
                Step::Wait(pause) => tokio::time::sleep(pause).await,
                Step::Measure => {
                    let found = probe::round_trips(&self.coordinators, &self.identity.nearness).await;
                    choice.measured(&found, started.elapsed());
                }
                Step::Take { at, why } => {
                    let coordinator = self.identity.coordinators[at].clone();
                    tracing::info!(coordinator, why, "taking a coordinator");
                    let end = self.session(at, &mut choice, started).await;
                    if let Some(end) = end {
                        choice.ended(end, started.elapsed(), random());
                    }
                }
            }
        }
    }

    /// One session, from its beginning to its end; `None` when the agent has gone to another coordinator.
    async fn session(&mut self, at: usize, choice: &mut Choice, started: Instant) -> Option<End> {
        let coordinator = self.identity.coordinators[at].clone();
        let (coordinators, nearness) = (self.coordinators.clone(), self.identity.nearness.clone());
        let rest = Rest { actions: self.actions.clone(), sample: self.watched.sample.clone() };
        let ending = match session::open(self, &coordinators[at]).await {
            Ok(open) => {
                choice.begun(started.elapsed());
                let leave = nearer(&coordinators, &nearness, choice, started, &rest);
                match open.hold(leave).await {
                    Held::Ended(ending) => ending,
                    Held::Left => {
                        tracing::info!(
                            coordinator,
                            distances = choice.distances(),
                            "leaving it for one that is nearer"
                        );
                        choice.moved(started.elapsed());
                        return None;
                    }
                }
            }
            Err(ending) => ending,
        };
        Some(match ending {
            Ending::GoAway { reason, after } => {
                tracing::info!(coordinator, reason, ?after, "the coordinator ended the session");
                End::Away(after)
            }
            Ending::Lost(error) => {
                tracing::warn!(coordinator, "no session: {error}");
                End::Lost
            }
        })
    }
}

/// Ends when the agent is to go to another coordinator and the host is at rest.
async fn nearer(
    coordinators: &[Endpoint],
    nearness: &Nearness,
    choice: &mut Choice,
    started: Instant,
    rest: &Rest,
) {
    let each = nearness.look_each.filter(|_| nearness.measure && coordinators.len() > 1);
    let Some(each) = each else { return std::future::pending().await };
    loop {
        // Agents that started together do not measure together.
        tokio::time::sleep(each.mul_f64(0.75 + 0.5 * random())).await;
        let found = probe::round_trips(coordinators, nearness).await;
        if !choice.look(&found, started.elapsed()) {
            continue;
        }
        // What was measured is good until the next look.
        let until = tokio::time::Instant::now() + each;
        while tokio::time::Instant::now() < until {
            if rest.is_at_rest() {
                return;
            }
            tokio::time::sleep(AT_REST_EACH).await;
        }
    }
}

/// Whether something is under way on the host.
struct Rest {
    actions: Actions,
    sample: tokio::sync::watch::Receiver<Option<std::sync::Arc<crate::hypervisor::Sample>>>,
}

impl Rest {
    /// No action that has not ended and been acknowledged, and no VM that comes or goes.
    fn is_at_rest(&self) -> bool {
        let sample = self.sample.borrow();
        let moves = |state| matches!(state, VmState::MigratingIn | VmState::MigratingOut);
        let still = sample.as_ref().is_some_and(|sample| !sample.vms.values().any(|vm| moves(vm.state)));
        still && self.actions.since(0).0.is_empty()
    }
}

fn random() -> f64 {
    rand::rng().random_range(0.0..=1.0)
}
