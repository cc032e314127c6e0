//! What came out: figures only of virtual time, so that the same experiment, seed and version give the same report, byte for
//! byte, where computing takes what the model says.

use super::Experiment;
use crate::simulator::engine::{Simulation, Strategy};
use crate::simulator::measures::{
    FairnessReport, MemoryReport, MoveReport, RoundReport, Sample, TrafficReport, UsageReport, Violation,
    ViolationReport,
};
use serde::{Deserialize, Serialize};

/// Of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Of dvms.
    pub version: String,
    /// What was run, with every setting.
    pub experiment: Experiment,
    /// In the order of the file; less than there are where it was interrupted.
    pub runs: Vec<Measured>,
}

/// Of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Whether the end was reached.
    pub complete: bool,
    /// Seconds that were simulated.
    pub seconds: f64,
    /// Things that happened.
    pub events: u64,
    /// Hosts of which more was asked than they have.
    pub violations: ViolationReport,
    /// Hosts in use, and energy.
    pub usage: UsageReport,
    /// Migrations.
    pub migrations: MoveReport,
    /// Look, compute, apply.
    pub rounds: RoundReport,
    /// Messages.
    pub traffic: TrafficReport,
    /// How evenly load, and what is lacking, is shared.
    pub fairness: FairnessReport,
    /// What members of the strategy keep.
    pub memory: MemoryReport,
    /// What migrations have cost VMs, as a share of what they asked for: PDM of CloudSim.
    pub pdm: f64,
    /// SLATAH × PDM.
    pub slav: f64,
    /// Energy × SLAV.
    pub esv: f64,
    /// What was so at regular times.
    #[serde(skip)]
    pub series: Vec<Sample>,
    /// All violations.
    #[serde(skip)]
    pub log: Vec<Violation>,
}

impl Measured {
    /// What a run has come to by now.
    #[must_use]
    pub fn of<S: Strategy>(name: &str, simulation: &Simulation<S>, complete: bool) -> Self {
        let (world, context) = (simulation.world(), simulation.context());
        let seconds = world.now();
        let usage = world.usage.report(seconds);
        let pdm = world.pdm();
        let slav = usage.slatah * pdm;
        Self {
            name: name.to_owned(),
            complete,
            seconds,
            events: simulation.events(),
            violations: world.violations.report(seconds),
            usage,
            migrations: world.moves.report(),
            rounds: context.rounds.report(),
            traffic: context.traffic.report(world.host_count(), seconds),
            fairness: world.fairness(simulation.series()),
            memory: context.memory.report(),
            pdm,
            slav,
            esv: usage.energy_kwh * slav,
            series: simulation.series().to_vec(),
            log: world.violations.log().to_vec(),
        }
    }

    /// The time series, lines with commas under a heading.
    #[must_use]
    pub fn series_csv(&self) -> String {
        let rows = self.series.iter().map(Sample::row);
        std::iter::once(Sample::COLUMNS.to_owned()).chain(rows).map(|row| row + "\n").collect()
    }

    /// The violations, lines with commas under a heading. What did not come is empty.
    #[must_use]
    pub fn violations_csv(&self) -> String {
        let known = |time: f64| if time.is_nan() { String::new() } else { time.to_string() };
        let row = |it: &Violation| {
            let cause = format!("{:?}", it.cause).to_lowercase();
            format!("{},{},{},{},{cause}\n", it.host.0, it.began, known(it.ended), known(it.detected))
        };
        std::iter::once("host,began,ended,detected,cause\n".to_owned())
            .chain(self.log.iter().map(row))
            .collect()
    }
}
