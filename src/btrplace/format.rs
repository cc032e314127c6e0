//! BtrPlace's JSON: instances and reconfiguration plans, one to one. Nothing is validated but types and names
//! of fields; what its writers add to some constraints (`continuous`) is tolerated everywhere.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Attributes of elements: element → key → bool, text or number.
pub(super) type Attributes = BTreeMap<i64, BTreeMap<String, Value>>;

/// An instance: a model, what must hold, what is best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Nodes, VMs and their resources.
    pub model: Model,
    /// What must hold.
    pub constraints: Vec<Constraint>,
    /// What is best.
    pub objective: Objective,
}

/// The objective, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objective {
    /// `minimizeMTTR`, `minimizeMTTRMigrationScheduling` or `minimizeMigrations`.
    pub id: String,
}

/// Elements, their attributes and views on them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Where VMs are.
    pub mapping: Mapping,
    /// Durations, network figures and the like.
    #[serde(default)]
    pub attributes: AllAttributes,
    /// Resources, names, network. Read one by one, as plans may hold views that say nothing.
    #[serde(default)]
    pub views: Vec<Value>,
}

/// Attributes of VMs and nodes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AllAttributes {
    /// By VM.
    pub vms: Attributes,
    /// By node.
    pub nodes: Attributes,
}

/// States of VMs and nodes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Mapping {
    /// VMs that exist and run nowhere.
    #[serde(rename = "readyVMs")]
    pub ready_vms: Vec<i64>,
    /// Nodes that are powered down.
    pub offline_nodes: Vec<i64>,
    /// Nodes that are on, with their VMs.
    pub online_nodes: BTreeMap<i64, OnlineNode>,
}

/// VMs of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OnlineNode {
    /// Those that run.
    #[serde(rename = "runningVMs", alias = "running")]
    pub running: Vec<i64>,
    /// Those that are suspended to its disk.
    #[serde(rename = "sleepingVMs", alias = "sleeping")]
    pub sleeping: Vec<i64>,
}

/// A view that matters here.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum View {
    Resource(ResourceView),
    Names(NameView),
    Network(Network),
}

/// A resource: what nodes have and VMs take.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceView {
    pub(super) rc_id: String,
    pub(super) def_capacity: i64,
    pub(super) def_consumption: i64,
    #[serde(default)]
    pub(super) nodes: BTreeMap<i64, i64>,
    #[serde(default)]
    pub(super) vms: BTreeMap<i64, i64>,
}

/// Names of elements.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct NameView {
    /// `vm` or `node`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) map: BTreeMap<String, i64>,
}

impl View {
    /// Reads a view; `None` = one that says nothing here. Not by serde's tags, through which numbers that are
    /// keys do not come.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(value: &Value) -> Result<Option<Self>, String> {
        let Some(id) = value.get("id").and_then(Value::as_str) else { return Ok(None) };
        let plain = |error: serde_json::Error| error.to_string();
        Ok(match id {
            "shareableResource" => Some(Self::Resource(ResourceView::deserialize(value).map_err(plain)?)),
            "ns" => Some(Self::Names(NameView::deserialize(value).map_err(plain)?)),
            "net" => Some(Self::Network(Network::deserialize(value).map_err(plain)?)),
            _ => None,
        })
    }

    /// Its JSON form.
    pub(super) fn write(&self) -> Value {
        let (id, value) = match self {
            Self::Resource(view) => ("shareableResource", serde_json::to_value(view)),
            Self::Names(view) => ("ns", serde_json::to_value(view)),
            Self::Network(view) => ("net", serde_json::to_value(view)),
        };
        let mut value = value.expect("plain data with keys that are text or numbers");
        value["id"] = id.into();
        value
    }
}

/// Switches and links, in Mbit/s.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Network {
    pub(super) switches: Vec<Switch>,
    pub(super) links: Vec<Link>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) routing: Option<Routing>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Switch {
    pub(super) id: i64,
    /// [`UNLIMITED`] or -1: it does not block.
    pub(super) capacity: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Link {
    pub(super) id: i64,
    pub(super) capacity: i64,
    pub(super) switch: i64,
    pub(super) physical_element: PhysicalElement,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PhysicalElement {
    /// `node` or `switch`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) id: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Routing {
    /// `default` or `static`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) routes: Vec<Value>,
}

/// How it writes that there is no limit.
pub(super) const UNLIMITED: i64 = i32::MAX as i64;

/// A constraint of the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "id", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[allow(missing_docs, reason = "names and fields are those of BtrPlace's catalogue")]
pub enum Constraint {
    Spread {
        vms: Vec<i64>,
        #[serde(default)]
        continuous: bool,
    },
    Gather {
        vms: Vec<i64>,
        #[serde(default)]
        continuous: bool,
    },
    Lonely {
        vms: Vec<i64>,
        #[serde(default)]
        continuous: bool,
    },
    Among {
        vms: Vec<i64>,
        parts: Vec<Vec<i64>>,
        #[serde(default)]
        continuous: bool,
    },
    Split {
        parts: Vec<Vec<i64>>,
        #[serde(default)]
        continuous: bool,
    },
    SplitAmong {
        v_parts: Vec<Vec<i64>>,
        p_parts: Vec<Vec<i64>>,
        #[serde(default)]
        continuous: bool,
    },
    Fence {
        vm: i64,
        nodes: Vec<i64>,
        #[serde(default)]
        continuous: bool,
    },
    Ban {
        vm: i64,
        nodes: Vec<i64>,
        #[serde(default)]
        continuous: bool,
    },
    Root {
        vm: i64,
    },
    Quarantine {
        node: i64,
    },
    NoDelay {
        vm: i64,
    },
    Running {
        vm: i64,
    },
    Ready {
        vm: i64,
    },
    Sleeping {
        vm: i64,
    },
    Killed {
        vm: i64,
    },
    Online {
        node: i64,
    },
    Offline {
        node: i64,
    },
    MaxOnline {
        nodes: Vec<i64>,
        amount: i64,
        #[serde(default)]
        continuous: bool,
    },
    RunningCapacity {
        nodes: Vec<i64>,
        amount: i64,
        #[serde(default)]
        continuous: bool,
    },
    ResourceCapacity {
        nodes: Vec<i64>,
        rc: String,
        amount: i64,
        #[serde(default)]
        continuous: bool,
    },
    Overbook {
        node: i64,
        rc: String,
        ratio: f64,
        #[serde(default)]
        continuous: bool,
    },
    Preserve {
        vm: i64,
        rc: String,
        amount: i64,
    },
    Seq {
        vms: Vec<i64>,
    },
    #[serde(rename = "Serialize")]
    Serialize {
        vms: Vec<i64>,
    },
    #[serde(rename = "Sync")]
    Sync {
        vms: Vec<i64>,
    },
    #[serde(rename = "Precedence")]
    Precedence {
        vm1: i64,
        vm2: i64,
    },
    #[serde(rename = "Deadline")]
    Deadline {
        vm: i64,
        timestamp: String,
    },
}

/// A reconfiguration plan: what there was, and timed actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReconfigurationPlan {
    /// The model at the start.
    #[serde(default)]
    pub origin: Option<Model>,
    /// What is done, in whole seconds from the start.
    pub actions: Vec<Action>,
}

/// An action of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// What is done.
    #[serde(flatten)]
    pub what: Deed,
    /// Seconds from the start of the plan.
    pub start: i64,
    /// Seconds from the start of the plan.
    pub end: i64,
    /// Events before and after it.
    #[serde(default)]
    pub hooks: Hooks,
}

/// Events that come with an action.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hooks {
    /// Before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pre: Vec<Event>,
    /// After it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub post: Vec<Event>,
}

/// An event that comes with an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "id", rename_all = "camelCase")]
#[allow(missing_docs, reason = "names and fields are those of BtrPlace's catalogue")]
pub enum Event {
    Allocate {
        vm: i64,
        rc: String,
        amount: i64,
    },
    #[serde(rename = "substitutedVM", rename_all = "camelCase")]
    SubstitutedVm {
        vm: i64,
        new_vm: i64,
    },
}

/// What an action does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "id")]
#[allow(missing_docs, reason = "names and fields are those of BtrPlace's catalogue")]
pub enum Deed {
    #[serde(rename = "migrateVM")]
    Migrate {
        vm: i64,
        from: i64,
        to: i64,
        #[serde(default = "unlimited")]
        bw: i64,
    },
    #[serde(rename = "bootVM")]
    BootVm { vm: i64, on: i64 },
    #[serde(rename = "shutdownVM")]
    ShutdownVm { vm: i64, on: i64 },
    #[serde(rename = "killVM")]
    KillVm { vm: i64, on: i64 },
    #[serde(rename = "suspendVM")]
    SuspendVm { vm: i64, from: i64, to: i64 },
    #[serde(rename = "resumeVM")]
    ResumeVm { vm: i64, from: i64, to: i64 },
    #[serde(rename = "forgeVM")]
    ForgeVm { vm: i64 },
    #[serde(rename = "bootNode")]
    BootNode { node: i64 },
    #[serde(rename = "shutdownNode")]
    ShutdownNode { node: i64 },
    #[serde(rename = "allocate")]
    Allocate { vm: i64, on: i64, rc: String, amount: i64 },
}

fn unlimited() -> i64 {
    UNLIMITED
}
