//! Paths and what is shared on them.

use super::super::{HostId, Problem};
use super::{Channel, Topology};
use crate::check::Links;
use crate::file;
use proptest::prelude::*;
use serde_json::{Value, json};

fn link(name: &str, a: &str, b: &str, bandwidth: f64) -> Value {
    json!({"name": name, "a": a, "b": b, "bandwidth": bandwidth})
}

#[allow(clippy::needless_pass_by_value, reason = "files are written where they are used")]
fn file(hosts: &[&str], network: Value) -> file::Problem {
    let hosts: Vec<Value> = hosts.iter().map(|name| json!({"name": name, "capacity": {"cpu": 1}})).collect();
    let text = json!({"hosts": hosts, "network": network}).to_string();
    file::Problem::from_json(&text).unwrap()
}

fn topology(hosts: &[&str], network: Value) -> Topology {
    Problem::new(&file(hosts, network)).unwrap().topology
}

fn words(channel: &Channel) -> String {
    match &channel.from {
        Some(from) => format!("{} from {from}", channel.name),
        None => channel.name.clone(),
    }
}

/// What a transfer uses.
fn uses(topology: &Topology, from: usize, to: usize) -> Option<Vec<String>> {
    let channels = topology.channels_between(HostId::from(from), HostId::from(to))?;
    Some(channels.iter().map(|channel| words(&topology.channels[*channel as usize])).collect())
}

/// Two leaves under a core that carries 700 MiB/s.
fn tree() -> Value {
    json!({
        "switches": [{"name": "leaf1"}, {"name": "leaf2", "bandwidth": 900.0}, {"name": "core", "bandwidth": 700.0}],
        "links": [
            link("1", "a", "leaf1", 1000.0), link("2", "leaf1", "b", 1000.0), link("3", "c", "leaf2", 1000.0),
            link("up1", "leaf1", "core", 400.0), link("up2", "core", "leaf2", 500.0),
        ],
    })
}

#[test]
fn over_links_with_a_latency_one_transfer_has_a_window_for_each_round_trip() {
    let far = |name: &str, a: &str, b: &str, ms: f64| json!({"name": name, "a": a, "b": b, "latency_ms": ms});
    let network = json!({
        "switches": [{"name": "east"}, {"name": "west"}],
        "links": [link("1", "a", "east", 1000.0), far("2", "b", "west", 0.5), far("wan", "east", "west", 49.5)],
    });
    let topology = topology(&["a", "b"], network);
    let rate = |from: usize, to: usize| topology.window_rate(HostId::from(from), HostId::from(to));
    // 4 MiB each 100 ms.
    assert!((rate(0, 1) - 40.0).abs() < 1e-9 && (rate(1, 0) - 40.0).abs() < 1e-9, "{}", rate(0, 1));
    assert_eq!(
        (rate(0, 0), Topology::default().window_rate(HostId::from(0), HostId::from(1))),
        (f64::INFINITY, f64::INFINITY)
    );
    // What the contract allows stays what it is.
    assert_eq!(topology.rate_limit(HostId::from(0), HostId::from(1)), 1000.0);
}

#[test]
fn a_path_uses_links_in_one_direction_and_the_switches_between() {
    let topology = topology(&["a", "b", "c"], tree());
    assert_eq!(uses(&topology, 0, 1).unwrap(), ["1 from a", "2 from leaf1"]);
    let far = ["1 from a", "up1 from leaf1", "core", "up2 from core", "leaf2", "3 from leaf2"];
    assert_eq!(uses(&topology, 0, 2).unwrap(), far);
    assert_eq!(uses(&topology, 0, 0), Some(Vec::new()));
    assert_eq!(topology.rate_limit(HostId::from(0), HostId::from(2)), 400.0);
    assert_eq!(topology.rate_limit(HostId::from(2), HostId::from(1)), 400.0);
    assert_eq!(topology.rate_limit(HostId::from(0), HostId::from(1)), 1000.0);
    // Of a tree every way goes over all of it.
    assert_eq!(topology.surely_between(HostId::from(0), HostId::from(2)).len(), far.len());
}

#[test]
fn of_paths_as_short_the_first_by_name_is_taken() {
    let square = |top: &str, bottom: &str| {
        json!({
            "switches": [{"name": "s"}, {"name": "t"}, {"name": "u"}, {"name": "v"}],
            "links": [
                link("a", "a", "s", 9.0), link("b", "b", "v", 9.0),
                link(top, "s", "t", 1.0), link("y", "t", "v", 9.0),
                link(bottom, "s", "u", 2.0), link("x", "u", "v", 9.0),
            ],
        })
    };
    let first = topology(&["a", "b"], square("k", "l"));
    assert_eq!(first.rate_limit(HostId::from(0), HostId::from(1)), 1.0);
    let second = topology(&["a", "b"], square("l", "k"));
    assert_eq!(second.rate_limit(HostId::from(0), HostId::from(1)), 2.0);
    // There is another way round, over which a third host could help: only the ends are sure.
    let sure = second.surely_between(HostId::from(0), HostId::from(1));
    let names: Vec<String> = sure.iter().map(|c| words(&second.channels[*c as usize])).collect();
    assert_eq!(names, ["a from a", "b from v"]);
}

#[test]
fn hosts_forward_nothing_and_may_be_joined_by_cables() {
    let network = json!({"links": [link("1", "a", "b", 5.0), link("2", "b", "c", 6.0)]});
    let topology = topology(&["a", "b", "c", "d"], network);
    assert_eq!(uses(&topology, 0, 1).unwrap(), ["1 from a"]);
    assert_eq!(uses(&topology, 0, 2), None);
    assert_eq!(topology.rate_limit(HostId::from(0), HostId::from(2)), 0.0);
    // By two migrations.
    assert!(topology.joins(HostId::from(0), HostId::from(2)));
    assert!(!topology.joins(HostId::from(0), HostId::from(3)));
}

#[test]
fn both_directions_share_a_half_duplex_link() {
    let mut network = tree();
    network["links"][3]["half_duplex"] = json!(true);
    let topology = topology(&["a", "b", "c"], network);
    assert!(uses(&topology, 0, 2).unwrap().contains(&"up1".to_owned()));
    assert!(uses(&topology, 2, 0).unwrap().contains(&"up1".to_owned()));
}

#[test]
fn without_a_network_nothing_is_shared() {
    for network in [Value::Null, json!({})] {
        let topology = topology(&["a", "b"], network);
        assert_eq!(uses(&topology, 0, 1), Some(Vec::new()));
        assert!(topology.joins(HostId::from(0), HostId::from(1)));
        assert_eq!(topology.rate_limit(HostId::from(0), HostId::from(1)), f64::INFINITY);
    }
}

#[test]
fn names_that_are_used_twice_end_in_a_fault() {
    let network = json!({"switches": [{"name": "s"}], "links": [link("l", "b", "s", 1.0)]});
    let rejected = Problem::new(&file(&["a", "a", "b"], network)).unwrap_err();
    assert_eq!(rejected.faults[0].path, "hosts[1].name");
}

#[test]
fn faults_are_told_with_their_place() {
    for (network, path, says) in [
        (json!({"switches": [{"name": "a"}], "links": []}), "network.switches[0].name", "is a host, too"),
        (json!({"switches": [{"name": "s"}, {"name": "s"}]}), "network.switches[1].name", "already used"),
        (
            json!({"switches": [{"name": "s", "bandwidth": -1.0}]}),
            "network.switches[0].bandwidth",
            "at least 0",
        ),
        (json!({"links": [link("l", "a", "x", 1.0)]}), "network.links[0].b", "no host and no switch \"x\""),
        (json!({"links": [link("l", "a", "a", 1.0)]}), "network.links[0].b", "the other end"),
        (json!({"links": [link("l", "a", "b", -1.0)]}), "network.links[0].bandwidth", "at least 0"),
        (
            json!({"links": [{"name": "l", "a": "a", "b": "b", "latency_ms": -2.0}]}),
            "network.links[0].latency_ms",
            "at least 0",
        ),
        (
            json!({"links": [link("l", "a", "b", 1.0), link("l", "a", "b", 1.0)]}),
            "network.links[1].name",
            "already used",
        ),
    ] {
        let rejected = Problem::new(&file(&["a", "b"], network)).unwrap_err();
        let fault = &rejected.faults[0];
        assert_eq!(fault.path, path);
        assert!(fault.message.contains(says), "{}", fault.message);
    }
}

proptest! {
    /// The checker, which looks for paths in another way, finds the same.
    #[test]
    fn the_checker_finds_the_same_paths(
        links in prop::collection::vec((0..7usize, 0..7usize, 0..3u8), 1..14),
        blocking in prop::collection::vec(any::<bool>(), 4),
    ) {
        let names = ["a", "b", "c", "s0", "s1", "s2", "s3"];
        let links: Vec<Value> = links.iter().enumerate().filter(|(_, (a, b, _))| a != b).map(|(i, (a, b, kind))| {
            // Names in another order than the links.
            let mut link = link(&format!("{}{i}", (i * 7) % 10), names[*a], names[*b], 1.0);
            if *kind == 0 {
                link["half_duplex"] = json!(true);
            }
            if *kind == 1 {
                link.as_object_mut().unwrap().remove("bandwidth");
            }
            link
        }).collect();
        let switches: Vec<Value> = blocking.iter().enumerate().map(|(i, blocks)| {
            let mut switch = json!({"name": format!("s{i}")});
            if *blocks {
                switch["bandwidth"] = json!(2.0);
            }
            switch
        }).collect();
        let file = file(&names[..3], json!({"switches": switches, "links": links}));
        let topology = Problem::new(&file).unwrap().topology;
        let checker = Links::of(&file).unwrap();
        for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
            let theirs = checker.lines(names[from], names[to]);
            let theirs = theirs.map(|all| all.iter().map(crate::check::Line::brief).collect::<Vec<_>>());
            prop_assert_eq!(uses(&topology, from, to), theirs);
            if let Some(path) = topology.channels_between(HostId::from(from), HostId::from(to)) {
                prop_assert!(topology.joins(HostId::from(from), HostId::from(to)));
                let sure = topology.surely_between(HostId::from(from), HostId::from(to));
                prop_assert!(sure.iter().all(|channel| path.contains(channel)));
            }
        }
    }
}
