//! Solving on the command line: interrupts, and the live line.

use super::failure::Failure;
use super::format::figure;
use super::progress::Progress;
use crate::solving::{Backend, Engine, Order, Solver as _, Stop};
use dvms_solver::Rejected;
use dvms_solver::file::{ObjectiveValue, Plan, Problem, Statistic};
use std::time::Duration;

/// Seconds for a problem that does not say, as of the service.
pub(crate) const DEFAULT_LIMIT_S: f64 = 10.0;

/// How long, where from and with what to search.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Effort {
    /// Seconds for a solve [default: the file's `limits.time_limit_s`, else 10]
    #[arg(long, value_name = "SECONDS", value_parser = limit, allow_negative_numbers = true)]
    pub(crate) time_limit: Option<f64>,
    /// Threads to use, at most. With more than one, searches run beside the exact back-end
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: u16,
    /// Where the search starts. The same problem, seed, threads and work limit give the same plan; with one thread
    /// also without a work limit, if time does not run out
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Most units of work (things tried); the clock then decides only when the time limit comes first
    #[arg(long, value_name = "NUMBER")]
    pub(crate) work_limit: Option<u64>,
    /// Most MiB to move for each unit of what is gained: a host, a watt, a thousandth of load. What ends violations is
    /// worth any move [default: so is all that the objective asks for]
    #[arg(long, value_name = "MIB", value_parser = price, allow_negative_numbers = true)]
    pub(crate) migration_price: Option<f64>,
    /// What searches
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) backend: Backend,
}

/// Seconds that a solve may take.
pub(crate) fn limit(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 86_400.0 => Ok(seconds),
        _ => Err("it is a number of seconds above 0, at most 86400".to_owned()),
    }
}

/// What a unit of a gain is worth.
fn price(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(price) if price >= 0.0 => Ok(price),
        _ => Err("it is a number of MiB, at least 0".to_owned()),
    }
}

/// The solves of a command.
pub(crate) struct Search {
    effort: Effort,
    stop: Stop,
    show: bool,
}

impl Search {
    /// From here on the first interrupt ends the search with the best plan so far.
    ///
    /// # Errors
    /// Signals cannot be listened to.
    pub(crate) fn new(effort: &Effort, show: bool) -> Result<Self, Failure> {
        let stop = Stop::default();
        stop_on_interrupt(&stop)?;
        Ok(Self { effort: effort.clone(), stop, show })
    }

    /// Solves a problem; `what` is what the live line calls it.
    ///
    /// # Errors
    /// Every fault of the problem.
    pub(crate) fn solve(&self, problem: &Problem, what: &str) -> Result<Plan, Rejected> {
        self.solve_and_tell(problem, what, &mut |_| {})
    }

    /// The same; each better plan is told, and each time that more is proved of the last one.
    ///
    /// # Errors
    /// Every fault of the problem.
    pub(crate) fn solve_and_tell(
        &self,
        problem: &Problem,
        what: &str,
        better: &mut dyn FnMut(&Plan),
    ) -> Result<Plan, Rejected> {
        let mut problem = problem.clone();
        if let Some(limit) = self.effort.time_limit {
            problem.limits.get_or_insert_default().time_limit_s = Some(limit);
        }
        let limit_s =
            problem.limits.as_ref().and_then(|limits| limits.time_limit_s).unwrap_or(DEFAULT_LIMIT_S);
        let order = Order {
            time_limit: Duration::try_from_secs_f64(limit_s).unwrap_or(Duration::MAX),
            patience: None,
            threads: usize::from(self.effort.threads),
            seed: self.effort.seed,
            backend: self.effort.backend,
            work_limit: self.effort.work_limit,
            migration_price: self.effort.migration_price,
        };
        let progress = Progress::start(self.show, what, limit_s);
        let mut plans = 0;
        Engine.solve(&problem, &order, &self.stop, &mut |plan| {
            plans += usize::from(!is_of_bounds(plan));
            progress.say(format!("plan {plans}: {}", in_short(plan)));
            better(plan);
        })
    }
}

/// Whether a plan is told again only because more is proved of it.
fn is_of_bounds(plan: &Plan) -> bool {
    plan.statistics.get("phase") == Some(&Statistic::Text("bounds".to_owned()))
}

/// The first interrupt asks for the best plan so far; the next one ends the process as if nobody listened.
pub(crate) fn stop_on_interrupt(stop: &Stop) -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| Failure::new(format!("cannot listen to signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let mut interrupts = {
        let _entered = runtime.enter();
        signal(SignalKind::interrupt()).map_err(failed)?
    };
    let stop = stop.clone();
    std::thread::spawn(move || {
        runtime.block_on(async {
            interrupts.recv().await;
            stop.now();
            interrupts.recv().await;
            std::process::exit(130);
        });
    });
    Ok(())
}

/// The levels of a plan as a few words; where the bound of one is below it, both.
fn in_short(plan: &Plan) -> String {
    let level = |level: &ObjectiveValue| {
        let value = figure(level.value);
        match level.bound.map(figure) {
            // That it is not below 0 says nothing.
            Some(bound) if bound != value && bound != "0" => format!("{} {value} (≥ {bound})", level.name),
            _ => format!("{} {value}", level.name),
        }
    };
    plan.objectives.iter().map(level).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_seconds() {
        assert_eq!((limit("5"), limit("0.25")), (Ok(5.0), Ok(0.25)));
        for wrong in ["0", "-1", "nan", "inf", "1e9", "5s", ""] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_plan_is_told_in_a_line() {
        let level =
            |name: &str, value, bound| ObjectiveValue { name: name.into(), before: 9.0, value, bound };
        let plan = Plan {
            objectives: vec![
                level("A", 0.0, Some(0.0)),
                level("B", 7.0, Some(5.5)),
                level("C", 2.0, None),
                level("D", 3.0, Some(0.0)),
            ],
            ..Plan::default()
        };
        assert_eq!(in_short(&plan), "A 0, B 7 (≥ 5.5), C 2, D 3");
    }
}
