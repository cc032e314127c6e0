//! The heaviest choice of arrivals, where an arrival brings departures with it.
//!
//! Each arrival adds its weight and requires a set of departures, each of which takes its weight off,
//! once, however many arrivals require it. The choice with the greatest sum is a maximum closure, found
//! exactly by a minimum cut (J.-C. Picard, Management Science 22(11), 1976): the value of the cut is what
//! must be given up of all arrivals. The flow is Dinic's.

use std::collections::VecDeque;

/// Arrivals (weight and the departures required), departures (weight).
#[derive(Debug, Clone, Default)]
pub(super) struct Choice {
    pub(super) arrivals: Vec<(i64, Vec<usize>)>,
    pub(super) departures: Vec<i64>,
}

struct Edge {
    to: usize,
    left: i64,
}

struct Flow {
    edges: Vec<Edge>,
    of: Vec<Vec<usize>>,
    level: Vec<usize>,
    next: Vec<usize>,
}

const FAR: usize = usize::MAX;

impl Choice {
    /// The greatest sum and the arrivals that make it. Nothing chosen has the sum 0.
    pub(super) fn heaviest(&self) -> (i64, Vec<usize>) {
        let (arrivals, departures) = (self.arrivals.len(), self.departures.len());
        let (source, sink) = (arrivals + departures, arrivals + departures + 1);
        let mut flow =
            Flow { edges: Vec::new(), of: vec![Vec::new(); sink + 1], level: Vec::new(), next: Vec::new() };
        let mut sum = 0;
        for (a, (weight, required)) in self.arrivals.iter().enumerate() {
            sum += weight;
            flow.connect(source, a, *weight);
            for d in required {
                flow.connect(a, arrivals + d, i64::MAX / 4);
            }
        }
        for (d, weight) in self.departures.iter().enumerate() {
            flow.connect(arrivals + d, sink, *weight);
        }
        while flow.find_levels(source, sink) {
            loop {
                let pushed = flow.push(source, sink, i64::MAX / 4);
                if pushed == 0 {
                    break;
                }
                sum -= pushed;
            }
        }
        // What the source still reaches lies on its side of the cut: it is chosen.
        (sum, (0..arrivals).filter(|a| flow.level[*a] != FAR).collect())
    }
}

impl Flow {
    fn connect(&mut self, from: usize, to: usize, left: i64) {
        self.of[from].push(self.edges.len());
        self.edges.push(Edge { to, left });
        self.of[to].push(self.edges.len());
        self.edges.push(Edge { to: from, left: 0 });
    }

    fn find_levels(&mut self, source: usize, sink: usize) -> bool {
        self.level = vec![FAR; self.of.len()];
        self.next = vec![0; self.of.len()];
        self.level[source] = 0;
        let mut queue = VecDeque::from([source]);
        while let Some(node) = queue.pop_front() {
            for &edge in &self.of[node] {
                let Edge { to, left } = self.edges[edge];
                if left > 0 && self.level[to] == FAR {
                    self.level[to] = self.level[node] + 1;
                    queue.push_back(to);
                }
            }
        }
        self.level[sink] != FAR
    }

    /// One path of a blocking flow. Paths have at most two hops per arrival, so recursion is no danger
    /// at the sizes of one pool.
    fn push(&mut self, node: usize, sink: usize, most: i64) -> i64 {
        if node == sink {
            return most;
        }
        while self.next[node] < self.of[node].len() {
            let edge = self.of[node][self.next[node]];
            let Edge { to, left } = self.edges[edge];
            if left > 0 && self.level[to] == self.level[node] + 1 {
                let pushed = self.push(to, sink, most.min(left));
                if pushed > 0 {
                    self.edges[edge].left -= pushed;
                    self.edges[edge ^ 1].left += pushed;
                    return pushed;
                }
            }
            self.next[node] += 1;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::Choice;

    fn brute_force(choice: &Choice) -> i64 {
        (0..1_u32 << choice.arrivals.len())
            .map(|set| {
                let chosen = choice.arrivals.iter().enumerate().filter(|(a, _)| set >> a & 1 == 1);
                let required: std::collections::BTreeSet<usize> =
                    chosen.clone().flat_map(|(_, (_, required))| required.iter().copied()).collect();
                let cost: i64 = required.iter().map(|d| choice.departures[*d]).sum();
                chosen.map(|(_, (weight, _))| weight).sum::<i64>() - cost
            })
            .max()
            .unwrap()
    }

    #[test]
    fn the_cut_finds_what_trying_all_choices_finds() {
        let mut state = 7_u64;
        let mut random = move |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % most
        };
        for _ in 0..500 {
            let departures: Vec<i64> = (0..random(7)).map(|_| random(10) as i64).collect();
            let count = departures.len();
            let arrivals = (0..random(8))
                .map(|_| (random(12) as i64, (0..count).filter(|_| random(3) == 0).collect()))
                .collect();
            let choice = Choice { arrivals, departures };
            let (sum, chosen) = choice.heaviest();
            assert_eq!(sum, brute_force(&choice), "{choice:?}");
            let only = Choice {
                arrivals: chosen.iter().map(|a| choice.arrivals[*a].clone()).collect(),
                departures: choice.departures.clone(),
            };
            assert_eq!(only.heaviest().0, sum, "the chosen arrivals make the sum: {choice:?}");
        }
    }
}
