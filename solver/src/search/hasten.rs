//! Of what costs the same, that which takes less time: other VMs may leave a host that is over.

use super::insert::Means;
use super::score::Score;
use super::state::State;
use crate::model::{HostId, Objective, VmId};
use crate::objective;
use crate::screen::{Facts, out_of_s};
use std::collections::BTreeMap;

/// Ways to relieve a host that are tried.
const MOST_TRIED: usize = 12;
/// With more hosts, what is gained is not worth the time until there is a first plan.
const MOST_HOSTS: usize = 256;
/// Seconds that are no gain.
const SMALL_S: f64 = 0.001;

/// A host that VMs leave, with the seconds that this takes at least.
struct Busy {
    host: HostId,
    seconds: f64,
    /// VMs that can leave it instead, for as much or less, and the seconds that they and the forced ones take.
    ways: Vec<(f64, Vec<VmId>)>,
}

impl State<'_> {
    /// Lets others leave hosts that are over, where that is as good and takes less time. No host needs to be faster
    /// than the slowest one can be.
    pub(super) fn hasten(&mut self, means: Means<'_>) {
        let space = self.space;
        let costs = space.problem.objectives.iter().take_while(|level| **level != Objective::Makespan);
        if costs.clone().count() == space.problem.objectives.len()
            || !costs.clone().any(|level| *level == Objective::MigrationCost)
            || self.homeless() > 0
            || space.problem.hosts.len() > MOST_HOSTS
        {
            return;
        }
        let facts = Facts::new(space);
        if facts.wants.is_empty() {
            return;
        }
        let mut gone: BTreeMap<HostId, Vec<VmId>> = BTreeMap::new();
        for vm in space.problem.vm_ids() {
            if let Some(home) = space.home[vm.index()].filter(|home| self.at(vm) != Some(*home)) {
                gone.entry(home).or_default().push(vm);
            }
        }
        let mut least = 0.0_f64;
        for (host, vms) in gone.iter().filter(|(host, _)| !facts.wants.contains_key(host)) {
            least = least.max(out_of_s(space, *host, vms));
        }
        let mut all: Vec<Busy> = Vec::new();
        for (host, want) in &facts.wants {
            let leavers = gone.get(host).map_or(&[][..], Vec::as_slice);
            let is_forced = |vm: &VmId| facts.forced.binary_search(vm).is_ok();
            let (forced, chosen): (Vec<VmId>, Vec<VmId>) = leavers.iter().partition(|vm| is_forced(vm));
            let cost = chosen.iter().map(|vm| space.memory(*vm)).sum();
            let seconds = out_of_s(space, *host, leavers);
            let mut ways = Vec::new();
            means.budget.spend(1);
            want.each(cost, &mut |vms| {
                let together: Vec<VmId> = forced.iter().chain(vms).copied().collect();
                let way = out_of_s(space, *host, &together);
                if way < seconds - SMALL_S {
                    ways.push((way, vms.to_vec()));
                }
            });
            ways.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
            least = least.max(ways.first().map_or(seconds, |way| way.0));
            all.push(Busy { host: *host, seconds, ways });
        }
        for busy in all.into_iter().filter(|busy| busy.seconds > least + SMALL_S) {
            // Those fast enough, fewer VMs first; then those that are at least faster.
            let (mut ways, slower): (Vec<_>, Vec<_>) =
                busy.ways.into_iter().partition(|(seconds, _)| *seconds <= least + SMALL_S);
            ways.sort_by_key(|(_, vms)| vms.len());
            for (_, vms) in ways.into_iter().chain(slower).take(MOST_TRIED) {
                if means.budget.expired() {
                    return;
                }
                if self.let_leave(busy.host, &vms, means) {
                    break;
                }
            }
        }
    }

    /// VMs that are not on the host where they run at the start.
    fn leavers(&self, host: HostId) -> Vec<VmId> {
        let space = self.space;
        let gone = |vm: &VmId| space.home[vm.index()] == Some(host) && self.at(*vm) != Some(host);
        space.problem.vm_ids().filter(gone).collect()
    }

    /// Lets these VMs leave a host, and no others but those that have to; if that is worse, or cannot be, nothing is done.
    fn let_leave(&mut self, host: HostId, vms: &[VmId], means: Means<'_>) -> bool {
        let (space, mark, before) = (self.space, self.mark(), self.score());
        let back: Vec<VmId> =
            self.leavers(host).into_iter().filter(|vm| !vms.contains(vm) && space.may_stay(*vm)).collect();
        let mut out: Vec<VmId> = vms.iter().copied().filter(|vm| self.at(*vm) == Some(host)).collect();
        let size = |vm: &VmId| space.size[vm.index()];
        out.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.cmp(b)));
        // Who goes back makes room in the number of moves.
        for vm in &back {
            self.set(*vm, None);
        }
        let taken = out.iter().all(|vm| {
            let may = self.may_take(*vm);
            if may {
                self.set(*vm, None);
            }
            may
        });
        let done = taken
            && back.iter().all(|vm| {
                let may = self.may_enter(*vm, host);
                if may {
                    self.set(*vm, Some(host));
                }
                may
            })
            && out.iter().all(|vm| self.insert(*vm, Some(host), means))
            && self.is_as_good_as(&before);
        if !done {
            self.undo(mark);
        }
        done
    }

    /// Whether no level before `MAKESPAN` is worse.
    fn is_as_good_as(&self, before: &Score) -> bool {
        let now = self.score();
        let levels = &self.space.problem.objectives;
        now.homeless <= before.homeless
            && levels.iter().take_while(|level| **level != Objective::Makespan).all(|level| {
                match (now.value(*level), before.value(*level)) {
                    (Some(now), Some(before)) => objective::order(*level, now, before).is_le(),
                    _ => true,
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use crate::budget::Cancel;
    use crate::file::{self, Status};
    use crate::{Options, solve};

    /// A host that is over in cpu, two with room, and VMs: cpu, memory, dirty rate.
    fn moved(vms: &[(i64, i64, f64)], cpu: i64) -> (Status, Vec<String>, f64) {
        let host = |name: &str, cpu: i64| {
            format!(r#"{{"name": "{name}", "capacity": {{"cpu": {cpu}, "memory": 99000}}}}"#)
        };
        let vms: Vec<String> = (vms.iter().enumerate())
            .map(|(i, (cpu, memory, dirty))| {
                format!(
                    r#"{{"name": "v{i}", "host": "a", "demand": {{"cpu": {cpu}, "memory": {memory}}}, "memory_dirty_rate": {dirty}}}"#
                )
            })
            .collect();
        let hosts = [host("a", cpu), host("b", 9), host("c", 9)].join(", ");
        let json = format!(r#"{{"hosts": [{hosts}], "vms": [{}]}}"#, vms.join(", "));
        let problem = file::Problem::from_json(&json).unwrap();
        let options = Options { work_limit: Some(1_000_000), ..Options::default() };
        let plan = solve(&problem, &options, &Cancel::default(), &mut |_| ()).unwrap();
        let vms = plan.actions.iter().map(|action| action.vm.clone()).collect();
        (plan.status, vms, plan.objectives[2].value)
    }

    #[test]
    fn of_vms_that_cost_the_same_the_one_that_is_there_sooner_leaves() {
        let (status, vms, seconds) = moved(&[(3, 4000, 200.0), (3, 4000, 0.0), (5, 8000, 0.0)], 10);
        assert_eq!((status, vms), (Status::Optimal, vec!["v1".to_owned()]));
        assert!((seconds - 4.03).abs() < 1e-6);
    }

    #[test]
    fn two_may_leave_instead_of_one_that_is_slower() {
        let (status, vms, seconds) =
            moved(&[(2, 4000, 300.0), (1, 2000, 0.0), (1, 2000, 0.0), (6, 9000, 0.0)], 8);
        assert_eq!((status, vms.len()), (Status::Optimal, 2), "{vms:?}");
        assert!((seconds - 4.03).abs() < 1e-6);
    }
}
