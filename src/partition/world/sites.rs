//! Whom a partition asks first where members are far from each other.

use super::urgency::{arrive, calm, event};
use super::*;

/// A world in which `a` is told by `west` that it has free hosts, and has heard nothing of `near`.
fn world(site_of_near: &str) -> World {
    let cells = vec![("a", vec![("a1", 0)]), ("near", vec![("n1", 5)]), ("west", vec![("w1", 5)])];
    let mut world = calm(cells);
    let place = |member: &str, site: &str, distance| {
        (Member::from(member), Place { site: site.to_owned(), distance: Millis(distance) })
    };
    let places = [place("a", "east", 0), place("near", site_of_near, 1), place("west", "west", 20)];
    let ring = Ring::new(places.into());
    world.tell(&"a".into(), Input::Ring { ring });
    hears(&mut world, "west", 1);
    world.seen.keep_log = true;
    world
}

/// `a` hears how many free hosts a member has.
fn hears(world: &mut World, member: &str, free: u32) {
    let partition = PartitionId { number: 9, founder: member.into(), incarnation: 1 };
    let message = Message { free, clock: 0, body: Body::Freed { partition } };
    let now = world.clock(&"a".into());
    world.nodes.get_mut(&Member::from("a")).expect("a").handle_message(now, &member.into(), message);
}

/// Whom `a` asks for room, in this order.
fn asked(world: &mut World, room: i64) -> Vec<String> {
    world.tell(&"a".into(), Input::Raised { event: event("a", Kind::Overload, "a1", room) });
    arrive(world);
    let whom = |line: &String| line.split(['→', ':']).nth(1).map(|whom| whom.trim().to_owned());
    world.seen.log.iter().filter(|line| line.contains("asks for hosts")).filter_map(whom).collect()
}

#[test]
fn a_shortcut_leads_out_of_the_site_only_past_members_that_are_full() {
    assert_eq!(asked(&mut world("east"), 3), ["near"]);
    assert_eq!(asked(&mut world("east"), 8), ["near", "west"]);
    // It has said that it has none.
    let mut full = world("east");
    hears(&mut full, "near", 0);
    assert_eq!(asked(&mut full, 3), ["west"]);
    // One of another site that is nearer than that which is named.
    assert_eq!(asked(&mut world("north"), 3), ["near"]);
    // Among those that are equally near it is taken.
    let mut equal = world("west");
    let places = ["a", "near", "west"].map(|member| (member.into(), Place::default()));
    equal.tell(&"a".into(), Input::Ring { ring: Ring::new(places.into()) });
    assert_eq!(asked(&mut equal, 3), ["west"]);
}
