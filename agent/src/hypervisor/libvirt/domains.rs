//! Finding a domain and telling its state.

use virt::{connect::Connect, domain::Domain, error::Error, sys};

use super::ffi::{self, Fields, JobKind};
use crate::hypervisor::{End, VmKey};

const NO_DOMAIN: u32 = sys::VIR_ERR_NO_DOMAIN;

/// `None` = libvirt does not know it, which is no error here.
fn known<T>(found: Result<T, Error>) -> Result<Option<T>, Error> {
    match found {
        Ok(domain) => Ok(Some(domain)),
        Err(e) if e.code().to_raw() == NO_DOMAIN => Ok(None),
        Err(e) => Err(e),
    }
}

/// The domain of this name.
pub(super) fn by_name(connect: &Connect, name: &str) -> Result<Option<Domain>, Error> {
    known(connect.lookup_domain_by_name(name))
}

/// The domain of this UUID.
pub(super) fn by_uuid(connect: &Connect, uuid: &str) -> Result<Option<Domain>, Error> {
    known(connect.lookup_domain_by_uuid_string(uuid))
}

/// The domain that is meant: by UUID, or by name when no UUID is given.
pub(super) fn find(connect: &Connect, key: &VmKey) -> Result<Option<Domain>, Error> {
    if key.uuid.is_empty() { by_name(connect, &key.name) } else { by_uuid(connect, &key.uuid) }
}

/// State of a domain for the verdict; it may vanish under the look.
pub(super) fn end_of(connect: &Connect, key: &VmKey) -> Result<End, Error> {
    let Some(domain) = find(connect, key)? else { return Ok(End::Absent) };
    Ok(known(ffi::domain_state(&domain))?.map_or(End::Absent, |(state, reason)| end(state, reason)))
}

/// Whether a domain migrates out; one that has vanished does not. A backup or a dump is not ours to watch or abort.
pub(super) fn migrates_out(connect: &Connect, key: &VmKey) -> Result<bool, Error> {
    let Some(domain) = find(connect, key)? else { return Ok(false) };
    Ok(known(outgoing_job(&domain))?.flatten().is_some())
}

/// Figures of the domain's outgoing migration, if it has one.
pub(super) fn outgoing_job(domain: &Domain) -> Result<Option<Fields>, Error> {
    let (kind, fields) = ffi::job_stats(domain)?;
    Ok(is_outgoing(kind, &fields).then_some(fields))
}

fn is_outgoing(kind: JobKind, fields: &Fields) -> bool {
    let operation = fields.number("operation");
    kind.is_running() && operation == Some(sys::VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT.into())
}

/// libvirt's state and reason in our words.
pub(super) fn end(state: u32, reason: u32) -> End {
    match state {
        sys::VIR_DOMAIN_PAUSED => match reason {
            sys::VIR_DOMAIN_PAUSED_MIGRATION | sys::VIR_DOMAIN_PAUSED_STARTING_UP => End::PausedForMigration,
            sys::VIR_DOMAIN_PAUSED_POSTCOPY | sys::VIR_DOMAIN_PAUSED_POSTCOPY_FAILED => End::PausedPostcopy,
            _ => End::Paused,
        },
        sys::VIR_DOMAIN_PMSUSPENDED => End::Paused,
        sys::VIR_DOMAIN_SHUTOFF => End::Off,
        sys::VIR_DOMAIN_CRASHED => End::Crashed,
        sys::VIR_DOMAIN_RUNNING
            if matches!(
                reason,
                sys::VIR_DOMAIN_RUNNING_POSTCOPY | sys::VIR_DOMAIN_RUNNING_POSTCOPY_FAILED
            ) =>
        {
            End::RunningPostcopy
        }
        // Running, blocked, about to shut down, or a state newer than this code: it may run.
        _ => End::Running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_running_migration_to_elsewhere_is_one() {
        let job = |operation: u32| -> Fields {
            [("operation".to_owned(), ffi::Value::Int(i64::from(operation)))].into_iter().collect()
        };
        let out = job(sys::VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT);
        assert!(is_outgoing(JobKind::Unbounded, &out));
        assert!(!is_outgoing(JobKind::Completed, &out) && !is_outgoing(JobKind::None, &Fields::default()));
        for other in [
            sys::VIR_DOMAIN_JOB_OPERATION_BACKUP,
            sys::VIR_DOMAIN_JOB_OPERATION_DUMP,
            sys::VIR_DOMAIN_JOB_OPERATION_SAVE,
            sys::VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN,
        ] {
            assert!(!is_outgoing(JobKind::Unbounded, &job(other)), "{other}");
        }
    }

    #[test]
    fn states() {
        assert_eq!(end(1, 1), End::Running);
        assert_eq!(end(1, 10), End::RunningPostcopy);
        assert_eq!(end(2, 0), End::Running, "blocked");
        assert_eq!(end(3, 1), End::Paused);
        assert_eq!(end(3, 2), End::PausedForMigration);
        assert_eq!(end(3, 12), End::PausedPostcopy);
        assert_eq!(end(3, 13), End::PausedPostcopy);
        assert_eq!(end(4, 0), End::Running, "still there while it shuts down");
        assert_eq!(end(5, 1), End::Off);
        assert_eq!(end(6, 0), End::Crashed);
        assert_eq!(end(99, 0), End::Running, "never take the unknown for gone");
    }
}
