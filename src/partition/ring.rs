//! Who takes part, and whom a member asks first.

use super::names::Member;
use super::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where another member is, seen from here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Place {
    /// Its site: hosts of the same one are preferred.
    pub site: String,
    /// Round-trip time to it as measured; only its order of magnitude matters.
    pub distance: Millis,
}

/// The members, in the fixed order of their names, as one of them sees them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Ring {
    members: Arc<BTreeMap<Member, Place>>,
}

impl Ring {
    /// A ring of these members.
    #[must_use]
    pub fn new(members: BTreeMap<Member, Place>) -> Self {
        Self { members: Arc::new(members) }
    }

    /// Whether someone takes part.
    #[must_use]
    pub fn contains(&self, member: &Member) -> bool {
        self.members.contains_key(member)
    }

    /// The members and where they are.
    pub fn members(&self) -> impl Iterator<Item = (&Member, &Place)> {
        self.members.iter()
    }

    /// How far a member is from `me`, in the steps that count: itself, its site, the others; of either the round trip by
    /// powers of two, so that noise changes nothing. What is the least is the nearest.
    #[must_use]
    pub fn reach(&self, me: &Member, member: &Member) -> (bool, bool, u32) {
        let place = |member: &Member| self.members.get(member);
        let site = |member: &Member| place(member).map(|place| place.site.as_str()).unwrap_or_default();
        let steps = place(member).and_then(|place| place.distance.0.checked_ilog2()).map_or(0, |log| log + 1);
        (site(member) != site(me), member != me, if member == me { 0 } else { steps })
    }

    /// All members in the order in which `me` asks them: itself, those of its site, then the others; of either the
    /// near ones first (as [`reach`](Self::reach) says), and of those that are equally near the successors on the ring first, so that not everybody asks the same one.
    #[must_use]
    pub fn tour(&self, me: &Member) -> Vec<Member> {
        let others = self.members.keys().filter(|member| *member != me);
        let mut order: Vec<_> = others.map(|member| (self.reach(me, member), member < me, member)).collect();
        order.sort();
        std::iter::once(me).chain(order.into_iter().map(|(.., member)| member)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(site: &str, distance: u64) -> Place {
        Place { site: site.to_owned(), distance: Millis(distance) }
    }

    #[test]
    fn near_members_are_asked_first_and_those_of_the_own_site_before_all() {
        let ring = Ring::new(BTreeMap::from([
            ("a".into(), place("east", 1)),
            ("b".into(), place("east", 0)),
            ("c".into(), place("west", 20)),
            ("d".into(), place("east", 1)),
            ("e".into(), place("north", 90)),
            ("f".into(), place("west", 17)),
        ]));
        let order: Vec<_> = ring.tour(&"b".into()).iter().map(ToString::to_string).collect();
        // d is the successor of b among the near ones; 17 and 20 ms are equally far.
        assert_eq!(order, ["b", "d", "a", "c", "f", "e"]);
        // From d on, the ring closes: its successors come first, at equal distance.
        let equal = Ring::new(["a", "b", "c", "d"].map(|name| (name.into(), place("", 0))).into());
        let order: Vec<_> = equal.tour(&"c".into()).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["c", "d", "a", "b"]);
    }
}
