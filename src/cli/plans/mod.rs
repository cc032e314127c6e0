//! `dvms plans`: lists, shows, follows, asks for, approves, pauses and cancels plans.

mod ask;
mod follow;
mod over_time;
mod view;

use super::client::{Server, block_on, call, heard};
use super::exit::Exit;
use super::failure::Failure;
use super::gantt::Wish;
use super::list;
use super::out_files::OutFiles;
use super::output::Output;
use super::searching::limit;
use super::solve::Goal;
use dvms_proto::v1::get_plan_request::View;
use dvms_proto::v1::{
    ApprovePlanRequest, CancelPlanRequest, GetPlanRequest, LimitPlanRequest, ListPlansRequest, Pace,
    PausePlanRequest, PlanRecord, ResumePlanRequest, WatchPlanRequest,
};

use view::headline;

/// Lists, shows, follows, asks for, approves, pauses and cancels plans
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status of what follows a plan to its end (watch, --wait): 0 it succeeded, or waits for
approval; 3 it is blocked as proved infeasible, 4 as no plan was found in time; 1 it failed or was
cancelled.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Lists plans, newest first
    #[command(after_help = "\
Examples:
  dvms plans list
  dvms plans list --last 0 --filter 'state = FAILED'")]
    List {
        /// How many; 0 = all that are kept
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        last: usize,
        /// Only those for which this holds: `FIELD OP VALUE`, joined by AND; OP is one of = != < <= > >= : (contains).
        /// Fields are those of the JSON form
        #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
        filter: String,
    },
    /// Shows a plan: its moves with their reasons, and how each stands
    #[command(after_help = "\
Examples:
  dvms plans show 01890a5d-ac96-774b-bcce-b302099a8057
  dvms plans show 01890a5d-ac96-774b-bcce-b302099a8057 --problem --output json | jq .problem > problem.json
  dvms plans show 01890a5d-ac96-774b-bcce-b302099a8057 --gantt
  dvms plans show 01890a5d-ac96-774b-bcce-b302099a8057 --html plan.html")]
    Show {
        /// Id of the plan
        id: String,
        /// With the problem that was solved; in the JSON form only
        #[arg(long)]
        problem: bool,
        #[command(flatten)]
        over_time: Wish,
    },
    /// Follows a plan until it has ended
    #[command(after_help = "\
Example:
  dvms plans watch 01890a5d-ac96-774b-bcce-b302099a8057")]
    Watch {
        /// Id of the plan
        id: String,
    },
    Create(Create),
    /// Lets a proposed plan be executed
    #[command(after_help = "\
Example:
  dvms plans approve 01890a5d-ac96-774b-bcce-b302099a8057 --wait")]
    Approve {
        /// Id of the plan
        id: String,
        /// Follow it until it has ended
        #[arg(long)]
        wait: bool,
    },
    /// Lets a plan begin nothing more until it is resumed; what runs ends
    #[command(after_help = "\
Example:
  dvms plans pause 01890a5d-ac96-774b-bcce-b302099a8057 --reason 'storage is slow'")]
    Pause {
        /// Id of the plan
        id: String,
        /// Why, for the log
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Lets a paused plan go on
    #[command(after_help = "\
Example:
  dvms plans resume 01890a5d-ac96-774b-bcce-b302099a8057 --wait")]
    Resume {
        /// Id of the plan
        id: String,
        /// Follow it until it has ended
        #[arg(long)]
        wait: bool,
    },
    /// Changes what a plan may use at once; what runs goes on as it was begun
    #[command(after_help = "\
Examples:
  dvms plans limit 01890a5d-ac96-774b-bcce-b302099a8057 --max-concurrent 1
  dvms plans limit 01890a5d-ac96-774b-bcce-b302099a8057")]
    Limit {
        /// Id of the plan
        id: String,
        /// Migrations of the plan that are under way at once, at most [default: no limit but the coordinator's]
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
        max_concurrent: Option<i32>,
        /// MiB/s that its migrations use together, at most; one alone may always go [default: no limit but the
        /// coordinator's]
        #[arg(long, value_name = "MIB/S", value_parser = bandwidth)]
        bandwidth: Option<f64>,
    },
    /// Ends a plan: nothing more is started, running migrations are aborted
    #[command(after_help = "\
Example:
  dvms plans cancel 01890a5d-ac96-774b-bcce-b302099a8057 --finish-running --reason 'change window is over'")]
    Cancel {
        /// Id of the plan
        id: String,
        /// Let running migrations end instead of aborting them
        #[arg(long)]
        finish_running: bool,
        /// Why, for the log
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
    },
}

/// Asks for a plan over all hosts of a coordinator, or some
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dvms plans create --objective CONSOLIDATE --dry-run
  dvms plans create --host h1 --host h2 --mode auto --wait")]
struct Create {
    /// What is best
    #[arg(long, value_enum, ignore_case = true, default_value = "REPAIR")]
    objective: Goal,
    /// Only this host; may be given several times [default: all hosts of the coordinator that is asked]
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// What happens to the plan [default: `planning.mode` of the server]
    #[arg(long, value_enum, ignore_case = true)]
    mode: Option<ask::Mode>,
    /// Seconds for the solve [default: `planning.time_limit_s` of the server]
    #[arg(long, value_name = "SECONDS", value_parser = limit, allow_negative_numbers = true)]
    time_limit: Option<f64>,
    /// Migrations in the plan, at most [default: no limit]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(0..))]
    max_migrations: Option<i64>,
    /// Migrations of the plan that are under way at once, at most [default: no limit but the coordinator's]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
    max_concurrent: Option<i32>,
    /// MiB/s that its migrations use together, at most; one alone may always go [default: no limit but the
    /// coordinator's]
    #[arg(long, value_name = "MIB/S", value_parser = bandwidth)]
    bandwidth: Option<f64>,
    /// Solve and show; nothing is stored, reserved or executed
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Follow the plan until it has ended or waits for approval
    #[arg(long)]
    wait: bool,
    /// A repeat with the same id gives the plan of the first call, for example a UUID [default: none]
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,
}

fn bandwidth(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "must be a number of MiB/s".to_owned())?;
    if (1.0..=1e9).contains(&rate) { Ok(rate) } else { Err("must be from 1 to 1e9 MiB/s".to_owned()) }
}

pub(crate) fn run(arguments: &Arguments, server: &str, output: Output) -> Result<Exit, Failure> {
    block_on(async {
        let server = Server::connect(server).await?;
        let failed = |status| server.failure(&status);
        match &arguments.command {
            Command::List { last, filter } => {
                let records = records(&server, filter, (*last > 0).then_some(*last)).await?;
                if output.is_json() {
                    output.messages(&records)?;
                } else if records.is_empty() {
                    output.line(if filter.is_empty() {
                        "There are no plans."
                    } else {
                        "No plan matches."
                    })?;
                } else {
                    output.text(&view::table(output.look, &records))?;
                }
                Ok(Exit::Success)
            }
            Command::Show { id, problem, over_time } => {
                let pictures = over_time.view();
                let view = if *problem || pictures.is_some() { View::Full } else { View::Basic };
                let request = GetPlanRequest { id: id.clone(), view: view.into() };
                let record = server.plans().get_plan(call(request)).await.map_err(failed)?.into_inner();
                match pictures {
                    Some(view) => {
                        let files = view.files(&mut OutFiles::default())?;
                        over_time::show(view, files, record, output)?;
                    }
                    None => show(&record, output)?,
                }
                Ok(Exit::Success)
            }
            Command::Watch { id } => watch(&server, id, output, false).await,
            Command::Create(create) => ask::create(&server, create, output).await,
            Command::Approve { id, wait } => {
                let request = ApprovePlanRequest { id: id.clone() };
                let record = server.plans().approve_plan(call(request)).await.map_err(failed)?.into_inner();
                if *wait {
                    return watch(&server, id, output, false).await;
                }
                told(&record, output)
            }
            Command::Pause { id, reason } => {
                let request = PausePlanRequest { id: id.clone(), reason: reason.clone() };
                let record = server.plans().pause_plan(call(request)).await.map_err(failed)?.into_inner();
                told(&record, output)
            }
            Command::Resume { id, wait } => {
                let request = ResumePlanRequest { id: id.clone() };
                let record = server.plans().resume_plan(call(request)).await.map_err(failed)?.into_inner();
                if *wait {
                    return watch(&server, id, output, false).await;
                }
                told(&record, output)
            }
            Command::Limit { id, max_concurrent, bandwidth } => {
                let pace = Pace { max_concurrent: *max_concurrent, bandwidth_mib_s: *bandwidth };
                let request = LimitPlanRequest { id: id.clone(), pace: Some(pace) };
                let record = server.plans().limit_plan(call(request)).await.map_err(failed)?.into_inner();
                told(&record, output)
            }
            Command::Cancel { id, finish_running, reason } => {
                let (id, reason) = (id.clone(), reason.clone());
                let request = CancelPlanRequest { id, finish_running: *finish_running, reason };
                let record = server.plans().cancel_plan(call(request)).await.map_err(failed)?.into_inner();
                told(&record, output)
            }
        }
    })
}

/// The newest plans that match, newest first.
async fn records(server: &Server, filter: &str, most: Option<usize>) -> Result<Vec<PlanRecord>, Failure> {
    let fetched = list::all(most, async |page_size, page_token| {
        let request = ListPlansRequest { page_size, page_token, filter: filter.to_owned() };
        let page = heard(server.plans().list_plans(call(request)).await?);
        Ok((page.plans, page.next_page_token))
    });
    fetched.await.map_err(|status| server.failure(&status))
}

/// A record as a whole.
fn show(record: &PlanRecord, output: Output) -> Result<(), Failure> {
    if output.is_json() {
        output.message(record)?;
    } else {
        output.text(&view::whole(output.look, record)?)?;
    }
    Ok(())
}

/// What has become of a plan by an order.
fn told(record: &PlanRecord, output: Output) -> Result<Exit, Failure> {
    if output.is_json() {
        output.message(record)?;
    } else {
        output.line(&headline(output.look.paint, record))?;
    }
    Ok(Exit::Success)
}

/// Follows a plan to its end, or until it waits for approval.
async fn watch(server: &Server, id: &str, output: Output, until_proposed: bool) -> Result<Exit, Failure> {
    let request = WatchPlanRequest { id: id.to_owned() };
    let stream = server.plans().watch_plan(request).await.map_err(|status| server.failure(&status))?;
    follow::to_the_end(server, stream.into_inner(), output, until_proposed).await
}
