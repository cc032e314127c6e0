//! A coordinator and an agent on each hypervisor of a test bed, as processes inside it; spoken to by the command line.

use crate::testbed::{Testbed, wait_for};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where the coordinator listens: the address of the test bed's cluster namespace.
const SERVER: &str = "10.77.0.254:7600";

/// What the only coordinator is called among the processes.
const COORDINATOR: &str = "coordinator";

/// Settings under which nothing waits for long, and idle hosts are left alone.
pub(crate) const BRISK: &str = "
[detection]
hold_s = 1
cool_down_s = 2
underload = 0
";

/// A host may use 600 millicores: the guests share the real cores of one machine. On a busy one they get less than
/// they ask for; half of it is enough for an overload here, and all of it can still be spread.
pub(crate) const CROWDED: &str = "
[inventory]
cpu_overcommit = 0.3
smoothing_s = 2
[detection]
cpu_overload = 0.66
cpu_target = 0.6
hold_s = 2
cool_down_s = 5
underload = 0
";

/// The guests of one cluster fill the machine: one at a time, also where the runner has threads for more.
pub(crate) static ALONE: Mutex<()> = Mutex::new(());

/// A running cluster. When it goes, all plans that were made are judged and all heartbeats are read, unless the
/// test has failed already.
pub(crate) struct Cluster {
    pub(crate) bed: Testbed,
    hosts: usize,
    guests: Mutex<Vec<String>>,
    /// The coordinator that the command line speaks with, and from where: how `hypervisors.sh` gets there.
    server: Mutex<(Vec<String>, String)>,
    children: Mutex<Vec<Child>>,
    _alone: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Boots `hosts` hypervisors; nothing of dvms runs yet. `None` = not on this machine.
    pub(crate) fn boot(hosts: usize) -> Option<Self> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let bed = Testbed::up(hosts)?;
        let (guests, children) = (Mutex::default(), Mutex::default());
        Some(Self {
            bed,
            hosts,
            guests,
            server: Mutex::new((vec!["exec".to_owned()], SERVER.to_owned())),
            children,
            _alone: alone,
        })
    }

    /// As many hypervisors, whose migrations may use 5 MiB/s, and a guest `slow`, made on the first one by `make`, that is
    /// on its way from there as that is drained: for some ten seconds.
    pub(crate) fn in_mid_migration(hosts: usize, settings: &str, make: impl FnOnce(&Self)) -> Option<Self> {
        let cluster = Self::boot(hosts)?;
        make(&cluster);
        cluster.serve(settings);
        for host in 1..=hosts {
            cluster.start_agent(host, 5.0);
        }
        cluster.wait_until_known();
        cluster.run(&["drain", "hv1"]);
        cluster.wait("the migration is under way", 30, |cluster| {
            let vm = cluster.json(&["vms", "slow"]);
            vm["state"] == "MIGRATING_OUT" && vm["migrating_to"].as_str().is_some_and(|to| !to.is_empty())
        });
        Some(cluster)
    }

    /// Starts the coordinator with these settings besides those of the test bed, and waits until it answers.
    pub(crate) fn serve(&self, settings: &str) {
        self.start_member(COORDINATOR, SERVER, settings);
    }

    /// Starts the coordinator again, in the place of one that was killed, and waits until it answers.
    pub(crate) fn start_coordinator(&self) {
        self.run_member(&["exec"], COORDINATOR, SERVER);
    }

    /// Speaks with this coordinator from now on.
    pub(crate) fn speak_with(&self, server: &str) {
        *self.server.lock().unwrap() = (vec!["exec".to_owned()], server.to_owned());
    }

    /// The same, with the network of this hypervisor.
    pub(crate) fn speak_from(&self, host: usize, server: &str) {
        *self.server.lock().unwrap() = (vec!["net-on".to_owned(), host.to_string()], server.to_owned());
    }

    /// Starts one of several coordinators, and waits until it answers.
    pub(crate) fn start_member(&self, name: &str, server: &str, settings: &str) {
        self.start_member_at(&["exec"], name, server, settings);
    }

    /// Starts one of several coordinators on a hypervisor, and waits until it answers.
    pub(crate) fn start_member_on(&self, host: usize, name: &str, server: &str, settings: &str) {
        self.start_member_at(&["on", &host.to_string()], name, server, settings);
    }

    fn start_member_at(&self, place: &[&str], name: &str, server: &str, settings: &str) {
        let config = self.bed.path().join(format!("{name}.toml"));
        let text = format!(
            "[server]\nlisten = \"{server}\"\ninsecure_plaintext = true\n[metrics]\nenabled = false\n{settings}"
        );
        fs::write(&config, text).unwrap();
        self.run_member(place, name, server);
    }

    fn run_member(&self, place: &[&str], name: &str, server: &str) {
        let (config, state) = (self.bed.path().join(format!("{name}.toml")), self.bed.path().join(name));
        let args = ["serve", "--config", path(&config), "--state-dir", path(&state)];
        self.spawn(place, name, &dvms(), &args);
        self.speak_with(server);
        wait_for("the coordinator answers", Duration::from_secs(20), || {
            self.dvms(&["hosts"]).status.success()
        });
    }

    /// Starts any program in the cluster's namespace.
    pub(crate) fn start(&self, name: &str, program: &str, args: &[&str]) {
        self.spawn(&["exec"], name, Path::new(program), args);
    }

    /// Ends a process that was started there at once, as a crash does.
    pub(crate) fn kill(&self, name: &str) {
        self.bed.run(&["exec", "kill", "-KILL", &self.pid(name)]);
    }

    /// Ends the coordinator at once, as a crash does.
    pub(crate) fn kill_coordinator(&self) {
        self.kill(COORDINATOR);
    }

    /// Starts the agents of all hypervisors and waits until the coordinator knows them with all their guests.
    pub(crate) fn attach(&self) {
        for host in 1..=self.hosts {
            self.start_agent(host, 20.0);
        }
        self.wait_until_known();
    }

    /// Waits until each hypervisor is connected and each guest is known.
    pub(crate) fn wait_until_known(&self) {
        let guests = self.guests.lock().unwrap().len();
        self.wait("all hosts are connected", 30, |cluster| {
            let hosts = cluster.json(&["hosts"]);
            let connected = |host: &&Value| host["connection"] == "CONNECTED";
            hosts.as_array().unwrap().iter().filter(connected).count() == cluster.hosts
        });
        self.wait("all guests are known", 30, |cluster| {
            cluster.json(&["vms"]).as_array().unwrap().len() == guests
        });
    }

    /// Starts the agent of a hypervisor, whose migrations may use so many MiB/s.
    pub(crate) fn start_agent(&self, host: usize, bandwidth_mib_s: f64) {
        self.start_agent_with(host, bandwidth_mib_s, "");
    }

    /// The same with more settings, lines of its configuration.
    pub(crate) fn start_agent_with(&self, host: usize, bandwidth_mib_s: f64, settings: &str) {
        self.start_agent_of(&[SERVER.to_owned()], host, bandwidth_mib_s, settings);
    }

    /// The same with these coordinators, in the order in which they are tried.
    pub(crate) fn start_agent_of(
        &self,
        servers: &[String],
        host: usize,
        bandwidth_mib_s: f64,
        settings: &str,
    ) {
        let servers: Vec<String> = servers.iter().map(|server| format!("\"{server}\"")).collect();
        let servers = servers.join(", ");
        let name = format!("hv{host}");
        let folder = self.bed.path().join(format!("agent{host}"));
        fs::create_dir_all(&folder).unwrap();
        let config = folder.join("agent.toml");
        let text = format!(
            "coordinators = [{servers}]\ninsecure_plaintext = true\nhost = \"{name}\"\n\
             state_dir = \"{}\"\nmigration_uri = \"{}\"\nmigration_bandwidth_mib_s = {bandwidth_mib_s:.1}\n\
             {settings}[nearest]\nmeasure = false\n[labels]\nrack = \"r{host}\"\n[libvirt]\noverhead_mib_per_vm = 16\n",
            path(&folder.join("state")),
            self.bed.peer_uri(host),
        );
        fs::write(&config, text).unwrap();
        let args = ["--config", path(&config)];
        self.spawn(&["on", &host.to_string()], &format!("agent{host}"), &agent(), &args);
    }

    /// Ends the agent of a hypervisor at once, as a crash does.
    pub(crate) fn kill_agent(&self, host: usize) {
        self.bed.run(&["on", &host.to_string(), "kill", "-KILL", &self.pid(&format!("agent{host}"))]);
    }

    /// The pid of a process that was started here, inside its namespace.
    fn pid(&self, name: &str) -> String {
        fs::read_to_string(self.bed.path().join(format!("{name}.pid"))).unwrap().trim().to_owned()
    }

    /// The process of a hypervisor's agent, as seen from this side.
    pub(crate) fn agent_pid(&self, host: usize) -> String {
        let inside = self.pid(&format!("agent{host}"));
        // The pid that it has in the namespace of its hypervisor is the last of the list.
        let is_agent = |status: &String| {
            status.starts_with("Name:\tdvms-agent")
                && status
                    .lines()
                    .any(|line| line.starts_with("NSpid:") && line.split_whitespace().last() == Some(&inside))
        };
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
        let found = processes
            .into_iter()
            .find(|process| fs::read_to_string(process.join("status")).is_ok_and(|status| is_agent(&status)));
        found.expect("the agent runs").file_name().unwrap().to_str().unwrap().to_owned()
    }

    /// A guest that the end of the test judges. `cmdline` as in the test bed's README.
    pub(crate) fn guest(&self, host: usize, name: &str, mib: u32, cmdline: &str) {
        self.bed.create(host, name, mib, cmdline);
        self.guests.lock().unwrap().push(name.to_owned());
    }

    /// As `guest`, of a VM that is defined on its host and survives a shutdown.
    pub(crate) fn persistent_guest(&self, host: usize, name: &str, mib: u32, cmdline: &str) {
        self.bed.run(&["define", &host.to_string(), name, "nano", &mib.to_string(), cmdline]);
        self.guests.lock().unwrap().push(name.to_owned());
    }

    /// A guest that is started again counts its heartbeats from 1 again: they are not judged.
    pub(crate) fn restarted(&self, name: &str) {
        self.guests.lock().unwrap().retain(|guest| guest != name);
    }

    /// Changes how busy a guest is, in percent of its one virtual core.
    pub(crate) fn load(&self, guest: &str, percent: u32) {
        self.bed.run(&["load", guest, &percent.to_string()]);
    }

    /// Starts a process inside a namespace of the test bed. Its output goes to a log; its pid there is noted, for the
    /// tests that kill it.
    fn spawn(&self, verb: &[&str], name: &str, program: &Path, args: &[&str]) {
        let log = self.bed.path().join(format!("{name}.log"));
        let log = fs::File::options().create(true).append(true).open(log).unwrap();
        let script = format!("echo $$ >{}/{name}.pid; exec \"$@\"", path(self.bed.path()));
        let words = [verb, &["bash", "-c", &script, name, path(program)], args].concat();
        let mut command = self.bed.command(&words);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.children.lock().unwrap().push(command.spawn().unwrap());
    }

    /// A command of `dvms`, whatever comes of it.
    pub(crate) fn dvms(&self, args: &[&str]) -> Output {
        let dvms = dvms();
        let (place, server) = self.server.lock().unwrap().clone();
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        let words = [&place[..], &[path(&dvms)], args, &["--server", &server]].concat();
        self.bed.output(&words)
    }

    /// A command of `dvms` that must succeed.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let output = self.dvms(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "dvms {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// What a command of `dvms` says in its JSON form.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.run(&[args, &["--output", "json"]].concat())).unwrap()
    }

    /// All plans, oldest first, with their problems.
    pub(crate) fn plans(&self) -> Vec<Value> {
        let list = self.json(&["plans", "list", "--last", "0"]);
        let ids = list.as_array().unwrap().iter().rev().map(|plan| plan["id"].as_str().unwrap().to_owned());
        ids.map(|id| self.json(&["plans", "show", &id, "--problem"])).collect()
    }

    /// All events, oldest first.
    pub(crate) fn events(&self) -> Vec<Value> {
        let Value::Array(mut events) = self.json(&["events", "--last", "1000"]) else { panic!("not a list") };
        events.sort_by_key(|event| event["id"].as_u64());
        events
    }

    /// Where a guest is, in the coordinator's eyes.
    pub(crate) fn home(&self, guest: &str) -> String {
        self.json(&["vms", guest])["host"].as_str().unwrap_or_default().to_owned()
    }

    /// How many guests a host has, in the coordinator's eyes.
    pub(crate) fn count(&self, host: &str) -> u64 {
        self.json(&["hosts", host])["vm_count"].as_u64().unwrap_or(0)
    }

    /// Waits until something holds; fails with the end of all logs when it does not come about.
    pub(crate) fn wait(&self, what: &str, seconds: u64, mut ready: impl FnMut(&Self) -> bool) {
        let end = std::time::Instant::now() + Duration::from_secs(seconds);
        while !ready(self) {
            assert!(std::time::Instant::now() < end, "not within {seconds} s: {what}\n{}", self.story());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What is known of what has happened, for the message of a test that fails.
    pub(crate) fn story(&self) -> String {
        let mut story = String::new();
        for args in [&["hosts"][..], &["vms"], &["events", "--last", "60"], &["plans", "list"]] {
            let output = self.dvms(args);
            let _ = write!(story, "--- dvms {args:?}\n{}", String::from_utf8_lossy(&output.stdout));
        }
        let logs = fs::read_dir(self.bed.path()).unwrap().map(|entry| entry.unwrap().path());
        for log in logs.filter(|path| path.extension().is_some_and(|end| end == "log")) {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            let tail = lines[lines.len().saturating_sub(40)..].join("\n");
            let _ = write!(story, "--- {}\n{tail}\n", log.display());
        }
        story
    }

    /// Judges all that has happened: every plan by both checkers, every guest by its heartbeats.
    pub(crate) fn judge(&self) {
        let plans = self.plans();
        assert!(!plans.is_empty(), "no plan was made\n{}", self.story());
        let judged = plans.iter().filter(|record| self.judge_plan(record)).count();
        println!("{judged} of {} plans had actions or a verdict, and were judged", plans.len());
        let guests = self.guests.lock().unwrap().clone();
        for guest in &guests {
            let output = self.bed.output(&["heartbeat", guest]);
            assert!(
                output.status.success(),
                "{guest} has lost or doubled a heartbeat: {}\n{}",
                String::from_utf8_lossy(&output.stdout),
                self.story()
            );
            assert_eq!(self.bed.hosts_of(guest).len(), 1, "{guest} must run on one host\n{}", self.story());
        }
        // A warning is given where something cannot be told for a while; an error is never acceptable.
        for event in self.events().iter().filter(|event| event["kind"] == "ALARM") {
            assert_ne!(event["severity"], "ERROR", "{event}\n{}", self.story());
        }
    }

    /// Whether there was a plan to judge.
    fn judge_plan(&self, record: &Value) -> bool {
        let (problem, plan) = (&record["problem"], &record["plan"]);
        if problem.is_null() || plan.is_null() || plan["status"] == "UNKNOWN" {
            return false;
        }
        let files = [("problem", problem), ("plan", plan)].map(|(kind, value)| {
            let file = self.bed.path().join(format!("{}.{kind}.json", record["id"].as_str().unwrap()));
            fs::write(&file, value.to_string()).unwrap();
            file
        });
        let ours = Command::new(dvms()).arg("check").args(&files).output().unwrap();
        assert!(ours.status.success(), "{record}: {}", String::from_utf8_lossy(&ours.stdout));
        let judge = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/check_plan.py");
        if judge.is_file() {
            let other = Command::new("python3").arg(&judge).args(&files).output().unwrap();
            assert!(other.status.success(), "{record}: {}", String::from_utf8_lossy(&other.stdout));
        } else {
            eprintln!("SKIPPED: {} is not there; the plan was judged by `dvms check` only", judge.display());
        }
        true
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The processes inside end with the test bed's namespaces; what started them is to be reaped.
        let _ = self.bed.output(&["down"]);
        for child in self.children.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn dvms() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_dvms"))
}

/// The agent that is tested; `DVMS_AGENT_BINARY` names another one, as the benchmark does.
fn agent() -> PathBuf {
    if let Some(agent) = std::env::var_os("DVMS_AGENT_BINARY") {
        return agent.into();
    }
    let agent = dvms().with_file_name("dvms-agent");
    assert!(agent.is_file(), "{} is not built; `make test` builds it first", agent.display());
    agent
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
