//! Evening out under limits: what leaves hosts that are above them goes where there is room, alone or for something that
//! comes back, until no host is above its limits.
//!
//! Each step takes a host with an excess, the sum over resources of the square of its load above the limit, and looks for
//! what to move off it, or to exchange, so that the excess of both hosts is the least. Where nothing makes it less the step
//! that makes it least worse is done, and what was moved rests for some steps (a tabu search): so a host makes room for
//! another by giving something to a third. VMs that rules keep on one host go together. Amounts are kept in tables of their
//! own, as almost all of the time goes into comparing steps that are not done.

use super::random::Random;
use super::state::State;
use crate::budget::Budget;
use crate::model::{Amount, HostId, VmId};
use std::cmp::Reverse;

/// A smaller excess is none.
const NONE: f64 = 1e-12;
/// Hosts that are looked at before a step is taken that makes the excess less but does not end it.
const SOME: usize = 48;
/// Hosts that are looked at for a step that makes the excess more.
const MOST: usize = 160;
/// Hosts that are looked at once a step is known that leaves no excess: another may be cheaper.
const FEW: usize = 6;
/// Steps for which what was moved rests, and as many more at most, by lot.
const REST: u64 = 8;
/// Steps are in vain as long as they leave more than this part of the least excess that there was.
const LESS: f64 = 0.98;
/// Looks at all that might go home.
const PASSES: usize = 4;
/// Comparisons that are a unit of work.
const COMPARISONS: u64 = 256;

/// What one host gives another.
#[derive(Clone, Copy)]
enum What {
    Nothing,
    Unit(usize),
    /// All that may be moved.
    All,
}

/// Something that goes to another host, and what comes back for it.
#[derive(Clone, Copy)]
struct Step {
    /// The excess of both hosts that goes; negative if there will be more.
    gain: f64,
    /// The excess of both that is left.
    left: f64,
    /// MiB.
    cost: Amount,
    out: What,
    to: usize,
    back: What,
}

impl Step {
    /// The cheapest of those that leave no excess, else the one that takes most away.
    fn beats(&self, other: &Self) -> bool {
        match (self.left <= NONE, other.left <= NONE) {
            (true, true) => (self.cost, -self.gain) < (other.cost, -other.gain),
            (false, false) => self.gain > other.gain,
            (clears, _) => clears,
        }
    }
}

/// A resource of a host.
#[derive(Clone, Copy, Default)]
struct Cell {
    /// What is in use above the limit; negative if there is room.
    over: f64,
    /// One over what the host has.
    part: f64,
}

impl Cell {
    /// The square of what is above the limit, as a part of what the host has, if so much more is in use.
    fn excess(self, more: f64) -> f64 {
        let part = (self.over + more).max(0.0) * self.part;
        part * part
    }
}

/// Who is where, and what is above limits.
pub(super) struct Board {
    width: usize,
    /// VMs that go together.
    units: Vec<Vec<VmId>>,
    /// By unit, then resource.
    need: Vec<f64>,
    /// Each unit's number.
    numbers: Vec<usize>,
    at: Vec<usize>,
    /// Units that may be moved, by host.
    on: Vec<Vec<usize>>,
    /// By host, then resource.
    cells: Vec<Cell>,
    excess: Vec<f64>,
    /// The step from which on a unit may be moved again.
    rests: Vec<u64>,
    open: Vec<usize>,
    now: u64,
}

impl Board {
    pub(super) fn new(state: &State<'_>, limits: &[f64]) -> Self {
        let (space, problem) = (state.space, state.space.problem);
        let (width, hosts) = (space.width, problem.hosts.len());
        let mut board = Self {
            width,
            units: Vec::new(),
            need: Vec::new(),
            numbers: Vec::new(),
            at: Vec::new(),
            on: vec![Vec::new(); hosts],
            cells: Vec::new(),
            excess: vec![0.0; hosts],
            rests: Vec::new(),
            open: space.open.iter().map(|host| host.index()).collect(),
            now: 0,
        };
        for vms in space.units(problem.vm_ids().filter(|vm| state.at(*vm).is_some())) {
            // What is to be together and is not yet stays as it is.
            let host = state.at(vms[0]);
            let (Some(host), true) =
                (host, vms.iter().all(|vm| state.at(*vm) == host && state.may_take(*vm)))
            else {
                continue;
            };
            let unit = board.units.len();
            board.need.extend(space.sum(&vms).into_iter().map(|amount| amount as f64));
            board.units.push(vms);
            board.at.push(host.index());
            board.on[host.index()].push(unit);
        }
        board.numbers = (0..board.units.len()).collect();
        board.rests = vec![0; board.units.len()];
        board.cells = vec![Cell::default(); hosts * width];
        board.limit(state, limits);
        board
    }

    /// Sets other limits, by resource.
    pub(super) fn limit(&mut self, state: &State<'_>, limits: &[f64]) {
        for host in state.space.problem.host_ids() {
            let amounts = state.used(host).iter().zip(state.usable(host)).zip(limits);
            for (r, ((used, usable), limit)) in amounts.enumerate() {
                let part = if *usable > 0 { 1.0 / *usable as f64 } else { 0.0 };
                self.cells[host.index() * self.width + r] =
                    Cell { over: *used as f64 - limit * *usable as f64, part };
            }
            self.weigh(host.index());
        }
    }

    /// Steps until no host has an excess, or so many in a row have not led to less than there was. Whether none is left.
    pub(super) fn run(
        &mut self,
        state: &mut State<'_>,
        patience: u64,
        random: &mut Random,
        budget: &Budget,
    ) -> bool {
        random.shuffle(&mut self.open);
        let mut least = f64::INFINITY;
        let mut until = self.now + patience;
        while self.now < until && !budget.expired() {
            self.now += 1;
            let above: Vec<usize> = (0..self.excess.len()).filter(|host| self.excess[*host] > NONE).collect();
            let total: f64 = above.iter().map(|host| self.excess[*host]).sum();
            if total < least * LESS {
                least = total;
                until = self.now + patience;
            }
            let worst = above.iter().copied().max_by(|a, b| self.excess[*a].total_cmp(&self.excess[*b]));
            let Some(worst) = worst else { return true };
            let host = if random.below(2) == 0 { worst } else { above[random.below(above.len())] };
            if let Some(step) = self.best_step(state, host, random, budget) {
                self.take(state, host, step, random);
            }
        }
        false
    }

    /// Sends home what can go there without an excess, alone or for something that comes back, the dearest first.
    pub(super) fn send_home(&mut self, state: &mut State<'_>, random: &mut Random, budget: &Budget) {
        for _ in 0..PASSES {
            let mut away: Vec<(Amount, usize, HostId)> = (0..self.units.len())
                .filter_map(|unit| {
                    let vms = &self.units[unit];
                    let home = state.space.home[vms[0].index()]?;
                    let memory = vms.iter().map(|vm| state.space.memory(*vm)).sum();
                    (home.index() != self.at[unit]).then_some((memory, unit, home))
                })
                .collect();
            away.sort_by_key(|(memory, unit, _)| (Reverse(*memory), *unit));
            let mut any = false;
            for (_, unit, home) in away {
                let host = self.at[unit];
                if budget.expired() || host == home.index() {
                    continue;
                }
                // Nothing rests any more.
                self.now += 3 * REST;
                budget.spend(1);
                let mut best = None;
                self.look(state, (host, unit), home.index(), &mut best);
                if let Some(step) = best.filter(|step| step.left <= NONE && step.cost < 0) {
                    any |= self.take(state, host, step, random);
                }
            }
            if !any {
                return;
            }
        }
    }

    fn weigh(&mut self, host: usize) {
        self.excess[host] = self.cells_of(host).iter().map(|cell| cell.excess(0.0)).sum();
    }

    fn cells_of(&self, host: usize) -> &[Cell] {
        &self.cells[host * self.width..][..self.width]
    }

    fn need_of(&self, unit: usize) -> &[f64] {
        &self.need[unit * self.width..][..self.width]
    }

    fn best_step(
        &self,
        state: &State<'_>,
        host: usize,
        random: &mut Random,
        budget: &Budget,
    ) -> Option<Step> {
        let (mut best, mut clears, mut looks) = (None::<Step>, 0, 0);
        let start = random.below(self.open.len().max(1));
        for (seen, &to) in self.open[start..].iter().chain(&self.open[..start]).enumerate() {
            let enough = match &best {
                Some(best) if best.left <= NONE => clears >= FEW,
                Some(best) if best.gain > NONE => seen >= SOME,
                Some(_) => seen >= MOST,
                None => false,
            };
            if enough || budget.expired() {
                break;
            }
            if to != host {
                looks += (self.on[host].len() * (1 + self.on[to].len())) as u64;
                for &out in self.on[host].iter().filter(|out| self.rests[**out] <= self.now) {
                    self.look(state, (host, out), to, &mut best);
                }
                self.look_at_all(state, host, to, &mut best);
                clears += usize::from(best.as_ref().is_some_and(|best| best.left <= NONE));
            }
        }
        budget.spend(looks / COMPARISONS + 1);
        best
    }

    /// Looks at all steps in which a unit leaves its host for another.
    fn look(&self, state: &State<'_>, (host, out): (usize, usize), to: usize, best: &mut Option<Step>) {
        let before = self.excess[host] + self.excess[to];
        let mut see = |back: What, left: f64| {
            let step = Step { gain: before - left, left, cost: 0, out: What::Unit(out), to, back };
            self.see(state, host, step, best);
        };
        let goes = self.need_of(out);
        let cells = || self.cells_of(host).iter().zip(self.cells_of(to)).zip(goes);
        see(
            What::Nothing,
            cells().map(|((here, there), goes)| here.excess(-goes) + there.excess(*goes)).sum(),
        );
        for &back in self.on[to].iter().filter(|back| self.rests[**back] <= self.now) {
            let comes = self.need_of(back);
            let mut left = 0.0;
            for (((here, there), goes), comes) in cells().zip(comes) {
                left += here.excess(comes - goes) + there.excess(goes - comes);
            }
            if comes != goes || left <= NONE {
                see(What::Unit(back), left);
            }
        }
    }

    /// Looks at the exchange of all that may be moved of two hosts.
    fn look_at_all(&self, state: &State<'_>, host: usize, to: usize, best: &mut Option<Step>) {
        let before = self.excess[host] + self.excess[to];
        let mut left = 0.0;
        for (r, (here, there)) in self.cells_of(host).iter().zip(self.cells_of(to)).enumerate() {
            let sum = |host: usize| self.on[host].iter().map(|unit| self.need_of(*unit)[r]).sum::<f64>();
            let more = sum(to) - sum(host);
            left += here.excess(more) + there.excess(-more);
        }
        // It is too much to be done only to do something.
        if left < before - NONE {
            let step = Step { gain: before - left, left, cost: 0, out: What::All, to, back: What::All };
            self.see(state, host, step, best);
        }
    }

    /// Remembers a step if it is the best and, as far as that can be told, may be done.
    fn see(&self, state: &State<'_>, host: usize, step: Step, best: &mut Option<Step>) {
        // Only where nothing is left does the cost decide.
        if step.left > NONE && best.as_ref().is_some_and(|best| !step.beats(best)) {
            return;
        }
        let step = if step.left > NONE { step } else { Step { cost: self.cost(state, host, &step), ..step } };
        if best.as_ref().is_none_or(|best| step.beats(best)) && self.may_pass(state, host, &step) {
            *best = Some(step);
        }
    }

    /// The units of one side of a step.
    fn side(&self, what: What, host: usize) -> &[usize] {
        match what {
            What::Nothing => &[],
            What::Unit(unit) => &self.numbers[unit..=unit],
            What::All => &self.on[host],
        }
    }

    /// Each VM of a step with the host it goes to.
    fn ways(&self, host: usize, step: &Step) -> impl Iterator<Item = (VmId, HostId)> + use<'_> {
        let (here, there) = (HostId::from(host), HostId::from(step.to));
        let vms = |unit: &usize| self.units[*unit].iter().copied();
        let out = self.side(step.out, host).iter().flat_map(vms).map(move |vm| (vm, there));
        out.chain(self.side(step.back, step.to).iter().flat_map(vms).map(move |vm| (vm, here)))
    }

    fn cost(&self, state: &State<'_>, host: usize, step: &Step) -> Amount {
        self.ways(host, step).map(|(vm, to)| extra_cost(state, vm, to)).sum()
    }

    /// Whether the VMs may go where they go, as far as each can be told alone.
    fn may_pass(&self, state: &State<'_>, host: usize, step: &Step) -> bool {
        let single = |what: What| match what {
            What::Nothing => true,
            What::Unit(unit) => self.units[unit].len() == 1,
            What::All => false,
        };
        let alone = single(step.out) && single(step.back);
        let leave = self.ways(host, step).filter(|(vm, _)| !state.has_moved(*vm)).count() as u64;
        leave <= state.moves_left()
            && self.ways(host, step).all(|(vm, to)| {
                state.space.may_go_or_return(vm, to)
                    && (!alone || state.space.rules.admit(state.tally(), vm, to))
            })
    }

    /// Does a step, if it may be done; what it moves, or cannot move, rests. Whether it was done.
    fn take(&mut self, state: &mut State<'_>, host: usize, step: Step, random: &mut Random) -> bool {
        let rest = self.now + REST + random.below(REST as usize) as u64;
        let out = self.side(step.out, host).to_vec();
        let back = self.side(step.back, step.to).to_vec();
        out.iter().chain(&back).for_each(|unit| self.rests[*unit] = rest);
        let mark = state.mark();
        let ways: Vec<(VmId, HostId)> = self.ways(host, &step).collect();
        for (vm, _) in &ways {
            state.set(*vm, None);
        }
        for (vm, to) in ways {
            if !state.may_enter(vm, to) {
                state.undo(mark);
                return false;
            }
            state.set(vm, Some(to));
        }
        for unit in out {
            self.shift(unit, step.to);
        }
        for unit in back {
            self.shift(unit, host);
        }
        self.weigh(host);
        self.weigh(step.to);
        true
    }

    fn shift(&mut self, unit: usize, to: usize) {
        let from = std::mem::replace(&mut self.at[unit], to);
        self.on[from].retain(|other| *other != unit);
        self.on[to].push(unit);
        for r in 0..self.width {
            let need = self.need[unit * self.width + r];
            self.cells[from * self.width + r].over -= need;
            self.cells[to * self.width + r].over += need;
        }
    }
}

/// MiB that a VM costs more if it is on a host.
fn extra_cost(state: &State<'_>, vm: VmId, to: HostId) -> Amount {
    let home = state.space.home[vm.index()];
    let (now, then) = (state.has_moved(vm), home.is_some() && home != Some(to));
    state.space.memory(vm) * (Amount::from(then) - Amount::from(now))
}

#[cfg(test)]
mod tests {
    use super::Board;
    use crate::budget::{Budget, Cancel};
    use crate::constraints::Rules;
    use crate::file;
    use crate::model::{HostId, Problem};
    use crate::screen::Space;
    use crate::search::{Random, State};

    /// Where each VM is once no host is above the limit, and what it cost; each host and VM with its processors.
    fn evened(hosts: &[i64], vms: &[(usize, i64)], rules: &str, limit: f64, home: bool) -> (Vec<usize>, f64) {
        let amounts = |cpu: i64| format!(r#"{{"cpu": {cpu}, "memory": 100}}"#);
        let host = |(i, cpu): (usize, &i64)| format!(r#"{{"name": "h{i}", "capacity": {}}}"#, amounts(*cpu));
        let vm = |(i, (host, cpu)): (usize, &(usize, i64))| {
            format!(r#"{{"name": "v{i}", "host": "h{host}", "demand": {{"cpu": {cpu}, "memory": 1}}}}"#)
        };
        let list = |items: Vec<String>| items.join(", ");
        let json = format!(
            r#"{{"objective": "BALANCE", "hosts": [{}], "vms": [{}], "constraints": [{rules}]}}"#,
            list(hosts.iter().enumerate().map(host).collect()),
            list(vms.iter().enumerate().map(vm).collect()),
        );
        let problem = Problem::new(&file::Problem::from_json(&json).unwrap()).unwrap();
        let rules = Rules::new(&problem);
        let space = Space::new(&problem, &rules);
        let budget = Budget::new(std::time::Duration::from_hours(1), Some(100_000), &Cancel::default());
        let (mut state, mut random) = (State::new(&space), Random::new(3));
        let mut board = Board::new(&state, &[limit, 1.0]);
        assert!(board.run(&mut state, 200, &mut random, &budget));
        for host in problem.host_ids() {
            assert!(state.used(host)[0] as f64 <= limit * state.usable(host)[0] as f64);
        }
        if home {
            board.limit(&state, &[1.0, 1.0]);
            board.send_home(&mut state, &mut random, &budget);
        }
        let cost = state.score().value(crate::model::Objective::MigrationCost).unwrap();
        (problem.vm_ids().map(|vm| state.at(vm).map_or(usize::MAX, HostId::index)).collect(), cost)
    }

    #[test]
    fn the_cheapest_step_that_is_enough_is_done_and_taken_back_where_it_need_not_be() {
        let vms = [(0, 30), (0, 30), (0, 30), (1, 10)];
        let (at, cost) = evened(&[100, 100], &vms, "", 0.6, false);
        assert_eq!((at.iter().filter(|at| **at == 1).count(), cost), (2, 1.0));
        assert_eq!(evened(&[100, 100], &vms, "", 0.6, true), (vec![0, 0, 0, 1], 0.0));
    }

    #[test]
    fn a_host_makes_room_for_another_by_a_third() {
        // The VM that is too much may go to the second host only, and what is there to the third only.
        let rules = r#"{"name": "a", "ban": {"vms": ["v0", "v1"], "hosts": ["h2"]}},
            {"name": "b", "ban": {"vms": ["v2"], "hosts": ["h0"]}}"#;
        let (at, _) = evened(&[100, 100, 100], &[(0, 45), (0, 45), (1, 40)], rules, 0.5, false);
        assert_eq!((at[0].min(at[1]), at[0].max(at[1]), at[2]), (0, 1, 2));
    }

    #[test]
    fn what_shares_with_no_others_changes_places_with_all_of_a_host() {
        let rules = r#"{"name": "alone", "lonely": {"vms": ["v3"]}}"#;
        let (at, _) = evened(&[100, 200], &[(0, 30), (0, 30), (0, 30), (1, 10)], rules, 0.5, false);
        assert_eq!(at, [1, 1, 1, 0]);
    }

    #[test]
    fn what_must_be_together_goes_together() {
        let rules = r#"{"name": "pair", "gather": {"vms": ["v0", "v1"]}}"#;
        let (at, _) = evened(&[100, 100], &[(0, 30), (0, 30), (0, 30)], rules, 0.6, false);
        assert!(at[0] == at[1] && at[0] != at[2], "{at:?}");
    }
}
