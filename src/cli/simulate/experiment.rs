//! `dvms simulate FILE`: runs an experiment.

use super::batch::{self, Job};
use super::checkpoint::Checkpoints;
use super::page::{self, Source};
use super::parquet;
use super::watch::Watch;
use super::{show, study};
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Fault};
use crate::cli::input::Input;
use crate::cli::out_file::OutFile;
use crate::cli::out_files::OutFiles;
use crate::cli::output::Output;
use crate::cli::searching::stop_on_interrupt;
use crate::simulator::experiment::Refused;
use crate::simulator::experiment::{Around, Axis, Experiment, Measured, Report, Run, Study, watch};
use crate::solving::Stop;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

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
    pub(super) csv: Option<PathBuf>,
    /// Only where a setting that varies has this value (repeat for more) [default: all]
    #[arg(long, value_name = "SETTING=VALUE")]
    at: Vec<String>,
    /// Runs at a time [default: as many as there are cores; 1 where computing is measured]
    #[arg(long, value_name = "NUMBER", conflicts_with = "watch")]
    jobs: Option<NonZeroUsize>,
    /// Where the traces of a recorded load are, instead of the folder that the file says
    #[arg(long, value_name = "DIR")]
    traces: Option<PathBuf>,
    /// Also write a page with tables and charts, and beside it CSV files with all measures and with the time series
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
    /// Keep each run in this folder as soon as it is complete
    #[arg(long, value_name = "DIR", conflicts_with = "watch")]
    pub(super) checkpoint: Option<PathBuf>,
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
    pub(super) fn command(&self) -> String {
        let mut words =
            vec!["dvms".to_owned(), "simulate".to_owned(), quoted(self.file.as_deref().unwrap_or_default())];
        words.extend(self.run.iter().flat_map(|name| ["--run".to_owned(), quoted(name)]));
        words.extend(self.at.iter().flat_map(|at| ["--at".to_owned(), quoted(at)]));
        words.extend(self.seed.iter().flat_map(|seed| ["--seed".to_owned(), seed.to_string()]));
        words.extend(self.seconds.iter().flat_map(|seconds| ["--seconds".to_owned(), seconds.to_string()]));
        let traces = self.traces.iter().map(|folder| folder.display().to_string());
        words.extend(traces.flat_map(|folder| ["--traces".to_owned(), quoted(&folder)]));
        words.join(" ")
    }

    /// Where complete runs are kept.
    pub(super) fn checkpoints(&self) -> Result<Option<Checkpoints>, Failure> {
        let folder = self.checkpoint.as_deref();
        folder.map(|folder| Checkpoints::open(folder, self.resume)).transpose()
    }

    /// How many runs at a time.
    pub(super) fn at_once(&self, measured: bool) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.jobs.map_or_else(|| if measured { 1 } else { cores() }, NonZeroUsize::get)
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
    let mut files = OutFiles::beside(arguments.file.as_deref());
    let (input, mut study) = read(arguments, &mut files)?;
    let stop = Stop::default();
    let of_one =
        [(arguments.watch.is_some(), "--watch draws"), (arguments.replay.is_some(), "--replay tells of")];
    let of_one = of_one.into_iter().find(|(asked, _)| *asked).map(|(_, what)| what);
    match of_one {
        Some(what) if study.points.len() > 1 => {
            let message = format!("{} makes {} experiments, and {what} one", input.name, study.points.len());
            let each = study.axes.iter().filter_map(|axis| axis.settings.first());
            let at: Vec<String> = each.map(|setting| format!("--at {setting}=VALUE")).collect();
            return Err(Failure::bad_input(message).hint(format!("{} takes one of them.", at.join(" "))));
        }
        None if !study.axes.is_empty() => {
            stop_on_interrupt(&stop)?;
            return study::run(arguments, &input, study, files, &stop, output);
        }
        _ => {}
    }
    let Some(point) = study.points.pop() else { return Ok(Exit::Success) };
    if let Some(around) = arguments.replay {
        return super::replay::run(&point.experiment, around, output);
    }
    one(arguments, &input, point.experiment, files, &stop, output)
}

/// Runs one experiment.
fn one(
    arguments: &Given,
    input: &Input,
    experiment: Experiment,
    mut files: OutFiles,
    stop: &Stop,
    output: Output,
) -> Result<Exit, Failure> {
    let pages = arguments.report.as_deref().map(|path| Pages::prepare(path, &mut files)).transpose()?;
    let names = || experiment.runs.iter().map(|run| run.name.clone());
    let csv = arguments.csv.as_deref();
    let figures = csv.map(|folder| series_files(folder, names(), &mut files)).transpose()?;
    let kept = arguments.checkpoints()?;
    stop_on_interrupt(stop)?;
    let mut report = Report { version: env!("CARGO_PKG_VERSION").to_owned(), experiment, runs: Vec::new() };
    let began = Instant::now();
    let mut watch = arguments.watch.map(|speed| Watch::open(output, speed, stop)).transpose()?;
    let done = if let Some(watch) = &mut watch {
        looked_at(&report.experiment, stop, watch)?
    } else {
        let experiment = &report.experiment;
        let mut jobs = Vec::new();
        for run in &experiment.runs {
            let kept = kept.as_ref().map(|kept| kept.of(&run.name, experiment, run)).transpose()?;
            jobs.push(Job { name: run.name.clone(), experiment, run, whole: true, kept });
        }
        let at_once = arguments.at_once(page::is_measured(experiment));
        batch::all(&jobs, at_once, stop, !output.is_json())?
    };
    drop(watch);
    let took = began.elapsed();
    let missing = report.experiment.runs.iter().zip(&done).filter(|(_, done)| done.is_none());
    let missing: Vec<String> = missing.map(|(run, _)| run.name.clone()).collect();
    let mut series = Ok(());
    for (measured, files) in done.iter().zip(figures.into_iter().flatten()) {
        if let Some(measured) = measured {
            series = series.and(files.write(measured));
        }
    }
    report.runs = done.into_iter().flatten().collect();
    // What cannot be told in one way is told in the others.
    let told = if output.is_json() {
        told_as_json(output, &report, "not_begun", &missing)
    } else {
        output.text(&show::text(output.look, &report, took)).map_err(Failure::from)
    };
    if let Some(pages) = pages {
        let command = arguments.command();
        pages.write(&report, &Source { command: &command, file: &input.name, text: input.text() })?;
    }
    told.and(series)?;
    let whole =
        report.runs.len() == report.experiment.runs.len() && report.runs.iter().all(|run| run.complete);
    Ok(if whole { Exit::Success } else { Exit::Failure })
}

/// Tells a report for programs; where something is missing, with what.
pub(super) fn told_as_json(
    output: Output,
    report: &impl serde::Serialize,
    name: &str,
    missing: &[String],
) -> Result<(), Failure> {
    let told = serde_json::to_value(report);
    let mut value = told.map_err(|error| Failure::new(format!("cannot tell: {error}")))?;
    if !missing.is_empty() {
        value[name] = missing.into();
    }
    Ok(output.value(&value)?)
}

fn refused(error: &Refused) -> Failure {
    Failure::bad_input(error.to_string())
}

/// Runs runs that are looked at, one after the other.
fn looked_at(
    experiment: &Experiment,
    stop: &Stop,
    screen: &mut Watch,
) -> Result<Vec<Option<Measured>>, Failure> {
    let runs = experiment.runs.iter();
    runs.map(|run| (!stop.is_asked()).then(|| watched(experiment, run, stop, screen)).transpose()).collect()
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

/// Reads the experiment with all that it wants, and notes the files.
fn read(arguments: &Given, files: &mut OutFiles) -> Result<(Input, Study), Failure> {
    let input = Input::read(arguments.file.as_deref().unwrap_or_default())?;
    let mut study = Study::from_toml(input.text()).map_err(|faults| {
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
    for at in &arguments.at {
        keep(&mut study, at)?;
    }
    for (given, setting) in [(arguments.seed.is_some(), "seed"), (arguments.seconds.is_some(), "seconds")] {
        if given && study.axes.iter().any(|axis| axis.settings.iter().any(|it| it == setting)) {
            let message = format!("--{setting}: {} says several {setting} itself", input.name);
            let hint = format!("--at {setting}=NUMBER takes one of them.");
            return Err(Failure::bad_input(message).hint(hint));
        }
    }
    let file = arguments.file.as_deref().unwrap_or_default();
    for experiment in study.points.iter_mut().map(|point| &mut point.experiment) {
        experiment.seed = arguments.seed.unwrap_or(experiment.seed);
        experiment.seconds = arguments.seconds.unwrap_or(experiment.seconds);
        super::start::give(experiment, file, files)?;
        super::traces::give(experiment, file, arguments.traces.as_deref(), files)?;
        if !arguments.run.is_empty() {
            let known: Vec<String> = experiment.runs.iter().map(|run| run.name.clone()).collect();
            if let Some(unknown) = arguments.run.iter().find(|name| !known.contains(name)) {
                return Err(Failure::bad_input(format!(
                    "{unknown} is no run; there are {}",
                    known.join(", ")
                )));
            }
            experiment.runs.retain(|run| arguments.run.contains(&run.name));
        }
    }
    Ok((input, study))
}

/// Keeps what `--at` says.
fn keep(study: &mut Study, at: &str) -> Result<(), Failure> {
    let Some((setting, value)) = at.split_once('=') else {
        return Err(Failure::bad_input(format!("--at {at}: must be SETTING=VALUE")));
    };
    if study.keep(setting, value) {
        return Ok(());
    }
    let refused = Failure::bad_input(format!("--at {at}: nothing that is left has this value"));
    if study.axes.is_empty() {
        return Err(refused.hint("Nothing varies in the file ([[vary]])."));
    }
    let all = |axis: &Axis| {
        let labels: Vec<String> = (0..axis.values.len()).map(|place| axis.label(place)).collect();
        format!("{}: {}", axis.settings.join(", "), labels.join(" | "))
    };
    Err(refused.hint(study.axes.iter().map(all).collect::<Vec<_>>().join("; ")))
}

/// The page that is asked for, and beside it CSV of the runs and another one that is called so.
///
/// # Errors
/// They cannot be written, or one of them is one of the other files of the command.
pub(super) fn beside(path: &Path, other: &str, files: &mut OutFiles) -> Result<[OutFile; 3], Failure> {
    if path.metadata().is_ok_and(|present| !present.is_file() && !present.is_dir()) {
        let message = format!("--report {}: is no file, and figures go to files beside it", path.display());
        return Err(Failure::bad_input(message));
    }
    let Some(stem) = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()) else {
        return Err(Failure::bad_input(format!("--report {}: this names no file", path.display())));
    };
    let beside = |name: String| path.with_file_name(name);
    let (runs, other) = (beside(format!("{stem}.csv")), beside(format!("{stem}-{other}.csv")));
    if runs == path {
        let message =
            format!("--report {}: the page is HTML, and its figures go to {stem}.csv", path.display());
        return Err(Failure::bad_input(message).hint(format!("Name it {stem}.html.")));
    }
    let [page, runs, other] = [path, &runs, &other].map(|written| files.take_of("--report", path, written));
    Ok([page?, runs?, other?])
}

/// The same two as Parquet.
pub(super) fn typed_beside(path: &Path, other: &str, files: &mut OutFiles) -> Result<[OutFile; 2], Failure> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let typed =
        [format!("{stem}.parquet"), format!("{stem}-{other}.parquet")].map(|name| path.with_file_name(name));
    if typed[0] == path {
        let message =
            format!("--report {}: the page is HTML, and its figures go to {stem}.parquet", path.display());
        return Err(Failure::bad_input(message).hint(format!("Name it {stem}.html.")));
    }
    let [first, second] = typed.map(|written| files.take_of("--report", path, &written));
    Ok([first?, second?])
}

/// The page, and what is beside it.
struct Pages {
    page: OutFile,
    runs: OutFile,
    series: OutFile,
    typed: [OutFile; 2],
}

impl Pages {
    fn prepare(path: &Path, files: &mut OutFiles) -> Result<Self, Failure> {
        let [page, runs, series] = beside(path, "series", files)?;
        let typed = typed_beside(path, "series", files)?;
        Ok(Self { page, runs, series, typed })
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

/// Files for the time series and the violations of each run. That they can be written is known before hours are simulated.
pub(super) fn series_files(
    folder: &Path,
    names: impl Iterator<Item = String>,
    files: &mut OutFiles,
) -> Result<Vec<Figures>, Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::new(format!("cannot make the folder {}: {error}", folder.display())))?;
    let mut file =
        |name: &str, what: &str| files.take_of("--csv", folder, &folder.join(format!("{name}-{what}")));
    let all = |name: String| {
        Ok(Figures {
            series: [file(&name, "series.csv")?, file(&name, "series.parquet")?],
            violations: [file(&name, "violations.csv")?, file(&name, "violations.parquet")?],
        })
    };
    names.map(all).collect()
}

/// Where the figures of a run go, as CSV and as Parquet.
pub(super) struct Figures {
    series: [OutFile; 2],
    violations: [OutFile; 2],
}

impl Figures {
    pub(super) fn write(self, measured: &Measured) -> Result<(), Failure> {
        let ([series, typed_series], [violations, typed_violations]) = (self.series, self.violations);
        series.write(&measured.series_csv())?;
        typed_series.write_bytes(&parquet::series(std::slice::from_ref(measured), false).bytes())?;
        violations.write(&measured.violations_csv())?;
        typed_violations.write_bytes(&parquet::violations(measured).bytes())
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
            at: vec!["hosts.count=64".to_owned()],
            jobs: None,
            traces: None,
            report: Some(PathBuf::from("x.html")),
            watch: None,
            checkpoint: Some(PathBuf::from("kept")),
            resume: true,
            replay: None,
        };
        let expected = r"dvms simulate 'it'\''s mine.toml' --run none --run drs --at hosts.count=64 --seed 7 --seconds 60.5";
        assert_eq!(given.command(), expected);
    }
}
