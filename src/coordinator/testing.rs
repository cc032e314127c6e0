//! Cells for tests, said in few words.

use super::inventory::{Cell, Flight, Now};
use super::settings::Settings;
use crate::record::{
    ActionKey, AdminState, Capacity, Connection, Delta, Hello, Inventory, VmReport, VmState,
};
use dvms_solver::file::Constraint;
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

/// Seconds after the start.
pub(super) fn at(seconds: f64) -> Now {
    let at = Duration::from_secs_f64(seconds);
    Now { at, wall: UNIX_EPOCH + at }
}

/// `"rack=r1 zone=a"`
pub(super) fn labels(text: &str) -> BTreeMap<String, String> {
    let pair = |word: &str| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    text.split_whitespace().filter_map(pair).collect()
}

/// A cell and its settings: no smoothing, no reserve; cpu overload at 90 %, target 80 %.
pub(super) struct World {
    pub(super) cell: Cell,
    pub(super) settings: Settings,
    epoch: u64,
}

impl World {
    /// `hosts` = how many; h1, h2 … with 10,000 millicores and 10,000 MiB each.
    pub(super) fn new(hosts: usize) -> Self {
        let mut settings = Settings::default();
        settings.inventory.smoothing_s = 0.0;
        settings.inventory.memory_reserve = 0.0;
        let mut world = Self { cell: Cell::default(), settings, epoch: 0 };
        (1..=hosts).for_each(|i| world.host(&format!("h{i}"), ""));
        world
    }

    pub(super) fn host(&mut self, name: &str, with: &str) {
        self.epoch += 1;
        let capacity = Capacity { cpu_millicores: 10_000, memory_mib: 10_000, ..Capacity::default() };
        let (host, labels) = (name.to_owned(), labels(with));
        let hello = Hello { host, boot_id: "1".into(), labels, capacity, ..Hello::default() };
        self.cell.attach(hello, AdminState::Online, self.epoch, at(0.0));
        self.cell.inventory(name, Inventory::default(), at(0.0), &self.settings.inventory);
    }

    /// A VM that runs.
    pub(super) fn vm(&mut self, name: &str, host: &str, cpu: i64, memory: i64) {
        self.says(host, report(name, VmState::Running, cpu, memory));
    }

    pub(super) fn says(&mut self, host: &str, report: VmReport) {
        let delta = Delta { changed: vec![report], ..Delta::default() };
        self.cell.delta(host, delta, at(0.0), &self.settings.inventory);
    }

    pub(super) fn gone(&mut self, host: &str, vm: &str) {
        let delta = Delta { gone: vec![vm.to_owned()], ..Delta::default() };
        self.cell.delta(host, delta, at(0.0), &self.settings.inventory);
    }

    pub(super) fn state(&mut self, host: &str, state: AdminState) {
        self.entry(host).admin = state;
    }

    pub(super) fn connection(&mut self, host: &str, connection: Connection) {
        self.entry(host).connection = connection;
    }

    fn entry(&mut self, host: &str) -> &mut super::inventory::HostEntry {
        self.cell.hosts.get_mut(host).expect("the test has made the host")
    }

    /// The host comes back after a reboot with the VMs of the reports.
    pub(super) fn reboots(&mut self, host: &str, vms: Vec<VmReport>) {
        self.epoch += 1;
        let hello = Hello { boot_id: format!("{}", self.epoch), ..self.entry(host).hello.clone() };
        let admin = self.entry(host).admin;
        self.cell.attach(hello, admin, self.epoch, at(0.0));
        let inventory = Inventory { vms, ..Inventory::default() };
        self.cell.inventory(host, inventory, at(0.0), &self.settings.inventory);
    }

    /// An agent has a migration, or with an empty source a start.
    pub(super) fn flies(&mut self, vm: &str, source: &str, destination: &str) {
        let key = ActionKey { plan_id: "other".into(), action_id: 1 };
        let (source, destination) = (source.to_owned(), destination.to_owned());
        let migrates = !source.is_empty();
        self.cell.take_off(vm, Flight { key, source, destination, migrates, rate: 0.0 });
    }

    /// A rule in the form of files.
    pub(super) fn rule(&mut self, json: &str) {
        let rule: Constraint = serde_json::from_str(json).expect("the test has a right rule");
        self.settings.constraints.push(rule);
    }
}

/// What an agent says of a VM; its label `app` is its name up to the first digit.
pub(super) fn report(name: &str, state: VmState, cpu: i64, memory: i64) -> VmReport {
    let app = name.split(|c: char| c.is_ascii_digit()).next().unwrap_or(name);
    VmReport {
        name: name.to_owned(),
        state,
        cpu_millicores: cpu,
        memory_mib: memory,
        labels: labels(&format!("app={app}")),
        definition: "<domain/>".to_owned(),
        ..VmReport::default()
    }
}
