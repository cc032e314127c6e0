//! Who takes part: those with an entry in etcd, and those whose entry has gone while they are still reached. One that has
//! lost etcd alone is as useful as before, and what runs in its cell must be asked for; so who reaches it vouches for it in
//! etcd, for all others and for those that come, and tells it who they are.

use crate::coordinator::settings::RingMember;
use crate::coordinator::view::RingView;
use crate::coordinator::written;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What one member says of another whose own entry has gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Vouched {
    #[serde(deserialize_with = "written::member")]
    member: RingMember,
    /// Since when it has gone, seconds since 1970.
    since: u64,
}

/// The time, twice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Since this coordinator began.
    pub(super) at: Duration,
    /// Seconds since 1970.
    pub(super) wall: u64,
}

/// Who takes part, as far as is known here.
pub(super) struct Roster {
    own: RingMember,
    /// How long a link may be down, and a member stay without an entry.
    link_within: Duration,
    most: u64,
    /// etcd answers.
    answers: bool,
    entries: BTreeMap<String, RingMember>,
    /// By member and by who vouches for it.
    seen: BTreeMap<(String, String), Vouched>,
    /// Members whose entry has gone, and since when.
    lost: BTreeMap<String, u64>,
    /// When each was last reached.
    reached: BTreeMap<String, Duration>,
    present: BTreeMap<String, RingMember>,
}

/// What follows from a look.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Looked {
    /// The members, where they are others than before.
    pub(super) members: Option<Vec<RingMember>>,
    /// Those of them that have lost etcd.
    pub(super) held: BTreeSet<String>,
    /// For whom to vouch, and for whom no more.
    pub(super) vouch: BTreeMap<String, Option<String>>,
}

impl Roster {
    /// `most`: seconds for which a member stays whose entry has gone; `link_within`: how long it may be out of reach.
    pub(super) fn new(own: RingMember, last: Vec<RingMember>, link_within: Duration, most: u64) -> Self {
        let present = last.into_iter().map(|member| (member.name.clone(), member)).collect();
        Self {
            own,
            link_within,
            most,
            answers: false,
            entries: BTreeMap::new(),
            seen: BTreeMap::new(),
            lost: BTreeMap::new(),
            reached: BTreeMap::new(),
            present,
        }
    }

    /// What etcd has.
    pub(super) fn told(&mut self, own: BTreeMap<String, String>, seen: BTreeMap<(String, String), String>) {
        self.answers = true;
        let entry = |(name, value): (String, String)| match written::member(
            &mut serde_json::Deserializer::from_str(&value),
        ) {
            Ok(member) if member.name == name => Some((name, member)),
            _ => {
                tracing::warn!(name, value, "etcd: an entry that is no member is left aside");
                None
            }
        };
        self.entries = own.into_iter().filter_map(entry).collect();
        let word = |((name, by), value): ((String, String), String)| {
            let said: Vouched = serde_json::from_str(&value).ok()?;
            (said.member.name == name).then_some(((name, by), said))
        };
        self.seen = seen.into_iter().filter_map(word).collect();
    }

    /// etcd does not answer.
    pub(super) fn silent(&mut self) {
        self.answers = false;
    }

    /// Who takes part now.
    pub(super) fn look(&mut self, clock: Clock, view: &RingView) -> Looked {
        for other in view.others.iter().filter(|other| other.up) {
            self.reached.insert(other.name.clone(), clock.at);
        }
        let mut looked = Looked::default();
        let mut members = if self.answers {
            self.held(clock, view, &mut looked)
        } else {
            // Whom others tell of has come since.
            let told = view.told.iter().map(|member| (member.name.clone(), member.clone()));
            told.chain(self.present.clone()).collect()
        };
        members.insert(self.own.name.clone(), self.own.clone());
        if members != self.present {
            looked.members = Some(members.values().cloned().collect());
            self.present = members;
        }
        looked
    }

    /// All members, as of the last look.
    pub(super) fn present(&self) -> Vec<RingMember> {
        self.present.values().cloned().collect()
    }

    /// Those with an entry, and those that are held without.
    fn held(&mut self, clock: Clock, view: &RingView, looked: &mut Looked) -> BTreeMap<String, RingMember> {
        let mut members = self.entries.clone();
        let mut gone: BTreeMap<String, RingMember> = BTreeMap::new();
        gone.extend(self.seen.iter().map(|((name, _), said)| (name.clone(), said.member.clone())));
        gone.extend(self.present.clone());
        gone.retain(|name, _| !self.entries.contains_key(name) && *name != self.own.name);
        self.lost.retain(|name, _| gone.contains_key(name));
        for (name, member) in gone {
            let words = self.seen.iter().filter(|((of, _), _)| *of == name);
            let said = words.clone().map(|(_, said)| said.since);
            let since = said.chain(self.lost.get(&name).copied()).min().unwrap_or(clock.wall);
            let leaves = view.others.iter().any(|other| other.name == name && other.leaving);
            let reached = self.reached.get(&name).copied().unwrap_or_default();
            let reached = !leaves && clock.at <= reached + self.link_within;
            let others_do = words.clone().any(|((_, by), _)| *by != self.own.name);
            if clock.wall.saturating_sub(since) >= self.most || (leaves || !reached) && !others_do {
                self.lost.remove(&name);
                continue;
            }
            self.lost.insert(name.clone(), since);
            looked.held.insert(name.clone());
            if reached {
                looked.vouch.insert(name.clone(), Some(since).map(|since| word(&member, since)));
            }
            members.insert(name, member);
        }
        // What is said already is not said again; what does not hold any more is taken back.
        let mine = |((of, by), said): (&(String, String), &Vouched)| {
            (*by == self.own.name).then(|| (of.clone(), word(&said.member, said.since)))
        };
        for (of, said) in self.seen.iter().filter_map(mine) {
            match looked.vouch.get(&of) {
                Some(Some(wanted)) if *wanted == said => _ = looked.vouch.remove(&of),
                Some(_) => {}
                None => _ = looked.vouch.insert(of, None),
            }
        }
        members
    }
}

fn word(member: &RingMember, since: u64) -> String {
    serde_json::to_string(&Vouched { member: member.clone(), since }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::view::OtherMember;

    fn member(name: &str) -> RingMember {
        RingMember { name: name.into(), address: format!("{name}:1"), site: String::new() }
    }

    fn entries(names: &[&str]) -> BTreeMap<String, String> {
        names.iter().map(|n| ((*n).to_owned(), serde_json::to_string(&member(n)).unwrap())).collect()
    }

    fn seen(of: &str, by: &str, since: u64) -> BTreeMap<(String, String), String> {
        BTreeMap::from([((of.to_owned(), by.to_owned()), word(&member(of), since))])
    }

    fn view(up: &[&str]) -> RingView {
        let other = |name: &&str| OtherMember { name: (*name).into(), up: true, ..OtherMember::default() };
        RingView { others: up.iter().map(other).collect(), ..RingView::default() }
    }

    fn at(seconds: u64) -> Clock {
        Clock { at: Duration::from_secs(seconds), wall: 1000 + seconds }
    }

    /// East, which knows west and north by their entries.
    fn east() -> Roster {
        let mut roster = Roster::new(member("east"), Vec::new(), Duration::from_secs(10), 600);
        roster.told(entries(&["east", "north", "west"]), BTreeMap::new());
        assert_eq!(names(&roster.look(at(0), &view(&[]))), ["east", "north", "west"]);
        roster
    }

    fn names(looked: &Looked) -> Vec<&str> {
        looked.members.as_ref().unwrap().iter().map(|member| member.name.as_str()).collect()
    }

    #[test]
    fn who_has_lost_etcd_alone_stays_while_it_is_reached() {
        let mut roster = east();
        roster.told(entries(&["east", "north"]), BTreeMap::new());
        let looked = roster.look(at(100), &view(&["north", "west"]));
        assert_eq!(looked.members, None, "nothing has changed");
        assert_eq!(looked.held, BTreeSet::from(["west".to_owned()]));
        assert_eq!(looked.vouch["west"].as_deref(), Some(word(&member("west"), 1100).as_str()));
        // What is said in etcd already is not said again.
        roster.told(entries(&["east", "north"]), seen("west", "east", 1100));
        assert_eq!(roster.look(at(101), &view(&["north", "west"])).vouch, BTreeMap::new());
        // Its link is down: for a while it stays, as the link may come back.
        assert_eq!(roster.look(at(110), &view(&["north"])).members, None);
        let looked = roster.look(at(112), &view(&["north"]));
        assert_eq!(names(&looked), ["east", "north"]);
        assert_eq!(looked.vouch, BTreeMap::from([("west".to_owned(), None)]));
    }

    #[test]
    fn whom_others_reach_is_a_member_and_is_told_so_to_those_that_come() {
        let mut roster = Roster::new(member("south"), Vec::new(), Duration::from_secs(10), 600);
        roster.told(entries(&["east", "south"]), seen("west", "east", 900));
        let looked = roster.look(at(0), &view(&[]));
        assert_eq!(names(&looked), ["east", "south", "west"]);
        // East is gone, but south has reached it since: it goes on from the same time.
        let _ = roster.look(at(50), &view(&["west"]));
        roster.told(entries(&["south"]), BTreeMap::new());
        let looked = roster.look(at(51), &view(&["west"]));
        assert_eq!(names(&looked), ["south", "west"]);
        assert_eq!(looked.vouch["west"].as_deref(), Some(word(&member("west"), 900).as_str()));
        // For no longer than is allowed.
        let looked = roster.look(at(501), &view(&["west"]));
        assert_eq!(names(&looked), ["south"]);
        assert!(roster.look(at(502), &view(&[])).held.is_empty());
    }

    #[test]
    fn who_leaves_in_order_or_is_out_of_reach_goes_at_once_and_who_is_back_needs_nobody() {
        let mut roster = east();
        let mut leaving = view(&["north", "west"]);
        leaving.others[1].leaving = true;
        roster.told(entries(&["east", "north"]), BTreeMap::new());
        assert_eq!(names(&roster.look(at(100), &leaving)), ["east", "north"]);

        let mut roster = east();
        roster.told(entries(&["east", "north"]), BTreeMap::new());
        assert_eq!(
            names(&roster.look(at(100), &view(&["north"]))),
            ["east", "north"],
            "it was silent for long"
        );

        let mut roster = east();
        roster.told(entries(&["east", "north"]), BTreeMap::new());
        assert_eq!(roster.look(at(100), &view(&["west"])).held.len(), 1);
        roster.told(entries(&["east", "north", "west"]), seen("west", "east", 1100));
        let looked = roster.look(at(101), &view(&["west"]));
        assert_eq!((looked.members, looked.held.len()), (None, 0));
        assert_eq!(looked.vouch, BTreeMap::from([("west".to_owned(), None)]));
    }

    #[test]
    fn without_etcd_members_stay_and_others_tell_who_has_come() {
        let mut roster = east();
        roster.silent();
        let mut told = view(&[]);
        assert_eq!(roster.look(at(100), &told).members, None);
        told.told = vec![member("south"), member("west")];
        assert_eq!(names(&roster.look(at(101), &told)), ["east", "north", "south", "west"]);
    }
}
