//! The file's schema: how it is opened, its tables, and the migrations from older versions.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::store::error::Error;

/// Identifies the file as ours, in its header ("dcht").
const APPLICATION_ID: i32 = 0x6463_6874;
/// Page size of a new file, in bytes. Batches of lines fill large pages; small groups go through the journal.
pub const PAGE_BYTES: u32 = 16 * 1024;
/// How long one connection waits for another's transaction.
const BUSY: Duration = Duration::from_secs(5);
/// Bytes of an emptied write-ahead log that stay allocated.
const WAL_BYTES_KEPT: i64 = 64 * 1024 * 1024;
/// Compiled statements kept by a connection.
const STATEMENTS: usize = 64;

/// The migrations; each brings a file to the next version. The first makes version 1 of an empty file.
const MIGRATIONS: [&str; 5] = [
    // Random numbers of 64 bits are stored as the signed number with the same bits, authors as their 32 bytes. `at` is
    // room.no << 40 | index.
    "CREATE TABLE node (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
     CREATE TABLE room (
         no INTEGER PRIMARY KEY, id INTEGER NOT NULL UNIQUE, entered INTEGER NOT NULL,
         promise TEXT, up_to INTEGER NOT NULL DEFAULT 0,
         log_index INTEGER NOT NULL DEFAULT 0, log_bytes INTEGER NOT NULL DEFAULT 0);
     CREATE TABLE batch (
         at INTEGER PRIMARY KEY, last INTEGER NOT NULL,
         wall_min INTEGER NOT NULL, wall_max INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL);
     CREATE TABLE summary (at INTEGER PRIMARY KEY, crc INTEGER NOT NULL, body BLOB NOT NULL);
     CREATE TABLE pending (
         room INTEGER, place INTEGER, author INTEGER NOT NULL, session INTEGER NOT NULL, n INTEGER NOT NULL,
         line TEXT NOT NULL, PRIMARY KEY (room, place)) WITHOUT ROWID;
     CREATE TABLE outbox (
         room INTEGER, author INTEGER, session INTEGER, last INTEGER, lines TEXT NOT NULL,
         PRIMARY KEY (room, author, session, last)) WITHOUT ROWID;
     CREATE TABLE session (
         room INTEGER, author INTEGER, session INTEGER, started INTEGER NOT NULL, n INTEGER NOT NULL,
         PRIMARY KEY (room, author, session)) WITHOUT ROWID;
     CREATE TABLE shown (
         room INTEGER, author INTEGER, session INTEGER, n INTEGER NOT NULL,
         PRIMARY KEY (room, author, session)) WITHOUT ROWID;
     CREATE TABLE book (room INTEGER, uid TEXT, PRIMARY KEY (room, uid)) WITHOUT ROWID;",
    // The full-text index. It is filled later than the log, and never goes ahead of it.
    "CREATE VIRTUAL TABLE words USING fts5(
         text, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2');
     CREATE TABLE indexed (room INTEGER PRIMARY KEY, last INTEGER NOT NULL);",
    // A journal belongs to the file: a program that knows no journal must not continue without it.
    "DELETE FROM node WHERE key = 'journal';",
    // An author is a public key (32 bytes), and its lines are signed. Older lines belong to no author.
    "DELETE FROM node WHERE key IN ('author', 'journal');",
    // The reactions to each line, with their place (`at`). The table is filled with the full-text index, in the same
    // transactions. Older files hold no reactions, because older programs could not read them: so the table is as
    // complete as that index.
    "CREATE TABLE reaction (
         at INTEGER PRIMARY KEY, author BLOB NOT NULL, session INTEGER NOT NULL, n INTEGER NOT NULL,
         emoji TEXT NOT NULL, who BLOB NOT NULL, put INTEGER NOT NULL);
     CREATE INDEX reaction_to ON reaction (author, session, n, emoji, who);",
];

/// The version of the file's tables that this program writes.
pub const SCHEMA_VERSION: usize = MIGRATIONS.len();

/// The first version whose lines are signed.
const SIGNED_VERSION: usize = 4;

/// Opens the file for writing, and migrates it to today's version.
pub fn open(path: &Path) -> Result<Connection, Error> {
    let mut db = Connection::open(path)?;
    prepare(&db)?;
    check_length(&db, path)?;
    migrate(&mut db)?;
    Ok(db)
}

/// Opens another connection to a file that [`open`] has prepared.
pub fn open_again(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    prepare(&db)?;
    Ok(db)
}

/// Opens a connection that only reads.
///
/// SQLite creates a file beside the one that it reads. Where it may not, it reads a properly closed file as it is: no
/// node can be writing to that file.
pub fn open_to_read(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags)?;
    let looked = db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
    if looked.is_err_and(|error| is_cannot_open(&error)) && !path.with_extension("db-wal").exists() {
        db = Connection::open_with_flags(unchanging(path), flags | OpenFlags::SQLITE_OPEN_URI)?;
    }
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    check_length(&db, path)?;
    match version(&db)? {
        SCHEMA_VERSION => Ok(db),
        version if version > SCHEMA_VERSION => Err(Error::Newer(version)),
        version => Err(Error::Older(version)),
    }
}

fn is_cannot_open(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// The path in SQLite's form for a file that no process changes.
fn unchanging(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    if path.is_absolute() {
        uri.push_str("//");
    }
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(char::from(byte)),
            _ => {
                let _ = write!(uri, "%{byte:02x}");
            }
        }
    }
    uri.push_str("?immutable=1");
    uri
}

fn prepare(db: &Connection) -> Result<(), Error> {
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.pragma_update(None, "page_size", PAGE_BYTES)?;
    db.pragma_update(None, "journal_mode", "wal")?;
    // The maintenance thread syncs and checkpoints; a checkpoint syncs first the log, then the file.
    db.pragma_update(None, "synchronous", "normal")?;
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    db.pragma_update(None, "trusted_schema", false)?;
    db.pragma_update(None, "cell_size_check", true)?;
    Ok(())
}

/// Detects a truncated file: it is shorter than its header says.
fn check_length(db: &Connection, path: &Path) -> Result<(), Error> {
    let pages: u64 = db.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0))?.unsigned_abs();
    let size: u64 = db.pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))?.unsigned_abs();
    let wal = path.with_extension("db-wal").metadata().map_or(0, |meta| meta.len());
    let file = path.metadata().map_or(0, |meta| meta.len());
    // Pages in the write-ahead log need not be in the file.
    match file + wal < pages * size {
        true => Err(Error::Damaged("its end is missing".to_owned())),
        false => Ok(()),
    }
}

fn version(db: &Connection) -> Result<usize, Error> {
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let id: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    match (usize::try_from(version), id) {
        (Ok(version), APPLICATION_ID) => Ok(version),
        (Ok(0), 0) if is_empty(db)? => Ok(0),
        _ => Err(Error::Damaged("it is another program's database".to_owned())),
    }
}

fn is_empty(db: &Connection) -> Result<bool, Error> {
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0)
}

fn holds_rooms(db: &Connection) -> Result<bool, Error> {
    Ok(db.query_row("SELECT count(*) > 0 FROM room", [], |row| row.get(0))?)
}

fn migrate(db: &mut Connection) -> Result<(), Error> {
    let version = version(db)?;
    if version > SCHEMA_VERSION {
        return Err(Error::Newer(version));
    }
    if (1..SIGNED_VERSION).contains(&version) && holds_rooms(db)? {
        return Err(Error::Unsigned);
    }
    for (step, sql) in MIGRATIONS.iter().enumerate().skip(version) {
        let tx = db.transaction()?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", i64::try_from(step + 1).unwrap_or(i64::MAX))?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.commit()?;
    }
    Ok(())
}

/// Turns an empty file into one of an older version.
#[cfg(test)]
pub fn make_older(path: &Path, version: usize) -> Result<(), Error> {
    let db = Connection::open(path)?;
    prepare(&db)?;
    for sql in &MIGRATIONS[..version] {
        db.execute_batch(sql)?;
    }
    db.pragma_update(None, "user_version", i64::try_from(version).unwrap_or(0))?;
    db.pragma_update(None, "application_id", APPLICATION_ID)?;
    Ok(())
}
