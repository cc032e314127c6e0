//! `dvms gantt`, and `--gantt` of other commands: a plan over time, as a chart in the terminal, as SVG, as a page,
//! step by step, or as data.

mod draw;
mod marks;
mod page;
mod rows;
mod steps;
#[cfg(test)]
mod tests;
mod text;
mod walk;

use super::exit::Exit;
use super::failure::{Failure, Fault};
use super::format::count;
use super::input::Input;
use super::out_file::OutFile;
use super::out_files::OutFiles;
use super::output::Output;
use super::paint::{Paint, Tone};
use super::plan_view;
use dvms_solver::Problem as Model;
use dvms_solver::check::check;
use dvms_solver::file::{Plan, Problem};
use dvms_solver::timeline::{Run, Timeline};
use marks::Marks;
use rows::By;
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// Rows of bars in a picture file.
const MOST_TRACKS: usize = 400;

/// Draws a plan over time: who moves when, what hosts and links carry, and what the end waits for
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A plan is drawn as it is, valid or not; `dvms check` judges it.

Examples:
  dvms gantt rack.json plan.json
  dvms gantt rack.json plan.json --by vm --html plan.html --svg plan.svg
  dvms gantt rack.json plan.json --step=2
  dvms solve rack.json --output json | dvms gantt rack.json - --output json")]
pub(crate) struct Arguments {
    /// The problem, JSON; `-` = standard input
    problem: String,
    /// The plan, JSON; `-` = standard input
    plan: String,
    #[command(flatten)]
    view: View,
}

/// How a plan over time is looked at.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The plan over time")]
pub(crate) struct View {
    /// Draw the plan over time into this SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Draw it into this HTML file: one page that needs nothing else, to step through the plan
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Tell what each step begins, ends and changes, and who waits for whom; on a terminal n, p and q go to and fro. With a
    /// number, that step only
    #[arg(
        long,
        value_name = "NUMBER",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "0",
        hide_default_value = true
    )]
    step: Option<usize>,
    /// Whose rows
    #[arg(long, value_enum, value_name = "WHOSE", default_value = "host")]
    by: By,
    /// Only ASCII characters; without it, what the locale allows
    #[arg(long)]
    ascii: bool,
}

/// The same for commands that show something else, too.
#[derive(Debug, clap::Args)]
pub(crate) struct Wish {
    /// Show the plan over time as a chart; so do the options for it
    #[arg(long, help_heading = "The plan over time")]
    gantt: bool,
    #[command(flatten)]
    view: View,
}

impl Wish {
    /// The view, where one is asked for.
    pub(crate) fn view(&self) -> Option<&View> {
        let View { svg, html, step, .. } = &self.view;
        (self.gantt || svg.is_some() || html.is_some() || step.is_some()).then_some(&self.view)
    }

    /// Whether it is to be printed, not only written to files.
    pub(crate) fn prints(&self) -> bool {
        self.gantt || self.view.step.is_some()
    }
}

/// Files that pictures go to.
#[derive(Default)]
pub(crate) struct Files {
    svg: Option<OutFile>,
    html: Option<OutFile>,
}

/// What is drawn.
pub(crate) struct Subject<'a> {
    /// The plan belongs to it.
    pub(crate) problem: &'a Problem,
    /// What is drawn.
    pub(crate) plan: &'a Plan,
    /// Of a plan that is or was carried out.
    pub(crate) run: Option<&'a Run>,
    /// What the picture is called.
    pub(crate) title: String,
    /// What is said of it in a line.
    pub(crate) headline: String,
}

impl<'a> Subject<'a> {
    /// A plan from a file.
    pub(crate) fn of_file(problem: &'a Problem, plan: &'a Plan) -> Self {
        let name = if problem.name.is_empty() { "plan" } else { &problem.name };
        let (title, headline) = (name.to_owned(), plan_view::headline(Paint::PLAIN, plan));
        Self { problem, plan, run: None, title, headline }
    }
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    Input::not_both(&arguments.problem, &arguments.plan)?;
    let problem = Input::read(&arguments.problem)?.problem()?;
    let plan = Input::read(&arguments.plan)?.json("plan", Plan::from_json)?;
    let mut files = OutFiles::beside([arguments.problem.as_str(), &arguments.plan]);
    let files = arguments.view.files(&mut files)?;
    arguments.view.show(files, &Subject::of_file(&problem, &plan), output)?;
    let wrong = check(&problem, &plan).violations.len();
    if wrong > 0 && !output.is_json() {
        let invalid = output.look.paint.tone(Tone::Bad, "not valid");
        let many = count(wrong, "violation");
        output.line(&format!("\nThe plan is {invalid}: it has {many}, which `dvms check` tells."))?;
    }
    Ok(Exit::Success)
}

impl View {
    /// Makes sure that the files can be written, besides the other files of the command.
    ///
    /// # Errors
    /// One of them cannot, or is one of the others.
    pub(crate) fn files(&self, files: &mut OutFiles) -> Result<Files, Failure> {
        Ok(Files {
            svg: files.take_any("--svg", self.svg.as_ref())?,
            html: files.take_any("--html", self.html.as_ref())?,
        })
    }

    /// Shows a plan over time, and writes the pictures that are asked for.
    ///
    /// # Errors
    /// It names what the problem does not have, there is no such step, or something cannot be written.
    pub(crate) fn show(&self, files: Files, subject: &Subject<'_>, output: Output) -> Result<(), Failure> {
        let timeline = self.write(files, subject)?;
        self.print(&timeline, output)
    }

    /// Writes the pictures of a plan over time that are asked for.
    ///
    /// # Errors
    /// It names what the problem does not have, or something cannot be written.
    pub(crate) fn write(&self, files: Files, subject: &Subject<'_>) -> Result<Timeline, Failure> {
        let Subject { problem, plan, run, title, headline } = subject;
        let timeline = timeline(problem, plan, *run)?;
        if let Some(file) = files.svg {
            file.write(&draw::picture(&timeline, title, self.by, MOST_TRACKS))?;
        }
        if let Some(file) = files.html {
            file.write(&page::page(problem, plan, &timeline, title, headline))?;
        }
        Ok(timeline)
    }

    fn print(&self, timeline: &Timeline, output: Output) -> Result<(), Failure> {
        let (steps, look, marks) = (timeline.steps.len(), output.look, Marks::new(self.ascii));
        match self.step {
            Some(number) if number > steps => {
                let there = count(steps, "step");
                return Err(Failure::bad_input(format!("there is no step {number}: the plan has {there}")));
            }
            Some(0) if output.is_json() => {
                output.value(&(0..steps).map(|at| steps::value(timeline, at)).collect())?;
            }
            Some(number) if output.is_json() => output.value(&steps::value(timeline, number - 1))?,
            Some(0) if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() => {
                walk::walk(timeline, look, marks)?;
            }
            Some(0) => output.text(&steps::all(timeline, look, marks))?,
            Some(number) => output.text(&steps::one(timeline, number - 1, look, marks))?,
            None if output.is_json() => output.value(&serde_json::to_value(timeline).unwrap_or_default())?,
            None => output.text(&text::chart(timeline, self.by, look, marks))?,
        }
        let written = [(&self.svg, "picture"), (&self.html, "page")];
        for (path, what) in written.iter().filter(|_| !output.is_json()) {
            if let Some(path) = path {
                output.line(&format!("The {what} is in {}.", path.display()))?;
            }
        }
        Ok(())
    }
}

fn timeline(problem: &Problem, plan: &Plan, run: Option<&Run>) -> Result<Timeline, Failure> {
    let refused = |rejected: dvms_solver::Rejected, what: &str| {
        let fault = |fault: dvms_solver::Fault| Fault {
            path: fault.path,
            message: fault.message,
            ..Fault::default()
        };
        Failure::bad_input(format!("the {what} cannot be drawn:"))
            .faults(rejected.faults.into_iter().map(fault).collect())
    };
    let model = Model::new(problem).map_err(|rejected| refused(rejected, "problem"))?;
    Timeline::new(&model, plan, run).map_err(|rejected| refused(rejected, "plan"))
}
