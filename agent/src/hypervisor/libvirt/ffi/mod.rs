//! The only unsafe code of the agent: what the crate `virt` lacks or gets wrong, over its raw bindings.
//!
//! Absent there: abort, post-copy, events, node CPU and memory statistics, dirty rate. Wrong there:
//! bulk statistics leak (and keep the connection open for ever), `job_stats()` makes a `Vec` of a null pointer
//! when no job runs, string parameters of a migration leak.
//!
//! Rules that every function keeps:
//! * what libvirt gives is copied before the call returns, and freed by the libvirt function meant for it;
//! * an error is read on the thread that got it, before any other libvirt call;
//! * strings from outside go through [`CString`], so a NUL byte is an error, never a panic;
//! * no panic crosses into C;
//! * connections and domains are borrowed from `virt`, which owns their reference counts.
//!
//! One function is not about libvirt but about what it brings along: [`give_back_unused`].
#![allow(unsafe_code)]

mod events;
mod fields;
mod job;
mod pages;
mod stats;

use std::{ffi::CString, os::raw::c_int};

use virt::{connect::Connect, error::Error};

pub use events::{CloseReason, Event, Lifecycle, Registrations, start_event_loop};
pub use fields::{Fields, Value};
pub use job::{
    JobKind, MigrateParams, abort_job, completed_job_stats, domain_state, job_stats, migrate, start_post_copy,
};
pub use pages::give_back_unused;
pub use stats::{
    DomainRecord, Groups, Which, all_domain_stats, node_cpu_stats, node_memory_stats, start_dirty_rate,
};

/// Opens a connection with keep-alive: a daemon that hangs ends any call on it after some 7 s.
///
/// Needs [`start_event_loop`] before. Blocks for as long as the daemon takes to answer: one that hangs
/// already has no keep-alive yet and blocks until it wakes.
pub fn open(uri: &str) -> Result<Connect, Error> {
    CString::new(uri)?; // `virt` panics on a NUL byte
    let connect = Connect::open(Some(uri))?;
    // The test driver lives in this process and has no wire to keep alive.
    if !uri.starts_with("test:") {
        connect.set_keep_alive(2, 3)?;
    }
    Ok(connect)
}

/// Negative = error, which must be read at once on this thread.
fn check(result: c_int) -> Result<c_int, Error> {
    if result < 0 { Err(Error::last_error()) } else { Ok(result) }
}
