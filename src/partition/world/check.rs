//! What must hold at every instant.

use super::*;

impl World {
    /// The first thing that does not hold.
    pub(in crate::partition) fn violated(&self) -> Option<String> {
        let mut leaders: BTreeMap<&PartitionId, &Member> = BTreeMap::new();
        let mut acting: BTreeMap<Host, PartitionId> = BTreeMap::new();
        for (member, node) in &self.nodes {
            let now = self.clock(member).at;
            for (id, led) in node.partitions() {
                if let Some(other) = leaders.insert(id, member) {
                    return Some(format!("{id} is led by {other} and {member}"));
                }
                if led.events().next().is_none() && led.takes_part_in_nothing() {
                    return Some(format!("{id} is for nothing"));
                }
                match led.stage() {
                    Stage::Offering { into, .. } if into >= id => {
                        return Some(format!("{id} offers itself to {into}"));
                    }
                    Stage::Absorbing { from, .. } | Stage::Adopting { from, .. } if from <= id => {
                        return Some(format!("{id} absorbs {from}"));
                    }
                    _ => {}
                }
                if node.was_absorbed(id) {
                    return Some(format!("{id} was absorbed, and goes on"));
                }
                if !matches!(led.stage(), Stage::Executing) {
                    continue;
                }
                for (host, held) in led.valid_hosts(now) {
                    if let Some(other) = acting.insert(host.clone(), id.clone()) {
                        return Some(format!("{host} is of {other} and {id}"));
                    }
                    let Some(owner) = self.nodes.get(&held.owner) else { continue };
                    if !owner.ledger().cell().any(|(theirs, _)| *theirs == host) {
                        continue;
                    }
                    let held_there = owner.holder(&host);
                    let settled = owner.ledger().unsettled(&host).is_none();
                    let same = held_there
                        .is_some_and(|r| r.partition == *id && r.epoch == held.epoch && r.committed);
                    let elsewhere = held_there.is_some_and(|r| r.partition != *id);
                    if settled && (!same || elsewhere) {
                        return Some(format!(
                            "{id} counts on {host}, which its owner holds for {held_there:?}"
                        ));
                    }
                }
            }
            for (host, reservation) in node.ledger().held() {
                if reservation.until > now + settings().lease {
                    return Some(format!("{host} is reserved for longer than a lease"));
                }
                // Who is believed on an unsettled host may have lost it without a word; nothing of it begins there.
                let certain = reservation.committed || node.ledger().unsettled(host).is_none();
                if certain && self.aloft.get(host).is_some_and(|by| *by != reservation.partition) {
                    return Some(format!(
                        "{host} is reserved for {} while {:?} acts there",
                        reservation.partition, self.aloft[host]
                    ));
                }
            }
        }
        None
    }

    /// Room of all hosts together, less what they are over: no plan changes it.
    pub(in crate::partition) fn total(&self) -> i64 {
        self.room.values().sum()
    }

    /// Whether nothing is left to do: no event stands, nothing is reserved, nobody leads.
    pub(in crate::partition) fn is_at_rest(&self) -> bool {
        self.down.is_empty()
            && self.room.values().all(|room| *room >= 0)
            && self.aloft.is_empty()
            && self.nodes.values().all(|node| {
                node.partitions().next().is_none()
                    && node.ledger().held().next().is_none()
                    && node.events().next().is_none()
            })
    }

    /// Whether there is room for all that is over, and there are hosts enough.
    pub(in crate::partition) fn is_solvable(&self) -> bool {
        let hard = self.least.iter().filter(|(host, _)| self.room[*host] < 0);
        self.total() >= 0 && hard.map(|(_, least)| *least).max() <= Some(self.usable())
    }

    /// Hosts that a partition can have at most: those with room, and those that are over.
    fn usable(&self) -> usize {
        self.room.values().filter(|room| **room != 0).count()
    }
}
