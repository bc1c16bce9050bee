//! Facts that a node stores beside its rooms: one text for each.

use rusqlite::{Connection, OptionalExtension as _};

use crate::ring::RoomId;
use crate::store::error::Error;

/// The fact that a room has a key. It is never removed: a room that had a key is not opened without one.
pub fn key_of(room: RoomId) -> String {
    format!("key of {room}")
}

pub fn read(db: &Connection, key: &str) -> Result<Option<String>, Error> {
    Ok(db.query_row("SELECT value FROM node WHERE key = ?1", [key], |row| row.get(0)).optional()?)
}

pub fn write(db: &Connection, key: &str, value: &str) -> Result<(), Error> {
    if read(db, key)?.as_deref() != Some(value) {
        db.execute("REPLACE INTO node (key, value) VALUES (?1, ?2)", [key, value])?;
    }
    Ok(())
}
