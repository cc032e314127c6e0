//! The light process on a hypervisor: reports what the host and its VMs use, carries out actions.
//!
//! ```text
//! hypervisor ──samples──► watcher ──────────► link ◄──stream──► coordinator
//!     ▲                                        │
//!     └───calls──── action (one task each) ◄───┘ orders
//!                      └─► journal
//! ```

pub mod action;
mod agent;
pub mod config;
pub mod hypervisor;
pub mod journal;
mod link;
mod report;
mod watcher;

pub use agent::{AgentError, Identity, run};
pub use link::Nearness;
