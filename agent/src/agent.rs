//! One agent: a hypervisor, its journal, its link to a coordinator.

use crate::action::{Actions, Limits};
use crate::hypervisor::Hypervisor;
use crate::journal::{Journal, JournalError};
use crate::link::Nearness;
use crate::{link, watcher};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What an agent is told about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Name of the host; `None` = as the hypervisor says.
    pub host: Option<String>,
    /// Changes at each boot of the host; `None` = the kernel's.
    pub boot_id: Option<String>,
    /// Free key/value.
    pub labels: BTreeMap<String, String>,
    /// Where other hosts' hypervisors reach this one; empty = by the host's name, as libvirt does it.
    pub migration_uri: String,
    /// MiB/s that migrations may use in each direction; 0 = not known.
    pub migration_bandwidth_mib_s: f64,
    /// Migrations that may touch the host at once; 0 = the coordinator decides.
    pub max_migrations: u32,
    /// URLs of the coordinators; those that are equally near are taken in this order.
    pub coordinators: Vec<String>,
    /// How the nearest of them is found.
    pub nearness: Nearness,
    /// Where the journal is kept; one directory for each agent.
    pub state_dir: PathBuf,
    /// Bounds of this host.
    pub limits: Limits,
    /// Between two measurements of how fast a VM writes its memory; `None` = never.
    pub dirty_rate_each: Option<Duration>,
}

impl Identity {
    /// The host of that name, with every default, for one coordinator.
    #[must_use]
    pub fn new(host: &str, coordinator: &str, state_dir: PathBuf) -> Self {
        Self {
            host: Some(host.to_owned()),
            boot_id: None,
            labels: BTreeMap::new(),
            migration_uri: String::new(),
            migration_bandwidth_mib_s: 0.0,
            max_migrations: 0,
            coordinators: vec![coordinator.to_owned()],
            nearness: Nearness::default(),
            state_dir,
            limits: Limits { concurrent: 8 },
            dirty_rate_each: None,
        }
    }
}

/// Why an agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A coordinator's address is none.
    #[error("{url:?} is not the address of a coordinator: {why}")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is none to report to.
    #[error("no coordinator is named; set `coordinators`")]
    NoCoordinator,
}

/// Runs an agent until `stop`. Migrations that are under way go on in the hypervisor; the next agent with
/// the same state directory adopts them.
///
/// # Errors
/// When it cannot begin. Whatever happens later, it tries on.
pub async fn run(
    identity: Identity,
    hypervisor: Arc<dyn Hypervisor>,
    stop: CancellationToken,
) -> Result<(), AgentError> {
    let coordinators = link::endpoints(&identity.coordinators)?;
    let journal = Journal::open(&identity.state_dir)?;
    let Some(watched) = watcher::start(hypervisor.clone(), stop.clone()).await else { return Ok(()) };
    if let Some(each) = identity.dirty_rate_each {
        let measuring = watcher::measure_dirty_rates(hypervisor.clone(), watched.sample.clone(), each);
        let stop = stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(measuring).await });
    }
    let actions =
        Actions::start(hypervisor.clone(), journal, identity.limits, watched.sample.clone(), stop.clone());
    let link = link::Link { identity, driver: hypervisor.driver(), coordinators, watched, actions };
    stop.run_until_cancelled(link.run()).await;
    Ok(())
}
