//! A room's key: its value, its forms for people, and where it may be stored.
//!
//! A room is open, or it has one key. All members share the same 32 bytes. They come from a generated key
//! ([`generated`]) or from a passphrase ([`passphrase`]); an [`invite`] carries them. A key is never a command-line
//! argument and never in the environment, and nothing here prints it: neither `Debug` nor an error.

pub mod ask;
mod base32;
pub mod file;
pub mod generated;
pub mod invite;
pub mod passphrase;
mod room_key;
pub mod salt;

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::ring::hex;
use room_key::{KEPT, begins_with, hash, unsealed};
pub use room_key::{PSK_BYTES, RoomKey, SALT_BYTES};

/// The most bytes of a key, passphrase or invite in its form for people.
pub const TEXT_BYTES_MAX: usize = 4096;

impl RoomKey {
    /// A new key, generated as in [`generated::fresh`].
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn fresh() -> anyhow::Result<Self> {
        match read(&generated::fresh()?) {
            Ok(KeyInput::Key(key)) => Ok(key),
            Ok(KeyInput::Passphrase(_)) | Err(_) => Err(anyhow::anyhow!("a drawn key cannot be read")),
        }
    }
}

/// A user's input for a key.
pub enum KeyInput {
    /// A key.
    Key(RoomKey),
    /// A passphrase; together with the room's salt it gives the key.
    Passphrase(Zeroizing<String>),
}

impl fmt::Debug for KeyInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key(..)",
            Self::Passphrase(_) => "Passphrase(..)",
        })
    }
}

/// Why an input is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// It has the shape of a key, but its check digits are wrong.
    Mistyped,
    /// It is too short for a passphrase.
    Short,
    /// It is an invite.
    Invite,
}

/// Parses a user's input: a generated or stored key, else a passphrase.
///
/// # Errors
/// See [`KeyError`].
pub fn read(text: &str) -> Result<KeyInput, KeyError> {
    let text = text.trim();
    if invite::is_one(text) {
        return Err(KeyError::Invite);
    }
    if begins_with(text, KEPT) {
        let key = unsealed(KEPT, text).and_then(|bytes| RoomKey::of_bytes(&bytes));
        return key.map(KeyInput::Key).ok_or(KeyError::Mistyped);
    }
    match generated::parse(text) {
        Some(key) => key.map(KeyInput::Key).ok_or(KeyError::Mistyped),
        None if text.chars().count() < passphrase::CHARS_MIN => Err(KeyError::Short),
        None => Ok(KeyInput::Passphrase(Zeroizing::new(text.to_owned()))),
    }
}

/// Whether a text is certainly a key or an invite, wherever it stands.
pub fn is_secret(text: &str) -> bool {
    let text = text.trim();
    invite::is_one(text) || begins_with(text, KEPT) || generated::has_shape(text)
}

/// The mark that files keep of a room's key: enough to recognise the key, not enough to find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyMark {
    /// The salt, if the key is a passphrase.
    pub salt: Option<[u8; SALT_BYTES]>,
    /// 16 bits of the key's hash. They reveal a mistyped passphrase, except one in 65536.
    check: [u8; 2],
}

impl KeyMark {
    /// The mark of this key.
    pub fn of(key: &RoomKey) -> Self {
        Self { salt: key.salt(), check: hash("dist-chat room key mark", key.psk()) }
    }
}

/// `generated CHECK` or `passphrase SALT CHECK`, in hexadecimal digits.
impl fmt::Display for KeyMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.salt {
            Some(salt) => write!(f, "passphrase {} {}", hex::text(salt), hex::text(&self.check)),
            None => write!(f, "generated {}", hex::text(&self.check)),
        }
    }
}

impl FromStr for KeyMark {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        let words: Vec<&str> = s.split(' ').collect();
        let (salt, check) = match words[..] {
            ["generated", check] => (None, check),
            ["passphrase", salt, check] => (Some(hex::read(salt).ok_or(())?), check),
            _ => return Err(()),
        };
        Ok(Self { salt, check: hex::read(check).ok_or(())? })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    #[test]
    fn nothing_of_a_key_is_shown() {
        let key = RoomKey::new([0xab; PSK_BYTES], Some([0xcd; SALT_BYTES]));
        assert_eq!(format!("{key:?} {:?}", KeyInput::Key(key.clone())), "RoomKey(..) Key(..)");
        assert_eq!(format!("{:?}", read("correct horse battery").unwrap()), "Passphrase(..)");
    }

    #[test]
    fn what_is_kept_is_the_same_key_again() {
        for salt in [None, Some([7; SALT_BYTES])] {
            let key = RoomKey::new([9; PSK_BYTES], salt);
            let kept = key.kept();
            assert!(matches!(read(&kept), Ok(KeyInput::Key(again)) if again == key));
            for at in KEPT.len()..kept.len() {
                let mut damaged = kept.as_bytes().to_vec();
                damaged[at] = if damaged[at] == b'0' { b'1' } else { b'0' };
                assert_eq!(read(std::str::from_utf8(&damaged).unwrap()).unwrap_err(), KeyError::Mistyped, "{at}");
            }
            assert_eq!(read(&kept[..kept.len() - 1]).unwrap_err(), KeyError::Mistyped);
        }
    }

    #[test]
    fn what_is_no_key_is_a_passphrase_if_it_is_long_enough() {
        assert_eq!(read("too short 1").unwrap_err(), KeyError::Short);
        assert_eq!(read("").unwrap_err(), KeyError::Short);
        assert!(matches!(read("  twelve chars \n"), Ok(KeyInput::Passphrase(text)) if *text == "twelve chars"));
        assert!(matches!(read("äöüäöüäöüäöü"), Ok(KeyInput::Passphrase(_))));
    }

    #[test]
    fn a_mark_knows_its_key_again_and_does_not_hold_it() {
        for salt in [None, Some([7; SALT_BYTES])] {
            let mark = KeyMark::of(&RoomKey::new([9; PSK_BYTES], salt));
            assert_eq!(mark.to_string().parse(), Ok(mark.clone()));
            assert_ne!(mark, KeyMark::of(&RoomKey::new([8; PSK_BYTES], salt)));
            assert!(!mark.to_string().contains("0909"));
        }
        for damaged in ["", "generated", "generated 12345", "passphrase 00 1234", "other 1234"] {
            assert_eq!(damaged.parse::<KeyMark>(), Err(()), "{damaged}");
        }
    }
}
