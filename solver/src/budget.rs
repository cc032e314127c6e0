//! Time, work and cancellation. The only place of the solver that reads the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A request to stop, shared with whoever may ask for it. Clones are the same request.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks all solves that hold this request to return what they have.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has asked.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a solve may still spend: time until a deadline, and units of work where a limit is set.
///
/// A unit of work is one thing tried (a VM on a host, a node of a tree); as it does not depend on the
/// machine, a solve that ends by its work limit gives the same plan each time.
#[derive(Debug, Clone)]
pub struct Budget {
    began: Instant,
    deadline: Option<Instant>,
    work_limit: Option<u64>,
    work: Arc<AtomicU64>,
    cancel: Cancel,
    /// Ends this part of a solve only.
    stop: Option<Cancel>,
}

impl Budget {
    /// Begins now. A time limit beyond what the clock can hold is none.
    #[must_use]
    pub fn new(time_limit: Duration, work_limit: Option<u64>, cancel: &Cancel) -> Self {
        let began = Instant::now();
        Self {
            began,
            deadline: began.checked_add(time_limit),
            work_limit,
            work: Arc::default(),
            cancel: cancel.clone(),
            stop: None,
        }
    }

    /// A budget with this share (0 to 1) of what is left of work where that is limited, else of time, so that
    /// under a limit of work the clock decides nothing. Work done under it counts for this one as well.
    #[must_use]
    pub fn slice(&self, share: f64) -> Self {
        let share = share.clamp(0.0, 1.0);
        let done = self.work_done();
        let mut part = self.clone();
        if self.work_limit.is_none() {
            let later = |_| Instant::now().checked_add(self.remaining().mul_f64(share));
            part.deadline = self.deadline.and_then(later);
        }
        part.work_limit =
            self.work_limit.map(|limit| done + (limit.saturating_sub(done) as f64 * share) as u64);
        part
    }

    /// As [`slice`](Self::slice), but of work only and with a count of its own, for a part that runs beside others:
    /// what they do at the same time does not decide where it ends.
    #[must_use]
    pub fn apart(&self, share: f64) -> Self {
        let left = self.work_limit.map(|limit| limit.saturating_sub(self.work_done()));
        let mut part = self.clone();
        part.work_limit = left.map(|left| (left as f64 * share.clamp(0.0, 1.0)) as u64);
        part.work = Arc::default();
        part
    }

    /// The same budget, which this request ends as well.
    #[must_use]
    pub fn until(&self, stop: &Cancel) -> Self {
        Self { stop: Some(stop.clone()), ..self.clone() }
    }

    /// The same budget with its deadline earlier by `margin`: what comes after the work needs time too.
    #[must_use]
    pub fn earlier_by(&self, margin: Duration) -> Self {
        let mut part = self.clone();
        part.deadline = self.deadline.map(|deadline| deadline.checked_sub(margin).unwrap_or(self.began));
        part
    }

    /// The same budget, for so long from now at most. Under a limit of work the clock decides nothing.
    #[must_use]
    pub fn within(&self, most: Duration) -> Self {
        let mut part = self.clone();
        if self.work_limit.is_none() {
            let deadline = Instant::now().checked_add(most.min(self.remaining()));
            part.deadline = deadline.or(self.deadline);
        }
        part
    }

    /// The same budget, for so much more work at most.
    #[must_use]
    pub fn working(&self, most: u64) -> Self {
        let limit = self.work_done().saturating_add(most);
        Self { work_limit: Some(self.work_limit.map_or(limit, |own| own.min(limit))), ..self.clone() }
    }

    /// Counts units of work.
    pub fn spend(&self, units: u64) {
        self.work.fetch_add(units, Ordering::Relaxed);
    }

    /// Units of work counted since the solve began.
    #[must_use]
    pub fn work_done(&self) -> u64 {
        self.work.load(Ordering::Relaxed)
    }

    /// The limit on units of work, if there is one.
    #[must_use]
    pub fn work_limit(&self) -> Option<u64> {
        self.work_limit
    }

    /// Whether all work that is allowed has been done.
    #[must_use]
    pub fn is_worked_off(&self) -> bool {
        self.work_limit.is_some_and(|limit| self.work_done() >= limit)
    }

    /// Whether to stop: out of time, out of work, or asked to.
    #[must_use]
    pub fn expired(&self) -> bool {
        self.is_stopped()
            || self.is_worked_off()
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Whether somebody has asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_asked()
    }

    /// Whether somebody has asked to stop, the solve or this part of it.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.cancel.is_asked() || self.stop.as_ref().is_some_and(Cancel::is_asked)
    }

    /// Time until the deadline; zero once it has passed, [`Duration::MAX`] without one.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether the deadline has passed by so much.
    #[must_use]
    pub fn is_overdue(&self, by: Duration) -> bool {
        let until = self.deadline.and_then(|deadline| deadline.checked_add(by));
        until.is_some_and(|until| Instant::now() >= until)
    }

    /// Time since the solve began.
    #[must_use]
    pub fn since_start(&self) -> Duration {
        self.began.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Cancel};
    use std::time::Duration;

    const LONG: Duration = Duration::from_hours(1);

    #[test]
    fn it_expires_by_time_work_or_request() {
        let cancel = Cancel::default();
        assert!(Budget::new(Duration::ZERO, None, &cancel).expired());
        let over = Budget::new(Duration::ZERO, None, &cancel);
        assert!(over.remaining().is_zero() && over.is_overdue(Duration::ZERO) && !over.is_overdue(LONG));
        let budget = Budget::new(LONG, Some(10), &cancel);
        budget.spend(9);
        assert!(!budget.expired() && !budget.is_worked_off());
        budget.spend(1);
        assert!(budget.expired() && budget.is_worked_off());
        let budget = Budget::new(Duration::MAX, None, &cancel);
        assert!(!budget.expired());
        cancel.clone().now();
        assert!(budget.expired() && budget.is_cancelled());
    }

    #[test]
    fn a_slice_has_its_share_and_counts_for_the_whole() {
        let part = Budget::new(LONG, None, &Cancel::default()).slice(0.25);
        assert!(part.remaining() <= LONG / 4 && part.remaining() > LONG / 8);
        let budget = Budget::new(LONG, Some(100), &Cancel::default());
        budget.spend(20);
        let part = budget.slice(0.25);
        assert_eq!(part.work_limit(), Some(40));
        assert!(part.remaining() > LONG / 2, "under a limit of work the clock decides nothing");
        part.spend(20);
        assert!(part.expired() && !budget.expired());
        assert_eq!(budget.work_done(), 40);
        assert!(budget.earlier_by(LONG).expired());
        assert!(budget.within(Duration::ZERO).remaining() > LONG / 2, "nor does it here");
        let budget = Budget::new(LONG, None, &Cancel::default());
        assert!(
            budget.within(LONG / 4).remaining() <= LONG / 4 && budget.within(LONG * 4).remaining() <= LONG
        );
    }

    #[test]
    fn a_part_may_be_given_less_work() {
        let budget = Budget::new(LONG, None, &Cancel::default());
        budget.spend(5);
        assert_eq!(
            (budget.working(7).work_limit(), budget.working(7).working(9).work_limit()),
            (Some(12), Some(12))
        );
        assert!(budget.working(7).remaining() > LONG / 2);
    }

    #[test]
    fn parts_that_run_beside_each_other_count_for_themselves() {
        let budget = Budget::new(LONG, Some(100), &Cancel::default());
        budget.spend(20);
        let (one, other) = (budget.apart(0.5), budget.apart(0.5));
        one.spend(39);
        assert!(!one.expired() && !other.expired());
        assert_eq!((budget.work_done(), one.work_done(), other.work_done()), (20, 39, 0));
        one.spend(1);
        assert!(one.expired() && !other.expired());
        let stop = Cancel::default();
        let part = other.until(&stop);
        stop.now();
        assert!(part.expired() && part.is_stopped() && !part.is_cancelled() && !other.expired());
        assert_eq!(Budget::new(LONG, None, &Cancel::default()).apart(0.5).work_limit(), None);
    }
}
