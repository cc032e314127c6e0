//! The least that would have to change for a VM to go to a host.
//!
//! Other VMs can leave where they are, which is little; or something is changed that only an operator can
//! change: a state, a pin, a link, a limit, a capacity, a rule. Least means: as few changes of the second sort
//! as there can be, and with these as few VMs that leave as there can be. Pinned VMs never leave; that VMs change
//! their NUMA nodes on the host is not looked at.
//!
//! What has to change whoever leaves (states, pins, links, limits) is changed first, and what speaks against the
//! host is asked of the problem that comes of it: a host that comes online may break a rule.
//!
//! What the operator has to change once certain VMs have left is known at once; the search is for those VMs. It
//! tries all sets of none, one, two … of them. When there are too many sets, VMs are put back one by one for as
//! long as that needs no further change: then no part of what is told can be left out, but there may be
//! another, smaller set.

use super::ground::{CauseKind, Ground};
use super::room::{Load, Short};
use super::words;
use crate::constraints::{Kept, Tally};
use crate::model::{Amount, HostId, VmId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Sets that are tried.
const MOST_TRIED: usize = 200_000;

/// One thing that would have to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What sort of change.
    pub kind: ChangeKind,
    /// The VM, host, resource or rule.
    pub subject: String,
    /// How much, where it is a matter of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// One sentence.
    pub text: String,
}

/// What sort of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Another VM leaves where it is.
    Leave,
    /// The host becomes ONLINE.
    SetOnline,
    /// The VM is no longer pinned.
    Unpin,
    /// Migrations between the hosts get more bandwidth, or are allowed.
    Link,
    /// The VM is split over fewer NUMA nodes.
    FewerNodes,
    /// The limits of the plan allow a migration.
    AllowMigration,
    /// The host gets more of a resource: each of its NUMA nodes so much, where they bound it.
    AddCapacity,
    /// A rule is dropped.
    DropRule,
}

/// What would have to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// The host that the VM is to go to.
    pub host: String,
    /// What an operator would have to change; then the VMs that would have to leave. Empty = nothing.
    pub least: Vec<Change>,
    /// No set has fewer changes for an operator, or as many and fewer VMs that leave. Otherwise only: nothing can
    /// be left out.
    pub minimal: bool,
    /// The same with every other VM where it is. Never more than needed; empty when `least` has no VM that
    /// leaves.
    pub in_place: Vec<Change>,
}

/// The least changes for the VM of a ground to go to a host, those that are made there already among them.
pub(super) fn least(ground: &Ground<'_>, host: HostId, fixed: Vec<Change>) -> Changes {
    let problem = ground.problem;
    let name = problem.host(host).name.clone();
    if ground.home == Some(host) {
        return Changes { host: name, least: Vec::new(), minimal: true, in_place: Vec::new() };
    }
    let mut quest = Quest::new(ground, host, fixed);
    let (leaving, minimal) = quest.run();
    let mut in_place = quest.fixed.clone();
    in_place.extend(quest.open_changes());
    for vm in &leaving {
        quest.take(*vm);
    }
    let mut least = quest.fixed.clone();
    least.extend(quest.open_changes());
    if leaving.is_empty() {
        in_place.clear();
    }
    least.extend(leaving.iter().map(|vm| leave(ground, *vm, host)));
    Changes { host: name, least, minimal, in_place }
}

fn leave(ground: &Ground<'_>, vm: VmId, host: HostId) -> Change {
    let problem = ground.problem;
    let from = ground.others[vm.index()].unwrap_or(host);
    let text = words::leaves(&problem.vm(vm).name, &problem.host(from).name);
    Change { kind: ChangeKind::Leave, subject: problem.vm(vm).name.clone(), amount: None, text }
}

/// A search for the VMs that leave.
struct Quest<'g, 'a> {
    ground: &'g Ground<'a>,
    host: HostId,
    /// Needed whoever leaves, rules and resources left aside.
    fixed: Vec<Change>,
    /// VMs whose leaving may help, cheapest first.
    able: Vec<VmId>,
    /// Use of the host, and the rules' counters, without those that have left.
    load: Load<'a>,
    tally: Tally,
    /// By resource, what `n` of the able VMs give at most, if it can be given enough.
    most: Vec<Vec<Amount>>,
    /// Changes of rules and resources that are needed whoever leaves.
    floor: usize,
    tried: usize,
    taken: Vec<VmId>,
    best: Option<(Amount, Vec<VmId>)>,
}

/// What still speaks against a host.
#[derive(Default)]
struct Open<'q, 'a> {
    /// Resources that it has too little of, for the VM or for rules that want some of them to stay free.
    short: BTreeMap<usize, Amount>,
    rules: Vec<&'q Kept<'a>>,
    /// Resources that it could have more of instead of one of the rules being dropped.
    either: BTreeSet<usize>,
}

impl Open<'_, '_> {
    fn len(&self) -> usize {
        self.short.len() + self.rules.len()
    }
}

impl<'g, 'a> Quest<'g, 'a> {
    fn new(ground: &'g Ground<'a>, host: HostId, fixed: Vec<Change>) -> Self {
        let mut quest = Self {
            fixed,
            able: Vec::new(),
            load: ground.load(host),
            tally: ground.tally.clone(),
            most: Vec::new(),
            floor: 0,
            tried: 0,
            taken: Vec::new(),
            best: None,
            ground,
            host,
        };
        quest.able = quest.able();
        let all = quest.able.clone();
        for vm in &all {
            quest.take(*vm);
        }
        let open = quest.open();
        let floor = open.len();
        // What has to be had more of anyway may be short of more.
        let mut hopeless: BTreeSet<usize> = open.short.keys().chain(&open.either).copied().collect();
        hopeless.extend(quest.shorts().iter().flat_map(|short| short.keys()));
        quest.floor = floor;
        for vm in &all {
            quest.put(*vm);
        }
        quest.most = (0..ground.problem.resources.len())
            .map(|r| if hopeless.contains(&r) { Vec::new() } else { quest.gains(r) })
            .collect();
        quest
    }

    /// VMs on the host, and those that a rule which blocks it is about: that it names, or that are where it counts.
    fn able(&self) -> Vec<VmId> {
        let (problem, others) = (self.ground.problem, &self.ground.others);
        let on_host = problem.vm_ids().filter(|vm| others[vm.index()] == Some(self.host));
        let bound = self.blocking().flat_map(|kept| kept.vms.iter().copied());
        let counting = self.blocking().filter(|kept| kept.rule.adds_up());
        let counted: BTreeSet<HostId> = counting.flat_map(|kept| kept.rule.hosts().iter().copied()).collect();
        let counts = |vm: &VmId| others[vm.index()].is_some_and(|host| counted.contains(&host));
        let there = problem.vm_ids().filter(counts);
        let movable = |vm: &VmId| others[vm.index()].is_some() && !problem.vm(*vm).pinned;
        let all: BTreeSet<VmId> = on_host.chain(bound).chain(there).filter(movable).collect();
        let mut all: Vec<VmId> = all.into_iter().collect();
        all.sort_by_key(|vm| (problem.memory_of(*vm), *vm));
        all
    }

    /// What `n` VMs give of a resource of the host at most.
    fn gains(&self, r: usize) -> Vec<Amount> {
        let on_host = |vm: &&VmId| self.ground.others[vm.index()] == Some(self.host);
        let most = |vm: &VmId| {
            let vm = self.ground.problem.vm(*vm);
            vm.demand[r].max(vm.present[r])
        };
        let mut demands: Vec<Amount> = self.able.iter().filter(on_host).map(most).collect();
        demands.sort_unstable_by(|a, b| b.cmp(a));
        let mut sum = 0;
        let sums = demands.into_iter().map(|demand| {
            sum += demand;
            sum
        });
        std::iter::once(0).chain(sums).collect()
    }

    fn take(&mut self, vm: VmId) {
        self.shift(vm, -1);
        if let Some(at) = self.ground.others[vm.index()] {
            self.ground.rules.leave(&mut self.tally, vm, at);
        }
    }

    fn put(&mut self, vm: VmId) {
        self.shift(vm, 1);
        if let Some(at) = self.ground.others[vm.index()] {
            self.ground.rules.enter(&mut self.tally, vm, at);
        }
    }

    fn shift(&mut self, vm: VmId, sign: Amount) {
        if let Some(site) = self.ground.others.site(vm.index()).filter(|site| site.host == self.host) {
            self.load.shift(self.ground.problem.vm(vm), site, sign);
        }
    }

    /// What can be short, whatever nodes the VM gets.
    fn shorts(&self) -> Vec<Short> {
        self.load.shorts(self.ground.vm)
    }

    fn blocking(&self) -> impl Iterator<Item = &Kept<'a>> {
        self.ground.blocking(&self.tally, self.host)
    }

    /// What still speaks against the host, at least.
    fn open(&self) -> Open<'_, 'a> {
        let all = self.shorts().into_iter().map(|short| self.open_with(short));
        let least = all.min_by_key(|open| (open.len(), open.short.values().sum::<Amount>()));
        least.unwrap_or_default()
    }

    fn open_with(&self, short: Short) -> Open<'_, 'a> {
        let mut open = Open { short, ..Open::default() };
        let mut free: BTreeMap<usize, Vec<(&Kept<'a>, Amount)>> = BTreeMap::new();
        for kept in self.blocking() {
            match kept.wants(&self.tally, self.ground.vm, self.host) {
                Some((r, more)) => free.entry(r).or_default().push((kept, more)),
                None => open.rules.push(kept),
            }
        }
        for (r, rules) in free {
            match rules.as_slice() {
                [(one, _)] if !open.short.contains_key(&r) => {
                    open.rules.push(one);
                    open.either.insert(r);
                }
                all => {
                    // One change for all of them.
                    let most = all.iter().map(|(_, more)| *more).chain(open.short.get(&r).copied()).max();
                    open.short.insert(r, most.unwrap_or_default());
                }
            }
        }
        open
    }

    fn open_changes(&self) -> Vec<Change> {
        let problem = self.ground.problem;
        let host = &problem.host(self.host).name;
        let Open { short, rules, .. } = self.open();
        let short = short.into_iter().map(|(r, short)| {
            let resource = problem.resources[r].clone();
            let by_node = problem.host(self.host).numa.bounds(r);
            let text = words::more_capacity(host, &resource, short, by_node);
            Change { kind: ChangeKind::AddCapacity, subject: resource, amount: Some(short), text }
        });
        let rules = rules.into_iter().map(|kept| {
            let name = kept.name().to_owned();
            let text = words::without_rule(&name);
            Change { kind: ChangeKind::DropRule, subject: name, amount: None, text }
        });
        short.chain(rules).collect()
    }

    /// The VMs that leave, and whether there is no smaller set.
    fn run(&mut self) -> (Vec<VmId>, bool) {
        for size in 0..=self.able.len() {
            self.descend(0, size);
            if let Some((_, mut leaving)) = self.best.take() {
                leaving.sort_unstable();
                return (leaving, true);
            }
            if self.tried >= MOST_TRIED {
                break;
            }
        }
        (self.irreducible(), false)
    }

    /// Tries all sets of so many more of the able VMs from a position on.
    fn descend(&mut self, from: usize, more: usize) {
        if self.tried >= MOST_TRIED {
            return;
        }
        if more == 0 {
            self.tried += 1;
            if self.open().len() == self.floor {
                let cost = self.taken.iter().map(|vm| self.ground.problem.memory_of(*vm)).sum();
                if self.best.as_ref().is_none_or(|(best, _)| cost < *best) {
                    self.best = Some((cost, self.taken.clone()));
                }
            }
            return;
        }
        let helps = |(r, short): (usize, Amount)| {
            let gains = &self.most[r];
            gains.get(more.min(gains.len().saturating_sub(1))).is_none_or(|most| *most >= short)
        };
        if !self.load.least_short(self.ground.vm).into_iter().all(helps) {
            self.tried += 1;
            return;
        }
        for i in from..(self.able.len() + 1).saturating_sub(more) {
            let vm = self.able[i];
            self.take(vm);
            self.taken.push(vm);
            self.descend(i + 1, more - 1);
            self.taken.pop();
            self.put(vm);
        }
    }

    /// All leave; then those whom nobody needs to leave come back, the largest first.
    fn irreducible(&mut self) -> Vec<VmId> {
        let all = self.able.clone();
        for vm in &all {
            self.take(*vm);
        }
        let mut leaving = Vec::new();
        for vm in all.iter().rev() {
            self.put(*vm);
            if self.open().len() > self.floor {
                self.take(*vm);
                leaving.push(*vm);
            }
        }
        for vm in &leaving {
            self.put(*vm);
        }
        leaving.sort_unstable();
        leaving
    }
}

/// What has to change for each standing cause.
pub(super) fn fixed(ground: &Ground<'_>, host: HostId) -> Vec<Change> {
    let change = |cause: super::Cause| {
        let (kind, amount, text) = match cause.kind {
            CauseKind::State => (ChangeKind::SetOnline, None, words::online(&cause.subject)),
            CauseKind::Pinned => (ChangeKind::Unpin, None, words::unpinned(&cause.subject)),
            CauseKind::Limit => (ChangeKind::AllowMigration, None, words::a_migration()),
            CauseKind::Nodes => {
                let most = ground.problem.host(host).numa.count();
                let text = words::fewer_nodes(&ground.problem.vm(ground.vm).name, most);
                (ChangeKind::FewerNodes, Amount::try_from(most).ok(), text)
            }
            CauseKind::Link => {
                let least = least_bandwidth(ground);
                let home = ground.home.map_or("", |home| ground.problem.host(home).name.as_str());
                (ChangeKind::Link, Some(least), words::bandwidth(home, &cause.subject, least))
            }
            // Told of the others.
            CauseKind::Room | CauseKind::Rule => return None,
        };
        Some(Change { kind, subject: cause.subject, amount, text })
    };
    ground.standing(host).into_iter().filter_map(change).collect()
}

/// MiB/s at which a migration of the VM comes to an end.
fn least_bandwidth(ground: &Ground<'_>) -> Amount {
    (ground.problem.vm(ground.vm).memory_dirty_rate / 0.8).floor() as Amount + 1
}
