//! What people see of the story: on a terminal a picture that is drawn anew in place, otherwise lines.

mod frame;
mod news;
mod plain;
mod scene;
#[cfg(test)]
mod tests;

use super::outcome::ActReport;
use crate::cli::format::count;
use crate::cli::line::Line;
use crate::cli::output::Output;
use crate::cli::paint::{Paint, Tone};
use crate::cli::screen::{Screen, ends};
use crate::coordinator::{Change, Coordinator};
use news::News;
use scene::Scene;
use std::io;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Between two frames.
const FRAME: Duration = Duration::from_millis(100);
/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(2);
/// What may wait to be shown.
const WAITING: usize = 64;

/// What the story tells.
enum Cue {
    /// A line of its own.
    Line(Line),
    /// An act begins: which one, and what it is.
    Act(usize, String),
    /// An act has ended.
    ActEnded(Line),
}

/// Who looks, and how.
#[derive(Debug, Clone, Copy)]
pub(super) enum Eyes {
    /// At a terminal: a picture.
    Screen(Paint),
    /// At a file, a pipe, or a terminal that can only write: lines.
    Lines,
    /// Nobody: a program waits for the end.
    Closed,
}

impl Eyes {
    /// By where the output goes.
    pub(super) fn of(output: Output) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        match output.look.width {
            _ if output.is_json() => Self::Closed,
            Some(_) if !dumb => Self::Screen(output.look.paint),
            _ => Self::Lines,
        }
    }
}

/// The story's side of it. Whoever looks may be gone: then nothing is shown.
#[derive(Clone)]
pub(super) struct Stage {
    cues: mpsc::Sender<Cue>,
}

/// What the stage is to know before the curtain rises.
pub(super) struct Setting {
    /// How many of what there are.
    pub(super) inventory: String,
    /// Where the coordinator is served.
    pub(super) address: String,
    /// From this share of its cpu on a host is overloaded.
    pub(super) overload: f64,
    /// What is told on a terminal that is not drawn on.
    pub(super) introduction: Vec<Line>,
}

impl Stage {
    /// Shows everything in a task of its own until `done`, or until nobody reads any more. The terminal is as
    /// before when the task has ended. `quit` is cancelled when the user wants to end.
    pub(super) fn open(
        setting: Setting,
        coordinator: &Coordinator,
        eyes: Eyes,
        quit: CancellationToken,
        done: CancellationToken,
    ) -> (Self, JoinHandle<io::Result<()>>) {
        let (cues, heard) = mpsc::channel(WAITING);
        let subscription = coordinator.subscribe();
        let mut scene = Scene {
            inventory: setting.inventory,
            address: setting.address,
            act: "agents connect".to_owned(),
            overload: setting.overload,
            ..Scene::default()
        };
        for host in subscription.hosts {
            scene.take(&Change::Host(host));
        }
        let show = Show {
            scene,
            coordinator: coordinator.clone(),
            changes: subscription.changes,
            heard,
            begun: Instant::now(),
            screen: None,
            writes: matches!(eyes, Eyes::Lines),
        };
        let task = tokio::spawn(show.run(setting.introduction, eyes, quit, done));
        (Self { cues }, task)
    }

    async fn tell(&self, cue: Cue) {
        let _ = self.cues.send(cue).await;
    }

    /// Tells a line.
    pub(super) async fn line(&self, line: Line) {
        self.tell(Cue::Line(line)).await;
    }

    /// An act begins.
    pub(super) async fn act(&self, number: usize, title: String) {
        self.tell(Cue::Act(number, title)).await;
    }

    /// An act has ended.
    pub(super) async fn act_ended(&self, report: &ActReport) {
        let (before, after) = report.faults;
        let line = Line::default();
        let line = match report.well_after.filter(|_| report.goals.iter().all(|goal| goal.met)) {
            Some(time) => line.toned(Tone::Good, "all well").text(format!(
                "  after {:.1} s and {}; {} before, {after} now",
                time.as_secs_f64(),
                count(report.moves, "move"),
                count(before, "violation")
            )),
            None => line.toned(Tone::Bad, "NOT WELL").text(
                report
                    .goals
                    .iter()
                    .map(|goal| format!("  {}: {}", goal.what, goal.seen))
                    .collect::<Vec<_>>()
                    .concat(),
            ),
        };
        self.tell(Cue::ActEnded(line)).await;
    }
}

struct Show {
    scene: Scene,
    coordinator: Coordinator,
    changes: tokio::sync::broadcast::Receiver<(u64, Change)>,
    heard: mpsc::Receiver<Cue>,
    begun: Instant,
    /// Draws.
    screen: Option<Screen>,
    /// Writes lines.
    writes: bool,
}

impl Show {
    async fn run(
        mut self,
        introduction: Vec<Line>,
        eyes: Eyes,
        quit: CancellationToken,
        done: CancellationToken,
    ) -> io::Result<()> {
        match eyes {
            Eyes::Screen(paint) => {
                let heard = move |event| {
                    if ends(&event) {
                        quit.cancel();
                    }
                };
                self.screen = Some(Screen::open(paint, heard)?);
            }
            Eyes::Lines => introduction.iter().try_for_each(|line| write_line(&line.plain()))?,
            Eyes::Closed => {}
        }
        let mut frames = tokio::time::interval(FRAME);
        frames.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut progress = tokio::time::interval(PROGRESS);
        progress.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut following = true;
        loop {
            tokio::select! {
                biased;
                change = self.changes.recv(), if following => {
                    self.scene.time = self.begun.elapsed();
                    match change {
                        Ok((_, change)) => {
                            let news = self.scene.take(&change);
                            self.lines(&news)?;
                        }
                        Err(RecvError::Lagged(_)) => self.catch_up()?,
                        Err(RecvError::Closed) => following = false,
                    }
                }
                Some(cue) = self.heard.recv() => {
                    self.scene.time = self.begun.elapsed();
                    self.cue(cue)?;
                }
                _ = frames.tick(), if self.screen.is_some() => self.draw()?,
                _ = progress.tick(), if self.writes => {
                    self.scene.time = self.begun.elapsed();
                    if let Some(line) = plain::progress(&self.scene) {
                        self.lines(&[News::new(line)])?;
                    }
                }
                () = done.cancelled() => return self.draw(),
            }
        }
    }

    fn cue(&mut self, cue: Cue) -> io::Result<()> {
        match cue {
            Cue::Line(line) => self.news(line),
            Cue::Act(number, title) => {
                self.scene.act = format!("act {number} of 3: {title}");
                let line =
                    Line::default().toned(Tone::Strong, format!("act {number}")).text(format!("  {title}"));
                if self.writes {
                    write_line("")?;
                }
                self.news(line)?;
                // Later acts begin as the ones before them have ended.
                if number == 1 { self.hosts() } else { Ok(()) }
            }
            Cue::ActEnded(line) => {
                self.news(line)?;
                self.hosts()
            }
        }
    }

    fn news(&mut self, line: Line) -> io::Result<()> {
        let news = News::new(line);
        self.scene.tell(news.clone());
        self.lines(&[news])
    }

    fn hosts(&self) -> io::Result<()> {
        if !self.writes {
            return Ok(());
        }
        plain::hosts(&self.scene).iter().try_for_each(|line| write_line(line))
    }

    fn lines(&self, news: &[News]) -> io::Result<()> {
        if !self.writes {
            return Ok(());
        }
        let seconds = self.scene.time.as_secs_f64();
        news.iter().try_for_each(|news| write_line(&plain::timed(seconds, &news.line)))
    }

    /// Changes were missed: begin again with the present state.
    fn catch_up(&mut self) -> io::Result<()> {
        let subscription = self.coordinator.subscribe();
        self.changes = subscription.changes;
        let hosts = subscription.hosts.into_iter().map(Change::Host);
        let plans = self.coordinator.plans().into_iter().rev().map(Change::Plan);
        for change in hosts.chain(plans) {
            let news = self.scene.take(&change);
            self.lines(&news)?;
        }
        Ok(())
    }

    fn draw(&mut self) -> io::Result<()> {
        self.scene.time = self.begun.elapsed();
        let Some(screen) = &mut self.screen else { return Ok(()) };
        let size = Screen::size();
        screen.draw(size, &frame::frame(&self.scene, size.0.into(), size.1.into()))
    }
}

fn write_line(line: &str) -> io::Result<()> {
    use io::Write as _;
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}
