//! How the partitions that are led here have become what they are, for readers: nothing is decided by it. The protocol
//! does not tell its steps; they are seen by comparing each partition with what it was when it was last looked at, after
//! each call.

use crate::coordinator::view::{GrowthStep, GrowthView, Why};
use crate::partition::{Led, Node, PartitionId, Stage};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Steps that are kept of each partition: the first one and the last ones.
const KEPT: usize = 32;

/// What is known of partitions that are led here.
#[derive(Debug, Default)]
pub(super) struct Growth {
    of: BTreeMap<PartitionId, (Seen, GrowthView)>,
}

/// A partition when it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    stage: &'static str,
    with: String,
    does: Does,
    version: u64,
    size: usize,
    events: u32,
    owners: BTreeMap<String, u32>,
}

/// What a stage comes to, as far as growth goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Grows,
    Waits,
    Merges,
    CarriesOut,
}

impl Does {
    fn of(stage: &Stage) -> Self {
        match stage {
            Stage::Gathering { .. } | Stage::Solving { .. } => Self::Grows,
            Stage::Blocked { .. } | Stage::Offering { .. } => Self::Waits,
            Stage::Absorbing { .. } | Stage::Adopting { .. } => Self::Merges,
            Stage::Committing { .. } | Stage::Executing => Self::CarriesOut,
        }
    }
}

impl Seen {
    fn of(led: &Led) -> Self {
        let owner = |(member, hosts): (&crate::partition::Member, u32)| (member.to_string(), hosts);
        Self {
            stage: led.stage().name(),
            with: led.stage().with(),
            does: Does::of(led.stage()),
            version: led.version(),
            size: led.size(),
            events: count(led.events().count()),
            owners: led.owners().into_iter().map(owner).collect(),
        }
    }

    /// Whether nothing has changed since, as far as that can be seen without counting hosts.
    fn is_still(&self, led: &Led) -> bool {
        self.size == led.size()
            && self.version == led.version()
            && self.stage == led.stage().name()
            && self.events == count(led.events().count())
            && self.with == led.stage().with()
    }

    /// Members of which it has more, or fewer, than another had.
    fn beside(&self, other: &Self, differs: impl Fn(u32, u32) -> bool) -> Vec<String> {
        let of = |seen: &Self, member: &String| seen.owners.get(member).copied().unwrap_or(0);
        let mut all: Vec<&String> = self.owners.keys().chain(other.owners.keys()).collect();
        all.sort();
        all.dedup();
        let differing = all.into_iter().filter(|member| differs(of(self, member), of(other, member)));
        differing.cloned().collect()
    }
}

impl Growth {
    /// How one has grown.
    pub(super) fn of(&self, partition: &PartitionId) -> Option<&GrowthView> {
        self.of.get(partition).map(|(_, growth)| growth)
    }

    /// Sees what has become of all of them.
    pub(super) fn look(&mut self, node: &Node, now: SystemTime) {
        let led: BTreeMap<&PartitionId, &Led> = node.partitions().collect();
        self.of.retain(|id, _| led.contains_key(id));
        for (id, led) in led {
            match self.of.get_mut(id) {
                Some((seen, _)) if seen.is_still(led) => {}
                Some((seen, growth)) => {
                    let new = Seen::of(led);
                    changed(growth, seen, &new, now);
                    *seen = new;
                }
                None => {
                    let seen = Seen::of(led);
                    self.of.insert(id.clone(), (seen.clone(), begun(&seen, now)));
                }
            }
        }
    }
}

#[cfg(test)]
impl super::Membership {
    /// Partitions whose growth is kept.
    pub(in crate::coordinator::core) fn growths(&self) -> usize {
        self.growth.of.len()
    }
}

fn begun(seen: &Seen, now: SystemTime) -> GrowthView {
    let mut growth = GrowthView { began: Some(now), since: Some(now), ..GrowthView::default() };
    tell(&mut growth, Why::Began, seen.owners.keys().cloned().collect(), seen, now);
    if seen.does == Does::Waits {
        tell(&mut growth, Why::Blocked, Vec::new(), seen, now);
    }
    growth
}

fn changed(growth: &mut GrowthView, old: &Seen, new: &Seen, now: SystemTime) {
    if (old.stage, &old.with) != (new.stage, &new.with) {
        growth.since = Some(now);
    }
    let came = new.beside(old, |new, old| new > old);
    let went = new.beside(old, |new, old| new < old);
    let merged = old.does == Does::Merges && (!came.is_empty() || new.events > old.events);
    let waited = matches!(old.does, Does::Waits | Does::Merges) && !merged;
    let was_merged = growth.steps.back().is_some_and(|step| step.why == Why::Merged);
    if waited && !was_merged && matches!(new.does, Does::Grows | Does::CarriesOut) {
        tell(growth, Why::Resumed, Vec::new(), new, now);
    }
    if merged {
        tell(growth, Why::Merged, vec![old.with.clone()], new, now);
    } else if !came.is_empty() {
        tell(growth, Why::Asked, came, new, now);
    }
    if !went.is_empty() {
        let given_back = new.does == Does::CarriesOut && old.does == Does::Grows;
        tell(growth, if given_back { Why::Released } else { Why::Lost }, went, new, now);
    }
    if !waited && new.does == Does::Waits {
        tell(growth, Why::Blocked, Vec::new(), new, now);
    }
}

fn tell(growth: &mut GrowthView, why: Why, with: Vec<String>, seen: &Seen, time: SystemTime) {
    let (hosts, members) = (count(seen.size), count(seen.owners.len()));
    let step = GrowthStep { time, why, with, hosts, members, events: seen.events, times: 1 };
    let steps = &mut growth.steps;
    // One that tries again and again in vain is blocked, so many times.
    if why == Why::Blocked
        && let [.., blocked, resumed] = steps.make_contiguous()
        && (blocked.why, resumed.why) == (Why::Blocked, Why::Resumed)
        && (blocked.hosts, blocked.members) == (hosts, members)
    {
        blocked.times += 1;
        steps.pop_back();
        return;
    }
    // What the other one had comes over owner by owner.
    if let Some(last) = steps.back_mut()
        && (last.why, why) == (Why::Merged, Why::Merged)
        && last.with == step.with
    {
        *last = GrowthStep { time: last.time, ..step };
        return;
    }
    steps.push_back(step);
    if steps.len() > KEPT {
        steps.remove(1);
        growth.left_out += 1;
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn seen(does: Does, with: &str, owners: &[(&str, u32)]) -> Seen {
        let stage = match does {
            Does::Grows => "GATHERING",
            Does::Waits => "BLOCKED",
            Does::Merges => "ADOPTING",
            Does::CarriesOut => "COMMITTING",
        };
        Seen {
            stage,
            with: with.to_owned(),
            does,
            version: 0,
            size: owners.iter().map(|(_, hosts)| *hosts as usize).sum(),
            events: 1,
            owners: owners.iter().map(|(member, hosts)| ((*member).to_owned(), *hosts)).collect(),
        }
    }

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    /// Steps as `WHY with:hosts/members×times`.
    fn story(states: &[Seen]) -> (Vec<String>, GrowthView) {
        let mut growth = begun(&states[0], at(0));
        for (i, pair) in states.windows(2).enumerate() {
            changed(&mut growth, &pair[0], &pair[1], at(i as u64 + 1));
        }
        let word = |step: &GrowthStep| {
            let times = if step.times > 1 { format!("×{}", step.times) } else { String::new() };
            format!("{} {}:{}/{}{times}", step.why.name(), step.with.join("+"), step.hosts, step.members)
        };
        (growth.steps.iter().map(word).collect(), growth)
    }

    #[test]
    fn a_partition_tells_why_it_has_the_hosts_that_it_has() {
        use Does::{CarriesOut, Grows, Merges, Waits};
        let mut both = seen(Merges, "9.west.1", &[("east", 2), ("north", 1)]);
        both.events = 2;
        let states = [
            seen(Grows, "east", &[("east", 2)]),
            seen(Grows, "north", &[("east", 2)]),
            seen(Grows, "", &[("east", 2), ("north", 1)]),
            seen(Waits, "", &[("east", 2), ("north", 1)]),
            seen(Merges, "9.west.1", &[("east", 2), ("north", 1)]),
            both,
            Seen { events: 2, ..seen(Merges, "9.west.1", &[("east", 2), ("north", 1), ("west", 2)]) },
            Seen { events: 2, ..seen(Grows, "east", &[("east", 2), ("north", 1), ("west", 2)]) },
            Seen { events: 2, ..seen(Grows, "west", &[("east", 2), ("north", 1), ("west", 4)]) },
            Seen { events: 2, ..seen(Grows, "", &[("east", 2), ("west", 4)]) },
            Seen { events: 2, ..seen(CarriesOut, "", &[("east", 1), ("west", 1)]) },
        ];
        let (told, growth) = story(&states);
        let expected = [
            "BEGAN east:2/1",
            "ASKED north:3/2",
            "BLOCKED :3/2",
            "MERGED 9.west.1:5/3",
            "ASKED west:7/3",
            "LOST north:6/2",
            "RELEASED east+west:2/2",
        ];
        assert_eq!(told, expected);
        assert_eq!((growth.began, growth.since, growth.left_out), (Some(at(0)), Some(at(10)), 0));
    }

    #[test]
    fn one_that_tries_in_vain_again_and_again_is_blocked_so_many_times() {
        let (waits, grows) = (seen(Does::Waits, "", &[("a", 1)]), seen(Does::Grows, "a", &[("a", 1)]));
        let offers = Seen { stage: "OFFERING", with: "1.b.1".into(), ..waits.clone() };
        let mut states = vec![grows.clone()];
        for _ in 0..50 {
            states.extend([waits.clone(), offers.clone(), waits.clone(), grows.clone()]);
        }
        assert_eq!(story(&states).0, ["BEGAN a:1/1", "BLOCKED :1/1×50", "RESUMED :1/1"]);
        // A merge that comes to nothing is none.
        let merges = seen(Does::Merges, "2.b.1", &[("a", 1)]);
        let states = [grows, waits.clone(), merges, waits];
        assert_eq!(story(&states).0, ["BEGAN a:1/1", "BLOCKED :1/1"]);
    }

    #[test]
    fn the_first_step_and_the_last_ones_are_kept() {
        let states: Vec<Seen> = (1..=100).map(|hosts| seen(Does::Grows, "a", &[("a", hosts)])).collect();
        let (told, growth) = story(&states);
        assert_eq!((told.len(), growth.left_out), (KEPT, 100 - KEPT as u32));
        assert_eq!((told[0].as_str(), told[KEPT - 1].as_str()), ("BEGAN a:1/1", "ASKED a:100/1"));
    }
}
