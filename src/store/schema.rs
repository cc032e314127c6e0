//! The tables, and how older files are brought up to them.

use rusqlite::{Connection, Transaction};

/// `application_id` of our files: "dvms".
const APPLICATION: i64 = 0x6476_6d73;

/// One script a version: the first makes version 1 of an empty file. Never edit one that was released.
pub(super) const MIGRATIONS: [&str; VERSION as usize] = [
    "
    -- One row: numbers that must outlive the process.
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
    -- `record` is the plan's life without problem and plan, which are written once.
    CREATE TABLE plans (
        id TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        ended INTEGER NOT NULL,
        record TEXT NOT NULL,
        problem TEXT,
        plan TEXT
    ) STRICT;
    CREATE TABLE events (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, record TEXT NOT NULL) STRICT;
    CREATE TABLE host_states (host TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
    CREATE TABLE hosts (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
",
    "
    -- What migrations have taught; an empty host = any.
    CREATE TABLE learned (
        source TEXT NOT NULL,
        destination TEXT NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (source, destination)
    ) STRICT;
",
    "
    -- Rules that are not of the configuration file.
    CREATE TABLE rules (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
    -- The session of its agent at which it was said.
    ALTER TABLE host_states ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
",
    "
    -- Coordinators that left the ring without a word: they may have VMs.
    CREATE TABLE departed (member TEXT PRIMARY KEY) STRICT;
",
];

/// The schema of this version.
pub(super) const VERSION: i64 = 4;

/// What a file is.
pub(super) enum Found {
    /// Ours, now at the newest schema.
    Ready,
    /// Of another program.
    Foreign,
    /// Of a newer version.
    Newer(i64),
}

/// Brings the file up to [`VERSION`].
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<Found> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && (application != 0 || version != 0 || tables != 0) {
        return Ok(Found::Foreign);
    }
    if version > VERSION {
        return Ok(Found::Newer(version));
    }
    let done = usize::try_from(version).unwrap_or(0);
    let transaction = connection.transaction()?;
    for script in &MIGRATIONS[done..] {
        transaction.execute_batch(script)?;
    }
    mark(&transaction)?;
    transaction.commit()?;
    Ok(Found::Ready)
}

fn mark(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)
}
