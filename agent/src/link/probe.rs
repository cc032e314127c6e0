//! How far coordinators are: the round trip of a call that does nothing, over a connection of its own.

use super::Nearness;
use rand::Rng as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Coordinators that are measured at once.
const AT_ONCE: usize = 16;
/// Longest pause before a round trip, so that agents that start together do not measure each other's bursts.
const PAUSE: Duration = Duration::from_millis(20);

/// The least round trip to each, in the same order; `None` = it has not answered in time, or is being stopped.
pub(super) async fn round_trips(coordinators: &[Endpoint], nearness: &Nearness) -> Vec<Option<Duration>> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for (at, endpoint) in coordinators.iter().enumerate() {
        let (endpoint, places) = (endpoint.clone(), places.clone());
        let Nearness { samples, timeout, .. } = *nearness;
        tasks.spawn(async move {
            // Never closed.
            let _place = places.acquire().await;
            let mut least = None;
            // What was measured before the time is over counts.
            let _ = tokio::time::timeout(timeout, measure(&endpoint, samples, &mut least)).await;
            (at, least)
        });
    }
    let mut found = vec![None; coordinators.len()];
    while let Some(ended) = tasks.join_next().await {
        if let Ok((at, least)) = ended {
            found[at] = least;
        }
    }
    found
}

async fn measure(endpoint: &Endpoint, samples: u32, least: &mut Option<Duration>) {
    let Ok(channel) = endpoint.connect().await else { return };
    let mut client = HealthClient::new(channel);
    for _ in 0..samples {
        let pause = PAUSE.mul_f64(rand::rng().random_range(0.0..=1.0));
        tokio::time::sleep(pause).await;
        let begun = Instant::now();
        let answer = client.check(HealthCheckRequest { service: String::new() }).await;
        let taken = begun.elapsed();
        match answer {
            Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => {}
            // It has no such service: that is an answer too.
            Err(status) if status.code() == Code::Unimplemented => {}
            _ => {
                *least = None;
                return;
            }
        }
        *least = Some(least.map_or(taken, |known| known.min(taken)));
    }
}
