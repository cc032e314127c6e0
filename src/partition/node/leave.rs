//! A member is about to stop. What it carries out goes on to its end, here and at the hosts of this cell; the rest is
//! given up, so that others can begin it anew.

use super::Node;
use super::led::Stage;
use crate::partition::event::Outcome;
use crate::partition::message::Body;
use crate::partition::time::Now;

impl Node {
    pub(super) fn leave(&mut self, now: Now) {
        self.leaving = true;
        let waits = |stage: &Stage| !matches!(stage, Stage::Executing);
        let waiting: Vec<_> =
            self.led.iter().filter(|(_, led)| waits(&led.stage)).map(|(id, _)| id.clone()).collect();
        for id in waiting {
            self.end(&id, Some(Outcome::Dropped));
        }
        self.drain(now);
        for ((leader, partition), hosts) in self.ledger.take_back() {
            self.send(&leader, Body::Revoked { partition, hosts });
        }
        let carried_out = |partition| self.led.contains_key(partition);
        let left = self.events.iter().filter(|(_, standing)| !standing.in_hand().is_some_and(carried_out));
        for key in left.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.calmed(&key);
        }
        self.drain(now);
    }
}

#[cfg(test)]
mod tests {
    use crate::partition::event::{Kind, Need};
    use crate::partition::io::{Effect, Found, Input};
    use crate::partition::ledger::Facts;
    use crate::partition::names::{Host, Member, PartitionId};
    use crate::partition::node::{Node, Stage};
    use crate::partition::ring::{Place, Ring};
    use crate::partition::settings::Settings;
    use crate::partition::time::{Now, Time};
    use std::collections::{BTreeMap, BTreeSet};

    /// Two members that hear each other at once: `a` lacks room on `a1`, `b` has `b1`.
    struct Two {
        nodes: BTreeMap<Member, Node>,
        /// What the partitions led by each member are to do, last first.
        solves: Vec<(PartitionId, u64)>,
        executes: Vec<PartitionId>,
    }

    const NOW: Now = Now { at: Time(1000), random: 7 };

    impl Two {
        fn new() -> Self {
            let mut nodes = BTreeMap::new();
            for name in ["a", "b"] {
                let me = Member::from(name);
                let place = |name: &str| (Member::from(name), Place::default());
                let ring = Ring::new(BTreeMap::from([place("a"), place("b")]));
                let mut node = Node::new(me.clone(), 1, Settings::default());
                node.handle_event(NOW, Input::Ring { ring });
                nodes.insert(me, node);
            }
            let mut two = Self { nodes, solves: Vec::new(), executes: Vec::new() };
            for (member, host, room) in [("a", "a1", 0), ("b", "b1", 10)] {
                let facts = Facts { room: [room, room], takes: true, busy: false };
                two.tell(member, Input::Host { host: host.into(), facts, fresh: true });
            }
            two
        }

        fn tell(&mut self, member: &str, input: Input) {
            self.nodes.get_mut(&Member::from(member)).unwrap().handle_event(NOW, input);
            let mut quiet = false;
            while !quiet {
                quiet = true;
                for member in ["a", "b"].map(Member::from) {
                    while let Some(effect) = self.nodes.get_mut(&member).unwrap().poll_effect() {
                        quiet = false;
                        match effect {
                            Effect::Send { to, message } => {
                                self.nodes.get_mut(&to).unwrap().handle_message(NOW, &member, message);
                            }
                            Effect::Solve { partition, version, .. } => {
                                self.solves.push((partition, version));
                            }
                            Effect::Execute { partition, .. } => self.executes.push(partition),
                            _ => {}
                        }
                    }
                }
            }
        }

        fn overload(&mut self) {
            let need = Need { room: [5, 5], ..Need::default() };
            self.tell("a", Input::raise("a", Kind::Overload, "a1", need));
        }

        /// Both hosts are touched by the plan that is found.
        fn solve(&mut self) {
            let (partition, version) = self.solves.pop().unwrap();
            let touched: BTreeSet<Host> = ["a1", "b1"].map(Host::from).into();
            self.tell("a", Input::Solved { partition, version, found: Found::Plan { touched } });
        }

        fn held(&self, member: &str) -> usize {
            self.nodes[&Member::from(member)].ledger().held().count()
        }

        fn led(&self, member: &str) -> usize {
            self.nodes[&Member::from(member)].partitions().count()
        }
    }

    #[test]
    fn who_leaves_gives_up_what_is_not_carried_out_and_raises_nothing() {
        let mut two = Two::new();
        two.overload();
        assert_eq!((two.led("a"), two.held("a"), two.held("b")), (1, 1, 1));
        two.tell("a", Input::Leave);
        assert_eq!((two.led("a"), two.held("a"), two.held("b")), (0, 0, 0));
        two.overload();
        assert_eq!((two.led("a"), two.held("b")), (0, 0), "nothing new is led");
    }

    #[test]
    fn who_leaves_goes_on_with_what_is_carried_out() {
        let mut two = Two::new();
        two.overload();
        two.solve();
        let partition = two.executes.pop().unwrap();
        for member in ["a", "b"] {
            two.tell(member, Input::Leave);
        }
        let led = two.nodes[&Member::from("a")].partitions().next().unwrap().1;
        assert_eq!((led.stage(), led.hosts().len()), (&Stage::Executing, 2));
        assert_eq!((two.held("a"), two.held("b")), (1, 1), "committed hosts stay with it");
        two.tell("a", Input::Executed { partition });
        assert_eq!((two.led("a"), two.held("a"), two.held("b")), (0, 0, 0));
        let later = Now { at: Time(60_000), random: 7 };
        let node = two.nodes.get_mut(&Member::from("a")).unwrap();
        node.handle_timeout(later);
        assert_eq!(
            (node.partitions().count(), node.events().count()),
            (0, 0),
            "its trouble is not raised again"
        );
    }

    #[test]
    fn an_owner_that_leaves_takes_back_what_nobody_has_committed() {
        let mut two = Two::new();
        two.overload();
        two.tell("b", Input::Leave);
        assert_eq!(two.held("b"), 0);
        let led = two.nodes[&Member::from("a")].partitions().next();
        assert!(led.is_none_or(|(_, led)| !led.hosts().contains_key(&Host::from("b1"))), "{led:?}");
    }
}
