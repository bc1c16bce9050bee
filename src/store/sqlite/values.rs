//! Numbers, times and JSON as the tables have them.

use crate::store::error::Error;

/// The file holds something that cannot be.
pub(super) fn damaged(what: &str) -> Error {
    Error::Damaged(format!("it holds {what}"))
}

/// Encodes one of our own values. Encoding them never fails; if it did, nothing would be written.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Unwritable(error.to_string()))
}

/// Converts a number below 2^63; all indexes and lengths are.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The wall clock, in milliseconds since 1970.
pub(super) fn wall_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
