//! The rules on placements and plans, one file each.
//!
//! A file holds all that a rule means: how it is read (`Meaning`), how the search keeps track of it, its
//! words, its rows in a linear model (`Draft`), what it asks of a schedule (`Course`), and what can be
//! proved of it at once (`Known`), all behind `Rule`. A new rule is such a file and one line in `register!`.
//!
//! No state rule is ever broken by a VM that leaves a host or does not run: fewer VMs never break more. The
//! search, the schedule and the conflicts rely on that.

mod among;
mod ban;
mod before;
mod counts;
mod course;
mod draft;
mod fence;
mod gather;
mod headroom;
mod host_set;
mod kept;
mod known;
mod lonely;
mod max_online;
mod quarantine;
mod read;
mod resource_capacity;
mod root;
mod rule;
mod running_capacity;
mod spare_hosts;
mod split;
mod split_among;
mod spread;
mod switching;
mod sync;
mod unary;

#[cfg(test)]
mod tests;

pub(crate) use course::{Act, Course, Gate, Latch, Limit, Pass, Pools, Relay};
pub(crate) use draft::{Cell, Draft, Fact, Members};
pub(crate) use host_set::HostSet;
pub(crate) use kept::{Kept, Rules, Tally};
pub(crate) use known::{Impossible, Known, conflict};
pub(crate) use read::{Names, build};
pub(crate) use rule::{Flock, Meaning, Part, Places, Rule, Seat};

/// Makes [`Body`] of the kinds of rules: each a record of the same name that has a [`Meaning`].
macro_rules! register {
    ($($kind:ident in $file:ident: $words:literal),+ $(,)?) => {
        $(pub use $file::$kind;)+

        /// What a rule demands. Lists are sorted and free of duplicates; selectors are resolved.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Body {
            $(#[doc = $words] $kind($kind),)+
        }

        impl Body {
            /// What it means.
            pub(crate) fn meaning(&self) -> &dyn Meaning {
                match self {
                    $(Self::$kind(body) => body,)+
                }
            }

            fn read(reader: &mut read::Reader<'_>, body: &crate::file::Body) -> Option<Self> {
                match body {
                    $(crate::file::Body::$kind { .. } => $kind::read(reader, body).map(Self::$kind),)+
                }
            }

            /// The same for some of the VMs and hosts.
            pub(crate) fn part(&self, part: &Part<'_>) -> Self {
                match self {
                    $(Self::$kind(body) => Self::$kind(body.part(part)),)+
                }
            }
        }
    };
}

register! {
    Spread in spread: "No value of the scope runs more than `max` of the VMs.",
    Gather in gather: "All placed VMs of the set share one value of the scope.",
    Fence in fence: "Every VM runs on one of the hosts.",
    Ban in ban: "No VM runs on any of the hosts.",
    Lonely in lonely: "Hosts that run a VM of the set run no VM outside it.",
    Split in split: "No host runs VMs of two different groups.",
    Among in among: "All VMs of the set run inside one single host group.",
    SplitAmong in split_among: "Each VM group inside one host group, no two in the same one.",
    Root in root: "The VMs do not move while the plan runs.",
    MaxOnline in max_online: "At most `max` of the hosts are online.",
    RunningCapacity in running_capacity: "At most `max` VMs run on the hosts together.",
    ResourceCapacity in resource_capacity: "The VMs on the hosts use at most `max` of the resource together.",
    Quarantine in quarantine: "No VM enters or leaves the hosts.",
    Headroom in headroom: "Usable minus used stays at least `min` on each of the hosts that runs a VM.",
    SpareHosts in spare_hosts: "At least `min` of the hosts are online and run no VM.",
    Before in before: "Every action on a VM of `first` ends before any on a VM of `second` starts.",
    Sync in sync: "The VMs' migrations end together, within 1 s.",
}
