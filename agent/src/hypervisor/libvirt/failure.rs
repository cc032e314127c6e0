//! From libvirt's errors to the agent's: what was tried, on what, why not.

use virt::{error::Error, sys};

use super::worker::CallError;
use crate::hypervisor::{Failure, Reason};

/// A call to this host's own daemon failed.
pub(super) fn here(what: &str, error: &CallError) -> Failure {
    let reason = match error {
        CallError::Unreachable(_) => Reason::HypervisorError,
        CallError::Refused(e) => reason_of(e),
    };
    Failure::new(reason, format!("{what}: {error}"))
}

/// A call to the destination's daemon failed.
pub(super) fn there(what: &str, error: &CallError) -> Failure {
    let reason = match error {
        CallError::Unreachable(_) => Reason::DestinationUnreachable,
        CallError::Refused(e) => reason_of(e),
    };
    Failure::new(reason, format!("{what}: {error}"))
}

/// What a migration's call says of its end. A hint only: the verdict comes from both ends.
pub(super) fn migration(error: &Error) -> Reason {
    let from_rpc = error.domain().to_raw() == sys::VIR_FROM_RPC;
    match error.code().to_raw() {
        sys::VIR_ERR_OPERATION_ABORTED => Reason::Cancelled,
        sys::VIR_ERR_NO_DOMAIN => Reason::VmEnded,
        sys::VIR_ERR_OPERATION_FAILED if error.message().contains("already exists") => Reason::NameClash,
        sys::VIR_ERR_OPERATION_FAILED if error.message().contains("not running") => Reason::VmEnded,
        sys::VIR_ERR_SYSTEM_ERROR | sys::VIR_ERR_INTERNAL_ERROR if from_rpc => Reason::DestinationUnreachable,
        _ => reason_of(error),
    }
}

/// Whether an error tells of a lost connection: what was asked for may go on at the daemon. Errors of the daemon's own
/// connection to another one look the same, and count as lost too.
pub(super) fn lost(error: &Error) -> bool {
    matches!(error.domain().to_raw(), sys::VIR_FROM_RPC | sys::VIR_FROM_REMOTE)
}

fn reason_of(error: &Error) -> Reason {
    match error.code().to_raw() {
        sys::VIR_ERR_NO_DOMAIN => Reason::VmNotHere,
        sys::VIR_ERR_DOM_EXIST => Reason::NameClash,
        sys::VIR_ERR_OPERATION_INVALID if error.message().contains("job") => Reason::VmBusy,
        sys::VIR_ERR_NO_SUPPORT | sys::VIR_ERR_OPERATION_UNSUPPORTED => Reason::NotSupported,
        _ => Reason::HypervisorError,
    }
}
