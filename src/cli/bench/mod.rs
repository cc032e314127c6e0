//! `dvms bench`: problems made or read, solved, judged, and the figures of it, beside other engines if asked for.

mod compare;
mod memory;
mod peers;
mod rows;
mod run;
mod show;
mod summary;

use super::exit::Exit;
use super::failure::Failure;
use super::input::Input;
use super::out_files::OutFiles;
use super::output::Output;
use super::searching::limit;
use crate::solving::{Backend, Order};
use compare::{Answer, Duel};
use dvms_solver::file::Problem;
use peers::Peers;
use rows::{ROWS, Row};
use run::Run;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use summary::Summary;

/// Seconds for problems that come from files.
const FILE_LIMIT_S: f64 = 5.0;
const QUICK_LIMIT_S: f64 = 1.0;
const QUICK_SEEDS: u64 = 2;

/// Makes problems of many kinds, solves and checks them, and prints how well and how fast
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 measured, 1 a plan was not valid, 2 bad input. Progress goes to standard error.

Examples:
  dvms bench --list
  dvms bench --quick
  dvms bench --row repair-64 --row repair-64-tight --seeds 100
  dvms bench --problems converted --time-limit 5 --output json
  dvms bench --row repair-64 --peers")]
pub(crate) struct Arguments {
    /// Only list what is measured
    #[arg(long)]
    list: bool,
    /// Only this row (repeat for more) [default: all]
    #[arg(long, value_name = "NAME")]
    row: Vec<String>,
    /// Problems of each row [default: the row's own number]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: Option<u64>,
    /// Small problems, two of each row, a second for each: to see that all works
    #[arg(long)]
    quick: bool,
    /// Problem files instead: those in this folder are one row, those in each folder in it another
    #[arg(long, value_name = "DIR", conflicts_with_all = ["quick", "seeds"])]
    problems: Option<PathBuf>,
    /// Seconds for each solve [default: the row's own limit, 5 for files]
    #[arg(long, value_name = "SECONDS", value_parser = limit, allow_negative_numbers = true)]
    time_limit: Option<f64>,
    /// Threads of each solve, at most
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// What searches
    #[arg(long, value_enum, default_value = "auto")]
    backend: Backend,
    /// Also let other engines solve each problem in the same time, and compare; names, by commas [default: all]
    #[arg(long, value_name = "NAMES", num_args = 0..=1, value_delimiter = ',', default_missing_value = "")]
    peers: Option<Vec<String>>,
    /// Where the drivers of the other engines are
    #[arg(long, value_name = "DIR", default_value = "benches/peers")]
    peers_dir: PathBuf,
    /// Also write everything measured, JSON, to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Also write the problems to this folder
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
}

/// Problems that are measured together.
struct Batch {
    row: String,
    goal: String,
    limit_s: f64,
    problems: Vec<Source>,
}

/// Where a problem comes from; large ones are made when it is their turn.
enum Source {
    Made(Row, u64),
    File(PathBuf),
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    if arguments.list {
        show::list(output)?;
        return Ok(Exit::Success);
    }
    let batches = batches(arguments)?;
    let peers = (arguments.peers.as_ref())
        .map(|names| {
            let names: Vec<String> = names.iter().filter(|name| !name.is_empty()).cloned().collect();
            Peers::find(&arguments.peers_dir, &names)
        })
        .transpose()?;
    let mut files = OutFiles::default();
    for source in batches.iter().flat_map(|batch| &batch.problems) {
        if let Source::File(path) = source {
            files.reads(&path.to_string_lossy());
        }
    }
    let out = files.take_any("--out", arguments.out.as_ref())?;
    if let Some(folder) = &arguments.write {
        for (batch, source) in
            batches.iter().flat_map(|batch| batch.problems.iter().map(move |it| (batch, it)))
        {
            files.claim("--write", folder, &file_in(folder, batch, source))?;
        }
    }
    let mut duels = Vec::new();
    let mut summaries = Vec::new();
    for batch in &batches {
        summaries.push(measure(arguments, batch, peers.as_ref(), &mut duels)?);
    }
    let options = json!({
        "threads": arguments.threads,
        "time_limit_s": arguments.time_limit,
        "quick": arguments.quick,
        "backend": format!("{:?}", arguments.backend).to_lowercase(),
    });
    if let Some(out) = out {
        out.write(&format!("{:#}\n", show::document(&summaries, &duels, &options)))?;
    }
    show::whole(output, &summaries, &duels, &options)?;
    let wrong = summaries.iter().any(|summary| summary.wrong > 0);
    Ok(if wrong { Exit::Failure } else { Exit::Success })
}

fn batches(arguments: &Arguments) -> Result<Vec<Batch>, Failure> {
    let chosen = |name: &str| arguments.row.is_empty() || arguments.row.iter().any(|row| row == name);
    let all = match &arguments.problems {
        Some(folder) => files(folder, arguments)?,
        None => ROWS.iter().map(|row| generated(row, arguments)).collect(),
    };
    if let Some(unknown) = arguments.row.iter().find(|name| all.iter().all(|batch| batch.row != **name)) {
        let known: Vec<_> = all.iter().map(|batch| batch.row.as_str()).collect();
        return Err(Failure::bad_input(format!("{unknown} is no row; there are {}", known.join(", "))));
    }
    Ok(all.into_iter().filter(|batch| chosen(&batch.row)).collect())
}

fn generated(row: &Row, arguments: &Arguments) -> Batch {
    let seeds = arguments.seeds.unwrap_or(if arguments.quick { QUICK_SEEDS } else { row.seeds });
    let own = if arguments.quick { QUICK_LIMIT_S } else { row.limit_s };
    Batch {
        row: row.name.to_owned(),
        goal: row.goal.to_owned(),
        limit_s: arguments.time_limit.unwrap_or(own),
        problems: (1..=seeds).map(|seed| Source::Made(*row, seed)).collect(),
    }
}

/// The problem files of a folder and of the folders in it.
fn files(folder: &Path, arguments: &Arguments) -> Result<Vec<Batch>, Failure> {
    let read = |folder: &Path| -> Result<Vec<PathBuf>, Failure> {
        let failed = |error: std::io::Error| {
            Failure::bad_input(format!("cannot read {}: {}", folder.display(), super::input::plain(&error)))
        };
        let entries = std::fs::read_dir(folder).map_err(failed)?;
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(failed)?.path());
        }
        paths.sort();
        Ok(paths)
    };
    let batch = |folder: &Path, paths: &[PathBuf]| {
        let is_json = |path: &&PathBuf| path.extension().is_some_and(|end| end == "json") && path.is_file();
        let name = folder.canonicalize().ok().and_then(|folder| Some(folder.file_name()?.to_owned()));
        Batch {
            row: name.map_or_else(|| "files".to_owned(), |name| name.to_string_lossy().into_owned()),
            goal: format!("files of {}", folder.display()),
            limit_s: arguments.time_limit.unwrap_or(FILE_LIMIT_S),
            problems: paths.iter().filter(is_json).cloned().map(Source::File).collect(),
        }
    };
    let paths = read(folder)?;
    let mut found = vec![batch(folder, &paths)];
    for inner in paths.iter().filter(|path| path.is_dir()) {
        found.push(batch(inner, &read(inner)?));
    }
    found.retain(|batch| !batch.problems.is_empty());
    if found.is_empty() {
        return Err(Failure::bad_input(format!("{} has no problem files (*.json)", folder.display())));
    }
    Ok(found)
}

fn measure(
    arguments: &Arguments,
    batch: &Batch,
    peers: Option<&Peers>,
    duels: &mut Vec<Duel>,
) -> Result<Summary, Failure> {
    let mut runs: Vec<Run> = Vec::new();
    let mut skipped = Vec::new();
    for (i, source) in batch.problems.iter().enumerate() {
        let (name, problem) = match read(arguments, batch, source)? {
            Ok(read) => read,
            Err(why) => {
                tell(&format!("{}: {why}", batch.row));
                skipped.push(why);
                continue;
            }
        };
        let order = Order {
            time_limit: Duration::from_secs_f64(batch.limit_s),
            patience: None,
            threads: usize::from(arguments.threads),
            seed: 0,
            backend: arguments.backend,
            work_limit: None,
            migration_price: None,
        };
        let run = match run::run(&name, &problem, &order) {
            Ok((run, _)) => run,
            Err(why) => {
                let why = format!("{name}: {why}");
                tell(&format!("{}: {why}", batch.row));
                skipped.push(why);
                continue;
            }
        };
        tell(&format!("{} {}/{} {}", batch.row, i + 1, batch.problems.len(), in_short(&run)));
        if let Some(peers) = peers {
            let folder = tempfile::tempdir()?;
            let file = folder.path().join("problem.json");
            std::fs::write(&file, problem.to_json())?;
            for peer in &peers.names {
                let answer = peers.run(peer, &problem, &file, batch.limit_s, arguments.threads);
                tell(&format!("  {peer}: {}", answer_in_short(&answer)));
                duels.push(Duel::new(&batch.row, &run, peer, answer));
            }
        }
        runs.push(run);
    }
    Ok(Summary::new(&batch.row, &batch.goal, runs, skipped))
}

/// A problem with its name, or why there is none.
fn read(
    arguments: &Arguments,
    batch: &Batch,
    source: &Source,
) -> Result<Result<(String, Problem), String>, Failure> {
    let problem = match source {
        Source::Made(row, seed) => match row.problem(*seed, arguments.quick) {
            Some(problem) => problem,
            None => return Ok(Err(format!("seed {seed}: no cluster of that load could be filled"))),
        },
        Source::File(path) => {
            let mut problem = Input::read(&path.to_string_lossy())?.json("problem", Problem::from_json)?;
            // All are measured with the same limit.
            if let Some(limits) = &mut problem.limits {
                limits.time_limit_s = None;
            }
            problem
        }
    };
    if let Some(folder) = &arguments.write {
        std::fs::create_dir_all(folder.join(&batch.row))?;
        std::fs::write(file_in(folder, batch, source), problem.to_json())?;
    }
    Ok(Ok((called(batch, source), problem)))
}

/// The name of a problem.
fn called(batch: &Batch, source: &Source) -> String {
    match source {
        Source::Made(row, seed) => format!("{}-{seed}", row.name),
        Source::File(path) => {
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            format!("{}-{}", batch.row, stem.unwrap_or_default())
        }
    }
}

/// Where a problem is written in a folder.
fn file_in(folder: &Path, batch: &Batch, source: &Source) -> PathBuf {
    folder.join(&batch.row).join(format!("{}.json", called(batch, source)))
}

fn tell(line: &str) {
    use std::io::Write as _;
    // Who does not read it does not miss it.
    let _ = writeln!(std::io::stderr().lock(), "{}", super::format::safe(line));
}

fn in_short(run: &Run) -> String {
    let levels = run.levels.iter().map(|level| {
        let value = super::format::figure(level.value);
        if level.is_proved() {
            value
        } else {
            format!("{value} (bound {})", super::format::figure(level.bound))
        }
    });
    let first = run.first_s.map_or_else(|| "no plan".to_owned(), |first| format!("first {first:.4} s"));
    let levels = levels.collect::<Vec<_>>().join(", ");
    let valid = if run.faults.is_empty() { "" } else { ", NOT VALID" };
    format!("{}: {first}, {:.3} s, {levels}, {} moves{valid}", run.status, run.solve_s, run.moves)
}

fn answer_in_short(answer: &Answer) -> String {
    match answer {
        Answer::Placed { values, moves, seconds } => {
            let values: Vec<_> = values.iter().map(|value| super::format::figure(*value)).collect();
            format!("{}, {moves} moves, {seconds:.3} s", values.join(", "))
        }
        Answer::Invalid { why, .. } => format!("not valid: {why}"),
        Answer::Nothing { why } => format!("nothing: {why}"),
        Answer::Cannot { why } => format!("cannot express: {why}"),
    }
}
