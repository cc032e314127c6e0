//! A partition, as its leader has it.

use crate::partition::event::Amounts;
use crate::partition::event::{Event, Kind, Need};
use crate::partition::io::Held;
use crate::partition::ledger::Leases;
use crate::partition::message::Holder;
use crate::partition::names::{Epoch, EventKey, Host, Member, PartitionId};
use crate::partition::settings::Settings;
use crate::partition::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A partition that is led here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Led {
    /// How often it has changed: answers of solvers for another version are out of date.
    pub(super) version: u64,
    /// What it is for: by owner and name.
    pub(super) events: BTreeMap<Member, BTreeMap<EventKey, Event>>,
    /// Those of them that are not answered by what is solved or carried out.
    #[serde(default)]
    pub(super) left_out: BTreeMap<Member, BTreeSet<EventKey>>,
    /// What it has.
    pub(super) hosts: BTreeMap<Host, Hold>,
    /// What it does.
    pub(super) stage: Stage,
    /// Who has not been asked since the tour began.
    pub(super) left: Vec<Member>,
    /// It asks for all hosts: those that were needed were not enough.
    pub(super) all: bool,
    /// Somebody did not answer in this tour, or has hosts that nobody can have for now.
    pub(super) silent: bool,
    /// Its hosts or events are others than at the last solve.
    pub(super) changed: bool,
    /// What is lacking.
    pub(super) need: Need,
    /// The last request that was made.
    pub(super) asks: u64,
    /// How often it was blocked in vain.
    pub(super) waits: u32,
    /// When leases were prolonged last.
    pub(super) renewed: Time,
    /// Who held hosts that it was refused, in this tour.
    pub(super) holders: BTreeMap<PartitionId, Holder>,
    /// Holders that it has offered itself to in vain since it was blocked.
    pub(super) offered: BTreeSet<PartitionId>,
    /// Partitions that have offered themselves when it could not take them, and their leaders.
    pub(super) wants: BTreeMap<PartitionId, Member>,
}

/// A host that a partition has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Hold {
    pub(super) owner: Member,
    pub(super) epoch: Epoch,
    /// The leader counts the lease as ended then.
    pub(super) until: Time,
    pub(super) room: Amounts,
}

/// What a partition does. The states are drawn in the documentation of the module [`partition`](crate::partition).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Stage {
    /// It has asked someone for hosts.
    Gathering {
        /// Whom.
        to: Member,
        /// When it asks again.
        again: Time,
        /// How often it has asked.
        tries: u32,
    },
    /// A solver looks for a plan.
    Solving {
        /// After which it is not waited for.
        until: Time,
        /// The hosts are all that there are.
        whole: bool,
    },
    /// All have been asked, others hold what is lacking. It waits to merge, and tries again after a while.
    Blocked {
        /// When.
        until: Time,
    },
    /// Blocked, and offers itself to an older one: it takes no offers.
    Offering {
        /// To this one.
        into: PartitionId,
        /// Led by this member.
        leader: Member,
        /// When it offers again.
        again: Time,
        /// How often it has offered.
        tries: u32,
    },
    /// Has accepted the offer of a younger one and waits for what it hands over.
    Absorbing {
        /// The younger one.
        from: PartitionId,
        /// Led by this member.
        leader: Member,
        /// The offer.
        ask: u64,
        /// When it says so again.
        again: Time,
        /// How often it has said so.
        tries: u32,
    },
    /// Tells the owners of hosts of a younger one that these are its own now.
    Adopting {
        /// The younger one.
        from: PartitionId,
        /// Owner → hosts that have not been confirmed, by the epochs under `from`.
        pending: BTreeMap<Member, BTreeMap<Host, Epoch>>,
        /// When it says so again.
        again: Time,
        /// How often it has said so.
        tries: u32,
    },
    /// Has a plan, and waits for all owners to say that nobody can take the hosts away.
    Committing {
        /// Those who have not said so.
        pending: BTreeSet<Member>,
        /// When it asks again.
        again: Time,
        /// How often it has asked.
        tries: u32,
    },
    /// The plan is being carried out.
    Executing,
}

impl Stage {
    /// When something is due.
    pub(super) fn due(&self) -> Option<Time> {
        match self {
            Self::Gathering { again, .. }
            | Self::Offering { again, .. }
            | Self::Absorbing { again, .. }
            | Self::Adopting { again, .. }
            | Self::Committing { again, .. } => Some(*again),
            Self::Solving { until, .. } | Self::Blocked { until } => Some(*until),
            Self::Executing => None,
        }
    }

    /// Its name, as operators read it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Gathering { .. } => "GATHERING",
            Self::Solving { .. } => "SOLVING",
            Self::Blocked { .. } => "BLOCKED",
            Self::Offering { .. } => "OFFERING",
            Self::Absorbing { .. } => "ABSORBING",
            Self::Adopting { .. } => "ADOPTING",
            Self::Committing { .. } => "COMMITTING",
            Self::Executing => "EXECUTING",
        }
    }
}

impl Led {
    /// The most urgent kind of its events.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.events().map(|event| event.kind).min().unwrap_or(Kind::Underload)
    }

    /// What it does.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// How often it has changed.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What it is for.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.values().flat_map(BTreeMap::values)
    }

    /// Its hosts.
    #[must_use]
    pub fn hosts(&self) -> BTreeMap<Host, Held> {
        let held = |hold: &Hold| Held { owner: hold.owner.clone(), epoch: hold.epoch };
        self.hosts.iter().map(|(host, hold)| (host.clone(), held(hold))).collect()
    }

    /// Its hosts by owner.
    pub(super) fn leases(&self) -> BTreeMap<Member, Leases> {
        let mut leases: BTreeMap<Member, Leases> = BTreeMap::new();
        for (host, hold) in &self.hosts {
            leases.entry(hold.owner.clone()).or_default().insert(host.clone(), hold.epoch);
        }
        leases
    }

    /// A member with linked hosts that it does not have, and that has not been asked in this tour.
    pub(super) fn near(&self) -> Option<&Member> {
        let lacking = |event: &&Event| event.linked.iter().any(|host| !self.hosts.contains_key(host));
        self.events().filter(lacking).flat_map(|event| &event.near).find(|member| self.left.contains(member))
    }

    /// Whether VMs are to leave a host: its room is none that is lacking.
    pub(super) fn is_left(&self, host: &Host) -> bool {
        let thrift = self.kind().is_thrift();
        self.events().any(|event| {
            let leaves = event.kind != Kind::VmWaiting && (thrift || !event.kind.is_thrift());
            leaves && event.hosts.contains(host)
        })
    }

    /// Hosts that it cannot do without.
    pub(super) fn required(&self) -> BTreeSet<Host> {
        self.events().flat_map(|event| event.hosts.iter().cloned()).collect()
    }

    /// Whether a new event can still become part of what it is for.
    pub(super) fn takes_events(&self) -> bool {
        matches!(self.stage, Stage::Gathering { .. } | Stage::Solving { .. } | Stage::Blocked { .. })
    }

    /// Takes an event in; says whether it is new or has changed.
    pub(super) fn add(&mut self, event: Event) -> bool {
        let events = self.events.entry(event.owner.clone()).or_default();
        if events.get(&event.key) == Some(&event) {
            return false;
        }
        self.need.join(event.need);
        events.insert(event.key.clone(), event);
        self.changed = true;
        true
    }

    /// What to look for when the solver has found nothing and does not say what is lacking: once more the room that the
    /// events need, more each time; where they need none, half as many hosts again.
    pub(super) fn need_more(&self) -> Need {
        let mut need = Need::default();
        self.events().for_each(|event| need.join(event.need));
        let times = i64::try_from(self.version).unwrap_or(i64::MAX);
        need.room = need.room.map(|amount| amount.saturating_mul(times));
        let half = u32::try_from(self.hosts.len().div_ceil(2)).unwrap_or(u32::MAX).max(1);
        need.hosts = if need.room.iter().all(|amount| *amount <= 0) { half } else { 0 };
        need
    }

    /// Whether the lease of a host runs still, as the leader counts it.
    #[must_use]
    pub fn has(&self, host: &Host, now: Time) -> bool {
        self.hosts.get(host).is_some_and(|hold| hold.until > now)
    }

    /// When something is due at the latest.
    pub(super) fn next(&self, settings: &Settings) -> Time {
        let renew = self.renewed + settings.renew_every();
        let lost = self.hosts.values().map(|hold| hold.until).min();
        [self.stage.due(), lost].into_iter().flatten().fold(renew, Time::min)
    }
}

#[cfg(test)]
impl Led {
    /// Hosts whose leases run, as the leader counts them.
    pub(in crate::partition) fn valid_hosts(&self, now: Time) -> BTreeMap<Host, Held> {
        self.hosts().into_iter().filter(|(host, _)| self.hosts[host].until > now).collect()
    }

    /// Whether it neither merges nor carries out a plan.
    pub(in crate::partition) fn takes_part_in_nothing(&self) -> bool {
        self.takes_events()
    }
}
