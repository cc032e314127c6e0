mod generate;
mod golden;
mod measure;
pub(crate) mod oracle;
mod random;

use super::ground::{Ground, Hop};
use super::run::Run;
use super::{Stuck, Timed, network, schedule};
use crate::answer::{self, Found};
use crate::budget::{Budget, Cancel};
use crate::check;
use crate::constraints::Rules;
use crate::file::{self, Plan, Status};
use crate::model::{HostId, Placement, Problem, Site, VmId};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

fn budget() -> Budget {
    Budget::new(Duration::from_mins(1), None, &Cancel::default())
}

/// A problem in both forms.
struct Case {
    file: file::Problem,
    problem: Problem,
}

impl Case {
    fn new(json: &str) -> Self {
        Self::of(file::Problem::from_json(json).unwrap_or_else(|error| panic!("{json}: {error}")))
    }

    fn of(file: file::Problem) -> Self {
        let problem = Problem::new(&file).unwrap();
        Self { file, problem }
    }

    /// The present placement with some VMs on other hosts.
    fn to(&self, changes: &[(&str, &str)]) -> Placement {
        let mut to = self.problem.initial();
        for (vm, host) in changes {
            to[self.vm(vm).index()] = Some(self.host(host));
        }
        to
    }

    fn vm(&self, name: &str) -> VmId {
        VmId::from(self.problem.vms.iter().position(|vm| vm.name == name).unwrap())
    }

    fn host(&self, name: &str) -> HostId {
        HostId::from(self.problem.hosts.iter().position(|host| host.name == name).unwrap())
    }

    fn schedule(&self, to: &Placement) -> Result<Timed, Stuck> {
        schedule(&self.problem, &Rules::new(&self.problem), to, &budget())
    }

    fn plan(&self, to: &Placement, timed: &Timed) -> Plan {
        let rules = Rules::new(&self.problem);
        let mut actions = timed.actions.clone();
        for action in &mut actions {
            action.because = "a test wants it".to_owned();
        }
        let found = Found::new(&self.problem, &rules, to.clone(), actions, timed.way);
        answer::plan(&self.problem, &rules, &found, Status::Feasible, &[])
    }

    /// Judges the schedule by the checker and gives it back.
    #[track_caller]
    fn valid(&self, to: &Placement) -> Timed {
        let timed = self.schedule(to).unwrap_or_else(|stuck| {
            let names: Vec<_> = stuck.vms.iter().map(|vm| &self.problem.vm(*vm).name).collect();
            panic!("stuck (proved: {}): {names:?}", stuck.proved)
        });
        self.assert_valid(to, &timed);
        timed
    }

    #[track_caller]
    fn assert_valid(&self, to: &Placement, timed: &Timed) {
        let judgement = check::check(&self.file, &self.plan(to, timed));
        assert_eq!(judgement.violations, [], "{}\n{:#?}", json(&self.file), timed.actions);
        for (i, action) in timed.actions.iter().enumerate() {
            assert_eq!(action.id, i as u64 + 1);
            assert!(
                i == 0 || timed.actions[i - 1].start_s <= action.start_s,
                "ids are in the order of start"
            );
        }
        let (bound, makespan) = (timed.makespan_bound, timed.way.makespan_s);
        assert!(bound <= makespan * (1.0 + 1e-9) + 1e-9, "bound {bound}, makespan {makespan}");
    }

    #[track_caller]
    fn stuck(&self, to: &Placement) -> Stuck {
        match self.schedule(to) {
            Err(stuck) => stuck,
            Ok(timed) => panic!("there should be no order, but: {:#?}", timed.actions),
        }
    }
}

/// What no schedule ends before, and when a random row of hops to a placement does, with detours over any hosts, each
/// hop at full speed and as soon as those before it have begun. `None` where they cannot be done so.
pub(crate) fn random_way_s(
    problem: &Problem,
    rules: &Rules<'_>,
    to: &Placement,
    seed: u64,
) -> Option<(f64, f64)> {
    let ground = Ground::new(problem, rules, to, true, &[]);
    let mut random = generate::Random(seed);
    let mut ways: Vec<Vec<Hop>> = Vec::new();
    for vm in ground.movers() {
        let (from, end) = (ground.start.site(vm.index()), to.site(vm.index())?);
        let by = Site::plain(HostId::from(random.below(problem.hosts.len())));
        let plain = problem.host(by.host).numa.count() == 0 && problem.vm(vm).numa_count < 2;
        let detour =
            from.filter(|from| plain && random.one_in(3) && by.host != from.host && by.host != end.host);
        let hop = |from, to| Hop { vm, from, to };
        ways.push(if detour.is_some() {
            vec![hop(Some(by), end), hop(from, by)]
        } else {
            vec![hop(from, end)]
        });
    }
    let mut hops = Vec::new();
    while ways.iter().any(|way| !way.is_empty()) {
        let way = random.below(ways.len());
        hops.extend(ways[way].pop().map(|hop| (hop, network::alone(problem, hop))));
    }
    let policy = super::PLAIN.policy(&ground, false);
    let steps = Run::new(&ground, &policy).in_order(&hops)?;
    let end = steps.iter().map(|step| step.end_s).fold(0.0, f64::max);
    Some((super::bound::makespan_s(&ground), end))
}

/// A random problem with a plan that the checker lets pass, and what it cannot end before.
pub(crate) fn planned(hosts: usize, vms: usize, odd: bool, seed: u64) -> Option<(file::Problem, Plan, f64)> {
    let (case, to) = generate::case(generate::Size { hosts, vms, odd, numa: seed.is_multiple_of(3) }, seed)?;
    let timed = case.schedule(&to).ok()?;
    let plan = case.plan(&to, &timed);
    Some((case.file, plan, timed.makespan_bound))
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

/// The judge of the contract, where it is there.
fn judge() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/check_plan.py");
    if path.is_file() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} is not there, plans are judged by our own checker only", path.display());
    None
}

/// Has the judge of the contract look at plans, with shaken timings.
fn judge_all(name: &str, plans: &[(file::Problem, Plan)]) {
    let Some(judge) = judge() else { return };
    let folder = std::env::temp_dir().join(format!("dvms-schedule-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (i, (problem, plan)) in plans.iter().enumerate() {
        let (one, two) = (folder.join(format!("{i}-problem.json")), folder.join(format!("{i}-plan.json")));
        std::fs::write(&one, json(problem)).unwrap();
        std::fs::write(&two, json(plan)).unwrap();
        let output =
            Command::new("python3").arg(&judge).args([&one, &two]).args(["--shake", "20"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {said}", one.display());
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Which actions wait for which, by VM.
fn waits(timed: &Timed) -> BTreeMap<String, Vec<String>> {
    let name = |id: &u64| timed.actions[*id as usize - 1].vm.clone();
    (timed.actions.iter())
        .map(|action| {
            (format!("{}>{}", action.vm, action.destination), action.after.iter().map(name).collect())
        })
        .collect()
}
