//! What joins racks and sites with others, as switches and links of a problem, so that planned times know it.
//!
//! Each value of an uplink's label is a switch, joined with the one of the next coarser label, at last with a core, by a
//! link of the uplink's bandwidth. That is a tree as long as labels are nested (a rack is in one site); an
//! uplink of a label that is not, or that would make more switches than a problem may have, is left out here, and acts
//! when migrations begin only.

use super::capacity::Place;
use super::snapshot::is_of_name;
use crate::coordinator::settings::Uplink;
use dvms_solver::file::{Link, Network, Switch};
use dvms_solver::model::MOST_SWITCHES;
use std::collections::{BTreeMap, BTreeSet};

/// The switch in the middle.
const CORE: &str = "core";

/// A label, and the bandwidth that joins each of its values, in MiB/s.
type Level<'a> = (&'a str, f64);

/// The switches and links between hosts; `None` if no uplink has a bandwidth.
pub(super) fn network(places: &[Place<'_>], uplinks: &[Uplink]) -> Option<Network> {
    let levels = levels(places, uplinks);
    if levels.is_empty() {
        return None;
    }
    let mut names =
        Names { taken: places.iter().map(|place| place.name.to_owned()).collect(), of: BTreeMap::new() };
    let core = names.fresh(CORE);
    let mut network = Network { switches: vec![switch(&core)], ..Network::default() };
    for (label, bandwidth) in &levels {
        // In the order of the levels, so that the coarser switch is there before.
        let homes: BTreeMap<&str, &Place<'_>> =
            places.iter().filter_map(|place| Some((value(place, label)?, place))).collect();
        for (value, place) in homes {
            let above = names.above(place, &levels, label).unwrap_or_else(|| core.clone());
            let name = names.add(label, value);
            network.links.push(link(format!("{name}:uplink"), &name, &above, Some(*bandwidth)));
            network.switches.push(switch(&name));
        }
    }
    for place in places {
        let above = names.above(place, &levels, "").unwrap_or_else(|| core.clone());
        network.links.push(link(names.fresh(&format!("{}:port", place.name)), place.name, &above, None));
    }
    Some(network)
}

/// Labels with a bandwidth that are nested, coarse ones first.
fn levels<'a>(places: &[Place<'_>], uplinks: &'a [Uplink]) -> Vec<Level<'a>> {
    let mut bandwidths: BTreeMap<&str, f64> = BTreeMap::new();
    for uplink in uplinks {
        if let Some(bandwidth) = uplink.bandwidth_mib_s.filter(|bandwidth| bandwidth.is_finite()) {
            let least = bandwidths.entry(&uplink.label).or_insert(bandwidth);
            *least = least.min(bandwidth);
        }
    }
    let mut levels: Vec<Level<'a>> = bandwidths.into_iter().collect();
    let count =
        |label: &str| places.iter().filter_map(|place| value(place, label)).collect::<BTreeSet<_>>().len();
    levels.retain(|(label, _)| count(label) > 0);
    levels.sort_by_key(|(label, _)| count(label));
    let mut nested: Vec<Level<'a>> = Vec::new();
    // The core is one.
    let mut switches = 1;
    for level in levels {
        let more = count(level.0);
        if switches + more > MOST_SWITCHES {
            continue;
        }
        // All hosts with the same value have the same of what is coarser.
        let mut above: BTreeMap<&str, Vec<Option<&str>>> = BTreeMap::new();
        let fits =
            places.iter().filter_map(|place| Some((value(place, level.0)?, place))).all(|(own, place)| {
                let chain: Vec<_> = nested.iter().map(|(label, _)| value(place, label)).collect();
                *above.entry(own).or_insert_with(|| chain.clone()) == chain
            });
        if fits {
            switches += more;
            nested.push(level);
        }
    }
    nested
}

fn value<'p>(place: &'p Place<'_>, label: &str) -> Option<&'p str> {
    place.host.hello.labels.get(label).map(String::as_str)
}

/// Names of switches, as the contract allows them and unlike those of hosts.
struct Names {
    taken: BTreeSet<String>,
    /// By label and value.
    of: BTreeMap<(String, String), String>,
}

impl Names {
    fn fresh(&mut self, wanted: &str) -> String {
        let plain = |c: char| if is_of_name(c) { c } else { '_' };
        let mut name: String = wanted.chars().take(200).map(plain).collect();
        while !self.taken.insert(name.clone()) {
            name.push('.');
        }
        name
    }

    fn add(&mut self, label: &str, value: &str) -> String {
        let name = self.fresh(&format!("{label}:{value}"));
        self.of.insert((label.to_owned(), value.to_owned()), name.clone());
        name
    }

    /// The switch above a host's own value of a label; of no label, the one next to the host. `None` = the core.
    fn above(&self, place: &Place<'_>, levels: &[Level<'_>], label: &str) -> Option<String> {
        let coarser = levels.iter().map(|(coarser, _)| *coarser).take_while(|coarser| *coarser != label);
        let own = coarser.filter_map(|coarser| Some((coarser.to_owned(), value(place, coarser)?.to_owned())));
        own.last().and_then(|key| self.of.get(&key).cloned())
    }
}

fn switch(name: &str) -> Switch {
    Switch { name: name.to_owned(), bandwidth: None }
}

fn link(name: String, a: &str, b: &str, bandwidth: Option<f64>) -> Link {
    Link { name, a: a.to_owned(), b: b.to_owned(), bandwidth, ..Link::default() }
}
