//! Reactions to lines.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::ring::types::limits::EMOJI_BYTES_MAX;
use crate::ring::types::parse::ParseVisitor;

/// A reaction: 1 to [`EMOJI_BYTES_MAX`] bytes without white space, control characters or bidirectional overrides.
/// Usually an emoji, which may have many characters; a short word is possible too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Emoji(Arc<str>);

/// Why a text is no reaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmojiError {
    /// It is empty.
    Empty,
    /// It has more than [`EMOJI_BYTES_MAX`] bytes.
    TooLong,
    /// It holds this character.
    Character(char),
}

impl fmt::Display for EmojiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "a reaction is an emoji, or a short word"),
            Self::TooLong => write!(f, "a reaction has at most {EMOJI_BYTES_MAX} bytes"),
            Self::Character(c) => write!(f, "a reaction does not hold {c:?}"),
        }
    }
}

impl std::error::Error for EmojiError {}

impl Emoji {
    /// Parses a reaction.
    ///
    /// # Errors
    /// [`EmojiError`] names the broken rule.
    pub fn parse(text: &str) -> Result<Self, EmojiError> {
        if text.is_empty() {
            return Err(EmojiError::Empty);
        }
        if text.len() > EMOJI_BYTES_MAX {
            return Err(EmojiError::TooLong);
        }
        match text.chars().find(|&c| c.is_whitespace() || c.is_control() || turns_text(c)) {
            Some(c) => Err(EmojiError::Character(c)),
            None => Ok(Self(text.into())),
        }
    }

    /// The reaction of a plain `/like`.
    pub fn like() -> Self {
        Self("👍".into())
    }

    /// The emoji as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Bidirectional marks, embeddings, overrides and isolates: they could make a line read as another one. (The joiner
/// U+200D is part of many emoji.)
const fn turns_text(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for Emoji {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Emoji {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ParseVisitor("an emoji", |s| Self::parse(s).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emoji_is_short_and_harmless() {
        for good in ["👍", "👩‍💻", "🇩🇪", "+1", ":-)", "❤️", "ok"] {
            assert_eq!(Emoji::parse(good).as_ref().map(Emoji::as_str), Ok(good));
        }
        assert_eq!(Emoji::parse("👍"), Ok(Emoji::like()));
        assert_eq!(Emoji::parse(""), Err(EmojiError::Empty));
        assert_eq!(Emoji::parse(&"x".repeat(EMOJI_BYTES_MAX + 1)), Err(EmojiError::TooLong));
        for bad in [' ', '\u{a0}', '\n', '\u{1b}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{200f}'] {
            assert_eq!(Emoji::parse(&format!("a{bad}")), Err(EmojiError::Character(bad)));
        }
    }
}
