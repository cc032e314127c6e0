//! A back-end on a thread of its own. The time limit of `HiGHS` is no deadline, and a request to stop reaches it late
//! ([`super::callback`]), so a solve that is late is left behind, and asked to end; the CP solver is late more seldom.
//! What either of them finds meanwhile is told at once, so that little is lost.

use super::highs::{self, Order};
use crate::backend::{Exact, News, Solved, Task};
use crate::behind::Behind;
use crate::budget::{Budget, Cancel};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// As long as this many solves of the process are left behind and still run, no new one begins. Each ends
/// at some time, as it is asked to, and has at most a model of [`super::MOST_COLUMNS`] in memory.
static LATE: Behind = Behind::new(4);

/// How often a waiting solve looks whether somebody has asked to stop.
const PATIENCE: Duration = Duration::from_millis(10);

/// Share of the time that `HiGHS` is given of what there is: it comes back later than it is told.
const PUNCTUAL: f64 = 0.85;

/// `HiGHS`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Highs;

impl Exact for Highs {
    fn name(&self) -> &'static str {
        "highs"
    }

    fn solve(&self, task: Task, part: &Budget, whole: &Budget, told: &mut dyn FnMut(News)) -> Option<Solved> {
        let columns = task.linear.columns() as u64;
        let (seconds, nodes) = allowance(part, columns)?;
        let order = Order { task, seconds, nodes };
        let solved = wait("highs", move |line| highs::solve(&order, line), whole, told);
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
    LATE.count()
}

/// From a worker to who waits for it.
enum Message<N, T> {
    News(N),
    Done(T),
}

/// What a worker has of who waits for it.
pub(crate) struct Line<N> {
    tell: Box<dyn Fn(N) + Send>,
    stop: Cancel,
}

impl<N: 'static> Line<N> {
    /// Nobody waits any more where this is asked for.
    pub(crate) fn stop(&self) -> &Cancel {
        &self.stop
    }

    pub(crate) fn tell(&self, news: N) {
        (self.tell)(news);
    }

    /// Nobody listens, and nobody asks to stop.
    #[cfg(test)]
    pub(super) fn idle() -> Self {
        Self::until(&Cancel::default())
    }

    /// Nobody listens.
    pub(super) fn until(stop: &Cancel) -> Self {
        Self { tell: Box::new(drop), stop: stop.clone() }
    }
}

/// Works on a thread of that name, and tells its news on this one; but returns by the deadline of the budget and soon
/// after a request to stop. `None`: nothing came of it but news.
pub(crate) fn wait<N: Send + 'static, T: Send + 'static>(
    name: &str,
    work: impl FnOnce(&Line<N>) -> T + Send + 'static,
    budget: &Budget,
    told: &mut dyn FnMut(N),
) -> Option<T> {
    if LATE.is_full() {
        return None;
    }
    let (waiting, ended) = LATE.begin();
    let stop = Cancel::default();
    let (give, take) = mpsc::channel();
    let news = give.clone();
    // Nobody may be waiting any more.
    let line = Line { tell: Box::new(move |n| drop(news.send(Message::News(n)))), stop: stop.clone() };
    let all = move || {
        // Also when the back-end or the code around it panics.
        let _ended = ended;
        let done = work(&line);
        drop(give.send(Message::Done(done)));
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(all).ok()?;
    loop {
        match take.recv_timeout(budget.remaining().min(PATIENCE)) {
            Ok(Message::Done(done)) => return Some(done),
            Ok(Message::News(news)) => told(news),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if budget.is_stopped() || budget.remaining().is_zero() {
            break;
        }
    }
    stop.now();
    waiting.leave();
    // What was told before is not lost.
    let mut done = None;
    for message in take.try_iter() {
        match message {
            Message::Done(all) => done = Some(all),
            Message::News(news) => told(news),
        }
    }
    done
}
