//! Poisson steps: of each VM the number of those that want something from it is drawn anew, at times that are drawn, too.

use super::{Load, Need, Needs, STREAM};
use crate::simulator::queue::Queue;
use crate::simulator::random::Random;
use serde::{Deserialize, Serialize};

/// A Poisson-distributed number of clients, each of which needs as much; changes come as a Poisson process. Cut at 100.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Poisson {
    /// Percent, before it is cut.
    pub mean: f64,
    /// What each client needs, percent: the deviation is the root of this times the mean.
    pub client: f64,
    /// Mean seconds between two changes of a VM.
    pub period_s: f64,
}

impl Default for Poisson {
    fn default() -> Self {
        Self { mean: 50.0, client: 5.0, period_s: 300.0 }
    }
}

impl Load for Poisson {
    fn needs(&self, vms: u32, until: f64, seed: u64) -> Needs {
        let Self { mean, client, period_s } = *self;
        let mut queue = Queue::default();
        let mut randoms: Vec<Random> = (0..vms).map(|vm| Random::new(seed, STREAM + u64::from(vm))).collect();
        (0..vms).for_each(|vm| queue.push(0.0, vm));
        Box::new(std::iter::from_fn(move || {
            let (time, vm) = queue.pop().filter(|(time, _)| *time < until)?;
            let random = &mut randoms[vm as usize];
            queue.push(time + random.exponential(period_s), vm);
            let percent = (f64::from(random.poisson(mean / client)) * client).min(100.0);
            Some(Need { time, vm, percent })
        }))
    }
}
