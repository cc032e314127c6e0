//! What was so at regular times.

use serde::{Deserialize, Serialize};

/// One time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds.
    pub time_s: f64,
    /// Demand of the VMs that run, as a share of the CPU of the hosts that are on.
    pub load: f64,
    /// Hosts of which more is asked than they have.
    pub over: u32,
    /// Host-seconds of violation so far.
    pub over_host_s: f64,
    /// Hosts that run a VM.
    pub active: u32,
    /// Hosts that are on.
    pub on: u32,
    /// Watts.
    pub watts: f64,
    /// Migrations under way.
    pub migrating: u32,
    /// Migrations that ended well so far.
    pub migrated: u64,
    /// Messages so far.
    pub messages: u64,
    /// How evenly hosts are loaded: Jain's index.
    pub fairness: f64,
}

impl Sample {
    /// Names of the columns, in order.
    pub const COLUMNS: &str =
        "time_s,load,over,over_host_s,active,on,watts,migrating,migrated,messages,fairness";

    /// Its values, by commas.
    #[must_use]
    pub fn row(&self) -> String {
        let Self {
            time_s,
            load,
            over,
            over_host_s,
            active,
            on,
            watts,
            migrating,
            migrated,
            messages,
            fairness,
        } = self;
        format!(
            "{time_s},{load},{over},{over_host_s},{active},{on},{watts},{migrating},{migrated},{messages},{fairness}"
        )
    }
}
