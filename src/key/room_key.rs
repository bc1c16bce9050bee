//! The key of a room, and the checked text in which a key or an invite is written.

use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::base32;
use crate::ring::Digest;

/// Bytes of the secret that the members of a room share.
pub const PSK_BYTES: usize = 32;
/// Bytes of the salt of a room whose key is a passphrase.
pub const SALT_BYTES: usize = 16;
/// The beginning of a key in the form in which the program stores it.
pub(super) const KEPT: &str = "dckey1";

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
    pub(super) fn bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + PSK_BYTES + SALT_BYTES));
        bytes.push(u8::from(self.salt.is_some()));
        bytes.extend_from_slice(&*self.psk);
        bytes.extend(self.salt.iter().flatten());
        bytes
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
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

/// The first `N` bytes of a hash with domain separation by `purpose`.
pub(super) fn hash<const N: usize>(purpose: &str, bytes: &[u8]) -> [u8; N] {
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
pub(super) fn sealed(prefix: &str, bytes: &[u8]) -> Zeroizing<String> {
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
pub(super) fn unsealed(prefix: &str, text: &str) -> Option<Zeroizing<Vec<u8>>> {
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
pub(super) fn begins_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
