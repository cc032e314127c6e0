//! A back-end on a thread of its own. The time limit of `HiGHS` is no deadline and nobody can stop it from outside, so
//! a solve that is late is left behind; the CP solver is late more seldom.

use super::highs::{self, Order};
use crate::backend::{Exact, Solved, Task};
use crate::budget::Budget;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// As long as this many solves of the process are left behind and still run, no new one begins. Each ends
/// by its own time limit at some time, and has at most a model of [`super::MOST_COLUMNS`] in memory.
const MOST_LATE: usize = 4;
static LATE: AtomicUsize = AtomicUsize::new(0);

/// How often a waiting solve looks whether somebody has asked to stop.
const PATIENCE: Duration = Duration::from_millis(10);

/// Share of the time that `HiGHS` is given of what there is: it comes back later than it is told.
const PUNCTUAL: f64 = 0.85;

const RUNS: u8 = 0;
const LEFT: u8 = 1;
const ENDED: u8 = 2;

/// `HiGHS`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Highs;

impl Exact for Highs {
    fn name(&self) -> &'static str {
        "highs"
    }

    fn solve(&self, task: Task, part: &Budget, whole: &Budget) -> Option<Solved> {
        let columns = task.linear.columns() as u64;
        let (seconds, nodes) = allowance(part, columns)?;
        let order = Order { task, seconds, nodes };
        let solved = wait("highs", move || highs::solve(&order), whole);
        part.spend(columns + solved.as_ref().map_or(0, |(_, iterations)| *iterations));
        solved.map(|(solved, _)| solved)
    }
}

/// Seconds and nodes for a solve; `None` if it is not worth beginning.
fn allowance(budget: &Budget, columns: u64) -> Option<(f64, Option<u64>)> {
    let seconds = budget.remaining().as_secs_f64() * PUNCTUAL - 0.01;
    // A node tries each column in some way.
    let nodes = budget.work_limit().map(|limit| limit.saturating_sub(budget.work_done()) / columns.max(1));
    (seconds > 0.005 && nodes != Some(0)).then_some((seconds, nodes))
}

/// How many are left behind and still run.
pub(crate) fn left_behind() -> usize {
    LATE.load(Ordering::Acquire)
}

/// Works on a thread of that name, but returns by the deadline of the budget and soon after a request to stop. `None`:
/// nothing came of it.
pub(crate) fn wait<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
    budget: &Budget,
) -> Option<T> {
    if LATE.load(Ordering::Acquire) >= MOST_LATE {
        return None;
    }
    let state = Arc::new(AtomicU8::new(RUNS));
    let ended = Ended(Arc::clone(&state));
    let (give, take) = mpsc::sync_channel(1);
    let all = move || {
        // Also when the back-end or the code around it panics.
        let _ended = ended;
        // Nobody may be waiting any more.
        let _ = give.send(work());
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(all).ok()?;
    loop {
        match take.recv_timeout(budget.remaining().min(PATIENCE)) {
            Ok(solved) => return Some(solved),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if budget.is_stopped() || budget.remaining().is_zero() {
            break;
        }
    }
    LATE.fetch_add(1, Ordering::AcqRel);
    if state.compare_exchange(RUNS, LEFT, Ordering::AcqRel, Ordering::Acquire).is_err() {
        // It has ended at this very moment.
        LATE.fetch_sub(1, Ordering::AcqRel);
        return take.try_recv().ok();
    }
    None
}

/// Marks the end of a worker, however it comes.
struct Ended(Arc<AtomicU8>);

impl Drop for Ended {
    fn drop(&mut self) {
        if self.0.swap(ENDED, Ordering::AcqRel) == LEFT {
            LATE.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
