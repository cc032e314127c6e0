//! Runs, several at a time: each is of virtual time only, so that it does not matter which ends first.

use super::checkpoint::Checkpoint;
use super::show;
use crate::cli::failure::Failure;
use crate::cli::progress::draw;
use crate::simulator::experiment::{Experiment, Measured, Progress, Refused, Run, run as simulate};
use crate::solving::Stop;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const REDRAW: Duration = Duration::from_millis(100);
/// Of a thread that solves: what the main thread has, too.
const STACK: usize = 8 << 20;

/// A run of an experiment.
pub(super) struct Job<'e> {
    /// What it is, for people.
    pub(super) name: String,
    pub(super) experiment: &'e Experiment,
    pub(super) run: &'e Run,
    /// Whether its time series and its violations are wanted.
    pub(super) whole: bool,
    /// Where it is kept, and taken from where it is complete there.
    pub(super) kept: Option<Checkpoint>,
}

impl Job<'_> {
    /// What it comes to: it is simulated, and kept, where it was not before.
    fn outcome(&self, go_on: &mut dyn FnMut(Progress) -> bool) -> Result<Measured, Failure> {
        if let Some(measured) = self.kept.as_ref().and_then(|kept| kept.taken.clone()) {
            return Ok(measured);
        }
        let refused = |error: Refused| Failure::bad_input(format!("run {}: {error}", self.name));
        let measured = simulate(self.experiment, self.run, go_on).map_err(refused)?;
        if let Some(kept) = &self.kept {
            kept.keep(self.experiment, self.run, &measured)?;
        }
        Ok(measured)
    }
}

/// Does all of them, so many at a time at most; what came out is in their order. One that was not begun has nothing.
///
/// # Errors
/// One cannot begin.
pub(super) fn all(
    jobs: &[Job],
    at_once: usize,
    stop: &Stop,
    shown: bool,
) -> Result<Vec<Option<Measured>>, Failure> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let line = Mutex::new(Line::new(jobs.len(), shown));
    let done: Mutex<Vec<Option<Result<Measured, Failure>>>> = Mutex::new(jobs.iter().map(|_| None).collect());
    let go_on = || !stop.is_asked() && !failed.load(Ordering::Relaxed);
    let work = || {
        while go_on() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(number) else { break };
            let began = Instant::now();
            let mut outcome = job.outcome(&mut |progress| {
                // Whoever finds it free shows how far it is.
                if let Ok(mut line) = line.try_lock() {
                    line.show(&job.name, job.experiment.seconds, began.elapsed(), &progress);
                }
                go_on()
            });
            match &mut outcome {
                Err(_) => failed.store(true, Ordering::Relaxed),
                Ok(measured) if !job.whole => (measured.series, measured.log) = (Vec::new(), Vec::new()),
                Ok(_) => {}
            }
            line.lock().unwrap_or_else(PoisonError::into_inner).done += 1;
            done.lock().unwrap_or_else(PoisonError::into_inner)[number] = Some(outcome);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..at_once.clamp(1, jobs.len().max(1)) {
            let thread = std::thread::Builder::new().stack_size(STACK);
            thread.spawn_scoped(scope, work).map_err(|error| {
                failed.store(true, Ordering::Relaxed);
                Failure::new(format!("cannot begin a thread for a run: {error}"))
            })?;
        }
        Ok::<(), Failure>(())
    })?;
    line.into_inner().unwrap_or_else(PoisonError::into_inner).clear();
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.into_iter().map(Option::transpose).collect()
}

/// How far runs are, on a terminal.
pub(super) struct Line {
    of: usize,
    done: usize,
    shown: bool,
    drawn: Option<Instant>,
}

impl Line {
    pub(super) fn new(of: usize, wanted: bool) -> Self {
        Self { of, done: 0, shown: wanted && std::io::stderr().is_terminal(), drawn: None }
    }

    pub(super) fn show(&mut self, name: &str, until: f64, took: Duration, progress: &Progress) {
        if !self.shown || self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        draw(&(show::which(self.done, self.of) + &show::progress(name, until, took, progress)));
    }

    pub(super) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            draw("");
        }
    }
}
