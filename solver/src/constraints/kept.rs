//! All rules of a problem, and their counters for a placement.

use super::switching::{States, Switching};
use super::{Rule, Seat};
use crate::model::{Amount, Constraint, HostId, HostState, Placement, Problem, VmId};

/// A rule of the problem, with what is known of it.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    /// As the model has it.
    pub(crate) constraint: &'a Constraint,
    /// The VMs it names, sorted.
    pub(crate) vms: Vec<VmId>,
    pub(crate) rule: Box<dyn Rule + 'a>,
    /// Continuous, and holds at the start: it must hold at every instant.
    pub(crate) always: bool,
    number: u32,
    first_cell: usize,
    cells: usize,
}

impl Kept<'_> {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.constraint.name
    }

    /// Whether breaking it makes a plan invalid.
    pub(crate) fn hard(&self) -> bool {
        self.constraint.soft_weight.is_none()
    }

    pub(crate) fn holds(&self, tally: &Tally) -> bool {
        self.rule.holds(self.cells(tally))
    }

    /// Whether it does not hold at the end, or cannot hold on the way there though it must.
    pub(crate) fn fails(&self, tally: &Tally) -> bool {
        self.rule.fails(self.cells(tally))
    }

    /// Of which resource a host would have to have more for a VM that is nowhere to come to it.
    pub(crate) fn wants(&self, tally: &Tally, vm: VmId, host: HostId) -> Option<(usize, Amount)> {
        self.rule.wants(self.cells(tally), tally.seat(vm, host, false))
    }

    /// Whether it lets a running VM leave for a host, as it begins where it does.
    pub(crate) fn lets_go(&self, vm: VmId, host: HostId) -> bool {
        self.rule.lets_go(vm, host) && !self.rule.moors(vm)
    }

    /// Whether a VM on a host is part of why it does not hold.
    pub(crate) fn at_fault(&self, tally: &Tally, vm: VmId, host: HostId) -> bool {
        self.rule.at_fault(self.cells(tally), tally.seat(vm, host, true))
    }

    pub(crate) fn why(&self, problem: &Problem, tally: &Tally, vm: VmId, host: HostId) -> String {
        self.rule.why(problem, self.cells(tally), tally.seat(vm, host, true))
    }

    /// Whether it now knows of every VM on the host.
    pub(crate) fn guards(&self, tally: &Tally, host: HostId) -> bool {
        self.rule.guards(self.cells(tally), host)
    }

    fn cells<'t>(&self, tally: &'t Tally) -> &'t [i64] {
        &tally.cells[self.range()]
    }

    fn range(&self) -> std::ops::Range<usize> {
        self.first_cell..self.first_cell + self.cells
    }
}

/// All rules of a problem.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) list: Vec<Kept<'a>>,
    /// Positions in `list` of the rules that name each VM, and the part of the rule that does.
    of_vm: Vec<Vec<(u32, u32)>>,
    /// Positions in `list` of the rules that know all VMs of each host.
    of_host: Vec<Vec<u32>>,
    cells: usize,
    initial: Placement,
    /// Some rule is soft.
    pub(crate) any_soft: bool,
    /// Rules that ask for the states of empty hosts, where these can change.
    switching: Option<Switching>,
}

/// Counters of all rules for one placement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tally {
    cells: Vec<i64>,
    /// How many VMs each host runs.
    on: Vec<u32>,
    /// For each host the rules that look at it now, beside those that always do.
    guards: Vec<Vec<u32>>,
    /// States of empty hosts, where rules ask for them.
    pub(super) states: Option<Box<States>>,
}

impl Tally {
    /// Whether a host runs a VM.
    pub(super) fn runs(&self, host: HostId) -> bool {
        self.on[host.index()] > 0
    }

    /// Hosts that the last change has switched: their states at the end are others now.
    pub(crate) fn switched(&self) -> &[HostId] {
        self.states.as_ref().map_or(&[], |states| states.changed())
    }

    fn seat(&self, vm: VmId, host: HostId, there: bool) -> Seat {
        Seat { vm, host, others: self.on[host.index()] - u32::from(there) }
    }
}

impl<'a> Rules<'a> {
    pub(crate) fn new(problem: &'a Problem) -> Self {
        let mut rules = Self {
            list: Vec::with_capacity(problem.constraints.len()),
            of_vm: vec![Vec::new(); problem.vms.len()],
            of_host: vec![Vec::new(); problem.hosts.len()],
            cells: 0,
            initial: problem.initial(),
            any_soft: problem.constraints.iter().any(|rule| rule.soft_weight.is_some()),
            switching: Switching::new(problem),
        };
        for (number, constraint) in (0_u32..).zip(&problem.constraints) {
            let meaning = constraint.body.meaning();
            let (named, rule) = (meaning.named(problem), meaning.rule(problem));
            for (vm, part) in &named {
                rules.of_vm[vm.index()].push((number, *part));
            }
            for host in rule.hosts() {
                rules.of_host[host.index()].push(number);
            }
            let vms = named.into_iter().map(|(vm, _)| vm).collect();
            let (first_cell, cells) = (rules.cells, rule.cells());
            rules.cells += cells;
            rules.list.push(Kept { constraint, vms, rule, always: false, number, first_cell, cells });
        }
        let start = rules.tally(&rules.initial);
        for kept in &mut rules.list {
            let range = kept.range();
            if kept.constraint.continuous && kept.rule.holds_at_start(&start.cells[range.clone()]) {
                kept.always = true;
                kept.rule.always(&start.cells[range]);
            }
        }
        rules
    }

    /// Counters for a placement.
    pub(crate) fn tally(&self, at: &Placement) -> Tally {
        let hosts = self.of_host.len();
        let mut tally = Tally {
            cells: vec![0; self.cells],
            on: vec![0; hosts],
            guards: vec![Vec::new(); hosts],
            states: None,
        };
        for (vm, host) in at.iter().enumerate() {
            if let Some(host) = host {
                self.enter(&mut tally, VmId::from(vm), *host);
            }
        }
        if let Some(switching) = &self.switching {
            let mut states = switching.states();
            switching.settle_all(&mut states, |host| tally.runs(host));
            tally.states = Some(Box::new(states));
            self.note_states(&mut tally);
        }
        tally
    }

    /// A host runs other VMs than before. If they are so many, it was filled or emptied, and the states of others
    /// may be others now.
    fn settle(&self, tally: &mut Tally, host: HostId, turn: u32) {
        let Some((switching, mut states)) = self.switching.as_ref().zip(tally.states.take()) else { return };
        states.forget();
        if tally.on[host.index()] == turn {
            switching.settle_at(host, &mut states, |host| tally.runs(host));
        }
        tally.states = Some(states);
        self.note_states(tally);
    }

    /// Writes down what the states are for the rules that ask for them.
    fn note_states(&self, tally: &mut Tally) {
        let Tally { cells, states, .. } = tally;
        let Some((switching, states)) = self.switching.as_ref().zip(states.as_deref()) else { return };
        for number in switching.rules() {
            let (count, broken) = states.of_rule(number);
            let first = self.list[number].first_cell;
            (cells[first], cells[first + 1]) = (count, i64::from(broken));
        }
    }

    /// The state of a host at the end, by whether it runs a VM then.
    pub(crate) fn state_at_end(&self, problem: &Problem, tally: &Tally, host: HostId) -> HostState {
        match self.switching.as_ref().zip(tally.states.as_deref()).filter(|_| !tally.runs(host)) {
            Some((switching, states)) => switching.state_of_empty(problem, states, host),
            None => problem.state_at_end(host, tally.runs(host)),
        }
    }

    /// The states of all hosts at the end of a plan.
    pub(crate) fn states_at_end(&self, problem: &Problem, to: &Placement) -> Vec<HostState> {
        let mut runs = vec![false; problem.hosts.len()];
        to.iter().flatten().for_each(|host| runs[host.index()] = true);
        let states = self.switching.as_ref().map(|switching| {
            let mut states = switching.states();
            switching.settle_all(&mut states, |host| runs[host.index()]);
            (switching, states)
        });
        let state = |host: HostId| match &states {
            Some((switching, states)) if !runs[host.index()] => {
                switching.state_of_empty(problem, states, host)
            }
            _ => problem.state_at_end(host, runs[host.index()]),
        };
        problem.host_ids().map(state).collect()
    }

    /// Whether rules ask for the state of a host that is empty.
    pub(crate) fn switches(&self, host: HostId) -> bool {
        self.switching.as_ref().is_some_and(|switching| switching.asks(host))
    }

    /// Whether they ask for any.
    pub(crate) fn any_switches(&self) -> bool {
        self.switching.is_some()
    }

    /// The first hard rule that does not hold if nothing is done at all, as far as states of hosts tell.
    pub(crate) fn broken_now(&self) -> Option<&Kept<'a>> {
        self.list.iter().find(|kept| kept.hard() && kept.rule.holds_now() == Some(false))
    }

    /// Weights of the soft rules that do not hold before anything is done; `tally` is that of the start.
    pub(crate) fn soft_weight_now(&self, tally: &Tally) -> f64 {
        let fails =
            |kept: &&Kept<'_>| kept.rule.holds_now().map_or_else(|| kept.fails(tally), |holds| !holds);
        self.list.iter().filter(fails).filter_map(|kept| kept.constraint.soft_weight).sum()
    }

    /// Whether a rule lets a VM that is nowhere come to a host without a new breach.
    pub(crate) fn admits(&self, kept: &Kept<'_>, tally: &Tally, vm: VmId, host: HostId) -> bool {
        let switched = |switching: &Switching| {
            !switching.rules().any(|number| number == kept.number as usize)
                || switching.is_kept(tally, host, kept.number as usize)
        };
        kept.rule.admits(kept.cells(tally), tally.seat(vm, host, false))
            && self.switching.as_ref().is_none_or(switched)
    }

    /// The rules that name a VM.
    pub(crate) fn of(&self, vm: VmId) -> impl Iterator<Item = &Kept<'a>> {
        self.of_vm[vm.index()].iter().map(|&(i, _)| &self.list[i as usize])
    }

    /// Positions in `list` of the rules that name a VM, and the part of the rule that does.
    pub(crate) fn parts_of(&self, vm: VmId) -> &[(u32, u32)] {
        &self.of_vm[vm.index()]
    }

    /// Positions in `list` of the rules that are told of a VM on a host, beside guards.
    fn told(&self, vm: VmId, host: HostId) -> impl Iterator<Item = u32> + '_ {
        let named = self.of_vm[vm.index()].iter().map(|(i, _)| *i);
        let rest = self.of_host[host.index()].iter().copied();
        // A rule of both kinds is told once.
        named.chain(rest.filter(move |i| !self.names(vm, *i)))
    }

    fn names(&self, vm: VmId, number: u32) -> bool {
        self.of_vm[vm.index()].binary_search_by_key(&number, |(i, _)| *i).is_ok()
    }

    /// All rules that a VM on a host matters to.
    pub(crate) fn at<'t>(
        &'t self,
        tally: &'t Tally,
        vm: VmId,
        host: HostId,
    ) -> impl Iterator<Item = &'t Kept<'a>> + 't {
        let guards = tally.guards[host.index()].iter().copied().filter(move |i| !self.names(vm, *i));
        self.told(vm, host).chain(guards).map(|i| &self.list[i as usize])
    }

    /// Positions of [`Rules::at`].
    pub(crate) fn touch(&self, tally: &Tally, vm: VmId, host: HostId, touched: &mut Vec<u32>) {
        touched.extend(self.at(tally, vm, host).map(|kept| kept.number));
    }

    pub(crate) fn enter(&self, tally: &mut Tally, vm: VmId, host: HostId) {
        let at = tally.seat(vm, host, false);
        // Guards first: those that the VM itself calls up have seen it then.
        for i in 0..tally.guards[host.index()].len() {
            let number = tally.guards[host.index()][i];
            if !self.names(vm, number) {
                let kept = &self.list[number as usize];
                kept.rule.enter(&mut tally.cells[kept.range()], at);
            }
        }
        for number in self.told(vm, host) {
            let kept = &self.list[number as usize];
            let cells = &mut tally.cells[kept.range()];
            let was = kept.rule.guards(cells, host);
            kept.rule.enter(cells, at);
            if !was && kept.rule.guards(cells, host) {
                let guards = &mut tally.guards[host.index()];
                let at = guards.partition_point(|other| *other < number);
                guards.insert(at, number);
            }
        }
        tally.on[host.index()] += 1;
        if self.switching.is_some() {
            self.settle(tally, host, 1);
        }
    }

    pub(crate) fn leave(&self, tally: &mut Tally, vm: VmId, host: HostId) {
        let at = tally.seat(vm, host, true);
        for number in self.told(vm, host) {
            let kept = &self.list[number as usize];
            let cells = &mut tally.cells[kept.range()];
            let was = kept.rule.guards(cells, host);
            kept.rule.leave(cells, at);
            if was && !kept.rule.guards(cells, host) {
                tally.guards[host.index()].retain(|other| *other != number);
            }
        }
        for i in 0..tally.guards[host.index()].len() {
            let number = tally.guards[host.index()][i];
            if !self.names(vm, number) {
                let kept = &self.list[number as usize];
                kept.rule.leave(&mut tally.cells[kept.range()], at);
            }
        }
        tally.on[host.index()] -= 1;
        if self.switching.is_some() {
            self.settle(tally, host, 0);
        }
    }

    /// Whether the hard rules let a VM that is nowhere come to a host.
    pub(crate) fn admit(&self, tally: &Tally, vm: VmId, host: HostId) -> bool {
        let at = tally.seat(vm, host, false);
        let hard = |number: usize| self.list[number].hard();
        self.at(tally, vm, host).all(|kept| !kept.hard() || kept.rule.admits(kept.cells(tally), at))
            && self.switching.as_ref().is_none_or(|switching| switching.admits(tally, host, hard))
    }

    /// Soft weights that a VM which is nowhere adds by coming to a host.
    pub(crate) fn price(&self, tally: &Tally, vm: VmId, host: HostId) -> f64 {
        let at = tally.seat(vm, host, false);
        let priced: f64 = self
            .at(tally, vm, host)
            .filter_map(|kept| {
                let (weight, cells) = (kept.constraint.soft_weight?, kept.cells(tally));
                (!kept.rule.fails(cells) && !kept.rule.admits(cells, at)).then_some(weight)
            })
            .sum();
        let newly = |number: &usize| !self.list[*number].fails(tally);
        let switching = self.switching.as_ref();
        let broken = switching.map_or_else(Vec::new, |switching| switching.breaks(tally, host));
        let weights = broken.into_iter().filter(newly);
        priced + weights.filter_map(|number| self.list[number].constraint.soft_weight).sum::<f64>()
    }

    /// The first hard rule that does not hold.
    pub(crate) fn broken(&self, tally: &Tally) -> Option<&Kept<'a>> {
        self.list.iter().find(|kept| kept.hard() && !kept.holds(tally))
    }

    /// The first hard rule that fails.
    pub(crate) fn failed(&self, tally: &Tally) -> Option<&Kept<'a>> {
        self.list.iter().find(|kept| kept.hard() && kept.fails(tally))
    }

    /// Weights of the soft rules that do not hold at the end or, where they must, on the way there.
    pub(crate) fn soft_weight(&self, tally: &Tally) -> f64 {
        let failed = self.list.iter().filter(|kept| kept.fails(tally));
        failed.filter_map(|kept| kept.constraint.soft_weight).sum()
    }

    /// The hard rules that keep a VM off a host in every plan, as far as the two alone can tell.
    pub(crate) fn against(&self, vm: VmId, host: HostId) -> impl Iterator<Item = &Kept<'a>> {
        let told = self.told(vm, host).map(|i| &self.list[i as usize]);
        told.filter(move |kept| kept.hard() && !kept.rule.ever(vm, host))
    }

    /// The hard rules that do not let a running VM come to another host, as it begins where it does.
    pub(crate) fn holding(&self, vm: VmId, host: HostId) -> impl Iterator<Item = &Kept<'a>> {
        let told = self.told(vm, host).map(|i| &self.list[i as usize]);
        told.filter(move |kept| kept.hard() && !kept.rule.lets_go(vm, host))
    }

    /// Whether a hard rule makes a VM end where it begins.
    pub(crate) fn moor(&self, vm: VmId) -> bool {
        self.of(vm).any(|kept| kept.hard() && kept.rule.moors(vm))
    }

    /// Whether a hard rule makes it stay on its NUMA nodes as well.
    pub(crate) fn pin(&self, vm: VmId) -> bool {
        self.of(vm).any(|kept| kept.hard() && kept.rule.pins(vm))
    }
}
