//! What the tests measure, printed for whoever reads the log; nothing is asserted of it.

use crate::cluster::Cluster;
use serde_json::Value;
use std::time::SystemTime;

/// Seconds since 1970 of a timestamp of the API (RFC 3339, UTC).
pub(crate) fn seconds(time: &Value) -> f64 {
    let time =
        humantime::parse_rfc3339_weak(time.as_str().unwrap_or_default().trim_end_matches('Z')).unwrap();
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

impl Cluster {
    /// Prints how long after `since` each kind of event came for the first time, and how long each migration took.
    pub(crate) fn print_figures(&self, what: &str, since: SystemTime) {
        let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let events = self.events();
        for kind in
            ["OVERLOAD", "UNDERLOAD", "DRAIN", "RULE_BROKEN", "PLAN_CREATED", "ACTION_STARTED", "PLAN_ENDED"]
        {
            let after = |event: &&Value| event["kind"] == kind && seconds(&event["time"]) >= since;
            if let Some(first) = events.iter().find(after) {
                println!("{what}: first {kind} after {:.2} s", seconds(&first["time"]) - since);
            }
        }
        for plan in self.plans().iter().filter(|plan| !plan["started"].is_null()) {
            let took = |from: &str, to: &str| {
                if plan[to].is_null() { f64::NAN } else { seconds(&plan[to]) - seconds(&plan[from]) }
            };
            let actions = plan["actions"].as_array().map_or(0, Vec::len);
            println!(
                "{what}: plan of {actions} actions for {}: solved in {:.3} s, carried out in {:.2} s",
                plan["trigger"],
                took("created", "solved"),
                took("started", "ended")
            );
            for action in plan["actions"].as_array().into_iter().flatten() {
                let progress = &action["progress"];
                println!(
                    "{what}:   {} {}: {:.2} s, {} bytes",
                    progress["vm"],
                    action["state"],
                    progress["elapsed_s"].as_f64().unwrap_or(0.0),
                    progress["bytes_processed"]
                );
            }
        }
    }

    /// Prints what was forecast of each migration beside what was measured.
    pub(crate) fn print_forecasts(&self, what: &str) {
        for plan in self.plans() {
            for action in plan["actions"].as_array().into_iter().flatten() {
                let (forecast, outcome) = (&action["forecast"], &action["outcome"]);
                if let (Some(expected), Some(measured)) =
                    (forecast["duration_s"].as_f64(), outcome["duration_s"].as_f64())
                {
                    let vm = action["progress"]["vm"].as_str().unwrap_or_default();
                    println!("{what}: {vm} expected {expected:.2} s, measured {measured:.2} s");
                }
            }
        }
    }
}
