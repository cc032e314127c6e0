//! Threads that are late and that nobody waits for any more. They are asked to end and do at some time; until then each
//! has its memory, so they are counted, and nothing new is begun while there are too many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

const RUNS: u8 = 0;
const LEFT: u8 = 1;
const ENDED: u8 = 2;

/// How many threads of one kind are left behind and still run.
#[derive(Debug)]
pub(crate) struct Behind {
    count: AtomicUsize,
    most: usize,
}

impl Behind {
    pub(crate) const fn new(most: usize) -> Self {
        Self { count: AtomicUsize::new(0), most }
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// So many are left behind that no new one may begin.
    pub(crate) fn is_full(&self) -> bool {
        self.count() >= self.most
    }

    /// A thread begins: the first is for who waits for it, the other for the thread, which drops it at its end.
    pub(crate) fn begin(&'static self) -> (Waiting, Ended) {
        let state = Arc::new(AtomicU8::new(RUNS));
        (Waiting { state: Arc::clone(&state), behind: self }, Ended { state, behind: self })
    }
}

/// Somebody waits for a thread.
pub(crate) struct Waiting {
    state: Arc<AtomicU8>,
    behind: &'static Behind,
}

impl Waiting {
    /// Nobody waits for it any more.
    pub(crate) fn leave(self) {
        self.behind.count.fetch_add(1, Ordering::AcqRel);
        if self.state.compare_exchange(RUNS, LEFT, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // It has ended at this very moment.
            self.behind.count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Marks the end of a thread, however it comes.
pub(crate) struct Ended {
    state: Arc<AtomicU8>,
    behind: &'static Behind,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if self.state.swap(ENDED, Ordering::AcqRel) == LEFT {
            self.behind.count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Behind;

    #[test]
    fn those_left_behind_count_until_they_end() {
        static BEHIND: Behind = Behind::new(2);
        let (first, first_ends) = BEHIND.begin();
        let (second, second_ends) = BEHIND.begin();
        assert_eq!(BEHIND.count(), 0, "both are waited for");
        first.leave();
        assert!(!BEHIND.is_full());
        second.leave();
        assert_eq!((BEHIND.count(), BEHIND.is_full()), (2, true));
        drop(first_ends);
        assert_eq!((BEHIND.count(), BEHIND.is_full()), (1, false));
        drop(second_ends);
        let (third, third_ends) = BEHIND.begin();
        drop(third_ends);
        third.leave();
        assert_eq!(BEHIND.count(), 0, "it had ended before it was left");
    }
}
