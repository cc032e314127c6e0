//! Migration jobs: start, watch, abort, switch to post-copy.

use std::{ffi::CString, os::raw::c_int, ptr};

use virt::{domain::Domain, error::Error, sys};

use super::{
    check,
    fields::{Builder, Fields},
};

/// Kind of a job (`virDomainJobType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// No job.
    None,
    /// Runs, its length is known.
    Bounded,
    /// Runs, its length is not known: a migration.
    Unbounded,
    /// Has succeeded.
    Completed,
    /// Has failed.
    Failed,
    /// Was aborted.
    Cancelled,
}

impl JobKind {
    fn of(raw: c_int) -> Self {
        match u32::try_from(raw) {
            Ok(sys::VIR_DOMAIN_JOB_BOUNDED) => Self::Bounded,
            Ok(sys::VIR_DOMAIN_JOB_UNBOUNDED) => Self::Unbounded,
            Ok(sys::VIR_DOMAIN_JOB_COMPLETED) => Self::Completed,
            Ok(sys::VIR_DOMAIN_JOB_FAILED) => Self::Failed,
            Ok(sys::VIR_DOMAIN_JOB_CANCELLED) => Self::Cancelled,
            _ => Self::None,
        }
    }

    /// Whether it runs now.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Bounded | Self::Unbounded)
    }
}

/// State and reason of a domain (`virDomainState` and the reasons of that state).
pub fn domain_state(domain: &Domain) -> Result<(u32, u32), Error> {
    let (mut state, mut reason) = (0, 0);
    // SAFETY: the domain's pointer is valid while it is borrowed; the call writes the two integers.
    check(unsafe { sys::virDomainGetState(domain.as_ptr(), &raw mut state, &raw mut reason, 0) })?;
    Ok((state.cast_unsigned(), reason.cast_unsigned()))
}

/// The running job of a domain and its figures (none when it has no job).
pub fn job_stats(domain: &Domain) -> Result<(JobKind, Fields), Error> {
    stats_with(domain, 0)
}

/// The last completed job of a domain, which stays readable. Kind `None` when there was none, or it
/// was aborted.
pub fn completed_job_stats(domain: &Domain) -> Result<(JobKind, Fields), Error> {
    stats_with(domain, sys::VIR_DOMAIN_JOB_STATS_COMPLETED | sys::VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED)
}

fn stats_with(domain: &Domain, flags: u32) -> Result<(JobKind, Fields), Error> {
    let (mut kind, mut list, mut n) = (0, ptr::null_mut(), 0);
    // SAFETY: the domain's pointer is valid while it is borrowed. On success `list` is ours with `n`
    // parameters (null with 0 when there is no job); it is copied, then freed once.
    unsafe {
        check(sys::virDomainGetJobStats(domain.as_ptr(), &raw mut kind, &raw mut list, &raw mut n, flags))?;
        let fields = Fields::read(list, n);
        sys::virTypedParamsFree(list, n);
        Ok((JobKind::of(kind), fields))
    }
}

/// Asks for the end of the domain's job. Success says only that it was asked.
///
/// # Errors
/// Code 55 when there is no job; also in post-copy, which cannot be aborted.
pub fn abort_job(domain: &Domain) -> Result<(), Error> {
    // SAFETY: the domain's pointer is valid while it is borrowed.
    check(unsafe { sys::virDomainAbortJob(domain.as_ptr()) }).map(drop)
}

/// Switches a running migration that allows it to post-copy.
///
/// # Errors
/// Code 55 when no outgoing migration runs.
pub fn start_post_copy(domain: &Domain) -> Result<(), Error> {
    // SAFETY: the domain's pointer is valid while it is borrowed.
    check(unsafe { sys::virDomainMigrateStartPostCopy(domain.as_ptr(), 0) }).map(drop)
}

/// How to migrate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MigrateParams<'a> {
    /// MiB/s, at least 1.
    pub bandwidth_mib_s: u64,
    /// Slow the guest down when it writes faster than can be sent.
    pub auto_converge: bool,
    /// First step of that, percent; `None` = libvirt's.
    pub auto_converge_initial: Option<i32>,
    /// Further steps, percent; `None` = libvirt's.
    pub auto_converge_increment: Option<i32>,
    /// Allow [`start_post_copy`].
    pub post_copy: bool,
    /// The VM has a definition, which is to move with it.
    pub persistent: bool,
    /// Where the destination's QEMU listens; `None` = the destination says.
    pub data_uri: Option<&'a str>,
}

/// Migrates a running domain, live and peer to peer: the two daemons do it, and go on if this process
/// ends. Blocks until the migration has ended, so use a connection of its own.
///
/// The result is no proof of where the VM is; look at both ends.
pub fn migrate(domain: &Domain, destination_uri: &str, how: &MigrateParams) -> Result<(), Error> {
    let to = CString::new(destination_uri)?;
    let mut flags = sys::VIR_MIGRATE_LIVE | sys::VIR_MIGRATE_PEER2PEER;
    let mut params = Builder::new();
    params.add_u64(sys::VIR_MIGRATE_PARAM_BANDWIDTH, how.bandwidth_mib_s.max(1))?;
    if how.persistent {
        flags |= sys::VIR_MIGRATE_PERSIST_DEST | sys::VIR_MIGRATE_UNDEFINE_SOURCE;
    }
    if how.auto_converge {
        flags |= sys::VIR_MIGRATE_AUTO_CONVERGE;
        if let Some(percent) = how.auto_converge_initial {
            params.add_int(sys::VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL, percent)?;
        }
        if let Some(percent) = how.auto_converge_increment {
            params.add_int(sys::VIR_MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT, percent)?;
        }
    }
    if how.post_copy {
        flags |= sys::VIR_MIGRATE_POSTCOPY;
    }
    if let Some(uri) = how.data_uri {
        params.add_text(sys::VIR_MIGRATE_PARAM_URI, uri)?;
    }
    let (list, n) = params.as_raw();
    // SAFETY: the domain is borrowed and `to` and `params` live to the end of the call, which only
    // reads them.
    check(unsafe { sys::virDomainMigrateToURI3(domain.as_ptr(), to.as_ptr(), list, n, flags) }).map(drop)
}
