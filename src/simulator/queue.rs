//! What is to happen, in order of time; at the same time, in the order in which it was put in. What is always put in for so
//! long after now (agents that report each second, messages that take the same time) is in order already: it waits in lanes, not
//! in the heap, so that it costs a few steps however many there are.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

/// How many delays have a lane of their own.
const LANES: usize = 6;
/// How many delays that have none are remembered: one that comes again gets one.
const RECENT: usize = 16;

/// Things to come.
#[derive(Debug, Clone)]
pub(super) struct Queue<E> {
    heap: BinaryHeap<Entry<E>>,
    lanes: [Lane<E>; LANES],
    recent: [u64; RECENT],
    entered: u64,
}

/// Things that were put in with the same delay, in order.
#[derive(Debug, Clone)]
struct Lane<E> {
    delay: u64,
    entries: VecDeque<Entry<E>>,
}

#[derive(Debug, Clone)]
struct Entry<E> {
    time: f64,
    number: u64,
    event: E,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        let lane = || Lane { delay: u64::MAX, entries: VecDeque::new() };
        let lanes = std::array::from_fn(|_| lane());
        Self { heap: BinaryHeap::new(), lanes, recent: [u64::MAX; RECENT], entered: 0 }
    }
}

impl<E> Queue<E> {
    /// Puts something in; `time` is in seconds and a number.
    pub(super) fn push(&mut self, time: f64, event: E) {
        debug_assert!(!time.is_nan());
        self.heap.push(Entry { time, number: self.entered, event });
        self.entered += 1;
    }

    /// Puts something in that happens so many seconds after now, which is never before the now of another call.
    pub(super) fn push_after(&mut self, now: f64, delay: f64, event: E) {
        let bits = delay.to_bits();
        let time = now + delay;
        debug_assert!(!time.is_nan());
        let entry = Entry { time, number: self.entered, event };
        self.entered += 1;
        let lane = self.lanes.iter().position(|lane| lane.delay == bits).or_else(|| self.claim(bits));
        let lane = lane.map(|at| &mut self.lanes[at].entries);
        match lane.filter(|lane| lane.back().is_none_or(|last| last.time <= time)) {
            Some(lane) => lane.push_back(entry),
            None => self.heap.push(entry),
        }
    }

    /// A lane for a delay, if it has come before and there is one.
    fn claim(&mut self, bits: u64) -> Option<usize> {
        if self.recent.contains(&bits) {
            let at = self.lanes.iter().position(|lane| lane.entries.is_empty())?;
            self.lanes[at].delay = bits;
            return Some(at);
        }
        self.recent[self.entered as usize % RECENT] = bits;
        None
    }

    /// The lane that has the next thing; `None` = the heap has it, or there is none.
    fn next_lane(&self) -> Option<usize> {
        let mut next = self.heap.peek();
        let mut found = None;
        for (at, lane) in self.lanes.iter().enumerate() {
            let first = lane.entries.front();
            // The greater of two entries is the earlier one.
            if first.is_some_and(|first| next.is_none_or(|next| first > next)) {
                (next, found) = (first, Some(at));
            }
        }
        found
    }

    /// When the next thing happens.
    #[must_use]
    pub(super) fn next_time(&self) -> Option<f64> {
        match self.next_lane() {
            Some(at) => self.lanes[at].entries.front().map(|entry| entry.time),
            None => self.heap.peek().map(|entry| entry.time),
        }
    }

    /// Takes the next thing out.
    pub(super) fn pop(&mut self) -> Option<(f64, E)> {
        let entry = match self.next_lane() {
            Some(at) => self.lanes[at].entries.pop_front(),
            None => self.heap.pop(),
        };
        entry.map(|entry| (entry.time, entry.event))
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

    /// What is put in with a delay comes in the same order as if all were in the heap.
    #[test]
    fn lanes_keep_the_order() {
        let mut random = crate::simulator::random::Random::new(3, 3);
        let (mut queue, mut plain) = (Queue::default(), Queue::default());
        let (mut now, mut order) = (0.0, [Vec::new(), Vec::new()]);
        for number in 0..20_000_u32 {
            // More delays than there are lanes, some that never come again, and none at all.
            let delay = match random.below(12) {
                0 => random.fraction() * 5.0,
                1 => 0.0,
                other => f64::from(other) / 10.0,
            };
            queue.push_after(now, delay, number);
            plain.push(now + delay, number);
            if random.happens(0.1) {
                let time = now + random.fraction();
                queue.push(time, u32::MAX - number);
                plain.push(time, u32::MAX - number);
            }
            let until = now + 0.002 * random.fraction();
            while queue.next_time().is_some_and(|time| time <= until) {
                order[0].extend(queue.pop());
            }
            while plain.next_time().is_some_and(|time| time <= until) {
                order[1].extend(plain.pop());
            }
            now = until;
        }
        assert!(queue.lanes.iter().all(|lane| !lane.entries.is_empty()), "all lanes are used");
        order[0].extend(std::iter::from_fn(|| queue.pop()));
        order[1].extend(std::iter::from_fn(|| plain.pop()));
        let [lanes, heap] = order;
        assert!(lanes.len() > 20_000 && lanes == heap);
    }
}
