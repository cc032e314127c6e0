//! Needs that never change.

use super::{Load, Need, Needs};
use serde::{Deserialize, Serialize};

/// As much all the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Constant {
    /// Percent of what each VM has.
    pub percent: f64,
}

impl Default for Constant {
    fn default() -> Self {
        Self { percent: 100.0 }
    }
}

impl Load for Constant {
    fn needs(&self, vms: u32, _: f64, _: u64) -> Needs {
        let percent = self.percent;
        Box::new((0..vms).map(move |vm| Need { time: 0.0, vm, percent }))
    }
}
