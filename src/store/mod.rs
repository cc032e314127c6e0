//! What outlives the process: plans with their lives, events, what operators want of hosts, the epoch
//! counter, which hosts were there, and what migrations have taught. One SQLite file in the state directory.
//!
//! Nothing in it is believed over an agent's inventory: hosts and VMs are known from their agents. VMs are kept
//! while no agent can tell of them: those of hosts that are out of reach, and those that wait for a place.
//! Calls block; the coordinator makes them on a thread of its own.

mod error;
pub mod etcd;
mod lock;
mod schema;
#[cfg(test)]
mod tests;

pub use error::StoreError;

use crate::record::{AdminState, Capacity, Event, PlanRecord, VmReport};
use dvms_solver::file::{Constraint, Plan, Problem};
use dvms_solver::migration::learned::Estimate;
use lock::Lock;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use schema::Found;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

/// Name of the file in the state directory.
pub const FILE: &str = "dvms.db";

/// Epochs are taken from the file in blocks, so that not every session costs a write to the disk. Those of a
/// block that are not used before a restart are skipped.
const EPOCH_BLOCK: u64 = 64;

/// A host that was there once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownHost {
    /// Unique.
    pub name: String,
    /// What it had.
    pub capacity: Capacity,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When its agent was last heard.
    pub last_seen: SystemTime,
    /// Another one after each start of the host; empty = not known.
    #[serde(default)]
    pub boot_id: String,
    /// VMs that live there and that nobody tells of, as it is out of reach; cpu use is the smoothed one.
    #[serde(default)]
    pub vms: Vec<VmReport>,
    /// VMs that ran there when it was restarted and wait for a place since.
    #[serde(default)]
    pub waiting: Vec<VmReport>,
}

/// Source and destination of migrations; empty = any.
pub type Way = (String, String);

/// Rules that are not of the configuration file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeptRules {
    /// Greater than before each change.
    pub revision: u64,
    /// By name.
    pub rules: BTreeMap<String, Constraint>,
}

/// One thing to write.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A plan came or changed.
    Plan(Arc<PlanRecord>),
    /// Something happened.
    Event(Arc<Event>),
    /// An operator wants something of a host; the epoch of the session of its agent at which that was said.
    HostState(String, AdminState, u64),
    /// A host came or changed.
    Host(KnownHost),
    /// A host was removed; with it goes what the operator wanted of it, and what was learned of it.
    HostGone(String),
    /// A migration has taught something of a source and a destination; empty = any.
    Learned(Way, Estimate),
    /// These are the rules that are not of the configuration file, and there are no others.
    Rules(KeptRules),
    /// These coordinators have left the ring without a word, and no others.
    Departed(BTreeSet<String>),
}

/// The open file. There is one of it for a state directory at a time.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    /// The last epoch that was given out, and the last that the file allows to give out.
    epoch: (u64, u64),
    /// Problem and plan of each record as last written. They are large and do not change while the record
    /// does many times, so they are written only when they are others.
    written: BTreeMap<String, (Weak<Problem>, Weak<Plan>)>,
    /// Held, not read: ends with the store.
    _lock: Option<Lock>,
}

impl Store {
    /// Opens the file in a state directory; makes both if they are not there, and refuses a second server.
    ///
    /// # Errors
    /// The folder cannot be written, another server has it, the file is damaged, foreign or too new.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let lock = Lock::take(state_dir)?;
        let path = state_dir.join(FILE);
        let connection =
            Connection::open(&path).map_err(|error| failure(&path, "open the database", error))?;
        Self::new(connection, path, Some(lock))
    }

    /// A store that ends with the process.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn open_in_memory() -> Result<Self, StoreError> {
        let path = PathBuf::from(":memory:");
        let connection =
            Connection::open_in_memory().map_err(|error| failure(&path, "open the database", error))?;
        Self::new(connection, path, None)
    }

    fn new(mut connection: Connection, path: PathBuf, lock: Option<Lock>) -> Result<Self, StoreError> {
        let prepare = |connection: &Connection| {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // An epoch and an outcome that was acknowledged must survive a power cut.
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
        };
        let verdict = prepare(&connection).map_err(|error| failure(&path, "open the database", error))?;
        if verdict != "ok" {
            return Err(StoreError::Damaged { path, message: verdict });
        }
        match schema::migrate(&mut connection).map_err(|error| failure(&path, "prepare the tables", error))? {
            Found::Ready => {}
            Found::Foreign => return Err(StoreError::Foreign { path }),
            Found::Newer(found) => {
                return Err(StoreError::Newer { path, found, known: schema::VERSION });
            }
        }
        let query = "SELECT value FROM counters WHERE name = 'epoch'";
        let epoch: Option<i64> = (connection.query_row(query, [], |row| row.get(0)).optional())
            .map_err(|error| failure(&path, "read the epoch", error))?;
        let epoch = u64::try_from(epoch.unwrap_or(0)).unwrap_or(0);
        Ok(Self { connection, path, epoch: (epoch, epoch), written: BTreeMap::new(), _lock: lock })
    }

    /// A number greater than `at_least` and than any that this file has ever given, over restarts too.
    ///
    /// # Errors
    /// It cannot be made durable, or there is no greater number.
    pub fn next_epoch(&mut self, at_least: u64) -> Result<u64, StoreError> {
        let next = (self.epoch.0.max(at_least).checked_add(1)).filter(|next| i64::try_from(*next).is_ok());
        let next = next.ok_or(StoreError::EpochExhausted(at_least))?;
        if next > self.epoch.1 {
            let until = key(next.saturating_add(EPOCH_BLOCK));
            let sql = "INSERT INTO counters VALUES ('epoch', ?1)
                       ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            self.connection
                .execute(sql, [until])
                .map_err(|error| failure(&self.path, "keep the epoch", error))?;
            self.epoch.1 = until.unsigned_abs();
        }
        self.epoch.0 = next;
        Ok(next)
    }

    /// Writes all or, on an error, nothing.
    ///
    /// # Errors
    /// What the database says.
    pub fn write(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let fail = |error| failure(&self.path, "write", error);
        let mut written = Vec::new();
        let transaction = self.connection.transaction().map_err(fail)?;
        for change in changes {
            match change {
                Change::Plan(record) => {
                    let last = written.iter().rev().find(|(id, _)| *id == record.id);
                    let last = last.map(|(_, documents)| documents).or_else(|| self.written.get(&record.id));
                    let documents = write_plan(&transaction, record, last).map_err(fail)?;
                    written.push((record.id.clone(), documents));
                }
                Change::Event(event) => {
                    let sql = "INSERT OR REPLACE INTO events VALUES (?1, ?2, ?3)";
                    let row = params![key(event.id), event.kind.name(), json(&**event)];
                    execute(&transaction, sql, row).map_err(fail)?;
                }
                Change::HostState(host, state, epoch) => {
                    let sql = "INSERT OR REPLACE INTO host_states VALUES (?1, ?2, ?3)";
                    execute(&transaction, sql, params![host, json(state), key(*epoch)]).map_err(fail)?;
                }
                Change::Host(host) => {
                    let sql = "INSERT OR REPLACE INTO hosts VALUES (?1, ?2)";
                    execute(&transaction, sql, params![host.name, json(host)]).map_err(fail)?;
                }
                Change::HostGone(name) => {
                    execute(&transaction, "DELETE FROM hosts WHERE name = ?1", params![name])
                        .map_err(fail)?;
                    let sql = "DELETE FROM host_states WHERE host = ?1";
                    execute(&transaction, sql, params![name]).map_err(fail)?;
                    let sql = "DELETE FROM learned WHERE source = ?1 OR destination = ?1";
                    execute(&transaction, sql, params![name]).map_err(fail)?;
                }
                Change::Learned((source, destination), estimate) => {
                    let sql = "INSERT OR REPLACE INTO learned VALUES (?1, ?2, ?3)";
                    execute(&transaction, sql, params![source, destination, json(estimate)]).map_err(fail)?;
                }
                Change::Rules(kept) => write_rules(&transaction, kept).map_err(fail)?,
                Change::Departed(members) => {
                    execute(&transaction, "DELETE FROM departed", params![]).map_err(fail)?;
                    for member in members {
                        let sql = "INSERT INTO departed VALUES (?1)";
                        execute(&transaction, sql, params![member]).map_err(fail)?;
                    }
                }
            }
        }
        transaction.commit().map_err(fail)?;
        self.written.extend(written);
        Ok(())
    }

    /// Keeps a plan as it is now.
    ///
    /// # Errors
    /// What the database says.
    pub fn save_plan(&mut self, record: &PlanRecord) -> Result<(), StoreError> {
        self.write(&[Change::Plan(Arc::new(record.clone()))])
    }

    /// Keeps an event; its id is the caller's, see [`Store::last_event_id`].
    ///
    /// # Errors
    /// What the database says.
    pub fn append_event(&mut self, event: &Event) -> Result<(), StoreError> {
        self.write(&[Change::Event(Arc::new(event.clone()))])
    }

    /// Keeps what an operator wants of a host.
    ///
    /// # Errors
    /// What the database says.
    pub fn set_host_state(&mut self, host: &str, state: AdminState, epoch: u64) -> Result<(), StoreError> {
        self.write(&[Change::HostState(host.to_owned(), state, epoch)])
    }

    /// At most `limit` plans, newest first.
    ///
    /// # Errors
    /// What the database says, or which record cannot be read.
    pub fn plans(&self, limit: usize) -> Result<Vec<PlanRecord>, StoreError> {
        let sql = "SELECT id, record, problem, plan FROM plans ORDER BY id DESC LIMIT ?1";
        self.rows(sql, limit, |row| self.plan_of(row))
    }

    /// One plan.
    ///
    /// # Errors
    /// What the database says, or that the record cannot be read.
    pub fn plan(&self, id: &str) -> Result<Option<PlanRecord>, StoreError> {
        let sql = "SELECT id, record, problem, plan FROM plans WHERE id = ?1";
        let row = self.connection.query_row(sql, [id], |row| Ok(self.plan_of(row)));
        row.optional().map_err(|error| failure(&self.path, "read a plan", error))?.transpose()
    }

    /// At most `limit` events, newest first.
    ///
    /// # Errors
    /// What the database says, or which record cannot be read.
    pub fn events(&self, limit: usize) -> Result<Vec<Event>, StoreError> {
        let sql = "SELECT id, record FROM events ORDER BY id DESC LIMIT ?1";
        self.rows(sql, limit, |row| {
            let id: i64 = row.get(0).map_err(|error| failure(&self.path, "read an event", error))?;
            self.read(row, 1, &format!("event {id}"))
        })
    }

    /// The greatest id of an event; 0 = there is none.
    ///
    /// # Errors
    /// What the database says.
    pub fn last_event_id(&self) -> Result<u64, StoreError> {
        let id = self.connection.query_row("SELECT coalesce(max(id), 0) FROM events", [], |row| row.get(0));
        let id: i64 = id.map_err(|error| failure(&self.path, "read the events", error))?;
        Ok(id.unsigned_abs())
    }

    /// What operators want of hosts, by host, and at which epoch that was said.
    ///
    /// # Errors
    /// What the database says, or which record cannot be read.
    pub fn host_states(&self) -> Result<BTreeMap<String, (AdminState, u64)>, StoreError> {
        let sql = "SELECT host, state, epoch FROM host_states ORDER BY host LIMIT ?1";
        let states = self.rows(sql, usize::MAX, |row| {
            let host: String = row.get(0).map_err(|error| failure(&self.path, "read a host", error))?;
            let state = self.read(row, 1, &format!("the state of host {host}"))?;
            let epoch: i64 = row.get(2).map_err(|error| failure(&self.path, "read a host", error))?;
            Ok((host, (state, epoch.unsigned_abs())))
        })?;
        Ok(states.into_iter().collect())
    }

    /// Hosts that were there once and were not removed, by name.
    ///
    /// # Errors
    /// What the database says, or which record cannot be read.
    pub fn known_hosts(&self) -> Result<Vec<KnownHost>, StoreError> {
        let sql = "SELECT name, record FROM hosts ORDER BY name LIMIT ?1";
        self.rows(sql, usize::MAX, |row| {
            let name: String = row.get(0).map_err(|error| failure(&self.path, "read a host", error))?;
            self.read(row, 1, &format!("host {name}"))
        })
    }

    /// What migrations have taught, by source and destination; empty = any.
    ///
    /// # Errors
    /// What the database says, or which record cannot be read.
    pub fn learned(&self) -> Result<Vec<(Way, Estimate)>, StoreError> {
        let sql = "SELECT source, destination, record FROM learned ORDER BY source, destination LIMIT ?1";
        self.rows(sql, usize::MAX, |row| {
            let name =
                |column| row.get(column).map_err(|error| failure(&self.path, "read what was learned", error));
            let (source, destination): Way = (name(0)?, name(1)?);
            let estimate = self.read(row, 2, &format!("what was learned of {source} and {destination}"))?;
            Ok(((source, destination), estimate))
        })
    }

    /// Coordinators that have left the ring without a word.
    ///
    /// # Errors
    /// What the database says.
    pub fn departed(&self) -> Result<BTreeSet<String>, StoreError> {
        let read =
            |row: &Row<'_>| row.get(0).map_err(|error| failure(&self.path, "read a coordinator", error));
        let members = self.rows("SELECT member FROM departed ORDER BY member LIMIT ?1", usize::MAX, read)?;
        Ok(members.into_iter().collect())
    }

    /// Rules that are not of the configuration file.
    ///
    /// # Errors
    /// What the database says, or which record cannot be read.
    pub fn rules(&self) -> Result<KeptRules, StoreError> {
        let query = "SELECT value FROM counters WHERE name = 'rules'";
        let revision: Option<i64> = (self.connection.query_row(query, [], |row| row.get(0)).optional())
            .map_err(|error| failure(&self.path, "read the rules", error))?;
        let rules =
            self.rows("SELECT name, record FROM rules ORDER BY name LIMIT ?1", usize::MAX, |row| {
                let name: String = row.get(0).map_err(|error| failure(&self.path, "read a rule", error))?;
                let rule = self.read(row, 1, &format!("rule {name}"))?;
                Ok((name, rule))
            })?;
        let revision = u64::try_from(revision.unwrap_or(0)).unwrap_or(0);
        Ok(KeptRules { revision, rules: rules.into_iter().collect() })
    }

    /// Forgets all but the newest `plans` plans that have ended and the newest `events` events. Plans that
    /// have not ended and the last event stay.
    ///
    /// # Errors
    /// What the database says.
    pub fn prune(&mut self, plans: usize, events: usize) -> Result<(), StoreError> {
        let fail = |error| failure(&self.path, "forget old records", error);
        let transaction = self.connection.transaction().map_err(fail)?;
        let old_plans = "DELETE FROM plans WHERE ended = 1 AND id NOT IN
                         (SELECT id FROM plans WHERE ended = 1 ORDER BY id DESC LIMIT ?1)";
        execute(&transaction, old_plans, params![count(plans)]).map_err(fail)?;
        let old_events = "DELETE FROM events WHERE id <=
                          (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?1)";
        execute(&transaction, old_events, params![count(events.max(1))]).map_err(fail)?;
        transaction.commit().map_err(fail)?;
        // Documents that nobody else holds are of records that are not written any more.
        self.written.retain(|_, (problem, plan)| problem.strong_count() + plan.strong_count() > 0);
        Ok(())
    }

    fn rows<T>(
        &self,
        sql: &str,
        limit: usize,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let fail = |error| failure(&self.path, "read", error);
        let mut statement = self.connection.prepare_cached(sql).map_err(fail)?;
        let mut rows = statement.query([count(limit)]).map_err(fail)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(fail)? {
            found.push(read(row)?);
        }
        Ok(found)
    }

    fn plan_of(&self, row: &Row<'_>) -> Result<PlanRecord, StoreError> {
        let fail = |error| failure(&self.path, "read a plan", error);
        let id: String = row.get(0).map_err(fail)?;
        let mut record: PlanRecord = self.read(row, 1, &format!("plan {id}"))?;
        if row.get_ref(2).map_err(fail)?.as_str_or_null().map_err(|error| fail(error.into()))?.is_some() {
            record.problem = Some(Arc::new(self.read(row, 2, &format!("the problem of plan {id}"))?));
        }
        if row.get_ref(3).map_err(fail)?.as_str_or_null().map_err(|error| fail(error.into()))?.is_some() {
            record.plan = Some(Arc::new(self.read(row, 3, &format!("the actions of plan {id}"))?));
        }
        Ok(record)
    }

    fn read<T: DeserializeOwned>(&self, row: &Row<'_>, column: usize, record: &str) -> Result<T, StoreError> {
        let text: String = row.get(column).map_err(|error| failure(&self.path, "read", error))?;
        serde_json::from_str(&text).map_err(|error| StoreError::Record {
            path: self.path.clone(),
            record: record.to_owned(),
            message: error.to_string(),
        })
    }
}

/// Writes a record, and its problem and plan where they are others than the `last` ones.
fn write_plan(
    connection: &Connection,
    record: &PlanRecord,
    last: Option<&(Weak<Problem>, Weak<Plan>)>,
) -> rusqlite::Result<(Weak<Problem>, Weak<Plan>)> {
    let life = PlanRecord { problem: None, plan: None, ..record.clone() };
    let ended = i64::from(record.state.is_terminal());
    let sql = "INSERT INTO plans (id, state, ended, record) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (id) DO UPDATE SET state = ?2, ended = ?3, record = ?4";
    execute(connection, sql, params![record.id, record.state.name(), ended, json(&life)])?;
    let problem = record.problem.as_ref().map(Arc::downgrade).unwrap_or_default();
    let plan = record.plan.as_ref().map(Arc::downgrade).unwrap_or_default();
    if last.is_none_or(|(last, _)| !last.ptr_eq(&problem)) {
        let sql = "UPDATE plans SET problem = ?2 WHERE id = ?1";
        execute(connection, sql, params![record.id, record.problem.as_deref().map(json)])?;
    }
    if last.is_none_or(|(_, last)| !last.ptr_eq(&plan)) {
        let sql = "UPDATE plans SET plan = ?2 WHERE id = ?1";
        execute(connection, sql, params![record.id, record.plan.as_deref().map(json)])?;
    }
    Ok((problem, plan))
}

fn execute(connection: &Connection, sql: &str, row: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(row).map(|_| ())
}

/// # Panics
/// Never: records are plain data with names as keys.
fn json<T: Serialize>(record: &T) -> String {
    serde_json::to_string(record).expect("records are plain data with names as keys")
}

fn write_rules(transaction: &rusqlite::Transaction<'_>, kept: &KeptRules) -> rusqlite::Result<()> {
    execute(transaction, "DELETE FROM rules", params![])?;
    for (name, rule) in &kept.rules {
        execute(transaction, "INSERT INTO rules VALUES (?1, ?2)", params![name, json(rule)])?;
    }
    let sql = "INSERT OR REPLACE INTO counters VALUES ('rules', ?1)";
    execute(transaction, sql, params![key(kept.revision)])?;
    Ok(())
}

/// SQLite counts with a sign.
fn key(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn failure(path: &Path, what: &'static str, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::Damaged { path, message: source.to_string() }
        }
        _ => StoreError::Database { path, what, source },
    }
}
