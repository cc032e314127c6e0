//! What is expected of migrations, and what those that are done teach.

use super::Core;
use crate::coordinator::learning::Ended;
use crate::coordinator::settings::PostCopy;
use crate::record::{
    ActionKey, ActionProgress, ActionStatus, MigrationForecast, MigrationRecord, PlanRecord,
};
use crate::store;
use dvms_solver::file::{Action, ActionKind, Plan, Problem};
use dvms_solver::migration::{CONVERGES, Calibration, Mode, Path, Policy, Workload, course, forecast};
use std::fmt::Write as _;

/// VMs that are named in a sentence.
const NAMED: usize = 5;

impl Core {
    /// What may be done with guests that write faster than is sent.
    fn policy(&self) -> Policy {
        Policy {
            auto_converge: self.settings.execution.auto_converge,
            post_copy: self.settings.migration.post_copy == PostCopy::WhenNeeded,
            ..Policy::default()
        }
    }

    /// MiB/s that migrations may use on a host, by its agent or the settings.
    pub(super) fn nominal(&self, host: &str) -> f64 {
        let entry = self.cell.hosts.get(host);
        entry.map_or(f64::MAX, |entry| entry.migration_bandwidth(&self.settings.inventory))
    }

    /// MiB/s that an agent is ordered to use so that its migration comes to the planned rate: what is lost on the way
    /// is added, within what both hosts have.
    pub(super) fn ordered(&self, source: &str, destination: &str, rate: f64) -> f64 {
        let most = self.nominal(source).min(self.nominal(destination)).max(1.0);
        (rate / self.cell.reached.get(source).copied().unwrap_or(1.0)).clamp(1.0, most)
    }

    /// The actions of a plan before any is begun.
    pub(super) fn waiting(&self, problem: &Problem, plan: &Plan) -> Vec<ActionStatus> {
        let mut actions: Vec<ActionStatus> =
            plan.actions.iter().map(|action| ActionStatus::waiting(action.id)).collect();
        for (id, forecast) in self.forecasts(problem, plan) {
            if let Some(status) = actions.iter_mut().find(|status| status.action_id == id) {
                status.forecast = Some(forecast);
            }
        }
        actions
    }

    /// What is expected of a migration of a plan now.
    pub(super) fn forecast(&self, problem: &Problem, action: &Action) -> Option<MigrationForecast> {
        let alone = Plan { actions: vec![action.clone()], ..Plan::default() };
        self.forecasts(problem, &alone).pop().map(|(_, forecast)| forecast)
    }

    fn forecasts(&self, problem: &Problem, plan: &Plan) -> Vec<(u64, MigrationForecast)> {
        let (base, policy) = (self.settings.migration.calibration(), self.policy());
        let mut forecasts = Vec::new();
        course::steps(problem, plan, |action, workload, planned| {
            let (source, destination) = (action.source.as_str(), action.destination.as_str());
            // What it writes now: a plan that uses post-copy is made as if it wrote nothing.
            let now = self.cell.vm(&action.vm).and_then(|(_, vm)| vm.report.dirty_rate_mib_s);
            let cold_mib_s = now.filter(|rate| rate.is_finite()).unwrap_or(workload.cold_mib_s).max(0.0);
            let workload = Workload { cold_mib_s, ..*workload };
            let path = Path { bandwidth_mib_s: self.ordered(source, destination, planned.bandwidth_mib_s) };
            let nominal =
                forecast(&workload, path, &policy, &Calibration { switch_s: 0.0, ..Calibration::CONTRACT });
            let calibration = self.learned.calibration(&base, source, destination);
            let expected = forecast(&workload, path, &policy, &calibration);
            let found = MigrationForecast {
                bandwidth_mib_s: path.bandwidth_mib_s,
                nominal_s: nominal.duration_s,
                nominal_mib: nominal.moved_mib,
                expected,
            };
            forecasts.push((action.id, found));
            expected
        });
        forecasts
    }

    /// Whether a migration is ordered to be done by post-copy if it must.
    pub(super) fn post_copy(&self, record: &PlanRecord, action: &Action) -> bool {
        let forecast = record.problem.as_deref().and_then(|problem| self.forecast(problem, action));
        forecast.is_some_and(|forecast| forecast.expected.mode == Mode::PostCopy)
    }

    /// A migration is done: what it took corrects what is expected of the next ones, and what is planned with.
    pub(super) fn learn(&mut self, key: &ActionKey, action: &Action, progress: &ActionProgress) {
        let known = |host: &str| self.cell.hosts.contains_key(host);
        let ours = known(&action.source) && known(&action.destination);
        if action.kind != ActionKind::Migrate || progress.elapsed_s <= 0.0 || !ours {
            return;
        }
        let status = self
            .plans
            .get(&key.plan_id)
            .and_then(|record| record.actions.iter().find(|status| status.action_id == key.action_id));
        // One that was slowed down or fetched says nothing of how others go by themselves.
        let Some(forecast) =
            status.and_then(|status| status.forecast).filter(|f| f.expected.mode == Mode::PreCopy)
        else {
            return;
        };
        let ended = Ended {
            nominal_s: forecast.nominal_s,
            took_s: progress.elapsed_s,
            nominal_mib: forecast.nominal_mib,
            moved_mib: progress.bytes_processed as f64 / f64::from(1 << 20),
        };
        let base = self.settings.migration.calibration();
        for (way, estimate) in self.learned.learn(&base, &action.source, &action.destination, ended) {
            self.journal.write(store::Change::Learned(way, estimate));
        }
        self.plan_with_what_was_learned_of(&action.source.clone());
    }

    /// Has hosts planned with what was learned of them.
    pub(super) fn plan_with_what_was_learned(&mut self) {
        let hosts: Vec<String> = self.learned.hosts().map(str::to_owned).collect();
        for host in &hosts {
            self.plan_with_what_was_learned_of(host);
        }
    }

    fn plan_with_what_was_learned_of(&mut self, host: &str) {
        if self.settings.migration.learn {
            let base = self.settings.migration.calibration();
            self.cell.reached.insert(host.to_owned(), self.learned.usable_share(&base, host));
        }
        self.cell.touch(host);
    }

    /// What readers are told of what migrations from a host have taught.
    pub(super) fn migration_record(&self, host: &str) -> Option<MigrationRecord> {
        let (estimate, entry) = (self.learned.of_host(host)?, self.cell.hosts.get(host)?);
        let calibration = estimate.calibration(&self.settings.migration.calibration());
        Some(MigrationRecord {
            samples: estimate.samples,
            efficiency: calibration.efficiency,
            setup_s: calibration.setup_s,
            volume: calibration.volume,
            mean_error: estimate.error,
            bandwidth_mib_s: self.cell.planned_bandwidth(entry, &self.settings.inventory),
        })
    }
}

/// VMs of a problem that write too fast to be migrated from where they are, as a part of a sentence; empty if there
/// are none.
pub(super) fn too_fast(problem: &Problem) -> String {
    let limit = |host: &str| {
        let known = problem.hosts.iter().find(|known| known.name == host);
        known.and_then(|host| host.migration_bandwidth).map_or(f64::MAX, |rate| CONVERGES * rate)
    };
    let stuck = problem.vms.iter().filter(|vm| vm.memory_dirty_rate.unwrap_or(0.0) >= limit(&vm.host));
    let stuck: Vec<&str> = stuck.map(|vm| vm.name.as_str()).collect();
    let mut text = String::new();
    if let [first, rest @ ..] = stuck.as_slice() {
        let (named, more) = (&rest[..rest.len().min(NAMED - 1)], rest.len().saturating_sub(NAMED - 1));
        let shown: Vec<&str> = std::iter::once(first).chain(named).copied().collect();
        let _ = write!(
            text,
            "; not to be migrated, as they write to their memory faster than it would be sent: "
        );
        text.push_str(&shown.join(", "));
        if more > 0 {
            let _ = write!(text, " and {more} more");
        }
        text.push_str(
            " (more migration_bandwidth_mib_s, or migration.post_copy = \"when_needed\", lets them move)",
        );
    }
    text
}
