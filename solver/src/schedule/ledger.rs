//! Who waits for whom: room that is taken is room that was free at the start, or that a certain hop gave
//! back.
//!
//! Each unit of room is given to one taker at most, and its taker waits for the hop that gave it back. So
//! in whatever order and however slowly hops go, as long as they wait for what they must: all that has
//! been taken was free at the start or has been given back, and no pool holds more than it can. A pool that
//! is over first uses what is given back to come down, and whatever enters it waits for that.

use super::ground::{Ground, Hop};
use crate::model::Amount;
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Clone, Default)]
struct Book {
    /// Free since the start.
    free: Amount,
    /// Given back: the hop's step and how much of it is left.
    returned: VecDeque<(u32, Amount)>,
    /// How much the pool is still over.
    over: Amount,
    /// Steps that brought it down.
    relieved_by: Vec<u32>,
}

/// The room of all pools at one instant and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    /// What is free in each pool.
    pub(super) room: Vec<Amount>,
    books: BTreeMap<usize, Book>,
}

impl Ledger {
    pub(super) fn new(ground: &Ground<'_>) -> Self {
        Self { room: ground.room.clone(), books: BTreeMap::new() }
    }

    fn book(&mut self, ground: &Ground<'_>, pool: usize) -> &mut Book {
        self.books.entry(pool).or_insert_with(|| {
            let room = ground.room[pool];
            Book { free: room.max(0), over: (-room).max(0), ..Book::default() }
        })
    }

    /// A hop begins; it fits. Adds the steps that it must wait for.
    pub(super) fn take(&mut self, ground: &Ground<'_>, hop: Hop, after: &mut Vec<u32>) {
        for (pool, amount) in ground.arrivals(hop) {
            debug_assert!(self.room[pool] >= amount, "{hop:?} does not fit");
            self.room[pool] -= amount;
            let book = self.book(ground, pool);
            after.extend(&book.relieved_by);
            let mut wanted = amount - amount.min(book.free);
            book.free -= amount - wanted;
            // What it waits for anyway first.
            for (step, left) in &mut book.returned {
                if after.contains(step) {
                    let part = wanted.min(*left);
                    (*left, wanted) = (*left - part, wanted - part);
                }
            }
            book.returned.retain(|(_, left)| *left > 0);
            while wanted > 0 {
                let Some((step, left)) = book.returned.front_mut() else { break };
                let part = wanted.min(*left);
                (*left, wanted) = (*left - part, wanted - part);
                after.push(*step);
                if *left == 0 {
                    book.returned.pop_front();
                }
            }
            debug_assert_eq!(wanted, 0, "the books of pool {pool} are wrong");
        }
    }

    /// A hop, which was this step, has ended.
    pub(super) fn give_back(&mut self, ground: &Ground<'_>, hop: Hop, step: u32) {
        for (pool, amount) in ground.departures(hop) {
            self.room[pool] += amount;
            let book = self.book(ground, pool);
            let relief = amount.min(book.over);
            if relief > 0 {
                book.over -= relief;
                book.relieved_by.push(step);
            }
            if amount > relief {
                book.returned.push_back((step, amount - relief));
            }
        }
    }
}
