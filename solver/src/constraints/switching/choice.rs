//! How many hosts of each class are up, of those that run nothing: what costs least.
//!
//! Few rules over few classes: the choice is exact, unless it takes too many steps. Then it is what a descent has
//! found. Nothing is proved by it either way.

use crate::constraints::counts::number;
use crate::model::{Objective, Problem};

/// Levels of the objective that depend on states of hosts.
pub(super) const LEVELS: usize = 4;

/// Steps after which a choice is not looked for any further.
const MOST_STEPS: u32 = 4_000;

/// What a rule asks of the number of its hosts that count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    pub(super) bound: i64,
    /// Else it is at least the bound.
    pub(super) at_most: bool,
    /// `None` = hard.
    pub(super) weight: Option<f64>,
}

impl Demand {
    pub(super) fn allows(&self, count: i64) -> bool {
        self.missing(count) == 0
    }

    /// By how many hosts it is missed.
    fn missing(&self, count: i64) -> i64 {
        if self.at_most { (count - self.bound).max(0) } else { (self.bound - count).max(0) }
    }
}

/// The levels that depend on states of hosts, in their order. Soft rules count last if they are no level.
pub(super) fn levels(problem: &Problem) -> impl Iterator<Item = Objective> + '_ {
    use Objective::{Energy, Fragments, Imbalance, Violations};
    let counts = |level: &&Objective| matches!(level, Violations | Energy | Imbalance | Fragments);
    let listed = problem.objectives.iter().filter(counts).copied();
    let missing = !problem.objectives.contains(&Violations);
    listed.chain(missing.then_some(Violations))
}

/// Compared part by part: hard rules that do not hold, the levels, how much is switched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Price([f64; LEVELS + 2]);

impl Price {
    const NONE: Self = Self([0.0; LEVELS + 2]);

    pub(super) fn new(levels: [f64; LEVELS], switched: f64) -> Self {
        let mut price = Self::NONE;
        price.0[1..=LEVELS].copy_from_slice(&levels);
        price.0[LEVELS + 1] = switched;
        price
    }

    fn plus(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a += b);
        self
    }

    fn is_below(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        pairs.map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).is_some_and(std::cmp::Ordering::is_lt)
    }
}

/// The empty hosts of a class.
#[derive(Debug)]
struct Empty<'g> {
    most: &'g [usize],
    least: &'g [usize],
    /// How many there are, and how many are up if no rule asks.
    all: usize,
    stay_up: usize,
    /// What it costs that so many are up.
    prices: Vec<Price>,
}

/// What there is to choose.
#[derive(Debug)]
pub(super) struct Choice<'g> {
    demands: Vec<Demand>,
    /// Where the soft weights are in a price.
    violations: usize,
    /// What counts for each demand already.
    counts: Vec<i64>,
    classes: Vec<Empty<'g>>,
}

/// What was chosen.
#[derive(Debug, PartialEq)]
pub(super) struct Solved {
    /// How many are up of the empty hosts of each class.
    pub(super) up: Vec<usize>,
    /// What then counts for each demand.
    pub(super) counts: Vec<i64>,
}

impl<'g> Choice<'g> {
    /// `violations`: the position of the soft weights among the [`levels`].
    pub(super) fn new(demands: Vec<Demand>, violations: usize) -> Self {
        let counts = vec![0; demands.len()];
        Self { demands, violations: violations + 1, counts, classes: Vec::new() }
    }

    /// A host runs VMs, and so is up.
    pub(super) fn count(&mut self, most: &[usize]) {
        for rule in most {
            self.counts[*rule] += 1;
        }
    }

    /// Empty hosts of a class: whether each is up if no rule asks, those first, and what it costs if it is not so.
    pub(super) fn add(&mut self, most: &'g [usize], least: &'g [usize], hosts: &[(bool, Price)]) {
        let stay_up = hosts.iter().filter(|(stays_up, _)| *stays_up).count();
        let mut prices = vec![Price::NONE; hosts.len() + 1];
        for up in (0..stay_up).rev() {
            prices[up] = prices[up + 1].plus(&hosts[up].1);
        }
        for up in stay_up..hosts.len() {
            prices[up + 1] = prices[up].plus(&hosts[up].1);
        }
        self.classes.push(Empty { most, least, all: hosts.len(), stay_up, prices });
    }

    /// The cheapest choice, as far as it can be found.
    pub(super) fn solve(&self) -> Solved {
        let base: Vec<usize> = self.classes.iter().map(|class| class.stay_up).collect();
        let counts = self.counts_with(&base);
        if self.demands.iter().zip(&counts).all(|(demand, count)| demand.allows(*count)) {
            return Solved { up: base, counts };
        }
        let mut best = base.clone();
        let mut least = self.price(&base);
        let mut take = |up: Vec<usize>| {
            let price = self.price(&up);
            if price.is_below(&least) {
                (best, least) = (up, price);
            }
        };
        // As if all rules were hard, as if only those were that are, and as it is from there.
        let all = self.descend(base.clone(), &|up| self.missing(up, true));
        let hard = self.descend(base.clone(), &|up| self.missing(up, false));
        for from in [base, all, hard] {
            take(self.descend(from.clone(), &|up| self.price(up)));
            take(from);
        }
        let mut search = Search { choice: self, best, least, steps: 0 };
        let mut up = vec![0; self.classes.len()];
        search.descend(0, &mut up, &mut self.counts.clone(), Price::NONE);
        let counts = self.counts_with(&search.best);
        Solved { up: search.best, counts }
    }

    fn counts_with(&self, up: &[usize]) -> Vec<i64> {
        let mut counts = self.counts.clone();
        for (class, up) in self.classes.iter().zip(up) {
            for rule in class.most.iter().chain(class.least) {
                counts[*rule] += number(*up);
            }
        }
        counts
    }

    fn price(&self, up: &[usize]) -> Price {
        let counts = self.counts_with(up);
        let all = self.demands.iter().zip(&counts);
        let broken = all.filter(|(demand, count)| !demand.allows(**count)).map(|(demand, _)| demand);
        let prices = self.classes.iter().zip(up).map(|(class, up)| &class.prices[*up]);
        prices.fold(self.weigh(broken), Price::plus)
    }

    /// What rules cost that do not hold.
    fn weigh<'d>(&self, broken: impl Iterator<Item = &'d Demand>) -> Price {
        let mut price = Price::NONE;
        for demand in broken {
            match demand.weight {
                None => price.0[0] += 1.0,
                Some(weight) => price.0[self.violations] += weight,
            }
        }
        price
    }

    /// Hosts by which rules are missed, then what it costs.
    fn missing(&self, up: &[usize], soft: bool) -> Price {
        let mut price = self.price(up);
        let counts = self.counts_with(up);
        let all = self.demands.iter().zip(&counts).filter(|(demand, _)| soft || demand.weight.is_none());
        price.0[0] = all.map(|(demand, count)| demand.missing(*count)).sum::<i64>() as f64;
        price
    }

    /// Takes steps for as long as they make something less: some hosts of one class more or less, or of one more
    /// and of another less.
    fn descend(&self, mut up: Vec<usize>, key: &dyn Fn(&[usize]) -> Price) -> Vec<usize> {
        let mut least = key(&up);
        // Each step makes a whole number less, or the price.
        for _ in 0..64 {
            let counts = self.counts_with(&up);
            let mut sizes: Vec<i64> = self.demands.iter().zip(&counts).map(|(d, c)| d.missing(*c)).collect();
            sizes.push(1);
            sizes.sort_unstable();
            sizes.dedup();
            let mut best: Option<(Price, Vec<usize>)> = None;
            let mut look = |next: Vec<usize>| {
                let price = key(&next);
                if price.is_below(best.as_ref().map_or(&least, |(price, _)| price)) {
                    best = Some((price, next));
                }
            };
            let moved = |up: &[usize], class: usize, by: i64| {
                let to = (number(up[class]) + by).clamp(0, number(self.classes[class].all)) as usize;
                let mut next = up.to_vec();
                next[class] = to;
                next
            };
            for size in sizes.into_iter().filter(|size| *size > 0) {
                for class in 0..up.len() {
                    for by in [-size, size] {
                        let next = moved(&up, class, by);
                        let given = number(up[class]) - number(next[class]);
                        let others = (0..up.len()).filter(|other| *other != class && given > 0);
                        others.for_each(|other| look(moved(&next, other, given)));
                        look(next);
                    }
                }
            }
            let Some((price, next)) = best else { break };
            (least, up) = (price, next);
        }
        up
    }
}

/// A search over all choices that may be better than the best.
struct Search<'c, 'g> {
    choice: &'c Choice<'g>,
    best: Vec<usize>,
    least: Price,
    steps: u32,
}

impl Search<'_, '_> {
    /// Chooses for one class after the other; `paid` is the price of those before.
    fn descend(&mut self, class: usize, up: &mut Vec<usize>, counts: &mut Vec<i64>, paid: Price) {
        self.steps += 1;
        if self.steps > MOST_STEPS || !paid.plus(&self.lost(class, counts)).is_below(&self.least) {
            return;
        }
        let Some(known) = self.choice.classes.get(class) else {
            // Here what is lost is all that is.
            (self.best, self.least) = (up.clone(), paid.plus(&self.lost(class, counts)));
            return;
        };
        // From how it would be without rules outwards: the price only grows.
        let down = (0..=known.stay_up).rev();
        let more = known.stay_up + 1..=known.all;
        for side in [down.collect::<Vec<_>>(), more.collect()] {
            for chosen in side {
                let paid = paid.plus(&known.prices[chosen]);
                if self.steps > MOST_STEPS || !paid.is_below(&self.least) {
                    break;
                }
                let add = |counts: &mut Vec<i64>, sign: i64| {
                    let rules = known.most.iter().chain(known.least);
                    rules.for_each(|rule| counts[*rule] += sign * number(chosen));
                };
                add(counts, 1);
                up[class] = chosen;
                self.descend(class + 1, up, counts, paid);
                add(counts, -1);
            }
        }
    }

    /// What rules cost that cannot hold any more, whatever is chosen for the classes from this one on.
    fn lost(&self, class: usize, counts: &[i64]) -> Price {
        let choice = self.choice;
        let rest = &choice.classes[class..];
        let all = choice.demands.iter().zip(counts).enumerate();
        let lost = all.filter(|(i, (demand, count))| {
            let still = || rest.iter().filter(|class| class.least.contains(i)).map(|class| number(class.all));
            let more = if demand.at_most { 0 } else { still().sum::<i64>() };
            !demand.allows(**count + more)
        });
        choice.weigh(lost.map(|(_, (demand, _))| demand))
    }
}
