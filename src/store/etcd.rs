//! Members of a ring in etcd: each one's own entry lives as long as it is heard of (a lease), and all are told of each
//! other's. Nothing else waits for etcd: while it does not answer, what was last known stays.
//!
//! ```text
//! PREFIX/members/NAME   JSON of the member, under its lease
//! ```

use etcd_client::{Client, ConnectOptions, GetOptions, PutOptions, WatchOptions};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};

/// Longest that a call may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longest pause between two tries to reach it.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// An entry that is kept as long as this process lives.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `host:port` of the servers.
    pub endpoints: Vec<String>,
    /// What the names of all keys begin with.
    pub prefix: String,
    /// The name of the own entry.
    pub name: String,
    /// What it says.
    pub value: String,
    /// Seconds after which it goes when this process is not heard of.
    pub ttl_s: u32,
}

/// What is known of all entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// These are all entries, the own one too.
    Entries(BTreeMap<String, String>),
    /// It does not answer; why.
    Silent(String),
}

type Failed = String;

impl Entry {
    /// Keeps the entry and tells of all, for ever; ends when nobody listens.
    pub async fn keep(self, news: mpsc::Sender<News>) {
        let mut pause = Duration::from_millis(100);
        let mut told = false;
        loop {
            let Err(why) = self.hold(&news, &mut told, &mut pause).await;
            if !told && news.send(News::Silent(why)).await.is_err() {
                return;
            }
            told = true;
            if news.is_closed() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn folder(&self) -> String {
        format!("{}/members/", self.prefix)
    }

    /// Keeps it for as long as the connection stands.
    async fn hold(
        &self,
        news: &mpsc::Sender<News>,
        told: &mut bool,
        pause: &mut Duration,
    ) -> Result<std::convert::Infallible, Failed> {
        let options = ConnectOptions::new()
            .with_connect_timeout(PATIENCE)
            .with_keep_alive(Duration::from_secs(2), PATIENCE)
            .with_keep_alive_while_idle(true);
        let mut client = within(Client::connect(&self.endpoints, Some(options))).await?;
        let lease = within(client.lease_grant(i64::from(self.ttl_s), None)).await?.id();
        let own = format!("{}{}", self.folder(), self.name);
        let put = PutOptions::new().with_lease(lease);
        within(client.put(own, self.value.clone(), Some(put))).await?;
        let (mut keeper, mut kept) = within(client.lease_keep_alive(lease)).await?;
        let watch = WatchOptions::new().with_prefix();
        let mut changes = within(client.watch(self.folder(), Some(watch))).await?;
        self.tell(&mut client, news).await?;
        (*told, *pause) = (false, Duration::from_millis(100));
        let mut ticks = interval(Duration::from_secs(u64::from(self.ttl_s)) / 3);
        let mut asked = 0u32;
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    if asked > 1 {
                        return Err("it does not answer".to_owned());
                    }
                    asked += 1;
                    within(keeper.keep_alive()).await?;
                }
                answer = kept.message() => match answer.map_err(|error| error.to_string())? {
                    Some(answer) if answer.ttl() > 0 => asked = 0,
                    _ => return Err("the lease of the own entry has ended".to_owned()),
                },
                change = changes.message() => match change.map_err(|error| error.to_string())? {
                    Some(change) if !change.canceled() => {
                        // A few entries: all are read again.
                        if !change.events().is_empty() {
                            self.tell(&mut client, news).await?;
                        }
                    }
                    _ => return Err("it tells of no changes any more".to_owned()),
                },
                () = news.closed() => {
                    // Orderly: the others need not wait for the lease to end.
                    let _ = within(client.lease_revoke(lease)).await;
                    return Err("nobody listens".to_owned());
                }
            }
        }
    }

    async fn tell(&self, client: &mut Client, news: &mpsc::Sender<News>) -> Result<(), Failed> {
        let folder = self.folder();
        let all = within(client.get(folder.clone(), Some(GetOptions::new().with_prefix()))).await?;
        let mut entries = BTreeMap::new();
        for entry in all.kvs() {
            if let (Ok(key), Ok(value)) = (entry.key_str(), entry.value_str()) {
                entries.insert(key.trim_start_matches(folder.as_str()).to_owned(), value.to_owned());
            }
        }
        news.send(News::Entries(entries)).await.map_err(|_| "nobody listens".to_owned())
    }
}

async fn within<T>(call: impl Future<Output = Result<T, etcd_client::Error>>) -> Result<T, Failed> {
    match timeout(PATIENCE, call).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}
