//! What readers see of the ring.

use super::Membership;
use super::wishes::trouble_of;
use crate::coordinator::view::{OtherMember, PartitionView, RingView};
use crate::partition::{Led, PartitionId};
use std::sync::Arc;

impl Membership {
    /// What readers see, as of the last look.
    pub(in crate::coordinator::core) fn shown(&self) -> Arc<RingView> {
        self.shown.clone()
    }

    /// Shows it as it is now.
    pub(super) fn show(&mut self) {
        self.shown = Arc::new(self.view());
    }

    fn view(&self) -> RingView {
        let place = |name: &str| self.places.get(name).cloned().unwrap_or_default();
        let other = |name: String| OtherMember {
            up: self.up.contains(&name),
            leaving: self.census.leaving.contains(&name),
            round_trip: self.near.get(&name).copied(),
            address: place(&name).address,
            site: place(&name).site,
            name,
        };
        let own = place(self.me());
        let tour = self.node.ring().tour(self.node.me());
        RingView {
            address: own.address,
            site: own.site,
            others: tour.iter().skip(1).map(|member| other(member.to_string())).collect(),
            partitions: self.node.partitions().map(|(id, led)| self.partition(id, led)).collect(),
            events: self.raised.keys().map(ToString::to_string).collect(),
            free_hosts: self.node.ledger().free(),
            told: self.told.values().flat_map(|(members, _)| members.clone()).collect(),
            knows_kept: self.kept.is_known(),
            departed: self.census.departed.clone(),
            forgotten: self.kept.forgotten.clone(),
        }
    }

    fn partition(&self, id: &PartitionId, led: &Led) -> PartitionView {
        let need = led.need();
        PartitionView {
            id: id.to_string(),
            stage: led.stage().name(),
            with: led.stage().with(),
            lacking: (need.room.map(|amount| amount.max(0)), need.hosts),
            growth: self.growth.of(id).cloned().unwrap_or_default(),
            kind: trouble_of(led.kind()).name(),
            hosts: led
                .hosts()
                .iter()
                .map(|(host, held)| (host.to_string(), held.owner.to_string()))
                .collect(),
            events: led.events().map(|event| format!("{}@{}", event.key, event.owner)).collect(),
            plan: self.plans.get(id).cloned().unwrap_or_default(),
            version: led.version(),
        }
    }
}
