//! What is written over a connection, one after the other, beside what keeps the connection.

use super::session::revision;
use super::{Failed, NotWritten, Session, Wish, within};
use etcd_client::{Client, PutOptions, Txn, TxnOp};
use std::collections::BTreeMap;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Entries of hosts that are written in one step.
const HOSTS_AT_ONCE: usize = 100;

/// Ends with the connection: what was not written then is not.
pub(super) struct Writer {
    wishes: mpsc::UnboundedSender<Wish>,
    failed: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Writer {
    pub(super) fn start(client: Client, lease: i64, session: &Session) -> Self {
        let (wishes, inbox) = mpsc::unbounded_channel();
        let (fails, failed) = watch::channel(false);
        let pen = Pen { client, lease, prefix: session.prefix.clone(), me: session.name.clone() };
        let task = tokio::spawn(async move {
            if let Err(why) = pen.write_all(inbox).await {
                tracing::debug!("etcd: {why}");
                fails.send_replace(true);
            }
        });
        Self { wishes, failed, task }
    }

    pub(super) fn take(&self, wish: Wish) {
        // When it has failed, the connection is given up at once, and all is wished again.
        let _ = self.wishes.send(wish);
    }

    /// Something could not be written.
    pub(super) async fn failed(&self) {
        let mut failed = self.failed.clone();
        if failed.wait_for(|failed| *failed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

struct Pen {
    client: Client,
    lease: i64,
    prefix: String,
    me: String,
}

impl Pen {
    async fn write_all(mut self, mut inbox: mpsc::UnboundedReceiver<Wish>) -> Result<(), Failed> {
        while let Some(wish) = inbox.recv().await {
            match wish {
                Wish::Rules { change, answer } => {
                    let done = self.rules(change).await;
                    let failed = done.clone().err();
                    // Who does not wait any more need not know.
                    let _ = answer.send(done.map_err(NotWritten::Unknown));
                    if let Some(why) = failed {
                        return Err(why);
                    }
                }
                Wish::Seen { member, value } => {
                    let key = format!("{}/seen/{member}/{}", self.prefix, self.me);
                    match value {
                        Some(value) => {
                            let put = PutOptions::new().with_lease(self.lease);
                            within(self.client.put(key, value, Some(put))).await?;
                        }
                        None => _ = within(self.client.delete(key, None)).await?,
                    }
                }
                Wish::Hosts(change) => {
                    let change: Vec<_> = change.into_iter().collect();
                    for some in change.chunks(HOSTS_AT_ONCE) {
                        let steps: Vec<TxnOp> = some.iter().map(|one| self.step("hosts", one)).collect();
                        within(self.client.txn(Txn::new().and_then(steps))).await?;
                    }
                }
            }
        }
        Ok(())
    }

    fn step(&self, folder: &str, (name, value): &(String, Option<String>)) -> TxnOp {
        let key = format!("{}/{folder}/{name}", self.prefix);
        match value {
            Some(value) => TxnOp::put(key, value.clone(), None),
            None => TxnOp::delete(key, None),
        }
    }

    async fn rules(&mut self, change: BTreeMap<String, Option<String>>) -> Result<u64, Failed> {
        let mut steps: Vec<TxnOp> = change.into_iter().map(|one| self.step("rules", &one)).collect();
        steps.push(TxnOp::put(format!("{}/rules", self.prefix), self.me.clone(), None));
        let done = within(self.client.txn(Txn::new().and_then(steps))).await?;
        Ok(revision(done.header().map_or(0, etcd_client::ResponseHeader::revision)))
    }
}
