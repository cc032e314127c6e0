//! The records of the system: hosts, VMs, events, plans with their lives, and what agents say. Plain data in the
//! words of the domain, without behaviour beyond small questions; the store keeps them, the coordinator makes
//! them, the API converts them.

mod agent;
mod event;
mod host;
mod migration;
mod plan;
mod vm;

pub use agent::{
    ActionKey, ActionProgress, Capacity, Delta, FailureReason, Hello, Inventory, NumaCell, Order, OrderKind,
    ProgressState, Report, Usage, VmReport, VmState,
};
pub use event::{Event, EventKind, Severity};
pub use host::{AdminState, Connection, HostRecord};
pub use migration::{MigrationForecast, MigrationRecord};
pub use plan::{ActionState, ActionStatus, Kept, Mode, Pace, PlanRecord, PlanRequest, PlanState};
pub use vm::VmRecord;
