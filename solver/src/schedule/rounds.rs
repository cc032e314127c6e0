//! One migration at a time through each port, each at full speed, in rounds.
//!
//! VMs that make pages dirty send the less the faster they go, so that to share a port costs time. One after the other,
//! a list finds at each end of a migration ports that are free at one of two ends only, and some ports are idle for
//! long. In rounds they are not: migrations are the edges of a graph between ports out and ports in, and as many colours
//! as the busiest port has migrations are enough to give those of each port different ones (D. Kőnig, 1916: the edges
//! of a bipartite graph have such a colouring, which is found by swapping two colours along a path). By induction a
//! migration of round k begins when k times the longest one has passed at the latest; where all last as long at the
//! busiest port, nothing is shorter.

use super::ground::{Ground, Hop};
use super::network::{alone, hop_s};
use std::collections::BTreeMap;

/// Colours times ports that are kept.
const MOST_CELLS: usize = 4_000_000;
const NONE: u32 = u32::MAX;

/// Who has each colour at each port.
struct Colouring {
    colours: usize,
    /// By port and colour.
    edge_at: Vec<u32>,
    /// The ports of each edge, out and in.
    ends: Vec<[usize; 2]>,
    colour: Vec<usize>,
}

impl Colouring {
    fn new(ends: Vec<[usize; 2]>, ports: usize) -> Option<Self> {
        let mut degree = vec![0_usize; ports];
        ends.iter().flatten().for_each(|port| degree[*port] += 1);
        let colours = degree.into_iter().max()?;
        let cells = ports.checked_mul(colours).filter(|cells| *cells <= MOST_CELLS)?;
        let (edge_at, colour) = (vec![NONE; cells], vec![0; ends.len()]);
        let mut colouring = Self { colours, edge_at, ends, colour };
        for edge in 0..colouring.ends.len() {
            colouring.add(edge);
        }
        Some(colouring)
    }

    fn at(&mut self, port: usize, colour: usize) -> &mut u32 {
        &mut self.edge_at[port * self.colours + colour]
    }

    /// The first colour that no edge of a port has; there is one, as each has fewer coloured edges than there are colours.
    fn free(&self, port: usize) -> usize {
        let own = &self.edge_at[port * self.colours..(port + 1) * self.colours];
        own.iter().position(|edge| *edge == NONE).unwrap_or_default()
    }

    /// Gives an edge a colour that is free at both of its ports.
    fn add(&mut self, edge: usize) {
        let [from, to] = self.ends[edge];
        let (mine, other) = (self.free(from), self.free(to));
        if *self.at(to, mine) != NONE {
            self.swap(to, mine, other);
        }
        self.give(edge, mine);
    }

    fn give(&mut self, edge: usize, colour: usize) {
        self.colour[edge] = colour;
        for port in self.ends[edge] {
            *self.at(port, colour) = edge as u32;
        }
    }

    /// Swaps two colours along the path that leaves a port by an edge of the first, so that the first is free there; the
    /// second is.
    fn swap(&mut self, port: usize, first: usize, second: usize) {
        let (mut path, mut at, mut colour) = (Vec::new(), port, first);
        loop {
            let edge = *self.at(at, colour);
            if edge == NONE {
                break;
            }
            path.push(edge as usize);
            let [from, to] = self.ends[edge as usize];
            at = if from == at { to } else { from };
            colour = if colour == first { second } else { first };
        }
        for edge in &path {
            let old = self.colour[*edge];
            for port in self.ends[*edge] {
                *self.at(port, old) = NONE;
            }
        }
        for edge in path {
            let new = if self.colour[edge] == first { second } else { first };
            self.give(edge, new);
        }
    }
}

/// The last hops of all VMs at their full speeds, round by round; those to hosts that are still to be booted come after
/// the others. `None` where VMs are started, or must end together, or there are too many.
pub(super) fn hops(ground: &Ground<'_>) -> Option<Vec<(Hop, f64)>> {
    if !ground.gang_of.is_empty() {
        return None;
    }
    let problem = ground.problem;
    let mut hops = Vec::new();
    for vm in ground.movers() {
        let hop = ground.last_hop(vm, &ground.start)?;
        let rate = alone(problem, hop);
        hop.from?;
        hops.push((hop, rate, hop_s(problem, hop, rate)));
    }
    // The longest first, so that those of the first rounds are of a kind.
    hops.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.vm.cmp(&b.0.vm)));
    let mut ports: BTreeMap<(usize, bool), usize> = BTreeMap::new();
    let mut ends = Vec::with_capacity(hops.len());
    for (hop, ..) in &hops {
        let from = hop.from?.host.index();
        let two = [(from, false), (hop.to.host.index(), true)];
        ends.push(two.map(|port| {
            let next = ports.len();
            *ports.entry(port).or_insert(next)
        }));
    }
    let colouring = Colouring::new(ends, ports.len())?;
    let late = |hop: &Hop| problem.boots(hop.to.host);
    let mut order: Vec<usize> = (0..hops.len()).collect();
    order.sort_by_key(|i| (late(&hops[*i].0), colouring.colour[*i], *i));
    Some(order.into_iter().map(|i| (hops[i].0, hops[i].1)).collect())
}

#[cfg(test)]
mod tests {
    use super::Colouring;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn no_port_has_a_colour_twice_and_no_more_are_used_than_needed(
            edges in prop::collection::vec((0..9_usize, 0..9_usize), 1..60),
        ) {
            let ends: Vec<[usize; 2]> = edges.iter().map(|(from, to)| [*from, 9 + *to]).collect();
            let colouring = Colouring::new(ends.clone(), 18).unwrap();
            let most = (0..18).map(|port| ends.iter().flatten().filter(|end| **end == port).count()).max().unwrap();
            prop_assert_eq!(colouring.colours, most);
            let mut seen = BTreeSet::new();
            for (ends, colour) in ends.iter().zip(&colouring.colour) {
                prop_assert!(*colour < most);
                for port in ends {
                    prop_assert!(seen.insert((*port, *colour)), "{port} has {colour} twice");
                }
            }
        }
    }
}
