//! The agent's configuration: one TOML file, strict. Every setting but `coordinators` has a default that works.

use crate::action::Limits;
use crate::agent::Identity;
use crate::link::Nearness;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Coordinators, `host:port` (or `unix:///path` of a socket on this machine). The nearest one is taken; those that
    /// are equally near in this order.
    pub coordinators: Vec<String>,
    /// Speak plain text to coordinators that are not on this machine.
    pub insecure_plaintext: bool,
    /// Name of this host; empty = as the hypervisor says.
    pub host: String,
    /// Where the journal is kept.
    pub state_dir: PathBuf,
    /// Where other hosts' libvirtd reach this one's; empty = `qemu+tcp://HOST/system`.
    pub migration_uri: String,
    /// MiB/s that migrations may use in each direction; 0 = the coordinator decides.
    pub migration_bandwidth_mib_s: f64,
    /// Migrations that may touch this host at once; 0 = the coordinator decides.
    pub max_migrations: u32,
    /// Actions that this host takes at once, whatever it is ordered.
    pub max_actions: usize,
    /// Seconds between two measurements of how fast a VM writes its memory; 0 = never.
    pub dirty_rate_interval_s: u64,
    /// Free key/value, for rules: rack, zone and the like.
    pub labels: BTreeMap<String, String>,
    /// How the nearest one is found.
    pub nearest: Nearest,
    /// Logs.
    pub log: Log,
    /// The hypervisor.
    pub libvirt: Libvirt,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            coordinators: vec!["127.0.0.1:7600".into()],
            nearest: Nearest::default(),
            insecure_plaintext: false,
            host: String::new(),
            state_dir: default_state_dir(),
            migration_uri: String::new(),
            migration_bandwidth_mib_s: 0.0,
            max_migrations: 0,
            max_actions: 8,
            dirty_rate_interval_s: 60,
            labels: BTreeMap::new(),
            log: Log::default(),
            libvirt: Libvirt::default(),
        }
    }
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged, in the syntax of tracing's `EnvFilter`. The environment variable `RUST_LOG` wins.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::default(), filter: "info".into() }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// `[nearest]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nearest {
    /// Measure how far coordinators are; otherwise they are taken in the order of the list.
    pub measure: bool,
    /// Round trips that are measured of each; the least one counts.
    pub samples: u32,
    /// Milliseconds that a coordinator may take for all of them.
    pub timeout_ms: u64,
    /// Per cent by which one may be further than another and counts as equally near.
    pub tolerance_percent: f64,
    /// Milliseconds by which one may be further than another and counts as equally near.
    pub tolerance_ms: f64,
    /// Seconds between two measurements while a session lives; 0 = none.
    pub look_interval_s: u64,
    /// Seconds for which another one must be much nearer before the agent goes to it; 0 = it never does.
    pub move_after_s: u64,
}

impl Default for Nearest {
    fn default() -> Self {
        let nearness = Nearness::default();
        Self {
            measure: nearness.measure,
            samples: nearness.samples,
            timeout_ms: nearness.timeout.as_millis() as u64,
            tolerance_percent: nearness.tolerance_share * 100.0,
            tolerance_ms: nearness.tolerance.as_secs_f64() * 1000.0,
            look_interval_s: nearness.look_each.unwrap_or_default().as_secs(),
            move_after_s: nearness.move_after.unwrap_or_default().as_secs(),
        }
    }
}

impl Nearest {
    fn faults(&self, faults: &mut Vec<String>) {
        if !(1..=20).contains(&self.samples) {
            faults.push(format!("nearest.samples: must be from 1 to 20, is {}", self.samples));
        }
        if !(10..=10_000).contains(&self.timeout_ms) {
            faults.push(format!("nearest.timeout_ms: must be from 10 to 10000, is {}", self.timeout_ms));
        }
        if !(0.0..=1000.0).contains(&self.tolerance_percent) {
            let value = self.tolerance_percent;
            faults.push(format!("nearest.tolerance_percent: must be from 0 to 1000, is {value}"));
        }
        if !(0.0..=10_000.0).contains(&self.tolerance_ms) {
            let value = self.tolerance_ms;
            faults.push(format!("nearest.tolerance_ms: must be from 0 to 10000, is {value}"));
        }
        for (name, value) in [("look_interval_s", self.look_interval_s), ("move_after_s", self.move_after_s)]
        {
            if value > 86_400 {
                faults.push(format!("nearest.{name}: must be at most 86400, is {value}"));
            }
        }
    }

    fn nearness(&self) -> Nearness {
        let or_never = |seconds| Some(Duration::from_secs(seconds)).filter(|each| !each.is_zero());
        Nearness {
            measure: self.measure,
            samples: self.samples,
            timeout: Duration::from_millis(self.timeout_ms),
            tolerance_share: self.tolerance_percent / 100.0,
            tolerance: Duration::from_secs_f64(self.tolerance_ms / 1000.0),
            look_each: or_never(self.look_interval_s),
            move_after: or_never(self.move_after_s),
        }
    }
}

/// `[libvirt]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Libvirt {
    /// Its URI, as for `virsh --connect`.
    pub uri: String,
    /// Seconds between two memory figures of a guest's balloon driver; 0 = leave the guest's setting alone.
    pub balloon_period_s: u32,
    /// MiB that QEMU needs besides the guest's memory, for each VM.
    pub overhead_mib_per_vm: u64,
    /// Memory that VMs may hold together, in 1/1000 of the host's: 1000 = no overcommit.
    pub memory_overcommit_permille: u64,
}

impl Default for Libvirt {
    fn default() -> Self {
        Self {
            uri: "qemu:///system".into(),
            balloon_period_s: 5,
            overhead_mib_per_vm: 64,
            memory_overcommit_permille: 1000,
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not TOML, or has a setting that does not exist, or a value of the wrong kind. The text shows the line.
    #[error("{}: {fault}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong and where.
        fault: String,
    },
    /// Values that cannot be.
    #[error("{}:\n{}", path.display(), faults.join("\n"))]
    Faulty {
        /// Which file.
        path: PathBuf,
        /// One line each: setting and fault.
        faults: Vec<String>,
    },
}

impl Config {
    /// Reads and validates a file.
    ///
    /// # Errors
    /// Every fault of the file, or that it cannot be read.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let config: Self = toml::from_str(&text).map_err(|error| {
            let fault = error.to_string().trim_end().to_owned();
            ConfigError::Malformed { path: path.to_owned(), fault }
        })?;
        let faults = config.faults();
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Faulty { path: path.to_owned(), faults })
        }
    }

    /// Everything that is wrong with the values; empty = they can be used.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.coordinators.is_empty() {
            faults.push("coordinators: at least one must be named".into());
        }
        for coordinator in &self.coordinators {
            // A socket is as much on this machine as loopback, and guarded by the rights of its file.
            if coordinator.strip_prefix("unix://").is_some_and(|path| path.starts_with('/')) {
                continue;
            }
            let address = coordinator.split_once("://").map_or(coordinator.as_str(), |(_, address)| address);
            match address.rsplit_once(':') {
                Some((host, port)) if port.parse::<u16>().is_ok() && !host.is_empty() => {
                    if !self.insecure_plaintext && !is_loopback(host) {
                        faults.push(format!(
                            "coordinators: {coordinator} is not on this machine, and this version speaks plain text \
                             only. Use a tunnel, or set insecure_plaintext = true on a network that you trust"
                        ));
                    }
                }
                _ => faults.push(format!("coordinators: {coordinator:?} is not HOST:PORT")),
            }
        }
        self.nearest.faults(&mut faults);
        if !(0.0..=1e6).contains(&self.migration_bandwidth_mib_s) {
            let value = self.migration_bandwidth_mib_s;
            faults.push(format!("migration_bandwidth_mib_s: must be from 0 to 1000000, is {value}"));
        }
        if !(1..=64).contains(&self.max_actions) {
            faults.push(format!("max_actions: must be from 1 to 64, is {}", self.max_actions));
        }
        if self.dirty_rate_interval_s > 86_400 {
            faults.push(format!(
                "dirty_rate_interval_s: must be at most 86400, is {}",
                self.dirty_rate_interval_s
            ));
        }
        if self.libvirt.balloon_period_s > 3600 {
            faults.push(format!(
                "libvirt.balloon_period_s: must be at most 3600, is {}",
                self.libvirt.balloon_period_s
            ));
        }
        if self.libvirt.overhead_mib_per_vm > 65_536 {
            let value = self.libvirt.overhead_mib_per_vm;
            faults.push(format!("libvirt.overhead_mib_per_vm: must be at most 65536, is {value}"));
        }
        if !(100..=10_000).contains(&self.libvirt.memory_overcommit_permille) {
            let value = self.libvirt.memory_overcommit_permille;
            faults.push(format!("libvirt.memory_overcommit_permille: must be from 100 to 10000, is {value}"));
        }
        if self.state_dir.as_os_str().is_empty() {
            faults.push("state_dir: must not be empty".into());
        }
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.log.filter) {
            faults.push(format!("log.filter: {:?} is not a filter: {error}", self.log.filter));
        }
        faults
    }

    /// The effective configuration, as TOML that reads back to the same.
    ///
    /// # Panics
    /// Never: the settings have string keys only.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("settings have a TOML form")
    }

    /// What the agent is told about itself.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let dirty_rate = Duration::from_secs(self.dirty_rate_interval_s);
        Identity {
            host: (!self.host.is_empty()).then(|| self.host.clone()),
            boot_id: None,
            labels: self.labels.clone(),
            migration_uri: self.migration_uri.clone(),
            migration_bandwidth_mib_s: self.migration_bandwidth_mib_s,
            max_migrations: self.max_migrations,
            coordinators: self.coordinators.clone(),
            nearness: self.nearest.nearness(),
            state_dir: self.state_dir.clone(),
            limits: Limits { concurrent: self.max_actions },
            dirty_rate_each: (!dirty_rate.is_zero()).then_some(dirty_rate),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn default_state_dir() -> PathBuf {
    let systemd = std::env::var("STATE_DIRECTORY").ok();
    let first = systemd.as_deref().and_then(|paths| paths.split(':').next()).filter(|path| !path.is_empty());
    PathBuf::from(first.unwrap_or("/var/lib/dvms-agent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.toml");
        std::fs::write(&path, text).unwrap();
        Config::from_file(&path)
    }

    #[test]
    fn the_defaults_are_valid_and_read_back() {
        assert_eq!(Config::default().faults(), Vec::<String>::new());
        assert_eq!(read(&Config::default().to_toml()).unwrap(), Config::default());
        assert_eq!(read("").unwrap(), Config::default());
        assert_eq!(Config::default().identity().nearness, Nearness::default());
    }

    #[test]
    fn an_unknown_setting_is_named_with_its_line() {
        let error = read("host = \"h1\"\n[libvirt]\nurl = \"x\"\n").unwrap_err().to_string();
        assert!(error.contains("url") && error.contains("line 3"), "{error}");
    }

    #[test]
    fn plain_text_to_another_machine_needs_the_flag() {
        let error = read("coordinators = [\"10.0.0.1:7600\"]\n").unwrap_err().to_string();
        assert!(error.contains("10.0.0.1:7600") && error.contains("insecure_plaintext"), "{error}");
        read("coordinators = [\"10.0.0.1:7600\"]\ninsecure_plaintext = true\n").unwrap();
        for here in ["localhost:1", "127.0.0.1:1", "[::1]:1", "http://127.0.0.1:1", "unix:///run/dvms.sock"] {
            read(&format!("coordinators = [\"{here}\"]\n")).unwrap();
        }
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let text = "coordinators = [\"nonsense\"]\nmax_actions = 0\nmigration_bandwidth_mib_s = -1.0\n[nearest]\nsamples = 0\n\
             timeout_ms = 1\ntolerance_percent = -1.0\ntolerance_ms = -1.0\nmove_after_s = 100000\n[log]\nfilter = \"a=b=c\"\n";
        let error = read(text).unwrap_err().to_string();
        let nearest = ["samples", "timeout_ms", "tolerance_percent", "tolerance_ms", "move_after_s"];
        let nearest = nearest.map(|name| format!("nearest.{name}"));
        let others =
            ["coordinators", "max_actions", "migration_bandwidth_mib_s", "log.filter"].map(str::to_owned);
        for name in others.iter().chain(&nearest) {
            assert!(error.contains(name), "{name} is missing in: {error}");
        }
    }

    #[test]
    fn the_shipped_sample_is_valid() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/agent.toml");
        Config::from_file(&path).unwrap();
    }

    fn flatten(prefix: &str, table: &toml::Table, into: &mut BTreeMap<String, String>) {
        for (key, value) in table {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                toml::Value::Table(inner) if !inner.is_empty() => flatten(&path, inner, into),
                toml::Value::Table(_) => drop(into.insert(path, "{}".into())),
                other => drop(into.insert(path, other.to_string())),
            }
        }
    }

    #[test]
    fn the_documentation_lists_every_setting_with_its_default() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/OPERATIONS.md");
        let text = std::fs::read_to_string(path).unwrap();
        let section = text.split("## Settings of the agent").nth(1).unwrap().split("\n## ").next().unwrap();
        let cell = |cell: &str| cell.trim_matches([' ', '|', '`']).to_owned();
        let row = |row: &str| {
            row.split_once(" | ").map(|(name, rest)| (cell(name), cell(rest.split(" | ").next().unwrap())))
        };
        let listed: BTreeMap<_, _> =
            section.lines().filter(|line| line.starts_with("| `")).filter_map(row).collect();
        let mut settings = BTreeMap::new();
        flatten("", &Config::default().to_toml().parse().unwrap(), &mut settings);
        if std::env::var_os("STATE_DIRECTORY").is_some() {
            settings.insert("state_dir".into(), "\"/var/lib/dvms-agent\"".into());
        }
        assert_eq!(listed, settings, "docs/OPERATIONS.md (left) and the program (right)");
    }
}
