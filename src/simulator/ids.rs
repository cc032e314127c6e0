//! Numbers of hosts, VMs and agents: indices into arrays, from 0.

/// A host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u32);

/// A VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VmId(pub u32);

/// Who decides something: the agent of a host has its number; services (managers, coordinators) come after all hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Agent(pub u32);

impl HostId {
    /// Of a VM that is not there, or not any more.
    pub const NOWHERE: Self = Self(u32::MAX);

    /// Its place in arrays.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The agent that runs on it.
    #[must_use]
    pub fn agent(self) -> Agent {
        Agent(self.0)
    }
}

impl VmId {
    /// Its place in arrays.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl Agent {
    /// Its place in arrays.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
