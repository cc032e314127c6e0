//! Links that transfers share, each as fairly as possible: max–min fairness by progressive filling (Bertsekas and Gallager,
//! Data Networks, 1992, section 6.5.2).
//!
//! A change of one transfer touches only those that share a link with it, directly or through others, and of the links only
//! those that could be full: where all transfers of a link run at their own limit and it is not full, it binds nobody.

/// What a flow goes over: at most an up-link, two links of sites, a backbone and a down-link.
const LONGEST_PATH: usize = 5;

/// A transfer under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    path: [u32; LONGEST_PATH],
    length: u8,
    /// Bytes a second at most, whatever the links give.
    limit: f64,
    /// Bytes a second that it has.
    pub(super) rate: f64,
}

impl Flow {
    fn links(&self) -> &[u32] {
        &self.path[..usize::from(self.length)]
    }
}

/// Links and the flows on them.
#[derive(Debug, Clone)]
pub(super) struct Network {
    capacity: Vec<f64>,
    on_link: Vec<Vec<u32>>,
    flows: Vec<Flow>,
    /// Stamps of the last round in which a link or a flow was looked at.
    link_seen: Vec<u32>,
    flow_seen: Vec<u32>,
    round: u32,
    // Room that is used again and again.
    near_links: Vec<u32>,
    near_flows: Vec<u32>,
    open: Vec<u32>,
}

impl Network {
    /// Links with what each carries, bytes a second.
    pub(super) fn new(capacity: Vec<f64>) -> Self {
        let links = capacity.len();
        Self {
            capacity,
            on_link: vec![Vec::new(); links],
            flows: Vec::new(),
            link_seen: vec![0; links],
            flow_seen: Vec::new(),
            round: 0,
            near_links: Vec::new(),
            near_flows: Vec::new(),
            open: Vec::new(),
        }
    }

    pub(super) fn flow(&self, flow: u32) -> &Flow {
        &self.flows[flow as usize]
    }

    /// Begins flow `flow` (a number that no other flow has) and shares anew. Whose rate may have changed is in [`Self::touched`].
    pub(super) fn add(&mut self, flow: u32, path: &[u32], limit: f64) {
        let at = flow as usize;
        if self.flows.len() <= at {
            let none = Flow { path: [0; LONGEST_PATH], length: 0, limit: 0.0, rate: 0.0 };
            self.flows.resize(at + 1, none);
            self.flow_seen.resize(at + 1, 0);
        }
        let mut own = [0; LONGEST_PATH];
        own[..path.len()].copy_from_slice(path);
        self.flows[at] = Flow { path: own, length: path.len() as u8, limit, rate: 0.0 };
        for link in path {
            self.on_link[*link as usize].push(flow);
        }
        self.round += 1;
        self.flow_seen[at] = self.round;
        self.near_flows.clear();
        self.near_flows.push(flow);
        self.near_links.clear();
        self.gather();
        self.share();
    }

    /// Ends a flow and shares anew.
    pub(super) fn remove(&mut self, flow: u32) {
        let old = self.flows[flow as usize];
        self.round += 1;
        self.near_flows.clear();
        self.near_links.clear();
        for link in old.links() {
            let on = &mut self.on_link[*link as usize];
            let at = on.iter().position(|other| *other == flow).unwrap_or_default();
            on.swap_remove(at);
            self.link_seen[*link as usize] = self.round;
            // It may have been full until now.
            self.near_links.push(*link);
        }
        self.gather();
        self.share();
    }

    /// Flows that the last change may have touched.
    pub(super) fn touched(&self) -> &[u32] {
        &self.near_flows
    }

    fn could_be_full(&self, link: u32) -> bool {
        let wanted: f64 =
            self.on_link[link as usize].iter().map(|flow| self.flows[*flow as usize].limit).sum();
        wanted > self.capacity[link as usize]
    }

    /// All that hangs together with the flows and links that are near already.
    fn gather(&mut self) {
        let (mut flow, mut link) = (0, 0);
        loop {
            if link < self.near_links.len() {
                let on = &self.on_link[self.near_links[link] as usize];
                for flow in on {
                    if self.flow_seen[*flow as usize] != self.round {
                        self.flow_seen[*flow as usize] = self.round;
                        self.near_flows.push(*flow);
                    }
                }
                link += 1;
            } else if flow < self.near_flows.len() {
                let Flow { path, length, .. } = self.flows[self.near_flows[flow] as usize];
                for next in &path[..usize::from(length)] {
                    if self.link_seen[*next as usize] != self.round && self.could_be_full(*next) {
                        self.link_seen[*next as usize] = self.round;
                        self.near_links.push(*next);
                    }
                }
                flow += 1;
            } else {
                break;
            }
        }
    }

    /// Fills: the link with the least share for each of its flows settles them, and so on.
    fn share(&mut self) {
        let mut open = std::mem::take(&mut self.open);
        open.clear();
        open.extend_from_slice(&self.near_flows);
        for flow in &open {
            self.flows[*flow as usize].rate = -1.0;
        }
        while !open.is_empty() {
            let tightest =
                open.iter().map(|flow| self.flows[*flow as usize].limit).fold(f64::INFINITY, f64::min);
            let (mut least, mut binding) = (tightest, None);
            for link in &self.near_links {
                let (mut left, mut waiting) = (self.capacity[*link as usize], 0_u32);
                for flow in &self.on_link[*link as usize] {
                    let rate = self.flows[*flow as usize].rate;
                    if rate < 0.0 {
                        waiting += 1;
                    } else {
                        left -= rate;
                    }
                }
                let share = left.max(0.0) / f64::from(waiting);
                if waiting > 0 && share < least {
                    (least, binding) = (share, Some(*link));
                }
            }
            open.retain(|flow| {
                let flow = &mut self.flows[*flow as usize];
                let settled = match binding {
                    Some(link) => flow.links().contains(&link),
                    None => flow.limit <= least,
                };
                if settled {
                    flow.rate = least;
                }
                !settled
            });
        }
        self.open = open;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::random::Random;

    #[test]
    fn who_shares_a_link_shares_it_fairly() {
        let mut network = Network::new(vec![100.0, 100.0, 30.0, 1000.0]);
        network.add(0, &[0, 3], 90.0);
        assert_eq!(network.flow(0).rate, 90.0);
        network.add(1, &[0, 2], 90.0);
        // The other has what the narrow link leaves.
        assert_eq!((network.flow(0).rate, network.flow(1).rate), (70.0, 30.0));
        network.add(2, &[1, 2], 90.0);
        assert_eq!((network.flow(0).rate, network.flow(1).rate, network.flow(2).rate), (85.0, 15.0, 15.0));
        network.remove(1);
        assert_eq!((network.flow(0).rate, network.flow(2).rate), (90.0, 30.0));
        assert_eq!(network.touched(), [0, 2]);
    }

    /// No flow could have more without another that has no more having less: of each flow, some link is full where
    /// nobody has more, or it runs at its limit.
    #[test]
    fn shares_are_max_min_fair_whatever_comes_and_goes() {
        let mut random = Random::new(3, 0);
        let capacity: Vec<f64> = (0..12).map(|_| 50.0 + f64::from(random.below(100))).collect();
        let mut network = Network::new(capacity.clone());
        let mut alive: Vec<u32> = Vec::new();
        for round in 0..2000_u32 {
            let free = (0..40).find(|flow| !alive.contains(flow));
            if let Some(flow) = free.filter(|_| alive.is_empty() || random.happens(0.52)) {
                let first = random.below(12);
                let second = (first + 1 + random.below(11)) % 12;
                network.add(flow, &[first, second], 5.0 + f64::from(random.below(60)));
                alive.push(flow);
            } else {
                let at = random.below(alive.len() as u32) as usize;
                network.remove(alive.swap_remove(at));
            }
            let used = |link: u32| -> f64 {
                network.on_link[link as usize].iter().map(|flow| network.flow(*flow).rate).sum()
            };
            for link in 0..12 {
                assert!(used(link) <= capacity[link as usize] + 1e-9, "round {round}: link {link} is over");
            }
            for flow in &alive {
                let flow = network.flow(*flow);
                let at_limit = flow.rate >= flow.limit - 1e-9;
                let bound = flow.links().iter().any(|link| {
                    let on = &network.on_link[*link as usize];
                    used(*link) >= capacity[*link as usize] - 1e-9
                        && on.iter().all(|other| network.flow(*other).rate <= flow.rate + 1e-9)
                });
                assert!(at_limit || bound, "round {round}: {flow:?} could have more");
            }
        }
    }
}
