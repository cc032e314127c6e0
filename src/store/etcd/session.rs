//! The session: the own entry is kept, changes are told, wishes are written, for as long as a server answers; then the
//! next one is tried.

use super::entry::{Entry, Own};
use super::writer::Writer;
use super::{Failed, News, NotWritten, PATIENCE, Session, Wish, within};
use etcd_client::{
    Client, ConnectOptions, EventType, GetOptions, LeaseKeepAliveStream, LeaseKeeper, WatchOptions,
    WatchResponse, WatchStream,
};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::interval;

/// Shortest and longest pause after all servers were tried in vain.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
/// Entries of one answer.
const PAGE: i64 = 2000;

/// What is known of the present connection.
struct Connection {
    client: Client,
    lease: i64,
    keeper: LeaseKeeper,
    kept: LeaseKeepAliveStream,
    changes: WatchStream,
    entry: Entry,
}

impl Session {
    /// Keeps the own entry, tells what is there and writes what is wished, for ever; ends when nobody listens.
    pub async fn run(self, news: mpsc::Sender<News>, mut wishes: mpsc::Receiver<Wish>) {
        let (mut pause, mut server, mut failed) = (PAUSES.0, 0, 0);
        let mut told = false;
        loop {
            let mut stood = false;
            let Err(why) = Box::pin(self.hold(server, &news, &mut wishes, &mut stood)).await;
            if news.is_closed() {
                return;
            }
            if stood {
                (pause, failed, told) = (PAUSES.0, 0, false);
            }
            // One that begins hears of the last of them: the next one may answer.
            if !told && (stood || failed + 1 >= self.endpoints.len()) {
                if news.send(News::Silent(why.clone())).await.is_err() {
                    return;
                }
                told = true;
            }
            server = (server + 1) % self.endpoints.len().max(1);
            failed += 1;
            if failed < self.endpoints.len() {
                continue;
            }
            failed = 0;
            let over = tokio::time::sleep(pause);
            tokio::pin!(over);
            loop {
                tokio::select! {
                    () = &mut over => break,
                    wish = wishes.recv() => match wish {
                        Some(wish) => refuse(wish, &why),
                        None => return,
                    },
                    () = news.closed() => return,
                }
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn key(&self, rest: &str) -> String {
        format!("{}/{rest}", self.prefix)
    }

    async fn connect(&self, server: usize) -> Result<Connection, Failed> {
        let server = self.endpoints.get(server).cloned().unwrap_or_default();
        let options = ConnectOptions::new()
            .with_connect_timeout(PATIENCE)
            .with_keep_alive(Duration::from_secs(2), PATIENCE)
            .with_keep_alive_while_idle(true)
            // One that has lost touch with the majority says so, instead of telling nothing for ever.
            .with_require_leader(true);
        let about = |why: Failed| format!("{server}: {why}");
        let mut client = within(Client::connect([&server], Some(options))).await.map_err(about)?;
        let lease = within(client.lease_grant(i64::from(self.ttl_s), None)).await.map_err(about)?.id();
        let (keeper, kept) = within(client.lease_keep_alive(lease)).await.map_err(about)?;
        let all = WatchOptions::new().with_prefix();
        let changes = within(client.watch(self.key(""), Some(all))).await.map_err(about)?;
        // Watched before it is made: nothing that becomes of it is missed.
        let entry = self.claim(&mut client, lease).await.map_err(about)?;
        Ok(Connection { client, lease, keeper, kept, changes, entry })
    }

    /// Keeps it for as long as the connection stands.
    async fn hold(
        &self,
        server: usize,
        news: &mpsc::Sender<News>,
        wishes: &mut mpsc::Receiver<Wish>,
        stood: &mut bool,
    ) -> Result<Infallible, Failed> {
        let Connection { mut client, lease, mut keeper, mut kept, mut changes, mut entry } =
            self.connect(server).await?;
        say(news, News::Own(entry.own.clone())).await?;
        self.tell_rules(&mut client, news).await?;
        self.tell_hosts(&mut client, news).await?;
        self.tell_members(&mut client, news).await?;
        *stood = true;
        // A slow write must not keep the lease from being prolonged.
        let writer = Writer::start(client.clone(), lease, self);
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
                        self.own_changed(&change, &mut client, &mut entry, news).await?;
                        self.changed(&change, &mut client, news).await?;
                    }
                    _ => return Err("it tells of no changes any more".to_owned()),
                },
                () = entry.outlived() => {
                    entry.is_alive();
                    say(news, News::Own(entry.own.clone())).await?;
                }
                wish = wishes.recv() => match wish {
                    Some(wish) => writer.take(wish),
                    None => return self.leave(&mut client, lease).await,
                },
                () = news.closed() => return self.leave(&mut client, lease).await,
                () = writer.failed() => return Err("it did not take what was written".to_owned()),
            }
        }
    }

    /// Orderly: the others need not wait for the lease to end.
    async fn leave(&self, client: &mut Client, lease: i64) -> Result<Infallible, Failed> {
        let _ = within(client.lease_revoke(lease)).await;
        Err("nobody listens".to_owned())
    }

    /// Tells what has become of the own entry, and makes it again where it has gone.
    async fn own_changed(
        &self,
        change: &WatchResponse,
        client: &mut Client,
        entry: &mut Entry,
        news: &mpsc::Sender<News>,
    ) -> Result<(), Failed> {
        let key = self.own_key();
        let about_it = |event: &&etcd_client::Event| event.kv().is_some_and(|kv| kv.key() == key.as_bytes());
        for event in change.events().iter().filter(about_it) {
            let before = entry.own.clone();
            if entry.changed(event) {
                if before == Own::Kept {
                    say(news, News::Own(Own::Gone)).await?;
                }
                *entry = self.claim(client, entry.lease()).await?;
                say(news, News::Own(entry.own.clone())).await?;
            } else if entry.own != before {
                say(news, News::Own(entry.own.clone())).await?;
            }
        }
        Ok(())
    }

    /// Members and rules are few: they are read again. Of hosts it tells what has changed.
    async fn changed(
        &self,
        change: &WatchResponse,
        client: &mut Client,
        news: &mpsc::Sender<News>,
    ) -> Result<(), Failed> {
        let (mut members, mut rules, mut hosts) = (false, false, BTreeMap::new());
        for event in change.events() {
            let Some((kv, key)) = event.kv().and_then(|kv| Some((kv, kv.key_str().ok()?))) else { continue };
            let Some(rest) = key.strip_prefix(&self.key("")) else { continue };
            match rest.split_once('/') {
                Some(("members" | "seen", _)) => members = true,
                Some(("rules", _)) => rules = true,
                Some(("hosts", host)) => {
                    let put = event.event_type() == EventType::Put;
                    let value = put.then(|| kv.value_str().unwrap_or_default().to_owned());
                    hosts.insert(host.to_owned(), value);
                }
                None if rest == "rules" => rules = true,
                _ => {}
            }
        }
        if !hosts.is_empty() {
            say(news, News::Hosts { all: false, hosts }).await?;
        }
        if rules {
            self.tell_rules(client, news).await?;
        }
        if members {
            self.tell_members(client, news).await?;
        }
        Ok(())
    }

    /// All entries below a folder: name → value and revision.
    async fn read(
        &self,
        client: &mut Client,
        folder: &str,
    ) -> Result<BTreeMap<String, (String, u64)>, Failed> {
        let folder = self.key(&format!("{folder}/"));
        let mut end = folder.clone().into_bytes();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let (mut entries, mut from) = (BTreeMap::new(), folder.clone().into_bytes());
        loop {
            let options = GetOptions::new().with_range(end.clone()).with_limit(PAGE);
            let page = within(client.get(from.clone(), Some(options))).await?;
            for entry in page.kvs() {
                if let (Ok(key), Ok(value)) = (entry.key_str(), entry.value_str()) {
                    let name = key.strip_prefix(folder.as_str()).unwrap_or(key).to_owned();
                    entries.insert(name, (value.to_owned(), revision(entry.mod_revision())));
                }
            }
            match page.kvs().last() {
                Some(last) if page.more() => {
                    from = last.key().to_vec();
                    from.push(0);
                }
                _ => return Ok(entries),
            }
        }
    }

    async fn tell_members(&self, client: &mut Client, news: &mpsc::Sender<News>) -> Result<(), Failed> {
        let own = self.read(client, "members").await?;
        let seen = self.read(client, "seen").await?;
        let pair = |(key, (value, _)): (String, (String, u64))| {
            let (member, by) = key.split_once('/')?;
            Some(((member.to_owned(), by.to_owned()), value))
        };
        let own = own.into_iter().map(|(name, (value, _))| (name, value)).collect();
        say(news, News::Members { own, seen: seen.into_iter().filter_map(pair).collect() }).await
    }

    async fn tell_rules(&self, client: &mut Client, news: &mpsc::Sender<News>) -> Result<(), Failed> {
        let rules = self.read(client, "rules").await?;
        let last = within(client.get(self.key("rules"), None)).await?;
        let last = last.kvs().iter().map(|entry| revision(entry.mod_revision()));
        let revision = rules.values().map(|(_, revision)| *revision).chain(last).max().unwrap_or(0);
        let rules = rules.into_iter().map(|(name, (value, _))| (name, value)).collect();
        say(news, News::Rules { revision, rules }).await
    }

    async fn tell_hosts(&self, client: &mut Client, news: &mpsc::Sender<News>) -> Result<(), Failed> {
        let hosts = self.read(client, "hosts").await?;
        let hosts = hosts.into_iter().map(|(name, (value, _))| (name, Some(value))).collect();
        say(news, News::Hosts { all: true, hosts }).await
    }
}

/// What cannot be written now: who waits for it hears so, the rest is wished again when it is known what is there.
fn refuse(wish: Wish, why: &str) {
    if let Wish::Rules { answer, .. } = wish {
        // Who does not wait any more need not know.
        let _ = answer.send(Err(NotWritten::Silent(why.to_owned())));
    }
}

async fn say(news: &mpsc::Sender<News>, what: News) -> Result<(), Failed> {
    news.send(what).await.map_err(|_| "nobody listens".to_owned())
}

pub(super) fn revision(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
