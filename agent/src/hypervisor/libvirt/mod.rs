//! Real hypervisors through libvirt.
//!
//! Four kinds of connections, each on a thread of its own: statistics and events, control (jobs, looks, abort),
//! chores that may take their time (start, clean-up), and one for each running migration. One more for
//! each destination that is looked at. What a call blocks on holds up nothing but its own kind.

mod admission;
mod domains;
mod failure;
pub mod ffi;
mod kernel;
mod migrate;
mod news;
mod sampler;
mod settings;
mod start;
mod usage;
mod worker;
mod xml;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub use settings::LibvirtSettings;
use virt::{connect::Connect, error::Error, sys};
pub use xml::LABELS_NAMESPACE;

use self::{
    ffi::{Groups, Registrations, Which},
    news::News,
    sampler::{Memory, Sampled, Sampler},
    worker::{Peers, Worker},
};
use super::{
    Capacity, Ends, Failure, Finished, HostDescription, Hypervisor, Job, Later, MigrationOrder, Preflight,
    Presence, Reason, Sample, StartOrder, VmKey,
};

/// libvirt's daemon probes QEMU when it is first asked, which takes seconds.
const DESCRIBE: Duration = Duration::from_secs(20);
const SAMPLE: Duration = Duration::from_secs(8);
const CHORE: Duration = Duration::from_secs(8);

/// This host's libvirtd.
pub struct LibvirtHypervisor {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    settings: LibvirtSettings,
    news: Arc<News>,
    stats: Worker,
    control: Worker,
    chores: Worker,
    peers: Peers,
    sampler: Arc<Mutex<Sampler>>,
    starts: start::Starts,
}

impl LibvirtHypervisor {
    /// Starts the threads. Connects at the first question, and again whenever the daemon comes back, so a
    /// daemon that is down is no error here.
    ///
    /// # Errors
    /// When libvirt's event loop or a thread cannot be started, or the URI has a NUL byte.
    pub fn start(settings: LibvirtSettings) -> Result<Self, Failure> {
        let failed = |e: String| Failure::new(Reason::HypervisorError, e);
        if settings.uri.contains('\0') {
            return Err(failed("the libvirt URI has a NUL byte".into()));
        }
        ffi::start_event_loop().map_err(failed)?;
        let news = Arc::new(News::default());
        let noted = Arc::clone(&news);
        let setup = move |connect: &Connect| {
            noted.connected();
            let noted = Arc::clone(&noted);
            Registrations::new(connect, move |event| noted.note(event)).map(Some)
        };
        let thread = |role, setup| {
            Worker::start(role, &settings.uri, setup)
                .map_err(|e| failed(format!("cannot start a thread for libvirt: {e}")))
        };
        Ok(Self {
            shared: Arc::new(Shared {
                stats: thread("stats", Box::new(setup))?,
                control: thread("control", Box::new(|_| Ok(None)))?,
                chores: thread("chores", Box::new(|_| Ok(None)))?,
                peers: Peers::new(),
                news,
                sampler: Arc::new(Mutex::new(Sampler::new(settings.clone()))),
                settings,
                starts: start::Starts::default(),
            }),
        })
    }
}

impl Shared {
    fn peer(&self, uri: &str) -> Result<Arc<Worker>, Failure> {
        self.peers.get(uri).map_err(|e| {
            Failure::new(Reason::HypervisorError, format!("cannot start a thread for libvirt: {e}"))
        })
    }

    async fn describe(&self) -> Result<HostDescription, Failure> {
        let call = self.control.call("describing the host", DESCRIBE, |c| {
            let node = c.node_info()?;
            Ok((
                c.hostname()?,
                c.capabilities()?,
                node.cpus,
                Memory::of(c)?,
                c.hyp_version()?,
                c.lib_version()?,
            ))
        });
        let (name, capabilities, cpus, memory, hypervisor, library) =
            call.await.map_err(|e| failure::here("cannot describe this host", &e))?;
        let read = xml::read_capabilities(&capabilities)
            .map_err(|e| Failure::new(Reason::HypervisorError, format!("cannot describe this host: {e}")))?;
        let mut capacity = Capacity {
            cpu_millicores: i64::from(cpus) * 1000,
            memory_mib: memory.total_mib(),
            network_mbits: kernel::network_mbits(),
            numa_cells: read.numa_cells,
        };
        if let [only] = capacity.numa_cells.as_mut_slice() {
            // One cell is the host; libvirt reads its memory elsewhere, and differently.
            (only.cpu_millicores, only.memory_mib) = (capacity.cpu_millicores, capacity.memory_mib);
        }
        let version = |v: u32| format!("{}.{}.{}", v / 1_000_000, v / 1000 % 1000, v % 1000);
        Ok(HostDescription {
            name,
            uuid: read.uuid,
            capacity,
            version: format!("libvirt {}, hypervisor {}", version(library), version(hypervisor)),
        })
    }

    async fn sample(&self) -> Result<Sample, Failure> {
        let (sampler, news) = (Arc::clone(&self.sampler), Arc::clone(&self.news));
        let call = self.stats.call("taking a sample", SAMPLE, move |c| -> Result<Sampled, Error> {
            sampler.lock().unwrap_or_else(PoisonError::into_inner).sample(c, &news)
        });
        let (sample, fresh) = call.await.map_err(|e| failure::here("cannot read what the VMs use", &e))?;
        if let Ok(period) = i32::try_from(self.settings.balloon_period_s)
            && period > 0
        {
            for uuid in fresh {
                self.chores.post(format!("balloon period of {uuid}"), move |c| ask_guest(c, &uuid, period));
            }
        }
        Ok(sample)
    }

    async fn measure_dirty_rate(&self, vm: &VmKey, period: Duration) -> Result<f64, Failure> {
        let what = format!("cannot measure the dirty rate of {vm}");
        let seconds = u8::try_from(period.as_secs()).unwrap_or(60).clamp(1, 60);
        let key = vm.clone();
        let begun = self.chores.call("beginning to measure", CHORE, move |c| match domains::find(c, &key)? {
            Some(domain) => ffi::start_dirty_rate(&domain, seconds).map(|()| true),
            None => Ok(false),
        });
        if !begun.await.map_err(|e| failure::here(&what, &e))? {
            return Err(Failure::new(Reason::VmNotHere, format!("{what}: it is not on this host")));
        }
        tokio::time::sleep(Duration::from_secs(seconds.into())).await;
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let uuid = vm.uuid.clone();
            let read = self.chores.call("reading the dirty rate", CHORE, move |c| {
                let groups = Groups { usage: false, dirty_rate: true };
                let records = ffi::all_domain_stats(c, groups, Which::Active)?;
                Ok(records.into_iter().find(|r| r.uuid == uuid).map(|r| r.fields))
            });
            let Some(fields) = read.await.map_err(|e| failure::here(&what, &e))? else {
                return Err(Failure::new(Reason::VmEnded, format!("{what}: it is gone from this host")));
            };
            if fields.number("dirtyrate.calc_status") == Some(sys::VIR_DOMAIN_DIRTYRATE_MEASURED.into()) {
                let rate = fields.number("dirtyrate.megabytes_per_second").unwrap_or(0) as f64;
                let mut sampler = self.sampler.lock().unwrap_or_else(PoisonError::into_inner);
                sampler.keep_dirty_rate(&vm.uuid, rate);
                return Ok(rate);
            }
        }
        Err(Failure::new(
            Reason::HypervisorError,
            format!("{what}: no result after {seconds} s and 4 s more"),
        ))
    }
}

/// Has a guest's balloon driver tell what it uses. Never while the VM has a job: the call would wait for its
/// end.
fn ask_guest(connect: &Connect, uuid: &str, period_s: i32) -> Result<(), Error> {
    match domains::by_uuid(connect, uuid)? {
        Some(domain) if !ffi::job_stats(&domain)?.0.is_running() => {
            domain.set_memory_stats_period(period_s, sys::VIR_DOMAIN_AFFECT_LIVE).map(drop)
        }
        _ => Ok(()),
    }
}

/// Runs a method of [`Shared`] on what it owns.
macro_rules! later {
    ($self:ident, |$shared:ident| $answer:expr) => {{
        let $shared = Arc::clone(&$self.shared);
        Box::pin(async move { $answer.await })
    }};
}

impl Hypervisor for LibvirtHypervisor {
    fn driver(&self) -> &'static str {
        "libvirt"
    }

    fn describe(&self) -> Later<Result<HostDescription, Failure>> {
        later!(self, |s| s.describe())
    }

    fn sample(&self) -> Later<Result<Sample, Failure>> {
        later!(self, |s| s.sample())
    }

    fn changed(&self) -> Later<()> {
        later!(self, |s| s.news.wait())
    }

    fn measure_dirty_rate(&self, vm: VmKey, period: Duration) -> Later<Result<f64, Failure>> {
        later!(self, |s| s.measure_dirty_rate(&vm, period))
    }

    fn preflight(&self, order: MigrationOrder) -> Later<Result<Preflight, Failure>> {
        later!(self, |s| s.preflight(&order))
    }

    fn migrate(&self, order: MigrationOrder) -> Later<Result<Finished, Failure>> {
        let begun = self.shared.migrate(order);
        Box::pin(async move {
            begun?.await.unwrap_or_else(|_| {
                Err(Failure::new(Reason::HypervisorError, "the thread of a migration has panicked").lost())
            })
        })
    }

    fn job(&self, vm: VmKey) -> Later<Result<Option<Job>, Failure>> {
        later!(self, |s| s.job(&vm))
    }

    fn abort(&self, vm: VmKey) -> Later<Result<(), Failure>> {
        later!(self, |s| s.abort(&vm))
    }

    fn post_copy(&self, vm: VmKey) -> Later<Result<(), Failure>> {
        later!(self, |s| s.post_copy(&vm))
    }

    fn look(&self, order: MigrationOrder) -> Later<Ends> {
        later!(self, |s| s.look(&order))
    }

    fn settle(&self, order: MigrationOrder) -> Later<Result<(), Failure>> {
        later!(self, |s| s.settle(&order))
    }

    fn look_here(&self, vm: VmKey) -> Later<Presence> {
        later!(self, |s| s.look_here(&vm))
    }

    fn start(&self, order: StartOrder) -> Later<Result<(), Failure>> {
        later!(self, |s| s.start(order))
    }
}
