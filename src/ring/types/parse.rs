//! Readers of JSON that let only valid values through.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use crate::ring::types::limits::NUMBER_MAX;

/// Reads a number that is not above [`NUMBER_MAX`].
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    match number <= NUMBER_MAX {
        true => Ok(number),
        false => Err(de::Error::invalid_value(de::Unexpected::Unsigned(number), &"a number below 2^53")),
    }
}

/// Reads a [`number`], or `null`.
pub fn number_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    struct Number(#[serde(deserialize_with = "number")] u64);
    Ok(Option::<Number>::deserialize(deserializer)?.map(|Number(number)| number))
}

/// Reads a value from a JSON string through a parser, without an allocation.
pub struct ParseVisitor<T>(pub &'static str, pub fn(&str) -> Option<T>);

impl<T> de::Visitor<'_> for ParseVisitor<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
    fn visit_str<E: de::Error>(self, s: &str) -> Result<T, E> {
        (self.1)(s).ok_or_else(|| E::invalid_value(de::Unexpected::Str(s), &self))
    }
}
