//! The lines in clear that come before a handshake, or instead of one.
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

/// Bytes of such a line, its line feed included.
pub(in crate::net) const LINE_BYTES_MAX: usize = 64;

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) enum Word {
    /// A handshake follows.
    Keyed,
    /// What is the salt of your room's passphrase?
    AskSalt,
    /// It is this.
    Salt(Option<[u8; SALT_BYTES]>),
    /// My room has no key.
    Open,
    /// My room has another key.
    WrongKey,
    /// I speak another version: the one that this line begins with.
    Version,
}

impl Word {
    /// The line, as this version says it.
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

    /// What a line, its line feed included, says; another version's says just that. `None`: it is no such line.
    pub(in crate::net) fn parse(line: &[u8]) -> Option<(u32, Self)> {
        let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
        let (version, word) = line.strip_prefix("dist-chat ")?.split_once(' ')?;
        // There is one way to write it: a line that is not the one which was said must not pass for it.
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

    /// Why a door that answers this does not let in who has shown a key; `None`: it is no such answer.
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
        let salt = Word::Salt(Some(std::array::from_fn(|n| n as u8)));
        assert_eq!(salt.line(), b"dist-chat 4 salt 000102030405060708090a0b0c0d0e0f\n");
        assert_eq!(Word::Keyed.line(), b"dist-chat 4 keyed\n");
        for word in [Word::Keyed, Word::AskSalt, Word::Salt(None), salt, Word::Open, Word::WrongKey, Word::Version] {
            let line = word.line();
            assert!(line.len() <= LINE_BYTES_MAX);
            assert_eq!(Word::parse(&line), Some((PROTOCOL_VERSION, word)));
        }
    }

    #[test]
    fn another_version_says_its_number_whatever_else_it_says() {
        assert_eq!(Word::parse(b"dist-chat 77 what a world\n"), Some((77, Word::Version)));
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
            assert_eq!(Word::parse(line), None, "{line:?}");
        }
    }
}
