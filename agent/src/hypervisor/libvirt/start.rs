//! Start of a VM on this host: one that is defined here, or one of a failed host from what its agent has
//! reported. The latter is defined here first, so that it survives a shutdown.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use virt::{connect::Connect, domain::Domain, error::Error};

use super::{
    Shared,
    admission::admit,
    domains::{by_name, by_uuid, end, end_of, find},
    failure,
    ffi::{self, Groups, Which},
    sampler::Memory,
    settings::LibvirtSettings,
    worker::CallError,
    xml::{DomainXml, read_domain},
};
use crate::hypervisor::{End, Failure, Presence, Reason, StartOrder, VmKey};

/// QEMU is up in a second; storage that must be attached first may take longer.
const LIMIT: Duration = Duration::from_mins(1);
/// A daemon that answers at all does so in milliseconds.
const LOOK: Duration = Duration::from_secs(4);

/// Names of the VMs whose start is at the daemon now, whether or not someone still waits for it.
#[derive(Clone, Default)]
pub(super) struct Starts(Arc<Mutex<BTreeSet<String>>>);

impl Starts {
    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, name: &str) -> Pending {
        self.names().insert(name.to_owned());
        Pending { starts: self.clone(), name: name.to_owned() }
    }
}

/// A start at the daemon; over when dropped.
struct Pending {
    starts: Starts,
    name: String,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.starts.names().remove(&self.name);
    }
}

impl Shared {
    pub(super) async fn start(&self, order: StartOrder) -> Result<(), Failure> {
        let definition = match &order.definition {
            Some(xml) => Some((xml.clone(), read_fitting(&order.vm, xml)?)),
            None => None,
        };
        let what = format!("cannot start {}", order.vm);
        let (settings, starts) = (self.settings.clone(), self.starts.clone());
        // Taken by the call, or by who gives up waiting for it: one that was given up is never begun.
        let taken = Arc::new(AtomicBool::new(false));
        let begun = Arc::clone(&taken);
        let call = self.chores.call("starting a VM", LIMIT, move |c| {
            if begun.swap(true, Ordering::SeqCst) {
                return Ok(Err(Failure::new(Reason::HypervisorError, "nobody waits for it any more")));
            }
            let _pending = starts.enter(&order.vm.name);
            start(c, &settings, &order.vm, definition)
        });
        match call.await {
            Ok(started) => started.map_err(|f| Failure { message: format!("{what}: {}", f.message), ..f }),
            Err(error) => {
                let failed = failure::here(&what, &error);
                let lost = match &error {
                    CallError::Unreachable(_) => taken.swap(true, Ordering::SeqCst),
                    CallError::Refused(e) => failure::lost(e),
                };
                Err(match (lost, error) {
                    (true, _) => failed.lost(),
                    (false, CallError::Unreachable(_)) => failed.unasked(),
                    (false, CallError::Refused(_)) => failed,
                })
            }
        }
    }

    pub(super) async fn look_here(&self, vm: &VmKey) -> Presence {
        // Before the look: a start that ends meanwhile is then seen as one under way, never as none.
        let starting = self.starts.names().contains(&vm.name);
        let vm = vm.clone();
        let end = self.control.call("looking for the VM", LOOK, move |c| end_of(c, &vm)).await;
        Presence { end: end.unwrap_or_else(|e| End::Unreachable(e.to_string())), starting }
    }
}

/// The definition must be that of the VM which is meant.
fn read_fitting(vm: &VmKey, xml: &str) -> Result<DomainXml, Failure> {
    let refused = |why| Failure::new(Reason::HypervisorError, format!("cannot start {vm}: {why}"));
    if xml.contains('\0') {
        return Err(refused("its definition has a NUL byte".into()));
    }
    let read = read_domain(xml).map_err(&refused)?;
    if read.name != vm.name || (!vm.uuid.is_empty() && !read.uuid.eq_ignore_ascii_case(&vm.uuid)) {
        return Err(refused(format!("the definition is that of {} ({})", read.name, read.uuid)));
    }
    if read.uuid.is_empty() {
        return Err(refused("the definition has no UUID".into()));
    }
    Ok(read)
}

/// The outer error is libvirt's, the inner one ours.
fn start(
    connect: &Connect,
    settings: &LibvirtSettings,
    vm: &VmKey,
    definition: Option<(String, DomainXml)>,
) -> Result<Result<(), Failure>, Error> {
    let refused = |reason, why: String| Ok(Err(Failure::new(reason, why)));
    let uuid = definition.as_ref().map_or(vm.uuid.clone(), |(_, read)| read.uuid.clone());
    let key = VmKey { name: vm.name.clone(), uuid };
    let found = find(connect, &key)?;
    if let Some(domain) = &found {
        if domain.name()? != vm.name {
            return refused(Reason::NameClash, format!("the VM of that UUID is named {}", domain.name()?));
        }
        let (state, reason) = ffi::domain_state(domain)?;
        match end(state, reason) {
            End::Running => return Ok(Ok(())),
            End::Off => {}
            other => return refused(Reason::VmBusy, format!("it is here already ({other:?})")),
        }
    } else if let Some(other) = by_name(connect, &vm.name)? {
        let why = format!("another VM here has its name, of UUID {}", other.uuid_string()?);
        return refused(Reason::NameClash, why);
    }

    let memory_kib = match (&found, &definition) {
        (Some(domain), _) => domain.info()?.max_mem,
        (None, Some((_, read))) => read.memory_kib,
        (None, None) => {
            let why = "it is not defined on this host and no definition was given".to_owned();
            return refused(Reason::VmNotHere, why);
        }
    };
    let groups = Groups { usage: true, dirty_rate: false };
    let present = ffi::all_domain_stats(connect, groups, Which::Active)?;
    let total_kib = Memory::of(connect)?.total_kib;
    if let Err(full) = admit(settings, "this host", total_kib, &present, &key.uuid, memory_kib) {
        return Ok(Err(full));
    }
    match (found, definition) {
        (Some(domain), _) => domain.create()?,
        (None, Some((xml, _))) => define_and_create(&connect.define_domain_xml(&xml)?)?,
        (None, None) => {}
    }
    // Success is where it runs, not what the call has said.
    match by_uuid(connect, &key.uuid)?.map_or_else(|| by_name(connect, &key.name), |d| Ok(Some(d)))? {
        Some(domain) if domain.is_active()? => Ok(Ok(())),
        _ => refused(Reason::VmEnded, "it has ended right after its start".into()),
    }
}

fn define_and_create(domain: &Domain) -> Result<(), Error> {
    domain.create().inspect_err(|_| {
        // Not to leave a definition of a VM that may live elsewhere tomorrow.
        if let Err(e) = domain.undefine() {
            tracing::warn!("a VM could not be started, and its definition not be removed: {}", e.message());
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_pending_until_its_call_is_over() {
        let starts = Starts::default();
        let pending = starts.enter("a");
        assert!(starts.names().contains("a") && !starts.names().contains("b"));
        drop(pending);
        assert!(starts.names().is_empty());
    }
}
