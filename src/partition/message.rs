//! What members tell each other. Each message may be lost, doubled, late or out of order; docs/PROTOCOL.md says
//! for each what goes on then.

use super::event::{Amounts, Event, Kind, Need, Outcome};
use super::names::{Epoch, EventKey, Host, Member, PartitionId};
use super::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A message, with what its sender tells everyone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Message {
    /// How many hosts of the sender's cell nobody has reserved: what shortcuts are made of.
    pub free: u32,
    /// The greatest number of a partition that the sender has heard of.
    pub clock: u64,
    /// What it is about.
    pub body: Body,
}

/// A reservation as its leader knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// What later messages name it by.
    pub epoch: Epoch,
    /// Room on the host for VMs of others.
    pub room: Amounts,
}

/// Who holds a host that could not be reserved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// Its leader.
    pub leader: Member,
    /// It is carrying out a plan, so that it will end by itself.
    pub committed: bool,
}

/// Why an offer to be absorbed is declined.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Declined {
    /// It may find hosts without a merge, or merges with another one. It sends [`Body::Invite`] when it can merge.
    NotNow,
    /// It carries out a plan and will release its hosts.
    Executing,
    /// There is no such partition here.
    Gone,
    /// It was absorbed itself: ask there.
    Absorbed {
        /// By this one.
        by: PartitionId,
        /// Led by this member.
        leader: Member,
    },
}

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Body {
    /// A leader asks an owner for hosts. Answered by [`Body::Granted`]. Asking once more with the same `ask` gives
    /// the same hosts.
    Reserve {
        /// For this partition, led by the sender.
        partition: PartitionId,
        /// Its most urgent event.
        kind: Kind,
        /// Which request of this partition it is; grows.
        ask: u64,
        /// These if they can be had, needed or not.
        named: BTreeSet<Host>,
        /// Then as many others as this needs.
        need: Need,
        /// All of them, those too that take no VMs: for the last attempt.
        all: bool,
        /// Not more hosts than this.
        most: u32,
        /// The leader's clock, given back.
        sent: Time,
    },
    /// An owner has reserved these hosts, or none.
    Granted {
        /// For this partition.
        partition: PartitionId,
        /// In answer to this request.
        ask: u64,
        /// The hosts.
        hosts: BTreeMap<Host, Grant>,
        /// Hosts that could be had are left.
        more: bool,
        /// Who holds the others.
        holders: BTreeMap<PartitionId, Holder>,
        /// There are hosts that nobody can have at present, and that may be had later: actions are under way there, or they
        /// are unsettled.
        #[serde(default)]
        later: bool,
        /// The first member after the sender that it believes to have free hosts.
        first_out: Option<Member>,
        /// The leader's clock, given back: its lease counts from then.
        sent: Time,
    },
    /// A leader prolongs leases, and tells owners of events that they are in hand. Answered by [`Body::Renewed`].
    Renew {
        /// For this partition, led by the sender.
        partition: PartitionId,
        /// Its most urgent event.
        kind: Kind,
        /// Hosts of the receiver.
        hosts: BTreeMap<Host, Epoch>,
        /// The plan is about to begin, or has: nobody may take these hosts away.
        commit: bool,
        /// The receiver has said before that these hosts are committed. After a restart it believes nobody else in this.
        #[serde(default)]
        confirmed: bool,
        /// Events of the receiver.
        events: BTreeSet<EventKey>,
        /// The leader's clock, given back.
        sent: Time,
    },
    /// Which leases run on.
    Renewed {
        /// For this partition.
        partition: PartitionId,
        /// With these epochs.
        hosts: BTreeMap<Host, Epoch>,
        /// Those asked for that have ended, that others hold, or that are not of the sender's cell any more.
        lost: BTreeMap<Host, Epoch>,
        /// They are committed. Not yet where they were to be and are not lost: the receiver asks on.
        committed: bool,
        /// The leader's clock, given back.
        sent: Time,
    },
    /// A leader needs these hosts no more. Not answered: leases end by themselves.
    Release {
        /// By this partition.
        partition: PartitionId,
        /// With these epochs.
        hosts: BTreeMap<Host, Epoch>,
        /// Events of the receiver that the partition has ended for.
        events: BTreeMap<EventKey, Outcome>,
    },
    /// An owner has taken hosts away for something more urgent. Not answered: renewing tells it too.
    Revoked {
        /// From this partition, led by the receiver.
        partition: PartitionId,
        /// With these epochs.
        hosts: BTreeMap<Host, Epoch>,
    },
    /// Hosts are free again that this partition was refused. Not answered: a leader that waits tries again anyhow.
    Freed {
        /// Led by the receiver.
        partition: PartitionId,
    },
    /// An event is about a host that this partition holds. Not answered: its owner repeats it until
    /// [`Body::Renew`] names it.
    Concern {
        /// Led by the receiver.
        partition: PartitionId,
        /// Of the sender.
        event: Event,
    },
    /// An event does not stand any more. Not answered: the solver sees it too.
    Calm {
        /// Led by the receiver.
        partition: PartitionId,
        /// Of the sender.
        event: EventKey,
    },
    /// A blocked partition offers itself to an older one. Answered by [`Body::Accept`] or [`Body::Decline`].
    Offer {
        /// To be absorbed; led by the sender.
        from: PartitionId,
        /// By this one.
        into: PartitionId,
        /// Which offer of `from` it is; grows.
        ask: u64,
    },
    /// The offer stands, hand over. Answered by [`Body::Handover`] or [`Body::Withdraw`].
    Accept {
        /// To be absorbed.
        from: PartitionId,
        /// By this one, led by the sender.
        into: PartitionId,
        /// In answer to this offer.
        ask: u64,
    },
    /// The offer is not taken.
    Decline {
        /// It stays what it is.
        from: PartitionId,
        /// By this one.
        into: PartitionId,
        /// In answer to this offer.
        ask: u64,
        /// Why, and what to do.
        why: Declined,
    },
    /// The offer does not stand any more.
    Withdraw {
        /// Led by the sender.
        from: PartitionId,
        /// The one that has accepted.
        into: PartitionId,
        /// In answer to the acceptance of this offer.
        ask: u64,
    },
    /// A partition ends by going over into another one. Given again as often as [`Body::Accept`] comes.
    Handover {
        /// Has ended.
        from: PartitionId,
        /// Has its hosts and events now.
        into: PartitionId,
        /// In answer to the acceptance of this offer.
        ask: u64,
        /// Hosts by owner.
        hosts: BTreeMap<Member, BTreeMap<Host, Epoch>>,
        /// What it was for.
        events: Vec<Event>,
    },
    /// Hosts go over from a partition to the one that has absorbed it. Answered by [`Body::Granted`] with this
    /// `ask`; asking once more gives the same hosts.
    Adopt {
        /// Held them.
        from: PartitionId,
        /// Holds them now; led by the sender.
        into: PartitionId,
        /// The most urgent event of it.
        kind: Kind,
        /// Which request of `into` it is.
        ask: u64,
        /// Hosts of the receiver, with their epochs under `from`.
        hosts: BTreeMap<Host, Epoch>,
        /// The leader's clock, given back.
        sent: Time,
    },
    /// A partition that could not take an offer before can take it now. Not answered: offers are repeated anyhow.
    Invite {
        /// To offer itself; led by the receiver.
        from: PartitionId,
        /// Led by the sender.
        into: PartitionId,
    },
}

impl Body {
    /// All types, as on the wire.
    pub(crate) const KINDS: [&str; 16] = [
        "reserve", "granted", "renew", "renewed", "release", "revoked", "freed", "concern", "calm", "offer",
        "accept", "decline", "withdraw", "handover", "adopt", "invite",
    ];
}
