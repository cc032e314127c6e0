//! `HiGHS` on a thread of its own. Its time limit is no deadline and nobody can stop it from outside, so a
//! solve that is late is left behind.

use super::highs::{self, Solved, Task};
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

const RUNS: u8 = 0;
const LEFT: u8 = 1;
const ENDED: u8 = 2;

/// Solves, but returns by the deadline of the budget and soon after a request to stop. `None`: nothing
/// came of it.
pub(super) fn solve(task: Task, budget: &Budget) -> Option<Solved> {
    if LATE.load(Ordering::Acquire) >= MOST_LATE {
        return None;
    }
    let state = Arc::new(AtomicU8::new(RUNS));
    let ended = Ended(Arc::clone(&state));
    let (give, take) = mpsc::sync_channel(1);
    let work = move || {
        // Also when `HiGHS` or the code around it panics.
        let _ended = ended;
        let solved = highs::solve(&task);
        // Nobody may be waiting any more.
        let _ = give.send(solved);
    };
    std::thread::Builder::new().name("highs".to_owned()).spawn(work).ok()?;
    loop {
        match take.recv_timeout(budget.remaining().min(PATIENCE)) {
            Ok(solved) => return Some(solved),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if budget.is_cancelled() || budget.remaining().is_zero() {
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
