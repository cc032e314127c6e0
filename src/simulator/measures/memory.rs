//! What members of a strategy keep in memory.

use crate::simulator::ids::Agent;
use serde::Serialize;

/// Of each member, the most that it has kept at a sample, and the largest view that it had to decide on, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    state: Vec<u64>,
    view: Vec<u64>,
}

/// What is told of it. An estimate: what collections hold, by the size of what is in them, without what they keep in reserve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, serde::Deserialize)]
pub struct MemoryReport {
    /// Of the member that has kept most, bytes.
    pub busiest_bytes: u64,
    /// Of all members, agents of hosts among them, bytes.
    pub mean_bytes: f64,
}

impl Memory {
    /// Nothing yet.
    #[must_use]
    pub fn new(agents: usize) -> Self {
        Self { state: vec![0; agents], view: vec![0; agents] }
    }

    pub(in crate::simulator) fn keeps(&mut self, agent: Agent, bytes: u64) {
        let state = &mut self.state[agent.index()];
        *state = (*state).max(bytes);
    }

    pub(in crate::simulator) fn views(&mut self, agent: Agent, bytes: u64) {
        let view = &mut self.view[agent.index()];
        *view = (*view).max(bytes);
    }

    /// What is told of it.
    #[must_use]
    pub fn report(&self) -> MemoryReport {
        let both = || self.state.iter().zip(&self.view).map(|(state, view)| state + view);
        let count = self.state.len().max(1) as f64;
        MemoryReport {
            busiest_bytes: both().max().unwrap_or(0),
            mean_bytes: both().sum::<u64>() as f64 / count,
        }
    }
}

/// Bytes of so many things of a kind.
#[must_use]
pub fn bytes_of<T>(count: usize) -> u64 {
    (count * size_of::<T>()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_its_largest_state_and_its_largest_view() {
        let mut memory = Memory::new(4);
        memory.keeps(Agent(1), 100);
        memory.keeps(Agent(1), 40);
        memory.views(Agent(1), 7);
        memory.views(Agent(2), 53);
        let report = memory.report();
        assert_eq!((report.busiest_bytes, report.mean_bytes), (107, 40.0));
        assert_eq!((bytes_of::<u64>(3), Memory::new(0).report().mean_bytes), (24, 0.0));
    }
}
