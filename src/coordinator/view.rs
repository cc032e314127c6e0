//! What is published of the coordinator's state: records and figures, read without asking the deciding task.

use super::policies::Policies;
use super::settings::RingMember;
use crate::record::{Event, HostRecord, PlanRecord, VmRecord};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Events that are kept in memory and in the store.
pub const EVENTS_KEPT: usize = 10_000;
/// Plans in a terminal state that are kept in memory and in the store.
pub const PLANS_KEPT: usize = 1000;

/// The published state.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) revision: u64,
    pub(super) hosts: BTreeMap<String, Arc<HostRecord>>,
    pub(super) vms: BTreeMap<String, Arc<VmRecord>>,
    /// Oldest first.
    pub(super) events: VecDeque<Arc<Event>>,
    /// By id, which sorts by time.
    pub(super) plans: BTreeMap<String, Arc<PlanRecord>>,
    pub(super) figures: Figures,
    pub(super) ring: Arc<RingView>,
    pub(super) policies: Arc<Policies>,
}

/// A coordinator as a member of its ring, and what it leads.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RingView {
    /// `host:port` of the own API, as others are told.
    pub address: String,
    /// Where this coordinator is.
    pub site: String,
    /// Other members, in the order in which they are asked: the near ones first.
    pub others: Vec<OtherMember>,
    /// Partitions that are led here.
    pub partitions: Vec<PartitionView>,
    /// Troubles that others are asked to help with.
    pub events: Vec<String>,
    /// Hosts of the cell that nobody has reserved and that take VMs.
    pub free_hosts: u32,
    /// Members as others tell, while this one hears nothing from etcd.
    pub told: Vec<RingMember>,
    /// What etcd keeps of hosts is known here.
    pub knows_kept: bool,
    /// Coordinators that left the ring without a word, and may have VMs.
    pub departed: BTreeSet<String>,
    /// Hosts that operators have forgotten in this life.
    pub forgotten: BTreeSet<String>,
}

/// Another member, seen from here.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OtherMember {
    /// Its name.
    pub name: String,
    /// `host:port` of its API.
    pub address: String,
    /// Where it is.
    pub site: String,
    /// A link stands to it.
    pub up: bool,
    /// It has said that it is being stopped.
    pub leaving: bool,
    /// Round-trip time; `None` = not measured.
    pub round_trip: Option<Duration>,
}

/// A partition of the ring.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PartitionView {
    /// Its id.
    pub id: String,
    /// What it does.
    pub stage: &'static str,
    /// Whom that is about: a member, or another partition; empty = nobody.
    pub with: String,
    /// CPU (thousandths of a processor), memory (MiB) and hosts that it lacks, as far as is known.
    pub lacking: ([i64; 2], u32),
    /// How it has become what it is.
    pub growth: GrowthView,
    /// Its most urgent kind of trouble.
    pub kind: &'static str,
    /// Host → the member that has it.
    pub hosts: BTreeMap<String, String>,
    /// What it is for: `OVERLOAD:host7@east`.
    pub events: Vec<String>,
    /// Its plan; empty before the first solve.
    pub plan: String,
    /// How often it has changed and been solved.
    pub version: u64,
}

/// How a partition has become what it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GrowthView {
    /// When it began.
    pub began: Option<SystemTime>,
    /// Since when it does what it does.
    pub since: Option<SystemTime>,
    /// What has changed its hosts or held it up, oldest first.
    pub steps: VecDeque<GrowthStep>,
    /// Steps after the first that are not kept.
    pub left_out: u32,
}

/// A step in the growth of a partition.
#[derive(Debug, Clone, PartialEq)]
pub struct GrowthStep {
    /// When.
    pub time: SystemTime,
    /// Why it has other hosts than before, or has to wait.
    pub why: Why,
    /// Members whose hosts came or went; the partition that it has merged with.
    pub with: Vec<String>,
    /// Hosts that it has then, of so many members.
    pub hosts: u32,
    /// See `hosts`.
    pub members: u32,
    /// Events that it is for then.
    pub events: u32,
    /// How often in a row.
    pub times: u32,
}

/// Why a partition has other hosts than before, or has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It was founded.
    Began,
    /// A member has given hosts that it was asked for.
    Asked,
    /// Another one has become part of it.
    Merged,
    /// All members were asked, and others hold what is lacking.
    Blocked,
    /// It no longer waits: hosts were freed, or it tries again.
    Resumed,
    /// Hosts were taken away, or are not heard of.
    Lost,
    /// The plan needs fewer hosts: the others were given back.
    Released,
}

impl Why {
    /// As in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Began => "BEGAN",
            Self::Asked => "ASKED",
            Self::Merged => "MERGED",
            Self::Blocked => "BLOCKED",
            Self::Resumed => "RESUMED",
            Self::Lost => "LOST",
            Self::Released => "RELEASED",
        }
    }
}

/// Figures for monitoring. Counters count from the start of the process.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    /// Hosts by connection: `connected`, `lost`, `failed`.
    pub hosts: BTreeMap<&'static str, u64>,
    /// VMs that live somewhere.
    pub vms: u64,
    /// VMs that run nowhere and should.
    pub vms_waiting: u64,
    /// Troubles that stand now, by kind (`OVERLOAD` …).
    pub conditions: BTreeMap<&'static str, u64>,
    /// Events so far, by kind.
    pub events: BTreeMap<&'static str, u64>,
    /// Plans that ended so far, by state.
    pub plans: BTreeMap<&'static str, u64>,
    /// Actions that agents have now.
    pub actions_in_flight: u64,
    /// Actions that ended so far: `done`, `failed`.
    pub actions: BTreeMap<&'static str, u64>,
    /// Partitions that hold hosts now.
    pub partitions: u64,
    /// Solves that ended so far.
    pub solves: u64,
    /// Seconds that they took together.
    pub solve_seconds: f64,
    /// Reports of agents so far.
    pub reports: u64,
    /// Frames to other coordinators so far, by type: `protocol`, `hosts`, `order` …
    pub frames: BTreeMap<&'static str, u64>,
    /// Troubles of the own cell that plans over several cells have answered so far.
    pub answered: u64,
    /// Bytes of those that were sent.
    pub peer_bytes: u64,
    /// Messages of agents and coordinators that this version does not know, by who sent them: `agent`, `coordinator`.
    pub passed_over: BTreeMap<&'static str, u64>,
    /// Revision of the rules in force that are not of the configuration file.
    pub rules_revision: u64,
    /// Kept rules that are not in force as they are kept.
    pub rules_refused: u64,
    /// Nothing is heard from etcd, though it should.
    pub etcd_silent: bool,
}
