//! What is expected of the migrations of a plan, and what became of them, for people.

use super::format::{figure, mib, safe, seconds};
use super::paint::Tone;
use super::table::{Cell, Column, Look, Table};
use dvms_proto::v1 as pb;
use dvms_solver::file::{Plan, Problem};
use dvms_solver::migration::course::{Step, Totals, steps, totals};
use dvms_solver::migration::{Calibration, Mode, Policy, forecast};
use std::fmt::Write as _;

/// Migrations that are shown; more are counted.
const SHOWN: usize = 30;
/// A forecast that is further off is marked.
const FAR_OFF: f64 = 0.2;

/// Migrations with what is expected of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    lines: Vec<Line>,
    /// All together.
    pub(crate) totals: Totals,
    /// Where all of them are told, if the table is to leave some out where there are many.
    rest: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct Line {
    id: u64,
    vm: String,
    rate_mib_s: f64,
    mode: &'static str,
    throttle_percent: u32,
    ends: bool,
    duration_s: f64,
    downtime_s: f64,
    moved_mib: f64,
    outcome: Option<pb::Outcome>,
}

/// What a policy and a calibration make one expect of a plan.
pub(crate) fn of_plan(problem: &Problem, plan: &Plan, policy: &Policy, calibration: &Calibration) -> Shown {
    let steps = steps(problem, plan, |_, workload, path| forecast(workload, path, policy, calibration));
    let totals = totals(plan, steps.iter().map(|step| (step.id, &step.forecast)));
    let line = |Step { id, vm, rate_mib_s, forecast }: &Step| Line {
        id: *id,
        vm: vm.clone(),
        rate_mib_s: *rate_mib_s,
        mode: word(forecast.mode),
        throttle_percent: forecast.throttle_percent,
        ends: forecast.converges(),
        duration_s: forecast.duration_s,
        downtime_s: forecast.downtime_s,
        moved_mib: forecast.moved_mib,
        outcome: None,
    };
    Shown { lines: steps.iter().map(line).collect(), totals, rest: Some("`dvms forecast` has them all") }
}

fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::PreCopy => "pre-copy",
        Mode::AutoConverge => "slowed",
        Mode::PostCopy => "post-copy",
        Mode::Never => "never ends",
    }
}

impl Shown {
    /// Of a plan with its life.
    pub(crate) fn of_record(record: &pb::PlanRecord) -> Self {
        let actions = record.plan.as_ref().map(|plan| plan.actions.as_slice()).unwrap_or_default();
        let line = |status: &pb::ActionStatus| {
            let forecast = status.forecast.as_ref()?;
            let action = actions.iter().find(|action| action.id == status.action_id)?;
            let mode = match forecast.mode() {
                pb::forecast::Mode::PreCopy | pb::forecast::Mode::Unspecified => Mode::PreCopy,
                pb::forecast::Mode::AutoConverge => Mode::AutoConverge,
                pb::forecast::Mode::PostCopy => Mode::PostCopy,
                pb::forecast::Mode::Never => Mode::Never,
            };
            Some(Line {
                id: status.action_id,
                vm: action.vm.clone(),
                rate_mib_s: forecast.bandwidth_mib_s,
                mode: word(mode),
                throttle_percent: forecast.throttle_percent,
                ends: mode != Mode::Never,
                duration_s: forecast.duration_s,
                downtime_s: forecast.downtime_s,
                moved_mib: forecast.moved_mib,
                outcome: status.outcome,
            })
        };
        let totals = record.forecast.unwrap_or_default();
        let totals = Totals {
            migrations: totals.migrations as usize,
            duration_s: totals.duration_s,
            downtime_s: totals.downtime_s,
            longest_downtime_s: totals.longest_downtime_s,
            moved_mib: totals.moved_mib,
            endless: totals.endless as usize,
        };
        Self {
            lines: record.actions.iter().filter_map(line).collect(),
            totals,
            rest: Some("--output json has them all"),
        }
    }

    /// With every migration, however many there are.
    pub(crate) fn whole(self) -> Self {
        Self { rest: None, ..self }
    }

    /// What is expected, after an empty line; nothing without migrations.
    pub(crate) fn text(&self, look: Look) -> String {
        if self.lines.is_empty() {
            return String::new();
        }
        let Totals { migrations, duration_s, downtime_s, longest_downtime_s, moved_mib, endless } =
            self.totals;
        let mut text = format!(
            "\nExpected: {} in {}, {} sent, VMs stand still for {} together and {} at most.\n",
            super::format::count(migrations, "migration"),
            seconds(duration_s),
            amount(moved_mib),
            milliseconds(downtime_s),
            milliseconds(longest_downtime_s),
        );
        if endless > 0 {
            let never = look.paint.tone(Tone::Bad, &format!("{endless} of them"));
            let _ = writeln!(text, "{never} would not end: these VMs write faster than is sent.");
        }
        if let Some(measured) = self.measured() {
            let _ = writeln!(text, "{measured}");
        }
        text.push('\n');
        text.push_str(&self.table(look));
        text
    }

    /// How those that are done went, all together.
    fn measured(&self) -> Option<String> {
        let done: Vec<&pb::Outcome> = self.lines.iter().filter_map(|line| line.outcome.as_ref()).collect();
        let errors: Vec<f64> = done.iter().filter_map(|outcome| outcome.error).map(f64::abs).collect();
        if errors.is_empty() {
            return None;
        }
        let moved: f64 = done.iter().filter_map(|outcome| outcome.moved_mib).sum();
        let longest = done.iter().filter_map(|outcome| outcome.downtime_s).fold(0.0, f64::max);
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        Some(format!(
            "Measured: {} done, {} sent, VMs stood still for {} at most; the forecasts were {} off on average.",
            done.len(),
            amount(moved),
            milliseconds(longest),
            percent(mean),
        ))
    }

    fn table(&self, look: Look) -> String {
        let with_outcome = self.lines.iter().any(|line| line.outcome.is_some());
        let mut columns = vec![
            Column::Right("ID"),
            Column::Left("VM"),
            Column::Left("HOW"),
            Column::Right("MIB/S"),
            Column::Right("EXPECTED"),
        ];
        let took = [Column::Right("TOOK"), Column::Right("OFF")];
        columns.extend(took.into_iter().filter(|_| with_outcome));
        columns.push(Column::Right("DOWNTIME"));
        columns.extend([Column::Right("WAS")].into_iter().filter(|_| with_outcome));
        columns.push(Column::Right("SENT"));
        columns.extend([Column::Right("WAS")].into_iter().filter(|_| with_outcome));
        let mut table = Table::new(look, &columns);
        let most = if self.rest.is_some() { SHOWN } else { usize::MAX };
        for line in self.lines.iter().take(most) {
            table.row(line.row(with_outcome));
        }
        let mut text = table.render();
        if let Some(more) = self.lines.len().checked_sub(most).filter(|more| *more > 0) {
            let _ = writeln!(text, "… and {more} more; {}", self.rest.unwrap_or_default());
        }
        text
    }
}

impl Line {
    fn row(&self, with_outcome: bool) -> Vec<Cell> {
        let none = || Cell::toned(Tone::Faint, "-");
        let how = match self.throttle_percent {
            0 => self.mode.to_owned(),
            percent => format!("{} by {percent} %", self.mode),
        };
        let how: Cell = if self.ends { how.into() } else { Cell::toned(Tone::Bad, how) };
        let expected: Cell = if self.ends { seconds(self.duration_s).into() } else { none() };
        let mut row = vec![
            self.id.to_string().into(),
            safe(&self.vm).into(),
            how,
            figure(self.rate_mib_s.round()).into(),
            expected,
        ];
        let outcome = self.outcome.as_ref();
        if with_outcome {
            row.push(outcome.map_or_else(none, |outcome| seconds(outcome.duration_s).into()));
            row.push(outcome.and_then(|outcome| outcome.error).map_or_else(none, |error| {
                let tone = if error.abs() > FAR_OFF { Tone::Warning } else { Tone::Good };
                let sign = if error >= 0.0 { "+" } else { "-" };
                Cell::toned(tone, format!("{sign}{}", percent(error.abs())))
            }));
        }
        row.push(if self.ends { milliseconds(self.downtime_s).into() } else { none() });
        if with_outcome {
            let downtime = outcome.and_then(|outcome| outcome.downtime_s);
            row.push(downtime.map_or_else(none, |downtime| milliseconds(downtime).into()));
        }
        row.push(amount(self.moved_mib).into());
        if with_outcome {
            row.push(
                outcome.and_then(|outcome| outcome.moved_mib).map_or_else(none, |moved| amount(moved).into()),
            );
        }
        row
    }
}

fn amount(moved_mib: f64) -> String {
    mib(moved_mib.round() as i64)
}

fn milliseconds(value: f64) -> String {
    if value < 1.0 { format!("{:.0} ms", value * 1000.0) } else { seconds(value) }
}

/// A share in percent: `3.4 %`, `120 %`.
pub(crate) fn percent(share: f64) -> String {
    if share < 0.995 {
        format!("{} %", figure((share * 1000.0).round() / 10.0))
    } else {
        format!("{:.0} %", share * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solving::usual;

    const PROBLEM: &str = r#"{
        "hosts": [{"name": "a", "capacity": {"memory": 10000}, "migration_bandwidth": 100},
                  {"name": "b", "capacity": {"memory": 10000}, "migration_bandwidth": 100}],
        "vms": [{"name": "v", "host": "a", "demand": {"memory": 1000}},
                {"name": "w", "host": "a", "demand": {"memory": 2000}, "memory_dirty_rate": 50}]}"#;
    const PLAN: &str = r#"{"status": "FEASIBLE", "actions": [
        {"id": 1, "type": "MIGRATE", "vm": "v", "source": "a", "destination": "b", "start_s": 0, "end_s": 10.03},
        {"id": 2, "type": "MIGRATE", "vm": "w", "source": "a", "destination": "b", "start_s": 10.03, "end_s": 50.06}]}"#;

    #[test]
    fn what_is_expected_is_told_in_a_table() {
        let (problem, plan) = (Problem::from_json(PROBLEM).unwrap(), Plan::from_json(PLAN).unwrap());
        let shown = of_plan(&problem, &plan, &usual(), &Calibration::default());
        let expected = "
Expected: 2 migrations in 56.8 s, 5 GiB sent, VMs stand still for 259 ms together and 229 ms at most.

ID  VM  HOW       MIB/S  EXPECTED  DOWNTIME      SENT
 1  v   pre-copy    100    12.4 s     30 ms  1000 MiB
 2  w   pre-copy    100    44.4 s    229 ms     4 GiB
";
        assert_eq!(shown.text(Look::PLAIN), expected);
        assert_eq!(Shown::default().text(Look::PLAIN), "");
    }

    #[test]
    fn what_became_of_it_stands_beside() {
        let plan = crate::api::convert::plan_to_wire(&Plan::from_json(PLAN).unwrap());
        let forecast = |duration_s, mode: pb::forecast::Mode| pb::Forecast {
            duration_s,
            downtime_s: 0.03,
            moved_mib: 1000.0,
            mode: mode.into(),
            bandwidth_mib_s: 100.0,
            ..Default::default()
        };
        let outcome = pb::Outcome {
            duration_s: 10.0,
            downtime_s: Some(0.045),
            moved_mib: Some(800.0),
            error: Some(0.25),
        };
        let done = pb::ActionStatus {
            action_id: 1,
            forecast: Some(forecast(12.5, pb::forecast::Mode::PreCopy)),
            outcome: Some(outcome),
            ..Default::default()
        };
        let stuck = pb::ActionStatus {
            action_id: 2,
            forecast: Some(forecast(5.0, pb::forecast::Mode::Never)),
            ..Default::default()
        };
        let totals = pb::PlanForecast { migrations: 2, duration_s: 17.5, endless: 1, ..Default::default() };
        let record = pb::PlanRecord {
            plan: Some(plan),
            actions: vec![done, stuck],
            forecast: Some(totals),
            ..Default::default()
        };
        let text = Shown::of_record(&record).text(Look::PLAIN);
        for says in [
            "1 of them would not end",
            "Measured: 1 done, 800 MiB sent, VMs stood still for 45 ms at most; the forecasts were 25 % off on average.",
            " 1  v   pre-copy      100    12.5 s  10 s  +25 %     30 ms  45 ms  1000 MiB  800 MiB\n",
            " 2  w   never ends    100         -     -      -         -      -  1000 MiB        -\n",
        ] {
            assert!(text.contains(says), "{says:?} is not in\n{text}");
        }
    }
}
