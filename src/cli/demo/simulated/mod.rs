//! The demo without libvirt: agents as on real hosts, each with a simulated hypervisor, in this process.

mod fleet;
mod witness;

use super::settings;
use super::site::{Hour, Site, Testimony};
use super::truth::{self, TrueHost, TrueVm, Truth};
use crate::coordinator::settings::Settings;
use anyhow::Context as _;
use dvms_agent::Identity;
use dvms_agent::hypervisor::simulated::SimulatedWorld;
use dvms_solver::file::Constraint;
use fleet::Fleet;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use witness::Witness;

pub(super) use fleet::LICENSED_RACK;

/// The host that is overloaded; a web server runs there.
const HOT: &str = "hv03";
/// The host that is emptied; a web server and a licensed VM run there.
const LEAVING: &str = "hv05";
/// What the VMs of the hot host want of its processors in the rush.
const RUSH_SHARE: f64 = 0.98;
/// What is left of a VM's load at night.
const NIGHT: f64 = 0.25;
/// How often the witness looks at what has happened.
const WATCH_EACH: Duration = Duration::from_millis(50);
/// How long the agents have to end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// Simulated hosts, their VMs and their agents.
pub(super) struct Simulated {
    world: SimulatedWorld,
    fleet: Fleet,
    settings: Settings,
    witness: Arc<Mutex<Witness>>,
    agents: JoinSet<()>,
    stop: CancellationToken,
}

impl Simulated {
    /// Makes the hosts and VMs of a seed. Nobody speaks for them yet.
    pub(super) fn new(seed: u64, settings: &Settings) -> Self {
        let (world, fleet) = (SimulatedWorld::new(1.0), fleet::fleet(seed));
        for (host, _) in &fleet.hosts {
            world.add_host(host.clone());
        }
        for guest in &fleet.guests {
            world.add_vm(&guest.host, guest.spec.clone());
        }
        let memory = fleet.hosts.iter().map(|(host, _)| (host.name.clone(), host.memory_mib)).collect();
        let labels = fleet.guests.iter().map(|guest| (&guest.spec.name, &guest.spec.labels));
        let apart = truth::apart(&settings.constraints, labels);
        let witness = Arc::new(Mutex::new(Witness::new(memory, &world.residents(), apart)));
        Self {
            world,
            fleet,
            settings: settings.clone(),
            witness,
            agents: JoinSet::new(),
            stop: CancellationToken::new(),
        }
    }

    /// How many hosts and VMs there are.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.fleet.hosts.len(), self.fleet.guests.len())
    }

    /// Starts an agent for each host and the witness.
    ///
    /// # Errors
    /// A directory cannot be made.
    pub(super) fn connect(&mut self, coordinator: SocketAddr, folder: &Path) -> anyhow::Result<()> {
        for (host, labels) in &self.fleet.hosts {
            let state = folder.join(&host.name);
            std::fs::create_dir_all(&state)
                .with_context(|| format!("cannot make the state directory {}", state.display()))?;
            let identity = Identity {
                boot_id: Some("demo".to_owned()),
                labels: labels.clone(),
                migration_uri: SimulatedWorld::migration_uri(&host.name),
                migration_bandwidth_mib_s: fleet::LINK_MIB_S,
                max_migrations: fleet::MAX_MIGRATIONS,
                ..Identity::new(&host.name, &format!("http://{coordinator}"), state)
            };
            let (name, hypervisor) = (host.name.clone(), self.world.hypervisor(&host.name));
            let stop = self.stop.clone();
            self.agents.spawn(async move {
                if let Err(error) = dvms_agent::run(identity, hypervisor, stop).await {
                    tracing::error!(host = name, "the agent cannot run: {error}");
                }
            });
        }
        let (world, witness, stop) = (self.world.clone(), Arc::clone(&self.witness), self.stop.clone());
        self.agents.spawn(async move {
            let watch = async {
                loop {
                    tokio::time::sleep(WATCH_EACH).await;
                    look(&world, &witness);
                }
            };
            stop.run_until_cancelled(watch).await;
        });
        Ok(())
    }

    /// Ends the agents; waits for them, but not long.
    pub(super) async fn disconnect(&mut self) {
        self.stop.cancel();
        let all = async { while self.agents.join_next().await.is_some() {} };
        // What does not end in time ends with the process.
        let _ = tokio::time::timeout(END_WITHIN, all).await;
    }
}

/// Shows the witness what it has not seen.
fn look(world: &SimulatedWorld, witness: &Mutex<Witness>) {
    let mut witness = witness.lock().unwrap_or_else(PoisonError::into_inner);
    let steps = world.steps_after(witness.seen());
    witness.look(&steps);
}

impl Site for Simulated {
    fn hot_host(&self) -> &str {
        HOT
    }

    fn leaving_host(&self) -> &str {
        LEAVING
    }

    fn rules(&self) -> &[Constraint] {
        &self.settings.constraints
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(45)
    }

    fn pace(&self) -> Duration {
        Duration::from_millis(100)
    }

    async fn turn(&mut self, hour: Hour) -> anyhow::Result<()> {
        let here = self.world.vms_on(HOT);
        let wanted = |name: &String| {
            let guest = self.fleet.guests.iter().find(|guest| guest.spec.name == *name);
            guest.map_or(0.0, |guest| guest.spec.load.mean_millicores)
        };
        let rush = RUSH_SHARE * fleet::HOST_MILLICORES as f64 / here.iter().map(wanted).sum::<f64>().max(1.0);
        for guest in &self.fleet.guests {
            let factor = match hour {
                Hour::Rush if here.contains(&guest.spec.name) => rush,
                Hour::Rush => continue,
                Hour::Night => NIGHT,
            };
            self.world.set_load(&guest.spec.name, guest.spec.load.scaled(factor));
        }
        Ok(())
    }

    async fn look(&mut self) -> anyhow::Result<Truth> {
        let hosts = self.fleet.hosts.iter().map(|(host, labels)| {
            let (cpu_limit, memory_limit) =
                settings::limits(&self.settings, host.cpu_millicores, host.memory_mib);
            let host_now = TrueHost { cpu_limit, memory_limit, labels: labels.clone(), draining: false };
            (host.name.clone(), host_now)
        });
        let vms = self.fleet.guests.iter().map(|guest| {
            let vm = TrueVm {
                memory: guest.spec.memory_mib,
                labels: guest.spec.labels.clone(),
                ..TrueVm::default()
            };
            (guest.spec.name.clone(), vm)
        });
        let mut truth = Truth { hosts: hosts.collect(), vms: vms.collect::<BTreeMap<_, _>>() };
        for resident in self.world.residents().into_iter().filter(|resident| resident.runs) {
            let vm = truth.vms.entry(resident.vm).or_default();
            vm.hosts.insert(resident.host);
            vm.cpu = resident.wanted_millicores;
        }
        Ok(truth)
    }

    fn arrived(&self) -> usize {
        look(&self.world, &self.witness);
        self.witness.lock().unwrap_or_else(PoisonError::into_inner).ended().0
    }

    async fn testimony(&mut self) -> anyhow::Result<Testimony> {
        look(&self.world, &self.witness);
        let residents = self.world.residents();
        let mut witness = self.witness.lock().unwrap_or_else(PoisonError::into_inner);
        // Steps that were made between the two looks are still to be seen; the next testimony has them.
        if self.world.steps_after(witness.seen()).is_empty() {
            witness.compare(&residents);
        }
        let (arrived, failed) = witness.ended();
        let watched = vec![
            format!("no VM ever ran on two hosts or on none ({} steps looked at)", witness.seen()),
            "no rule was broken and no host held more memory than it has, at no instant".to_owned(),
        ];
        let mut harm = witness.harm().to_vec();
        harm.extend(self.world.split_brains().into_iter().map(|vm| format!("{vm} runs on two hosts")));
        Ok(Testimony { watched, harm, arrived, failed: Some(failed) })
    }
}
