//! Cumulative scheduling: when tasks begin that last a known time, share resources, and take room that others give back.
//!
//! First the end of the last task is made as early as can be, then the sum of all ends. Every question is asked under
//! assumptions, so that what was learned for one helps with the next.

use super::branch::{Decider, Earliest};
use super::post::{self, FURTHEST};
use super::turn::Turn;
use crate::budget::Budget;
use pumpkin_conflict_resolvers::resolvers::ResolutionResolver;
use pumpkin_constraints::{cumulative, less_than_or_equals};
use pumpkin_core::Solver;
use pumpkin_core::constraints::Constraint;
use pumpkin_core::predicates::{Predicate, PredicateConstructor};
use pumpkin_core::proof::ConstraintTag;
use pumpkin_core::results::{ProblemSolution, SatisfactionResultUnderAssumptions};
use pumpkin_core::variables::{DomainId, Literal, TransformableVariable};
use std::collections::BTreeMap;

/// More conditions between two tasks than this are not posted.
const MOST_CONDITIONS: usize = 20_000;
/// Steps of one question before another one is asked.
const STEPS: u64 = 20_000;
/// A sum of ends is asked to be better by one of so many parts at least.
const PARTS: i64 = 500;

/// A resource that tasks share while they last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shared {
    pub(crate) capacity: i32,
    /// Tasks and what each takes.
    pub(crate) uses: Vec<(usize, i32)>,
}

/// Something that tasks take when they begin, for good, and others give back when they end. A task that takes nothing
/// of it waits until it is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Room {
    /// What is there at first; less than 0 if it is over.
    pub(crate) free: i64,
    /// Tasks and amounts.
    pub(crate) takes: Vec<(usize, i64)>,
    pub(crate) gives: Vec<(usize, i64)>,
}

/// What is to be scheduled. Times are in ticks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Timetable {
    /// How long each task lasts.
    pub(crate) durations: Vec<i32>,
    /// No task begins before.
    pub(crate) releases: Vec<i32>,
    /// Pairs of tasks of which one ends before the other one begins.
    pub(crate) rows: Vec<(usize, usize)>,
    pub(crate) shared: Vec<Shared>,
    pub(crate) rooms: Vec<Room>,
}

/// When tasks begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Timing {
    /// Of each task; empty if only the end of a better one is known.
    pub(crate) starts: Vec<i32>,
    /// When the last task ends.
    pub(crate) end: i32,
    /// No timing ends before.
    pub(crate) bound: i32,
}

impl Timetable {
    fn tasks(&self) -> usize {
        self.durations.len()
    }

    /// Pairs of tasks between which a condition counts.
    fn conditions(&self) -> usize {
        self.rooms.iter().map(|room| room.takes.len() * (room.takes.len() + room.gives.len())).sum()
    }

    /// Whether all can be said in numbers of 32 bits, and is not too much.
    pub(super) fn fits(&self, from: &Timing) -> bool {
        let sum = |amounts: &[(usize, i64)]| amounts.iter().map(|(_, amount)| *amount).sum::<i64>();
        let fits = |room: &Room| sum(&room.takes) + sum(&room.gives) + room.free.abs() < FURTHEST;
        let ends = i64::from(from.end).saturating_mul(i64::try_from(self.tasks()).unwrap_or(i64::MAX));
        self.tasks() > 1
            && ends < FURTHEST
            && self.conditions() <= MOST_CONDITIONS
            && self.rooms.iter().all(fits)
            && self.shared.iter().all(|shared| {
                shared.uses.iter().map(|(_, amount)| i64::from(*amount)).sum::<i64>() < FURTHEST
            })
    }

    fn end(&self, starts: &[i32]) -> i32 {
        starts.iter().zip(&self.durations).map(|(start, lasts)| start + lasts).max().unwrap_or(0)
    }

    fn sum(&self, starts: &[i32]) -> i64 {
        starts.iter().zip(&self.durations).map(|(start, lasts)| i64::from(start + lasts)).sum()
    }

    /// No timing ends before: by the longest task, and by what all that share a resource take of it.
    fn least_end(&self) -> i32 {
        let alone = self.durations.iter().zip(&self.releases).map(|(lasts, release)| lasts + release);
        let shared = self.shared.iter().filter(|shared| shared.capacity > 0).map(|shared| {
            let area = |(task, amount): &(usize, i32)| i64::from(*amount) * i64::from(self.durations[*task]);
            let area: i64 = shared.uses.iter().map(area).sum();
            i32::try_from(area / i64::from(shared.capacity)).unwrap_or(i32::MAX)
        });
        alone.chain(shared).max().unwrap_or(0)
    }
}

/// What became of a question.
enum Answer {
    Timing(Vec<i32>),
    No,
    Unknown,
}

struct Search<'t> {
    table: &'t Timetable,
    solver: Solver,
    tag: ConstraintTag,
    starts: Vec<DomainId>,
    end: DomainId,
    sum: DomainId,
    brancher: Decider<Earliest>,
    resolver: ResolutionResolver,
}

/// A better timing than the one there is, or that one with what is proved of it.
pub(super) fn improve(table: &Timetable, from: Timing, budget: &Budget) -> Timing {
    let mut best = Timing { bound: from.bound.max(table.least_end()), ..from };
    if best.bound >= best.end && best.starts.is_empty() {
        return best;
    }
    let Some(mut search) = Search::new(table, &best, budget) else { return best };
    if search.solver.is_inconsistent() {
        best.bound = best.end;
        return best;
    }
    search.shorten(&mut best, budget);
    search.hasten(&mut best, budget);
    best
}

impl<'t> Search<'t> {
    /// `None` if the budget ended while all was posted.
    fn new(table: &'t Timetable, from: &Timing, budget: &Budget) -> Option<Self> {
        let mut solver = post::solver();
        let tag = solver.new_constraint_tag();
        let starts: Vec<DomainId> = (table.durations.iter().zip(&table.releases))
            .map(|(lasts, release)| {
                let last = (from.end - lasts).max(*release);
                solver.new_bounded_integer(*release, last)
            })
            .collect();
        let end = solver.new_bounded_integer(0, from.end);
        let most = starts.iter().try_fold(0_i32, |sum, _| sum.checked_add(from.end)).unwrap_or(i32::MAX);
        let sum = solver.new_bounded_integer(0, most);
        let mut search = Post { table, solver: &mut solver, tag, starts: &starts, known: BTreeMap::new() };
        if !search.all(end, sum, budget) {
            return None;
        }
        let conditions = search.known.values().map(|(domain, _)| *domain).collect();
        let mut order: Vec<usize> = (0..starts.len()).collect();
        order.sort_by_key(|task| from.starts.get(*task).copied());
        let earliest = Earliest { starts: order.iter().map(|task| starts[*task]).collect(), conditions };
        Some(Self {
            table,
            solver,
            tag,
            starts,
            end,
            sum,
            brancher: Decider::new(earliest),
            resolver: ResolutionResolver::default(),
        })
    }

    fn ask(&mut self, hoped: &[Predicate], budget: &Budget) -> Answer {
        let mut turn = Turn::new(budget, STEPS, self.brancher.decided());
        let Self { solver, brancher, resolver, starts, .. } = self;
        let asked = solver.satisfy_under_assumptions(brancher, &mut turn, resolver, hoped);
        match asked {
            SatisfactionResultUnderAssumptions::Satisfiable(satisfiable) => {
                let solution = satisfiable.solution();
                Answer::Timing(starts.iter().map(|start| solution.get_integer_value(*start)).collect())
            }
            SatisfactionResultUnderAssumptions::UnsatisfiableUnderAssumptions(_)
            | SatisfactionResultUnderAssumptions::Unsatisfiable(_) => Answer::No,
            SatisfactionResultUnderAssumptions::Unknown(_) => Answer::Unknown,
        }
    }

    /// Brings the end forward: half of the way to the bound; where that is not decided, ever less of it.
    fn shorten(&mut self, best: &mut Timing, budget: &Budget) {
        let mut share = 2;
        while best.bound < best.end && !budget.expired() {
            let step = ((best.end - best.bound) / share).max(1);
            match self.ask(&[self.end.upper_bound_predicate(best.end - step)], budget) {
                Answer::Timing(starts) => {
                    best.end = self.table.end(&starts);
                    best.starts = starts;
                }
                Answer::No => {
                    best.bound = best.end - step + 1;
                    self.solver.add_clause([self.end.lower_bound_predicate(best.bound)], self.tag);
                }
                Answer::Unknown if step == 1 => return,
                Answer::Unknown => share = share.saturating_mul(4),
            }
        }
    }

    /// Makes the sum of all ends smaller, and the last end no later.
    fn hasten(&mut self, best: &mut Timing, budget: &Budget) {
        if best.starts.is_empty() {
            return;
        }
        let mut sum = self.table.sum(&best.starts);
        while !budget.expired() {
            let wanted = sum - (sum / PARTS).max(1);
            let Some(most) = i32::try_from(wanted).ok().filter(|most| *most >= 0) else { return };
            let hoped = [self.end.upper_bound_predicate(best.end), self.sum.upper_bound_predicate(most)];
            let Answer::Timing(starts) = self.ask(&hoped, budget) else { return };
            sum = self.table.sum(&starts);
            best.starts = starts;
        }
    }
}

/// Posts what must hold.
struct Post<'p> {
    table: &'p Timetable,
    solver: &'p mut Solver,
    tag: ConstraintTag,
    starts: &'p [DomainId],
    /// Whether one task begins when another one has ended (with 0), or only after that one has begun (with 1).
    known: BTreeMap<(usize, usize, i32), (DomainId, Literal)>,
}

impl Post<'_> {
    /// Whether that was done before the budget ended; stops where it turns out that not all can hold.
    fn all(&mut self, end: DomainId, sum: DomainId, budget: &Budget) -> bool {
        let (table, tag) = (self.table, self.tag);
        for (task, start) in self.starts.iter().enumerate() {
            let row = [start.scaled(1), end.scaled(-1)];
            less_than_or_equals(row, -table.durations[task], tag).post(self.solver);
        }
        for (first, next) in &table.rows {
            let row = [self.starts[*first].scaled(1), self.starts[*next].scaled(-1)];
            less_than_or_equals(row, -table.durations[*first], tag).post(self.solver);
        }
        let lasts: i64 = table.durations.iter().map(|lasts| i64::from(*lasts)).sum();
        let ends: Vec<_> = self.starts.iter().map(|start| start.scaled(1)).chain([sum.scaled(-1)]).collect();
        less_than_or_equals(ends, -i32::try_from(lasts).unwrap_or(i32::MAX), tag).post(self.solver);
        for shared in &table.shared {
            if self.solver.is_inconsistent() {
                return true;
            }
            self.share(shared);
        }
        for room in &table.rooms {
            if self.solver.is_inconsistent() {
                return true;
            }
            if budget.expired() {
                return false;
            }
            self.room(room);
        }
        true
    }

    fn share(&mut self, shared: &Shared) {
        let uses: Vec<(usize, i32)> = (shared.uses.iter().copied())
            .filter(|(task, amount)| *amount > 0 && self.table.durations[*task] > 0)
            .collect();
        if uses.iter().map(|(_, amount)| i64::from(*amount)).sum::<i64>() <= i64::from(shared.capacity) {
            return;
        }
        let starts: Vec<DomainId> = uses.iter().map(|(task, _)| self.starts[*task]).collect();
        let durations: Vec<i32> = uses.iter().map(|(task, _)| self.table.durations[*task]).collect();
        let amounts: Vec<i32> = uses.iter().map(|(_, amount)| *amount).collect();
        cumulative(starts, durations, amounts, shared.capacity, self.tag).post(self.solver);
    }

    /// Whenever a task begins, there is room for it and for all that have begun by then.
    fn room(&mut self, room: &Room) {
        let all: i64 = room.takes.iter().map(|(_, amount)| *amount).sum();
        if all <= room.free {
            return;
        }
        for (task, _) in &room.takes {
            let mut terms = Vec::new();
            for (other, amount) in room.takes.iter().filter(|(other, amount)| other != task && *amount > 0) {
                terms.push((self.condition(*other, *task, 1), -amount));
            }
            for (other, amount) in room.gives.iter().filter(|(other, amount)| other != task && *amount > 0) {
                terms.push((self.condition(*other, *task, 0), -amount));
            }
            let row: Vec<_> = (terms.into_iter())
                .map(|(literal, amount)| {
                    literal.get_integer_variable().scaled(i32::try_from(amount).unwrap_or(i32::MIN))
                })
                .collect();
            let most = i32::try_from(room.free - all).unwrap_or(i32::MIN);
            if !row.is_empty() {
                less_than_or_equals(row, most, self.tag).post(self.solver);
            } else if most < 0 {
                // It never has room.
                self.solver.add_clause([], self.tag);
            }
            if self.solver.is_inconsistent() {
                return;
            }
        }
    }

    /// True only if `task` begins when `other` has ended (`begun` = 0), or `other` begins after `task` (`begun` = 1).
    fn condition(&mut self, other: usize, task: usize, begun: i32) -> Literal {
        if let Some((_, literal)) = self.known.get(&(other, task, begun)) {
            return *literal;
        }
        let domain = self.solver.new_bounded_integer(0, 1);
        let literal = self.solver.new_literal_for_predicate(domain.lower_bound_predicate(1), self.tag);
        let (first, next) = (self.starts[other], self.starts[task]);
        let (row, most) = if begun == 0 {
            ([first.scaled(1), next.scaled(-1)], -self.table.durations[other])
        } else {
            ([next.scaled(1), first.scaled(-1)], -1)
        };
        less_than_or_equals(row, most, self.tag).implied_by(self.solver, literal);
        self.known.insert((other, task, begun), (domain, literal));
        literal
    }
}

#[cfg(test)]
mod tests {
    use super::{Room, Shared, Timetable, Timing, improve};
    use crate::budget::{Budget, Cancel};
    use proptest::prelude::*;
    use std::time::Duration;

    fn plenty() -> Budget {
        Budget::new(Duration::from_mins(5), None, &Cancel::default())
    }

    /// Whether a timing keeps all: looked at whenever a task begins.
    fn holds(table: &Timetable, starts: &[i32]) -> bool {
        let ends: Vec<i32> =
            starts.iter().zip(&table.durations).map(|(start, lasts)| start + lasts).collect();
        let in_time = starts.iter().zip(&table.releases).all(|(start, release)| start >= release);
        let in_rows = table.rows.iter().all(|(first, next)| ends[*first] <= starts[*next]);
        let shares = |shared: &Shared| {
            starts.iter().all(|at| {
                let under_way =
                    shared.uses.iter().filter(|(task, _)| starts[*task] <= *at && *at < ends[*task]);
                under_way.map(|(_, amount)| *amount).sum::<i32>() <= shared.capacity
            })
        };
        let rooms = |room: &Room| {
            room.takes.iter().all(|(task, _)| {
                let at = starts[*task];
                let taken = room.takes.iter().filter(|(other, _)| starts[*other] <= at);
                // None makes room for itself.
                let given = room.gives.iter().filter(|(other, _)| other != task && ends[*other] <= at);
                taken.map(|(_, amount)| *amount).sum::<i64>()
                    <= room.free + given.map(|(_, amount)| *amount).sum::<i64>()
            })
        };
        in_time && in_rows && table.shared.iter().all(shares) && table.rooms.iter().all(rooms)
    }

    /// The earliest last end and, with it, the least sum of ends, by trying all.
    fn least(table: &Timetable, horizon: i32) -> Option<(i32, i64)> {
        fn go(table: &Timetable, horizon: i32, starts: &mut Vec<i32>, best: &mut Option<(i32, i64)>) {
            let Some(lasts) = table.durations.get(starts.len()) else {
                if holds(table, starts) {
                    let value = (table.end(starts), table.sum(starts));
                    *best = Some(best.map_or(value, |best| best.min(value)));
                }
                return;
            };
            for start in 0..=horizon - lasts {
                starts.push(start);
                go(table, horizon, starts, best);
                starts.pop();
            }
        }
        let mut best = None;
        go(table, horizon, &mut Vec::new(), &mut best);
        best
    }

    fn table() -> impl Strategy<Value = Timetable> {
        let amounts = || prop::collection::vec((0..4_usize, 0..4_i64), 0..4);
        let uses = prop::collection::vec((0..4_usize, 1..4_i32), 1..5);
        (
            prop::collection::vec(0..4_i32, 4),
            prop::collection::vec(0..3_i32, 4),
            prop::collection::vec((uses, 2..5_i32), 0..3),
            prop::collection::vec((amounts(), amounts(), -2..4_i64), 0..3),
            prop::option::of((0..4_usize, 0..4_usize)),
        )
            .prop_map(|(durations, releases, shared, rooms, row)| {
                let unique = |mut list: Vec<(usize, i64)>| {
                    list.sort_unstable();
                    list.dedup_by_key(|(task, _)| *task);
                    list
                };
                let share = |(mut uses, capacity): (Vec<(usize, i32)>, i32)| {
                    uses.sort_unstable();
                    uses.dedup_by_key(|(task, _)| *task);
                    Shared { capacity, uses }
                };
                Timetable {
                    durations,
                    releases,
                    rows: row.filter(|(first, next)| first != next).into_iter().collect(),
                    shared: shared.into_iter().map(share).collect(),
                    rooms: (rooms.into_iter())
                        .map(|(takes, gives, free)| Room { free, takes: unique(takes), gives: unique(gives) })
                        .collect(),
                }
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

        #[test]
        fn the_best_timing_is_found_and_proved(table in table()) {
            const HORIZON: i32 = 9;
            let from = Timing { starts: Vec::new(), end: HORIZON + 1, bound: 0 };
            prop_assume!(table.fits(&from));
            let found = improve(&table, from, &plenty());
            match least(&table, HORIZON) {
                Some((end, sum)) => {
                    prop_assert_eq!(found.starts.len(), 4, "{:?}, not {}", found, end);
                    prop_assert!(holds(&table, &found.starts), "{:?}", found);
                    prop_assert_eq!((found.end, found.bound, table.sum(&found.starts)), (end, end, sum));
                }
                None => prop_assert!(found.starts.is_empty() && found.bound > HORIZON, "{:?}", found),
            }
        }
    }

    #[test]
    fn what_came_first_in_the_list_need_not_go_first() {
        // Two at once: 3, 3, 2, 2, 2 in the order of a list end at 7, else at 6.
        let uses = (0..5).map(|task| (task, 1)).collect();
        let table = Timetable {
            durations: vec![2, 2, 2, 3, 3],
            releases: vec![0; 5],
            shared: vec![Shared { capacity: 2, uses }],
            ..Timetable::default()
        };
        let from = Timing { starts: vec![0, 0, 2, 2, 4], end: 7, bound: 0 };
        let found = improve(&table, from, &plenty());
        assert_eq!((found.end, found.bound), (6, 6), "{found:?}");
        assert!(holds(&table, &found.starts));
    }

    #[test]
    fn more_than_its_numbers_hold_is_declined() {
        let mut table = Timetable { durations: vec![1, 1], releases: vec![0, 0], ..Timetable::default() };
        let from = Timing { starts: vec![0, 1], end: 2, bound: 0 };
        assert!(table.fits(&from));
        table.rooms.push(Room { free: 1 << 40, takes: vec![(0, 1)], gives: Vec::new() });
        assert!(!table.fits(&from));
        table.rooms.clear();
        assert!(!table.fits(&Timing { end: i32::MAX, ..from }));
    }
}
