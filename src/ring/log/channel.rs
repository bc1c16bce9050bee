//! Channels: a field of each line in the room's one log.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::ring::types::limits::CHANNEL_CHARS_MAX;
use crate::ring::types::parse::ParseVisitor;

/// The name of the channel of all lines that name none.
pub const LOBBY: &str = "lobby";

/// A channel other than the lobby: 1 to [`CHANNEL_CHARS_MAX`] letters, digits, `_`, `-`, `.`, in lower case.
///
/// A line's place is an `Option<Channel>`; `None` is the lobby. So each place has exactly one form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Channel(Arc<str>);

/// Why a text is no channel's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelError {
    /// It has no characters.
    Empty,
    /// It has more than [`CHANNEL_CHARS_MAX`] characters.
    TooLong,
    /// It holds this character.
    Character(char),
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "a channel's name has at least one character"),
            Self::TooLong => write!(f, "a channel's name has at most {CHANNEL_CHARS_MAX} characters"),
            Self::Character(c) => {
                write!(f, "a channel's name is made of letters, digits, '_', '-' and '.', not {c:?}")
            }
        }
    }
}

impl std::error::Error for ChannelError {}

impl Channel {
    /// Parses a channel's name, with or without `#`, in any case. `None`: the lobby.
    ///
    /// # Errors
    /// [`ChannelError`] names the broken rule.
    pub fn parse(text: &str) -> Result<Option<Self>, ChannelError> {
        let name = text.strip_prefix('#').unwrap_or(text).to_lowercase();
        if name.is_empty() {
            return Err(ChannelError::Empty);
        }
        if name.chars().count() > CHANNEL_CHARS_MAX {
            return Err(ChannelError::TooLong);
        }
        match name.chars().find(|c| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))) {
            Some(c) => Err(ChannelError::Character(c)),
            None => Ok((name != LOBBY).then(|| Self(name.into()))),
        }
    }

    /// The name, without `#`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a line's place, without `#`.
    pub fn name_of(place: Option<&Self>) -> &str {
        place.map_or(LOBBY, Self::as_str)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl<'de> Deserialize<'de> for Channel {
    /// Accepts only the one valid form: refuses another spelling, and the lobby.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let exactly = |s: &str| Self::parse(s).ok().flatten().filter(|channel| channel.as_str() == s);
        deserializer.deserialize_str(ParseVisitor("a channel's name", exactly))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_channel_has_one_form() {
        for spelled in ["ops", "#ops", "OPS", "#Ops"] {
            assert_eq!(Channel::parse(spelled).unwrap().unwrap().as_str(), "ops");
        }
        for spelled in ["lobby", "#lobby", "Lobby"] {
            assert_eq!(Channel::parse(spelled), Ok(None));
        }
        assert_eq!(Channel::parse("#Größe_1.0-β").unwrap().unwrap().to_string(), "#größe_1.0-β");
        assert_eq!(Channel::parse(""), Err(ChannelError::Empty));
        assert_eq!(Channel::parse("#"), Err(ChannelError::Empty));
        assert_eq!(Channel::parse("##ops"), Err(ChannelError::Character('#')));
        assert_eq!(Channel::parse("a b"), Err(ChannelError::Character(' ')));
        assert_eq!(Channel::parse("a\u{202e}"), Err(ChannelError::Character('\u{202e}')));
        assert_eq!(Channel::parse(&"x".repeat(CHANNEL_CHARS_MAX + 1)), Err(ChannelError::TooLong));
        assert!(Channel::parse(&"ß".repeat(CHANNEL_CHARS_MAX)).is_ok());
    }

    #[test]
    fn only_the_one_form_is_read_from_others() {
        let ops = Channel::parse("ops").unwrap().unwrap();
        assert_eq!(serde_json::to_string(&ops).unwrap(), r#""ops""#);
        assert_eq!(serde_json::from_str::<Channel>(r#""ops""#).unwrap(), ops);
        for other in [r##""#ops""##, r#""Ops""#, r#""lobby""#, r#""""#, r#""a b""#] {
            assert!(serde_json::from_str::<Channel>(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_place_has_a_name() {
        assert_eq!(Channel::name_of(None), "lobby");
        assert_eq!(Channel::name_of(Channel::parse("ops").unwrap().as_ref()), "ops");
    }
}
