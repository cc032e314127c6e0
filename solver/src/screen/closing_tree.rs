//! The best set of hosts to be kept, exactly where that takes few steps: at fixed prices each decision that is not the
//! best for its host costs something for certain, and only few decisions cost less than what is left to be gained.

use super::closing::Closing;

/// Steps after which the search is given up.
const MOST_STEPS: u32 = 150_000;
/// What decisions may cost at first, in means of all hosts.
const FIRST: f64 = 0.02;
/// Hosts that are open to decision, at most.
const MOST_OPEN: usize = 150;
/// Smaller shares of a mean host are none: more than sums over all hosts are wrong by.
const SMALL: f64 = 1e-7;

/// What a host is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Shared,
    Lone,
    Closed,
}

/// What becomes of a host, and what that costs beside the best for it.
#[derive(Debug, Clone, Copy)]
struct Way {
    loss: f64,
    kind: Kind,
}

pub(super) struct Tree<'c> {
    closing: &'c Closing,
    /// Hosts with their ways, the best first; those come first where the second best costs the most.
    hosts: Vec<(usize, Vec<Way>)>,
    /// Room of the hosts from each position on, all together and the largest.
    rest: Vec<Vec<[f64; 2]>>,
    start: Left,
    /// What is saved at most, at these prices.
    bound: f64,
    step: f64,
    /// What decisions may cost now.
    limit: f64,
    steps: u32,
    kinds: Vec<Kind>,
    /// The most that a set of hosts saves, as far as is known.
    saved: f64,
    /// The hosts of that set which VMs share, if it was found here.
    pub(super) kept: Option<Vec<usize>>,
}

/// What is still to be found.
#[derive(Clone)]
struct Left {
    hosts: usize,
    apart: usize,
    need: Vec<f64>,
    loss: f64,
    saved: f64,
}

fn regret(ways: &[Way]) -> f64 {
    ways.get(1).map_or(f64::INFINITY, |way| way.loss)
}

impl<'c> Tree<'c> {
    /// `saved` is what some set saves, if one is known; what others do differs from it by whole steps.
    pub(super) fn new(
        closing: &'c Closing,
        most: usize,
        need: &[f64],
        prices: &[f64],
        saved: Option<f64>,
        step: f64,
    ) -> Self {
        let width = closing.width;
        let gains = |i: usize| (closing.share_gain(i, prices), closing.lone[i] + prices[width]);
        let best = |i: usize| gains(i).0.max(gains(i).1);
        // The price of a host: what the first one gains that may not be kept.
        let mut all: Vec<f64> = (0..closing.held.len()).map(best).collect();
        all.sort_by(|a, b| b.total_cmp(a));
        let price = all.get(most).copied().unwrap_or(0.0);
        let mut bound = most as f64 * price - closing.apart as f64 * prices[width];
        bound -= need.iter().zip(prices).map(|(need, price)| need * price).sum::<f64>();
        let mut hosts: Vec<(usize, Vec<Way>)> = Vec::with_capacity(closing.held.len());
        for i in 0..closing.held.len() {
            let (shared, lone) = gains(i);
            let mut ways = vec![(shared - price, Kind::Shared), (lone - price, Kind::Lone)];
            if !closing.held[i] {
                ways.push((0.0, Kind::Closed));
            }
            ways.sort_by(|a, b| b.0.total_cmp(&a.0));
            let top = ways[0].0;
            bound += top;
            hosts.push((i, ways.into_iter().map(|(gain, kind)| Way { loss: top - gain, kind }).collect()));
        }
        hosts.sort_by(|a, b| regret(&b.1).total_cmp(&regret(&a.1)).then(a.0.cmp(&b.0)));
        let mut rest = vec![vec![[0.0; 2]; width]; hosts.len() + 1];
        for at in (0..hosts.len()).rev() {
            let more = rest[at + 1].iter().zip(closing.room(hosts[at].0));
            rest[at] = more.map(|([all, most], room)| [all + room, most.max(*room)]).collect();
        }
        Self {
            kinds: vec![Kind::Closed; hosts.len()],
            start: Left { hosts: most, apart: closing.apart, need: need.to_vec(), loss: 0.0, saved: 0.0 },
            saved: saved.unwrap_or(f64::NEG_INFINITY),
            limit: 0.0,
            steps: 0,
            kept: None,
            closing,
            hosts,
            rest,
            bound,
            step,
        }
    }

    /// What can be saved at most: all sets are looked at whose decisions cost no more than a limit, which grows.
    pub(super) fn search(&mut self) -> f64 {
        let mut proved = self.bound;
        let mut limit = FIRST;
        loop {
            self.limit = limit.min(self.gap());
            let open = self.hosts.partition_point(|(_, ways)| regret(ways) > self.limit);
            if self.hosts.len() - open > MOST_OPEN {
                break;
            }
            let mut left = Some(self.start.clone());
            for at in 0..open {
                let way = self.hosts[at].1[0];
                self.kinds[at] = way.kind;
                left = left.and_then(|left| self.after(&left, at, way));
            }
            if let Some(left) = left {
                self.descend(open, &left);
            }
            if self.steps > MOST_STEPS {
                break;
            }
            if self.limit >= self.gap() {
                return self.saved;
            }
            proved = self.bound - self.limit;
            limit *= 2.0;
        }
        proved.max(self.saved).min(self.bound)
    }

    /// What decisions cost at most in a set that saves more than is known.
    fn gap(&self) -> f64 {
        self.bound - self.saved - self.step + SMALL
    }

    /// What is left to be found when something becomes of the host at a position; `None` if nothing can.
    fn after(&self, left: &Left, at: usize, way: Way) -> Option<Left> {
        let i = self.hosts[at].0;
        let mut next = left.clone();
        next.loss += way.loss;
        match way.kind {
            Kind::Closed => {}
            Kind::Shared => {
                next.hosts = next.hosts.checked_sub(1)?;
                next.need.iter_mut().zip(self.closing.room(i)).for_each(|(need, room)| *need -= room);
                next.saved += self.closing.shared[i];
            }
            Kind::Lone => {
                next.hosts = next.hosts.checked_sub(1)?;
                next.apart = next.apart.saturating_sub(1);
                next.saved += self.closing.lone[i];
            }
        }
        Some(next)
    }

    fn descend(&mut self, at: usize, left: &Left) {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return;
        }
        let may = (left.hosts.min(self.hosts.len() - at)) as f64;
        let short = |(need, [all, most]): (&f64, &[f64; 2])| *need > all.min(may * most) + SMALL;
        if left.need.iter().zip(&self.rest[at]).any(short) || left.apart as f64 > may {
            return;
        }
        if at == self.hosts.len() {
            if left.saved > self.saved {
                self.saved = left.saved;
                let kept = self.hosts.iter().zip(&self.kinds).filter(|(_, kind)| **kind == Kind::Shared);
                self.kept = Some(kept.map(|((i, _), _)| *i).collect());
            }
            return;
        }
        for way in self.hosts[at].1.clone() {
            // What others save differs by a step.
            if left.loss + way.loss > self.limit.min(self.gap()) {
                return;
            }
            if let Some(next) = self.after(left, at, way) {
                self.kinds[at] = way.kind;
                self.descend(at + 1, &next);
            }
        }
    }
}
