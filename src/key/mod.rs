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
pub mod salt;

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::ring::Digest;
use crate::ring::hex;

/// Bytes of the secret that the members of a room share.
pub const PSK_BYTES: usize = 32;
/// Bytes of the salt of a room whose key is a passphrase.
pub const SALT_BYTES: usize = 16;
/// The most bytes of a key, passphrase or invite in its form for people.
pub const TEXT_BYTES_MAX: usize = 4096;
/// The beginning of a key in the form in which the program stores it.
const KEPT: &str = "dckey1";

/// The secret that the members of a room share. It is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct RoomKey {
    psk: Zeroizing<[u8; PSK_BYTES]>,
    salt: Option<[u8; SALT_BYTES]>,
}

impl RoomKey {
    /// `salt`: present if the key comes from a passphrase.
    pub fn new(psk: [u8; PSK_BYTES], salt: Option<[u8; SALT_BYTES]>) -> Self {
        Self { psk: Zeroizing::new(psk), salt }
    }

    /// The shared secret.
    pub fn psk(&self) -> &[u8; PSK_BYTES] {
        &self.psk
    }

    /// The salt of the passphrase; `None`: the key is a generated one. A salt is no secret.
    pub fn salt(&self) -> Option<[u8; SALT_BYTES]> {
        self.salt
    }

    /// A new key, generated as in [`generated::fresh`].
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn fresh() -> anyhow::Result<Self> {
        match read(&generated::fresh()?) {
            Ok(Given::Key(key)) => Ok(key),
            Ok(Given::Passphrase(_)) | Err(_) => Err(anyhow::anyhow!("a drawn key cannot be read")),
        }
    }

    /// The key's hash for the log. A node with the key recognises it; the hash is useless without the key. (A
    /// passphrase could be guessed from it, at the cost of one Argon2id run a guess. But only the first key of a room
    /// can be a passphrase, and the log holds no hash of the first key.)
    pub fn digest(&self) -> Digest {
        let hash = Sha256::new().chain_update(b"dist-chat room key digest 1\0").chain_update(*self.psk);
        Digest(hash.finalize().into())
    }

    /// The form in which the program stores the key: one line, without a line feed.
    pub fn kept(&self) -> Zeroizing<String> {
        sealed(KEPT, &self.bytes())
    }

    /// Kind, secret, salt.
    fn bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + PSK_BYTES + SALT_BYTES));
        bytes.push(u8::from(self.salt.is_some()));
        bytes.extend_from_slice(&*self.psk);
        bytes.extend(self.salt.iter().flatten());
        bytes
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (psk, salt) = rest.split_first_chunk()?;
        match (kind, salt) {
            (0, []) => Some(Self::new(*psk, None)),
            (1, salt) => Some(Self::new(*psk, Some(salt.try_into().ok()?))),
            _ => None,
        }
    }
}

impl fmt::Debug for RoomKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomKey(..)")
    }
}

/// A user's input for a key.
pub enum Given {
    /// A key.
    Key(RoomKey),
    /// A passphrase; together with the room's salt it gives the key.
    Passphrase(Zeroizing<String>),
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key(..)",
            Self::Passphrase(_) => "Passphrase(..)",
        })
    }
}

/// Why an input is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
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
/// See [`Mistake`].
pub fn read(text: &str) -> Result<Given, Mistake> {
    let text = text.trim();
    if invite::is_one(text) {
        return Err(Mistake::Invite);
    }
    if begins_with(text, KEPT) {
        let key = unsealed(KEPT, text).and_then(|bytes| RoomKey::of_bytes(&bytes));
        return key.map(Given::Key).ok_or(Mistake::Mistyped);
    }
    match generated::parse(text) {
        Some(key) => key.map(Given::Key).ok_or(Mistake::Mistyped),
        None if text.chars().count() < passphrase::CHARS_MIN => Err(Mistake::Short),
        None => Ok(Given::Passphrase(Zeroizing::new(text.to_owned()))),
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
        Self { salt: key.salt, check: hash("dist-chat room key mark", &*key.psk) }
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

/// The first `N` bytes of a hash with domain separation by `purpose`.
fn hash<const N: usize>(purpose: &str, bytes: &[u8]) -> [u8; N] {
    const { assert!(N <= 32) };
    let mut hash = Sha256::new();
    hash.update(purpose.as_bytes());
    // So no purpose is a prefix of another.
    hash.update([0]);
    hash.update(bytes);
    std::array::from_fn({
        let hash = hash.finalize();
        move |at| hash[at]
    })
}

/// Bytes of the check in a [`sealed`] text.
const SEAL_BYTES: usize = 4;

/// Encodes bytes for people: a prefix that names their kind, the bytes, and a check.
fn sealed(prefix: &str, bytes: &[u8]) -> Zeroizing<String> {
    // Full capacity from the start: a growing buffer would leave copies that are not wiped.
    let mut all = Zeroizing::new(Vec::with_capacity(bytes.len() + SEAL_BYTES));
    all.extend_from_slice(bytes);
    all.extend(hash::<SEAL_BYTES>(prefix, bytes));
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + 2 * all.len()));
    text.push_str(prefix);
    base32::push(&mut text, &all);
    text
}

/// Decodes a text of [`sealed`]. `None`: the text is wrong.
fn unsealed(prefix: &str, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if !begins_with(text, prefix) {
        return None;
    }
    let mut all = base32::bytes(text.get(prefix.len()..)?)?;
    let bytes = all.len().checked_sub(SEAL_BYTES)?;
    if hash::<SEAL_BYTES>(prefix, &all[..bytes]) != all[bytes..] {
        return None;
    }
    all.truncate(bytes);
    Some(all)
}

/// Case does not matter.
fn begins_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    #[test]
    fn nothing_of_a_key_is_shown() {
        let key = RoomKey::new([0xab; PSK_BYTES], Some([0xcd; SALT_BYTES]));
        assert_eq!(format!("{key:?} {:?}", Given::Key(key.clone())), "RoomKey(..) Key(..)");
        assert_eq!(format!("{:?}", read("correct horse battery").unwrap()), "Passphrase(..)");
    }

    #[test]
    fn what_is_kept_is_the_same_key_again() {
        for salt in [None, Some([7; SALT_BYTES])] {
            let key = RoomKey::new([9; PSK_BYTES], salt);
            let kept = key.kept();
            assert!(matches!(read(&kept), Ok(Given::Key(again)) if again == key));
            for at in KEPT.len()..kept.len() {
                let mut damaged = kept.as_bytes().to_vec();
                damaged[at] = if damaged[at] == b'0' { b'1' } else { b'0' };
                assert_eq!(read(std::str::from_utf8(&damaged).unwrap()).unwrap_err(), Mistake::Mistyped, "{at}");
            }
            assert_eq!(read(&kept[..kept.len() - 1]).unwrap_err(), Mistake::Mistyped);
        }
    }

    #[test]
    fn what_is_no_key_is_a_passphrase_if_it_is_long_enough() {
        assert_eq!(read("too short 1").unwrap_err(), Mistake::Short);
        assert_eq!(read("").unwrap_err(), Mistake::Short);
        assert!(matches!(read("  twelve chars \n"), Ok(Given::Passphrase(text)) if *text == "twelve chars"));
        assert!(matches!(read("äöüäöüäöüäöü"), Ok(Given::Passphrase(_))));
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
