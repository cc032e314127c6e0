//! The owner's side: what leaders ask of the hosts of this cell.

use super::Node;
use crate::partition::event::Need;
use crate::partition::ledger::{Granted, Prolonging, Renewal, Request};
use crate::partition::message::Body;
use crate::partition::names::{Host, Member, PartitionId};
use crate::partition::time::{Now, Time};
use std::collections::BTreeSet;

impl Node {
    pub(super) fn as_owner(&mut self, from: &Member, body: Body, now: Now) {
        match body {
            Body::Reserve { partition, ask, sent, .. } if self.leaving => {
                self.answer(from, &partition, ask, Granted::default(), sent);
            }
            Body::Reserve { partition, kind, ask, named, need, all, most, sent } => {
                let request = Request {
                    partition: &partition,
                    leader: from,
                    kind,
                    ask,
                    named: &named,
                    need,
                    all,
                    most,
                };
                let granted = self.ledger.reserve(&request, now.at);
                self.answer(from, &partition, ask, granted, sent);
            }
            Body::Adopt { from: young, into, kind, ask, hosts, sent } => {
                let named: BTreeSet<Host> = BTreeSet::new();
                let (need, all, most) = (Need::default(), false, 0);
                let request =
                    Request { partition: &into, leader: from, kind, ask, named: &named, need, all, most };
                let granted = self.ledger.adopt(&young, &hosts, &request, now.at);
                self.answer(from, &into, ask, granted, sent);
            }
            Body::Renew { partition, kind, hosts, commit, confirmed, events, sent } => {
                let asked = Prolonging {
                    partition: &partition,
                    leader: from,
                    kind,
                    hosts: &hosts,
                    commit,
                    confirmed,
                };
                let Renewal { hosts, lost, committed } = self.ledger.renew(&asked, now.at);
                self.said_in_hand(from, &partition, &events, now);
                self.send(from, Body::Renewed { partition, hosts, lost, committed, sent });
            }
            Body::Release { partition, hosts, events } => {
                self.ledger.release(&partition, &hosts);
                self.said_ended(&partition, &events, now);
            }
            _ => {}
        }
    }

    fn answer(&mut self, to: &Member, partition: &PartitionId, ask: u64, granted: Granted, sent: Time) {
        for ((leader, partition), hosts) in granted.revoked {
            self.send(&leader, Body::Revoked { partition, hosts });
        }
        let body = Body::Granted {
            partition: partition.clone(),
            ask,
            hosts: granted.hosts,
            more: granted.more,
            holders: granted.holders,
            later: granted.later,
            first_out: self.first_out(),
            sent,
        };
        self.send(to, body);
    }

    /// The first member after this one that has said it has free hosts: the shortcut over those that have none.
    fn first_out(&self) -> Option<Member> {
        let has_some = |member: &Member| self.free.get(member).is_some_and(|free| *free > 0);
        self.ring.tour(&self.me).into_iter().skip(1).find(has_some)
    }
}
