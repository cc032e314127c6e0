//! Every order of steps of small worlds.

use super::fair::{COURSES, Course};
use super::steps::Step;
use super::*;
use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};

/// A state up to a shift of time.
pub(super) fn key(world: &World) -> u128 {
    time::BASE.set(world.now.0);
    let mut hasher = Wide(0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344);
    world.hash(&mut hasher);
    u128::from(mixed(hasher.0)) << 64 | u128::from(mixed(hasher.1))
}

/// Two hashes at once: states are many and large, and nobody chooses them to collide.
struct Wide(u64, u64);

/// splitmix64
fn mixed(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl Hasher for Wide {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        self.1 = (self.1.rotate_left(31) ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93).wrapping_add(word >> 32);
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        mixed(self.0)
    }
}

/// What an exploration has seen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::partition) struct Explored {
    pub(in crate::partition) states: usize,
    pub(in crate::partition) ends: usize,
    /// Partitions that were absorbed on the way to the ends.
    pub(in crate::partition) merges: u64,
    /// These are all states that there are.
    pub(in crate::partition) complete: bool,
}

/// Explores breadth first, up to so many states. From each state (or from every `settle`th of them) the world must
/// come to rest when nothing more goes wrong, whichever of some orders things happen in then.
///
/// # Panics
/// Where something does not hold, with the steps that lead there.
pub(in crate::partition) fn explore(plan: &Plan, most: usize, settle: usize) -> Explored {
    let first = World::new(plan);
    let mut seen = HashSet::from([key(&first)]);
    let mut calm: Vec<HashSet<u128>> = COURSES.iter().map(|_| HashSet::new()).collect();
    // How each state was come to: from which one, by which step.
    let mut trail: Vec<(usize, Option<Step>)> = vec![(0, None)];
    let mut queue = VecDeque::from([(first, 0)]);
    let mut explored = Explored { complete: true, ..Explored::default() };
    while let Some((world, place)) = queue.pop_front() {
        explored.states += 1;
        let steps = world.steps();
        if steps.is_empty() {
            explored.ends += 1;
            explored.merges += world.seen.merges;
        }
        if explored.states.is_multiple_of(settle) || steps.is_empty() {
            for (course, calm) in COURSES.into_iter().zip(&mut calm) {
                if let Err(why) = world.clone().settle_by(course, 20_000, Some(calm)) {
                    panic!("{course:?}: {why}\n{}", replay(plan, &way(&trail, place), Some(course)));
                }
            }
        }
        for step in steps {
            let mut next = world.clone();
            next.take(&step);
            if let Some(why) = next.violated() {
                let path: Vec<Step> = way(&trail, place).into_iter().chain([step]).collect();
                panic!("{why}\n{}", replay(plan, &path, None));
            }
            if seen.insert(key(&next)) {
                if seen.len() >= most {
                    explored.complete = false;
                    continue;
                }
                trail.push((place, Some(step)));
                queue.push_back((next, trail.len() - 1));
            }
        }
    }
    explored
}

/// The steps that lead to a state.
fn way(trail: &[(usize, Option<Step>)], mut place: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    while let (before, Some(step)) = &trail[place] {
        steps.push(step.clone());
        place = *before;
    }
    steps.reverse();
    steps
}

/// What happened on a path, for people.
pub(in crate::partition) fn replay(plan: &Plan, path: &[Step], settle: Option<Course>) -> String {
    let mut world = World::new(plan);
    world.seen.keep_log = true;
    for step in path {
        world.take(step);
    }
    if let Some(course) = settle {
        world.seen.log.push("-- nothing goes wrong any more --".to_owned());
        let _ = world.settle_by(course, 300, None);
    }
    format!("{plan:?}\n{}\n{}", world.seen.log.join("\n"), world.summary())
}
