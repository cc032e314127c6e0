//! What is to happen, in order of time; at the same time, in the order in which it was put in.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Things to come.
#[derive(Debug, Clone)]
pub(super) struct Queue<E> {
    heap: BinaryHeap<Entry<E>>,
    entered: u64,
}

#[derive(Debug, Clone)]
struct Entry<E> {
    time: f64,
    number: u64,
    event: E,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), entered: 0 }
    }
}

impl<E> Queue<E> {
    /// Puts something in; `time` is in seconds and a number.
    pub(super) fn push(&mut self, time: f64, event: E) {
        debug_assert!(!time.is_nan());
        self.heap.push(Entry { time, number: self.entered, event });
        self.entered += 1;
    }

    /// When the next thing happens.
    #[must_use]
    pub(super) fn next_time(&self) -> Option<f64> {
        self.heap.peek().map(|entry| entry.time)
    }

    /// Takes the next thing out.
    pub(super) fn pop(&mut self) -> Option<(f64, E)> {
        self.heap.pop().map(|entry| (entry.time, entry.event))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest first.
        other.time.total_cmp(&self.time).then(other.number.cmp(&self.number))
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<E> Eq for Entry<E> {}

#[cfg(test)]
mod tests {
    use super::Queue;

    #[test]
    fn things_come_in_order_of_time_and_of_entry() {
        let mut queue = Queue::default();
        for (time, what) in [(2.0, 'c'), (1.0, 'a'), (2.0, 'd'), (1.5, 'b')] {
            queue.push(time, what);
        }
        assert_eq!(queue.next_time(), Some(1.0));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(_, what)| what).collect();
        assert_eq!(order, ['a', 'b', 'c', 'd']);
    }
}
