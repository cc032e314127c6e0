//! One simulated host with the face of a hypervisor.

use super::state::{Instance, VmSpec, uuid_of};
use super::{Load, SimulatedWorld, host_of_uri};
use crate::hypervisor::{
    Capacity, Ends, Failure, Finished, HostDescription, HostUsage, Hypervisor, Job, Later, MigrationOrder,
    Preflight, Presence, Reason, Sample, StartOrder, VmKey, VmState, VmStatus,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The host's own processes.
const BASE_MILLICORES: i64 = 50;
const BASE_MEMORY_MIB: i64 = 128;
/// Longest that the end of a migration goes unnoticed, in real time.
const NOTICE: Duration = Duration::from_millis(50);

/// A host of a [`SimulatedWorld`].
pub struct SimulatedHypervisor {
    world: SimulatedWorld,
    host: String,
}

impl SimulatedHypervisor {
    pub(super) fn new(world: SimulatedWorld, host: &str) -> Self {
        Self { world, host: host.to_owned() }
    }

    fn silent(&self) -> Failure {
        let message = format!("the hypervisor of host {} does not answer", self.host);
        Failure::new(Reason::HypervisorError, message)
    }

    /// Acts on the state at once, unless the daemon hangs; the answer is there at once too.
    fn answer<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut super::state::State, &str) -> Result<T, Failure>,
    ) -> Later<Result<T, Failure>> {
        let silent = self.silent();
        let result = self.world.with(|state| match state.hosts.get(&self.host) {
            Some(host) if !host.hanging => act(state, &self.host),
            _ => Err(silent),
        });
        Box::pin(std::future::ready(result))
    }

    fn destination(order: &MigrationOrder) -> Result<&str, Failure> {
        host_of_uri(&order.destination_uri).ok_or_else(|| {
            let uri = &order.destination_uri;
            Failure::new(Reason::DestinationUnreachable, format!("{uri:?} is not a simulated hypervisor"))
        })
    }
}

impl Hypervisor for SimulatedHypervisor {
    fn driver(&self) -> &'static str {
        "simulated"
    }

    fn describe(&self) -> Later<Result<HostDescription, Failure>> {
        self.answer(|state, host| {
            let spec = &state.hosts[host].spec;
            Ok(HostDescription {
                name: spec.name.clone(),
                uuid: uuid_of(&format!("host {}", spec.name)),
                capacity: Capacity {
                    cpu_millicores: spec.cpu_millicores,
                    memory_mib: spec.memory_mib,
                    network_mbits: 0,
                    numa_cells: spec.numa_cells.clone(),
                },
                version: "simulated".to_owned(),
            })
        })
    }

    /// Present figures, not averages: the load curves are smooth.
    fn sample(&self) -> Later<Result<Sample, Failure>> {
        self.answer(|state, host| {
            let host = &state.hosts[host];
            let shares = state.shares(host);
            let vms: BTreeMap<_, _> = (host.vms.iter())
                .map(|(name, instance)| {
                    let share = shares.get(name).copied().unwrap_or(0.0);
                    (name.clone(), status(name, instance, share))
                })
                .collect();
            let usage = HostUsage {
                cpu_millicores: (shares.values().sum::<f64>() as i64 + BASE_MILLICORES)
                    .min(host.spec.cpu_millicores),
                memory_mib: vms.values().map(|vm| vm.memory_mib).sum::<i64>() + BASE_MEMORY_MIB,
                ..HostUsage::default()
            };
            Ok(Sample { usage, vms })
        })
    }

    fn changed(&self) -> Later<()> {
        let notify = self.world.notify_of(&self.host);
        Box::pin(async move { notify.notified().await })
    }

    fn measure_dirty_rate(&self, vm: VmKey, period: Duration) -> Later<Result<f64, Failure>> {
        let answer = self.answer(|state, host| {
            let instance = state.hosts[host].vms.get(&vm.name).filter(|instance| instance.runs());
            let rate = instance.map(|instance| instance.spec.dirty_mib_s);
            rate.ok_or_else(|| {
                Failure::new(Reason::VmNotHere, format!("VM {vm} does not run on host {host}"))
            })
        });
        let real = self.world.real(period.as_secs_f64());
        Box::pin(async move {
            tokio::time::sleep(real).await;
            answer.await
        })
    }

    fn preflight(&self, order: MigrationOrder) -> Later<Result<Preflight, Failure>> {
        self.answer(|state, host| {
            state.may_migrate(&order.vm.name, host, Self::destination(&order)?)?;
            Ok(Preflight::default())
        })
    }

    fn migrate(&self, order: MigrationOrder) -> Later<Result<Finished, Failure>> {
        let begun = self.answer(|state, host| {
            let (limit, destination) = (order.bandwidth_mib_s.max(1) as f64, Self::destination(&order)?);
            // What may be fetched later is not slowed down first.
            state.begin(&order.vm.name, host, destination, limit, order.auto_converge && !order.post_copy)
        });
        let world = self.world.clone();
        Box::pin(async move {
            let id = begun.await?;
            loop {
                let (outcome, left_s) = world.with(|state| (state.outcome(id), state.seconds_left(id)));
                match outcome {
                    Some(outcome) => return outcome,
                    // Rates change as other migrations come and go, so the end is looked for often.
                    None => {
                        tokio::time::sleep(world.real(left_s).clamp(Duration::from_millis(1), NOTICE)).await;
                    }
                }
            }
        })
    }

    fn job(&self, vm: VmKey) -> Later<Result<Option<Job>, Failure>> {
        self.answer(|state, host| Ok(state.job(&vm.name, host)))
    }

    fn abort(&self, vm: VmKey) -> Later<Result<(), Failure>> {
        self.answer(|state, host| {
            state.abort(&vm.name, host);
            Ok(())
        })
    }

    fn post_copy(&self, vm: VmKey) -> Later<Result<(), Failure>> {
        self.answer(|state, host| {
            state.post_copy(&vm.name, host);
            Ok(())
        })
    }

    fn look(&self, order: MigrationOrder) -> Later<Ends> {
        let vm = &order.vm.name;
        let ends = self.world.with(|state| Ends {
            source: state.end_at(vm, &self.host),
            destination: match Self::destination(&order) {
                Ok(destination) => state.end_at(vm, destination),
                Err(failure) => crate::hypervisor::End::Unreachable(failure.message),
            },
            source_job: state.job(vm, &self.host).is_some(),
        });
        Box::pin(std::future::ready(ends))
    }

    fn settle(&self, _order: MigrationOrder) -> Later<Result<(), Failure>> {
        // A simulated migration leaves nothing behind.
        self.answer(|_, _| Ok(()))
    }

    fn look_here(&self, vm: VmKey) -> Later<Presence> {
        let end = self.world.with(|state| state.end_at(&vm.name, &self.host));
        // A simulated start takes no time.
        Box::pin(std::future::ready(Presence { end, starting: false }))
    }

    fn start(&self, order: StartOrder) -> Later<Result<(), Failure>> {
        self.answer(|state, host| {
            let name = order.vm.name.clone();
            if let Some(instance) = state.hosts.get_mut(host).and_then(|there| there.vms.get_mut(&name)) {
                if instance.state == VmState::MigratingIn {
                    return Err(Failure::new(
                        Reason::VmBusy,
                        format!("VM {name} is on its way to host {host}"),
                    ));
                }
                if !matches!(instance.state, VmState::MigratingOut) {
                    instance.state = VmState::Running;
                }
                return Ok(());
            }
            let Some(definition) = order.definition else {
                let message = format!("VM {name} is not defined on host {host}");
                return Err(Failure::new(Reason::VmNotHere, message));
            };
            let spec = read_definition(&name, &definition)?;
            state.add_vm(host, spec);
            Ok(())
        })
    }
}

fn status(name: &str, instance: &Instance, millicores: f64) -> VmStatus {
    let spec = &instance.spec;
    VmStatus {
        key: VmKey { name: name.to_owned(), uuid: uuid_of(name) },
        state: instance.state,
        vcpus: spec.vcpus,
        memory_max_mib: spec.memory_mib,
        cpu_millicores: millicores as i64,
        memory_mib: instance.held_mib(),
        memory_used_mib: None,
        network_mbits: 0,
        dirty_rate_mib_s: Some(spec.dirty_mib_s),
        labels: Arc::new(spec.labels.clone()),
        persistent: true,
        definition: definition(spec).into(),
    }
}

/// What another simulated host needs to start the VM: `key=value`, one a line; labels as `label KEY=VALUE`.
fn definition(spec: &VmSpec) -> String {
    let mut text = format!(
        "vcpus={}\nmemory_mib={}\ndirty_mib_s={}\nmean={}\nswing={}\nperiod_s={}\nphase={}\n",
        spec.vcpus,
        spec.memory_mib,
        spec.dirty_mib_s,
        spec.load.mean_millicores,
        spec.load.swing_millicores,
        spec.load.period_s,
        spec.load.phase
    );
    for (key, value) in &spec.labels {
        text.extend(["label ", key, "=", value, "\n"]);
    }
    text
}

fn read_definition(name: &str, text: &str) -> Result<VmSpec, Failure> {
    let fault = |line: &str| {
        let message = format!("the definition of VM {name} cannot be read: {line:?}");
        Failure::new(Reason::HypervisorError, message)
    };
    let mut spec = VmSpec {
        name: name.to_owned(),
        vcpus: 1,
        memory_mib: 0,
        load: Load::constant(0.0),
        dirty_mib_s: 0.0,
        labels: BTreeMap::new(),
    };
    for line in text.lines() {
        let (key, value) = line.split_once('=').ok_or_else(|| fault(line))?;
        if let Some(label) = key.strip_prefix("label ") {
            spec.labels.insert(label.to_owned(), value.to_owned());
            continue;
        }
        let number: f64 = value.parse().map_err(|_| fault(line))?;
        match key {
            "vcpus" => spec.vcpus = number as i64,
            "memory_mib" => spec.memory_mib = number as i64,
            "dirty_mib_s" => spec.dirty_mib_s = number,
            "mean" => spec.load.mean_millicores = number,
            "swing" => spec.load.swing_millicores = number,
            "period_s" => spec.load.period_s = number,
            "phase" => spec.load.phase = number,
            _ => return Err(fault(line)),
        }
    }
    Ok(spec)
}
