//! Simulated hypervisors: many hosts in one process, with load, live migrations that take their time, and
//! faults. The demo, load tests and tests of the coordinator run agents on them.
//!
//! `state` is a pure state machine over a clock that is passed in; this module gives it a clock (faster or
//! slower than the real one) and the face of a [`Hypervisor`](super::Hypervisor).

mod history;
mod host;
mod load;
mod migration;
mod state;
#[cfg(test)]
mod tests;

pub use history::{Resident, Step, StepKind};
pub use host::SimulatedHypervisor;
pub use load::Load;
pub use state::{HostSpec, VmSpec};

use state::State;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Hosts and VMs that share one clock. Cheap to clone; all clones are the same world.
#[derive(Clone)]
pub struct SimulatedWorld {
    inner: Arc<Inner>,
}

struct Inner {
    begun: Instant,
    speed: f64,
    state: Mutex<State>,
    /// By host: something changed there.
    changed: Mutex<BTreeMap<String, Arc<Notify>>>,
}

impl SimulatedWorld {
    /// An empty world whose time passes `speed` times as fast as the real one.
    ///
    /// # Panics
    /// If the speed is not a positive number.
    #[must_use]
    pub fn new(speed: f64) -> Self {
        assert!(speed.is_finite() && speed > 0.0, "a world's speed is a positive number, not {speed}");
        let inner = Inner {
            begun: Instant::now(),
            speed,
            state: Mutex::new(State::default()),
            changed: Mutex::new(BTreeMap::new()),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Adds a host. One of the same name is replaced, with its VMs.
    pub fn add_host(&self, spec: HostSpec) {
        self.with(|state| state.add_host(spec));
    }

    /// Adds a VM that runs on a host.
    ///
    /// # Panics
    /// If there is no such host.
    pub fn add_vm(&self, host: &str, spec: VmSpec) {
        self.with(|state| state.add_vm(host, spec));
    }

    /// The hypervisor of a host.
    ///
    /// # Panics
    /// If there is no such host.
    #[must_use]
    pub fn hypervisor(&self, host: &str) -> Arc<SimulatedHypervisor> {
        assert!(self.with(|state| state.has_host(host)), "there is no simulated host {host:?}");
        Arc::new(SimulatedHypervisor::new(self.clone(), host))
    }

    /// Where the hypervisors of the world reach that of a host.
    #[must_use]
    pub fn migration_uri(host: &str) -> String {
        format!("{SCHEME}{host}")
    }

    /// Changes what a VM does, wherever it is.
    pub fn set_load(&self, vm: &str, load: Load) {
        self.with(|state| state.set_load(vm, load));
    }

    /// What a VM wants of the CPU now, in milli-cores; `None` where it does not run.
    #[must_use]
    pub fn demand_millicores(&self, vm: &str) -> Option<i64> {
        self.with(|state| state.demand_millicores(vm))
    }

    /// Names of the VMs that run on a host.
    #[must_use]
    pub fn vms_on(&self, host: &str) -> Vec<String> {
        self.with(|state| state.vms_on(host))
    }

    /// Milli-cores of a host; 0 = there is none.
    #[must_use]
    pub fn cpu_millicores(&self, host: &str) -> i64 {
        self.with(|state| state.cpu_millicores(host))
    }

    /// VMs that run on more than one host: the harm that everything else must prevent.
    #[must_use]
    pub fn split_brains(&self) -> Vec<String> {
        self.with(|state| state.split_brains())
    }

    /// Everything that is on the hosts now, in one look: by host, then by VM.
    #[must_use]
    pub fn residents(&self) -> Vec<Resident> {
        self.with(|state| state.residents())
    }

    /// Steps of migrations after the one of this number (0 = all), in order. Only the last 10,000 are kept: a
    /// gap in the numbers tells that some were missed.
    #[must_use]
    pub fn steps_after(&self, number: u64) -> Vec<Step> {
        self.with(|state| state.steps_after(number))
    }

    /// A host's daemon answers nobody (`true`) or again (`false`). Its VMs run on.
    pub fn set_hanging(&self, host: &str, hanging: bool) {
        self.with(|state| state.set_hanging(host, hanging));
    }

    /// Migrations from and to a host send nothing (`true`) or go on (`false`).
    pub fn set_stalled(&self, host: &str, stalled: bool) {
        self.with(|state| state.set_stalled(host, stalled));
    }

    /// The next migration of a VM fails when this share of it (0 to 1) was sent.
    pub fn fail_next_migration(&self, vm: &str, at_share: f64) {
        self.with(|state| state.fail_next_migration(vm, at_share));
    }

    /// A host loses power: its VMs are gone, its daemon answers nobody.
    pub fn crash_host(&self, host: &str) {
        self.with(|state| state.crash_host(host));
    }

    /// Someone ends a VM without our doing.
    pub fn destroy_vm(&self, vm: &str) {
        self.with(|state| state.destroy_vm(vm));
    }

    /// Someone moves a VM without our doing, in no time.
    ///
    /// # Panics
    /// If there is no such host.
    pub fn move_vm(&self, vm: &str, destination: &str) {
        self.with(|state| state.move_vm(vm, destination));
    }

    /// Seconds of the world's clock.
    fn now_s(&self) -> f64 {
        self.inner.begun.elapsed().as_secs_f64() * self.inner.speed
    }

    /// Real time that passes while the world's clock goes on by this.
    fn real(&self, world_s: f64) -> Duration {
        Duration::from_secs_f64((world_s / self.inner.speed).clamp(0.0, 1e6))
    }

    /// Brings the state up to now, looks at it or changes it, and wakes who waits for a change.
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.inner.state);
        state.advance(self.now_s());
        let result = act(&mut state);
        let touched = state.take_touched();
        drop(state);
        for host in touched {
            self.notify_of(&host).notify_one();
        }
        result
    }

    fn notify_of(&self, host: &str) -> Arc<Notify> {
        Arc::clone(lock(&self.inner.changed).entry(host.to_owned()).or_default())
    }
}

/// What `migration_uri` of a simulated host begins with.
const SCHEME: &str = "simulated://";

/// The host that a migration URI names.
fn host_of_uri(uri: &str) -> Option<&str> {
    uri.strip_prefix(SCHEME)
}

/// A panic of another holder leaves plain data, which is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
