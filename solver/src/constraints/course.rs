//! What rules ask of a schedule, in terms that it understands: limits on how much there may be at once, gates
//! that are open or closed to a move, and latches that open once all who must go first have gone.

use crate::model::{Amount, HostId, HostState, Placement, Problem, ScopeId, Site, VmId};

/// Something of which there is only so much room at any instant.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    pub(crate) pools: Pools,
    /// Room of each of its pools when nothing is in it.
    pub(crate) rooms: Vec<Amount>,
    /// Who counts; `None` = every VM.
    pub(crate) vms: Option<Vec<VmId>>,
    /// What a VM takes: this resource, or 1.
    pub(crate) resource: Option<usize>,
    /// A VM that moves within a pool is there twice.
    pub(crate) twice: bool,
}

/// Which pool of a limit each host is in.
#[derive(Debug, Clone)]
pub(crate) enum Pools {
    /// Each value of a scope is one.
    Values(ScopeId),
    /// These hosts (sorted) are in one, the others in none.
    Some(Vec<(HostId, u32)>),
}

impl Pools {
    pub(crate) fn of(&self, problem: &Problem, host: HostId) -> Option<usize> {
        match self {
            Self::Values(scope) => Some(problem.scopes[scope.index()].value_of[host.index()] as usize),
            Self::Some(pools) => {
                let at = pools.binary_search_by_key(&host, |(host, _)| *host).ok()?;
                Some(pools[at].1 as usize)
            }
        }
    }
}

/// A move that asks a gate.
pub(crate) struct Pass<'p> {
    pub(crate) problem: &'p Problem,
    pub(crate) vm: VmId,
    /// Nowhere: it is started.
    pub(crate) from: Option<Site>,
    /// On the same host if it goes to other NUMA nodes there.
    pub(crate) to: Site,
    /// Where the VM begins and where it ends.
    pub(crate) start: Option<Site>,
    pub(crate) end: Option<Site>,
}

/// Whether moves are allowed at all.
pub(crate) struct Gate {
    /// Who asks; `None` = every VM that comes to one of `hosts`.
    pub(crate) vms: Option<Vec<VmId>>,
    pub(crate) hosts: Vec<HostId>,
    pub(crate) opens: Box<dyn Fn(&Pass<'_>) -> bool>,
}

/// Some moves wait until all of others have ended, and some hosts have been booted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latch {
    /// VMs that must have left these hosts.
    pub(crate) leave: Vec<(VmId, HostId)>,
    /// VMs that must have come to where they end.
    pub(crate) arrive: Vec<VmId>,
    /// Hosts that must have been booted.
    pub(crate) boots: Vec<HostId>,
    /// What waits: every move of these VMs.
    pub(crate) vms: Vec<VmId>,
    /// What waits: moves to these hosts of all VMs, or of some.
    pub(crate) hosts: Vec<HostId>,
    pub(crate) only: Option<Vec<VmId>>,
    /// What waits: that these hosts are shut down. Only beside `leave` and `boots`.
    pub(crate) offs: Vec<HostId>,
}

/// A host is booted once another one has been shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Relay {
    pub(crate) boot: HostId,
    pub(crate) off: HostId,
}

/// An action as a rule about plans sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act {
    pub(crate) vm: VmId,
    /// Nowhere: it is started.
    pub(crate) from: Option<HostId>,
    pub(crate) to: HostId,
    pub(crate) start_s: f64,
    pub(crate) end_s: f64,
}

/// What is collected for the schedule to a placement.
pub(crate) struct Course<'a> {
    pub(crate) problem: &'a Problem,
    pub(crate) start: &'a Placement,
    pub(crate) to: &'a Placement,
    /// Of all hosts, at the end.
    pub(crate) states: &'a [HostState],
    /// Hosts that are off at both ends and up in between.
    pub(crate) passing: &'a [HostId],
    pub(crate) limits: Vec<Limit>,
    pub(crate) gates: Vec<Gate>,
    pub(crate) latches: Vec<Latch>,
    pub(crate) relays: Vec<Relay>,
    /// VMs whose last migrations end together.
    pub(crate) together: Vec<Vec<VmId>>,
    /// More is asked than the rules demand: that there is no schedule proves nothing.
    pub(crate) narrow: bool,
    /// The end cannot be come to, as far as is known here.
    pub(crate) blocked: Vec<VmId>,
}

impl<'a> Course<'a> {
    pub(crate) fn new(
        problem: &'a Problem,
        start: &'a Placement,
        to: &'a Placement,
        states: &'a [HostState],
        passing: &'a [HostId],
    ) -> Self {
        Self {
            problem,
            start,
            to,
            states,
            passing,
            limits: Vec::new(),
            gates: Vec::new(),
            latches: Vec::new(),
            relays: Vec::new(),
            together: Vec::new(),
            narrow: false,
            blocked: Vec::new(),
        }
    }

    /// VMs that run on some hosts at the start, each with its host.
    pub(super) fn running_on(&self, hosts: impl Fn(&HostId) -> bool) -> Vec<(VmId, HostId)> {
        let there = self.start.iter().enumerate();
        there.filter_map(|(vm, host)| Some((VmId::from(vm), host.filter(&hosts)?))).collect()
    }

    /// There is no way, as far as is known here.
    pub(super) fn block_all(&mut self) {
        let sites = self.start.sites().zip(self.to.sites()).enumerate();
        self.blocked.extend(sites.filter(|(_, (start, to))| start != to).map(|(vm, _)| VmId::from(vm)));
    }

    /// Whether a VM does not end where it starts.
    pub(crate) fn moves(&self, vm: VmId) -> bool {
        self.start.site(vm.index()) != self.to.site(vm.index())
    }

    /// Lets only some moves of these VMs be.
    pub(crate) fn gate(&mut self, vms: &[VmId], opens: impl Fn(&Pass<'_>) -> bool + 'static) {
        self.gates.push(Gate { vms: Some(vms.to_vec()), hosts: Vec::new(), opens: Box::new(opens) });
    }

    /// Lets only some VMs come to these hosts.
    pub(crate) fn gate_hosts(&mut self, hosts: Vec<HostId>, opens: impl Fn(&Pass<'_>) -> bool + 'static) {
        self.gates.push(Gate { vms: None, hosts, opens: Box::new(opens) });
    }
}
