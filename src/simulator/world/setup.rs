//! What a world begins with.

use super::power::Power;
use crate::simulator::ids::HostId;

/// Bytes of a MiB.
pub const MIB: f64 = 1_048_576.0;

/// A host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostSetup {
    /// Milli-cores.
    pub cpu: u32,
    /// MiB.
    pub memory: u32,
    /// Index into [`Setup::powers`].
    pub power: u16,
    /// Where it stands; sites are numbered from 0.
    pub site: u16,
}

/// A VM.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VmSetup {
    /// Where it runs; [`HostId::NOWHERE`] where it comes later.
    pub host: HostId,
    /// Milli-cores that it needs at the start.
    pub cpu: u32,
    /// MiB.
    pub memory: u32,
    /// What it writes while it has a core for itself, as a share of the bandwidth of a migration (0 to 1).
    pub dirty: f64,
}

/// Links.
#[derive(Debug, Clone, PartialEq)]
pub struct Links {
    /// What a host can send, and receive, bytes a second.
    pub nic: f64,
    /// What a site can send to others, and receive, bytes a second; infinite = any amount.
    pub site: f64,
    /// What all transfers share, bytes a second; infinite = any amount.
    pub backbone: f64,
}

/// How migrations go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MigrationModel {
    /// Bytes a second that one migration can use.
    pub limit: f64,
    /// Seconds in which a VM stands still at the end and is switched over.
    pub switch_s: f64,
    /// Whether the VMs of a host share one core, so that each writes less where there are many: the model of `SimGrid` as
    /// `VMPlaceS` uses it. Else each writes all the time.
    pub shared_core: bool,
    /// Share of a VM's CPU that it loses while it is moved, for PDM.
    pub slowdown: f64,
}

/// The whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// By number.
    pub hosts: Vec<HostSetup>,
    /// By number.
    pub vms: Vec<VmSetup>,
    /// Kinds of hosts by what they draw.
    pub powers: Vec<Power>,
    /// Links.
    pub links: Links,
    /// Migrations.
    pub migration: MigrationModel,
}
