//! What is expected of migrations, and what became of them.

use crate::record::{ActionState, ActionStatus, MigrationForecast, MigrationRecord, PlanRecord};
use dvms_proto::v1 as pb;
use dvms_solver::migration::course::Totals;
use dvms_solver::migration::{Mode, course};

/// The wire form of a forecast.
pub(super) fn forecast_to_wire(forecast: &MigrationForecast) -> pb::Forecast {
    let expected = &forecast.expected;
    pb::Forecast {
        duration_s: expected.duration_s,
        downtime_s: expected.downtime_s,
        moved_mib: expected.moved_mib,
        rounds: expected.rounds,
        mode: mode_to_wire(expected.mode).into(),
        throttle_percent: expected.throttle_percent,
        bandwidth_mib_s: forecast.bandwidth_mib_s,
    }
}

pub(super) fn mode_to_wire(mode: Mode) -> pb::forecast::Mode {
    match mode {
        Mode::PreCopy => pb::forecast::Mode::PreCopy,
        Mode::AutoConverge => pb::forecast::Mode::AutoConverge,
        Mode::PostCopy => pb::forecast::Mode::PostCopy,
        Mode::Never => pb::forecast::Mode::Never,
    }
}

/// What a migration that is done came to; of other actions nothing.
pub(super) fn outcome_to_wire(status: &ActionStatus) -> Option<pb::Outcome> {
    let done = status.state == ActionState::Done;
    let progress = status.progress.as_ref().filter(|progress| done && progress.elapsed_s > 0.0)?;
    let forecast = status.forecast.as_ref()?;
    let took = progress.elapsed_s;
    Some(pb::Outcome {
        duration_s: took,
        downtime_s: progress.downtime_ms.map(|downtime| f64::from(downtime) / 1000.0),
        moved_mib: (progress.bytes_processed > 0)
            .then(|| progress.bytes_processed as f64 / f64::from(1 << 20)),
        error: Some((forecast.expected.duration_s - took) / took),
    })
}

/// What a plan comes to; nothing without migrations.
pub(super) fn plan_forecast_to_wire(record: &PlanRecord) -> Option<pb::PlanForecast> {
    let forecasts = record
        .actions
        .iter()
        .filter_map(|status| Some((status.action_id, &status.forecast.as_ref()?.expected)));
    let totals = course::totals(record.plan.as_deref()?, forecasts);
    (totals.migrations > 0).then(|| totals_to_wire(&totals))
}

pub(super) fn totals_to_wire(totals: &Totals) -> pb::PlanForecast {
    pb::PlanForecast {
        migrations: u32::try_from(totals.migrations).unwrap_or(u32::MAX),
        duration_s: totals.duration_s,
        downtime_s: totals.downtime_s,
        longest_downtime_s: totals.longest_downtime_s,
        moved_mib: totals.moved_mib,
        endless: u32::try_from(totals.endless).unwrap_or(u32::MAX),
    }
}

/// The wire form of what migrations from a host have taught.
pub(super) fn estimate_to_wire(migration: &MigrationRecord) -> pb::MigrationEstimate {
    let MigrationRecord { samples, efficiency, setup_s, volume, mean_error, bandwidth_mib_s } = *migration;
    pb::MigrationEstimate { samples, efficiency, setup_s, volume, mean_error, bandwidth_mib_s }
}
