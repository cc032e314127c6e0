//! A server with simulated agents.

use super::command::{Done, PATIENCE, dvms, end_of, run, wait_for};
use dvms_agent::Identity;
use dvms_agent::hypervisor::simulated::{HostSpec, Load, SimulatedWorld, VmSpec};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A `dvms serve` that goes down with this value.
pub(crate) struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub(crate) address: String,
    /// `http://127.0.0.1:PORT/metrics`
    pub(crate) metrics: String,
    stderr: PathBuf,
    _scratch: tempfile::TempDir,
}

/// A server on free ports.
pub(crate) fn serve_command(state_dir: &Path, config: &Path) -> Command {
    serve_at("127.0.0.1:0", state_dir, config)
}

fn serve_at(listen: &str, state_dir: &Path, config: &Path) -> Command {
    let (state_dir, config) = (state_dir.to_str().unwrap(), config.to_str().unwrap());
    let ports = ["--listen", listen, "--metrics-listen", "127.0.0.1:0"];
    let files = ["--state-dir", state_dir, "--config", config];
    dvms(&[&["serve", "--output", "json"][..], &ports, &files].concat())
}

impl Server {
    /// Starts a server and waits until it tells where it is.
    pub(crate) fn start(state_dir: &Path, config: &str) -> Self {
        Self::start_at("127.0.0.1:0", state_dir, config)
    }

    /// The same at an address.
    pub(crate) fn start_at(listen: &str, state_dir: &Path, config: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("dvms.toml");
        std::fs::write(&file, config).unwrap();
        let stderr = scratch.path().join("log");
        let mut command = serve_at(listen, state_dir, &file);
        command.stdout(Stdio::piped()).stderr(std::fs::File::create(&stderr).unwrap());
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (told, hear) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines();
            let _ = told.send(lines.next().and_then(Result::ok));
            // Whatever else it prints must not stop it.
            lines.for_each(drop);
        });
        let line = hear.recv_timeout(PATIENCE).ok().flatten();
        let Some(line) = line else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the server told no address: {}", std::fs::read_to_string(&stderr).unwrap());
        };
        let told: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        Self { child, address: text("address"), metrics: text("metrics"), stderr, _scratch: scratch }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.pid());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    /// Waits for its end; its exit status.
    pub(crate) fn end(&mut self) -> Option<i32> {
        end_of(&mut self.child, "dvms serve").code()
    }

    /// Runs a command against it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        run(&[&["--server", &self.address], arguments].concat())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Simulated hosts with their agents, for one server.
pub(crate) struct Agents {
    pub(crate) world: SimulatedWorld,
    stop: CancellationToken,
    runtime: Option<tokio::runtime::Runtime>,
    _journals: tempfile::TempDir,
}

/// A host with its VMs: name, milli-cores, MiB.
pub(crate) type HostWithVms<'a> = (&'a str, &'a [(&'a str, f64, i64)]);

/// Three hosts of 8 cores and 16 GiB with a few VMs of the applications `web` and `db`.
pub(crate) const SMALL: &[HostWithVms<'static>] = &[
    ("h1", &[("web1", 1000.0, 1024), ("web2", 500.0, 1024)]),
    ("h2", &[("db1", 2000.0, 2048)]),
    ("h3", &[("web3", 500.0, 1024)]),
];

impl Agents {
    /// Starts agents and waits until the server knows all their VMs.
    pub(crate) fn start(server: &Server, hosts: &[HostWithVms<'_>]) -> Self {
        let world = SimulatedWorld::new(1.0);
        for (host, vms) in hosts {
            world.add_host(HostSpec {
                name: (*host).into(),
                cpu_millicores: 8000,
                memory_mib: 16384,
                migration_bandwidth_mib_s: 2000.0,
                numa_cells: Vec::new(),
            });
            for (name, millicores, memory_mib) in *vms {
                let app = name.trim_end_matches(|c: char| c.is_ascii_digit());
                world.add_vm(
                    host,
                    VmSpec {
                        name: (*name).into(),
                        vcpus: 8,
                        memory_mib: *memory_mib,
                        load: Load::constant(*millicores),
                        dirty_mib_s: 1.0,
                        labels: [("app".to_owned(), app.to_owned())].into(),
                    },
                );
            }
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (runtime, journals) = (runtime.unwrap(), tempfile::tempdir().unwrap());
        let stop = CancellationToken::new();
        let address = server.address.trim_start_matches("http://");
        for (i, (host, _)) in hosts.iter().enumerate() {
            let mut identity = Identity::new(host, address, journals.path().join(host));
            identity.migration_uri = SimulatedWorld::migration_uri(host);
            identity.migration_bandwidth_mib_s = 2000.0;
            identity.labels.insert("rack".into(), format!("r{}", i % 2 + 1));
            runtime.spawn(dvms_agent::run(identity, world.hypervisor(host), stop.clone()));
        }
        let agents = Self { world, stop, runtime: Some(runtime), _journals: journals };
        let (host_count, vm_count) = (hosts.len(), hosts.iter().map(|(_, vms)| vms.len()).sum::<usize>());
        wait_for("the server knows all hosts and VMs", || {
            let count = |what: &str| {
                let done = server.run(&[what, "--output", "json"]).expect(0);
                done.json().as_array().unwrap().len()
            };
            count("hosts") == host_count && count("vms") == vm_count
        });
        agents
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A server that acts on nothing by itself, so that a test sees what it asked for only.
pub(crate) const QUIET: &str = "[planning]\nmode = \"approve\"\n[detection]\nunderload = 0.0\n";
