//! Instances and plans there and back.

mod export;
mod import;
mod round_trip;

use super::{Gaps, Instance};
use serde_json::{Value, json};

/// An instance of three nodes, the third off, and three VMs, the third waiting.
#[allow(clippy::needless_pass_by_value, reason = "files are written where they are used")]
fn instance(constraints: Value) -> Value {
    json!({
        "model": {
            "mapping": {
                "readyVMs": [3],
                "offlineNodes": [3],
                "onlineNodes": {
                    "1": {"runningVMs": [1, 2], "sleepingVMs": []},
                    "2": {"runningVMs": [], "sleepingVMs": []},
                },
            },
            "attributes": {"vms": {"1": {"clone": false, "boot": 5}}, "nodes": {"3": {"boot": 40}}},
            "views": [{
                "id": "shareableResource", "rcId": "mem", "defCapacity": 8, "defConsumption": 1,
                "nodes": {"2": 16}, "vms": {"1": 2},
            }],
        },
        "constraints": constraints,
        "objective": {"id": "minimizeMTTR"},
    })
}

fn read(value: &Value) -> Instance {
    serde_json::from_value(value.clone()).unwrap()
}

/// The names of what cannot be said.
fn named(gaps: &Gaps) -> Vec<&str> {
    gaps.0.iter().map(|gap| gap.feature.as_str()).collect()
}
