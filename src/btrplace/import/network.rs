//! The network view: what binds besides the links of the nodes decides how much of it is said.

use super::super::format::{Link, Network as View, Switch as ViewSwitch, UNLIMITED};
use super::super::gaps::Collector;
use super::elements::Elements;
use dvms_solver::file::{Link as FileLink, Network, Switch};
use std::collections::{BTreeMap, BTreeSet};

/// BtrPlace makes megabytes of megabits with nine bits a byte.
pub(in super::super) const BITS_PER_BYTE: f64 = 9.0;

/// What transfers are bound by, in MiB/s.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Node → its link.
    pub(super) access: BTreeMap<i64, f64>,
    /// One switch that all transfers cross.
    pub(super) backbone: Option<f64>,
    /// All of it, where links between switches or single switches bind, too.
    pub(super) network: Option<Network>,
}

fn speed(capacity: i64) -> f64 {
    // To six digits, as files are to be read by people.
    (capacity as f64 / BITS_PER_BYTE * 1e6).round() / 1e6
}

fn blocks(switch: &ViewSwitch) -> bool {
    switch.capacity != -1 && switch.capacity != UNLIMITED
}

impl Paths {
    pub(super) fn new(view: &View, path: &str, elements: &Elements, gaps: &mut Collector<'_>) -> Self {
        if let Some(routing) = view.routing.as_ref().filter(|routing| routing.kind != "default") {
            let message = format!("{} routes are given by hand", routing.routes.len());
            gaps.cannot("routing", format!("{path}.routing"), message);
        }
        let (mut access, mut wires): (BTreeMap<i64, Vec<&Link>>, Vec<&Link>) = (BTreeMap::new(), Vec::new());
        for link in &view.links {
            match link.physical_element.kind.as_str() {
                "node" => access.entry(link.physical_element.id).or_default().push(link),
                _ => wires.push(link),
            }
        }
        for node in elements.nodes.keys() {
            let count = access.get(node).map_or(0, Vec::len);
            if count != 1 {
                gaps.cannot(
                    "node-links",
                    format!("{path}.links"),
                    format!("node {node} has {count} links, not one"),
                );
            }
        }
        let first = |(node, links): (&i64, &Vec<&Link>)| (*node, speed(links[0].capacity));
        let mut paths = Self { access: access.iter().map(first).collect(), ..Self::default() };
        let total = access.values().fold(0_i64, |sum, links| sum.saturating_add(links[0].capacity));
        let mut behind: BTreeMap<i64, i64> = BTreeMap::new();
        for links in access.values() {
            let sum = behind.entry(links[0].switch).or_default();
            *sum = sum.saturating_add(links[0].capacity);
        }
        match view.switches.as_slice() {
            [switch] if wires.is_empty() => {
                let binds = blocks(switch) && switch.capacity < total;
                paths.backbone = binds.then(|| speed(switch.capacity));
            }
            switches => {
                let tree = wires.len() + 1 == switches.len();
                let narrow = |wire: &&&Link| {
                    let behind = side(wire, &wires).into_iter().filter_map(|switch| behind.get(&switch));
                    let near = behind.fold(0_i64, |sum, capacity| sum.saturating_add(*capacity));
                    wire.capacity < near.min(total.saturating_sub(near))
                };
                let slow = |switch: &&ViewSwitch| blocks(switch) && switch.capacity < total;
                if !tree || wires.iter().any(|wire| narrow(&wire)) || switches.iter().any(|s| slow(&s)) {
                    paths.network = Some(whole(view, elements));
                }
            }
        }
        paths
    }
}

/// The switches that are at the near end of a wire when it is cut; of a tree.
fn side(cut: &Link, wires: &[&Link]) -> BTreeSet<i64> {
    let mut side = BTreeSet::from([cut.switch]);
    let mut todo = vec![cut.switch];
    while let Some(at) = todo.pop() {
        for wire in wires.iter().filter(|wire| wire.id != cut.id) {
            let (a, b) = (wire.switch, wire.physical_element.id);
            let other = if a == at { b } else { a };
            if (a == at || b == at) && side.insert(other) {
                todo.push(other);
            }
        }
    }
    side
}

/// All switches and links.
fn whole(view: &View, elements: &Elements) -> Network {
    let switch = |switch: &ViewSwitch| Switch {
        name: elements.switch(switch.id),
        bandwidth: blocks(switch).then(|| speed(switch.capacity)),
    };
    let link = |link: &Link| FileLink {
        name: format!("l{}", link.id),
        a: elements.switch(link.switch),
        b: match link.physical_element.kind.as_str() {
            "node" => elements.host(link.physical_element.id),
            _ => elements.switch(link.physical_element.id),
        },
        bandwidth: Some(speed(link.capacity)),
        ..FileLink::default()
    };
    Network {
        switches: view.switches.iter().map(switch).collect(),
        links: view.links.iter().map(link).collect(),
        ..Network::default()
    }
}
