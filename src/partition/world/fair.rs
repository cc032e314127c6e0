//! What happens from some state on when nothing goes wrong any more.

use super::brief::names;
use super::steps::Step;
use super::*;
use std::collections::HashSet;

/// In which order what can happen does, where nothing goes wrong. Time passes only when nothing else can happen, so that
/// each of these lets everything happen in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::partition) enum Course {
    /// Messages before solvers and agents, those of the first member before those of others.
    First,
    /// The other way round.
    Last,
    /// At random, by this seed.
    Any(u64),
}

/// The courses that are tried from each state.
pub(in crate::partition) const COURSES: [Course; 4] =
    [Course::First, Course::Last, Course::Any(1), Course::Any(2)];

impl Course {
    /// Which of so many is next, as the how manieth step.
    fn choose(self, among: usize, count: usize) -> usize {
        match self {
            Self::First => 0,
            Self::Last => among - 1,
            Self::Any(seed) => {
                let mixed = (count as u64 ^ (seed << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) as usize % among
            }
        }
    }
}

impl World {
    /// Lets all come back and everything arrive in order. Gives the number of steps until the end, or why there is
    /// none.
    pub(in crate::partition) fn settle(&mut self, most: usize) -> Result<usize, String> {
        self.settle_by(Course::First, most, None)
    }

    /// The same in some order. `calm` = states from which the end was reached before, where this need not be seen again;
    /// those on the way are added.
    pub(in crate::partition) fn settle_by(
        &mut self,
        course: Course,
        most: usize,
        mut calm: Option<&mut HashSet<u128>>,
    ) -> Result<usize, String> {
        self.faults = Faults::default();
        self.cut.clear();
        let told = self.seen.unsolved;
        let mut on_the_way = Vec::new();
        for count in 0..most {
            if let Some(why) = self.violated() {
                return Err(why);
            }
            let solvable = self.is_solvable();
            let ended = solvable && self.is_at_rest() || !solvable && self.seen.unsolved > told;
            let state = calm.is_some().then(|| explore::key(self));
            let known = state.is_some_and(|state| calm.as_ref().is_some_and(|calm| calm.contains(&state)));
            if ended || known {
                if let Some(calm) = &mut calm {
                    calm.extend(on_the_way);
                }
                return Ok(count);
            }
            on_the_way.extend(state);
            let steps = self.steps();
            let restart = steps.iter().find(|step| matches!(step, Step::Restart(_)));
            let among = steps.iter().collect::<Vec<_>>();
            let next = || (!among.is_empty()).then(|| among[course.choose(among.len(), count)]);
            let Some(step) = restart.or_else(next).cloned() else {
                return Err(format!("nothing happens any more: {}", self.summary()));
            };
            self.take(&step);
        }
        Err(format!("no end after {most} steps: {}", self.summary()))
    }

    /// The state in a few words.
    pub(in crate::partition) fn summary(&self) -> String {
        let rooms = self.room.iter().map(|(host, room)| format!("{host}:{room}"));
        let mut parts = vec![names(rooms)];
        for (member, node) in &self.nodes {
            for (id, led) in node.partitions() {
                let hosts: Vec<_> = led.hosts().into_keys().collect();
                parts.push(format!("{member} leads {id} {} with {}", led.stage().name(), names(hosts)));
            }
            for (host, held) in node.ledger().held() {
                parts.push(format!("{host} held by {}", held.partition));
            }
            for (key, in_hand) in node.events() {
                parts.push(format!("{key} in hand of {}", names(in_hand)));
            }
        }
        parts.join("; ")
    }
}
