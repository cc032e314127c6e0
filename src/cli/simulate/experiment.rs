//! `dvms simulate FILE`: runs an experiment.

use super::checkpoint::Checkpoints;
use super::page::{self, Source};
use super::parquet;
use super::show;
use super::watch::Watch;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Fault};
use crate::cli::input::Input;
use crate::cli::out_file::OutFile;
use crate::cli::output::Output;
use crate::cli::progress::draw;
use crate::cli::searching::stop_on_interrupt;
use crate::simulator::experiment::Refused;
use crate::simulator::experiment::{
    Around, Experiment, Measured, Progress, Report, Run, run as simulate, watch,
};
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
    /// Also write a page with tables and charts, and beside it CSV files with all measures and with the time series
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Keep each run in this folder as soon as it is complete
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Take the runs that are in the folder of --checkpoint, and go on with the others
    #[arg(long, requires = "checkpoint")]
    resume: bool,
    /// Tell everything that happens around a violation (its number, from 1) or from one time to another (`600..660`), of one
    /// run, instead of a report
    #[arg(long, value_name = "WHAT", value_parser = super::replay::around,
          conflicts_with_all = ["csv", "report", "watch", "checkpoint"])]
    replay: Option<Around>,
    /// Draw the hosts, and who plans for them, on the terminal as it runs, so many virtual seconds a second
    #[arg(
        long,
        value_name = "SPEED",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "30",
        value_parser = super::injector::seconds
    )]
    watch: Option<f64>,
}

impl Given {
    /// The command that does the same again, but for where files go.
    fn command(&self) -> String {
        let mut words =
            vec!["dvms".to_owned(), "simulate".to_owned(), quoted(self.file.as_deref().unwrap_or_default())];
        words.extend(self.run.iter().flat_map(|name| ["--run".to_owned(), quoted(name)]));
        words.extend(self.seed.iter().flat_map(|seed| ["--seed".to_owned(), seed.to_string()]));
        words.extend(self.seconds.iter().flat_map(|seconds| ["--seconds".to_owned(), seconds.to_string()]));
        let traces = self.traces.iter().map(|folder| folder.display().to_string());
        words.extend(traces.flat_map(|folder| ["--traces".to_owned(), quoted(&folder)]));
        words.join(" ")
    }
}

/// A word as shells take it for one.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+=:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

pub(super) fn run(arguments: &Given, output: Output) -> Result<Exit, Failure> {
    let (input, experiment) = read(arguments)?;
    if let Some(around) = arguments.replay {
        return super::replay::run(&experiment, around, output);
    }
    let pages = arguments.report.as_deref().map(Pages::prepare).transpose()?;
    let files = arguments.csv.as_deref().map(|folder| prepare(folder, &experiment)).transpose()?;
    let kept = arguments.checkpoint.as_deref();
    let mut kept = kept.map(|folder| Checkpoints::open(folder, arguments.resume, &experiment)).transpose()?;
    let stop = Stop::default();
    stop_on_interrupt(&stop)?;
    let mut report = Report { version: env!("CARGO_PKG_VERSION").to_owned(), experiment, runs: Vec::new() };
    let began = Instant::now();
    let mut watch = arguments.watch.map(|speed| Watch::open(output, speed, &stop)).transpose()?;
    for run in &report.experiment.runs {
        if stop.is_asked() {
            break;
        }
        if let Some(measured) = kept.as_mut().and_then(|kept| kept.taken(run)) {
            report.runs.push(measured);
            continue;
        }
        let measured = match &mut watch {
            Some(watch) => watched(&report.experiment, run, &stop, watch)?,
            None => measured(&report.experiment, run, &stop, !output.is_json())?,
        };
        if let Some(kept) = &kept {
            kept.keep(&report.experiment, run, &measured)?;
        }
        report.runs.push(measured);
    }
    drop(watch);
    let took = began.elapsed();
    for (measured, files) in report.runs.iter().zip(files.into_iter().flatten()) {
        files.write(measured)?;
    }
    if let Some(pages) = pages {
        let command = arguments.command();
        pages.write(&report, &Source { command: &command, file: &input.name, text: input.text() })?;
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

fn refused(error: &Refused) -> Failure {
    Failure::bad_input(error.to_string())
}

/// Runs a run with a line that tells how far it is.
fn measured(experiment: &Experiment, run: &Run, stop: &Stop, shown: bool) -> Result<Measured, Failure> {
    let mut line = Line::new(&run.name, experiment.seconds, shown);
    let measured = simulate(experiment, run, &mut |progress| {
        line.show(&progress);
        !stop.is_asked()
    });
    line.clear();
    measured.map_err(|error| refused(&error))
}

/// Runs a run that is looked at.
fn watched(experiment: &Experiment, run: &Run, stop: &Stop, screen: &mut Watch) -> Result<Measured, Failure> {
    screen.begin();
    let mut failed = None;
    let measured = watch(experiment, run, screen.every_s(), &mut |scene| {
        failed = screen.show(scene, &run.name, experiment.seconds).err();
        failed.is_none() && !stop.is_asked()
    });
    match failed {
        Some(failure) => Err(failure),
        None => measured.map_err(|error| refused(&error)),
    }
}

fn read(arguments: &Given) -> Result<(Input, Experiment), Failure> {
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
    super::start::give(&mut experiment, file)?;
    super::traces::give(&mut experiment, file, arguments.traces.as_deref())?;
    if !arguments.run.is_empty() {
        let known: Vec<String> = experiment.runs.iter().map(|run| run.name.clone()).collect();
        if let Some(unknown) = arguments.run.iter().find(|name| !known.contains(name)) {
            return Err(Failure::bad_input(format!("{unknown} is no run; there are {}", known.join(", "))));
        }
        experiment.runs.retain(|run| arguments.run.contains(&run.name));
    }
    Ok((input, experiment))
}

/// The page, and what is beside it.
struct Pages {
    page: OutFile,
    runs: OutFile,
    series: OutFile,
    typed: [OutFile; 2],
}

impl Pages {
    fn prepare(path: &Path) -> Result<Self, Failure> {
        let Some(stem) = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()) else {
            return Err(Failure::bad_input(format!("--report {}: this names no file", path.display())));
        };
        let beside = |name: String| path.with_file_name(name);
        let (runs, series) = (beside(format!("{stem}.csv")), beside(format!("{stem}-series.csv")));
        let typed = [beside(format!("{stem}.parquet")), beside(format!("{stem}-series.parquet"))];
        if runs == path || typed[0] == path {
            let message = format!(
                "--report {}: the page is HTML, and its figures go to {stem}.csv and {stem}.parquet",
                path.display()
            );
            return Err(Failure::bad_input(message).hint(format!("Name it {stem}.html.")));
        }
        let [page, runs, series] = [path, &runs, &series].map(OutFile::prepare);
        let [first, second] = typed.map(|path| OutFile::prepare(&path));
        Ok(Self { page: page?, runs: runs?, series: series?, typed: [first?, second?] })
    }

    fn write(self, report: &Report, source: &Source) -> Result<(), Failure> {
        self.page.write(&page::page(report, source))?;
        self.runs.write(&report.runs_csv())?;
        self.series.write(&report.series_csv())?;
        let [runs, series] = self.typed;
        runs.write_bytes(&parquet::runs(report).bytes())?;
        series.write_bytes(&parquet::series(&report.runs, true).bytes())
    }
}

/// That the files can be written is known before hours are simulated.
fn prepare(folder: &Path, experiment: &Experiment) -> Result<Vec<Figures>, Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::new(format!("cannot make the folder {}: {error}", folder.display())))?;
    let file = |name: &str, what: &str| OutFile::prepare(&folder.join(format!("{name}-{what}")));
    let all = |name: &str| {
        Ok(Figures {
            series: [file(name, "series.csv")?, file(name, "series.parquet")?],
            violations: [file(name, "violations.csv")?, file(name, "violations.parquet")?],
        })
    };
    experiment.runs.iter().map(|run| all(&run.name)).collect()
}

/// Where the figures of a run go, as CSV and as Parquet.
struct Figures {
    series: [OutFile; 2],
    violations: [OutFile; 2],
}

impl Figures {
    fn write(self, measured: &Measured) -> Result<(), Failure> {
        let ([series, typed_series], [violations, typed_violations]) = (self.series, self.violations);
        series.write(&measured.series_csv())?;
        typed_series.write_bytes(&parquet::series(std::slice::from_ref(measured), false).bytes())?;
        violations.write(&measured.violations_csv())?;
        typed_violations.write_bytes(&parquet::violations(measured).bytes())
    }
}

/// How far a run is, on a terminal.
pub(super) struct Line {
    name: String,
    until: f64,
    shown: bool,
    began: Instant,
    drawn: Option<Instant>,
}

impl Line {
    pub(super) fn new(name: &str, until: f64, wanted: bool) -> Self {
        let shown = wanted && std::io::stderr().is_terminal();
        Self { name: name.to_owned(), until, shown, began: Instant::now(), drawn: None }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        if !self.shown || self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        draw(&show::progress(&self.name, self.until, self.began.elapsed(), progress));
    }

    pub(super) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            draw("");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_typed_again() {
        let given = Given {
            file: Some("it's mine.toml".to_owned()),
            run: vec!["none".to_owned(), "drs".to_owned()],
            seed: Some(7),
            seconds: Some(60.5),
            csv: None,
            traces: None,
            report: Some(PathBuf::from("x.html")),
            watch: None,
            checkpoint: Some(PathBuf::from("kept")),
            resume: true,
            replay: None,
        };
        let expected = r"dvms simulate 'it'\''s mine.toml' --run none --run drs --seed 7 --seconds 60.5";
        assert_eq!(given.command(), expected);
    }
}
