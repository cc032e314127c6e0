//! `dvms forecast`: what the migrations of a plan really take.

use super::exit::Exit;
use super::failure::Failure;
use super::forecast_view::of_plan;
use super::input::Input;
use super::output::Output;
use dvms_solver::file::Plan;
use dvms_solver::migration::course::steps;
use dvms_solver::migration::{Calibration, Policy, forecast};
use serde_json::json;

/// Says what each migration of a plan takes: seconds, downtime, what is sent, and whether it ends
///
/// The times of a plan are those of its contract. This model plays each migration pass by pass, at the rate that the plan
/// gives it; it is calibrated with 2,000 measured migrations of KVM guests (docs/MIGRATIONS.md).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 it is told; 1 a migration would not end; 2 one of the files cannot be used.

Examples:
  dvms forecast rack.json plan.json
  dvms solve rack.json --output json | dvms forecast rack.json -
  dvms forecast rack.json plan.json --efficiency 0.7 --setup 4 --post-copy --output json")]
pub(crate) struct Arguments {
    /// The problem, JSON; `-` = standard input
    problem: String,
    /// The plan, JSON; `-` = standard input
    plan: String,
    #[command(flatten)]
    known: Known,
    /// Guests that write faster than is sent are not slowed down
    #[arg(long)]
    no_auto_converge: bool,
    /// Guests that write faster than is sent may go on at the destination before their memory is there
    #[arg(long)]
    post_copy: bool,
    /// Seconds that a guest may stand still at the end
    #[arg(long, value_name = "SECONDS", default_value_t = 0.3, value_parser = time)]
    downtime_limit: f64,
}

/// What is known of migrations.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Known {
    /// Share of the bandwidth that gets through
    #[arg(long, value_name = "SHARE", default_value_t = Calibration::KVM.efficiency, value_parser = share)]
    efficiency: f64,
    /// Seconds that each migration takes besides
    #[arg(long, value_name = "SECONDS", default_value_t = Calibration::KVM.setup_s, value_parser = time)]
    setup: f64,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share <= 10.0 => Ok(share),
        _ => Err("it is a number above 0, at most 10".to_owned()),
    }
}

fn time(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("it is a number of seconds from 0 to 3600".to_owned()),
    }
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    Input::not_both(&arguments.problem, &arguments.plan)?;
    let problem = Input::read(&arguments.problem)?.problem()?;
    let plan = Input::read(&arguments.plan)?.json("plan", Plan::from_json)?;
    let policy = Policy {
        auto_converge: !arguments.no_auto_converge,
        post_copy: arguments.post_copy,
        downtime_limit_s: arguments.downtime_limit,
    };
    let Known { efficiency, setup } = arguments.known;
    let calibration = Calibration { efficiency, setup_s: setup, ..Calibration::KVM };
    let shown = of_plan(&problem, &plan, &policy, &calibration);
    let totals = shown.totals;
    if output.is_json() {
        let steps =
            steps(&problem, &plan, |_, workload, path| forecast(workload, path, &policy, &calibration));
        let step = |step: &dvms_solver::migration::course::Step| {
            let mut value = json!(step.forecast);
            value["id"] = json!(step.id);
            value["rate_mib_s"] = json!(step.rate_mib_s);
            value
        };
        output.value(&json!({
            "migrations": steps.iter().map(step).collect::<Vec<_>>(),
            "duration_s": totals.duration_s,
            "downtime_s": totals.downtime_s,
            "longest_downtime_s": totals.longest_downtime_s,
            "moved_mib": totals.moved_mib,
            "endless": totals.endless,
            "calibration": calibration,
        }))?;
    } else if totals.migrations == 0 {
        output.line("The plan has no migrations.")?;
    } else {
        output.text(shown.whole().text(output.look).trim_start_matches('\n'))?;
    }
    Ok(if totals.endless == 0 { Exit::Success } else { Exit::Failure })
}
