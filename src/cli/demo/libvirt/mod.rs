//! The demo with libvirt: the same story with QEMU guests on libvirt daemons, each with an agent as on a real
//! host. As root; see tests/testbed/README.md.

mod bed;
mod meter;
mod socket;
mod virsh;
mod watcher;

use super::settings;
use super::site::{Hour, Site, Testimony};
use super::truth::{self, TrueHost, TrueVm, Truth};
use crate::coordinator::settings::Settings;
use anyhow::{Context as _, bail};
use bed::Bed;
use dvms_solver::file::{Constraint, Labels};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use watcher::Watcher;

/// Hypervisors, `hv1` to `hvN`; the last two are in the rack of the licence.
const HOSTS: usize = 4;
/// The host that is overloaded.
const HOT: &str = "hv1";
/// The host that is emptied.
const LEAVING: &str = "hv4";
/// The rack where licensed VMs may run.
pub(in super::super) const LICENSED_RACK: &str = "r2";
/// MiB of each guest.
const GUEST_MIB: i64 = 48;
/// MiB that each hypervisor says it has: so many that by memory hosts count as underloaded, as they do by cpu at night.
const HOST_MIB: i64 = 4096;
/// MiB/s for migrations: one of them takes a second or two.
const BANDWIDTH_MIB_S: f64 = 40.0;
/// For the figures below: milli-cores that VMs may use of a host.
const SCALE: i64 = 800;
/// How long it may take until it is seen that guests do what they were told.
const SHOWN_WITHIN: Duration = Duration::from_secs(9);
/// Heartbeats are written a character at a time: what is found wrong while guests write is looked at again.
const LOOKS_AT_HEARTBEATS: usize = 4;

/// Guests of which no two may share a host.
pub(in super::super) const WEBS: [&str; 2] = ["web-1", "web-2"];
/// Guests that may run in the rack of the licence only.
pub(in super::super) const LICENSED: [&str; 1] = ["ora-1"];

/// A guest and its hypervisor at the beginning.
const GUESTS: [(&str, usize); 13] = [
    ("web-1", 1),
    ("vm-01", 1),
    ("vm-02", 1),
    ("vm-03", 1),
    ("web-2", 2),
    ("vm-04", 2),
    ("vm-05", 2),
    ("vm-06", 3),
    ("vm-07", 3),
    ("vm-08", 3),
    ("ora-1", 4),
    ("vm-09", 4),
    ("vm-10", 4),
];

/// Percent of its processor that a guest wants, when VMs may use [`SCALE`] of a host.
fn percent(hour: Option<Hour>, host: usize) -> i64 {
    match hour {
        Some(Hour::Rush) if host == 1 => 20,
        Some(Hour::Night) => 0,
        _ => 3,
    }
}

/// Real hypervisors with their guests and agents.
pub(super) struct Libvirt {
    bed: Arc<Bed>,
    settings: Settings,
    watcher: Watcher,
    /// Percent of its processor that each guest was told to use.
    loads: BTreeMap<String, i64>,
    /// Milli-cores of a host.
    cores: i64,
}

impl Libvirt {
    /// Boots hypervisors and guests.
    ///
    /// # Errors
    /// What is missing on this machine, or did not start.
    pub(super) fn boot(folder: &Path) -> anyhow::Result<Self> {
        agent_binary()?;
        let bed = Bed::find(&folder.join("bed"))?;
        bed.up(HOSTS)?;
        let mut hosts = Vec::new();
        for host in 1..=HOSTS {
            let uri = bed.run(&["uri", &host.to_string()])?;
            bed.run(&["mem", &host.to_string(), &(HOST_MIB * 1024).to_string()])?;
            hosts.push((format!("hv{host}"), uri));
        }
        let cores = cores(&bed)?;
        let settings = settings::on_libvirt(cores, scale(cores));
        let mut loads = BTreeMap::new();
        for (name, host) in GUESTS {
            let load = percent(None, host) * scale(cores) / SCALE;
            let cmdline = format!("c={load} d=8 r=1");
            bed.run(&["create", &host.to_string(), name, "nano", &GUEST_MIB.to_string(), &cmdline])?;
            loads.insert(name.to_owned(), load);
        }
        let (names, none): (Vec<String>, _) = (loads.keys().cloned().collect(), Labels::new());
        let apart = truth::apart(&settings.constraints, names.iter().map(|name| (name, &none)));
        let watcher = Watcher::start(&hosts, apart)?;
        Ok(Self { bed: Arc::new(bed), settings, watcher, loads, cores })
    }

    /// How the coordinator is to be set.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many hosts and VMs there are.
    pub(super) fn size() -> (usize, usize) {
        (HOSTS, GUESTS.len())
    }

    /// Starts an agent in each hypervisor.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn connect(&self, coordinator: SocketAddr) -> anyhow::Result<()> {
        let folder = self.bed.folder();
        let socket = folder.join("coordinator.sock");
        socket::lead(&socket, coordinator)?;
        let program = agent_binary()?;
        for host in 1..=HOSTS {
            let state = folder.join(format!("agent{host}"));
            std::fs::create_dir_all(&state).with_context(|| format!("cannot make {}", state.display()))?;
            let mut config = String::new();
            let _ = writeln!(config, "coordinators = [\"unix://{}\"]", socket.display());
            let _ = writeln!(config, "host = \"hv{host}\"\nstate_dir = \"{}\"", state.display());
            let _ =
                writeln!(config, "migration_uri = \"{}\"", self.bed.run(&["peer-uri", &host.to_string()])?);
            let _ = writeln!(config, "migration_bandwidth_mib_s = {BANDWIDTH_MIB_S:.1}\nmax_migrations = 2");
            let _ = writeln!(config, "[labels]\nrack = \"{}\"", rack(host));
            let _ = writeln!(config, "[libvirt]\noverhead_mib_per_vm = 16");
            let file = state.join("agent.toml");
            std::fs::write(&file, config).with_context(|| format!("cannot write {}", file.display()))?;
            let file = file.to_string_lossy().into_owned();
            self.bed.start(host, &program, &["--config", &file], &folder.join(format!("agent{host}.log")))?;
        }
        Ok(())
    }

    /// Tells guests how much to use, in percent of a processor when VMs may use [`SCALE`] of a host.
    async fn load(&mut self, wanted: Vec<(String, i64)>) -> anyhow::Result<()> {
        let scaled = wanted.into_iter().map(|(name, percent)| (name, percent * scale(self.cores) / SCALE));
        let changed: Vec<_> = scaled.filter(|(name, load)| self.loads.get(name) != Some(load)).collect();
        self.loads.extend(changed.iter().cloned());
        self.on_bed(move |bed| {
            changed.iter().try_for_each(|(name, load)| bed.run(&["load", name, &load.to_string()]).map(drop))
        })
        .await
    }

    /// Waits until the guests of the hot host are seen to use more than its limit. Where a busy machine gives them
    /// less than they want, they want more.
    async fn rush(&mut self) -> anyhow::Result<()> {
        let first = percent(Some(Hour::Rush), 1);
        for more in [0, 6, 12] {
            let hot = GUESTS.iter().filter(|(_, host)| *host == 1);
            self.load(hot.map(|(name, _)| ((*name).to_owned(), first + more)).collect()).await?;
            let end = Instant::now() + SHOWN_WITHIN;
            while Instant::now() < end {
                if self.look().await?.cpu_share(HOT) > 1.0 {
                    return Ok(());
                }
                tokio::time::sleep(self.pace()).await;
            }
        }
        let share = self.look().await?.cpu_share(HOT) * 100.0;
        bail!(
            "the guests of {HOT} are to use more than its limit and use {share:.0} % of it: this machine is too busy \
             with other things"
        )
    }

    /// Ends agents, guests and hypervisors, also while something still waits for an answer of theirs.
    pub(super) async fn disconnect(&self) {
        let down = self.on_bed(|bed| {
            bed.down();
            Ok(())
        });
        if let Err(error) = down.await {
            tracing::error!("{error:#}");
        }
    }

    /// A verb of the test bed, off the threads that serve.
    async fn on_bed<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Bed) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let bed = Arc::clone(&self.bed);
        tokio::task::spawn_blocking(move || act(&bed)).await.context("a task has ended")?
    }
}

/// Milli-cores that VMs may use of a host: more on machines that are too large for [`SCALE`] to be had.
fn scale(cores: i64) -> i64 {
    SCALE.max(cores / 100)
}

fn rack(host: usize) -> &'static str {
    if host > HOSTS - 2 { LICENSED_RACK } else { "r1" }
}

/// Milli-cores of this machine, as each hypervisor reports them.
fn cores(bed: &Bed) -> anyhow::Result<i64> {
    let info = bed.run(&["on", "1", "virsh", "-q", "-c", "qemu:///system", "nodeinfo"])?;
    let line = info.lines().find_map(|line| line.strip_prefix("CPU(s):"));
    let count: i64 =
        line.and_then(|count| count.trim().parse().ok()).context("virsh nodeinfo tells no CPU(s)")?;
    Ok(count * 1000)
}

/// The agent, which is built with this program.
fn agent_binary() -> anyhow::Result<PathBuf> {
    let dvms = std::env::current_exe().context("cannot tell where this program is")?;
    let agent = dvms.with_file_name("dvms-agent");
    if !agent.is_file() {
        bail!("{} is not there; `make demo-libvirt` builds it", agent.display());
    }
    Ok(agent)
}

impl Site for Libvirt {
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
        Duration::from_mins(2)
    }

    fn pace(&self) -> Duration {
        Duration::from_millis(200)
    }

    async fn turn(&mut self, hour: Hour) -> anyhow::Result<()> {
        let wanted = GUESTS.map(|(name, host)| (name.to_owned(), percent(Some(hour), host)));
        self.load(wanted.into()).await?;
        if hour == Hour::Rush { self.rush().await } else { Ok(()) }
    }

    async fn look(&mut self) -> anyhow::Result<Truth> {
        let (cpu_limit, memory_limit) = settings::limits(&self.settings, self.cores, HOST_MIB);
        let hosts = (1..=HOSTS).map(|host| {
            let labels = Labels::from([("rack".to_owned(), rack(host).to_owned())]);
            (format!("hv{host}"), TrueHost { cpu_limit, memory_limit, labels, draining: false })
        });
        let mut running = self.watcher.running()?;
        let vms = GUESTS.iter().map(|(name, _)| {
            let (hosts, cpu) = running.remove(*name).unwrap_or_default();
            ((*name).to_owned(), TrueVm { hosts, cpu, memory: GUEST_MIB, labels: Labels::new() })
        });
        Ok(Truth { hosts: hosts.collect(), vms: vms.collect() })
    }

    fn arrived(&self) -> usize {
        self.watcher.account().1
    }

    async fn testimony(&mut self) -> anyhow::Result<Testimony> {
        let (rounds, arrived, mut harm) = self.watcher.account();
        let names: BTreeSet<String> = self.loads.keys().cloned().collect();
        harm.extend(self.on_bed(move |bed| heartbeats(bed, names)).await?);
        let watched = vec![
            "no guest lost or doubled a heartbeat: none ran on two hosts, none went back".to_owned(),
            format!("no rule was broken in any of {rounds} looks at all hosts"),
        ];
        Ok(Testimony { watched, harm, arrived, failed: None })
    }
}

/// Guests whose heartbeats do not each appear exactly once over all hosts.
fn heartbeats(bed: &Bed, mut names: BTreeSet<String>) -> anyhow::Result<Vec<String>> {
    let mut harm = Vec::new();
    for look in 0..LOOKS_AT_HEARTBEATS {
        if look > 0 {
            std::thread::sleep(Duration::from_millis(250));
        }
        harm.clear();
        for name in std::mem::take(&mut names) {
            let output = bed.output(&["heartbeat", &name])?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stdout).trim().replace('\n', ", ");
                harm.push(format!("heartbeats of {name}: {said}"));
                names.insert(name);
            }
        }
        if names.is_empty() {
            break;
        }
    }
    Ok(harm)
}
