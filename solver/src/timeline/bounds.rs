//! What any plan to the same end must wait for.

use super::read::Move;
use super::sweep::{self, Shared};
use crate::constraints::Rules;
use crate::model::{Problem, VmId};
use crate::schedule::{self, Holds};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What transfers share, or what else takes its time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// All that leaves a host.
    Out {
        /// Its name.
        host: String,
    },
    /// All that comes to a host.
    Into {
        /// Its name.
        host: String,
    },
    /// How many migrations touch a host at once.
    Slots {
        /// Its name.
        host: String,
    },
    /// All transfers together.
    Backbone,
    /// A link or a switch.
    Link {
        /// Its name.
        name: String,
        /// The end that it leads away from, of one direction of a link.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
    },
    /// A VM's way to its place, alone.
    Move {
        /// Its name.
        vm: String,
    },
    /// A VM's last way, after it has waited for room or for its host to be booted.
    Arrival {
        /// Its name.
        vm: String,
    },
    /// A host's boot.
    Boot {
        /// Its name.
        host: String,
    },
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Out { host } => write!(f, "port of {host} out"),
            Self::Into { host } => write!(f, "port of {host} in"),
            Self::Slots { host } => write!(f, "migrations at {host}"),
            Self::Backbone => f.write_str("backbone"),
            Self::Link { name, from: Some(from) } => write!(f, "link {name} from {from}"),
            Self::Link { name, from: None } => write!(f, "link {name}"),
            Self::Move { vm } => write!(f, "way of {vm} alone"),
            Self::Arrival { vm } => write!(f, "way of {vm} once there is room"),
            Self::Boot { host } => write!(f, "boot of {host}"),
        }
    }
}

/// Something that takes a while, whatever the order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bound {
    /// What takes it.
    #[serde(flatten)]
    pub what: What,
    /// Seconds, at least.
    pub seconds: f64,
}

/// The longest of each kind, the longest first. The end is where the actions lead, whatever the plan says besides.
pub(super) fn bounds(problem: &Problem, moves: &[Move]) -> Vec<Bound> {
    if moves.is_empty() {
        return Vec::new();
    }
    let to = sweep::last(problem, moves);
    let parts = schedule::bounds(problem, &Rules::new(problem), &to);
    // What is not possible at all takes for ever; that is for the checker to say.
    let mut parts: Vec<(Holds, f64)> =
        parts.into_iter().filter(|(_, seconds)| seconds.is_finite() && *seconds > 0.0).collect();
    // What differs by rounding only is the same.
    let micros = |seconds: f64| (seconds * 1e6).round();
    // Of what takes as long, that a VM waits for something says more than what is under way meanwhile.
    let alone: BTreeMap<VmId, f64> =
        parts.iter().filter_map(|(holds, seconds)| Some((holds.alone()?, micros(*seconds)))).collect();
    let waits = |(holds, seconds): &(Holds, f64)| match holds {
        Holds::Arrival(vm) => alone.get(vm).is_some_and(|alone| micros(*seconds) > *alone),
        _ => false,
    };
    parts.sort_by(|a, b| {
        micros(b.1).total_cmp(&micros(a.1)).then(waits(b).cmp(&waits(a))).then(a.0.cmp(&b.0))
    });
    let mut seen = BTreeSet::new();
    parts.retain(|(holds, _)| seen.insert(kind(*holds)));
    parts.into_iter().map(|(holds, seconds)| Bound { what: what(problem, holds), seconds }).collect()
}

fn kind(holds: Holds) -> u8 {
    match holds {
        Holds::Out(_) | Holds::Into(_) => 0,
        Holds::Slots(_) => 1,
        Holds::Line(_) => 2,
        Holds::Move(_) => 3,
        Holds::Arrival(_) => 4,
        Holds::Boot(_) => 5,
    }
}

fn what(problem: &Problem, holds: Holds) -> What {
    let (host, vm) = (|id| problem.host(id).name.clone(), |id| problem.vm(id).name.clone());
    match holds {
        Holds::Out(id) => Shared::Out(id).tell(problem).0,
        Holds::Into(id) => Shared::Into(id).tell(problem).0,
        Holds::Slots(id) => Shared::Slots(id).tell(problem).0,
        Holds::Line(line) => Shared::Line(line).tell(problem).0,
        Holds::Move(id) => What::Move { vm: vm(id) },
        Holds::Arrival(id) => What::Arrival { vm: vm(id) },
        Holds::Boot(id) => What::Boot { host: host(id) },
    }
}
