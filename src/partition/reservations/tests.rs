//! Disjoint at every instant, all or nothing, and nobody waits for ever.

use super::*;
use proptest::prelude::*;

fn set(hosts: &[&str]) -> BTreeSet<String> {
    hosts.iter().map(|host| (*host).to_owned()).collect()
}

fn busy(hosts: &[(&str, &str)]) -> BTreeMap<String, String> {
    hosts.iter().map(|(host, by)| ((*host).to_owned(), (*by).to_owned())).collect()
}

#[test]
fn a_later_request_takes_no_host_that_an_earlier_one_waits_for() {
    let mut partitions = Partitions::new();
    partitions.reserve("a", &set(&["h1", "h2"])).unwrap();
    let answer = partitions.request("b", &set(&["h2", "h3"])).unwrap();
    assert_eq!(answer, Answer::Queued(busy(&[("h2", "a")])));
    // h3 is free, but b waits for it.
    let refused = partitions.reserve("c", &set(&["h3"])).unwrap_err();
    assert_eq!(refused, Refused::Busy(busy(&[("h3", "b")])));
    assert_eq!(refused.to_string(), "reserved by others: h3 by b");
    assert_eq!(partitions.request("c", &set(&["h3"])).unwrap(), Answer::Queued(busy(&[("h3", "b")])));
    assert_eq!(partitions.grow("a", &set(&["h3"])), Err(Refused::Busy(busy(&[("h3", "b")]))));
    // Others pass by.
    assert_eq!(partitions.request("d", &set(&["h4"])).unwrap(), Answer::Granted);
    assert_eq!(partitions.release("a"), ["b"]);
    assert_eq!(partitions.holder("h3"), Some("b"));
    assert_eq!(partitions.release("b"), ["c"]);
    assert_eq!(partitions.release("b"), Vec::<String>::new(), "twice is once");
}

#[test]
fn who_gives_up_waiting_lets_the_next_go_on() {
    let mut partitions = Partitions::new();
    partitions.reserve("a", &set(&["h1"])).unwrap();
    partitions.request("b", &set(&["h1", "h2"])).unwrap();
    partitions.request("c", &set(&["h2"])).unwrap();
    assert_eq!(partitions.release("b"), ["c"]);
    assert_eq!(partitions.holder("h1"), Some("a"));
}

#[test]
fn hosts_that_a_plan_does_not_touch_leave() {
    let mut partitions = Partitions::new();
    partitions.reserve("a", &set(&["h1", "h2", "h3"])).unwrap();
    partitions.request("b", &set(&["h2", "h3"])).unwrap();
    assert_eq!(partitions.shrink("a", &set(&["h3", "h9"])), Vec::<String>::new());
    assert_eq!(partitions.shrink("a", &set(&["h2"])), ["b"]);
    assert_eq!(partitions.hosts("a"), Some(&set(&["h1"])));
    partitions.grow("a", &set(&["h1", "h4"])).unwrap();
    assert_eq!(partitions.hosts("a"), Some(&set(&["h1", "h4"])));
    assert_eq!(partitions.grow("z", &set(&["h5"])), Err(Refused::Unknown("z".into())));
    assert_eq!(partitions.reserve("b", &set(&["h5"])), Err(Refused::Exists("b".into())));
    assert_eq!(partitions.request("b", &set(&["h5"])), Err(Refused::Exists("b".into())));
}

#[derive(Debug, Clone)]
enum Step {
    Reserve(u8, BTreeSet<u8>),
    Request(u8, BTreeSet<u8>),
    Grow(u8, BTreeSet<u8>),
    Shrink(u8, BTreeSet<u8>),
    Release(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let hosts = || prop::collection::btree_set(0..8_u8, 0..5);
    let step = prop_oneof![
        2 => (0..9_u8, hosts()).prop_map(|(id, hosts)| Step::Reserve(id, hosts)),
        4 => (0..9_u8, hosts()).prop_map(|(id, hosts)| Step::Request(id, hosts)),
        1 => (0..9_u8, hosts()).prop_map(|(id, hosts)| Step::Grow(id, hosts)),
        1 => (0..9_u8, hosts()).prop_map(|(id, hosts)| Step::Shrink(id, hosts)),
        3 => (0..9_u8).prop_map(Step::Release),
    ];
    prop::collection::vec(step, 0..60)
}

fn names(hosts: &BTreeSet<u8>) -> BTreeSet<String> {
    hosts.iter().map(|host| format!("h{host}")).collect()
}

/// Each host is in at most one partition, and both views of it agree.
fn assert_disjoint(partitions: &Partitions) {
    let mut owners = BTreeMap::new();
    for (id, hosts) in partitions.partitions() {
        for host in hosts {
            assert_eq!(owners.insert(host.clone(), id.to_owned()), None, "{host} is in two partitions");
        }
    }
    assert_eq!(owners, partitions.held);
}

/// Whoever waits has a reason: a host of its is held, or an earlier one wants it too.
fn assert_nobody_waits_for_nothing(partitions: &Partitions) {
    for (i, (id, hosts)) in partitions.waiting().enumerate() {
        let held = hosts.iter().any(|host| partitions.holder(host).is_some());
        let wanted = partitions.waiting().take(i).any(|(_, earlier)| !earlier.is_disjoint(hosts));
        assert!(held || wanted, "{id} waits for nothing");
    }
}

fn apply(partitions: &mut Partitions, step: &Step) {
    let before = partitions.clone();
    let refused = |after: &Partitions| assert_eq!(&before, after, "a refusal must change nothing");
    match step {
        Step::Reserve(id, hosts) => {
            let (id, hosts) = (format!("p{id}"), names(hosts));
            match partitions.reserve(&id, &hosts) {
                Ok(()) => assert_eq!(partitions.hosts(&id), Some(&hosts)),
                Err(_) => refused(partitions),
            }
        }
        Step::Request(id, hosts) => {
            let (id, hosts) = (format!("p{id}"), names(hosts));
            match partitions.request(&id, &hosts) {
                Ok(Answer::Granted) => assert_eq!(partitions.hosts(&id), Some(&hosts)),
                Ok(Answer::Queued(busy)) => {
                    assert!(!busy.is_empty() && busy.keys().all(|host| hosts.contains(host)));
                    assert_eq!(partitions.held, before.held, "who waits holds nothing");
                }
                Err(_) => refused(partitions),
            }
        }
        Step::Grow(id, hosts) => {
            let (id, hosts) = (format!("p{id}"), names(hosts));
            match partitions.grow(&id, &hosts) {
                Ok(()) => assert!(partitions.hosts(&id).unwrap().is_superset(&hosts)),
                Err(_) => refused(partitions),
            }
        }
        Step::Shrink(id, hosts) => {
            let (id, hosts) = (format!("p{id}"), names(hosts));
            let granted = partitions.shrink(&id, &hosts);
            if let Some(left) = partitions.hosts(&id).filter(|_| before.hosts(&id).is_some()) {
                assert!(left.is_disjoint(&hosts));
            }
            assert_granted(&before, partitions, &granted);
        }
        Step::Release(id) => {
            let granted = partitions.release(&format!("p{id}"));
            assert_granted(&before, partitions, &granted);
        }
    }
}

/// Who is served has waited, and has all that it waited for.
fn assert_granted(before: &Partitions, after: &Partitions, granted: &[String]) {
    for id in granted {
        let (_, wanted) = before.waiting().find(|(waiting, _)| waiting == id).unwrap();
        assert_eq!(after.hosts(id), Some(wanted));
    }
}

proptest! {
    #[test]
    fn partitions_are_disjoint_and_nobody_waits_for_nothing(steps in steps()) {
        let mut partitions = Partitions::new();
        for step in &steps {
            apply(&mut partitions, step);
            assert_disjoint(&partitions);
            assert_nobody_waits_for_nothing(&partitions);
        }
    }

    /// Whoever waits is served after at most as many releases as there are partitions and earlier waiting ones,
    /// however many new requests for the same hosts come in the meantime.
    #[test]
    fn nobody_starves(steps in steps(), wanted in prop::collection::btree_set(0..8_u8, 1..5)) {
        let mut partitions = Partitions::new();
        for step in &steps {
            apply(&mut partitions, step);
        }
        if partitions.request("me", &names(&wanted)).unwrap() == Answer::Granted {
            return Ok(());
        }
        let ahead = partitions.partitions().count() + partitions.waiting().count();
        let mut released = 0;
        while partitions.hosts("me").is_none() {
            prop_assert!(released < ahead, "{partitions:?}");
            // Pushes in for the same hosts, with each way there is.
            let rival = format!("rival{released}");
            prop_assert!(partitions.reserve(&rival, &names(&wanted)).is_err());
            partitions.request(&rival, &names(&wanted)).unwrap();
            let holder = partitions.partitions().map(|(id, _)| id.to_owned()).find(|id| {
                partitions.hosts(id).is_some_and(|hosts| !hosts.is_empty())
            });
            partitions.release(&holder.unwrap());
            released += 1;
        }
    }
}

#[test]
fn what_is_urgent_goes_ahead_of_those_who_wait_and_takes_nothing_that_is_held() {
    let mut partitions = Partitions::new();
    partitions.reserve("a", &set(&["h1"])).unwrap();
    partitions.request("b", &set(&["h1", "h2", "h3"])).unwrap();
    assert!(partitions.reserve("c", &set(&["h2"])).is_err());
    partitions.reserve_ahead("c", &set(&["h2"])).unwrap();
    assert_eq!(partitions.reserve_ahead("c", &set(&["h4"])), Err(Refused::Exists("c".into())));
    assert_eq!(partitions.reserve_ahead("d", &set(&["h2"])), Err(Refused::Busy(busy(&[("h2", "c")]))));
    assert!(partitions.grow("c", &set(&["h3"])).is_err());
    partitions.grow_ahead("c", &set(&["h3"])).unwrap();
    assert_eq!(partitions.grow_ahead("c", &set(&["h1"])), Err(Refused::Busy(busy(&[("h1", "a")]))));
    assert_eq!(partitions.release("a"), [""; 0]);
    assert_eq!(partitions.release("c"), ["b"]);
}
