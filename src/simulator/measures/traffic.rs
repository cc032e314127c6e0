//! Messages between agents.

use crate::simulator::ids::Agent;
use serde::{Deserialize, Serialize};

/// Bytes of a message besides what it says.
pub const HEADER_BYTES: u64 = 64;
/// Bytes that tell a host.
pub const HOST_BYTES: u64 = 24;
/// Bytes that tell a VM.
pub const VM_BYTES: u64 = 32;

/// All messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    count: u64,
    bytes: u64,
    lost: u64,
    /// Sent and received, by agent.
    handled: Vec<u64>,
    handled_bytes: Vec<u64>,
}

/// What is told of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrafficReport {
    /// How many were sent.
    pub messages: u64,
    /// How much.
    pub bytes: u64,
    /// That did not arrive.
    pub lost: u64,
    /// A second and host.
    pub messages_per_host_s: f64,
    /// A second and host.
    pub bytes_per_host_s: f64,
    /// Messages that the busiest agent has sent and received.
    pub busiest_messages: u64,
    /// Bytes that the busiest agent has sent and received.
    pub busiest_bytes: u64,
}

impl Traffic {
    /// None yet.
    #[must_use]
    pub fn new(agents: usize) -> Self {
        Self { count: 0, bytes: 0, lost: 0, handled: vec![0; agents], handled_bytes: vec![0; agents] }
    }

    /// So many messages of together so many bytes go from one to another.
    pub(in crate::simulator) fn send(&mut self, from: Agent, to: Agent, count: u64, bytes: u64) {
        self.count += count;
        self.bytes += bytes;
        for agent in [from, to] {
            self.handled[agent.index()] += count;
            self.handled_bytes[agent.index()] += bytes;
        }
    }

    pub(in crate::simulator) fn lose(&mut self) {
        self.lost += 1;
    }

    /// How many were sent so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What is told of them.
    #[must_use]
    pub fn report(&self, hosts: usize, seconds: f64) -> TrafficReport {
        let time = (hosts as f64 * seconds).max(f64::MIN_POSITIVE);
        TrafficReport {
            messages: self.count,
            bytes: self.bytes,
            lost: self.lost,
            messages_per_host_s: self.count as f64 / time,
            bytes_per_host_s: self.bytes as f64 / time,
            busiest_messages: self.handled.iter().copied().max().unwrap_or(0),
            busiest_bytes: self.handled_bytes.iter().copied().max().unwrap_or(0),
        }
    }
}
