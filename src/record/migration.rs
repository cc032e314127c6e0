//! What is expected of migrations, and what was learned of them.

use dvms_solver::migration::Forecast;
use serde::{Deserialize, Serialize};

/// What is expected of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MigrationForecast {
    /// MiB/s that its agent is ordered to use.
    pub bandwidth_mib_s: f64,
    /// Seconds that it would take if all of the bandwidth got through and nothing else took time.
    pub nominal_s: f64,
    /// MiB that would be sent if all of the memory had to be.
    pub nominal_mib: f64,
    /// What is expected, with what was learned by then.
    pub expected: Forecast,
}

/// What migrations from a host have taught.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MigrationRecord {
    /// Migrations that were measured.
    pub samples: u64,
    /// Share of the nominal bandwidth that they reach.
    pub efficiency: f64,
    /// Seconds that each takes besides.
    pub setup_s: f64,
    /// MiB sent for each that is expected.
    pub volume: f64,
    /// Mean of |forecast − measured| ÷ measured, recent ones counting more.
    pub mean_error: f64,
    /// MiB/s that the host is planned with.
    pub bandwidth_mib_s: f64,
}
