//! What happens from some state on when nothing goes wrong any more.

use super::brief::names;
use super::steps::Step;
use super::*;

impl World {
    /// Lets all come back and everything arrive in order. Gives the number of steps until the end, or why there is
    /// none.
    pub(in crate::partition) fn settle(&mut self, most: usize) -> Result<usize, String> {
        self.faults = Faults::default();
        self.cut.clear();
        let told = self.seen.unsolved;
        for count in 0..most {
            if let Some(why) = self.violated() {
                return Err(why);
            }
            let solvable = self.is_solvable();
            if solvable && self.is_at_rest() || !solvable && self.seen.unsolved > told {
                return Ok(count);
            }
            let steps = self.steps();
            let restart = steps.iter().find(|step| matches!(step, Step::Restart(_)));
            let Some(step) = restart.or(steps.first()).cloned() else {
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
