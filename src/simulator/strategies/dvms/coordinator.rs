//! A coordinator: what it knows, and what it is doing.

use super::KINDS;
use super::picture::{Picture, host_of};
use super::settings::Ringed;
use super::words::Word;
use crate::partition::relief;
use crate::partition::sizing::{self, Receiver};
use crate::partition::{Facts, Held, Host, Kind, Member, Node, PartitionId, Partitions};
use crate::simulator::decision::Move;
use crate::simulator::engine::{Context, View};
use crate::simulator::ids::{Agent, HostId, VmId};
use crate::simulator::world::HostState;
use dvms_solver::lack::Lack;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// A member of the ring.
#[derive(Debug)]
pub(super) struct Coordinator {
    /// The agent of the first host of its cell: it runs there.
    pub(super) agent: Agent,
    pub(super) member: Member,
    /// Its part of the protocol; `None` while it is down.
    pub(super) node: Option<Node>,
    /// How often it has begun anew.
    pub(super) life: u64,
    /// How often the agent that it runs beside has begun anew alone.
    pub(super) agent_life: u32,
    /// The hosts of its cell.
    pub(super) cell: BTreeMap<HostId, Kept>,
    /// What it knows of any other.
    nothing: Kept,
    /// Hosts that have come from other coordinators, which are to be told: whose they were.
    pub(super) claims: BTreeMap<HostId, usize>,
    /// Hosts of the cell that are over, by what was told last.
    pub(super) over: BTreeSet<HostId>,
    /// Hosts of others that partitions led here have, or get, and when they were shown.
    pub(super) neighbours: BTreeMap<HostId, (Rc<Picture>, f64)>,
    /// Hosts that the cell's own plans have.
    pub(super) table: Partitions,
    /// What is being solved or carried out.
    pub(super) jobs: BTreeMap<u32, Job>,
    /// Of the partitions that are led here.
    pub(super) led: BTreeMap<PartitionId, u32>,
    /// Jobs that have a solver, and those that wait for one.
    pub(super) solving: BTreeSet<u32>,
    pub(super) line: VecDeque<(u32, View)>,
    /// When the protocol is called next, in its milliseconds.
    pub(super) wake: u64,
    /// Whether leaders elsewhere are shown their hosts.
    pub(super) shows: bool,
}

/// A host of the cell.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    pub(super) picture: Option<Rc<Picture>>,
    /// When its agent was heard last.
    pub(super) heard: f64,
    /// What the protocol was told of it.
    pub(super) facts: Option<Facts>,
    /// Whether it was another coordinator's before.
    pub(super) came: bool,
    /// Its overload.
    pub(super) over: Trouble,
    /// Its underload.
    pub(super) under: Trouble,
    /// Since when so little of it is used.
    pub(super) calm_since: Option<f64>,
    /// Since when it is empty.
    pub(super) empty_since: Option<f64>,
    /// How it was put to sleep, or is woken.
    pub(super) rest: Rest,
}

/// Whether a host sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Rest {
    /// It does not.
    #[default]
    Awake,
    /// It was told to, and is not counted on.
    Asleep,
    /// It was woken, and has not told anything since.
    Waking,
}

impl Kept {
    pub(super) fn trouble(&self, kind: Kind) -> &Trouble {
        if kind.is_thrift() { &self.under } else { &self.over }
    }

    pub(super) fn trouble_mut(&mut self, kind: Kind) -> &mut Trouble {
        if kind.is_thrift() { &mut self.under } else { &mut self.over }
    }
}

/// An overload or underload of a host.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trouble {
    pub(super) care: Care,
    /// Nothing is begun for it before.
    pub(super) rests_until: f64,
    /// Plans in a row that did not help.
    pub(super) misses: u32,
    /// When a host was woken for it that is not there yet.
    pub(super) woke_at: Option<f64>,
}

/// Who has a trouble in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Care {
    /// Nobody.
    #[default]
    Nobody,
    /// A plan of the cell.
    Cell,
    /// It is an event of the protocol.
    Ring {
        /// Its plan is carried out.
        acted: bool,
        /// The last plan did not do what it was for.
        missed: bool,
        /// The last plan found nothing to do.
        idle: bool,
        /// Plans that have failed.
        failed: u32,
    },
}

/// A plan from its first solve on.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) answers: Answers,
    /// What the last plan leaves undone.
    pub(super) lack: Option<Lack>,
    /// The best so far, of those that leave something: how much CPU, and the plan.
    pub(super) best: Option<(i64, Vec<Move>)>,
    /// The plan.
    pub(super) moves: Vec<Move>,
    /// It is carried out.
    pub(super) acts: bool,
}

/// What a plan is for.
#[derive(Debug)]
pub(super) enum Answers {
    /// Troubles of the cell, on hosts of the cell.
    Cell { kind: Kind, hosts: BTreeSet<HostId>, troubles: Vec<HostId>, wider: u32, whole: bool },
    /// A partition of the protocol, with what of its troubles is of this cell.
    Ring {
        partition: PartitionId,
        version: u64,
        hosts: BTreeMap<Host, Held>,
        /// The most urgent of what it is for.
        kind: Kind,
        own: Vec<(Kind, HostId)>,
        whole: bool,
    },
}

impl Answers {
    /// The most urgent of what it is for.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Cell { kind, .. } | Self::Ring { kind, .. } => *kind,
        }
    }

    /// Whose plan it is.
    pub(super) fn hosts(&self) -> Vec<HostId> {
        match self {
            Self::Cell { hosts, .. } => hosts.iter().copied().collect(),
            Self::Ring { hosts, .. } => hosts.keys().map(|host| host_of(host.as_str())).collect(),
        }
    }
}

/// Hosts that a trouble needs.
pub(super) struct Ask {
    pub(super) kind: Kind,
    pub(super) hosts: BTreeSet<HostId>,
    pub(super) troubles: Vec<HostId>,
    pub(super) whole: bool,
    pub(super) short: bool,
    /// The VM that is to leave, where one is enough: no other one is looked at.
    pub(super) only: Option<VmId>,
}

impl Coordinator {
    pub(super) fn new(agent: Agent, member: Member, hosts: impl Iterator<Item = HostId>) -> Self {
        Self {
            agent,
            member,
            node: None,
            life: 0,
            agent_life: 0,
            cell: hosts.map(|host| (host, Kept::default())).collect(),
            nothing: Kept::default(),
            claims: BTreeMap::new(),
            over: BTreeSet::new(),
            neighbours: BTreeMap::new(),
            table: Partitions::new(),
            jobs: BTreeMap::new(),
            led: BTreeMap::new(),
            solving: BTreeSet::new(),
            line: VecDeque::new(),
            wake: u64::MAX,
            shows: false,
        }
    }

    /// It is down, and forgets all but which hosts it has, and whose they were.
    pub(super) fn forget(&mut self) {
        let (hosts, claims) = (std::mem::take(&mut self.cell), std::mem::take(&mut self.claims));
        let (life, agent_life) = (self.life, self.agent_life);
        *self = Self {
            life,
            agent_life,
            claims,
            ..Self::new(self.agent, self.member.clone(), hosts.into_keys())
        };
    }

    /// Whether it runs, and has not begun anew since.
    pub(super) fn lives(&self, life: u32) -> bool {
        self.node.is_some() && self.life as u32 == life
    }

    /// Wakes it after so many seconds, unless it fails.
    pub(super) fn timer(&self, seconds: f64, kind: u32, context: &mut Context<Word>) {
        context.timer(self.agent, seconds, kind + KINDS * self.life as u32);
    }

    /// Whether a host is of its cell.
    pub(super) fn has(&self, host: HostId) -> bool {
        self.cell.contains_key(&host)
    }

    pub(super) fn kept(&self, host: HostId) -> &Kept {
        self.cell.get(&host).unwrap_or(&self.nothing)
    }

    /// Of a host that is not of the cell something that is forgotten.
    pub(super) fn kept_mut(&mut self, host: HostId) -> &mut Kept {
        if let Some(kept) = self.cell.get_mut(&host) {
            return kept;
        }
        self.nothing = Kept::default();
        &mut self.nothing
    }

    /// Hosts of the cell that are known, and are heard.
    pub(super) fn known(&self, now: f64, lost_after: f64) -> impl Iterator<Item = (HostId, &Picture)> {
        self.cell.iter().filter_map(move |(host, kept)| {
            let heard = now <= kept.heard + lost_after && kept.rest == Rest::Awake;
            Some((*host, &**kept.picture.as_ref().filter(|_| heard)?))
        })
    }

    /// What the protocol is to know of a host of the cell.
    pub(super) fn facts(&self, host: HostId, name: &Host, how: &Ringed, now: f64) -> Facts {
        let kept = self.kept(host);
        let Some(picture) = &kept.picture else { return Facts::default() };
        Facts {
            room: picture.free(how.fill),
            takes: now <= kept.heard + how.lost_after_s
                && picture.host.now.state == HostState::On
                && kept.rest == Rest::Awake
                // Where hosts are emptied, others are given empty ones only when all hosts are asked for.
                && (how.under == 0.0 || picture.host.now.vms > 0),
            busy: picture.host.now.migrating || self.table.holder(name.as_str()).is_some(),
        }
    }

    /// Whether a host of the cell is not to be had for another plan of the cell than `but`.
    pub(super) fn is_busy(&self, host: HostId, name: &Host, but: Option<&str>) -> bool {
        let held = self.table.holder(name.as_str());
        if held.is_some() && held == but {
            return false;
        }
        let ledger = self.node.as_ref().map(Node::ledger);
        let lent = |ledger: &crate::partition::Ledger| {
            ledger.holder(name).is_some() || ledger.unsettled(name).is_some()
        };
        let moving = self.kept(host).picture.as_ref().is_some_and(|picture| picture.host.now.migrating);
        held.is_some() || moving || ledger.is_some_and(lent)
    }

    /// Whether a trouble can be worked on now.
    pub(super) fn is_due(&self, kind: Kind, host: HostId, now: f64) -> bool {
        let trouble = self.kept(host).trouble(kind);
        trouble.care == Care::Nobody && trouble.rests_until <= now
    }

    /// What to reserve for the first of the troubles `due` that can be worked on; the others that concern the same hosts only
    /// are answered with it. `but` = the plan that asks for more.
    pub(super) fn ask(
        &self,
        due: &[HostId],
        wider: u32,
        but: Option<&str>,
        (names, how, now): (&[Host], &Ringed, f64),
    ) -> Option<Ask> {
        let busy = |host: HostId| self.is_busy(host, &names[host.index()], but);
        due.iter().find_map(|first| {
            let picture = self.kept(*first).picture.as_ref()?;
            if busy(*first) {
                return None;
            }
            let (need, mut waits) = (picture.excess(how.fill), false);
            let mut receivers = Vec::new();
            for (host, other) in self.known(now, how.lost_after_s).filter(|(host, _)| host != first) {
                if busy(host) {
                    waits = true;
                } else {
                    let troubled = due.contains(&host);
                    let free = other.free(how.fill);
                    receivers.push(Receiver { host, free, troubled, likely: false });
                }
            }
            if receivers.is_empty() && waits {
                return None;
            }
            if wider == 0 && how.roomy {
                let usual = (how.usual_s > 0.0).then_some((now, how.usual_s));
                let ends = receivers.iter().filter(|receiver| !receiver.troubled).filter_map(|receiver| {
                    let picture = self.kept(receiver.host).picture.as_ref()?;
                    Some((picture.host.now.vms > 0, picture.end(how.fill, usual)))
                });
                let (in_use, empty): (Vec<_>, Vec<_>) =
                    ends.partition(|(in_use, _)| *in_use || how.under == 0.0);
                let from = picture.end(how.fill, None);
                // Where hosts are emptied, VMs go to empty ones only where no other one has room.
                let found = [in_use, empty].iter().find_map(|ends| {
                    let ends: Vec<_> = ends.iter().map(|(_, end)| *end).collect();
                    relief::relieve(&picture.movable(), &from, &ends)
                });
                if let Some((vm, to)) = found {
                    let (hosts, troubles) = (BTreeSet::from([*first, to]), vec![*first]);
                    let (kind, only) = (Kind::Overload, Some(vm));
                    return Some(Ask { kind, hosts, troubles, whole: false, short: false, only });
                }
            }
            sizing::rank(&mut receivers, need);
            let least = sizing::least(picture.demands(), need);
            let size = sizing::size(&receivers, picture.wanted(how.fill), least, how.fewest as usize, wider);
            let mut hosts = BTreeSet::from([*first]);
            hosts.extend(receivers.iter().take(size.count).map(|receiver| receiver.host));
            let others = due.iter().filter(|other| *other != first && hosts.contains(other));
            let troubles = std::iter::once(first).chain(others).copied().collect();
            let (kind, only) = (Kind::Overload, None);
            Some(Ask { kind, hosts, troubles, whole: size.whole, short: size.short, only })
        })
    }

    /// What is known of hosts, of whatever cell; of those that it knows nothing of nothing can be planned.
    pub(super) fn pictures(&self, hosts: impl Iterator<Item = HostId>) -> Vec<Rc<Picture>> {
        let picture = |host: HostId| {
            if self.has(host) {
                self.kept(host).picture.as_ref().filter(|_| self.kept(host).rest == Rest::Awake)
            } else {
                self.neighbours.get(&host).map(|(picture, _)| picture)
            }
        };
        hosts.filter_map(picture).cloned().collect()
    }

    /// Forgets hosts of others that no partition led here has, and that were not shown just now.
    pub(super) fn forget_neighbours(&mut self, now: f64) {
        const FORGET_AFTER_S: f64 = 5.0;
        if self.neighbours.is_empty() {
            return;
        }
        let mut have: BTreeSet<HostId> = BTreeSet::new();
        for (_, led) in self.node.iter().flat_map(Node::partitions) {
            have.extend(led.hosts().keys().map(|host| host_of(host.as_str())));
        }
        self.neighbours.retain(|host, (_, shown)| have.contains(host) || now < *shown + FORGET_AFTER_S);
    }
}

/// Hosts that a plan does something on.
pub(super) fn touched(moves: &[Move]) -> BTreeSet<HostId> {
    moves.iter().flat_map(|step| [step.from, step.to]).collect()
}
