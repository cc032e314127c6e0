//! `dvms simulate FILE`: runs an experiment.

use super::show;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Fault};
use crate::cli::input::Input;
use crate::cli::out_file::OutFile;
use crate::cli::output::Output;
use crate::cli::progress::draw;
use crate::cli::searching::stop_on_interrupt;
use crate::simulator::experiment::{Experiment, Progress, Report, run as simulate};
use crate::solving::Stop;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const REDRAW: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(super) struct Given {
    /// The experiment, TOML; `-` = standard input
    #[arg(required = true)]
    file: Option<String>,
    /// Only this run (repeat for more) [default: all]
    #[arg(long, value_name = "NAME")]
    run: Vec<String>,
    /// Of all randomness, instead of the seed that the file says
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// When it ends, instead of what the file says
    #[arg(long, value_name = "SECONDS", value_parser = super::injector::seconds, allow_negative_numbers = true)]
    seconds: Option<f64>,
    /// Also write the time series and the violations of each run to this folder
    #[arg(long, value_name = "DIR")]
    csv: Option<PathBuf>,
    /// Where the traces of a recorded load are, instead of the folder that the file says
    #[arg(long, value_name = "DIR")]
    traces: Option<PathBuf>,
}

pub(super) fn run(arguments: &Given, output: Output) -> Result<Exit, Failure> {
    let experiment = read(arguments)?;
    let files = arguments.csv.as_deref().map(|folder| prepare(folder, &experiment)).transpose()?;
    let stop = Stop::default();
    stop_on_interrupt(&stop)?;
    let mut report = Report { version: env!("CARGO_PKG_VERSION").to_owned(), experiment, runs: Vec::new() };
    let began = Instant::now();
    for run in &report.experiment.runs {
        if stop.is_asked() {
            break;
        }
        let mut line = Line::new(&run.name, report.experiment.seconds, !output.is_json());
        let measured = simulate(&report.experiment, run, &mut |progress| {
            line.show(&progress);
            !stop.is_asked()
        });
        line.clear();
        let refused = |error: crate::simulator::experiment::Refused| Failure::bad_input(error.to_string());
        report.runs.push(measured.map_err(refused)?);
    }
    let took = began.elapsed();
    for (measured, [series, violations]) in report.runs.iter().zip(files.into_iter().flatten()) {
        series.write(&measured.series_csv())?;
        violations.write(&measured.violations_csv())?;
    }
    if output.is_json() {
        let value =
            serde_json::to_value(&report).map_err(|error| Failure::new(format!("cannot tell: {error}")))?;
        output.value(&value)?;
    } else {
        output.text(&show::text(output.look, &report, took))?;
    }
    let whole =
        report.runs.len() == report.experiment.runs.len() && report.runs.iter().all(|run| run.complete);
    Ok(if whole { Exit::Success } else { Exit::Failure })
}

fn read(arguments: &Given) -> Result<Experiment, Failure> {
    let input = Input::read(arguments.file.as_deref().unwrap_or_default())?;
    let mut experiment = Experiment::from_toml(input.text()).map_err(|faults| {
        let fault = |it: crate::simulator::experiment::Fault| Fault {
            line: it.line,
            path: it.path,
            message: it.message,
            ..Fault::default()
        };
        Failure::bad_input(format!("{} is no experiment:", input.name))
            .faults(faults.into_iter().map(fault).collect())
            .hint("docs/EXPERIMENTS.md says what there may be.")
    })?;
    experiment.seed = arguments.seed.unwrap_or(experiment.seed);
    experiment.seconds = arguments.seconds.unwrap_or(experiment.seconds);
    let file = arguments.file.as_deref().unwrap_or_default();
    super::traces::give(&mut experiment, file, arguments.traces.as_deref())?;
    if !arguments.run.is_empty() {
        let known: Vec<String> = experiment.runs.iter().map(|run| run.name.clone()).collect();
        if let Some(unknown) = arguments.run.iter().find(|name| !known.contains(name)) {
            return Err(Failure::bad_input(format!("{unknown} is no run; there are {}", known.join(", "))));
        }
        experiment.runs.retain(|run| arguments.run.contains(&run.name));
    }
    Ok(experiment)
}

/// That the files can be written is known before hours are simulated.
fn prepare(folder: &Path, experiment: &Experiment) -> Result<Vec<[OutFile; 2]>, Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::new(format!("cannot make the folder {}: {error}", folder.display())))?;
    let file = |name: &str, what: &str| OutFile::prepare(&folder.join(format!("{name}-{what}.csv")));
    let both = |name: &str| Ok([file(name, "series")?, file(name, "violations")?]);
    experiment.runs.iter().map(|run| both(&run.name)).collect()
}

/// How far a run is, on a terminal.
struct Line {
    name: String,
    until: f64,
    shown: bool,
    began: Instant,
    drawn: Option<Instant>,
}

impl Line {
    fn new(name: &str, until: f64, wanted: bool) -> Self {
        let shown = wanted && std::io::stderr().is_terminal();
        Self { name: name.to_owned(), until, shown, began: Instant::now(), drawn: None }
    }

    fn show(&mut self, progress: &Progress) {
        if !self.shown || self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        draw(&show::progress(&self.name, self.until, self.began.elapsed(), progress));
    }

    fn clear(&mut self) {
        if self.drawn.take().is_some() {
            draw("");
        }
    }
}
