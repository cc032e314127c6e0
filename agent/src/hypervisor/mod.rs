//! What the agent needs of a hypervisor, and the hypervisors it knows.
//!
//! The trait offers small steps that never decide: the supervisor of an action puts them together
//! (preflight, journal, migrate, poll the job, abort, look at both ends, settle). The future that
//! [`Hypervisor::migrate`] returns says that the call has ended, not where the VM is: only
//! [`Hypervisor::look`] and [`verdict()`] say that.

#[cfg(feature = "libvirt")]
pub mod libvirt;
pub mod simulated;
mod types;
mod verdict;

use std::{future::Future, pin::Pin, time::Duration};

pub use types::{
    Capacity, Effect, Failure, Finished, HostDescription, HostUsage, Job, MigrationOrder, NumaCell,
    Preflight, Reason, Sample, StartOrder, VmKey, VmState, VmStatus,
};
pub use verdict::{End, Ends, Presence, Verdict, verdict};

/// An answer that comes later. It owns what it needs; dropping it does not stop what was begun.
pub type Later<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// A hypervisor as the agent sees it. No method blocks the calling thread; each answer has a time limit,
/// except that of [`Hypervisor::migrate`].
pub trait Hypervisor: Send + Sync + 'static {
    /// `libvirt` or `simulated`.
    fn driver(&self) -> &'static str;

    /// Identity and capacity of this host.
    fn describe(&self) -> Later<Result<HostDescription, Failure>>;

    /// All VMs and what they and the host use now. Usage is the average since the previous call, so one
    /// caller at an even pace gets even figures; the first call after a VM has come says 0 for it.
    fn sample(&self) -> Later<Result<Sample, Failure>>;

    /// Resolves when a VM has come, gone or changed its state since the last time (one waiter at a time).
    /// May resolve for nothing; callers sample at their own pace besides.
    fn changed(&self) -> Later<()>;

    /// Memory that the VM writes, in MiB/s, measured over `period` (1 s to 60 s, whole seconds).
    fn measure_dirty_rate(&self, vm: VmKey, period: Duration) -> Later<Result<f64, Failure>>;

    /// Looks at both ends and refuses a migration that cannot succeed: VM not running here or busy,
    /// destination not reachable, name or UUID taken there, not enough memory there.
    fn preflight(&self, order: MigrationOrder) -> Later<Result<Preflight, Failure>>;

    /// Begins the migration at once, polled or not, and answers when the call has ended. The migration
    /// outlives the agent.
    fn migrate(&self, order: MigrationOrder) -> Later<Result<Finished, Failure>>;

    /// The outgoing migration of a VM; `None` = it has none, or the VM is not here.
    fn job(&self, vm: VmKey) -> Later<Result<Option<Job>, Failure>>;

    /// Asks for the end of a VM's migration. `Ok` is no promise: poll [`Hypervisor::job`], then look.
    fn abort(&self, vm: VmKey) -> Later<Result<(), Failure>>;

    /// Lets the VM of a running migration, which was ordered so that it may, go on at the destination and fetch what is
    /// missing. It cannot be aborted from then on. `Ok` says that it was asked for.
    fn post_copy(&self, vm: VmKey) -> Later<Result<(), Failure>>;

    /// Asks both ends for the VM. A side that does not answer in time is [`End::Unreachable`].
    fn look(&self, order: MigrationOrder) -> Later<Ends>;

    /// Puts in order what a finished migration leaves behind: a definition at the source, the VM's
    /// start-with-host mark, where the order says so, at the destination. Call it only on [`Verdict::Done`]; may be repeated.
    fn settle(&self, order: MigrationOrder) -> Later<Result<(), Failure>>;

    /// Starts a VM on this host; one that runs here already is a success. Never call it for a VM whose
    /// former host only cannot be reached. A failure whose answer is lost leaves open whether it will run:
    /// [`Hypervisor::look_here`] says.
    fn start(&self, order: StartOrder) -> Later<Result<(), Failure>>;

    /// Asks this host for a VM. No answer in time is [`End::Unreachable`].
    fn look_here(&self, vm: VmKey) -> Later<Presence>;
}
