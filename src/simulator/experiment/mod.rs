//! Experiments: a file says what there is, what happens and which strategies are compared; a report says what came out.

mod choice;
mod csv;
mod failures;
mod kept;
mod kinds;
mod load;
mod origin;
mod read;
mod replay;
mod report;
mod ringed;
mod rivals;
mod run;
mod scene;
mod sections;
mod start;
#[cfg(test)]
mod start_tests;
mod study;
#[cfg(test)]
mod tests;
mod trace;
mod vary;

pub use choice::{Choice, Run};
pub use csv::scalars;
pub use failures::{Failures, Faults};
pub use kept::Kept;
pub use kinds::{HostKind, Place, VmKind};
pub use load::{Injected, Load, Recorded, What};
pub use origin::Start;
pub use read::Fault;
pub use replay::{Around, Missing, replay};
pub use report::{Measured, Report};
pub use run::{Progress, run, watch};
pub use scene::{Played, Scene};
pub use sections::{Hosts, Network, Vms};
pub use start::Refused;
pub use study::{Group, Over, Point, PointReport, Study, StudyReport};
pub use vary::Axis;

use crate::simulator::decision::Compute;
use serde::Serialize;

/// An experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Experiment {
    /// What it is about.
    pub title: String,
    /// Of all randomness that is not said to have a seed of its own.
    pub seed: u64,
    /// When it ends.
    pub seconds: f64,
    /// Seconds between two samples of the time series.
    pub sample_s: f64,
    /// A problem that it starts with; `None` = the sections say what there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// The hosts.
    pub hosts: Hosts,
    /// The VMs.
    pub vms: Vms,
    /// Links, messages and migrations.
    pub network: Network,
    /// What VMs need.
    pub load: Load,
    /// What fails; `None` = nothing does.
    pub faults: Option<Faults>,
    /// What computing takes.
    pub compute: Compute,
    /// What is compared.
    pub runs: Vec<Run>,
}

impl Experiment {
    /// Reads and validates TOML text.
    ///
    /// # Errors
    /// Every fault of the text, in order of lines.
    pub fn from_toml(text: &str) -> Result<Self, Vec<Fault>> {
        let mut points = Study::from_toml(text)?.points;
        match points.pop() {
            Some(point) if points.is_empty() => Ok(point.experiment),
            _ => {
                let message = "makes several experiments of it, where one is wanted".to_owned();
                Err(vec![Fault { line: None, path: "vary".to_owned(), message }])
            }
        }
    }

    /// Of all randomness of the load.
    fn load_seed(&self) -> u64 {
        self.load.seed.unwrap_or(self.seed)
    }

    /// Where VMs are at the start.
    fn place(&self) -> Place {
        let plain =
            self.hosts.kinds.is_empty() && self.vms.kinds.is_empty() && self.load.recorded().is_none();
        self.vms.place.unwrap_or(if plain { Place::Vmplaces } else { Place::FirstFit })
    }
}
