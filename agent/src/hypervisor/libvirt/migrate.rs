//! Live migration out of this host, in the steps that the trait names.

use std::{
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use virt::{connect::Connect, error::Error, sys};

use super::{
    Shared,
    admission::admit,
    domains::{by_name, by_uuid, end_of, find, migrates_out, outgoing_job},
    failure,
    ffi::{self, DomainRecord, Fields, Groups, MigrateParams, Which},
    sampler::Memory,
    worker::CallError,
    xml::read_capabilities,
};
use crate::hypervisor::{
    End, Ends, Failure, Finished, Job, MigrationOrder, Preflight, Reason, Verdict, VmKey, verdict,
};

/// For a look at either end. A daemon that answers at all does so in milliseconds.
const LOOK: Duration = Duration::from_secs(4);
/// For a call to the own daemon; below the keep-alive's 7 s.
const CONTROL: Duration = Duration::from_secs(5);

/// What the source says before a migration.
struct Here {
    state: End,
    name: String,
    job: bool,
    memory_kib: u64,
    autostart: bool,
    host_uuid: String,
}

/// What the destination says.
struct There {
    host_uuid: String,
    same_uuid: End,
    /// UUID of the VM that has the name there.
    same_name: Option<String>,
    total_kib: u64,
    present: Vec<DomainRecord>,
}

impl Shared {
    pub(super) async fn preflight(&self, order: &MigrationOrder) -> Result<Preflight, Failure> {
        let vm = order.vm.clone();
        let here = self.control.call("looking at the VM", CONTROL, move |c| look_here(c, &vm)).await;
        let what = format!("cannot look at {} before its migration", order.vm);
        let here = here
            .map_err(|e| failure::here(&what, &e))?
            .ok_or_else(|| Failure::new(Reason::VmNotHere, format!("{} is not on this host", order.vm)))?;
        judge_here(order, &here)?;

        let vm = order.vm.clone();
        let peer = self.peer(&order.destination_uri)?;
        let there = peer.call("looking at the destination", LOOK, move |c| look_there(c, &vm)).await;
        let what = format!("cannot look at {} before the migration of {}", order.destination, order.vm);
        let there = there.map_err(|e| failure::there(&what, &e))?;
        judge_there(order, &here, &there)?;
        let present = &there.present;
        let total_kib = there.total_kib;
        admit(&self.settings, &order.destination, total_kib, present, &order.vm.uuid, here.memory_kib)?;
        Ok(Preflight { autostart: here.autostart })
    }

    /// Starts the thread of a migration; what comes back is the end of its call.
    pub(super) fn migrate(
        self: &std::sync::Arc<Self>,
        order: MigrationOrder,
    ) -> Result<oneshot::Receiver<Result<Finished, Failure>>, Failure> {
        let uuid = order.vm.uuid.clone();
        self.news.begin(&uuid, self.settings.max_migrations).map_err(|why| {
            Failure::new(
                Reason::Limit,
                format!("cannot migrate {} to {}: {why}", order.vm, order.destination),
            )
        })?;
        let (answer, answered) = oneshot::channel();
        let shared = std::sync::Arc::clone(self);
        let thread = thread::Builder::new().name("libvirt-migrate".into()).spawn(move || {
            let outcome = shared.migrate_now(&order);
            shared.news.end(&order.vm.uuid);
            let _ = answer.send(outcome);
        });
        thread.map_err(|e| {
            self.news.end(&uuid);
            Failure::new(Reason::HypervisorError, format!("cannot start a thread for a migration: {e}"))
        })?;
        Ok(answered)
    }

    /// Blocks until the migration's call has ended. On a connection of its own: a daemon serves five calls of
    /// a connection at a time, and this one lasts.
    fn migrate_now(&self, order: &MigrationOrder) -> Result<Finished, Failure> {
        let failed = |e: &Error, reason| {
            let what = format!("migration of {} to {} failed", order.vm, order.destination);
            let failure = Failure::new(reason, format!("{what}: {}", e.message()));
            if failure::lost(e) { failure.lost() } else { failure }
        };
        let connect = ffi::open(&self.settings.uri).map_err(|e| failed(&e, Reason::HypervisorError))?;
        let domain = find(&connect, &order.vm).map_err(|e| failed(&e, failure::migration(&e)))?;
        let domain = domain
            .ok_or_else(|| Failure::new(Reason::VmNotHere, format!("{} is not on this host", order.vm)))?;
        let persistent = domain.is_persistent().map_err(|e| failed(&e, Reason::HypervisorError))?;
        let how = MigrateParams {
            bandwidth_mib_s: order.bandwidth_mib_s.max(1),
            auto_converge: order.auto_converge,
            post_copy: order.post_copy,
            persistent,
            ..MigrateParams::default()
        };
        ffi::migrate(&domain, &order.destination_uri, &how)
            .map_err(|e| failed(&e, failure::migration(&e)))?;
        // The figures come as an event, which may be a little behind the call.
        let patience = Instant::now() + Duration::from_millis(300);
        loop {
            match self.news.figures(&order.vm.uuid) {
                Some(figures) => return Ok(finished(&figures)),
                None if Instant::now() > patience => return Ok(Finished::default()),
                None => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    pub(super) async fn job(&self, vm: &VmKey) -> Result<Option<Job>, Failure> {
        let key = vm.clone();
        let call = self.control.call("asking for the job", CONTROL, move |c| {
            let Some(domain) = find(c, &key)? else { return Ok(None) };
            match outgoing_job(&domain) {
                Err(e) if e.code().to_raw() == sys::VIR_ERR_NO_DOMAIN => Ok(None),
                other => other,
            }
        });
        let fields = call.await.map_err(|e| failure::here(&format!("cannot ask for the job of {vm}"), &e))?;
        Ok(fields.map(|f| job_of(&f)))
    }

    pub(super) async fn abort(&self, vm: &VmKey) -> Result<(), Failure> {
        let key = vm.clone();
        let call = self.control.call("aborting the job", CONTROL, move |c| {
            // libvirt aborts whatever job there is: not an operator's backup.
            if !migrates_out(c, &key)? {
                return Ok(());
            }
            let Some(domain) = find(c, &key)? else { return Ok(()) };
            match ffi::abort_job(&domain) {
                // Over meanwhile; while it runs it is refused (post-copy).
                Err(e) if !migrates_out(c, &key)? => drop(e),
                other => return other,
            }
            Ok(())
        });
        call.await.map_err(|e| failure::here(&format!("cannot abort the migration of {vm}"), &e))
    }

    pub(super) async fn post_copy(&self, vm: &VmKey) -> Result<(), Failure> {
        let key = vm.clone();
        let call = self.control.call("switching to post-copy", CONTROL, move |c| match find(c, &key)? {
            Some(domain) => ffi::start_post_copy(&domain),
            // It has gone meanwhile.
            None => Ok(()),
        });
        call.await
            .map_err(|e| failure::here(&format!("cannot switch the migration of {vm} to post-copy"), &e))
    }

    pub(super) async fn look(&self, order: &MigrationOrder) -> Ends {
        let first = self.look_once(order).await;
        if !matches!(verdict(&first), Verdict::Lost | Verdict::SplitBrain) {
            return first;
        }
        // Not to be cried out on the ground of two glances at slightly different times.
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.look_once(order).await
    }

    /// The destination first: a VM on its way is then seen there late rather than early, and never
    /// running at both ends.
    async fn look_once(&self, order: &MigrationOrder) -> Ends {
        let vm = order.vm.clone();
        let destination = match self.peer(&order.destination_uri) {
            Ok(peer) => peer.call("looking for the VM", LOOK, move |c| end_of(c, &vm)).await,
            Err(e) => Err(CallError::Unreachable(e.message)),
        };
        let vm = order.vm.clone();
        let source = self
            .control
            .call("looking for the VM", LOOK, move |c| Ok((end_of(c, &vm)?, migrates_out(c, &vm)?)));
        let (source, source_job) = match source.await {
            Ok(found) => found,
            Err(e) => (End::Unreachable(e.to_string()), false),
        };
        Ends {
            source,
            destination: destination.unwrap_or_else(|e| End::Unreachable(e.to_string())),
            source_job,
        }
    }

    pub(super) async fn settle(&self, order: &MigrationOrder) -> Result<(), Failure> {
        let what = format!("cannot clean up after the migration of {}", order.vm);
        let vm = order.vm.clone();
        let left = self.chores.call("looking for a definition", CONTROL, move |c| leftover(c, &vm)).await;
        let left = left.map_err(|e| failure::here(&what, &e))?;
        let autostart = order.autostart || left.as_ref().is_some_and(|l| l.autostart);
        if left.is_none() && !autostart {
            return Ok(());
        }
        // The definition must be at the destination before it goes here.
        let (vm, xml) = (order.vm.clone(), left.as_ref().map(|l| l.xml.clone()));
        let peer = self.peer(&order.destination_uri)?;
        let kept =
            peer.call("keeping the definition", CONTROL, move |c| keep(c, &vm, xml.as_deref(), autostart));
        kept.await.map_err(|e| failure::there(&what, &e))?;
        if left.is_some() {
            let vm = order.vm.clone();
            let gone = self.chores.call("removing the definition", CONTROL, move |c| undefine(c, &vm));
            gone.await.map_err(|e| failure::here(&what, &e))?;
        }
        Ok(())
    }
}

fn look_here(connect: &Connect, vm: &VmKey) -> Result<Option<Here>, Error> {
    let Some(domain) = find(connect, vm)? else { return Ok(None) };
    let (state, reason) = ffi::domain_state(&domain)?;
    Ok(Some(Here {
        state: super::domains::end(state, reason),
        name: domain.name()?,
        job: ffi::job_stats(&domain)?.0.is_running(),
        memory_kib: domain.info()?.max_mem,
        autostart: domain.is_persistent()? && domain.autostart()?,
        host_uuid: host_uuid(connect)?,
    }))
}

fn judge_here(order: &MigrationOrder, here: &Here) -> Result<(), Failure> {
    let vm = &order.vm;
    if here.name != vm.name {
        let message = format!("the VM of UUID {} is named {}, not {}", vm.uuid, here.name, vm.name);
        return Err(Failure::new(Reason::VmNotHere, message));
    }
    if here.job || matches!(here.state, End::PausedForMigration | End::PausedPostcopy | End::RunningPostcopy)
    {
        return Err(Failure::new(
            Reason::VmBusy,
            format!("{vm} has another job (a migration, a backup, ..)"),
        ));
    }
    if here.state != End::Running {
        let message = format!("{vm} does not run on this host (it is {:?})", here.state);
        return Err(Failure::new(Reason::VmNotHere, message));
    }
    Ok(())
}

fn look_there(connect: &Connect, vm: &VmKey) -> Result<There, Error> {
    let groups = Groups { usage: true, dirty_rate: false };
    Ok(There {
        host_uuid: host_uuid(connect)?,
        same_uuid: end_of(connect, vm)?,
        same_name: by_name(connect, &vm.name)?.map(|d| d.uuid_string()).transpose()?,
        total_kib: Memory::of(connect)?.total_kib,
        present: ffi::all_domain_stats(connect, groups, Which::Active)?,
    })
}

fn judge_there(order: &MigrationOrder, here: &Here, there: &There) -> Result<(), Failure> {
    let (vm, destination) = (&order.vm, &order.destination);
    if there.host_uuid == here.host_uuid {
        let message = format!("{destination} has the same host UUID as this host, {}", here.host_uuid);
        return Err(Failure::new(Reason::HypervisorError, message));
    }
    if !matches!(there.same_uuid, End::Absent | End::Off) {
        let message = format!("{vm} is at {destination} already ({:?})", there.same_uuid);
        return Err(Failure::new(Reason::NameClash, message));
    }
    match &there.same_name {
        Some(uuid) if !uuid.eq_ignore_ascii_case(&vm.uuid) => Err(Failure::new(
            Reason::NameClash,
            format!("{destination} has another VM named {}, of UUID {uuid}", vm.name),
        )),
        _ => Ok(()),
    }
}

fn host_uuid(connect: &Connect) -> Result<String, Error> {
    Ok(read_capabilities(&connect.capabilities()?).map(|c| c.uuid).unwrap_or_default())
}

/// A definition that has stayed at the source.
struct Leftover {
    xml: String,
    autostart: bool,
}

fn leftover(connect: &Connect, vm: &VmKey) -> Result<Option<Leftover>, Error> {
    let Some(domain) = by_uuid(connect, &vm.uuid)? else { return Ok(None) };
    if domain.is_active()? {
        return Ok(None); // not ours to touch
    }
    // With its secrets: it goes from libvirt to libvirt.
    let xml = domain.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE | sys::VIR_DOMAIN_XML_SECURE)?;
    Ok(Some(Leftover { xml, autostart: domain.autostart()? }))
}

fn keep(connect: &Connect, vm: &VmKey, xml: Option<&str>, autostart: bool) -> Result<(), Error> {
    let Some(mut domain) = by_uuid(connect, &vm.uuid)? else { return Ok(()) };
    if !domain.is_persistent()? {
        let Some(xml) = xml else { return Ok(()) };
        domain = connect.define_domain_xml(xml)?;
    }
    if autostart { domain.set_autostart(true) } else { Ok(()) }
}

fn undefine(connect: &Connect, vm: &VmKey) -> Result<(), Error> {
    let Some(domain) = by_uuid(connect, &vm.uuid)? else { return Ok(()) };
    if domain.is_active()? {
        return Ok(());
    }
    // A saved state is older than the VM that lives on elsewhere; its firmware variables may be shared.
    domain.undefine_flags(
        sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
            | sys::VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            | sys::VIR_DOMAIN_UNDEFINE_KEEP_NVRAM,
    )
}

fn job_of(fields: &Fields) -> Job {
    let get = |name| fields.number(name).unwrap_or(0);
    Job {
        bytes_processed: get("data_processed"),
        bytes_remaining: get("data_remaining"),
        bytes_total: get("data_total"),
        iteration: get("memory_iteration"),
        bandwidth_mib_s: mib_s(get("memory_bps")),
        throttle_percent: u32::try_from(get("auto_converge_throttle")).unwrap_or(0),
        elapsed: Duration::from_millis(get("time_elapsed")),
    }
}

fn finished(fields: &Fields) -> Finished {
    Finished {
        downtime_ms: fields.number("downtime").and_then(|v| u32::try_from(v).ok()),
        bytes_processed: fields.number("data_processed").or_else(|| fields.number("memory_processed")),
        bandwidth_mib_s: fields.number("memory_bps").map(mib_s),
    }
}

fn mib_s(bytes_per_s: u64) -> f64 {
    bytes_per_s as f64 / f64::from(1024 * 1024)
}
