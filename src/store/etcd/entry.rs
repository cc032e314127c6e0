//! The own entry: made where there is none, or one of this very coordinator from before; never over that of another one.
//!
//! One that was killed and begins again, or has lost its connection, finds its own entry under a lease that has not run
//! out: it takes that at once, when it has its state directory and its address still. Otherwise it waits for the lease.

use super::session::revision;
use super::{Failed, Session, within};
use etcd_client::{Client, Compare, CompareOp, Event, EventType, PutOptions, Txn, TxnOp, TxnOpResponse};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;

/// Changes of the entry while it is being made.
const TRIES: usize = 8;
/// etcd looks for leases that have run out now and then.
const LEASES_END_WITHIN: Duration = Duration::from_secs(3);

/// How it stands with the own entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Own {
    /// It is there.
    Kept,
    /// Another coordinator has one of this name.
    Taken {
        /// What that says.
        value: String,
        /// It was made just now, or has outlived its lease: somebody keeps it.
        alive: bool,
    },
    /// Somebody has taken it away. It is made again.
    Gone,
}

/// The own entry over one connection.
pub(super) struct Entry {
    lease: i64,
    /// When it was last looked at, as etcd counts: what is older is known.
    revision: u64,
    pub(super) own: Own,
    /// When that of another one must have gone, unless somebody keeps it.
    until: Option<Instant>,
}

/// What an entry says; a newer version may say more.
#[derive(Deserialize)]
struct Said {
    address: String,
    #[serde(default)]
    instance: String,
}

impl Session {
    pub(super) fn own_key(&self) -> String {
        format!("{}/members/{}", self.prefix, self.name)
    }

    /// Whether an entry is one of this coordinator, of before. Versions that tell no instance are told by their address.
    fn is_mine(&self, value: &str) -> bool {
        let said: Option<Said> = serde_json::from_str(value).ok();
        said.is_some_and(|said| {
            said.address == self.address && (said.instance.is_empty() || said.instance == self.instance)
        })
    }

    /// Makes the own entry, if nobody else has one of the name.
    pub(super) async fn claim(&self, client: &mut Client, lease: i64) -> Result<Entry, Failed> {
        let key = self.own_key();
        let put = || TxnOp::put(key.clone(), self.value.clone(), Some(PutOptions::new().with_lease(lease)));
        let kept = |done: &etcd_client::TxnResponse| Entry {
            lease,
            revision: revision(done.header().map_or(0, etcd_client::ResponseHeader::revision)),
            own: Own::Kept,
            until: None,
        };
        for _ in 0..TRIES {
            let none = Compare::version(key.clone(), CompareOp::Equal, 0);
            let look = TxnOp::get(key.clone(), None);
            let done = within(client.txn(Txn::new().when([none]).and_then([put()]).or_else([look]))).await?;
            if done.succeeded() {
                return Ok(kept(&done));
            }
            let mut answers = done.op_responses().into_iter();
            let Some(TxnOpResponse::Get(found)) = answers.next() else { continue };
            let Some(found) = found.kvs().first() else { continue };
            let value = found.value_str().unwrap_or_default();
            if self.is_mine(value) {
                let same = Compare::mod_revision(key.clone(), CompareOp::Equal, found.mod_revision());
                let done = within(client.txn(Txn::new().when([same]).and_then([put()]))).await?;
                if done.succeeded() {
                    return Ok(kept(&done));
                }
                continue;
            }
            let lasts = match found.lease() {
                0 => i64::from(self.ttl_s),
                lease => within(client.lease_time_to_live(lease, None)).await?.granted_ttl(),
            };
            let lasts = Duration::from_secs(u64::try_from(lasts).unwrap_or(0));
            return Ok(Entry {
                lease,
                revision: revision(found.mod_revision()),
                own: Own::Taken { value: value.to_owned(), alive: false },
                until: Some(Instant::now() + lasts + LEASES_END_WITHIN),
            });
        }
        Err(format!("{key} is being changed all the time"))
    }
}

impl Entry {
    pub(super) fn lease(&self) -> i64 {
        self.lease
    }

    /// Something has become of the entry. True when it has gone, and is to be made again.
    pub(super) fn changed(&mut self, event: &Event) -> bool {
        let Some(kv) = event.kv() else { return false };
        if revision(kv.mod_revision()) <= self.revision {
            return false;
        }
        self.revision = revision(kv.mod_revision());
        if event.event_type() == EventType::Delete {
            return true;
        }
        if kv.lease() != self.lease {
            let value = kv.value_str().unwrap_or_default().to_owned();
            (self.own, self.until) = (Own::Taken { value, alive: true }, None);
        }
        false
    }

    /// Returns when that of another one must have gone by now; for ever, when there is none.
    pub(super) async fn outlived(&self) {
        match self.until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    /// Somebody keeps that of another one.
    pub(super) fn is_alive(&mut self) {
        self.until = None;
        if let Own::Taken { alive, .. } = &mut self.own {
            *alive = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_before_is_known_by_instance_and_address() {
        let session = Session {
            endpoints: Vec::new(),
            prefix: "/dvms".into(),
            name: "east".into(),
            address: "a:1".into(),
            instance: "i".into(),
            value: String::new(),
            ttl_s: 10,
        };
        for (value, mine) in [
            (r#"{"name":"east","address":"a:1","instance":"i","zone":7}"#, true),
            (r#"{"name":"east","address":"a:1"}"#, true),
            (r#"{"name":"east","address":"a:1","instance":"j"}"#, false),
            (r#"{"name":"east","address":"b:1","instance":"i"}"#, false),
            (r#"{"name":"east","address":"b:1"}"#, false),
            ("east", false),
        ] {
            assert_eq!(session.is_mine(value), mine, "{value}");
        }
    }
}
