//! What a coordinator, and the agent of a host, keep.

use super::Dvms;
use super::coordinator::{Answers, Coordinator, Job, Kept};
use super::picture::Picture;
use crate::partition::{Facts, Held, Host, Member, Place};
use crate::simulator::decision::Move;
use crate::simulator::engine::{View, ViewVm};
use crate::simulator::ids::{Agent, HostId};
use crate::simulator::measures::bytes_of;

fn picture(it: &Picture) -> u64 {
    bytes_of::<Picture>(1) + bytes_of::<ViewVm>(it.vms.len())
}

impl Coordinator {
    /// Of what the protocol keeps, the ledger's facts of each host and the reservations of what it leads are counted, and the
    /// ring; its events and what it says next are few and small.
    fn bytes(&self, ring: usize) -> u64 {
        let cell = self.cell.values().filter_map(|kept| kept.picture.as_deref()).map(picture);
        let others = self.neighbours.values().map(|(it, _)| picture(it) + bytes_of::<(HostId, f64)>(1));
        let job = |job: &Job| {
            let hosts = match &job.answers {
                Answers::Cell { hosts, troubles, .. } => bytes_of::<HostId>(hosts.len() + troubles.len()),
                Answers::Ring { hosts, own, .. } => {
                    bytes_of::<(Host, Held)>(hosts.len()) + bytes_of::<HostId>(own.len())
                }
            };
            let best = job.best.as_ref().map_or(0, |(_, moves)| moves.len());
            bytes_of::<Job>(1) + hosts + bytes_of::<Move>(job.moves.len() + best)
        };
        bytes_of::<Self>(1)
            + bytes_of::<(Kept, Host, Facts)>(self.cell.len())
            + bytes_of::<HostId>(self.over.len())
            + bytes_of::<(Member, Place)>(ring)
            + cell.chain(others).sum::<u64>()
            + self.jobs.values().map(job).sum::<u64>()
            + self.line.iter().map(|(_, view)| bytes_of::<(u32, View)>(1) + view.bytes()).sum::<u64>()
    }
}

impl Dvms {
    /// What an agent keeps: what it has told last, and, where a coordinator runs, what that knows.
    pub(super) fn bytes(&self, agent: Agent) -> u64 {
        let told = self.told.get(agent.index()).and_then(Option::as_deref).map_or(0, picture);
        let runs = self.at(agent).map(|k| &self.coordinators[k]).filter(|it| it.node.is_some());
        told + runs.map_or(0, |it| it.bytes(self.coordinators.len()))
    }
}
