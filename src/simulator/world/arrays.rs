//! Hosts and VMs as arrays of each property: what an event touches is near together, and a million VMs fit.

use super::setup::Setup;
use crate::simulator::ids::{HostId, VmId};

pub(super) const NONE: u32 = u32::MAX;

/// Whether a host runs VMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostState {
    /// It does.
    On,
    /// Switched off; empty.
    Off,
    /// Being switched on.
    Booting,
    /// It has failed; its VMs are down until it is up again.
    Failed,
}

#[derive(Debug, Clone)]
pub(super) struct Hosts {
    pub(super) state: Vec<HostState>,
    pub(super) cpu: Vec<u32>,
    pub(super) memory: Vec<u32>,
    pub(super) power: Vec<u16>,
    pub(super) site: Vec<u16>,
    /// Milli-cores that its VMs need.
    pub(super) demand: Vec<u32>,
    /// The same once all migrations under way have ended.
    pub(super) expected: Vec<u32>,
    /// MiB of its VMs, and of those that are coming.
    pub(super) held: Vec<u32>,
    pub(super) count: Vec<u32>,
    pub(super) leaving: Vec<u16>,
    pub(super) coming: Vec<u16>,
    pub(super) over: Vec<bool>,
    /// Another number whenever something of it, or of its VMs, is another.
    pub(super) version: Vec<u32>,
    pub(super) draw: Vec<super::Draw>,
    /// Seconds of what its VMs ask for that it has not given, until `lacked_at`; and by how much a second that grows.
    pub(super) lacked: Vec<f64>,
    pub(super) lacked_at: Vec<f64>,
    pub(super) lacks: Vec<f64>,
}

#[derive(Debug, Clone)]
pub(super) struct Vms {
    pub(super) host: Vec<u32>,
    pub(super) demand: Vec<u32>,
    pub(super) memory: Vec<u32>,
    pub(super) dirty: Vec<f32>,
    /// Its migration, or none.
    pub(super) migration: Vec<u32>,
    /// When it last came somewhere.
    pub(super) moved: Vec<f64>,
    /// Milli-core-seconds that it has asked for until `asked_at`, and that migrations have cost it.
    pub(super) asked: Vec<f64>,
    pub(super) asked_at: Vec<f64>,
    pub(super) lost: Vec<f64>,
    /// Milli-core-seconds that it has not got, until its host had lacked so much.
    pub(super) lacked: Vec<f64>,
    pub(super) lacked_from: Vec<f64>,
    /// Whether it has ever run.
    pub(super) came: Vec<bool>,
}

impl Hosts {
    pub(super) fn new(setup: &Setup) -> Self {
        let count = setup.hosts.len();
        Self {
            state: vec![HostState::On; count],
            cpu: setup.hosts.iter().map(|host| host.cpu).collect(),
            memory: setup.hosts.iter().map(|host| host.memory).collect(),
            power: setup.hosts.iter().map(|host| host.power).collect(),
            site: setup.hosts.iter().map(|host| host.site).collect(),
            demand: vec![0; count],
            expected: vec![0; count],
            held: vec![0; count],
            count: vec![0; count],
            leaving: vec![0; count],
            coming: vec![0; count],
            over: vec![false; count],
            version: vec![0; count],
            draw: vec![super::Draw::default(); count],
            lacked: vec![0.0; count],
            lacked_at: vec![0.0; count],
            lacks: vec![0.0; count],
        }
    }

    pub(super) fn touch(&mut self, host: HostId) {
        let version = &mut self.version[host.index()];
        *version = version.wrapping_add(1);
    }

    pub(super) fn is_migrating(&self, host: HostId) -> bool {
        self.leaving[host.index()] + self.coming[host.index()] > 0
    }
}

impl Vms {
    pub(super) fn new(setup: &Setup) -> Self {
        let count = setup.vms.len();
        Self {
            host: setup.vms.iter().map(|vm| vm.host.0).collect(),
            demand: setup.vms.iter().map(|vm| vm.cpu).collect(),
            memory: setup.vms.iter().map(|vm| vm.memory).collect(),
            dirty: setup.vms.iter().map(|vm| vm.dirty as f32).collect(),
            migration: vec![NONE; count],
            moved: vec![f64::NEG_INFINITY; count],
            asked: vec![0.0; count],
            asked_at: vec![0.0; count],
            lost: vec![0.0; count],
            lacked: vec![0.0; count],
            lacked_from: vec![0.0; count],
            came: setup.vms.iter().map(|vm| vm.host != HostId::NOWHERE).collect(),
        }
    }

    /// Milli-core-seconds that a VM has asked for.
    pub(super) fn asked_until(&self, vm: VmId, now: f64) -> f64 {
        let vm = vm.index();
        let needs = if self.host[vm] == NONE { 0.0 } else { f64::from(self.demand[vm]) };
        self.asked[vm] + needs * (now - self.asked_at[vm])
    }
}
