//! One sample of the host and all its VMs: bulk statistics each time, the rest (definition, labels,
//! persistence) read once and again when an event says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use virt::{connect::Connect, domain::Domain, error::Error, sys};

use super::{
    admission::held_kib,
    domains::{by_uuid, end, outgoing_job},
    ffi::{self, DomainRecord, Fields, Groups, Which},
    kernel::pressure_permille,
    news::News,
    settings::LibvirtSettings,
    usage::{Counters, Meter, Rate, plausible},
    xml::read_domain,
};
use crate::hypervisor::{End, HostUsage, Sample, VmKey, VmState, VmStatus};

/// Facts are read again after this time at the latest: not every change has an event.
const FACTS_LAST: Duration = Duration::from_mins(1);
/// That many a sample for age alone, so that they spread out.
const REFRESH_AT_ONCE: usize = 2;
/// A dirty rate that is older says nothing.
const DIRTY_RATE_LASTS: Duration = Duration::from_mins(10);

/// What does not change from second to second.
struct Facts {
    read_at: Instant,
    persistent: bool,
    vcpus: i64,
    memory_max_kib: u64,
    definition: Arc<str>,
    labels: Arc<BTreeMap<String, String>>,
    has_balloon_period: bool,
}

/// State between samples.
pub(super) struct Sampler {
    settings: LibvirtSettings,
    meter: Meter,
    facts: BTreeMap<String, Facts>,
    out: BTreeSet<String>,
    running: BTreeSet<String>,
    dirty_rates: BTreeMap<String, (Instant, f64)>,
}

/// A sample, and the VMs that have begun to run here and whose guests nobody asks for memory figures.
pub(super) type Sampled = (Sample, Vec<String>);

impl Sampler {
    pub(super) fn new(settings: LibvirtSettings) -> Self {
        Self {
            settings,
            meter: Meter::default(),
            facts: BTreeMap::new(),
            out: BTreeSet::new(),
            running: BTreeSet::new(),
            dirty_rates: BTreeMap::new(),
        }
    }

    /// Keeps a measured dirty rate, for the samples to come.
    pub(super) fn keep_dirty_rate(&mut self, uuid: &str, mib_s: f64) {
        self.dirty_rates.insert(uuid.to_owned(), (Instant::now(), mib_s));
    }

    /// Reads everything.
    pub(super) fn sample(&mut self, connect: &Connect, news: &News) -> Result<Sampled, Error> {
        let (all_stale, stale) = news.take_stale();
        let sampled = self.read(connect, news, all_stale, &stale);
        if sampled.is_err() {
            news.connected(); // what was stale still is
        }
        sampled
    }

    fn read(
        &mut self,
        connect: &Connect,
        news: &News,
        all_stale: bool,
        stale: &BTreeSet<String>,
    ) -> Result<Sampled, Error> {
        let groups = Groups { usage: true, dirty_rate: false };
        let records = ffi::all_domain_stats(connect, groups, Which::All)?;
        let at = Instant::now();
        let memory = Memory::of(connect)?;
        let counters = records.iter().map(|r| (r.uuid.clone(), Counters::of(&r.fields))).collect();
        let (cpu_millicores, rates) = self.meter.turn(at, node_busy_ns(connect)?, counters);

        self.forget_all_but(&records);
        self.refresh_facts(connect, &records, all_stale, stale, at)?;
        self.ask_jobs(connect, news, &records, all_stale)?;

        let mut sample = Sample::default();
        for record in &records {
            // Without facts it has vanished since the statistics.
            let Some(facts) = self.facts.get(&record.uuid) else { continue };
            let rate = rates.get(&record.uuid).copied().unwrap_or_default();
            let status = self.status(record, facts, rate, at);
            sample.usage.network_mbits += status.network_mbits;
            sample.vms.insert(record.name.clone(), status);
        }
        sample.usage = HostUsage {
            cpu_millicores,
            memory_mib: memory.used_mib(),
            network_mbits: sample.usage.network_mbits,
            cpu_pressure_permille: pressure_permille("cpu"),
            memory_pressure_permille: pressure_permille("memory"),
        };
        let unasked = self.newly_running(&sample);
        Ok((sample, unasked))
    }

    fn forget_all_but(&mut self, records: &[DomainRecord]) {
        let here: BTreeSet<&str> = records.iter().map(|r| r.uuid.as_str()).collect();
        self.facts.retain(|uuid, _| here.contains(uuid.as_str()));
        self.out.retain(|uuid| here.contains(uuid.as_str()));
        self.dirty_rates.retain(|uuid, _| here.contains(uuid.as_str()));
    }

    fn refresh_facts(
        &mut self,
        connect: &Connect,
        records: &[DomainRecord],
        all_stale: bool,
        stale: &BTreeSet<String>,
        at: Instant,
    ) -> Result<(), Error> {
        let mut for_age = 0;
        for DomainRecord { uuid, .. } in records {
            let due = match self.facts.get(uuid) {
                None => true,
                Some(_) if all_stale || stale.contains(uuid) => true,
                Some(facts) if at.saturating_duration_since(facts.read_at) > FACTS_LAST => {
                    for_age += 1;
                    for_age <= REFRESH_AT_ONCE
                }
                Some(_) => false,
            };
            if due {
                match by_uuid(connect, uuid)?.map(|domain| read_facts(&domain, at)) {
                    Some(Ok(facts)) => drop(self.facts.insert(uuid.clone(), facts)),
                    Some(Err(e)) if e.code().to_raw() != sys::VIR_ERR_NO_DOMAIN => return Err(e),
                    _ => drop(self.facts.remove(uuid)),
                }
            }
        }
        Ok(())
    }

    /// Asks for jobs where there may be one: not of each VM each second.
    fn ask_jobs(
        &mut self,
        connect: &Connect,
        news: &News,
        records: &[DomainRecord],
        all: bool,
    ) -> Result<(), Error> {
        let suspects = news.migrating();
        for DomainRecord { uuid, fields, .. } in records {
            let active = fields.number("state.state") != Some(sys::VIR_DOMAIN_SHUTOFF.into());
            if active && (all || suspects.contains(uuid) || self.out.contains(uuid)) {
                let job = by_uuid(connect, uuid)?.map(|domain| outgoing_job(&domain));
                if let Some(Ok(Some(_))) = job {
                    self.out.insert(uuid.clone());
                    continue;
                }
                // The test driver has no jobs; a VM that has vanished neither.
                news.no_longer_migrating(uuid);
                let handing_over = end_of(fields) == End::PausedForMigration;
                if !handing_over {
                    self.out.remove(uuid);
                }
            }
        }
        for uuid in suspects.iter().filter(|u| !records.iter().any(|r| r.uuid == **u)) {
            news.no_longer_migrating(uuid);
        }
        Ok(())
    }

    fn status(&self, record: &DomainRecord, facts: &Facts, rate: Rate, at: Instant) -> VmStatus {
        let fields = &record.fields;
        let out = self.out.contains(&record.uuid);
        let state = match end_of(fields) {
            End::Off | End::Absent => VmState::Off,
            End::Crashed => VmState::Crashed,
            _ if out => VmState::MigratingOut,
            End::Running | End::RunningPostcopy | End::Unreachable(_) => VmState::Running,
            End::Paused => VmState::Paused,
            End::PausedForMigration => VmState::MigratingIn,
            End::PausedPostcopy => VmState::MigratingOut,
        };
        let active = !matches!(state, VmState::Off | VmState::Crashed);
        let max_kib = fields.number("balloon.maximum").filter(|v| *v > 0).unwrap_or(facts.memory_max_kib);
        let held_kib = if active { held_kib(&self.settings, max_kib) } else { 0 };
        let dirty_rate = self.dirty_rates.get(&record.uuid);
        VmStatus {
            key: VmKey { name: record.name.clone(), uuid: record.uuid.clone() },
            state,
            vcpus: facts.vcpus,
            memory_max_mib: mib(max_kib),
            cpu_millicores: if active { plausible(rate.cpu_millicores, facts.vcpus) } else { 0 },
            memory_mib: mib(held_kib.saturating_add(1023)),
            memory_used_mib: if active { guest_memory_mib(fields, SystemTime::now()) } else { None },
            network_mbits: if active { rate.network_mbits } else { 0 },
            dirty_rate_mib_s: dirty_rate
                .filter(|(when, _)| at.saturating_duration_since(*when) < DIRTY_RATE_LASTS)
                .map(|(_, rate)| *rate),
            labels: Arc::clone(&facts.labels),
            persistent: facts.persistent,
            definition: Arc::clone(&facts.definition),
        }
    }

    fn newly_running(&mut self, sample: &Sample) -> Vec<String> {
        let now = sample.vms.values().filter(|vm| vm.state == VmState::Running).map(|vm| vm.key.uuid.clone());
        let now: BTreeSet<String> = now.collect();
        let asked = |uuid: &String| self.facts.get(uuid).is_some_and(|f| f.has_balloon_period);
        let fresh = now.difference(&self.running).filter(|uuid| !asked(uuid)).cloned().collect();
        self.running = now;
        fresh
    }
}

fn end_of(fields: &Fields) -> End {
    let get = |name| fields.number(name).and_then(|v| u32::try_from(v).ok()).unwrap_or(0);
    end(get("state.state"), get("state.reason"))
}

fn read_facts(domain: &Domain, read_at: Instant) -> Result<Facts, Error> {
    // What it would be started with. Without secrets: this goes over the network.
    let xml = domain.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?;
    let info = domain.info()?;
    let read = read_domain(&xml).unwrap_or_else(|why| {
        tracing::warn!("cannot read the definition of a VM: {why}");
        super::xml::DomainXml::default()
    });
    Ok(Facts {
        read_at,
        persistent: domain.is_persistent()?,
        vcpus: i64::from(info.nr_virt_cpu),
        memory_max_kib: info.max_mem,
        definition: xml.into(),
        labels: Arc::new(read.labels),
        has_balloon_period: read.has_balloon_period,
    })
}

/// What the guest's balloon driver says it uses. Old figures are no figures: a guest without a driver (or
/// with one that hangs) leaves them as they were.
fn guest_memory_mib(fields: &Fields, now: SystemTime) -> Option<i64> {
    let updated = fields.number("balloon.last-update").filter(|t| *t > 0)?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    if now.abs_diff(updated) > 30 {
        return None;
    }
    let all = fields.number("balloon.available")?;
    let free = fields.number("balloon.usable").or_else(|| fields.number("balloon.unused"))?;
    Some(mib(all.saturating_sub(free)))
}

fn mib(kib: u64) -> i64 {
    i64::try_from(kib / 1024).unwrap_or(i64::MAX)
}

/// Memory of a node.
pub(super) struct Memory {
    pub total_kib: u64,
    used_kib: u64,
}

impl Memory {
    /// From the node's memory statistics: `virNodeGetInfo` reads another place and can differ by far. Drivers
    /// without them answer with the latter.
    pub(super) fn of(connect: &Connect) -> Result<Self, Error> {
        match ffi::node_memory_stats(connect) {
            Ok(list) => {
                let get = |name: &str| list.iter().find(|(n, _)| n == name).map_or(0, |(_, v)| *v);
                let free = get("free") + get("buffers") + get("cached");
                Ok(Self { total_kib: get("total"), used_kib: get("total").saturating_sub(free) })
            }
            Err(e) if e.code().to_raw() == sys::VIR_ERR_NO_SUPPORT => {
                let total_kib = connect.node_info()?.memory;
                Ok(Self { total_kib, used_kib: total_kib.saturating_sub(connect.free_memory()? / 1024) })
            }
            Err(e) => Err(e),
        }
    }

    pub(super) fn total_mib(&self) -> i64 {
        mib(self.total_kib)
    }

    fn used_mib(&self) -> i64 {
        mib(self.used_kib)
    }
}

fn node_busy_ns(connect: &Connect) -> Result<u64, Error> {
    let idle = ["idle", "iowait", "utilization"];
    Ok(ffi::node_cpu_stats(connect)?
        .iter()
        .filter(|(n, _)| !idle.contains(&n.as_str()))
        .map(|(_, v)| v)
        .sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::libvirt::ffi::Value;

    #[test]
    fn old_or_missing_guest_figures_are_unknown() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let figures = |updated: u64| -> Fields {
            let list = [
                ("balloon.last-update", updated),
                ("balloon.available", 900 * 1024),
                ("balloon.usable", 500 * 1024),
                ("balloon.unused", 100 * 1024),
            ];
            list.map(|(n, v)| (n.to_owned(), Value::Uint(v))).into_iter().collect()
        };
        assert_eq!(guest_memory_mib(&figures(999_995), now), Some(400));
        assert_eq!(guest_memory_mib(&figures(999_900), now), None, "100 s old");
        assert_eq!(guest_memory_mib(&figures(0), now), None, "no driver");
        assert_eq!(guest_memory_mib(&Fields::default(), now), None);
    }

    #[test]
    fn the_test_driver_is_sampled() {
        ffi::start_event_loop().unwrap();
        let connect = ffi::open("test:///default").unwrap();
        let news = News::default();
        let mut sampler =
            Sampler::new(LibvirtSettings { overhead_mib_per_vm: 100, ..LibvirtSettings::default() });
        let (sample, unasked) = sampler.sample(&connect, &news).unwrap();
        let vm = &sample.vms["test"];
        assert_eq!((vm.state, vm.vcpus, vm.memory_max_mib), (VmState::Running, 2, 8192));
        assert_eq!(vm.memory_mib, 8292, "what admission counts");
        assert!(vm.persistent && vm.definition.contains("<name>test</name>"));
        assert_eq!(unasked, std::slice::from_ref(&vm.key.uuid));
        let (again, unasked) = sampler.sample(&connect, &news).unwrap();
        assert!(unasked.is_empty(), "only once");
        assert!(Arc::ptr_eq(&again.vms["test"].definition, &vm.definition), "facts are kept");
    }
}
