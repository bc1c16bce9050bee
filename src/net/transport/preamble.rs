//! The lines in clear before a handshake, or instead of one.
//!
//! ```text
//!   dialler                                       door
//!   dist-chat 4 keyed   and the first message ──▶
//!                                             ◀── the second message, or one of the words below, and the end
//! ```

use crate::key::SALT_BYTES;
use crate::ring::Refusal;
use crate::ring::hex;
use crate::ring::limits::PROTOCOL_VERSION;

/// Maximum bytes of such a line, with its line feed.
pub(in crate::net) const LINE_BYTES_MAX: usize = 64;

/// The meaning of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) enum PreambleLine {
    /// A handshake follows.
    Keyed,
    /// The dialler asks for the salt of the room's passphrase.
    AskSalt,
    /// The listener's answer: the salt. `None`: the room's key has none.
    Salt(Option<[u8; SALT_BYTES]>),
    /// The listener's room has no key.
    Open,
    /// The listener's room has another key.
    WrongKey,
    /// The listener speaks another version: the one that this line begins with.
    Version,
}

impl PreambleLine {
    /// The line in this version's form.
    pub(in crate::net) fn line(&self) -> Vec<u8> {
        let word = match self {
            Self::Keyed => "keyed".to_owned(),
            Self::AskSalt => "salt".to_owned(),
            Self::Salt(None) => "salt none".to_owned(),
            Self::Salt(Some(salt)) => format!("salt {}", hex::text(salt)),
            Self::Open => "open".to_owned(),
            Self::WrongKey => "wrong key".to_owned(),
            Self::Version => "version".to_owned(),
        };
        format!("dist-chat {PROTOCOL_VERSION} {word}\n").into_bytes()
    }

    /// Parses a line, with its line feed, into its version and meaning. Of another version's line, only the version is
    /// read. `None`: it is no such line.
    pub(in crate::net) fn parse(line: &[u8]) -> Option<(u32, Self)> {
        let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
        let (version, word) = line.strip_prefix("dist-chat ")?.split_once(' ')?;
        // A number has one valid form, so that two different lines never mean the same.
        let version = version.parse().ok().filter(|number: &u32| number.to_string() == version)?;
        let word = match word {
            _ if version != PROTOCOL_VERSION => Self::Version,
            "keyed" => Self::Keyed,
            "salt" => Self::AskSalt,
            "salt none" => Self::Salt(None),
            "open" => Self::Open,
            "wrong key" => Self::WrongKey,
            "version" => Self::Version,
            other => Self::Salt(Some(hex::read(other.strip_prefix("salt ")?)?)),
        };
        Some((version, word))
    }

    /// The reason why a listener with this answer does not let in a dialler that has shown a key. `None`: the line is
    /// no such answer.
    pub(in crate::net) fn refusal(version: u32, word: &Self) -> Option<Refusal> {
        match word {
            Self::Version => Some(Refusal::Version(version)),
            Self::Open => Some(Refusal::NoKey),
            Self::WrongKey => Some(Refusal::WrongKey),
            Self::Keyed | Self::AskSalt | Self::Salt(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_said() {
        let salt = PreambleLine::Salt(Some(std::array::from_fn(|n| n as u8)));
        assert_eq!(salt.line(), b"dist-chat 4 salt 000102030405060708090a0b0c0d0e0f\n");
        assert_eq!(PreambleLine::Keyed.line(), b"dist-chat 4 keyed\n");
        for word in [
            PreambleLine::Keyed,
            PreambleLine::AskSalt,
            PreambleLine::Salt(None),
            salt,
            PreambleLine::Open,
            PreambleLine::WrongKey,
            PreambleLine::Version,
        ] {
            let line = word.line();
            assert!(line.len() <= LINE_BYTES_MAX);
            assert_eq!(PreambleLine::parse(&line), Some((PROTOCOL_VERSION, word)));
        }
    }

    #[test]
    fn another_version_says_its_number_whatever_else_it_says() {
        assert_eq!(PreambleLine::parse(b"dist-chat 77 what a world\n"), Some((77, PreambleLine::Version)));
    }

    #[test]
    fn what_is_no_such_line_says_nothing() {
        let lines: [&[u8]; 9] = [
            b"",
            b"\n",
            b"dist-chat 4 keyed",
            b"dist-chat +2 keyed\n",
            b"dist-chat 04 keyed\n",
            b"dist-chat 99999999999 keyed\n",
            b"dist-chat 4 salt 00\n",
            b"dist-chat 4 \xff\n",
            b"{\"hello\":{}}\n",
        ];
        for line in lines {
            assert_eq!(PreambleLine::parse(line), None, "{line:?}");
        }
    }
}
