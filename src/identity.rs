//! Who a node's owner is: an Ed25519 key pair (RFC 8032), drawn at the first start and kept in the owner's files.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::ring::{AuthorId, Signature, Signer};

/// Bytes of a seed.
pub const SEED_BYTES: usize = 32;

/// A key pair. What is shown of it is its public half.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity(SigningKey);

impl Identity {
    /// The pair that grows from 32 random bytes.
    pub fn of_seed(seed: [u8; SEED_BYTES]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// A new one.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn fresh() -> anyhow::Result<Self> {
        let mut seed = [0; SEED_BYTES];
        getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        Ok(Self::of_seed(seed))
    }

    /// What it grows from: to be kept where only its owner reads.
    pub fn seed(&self) -> [u8; SEED_BYTES] {
        self.0.to_bytes()
    }

    /// The secret half as an X25519 key (RFC 7748), whose public half is [`exchange_key`] of the author.
    pub fn exchange_secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_scalar_bytes())
    }

    /// The public half.
    pub fn author(&self) -> AuthorId {
        AuthorId(self.0.verifying_key().to_bytes())
    }
}

/// An author's X25519 public key. `None`: the author is no Ed25519 key, or one of small order, with which everybody
/// shares the same secret.
pub fn exchange_key(author: AuthorId) -> Option<[u8; 32]> {
    let key = VerifyingKey::from_bytes(&author.0).ok().filter(|key| !key.is_weak())?;
    Some(key.to_montgomery().to_bytes())
}

impl Signer for Identity {
    fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(&digest(message)).to_bytes())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.author())
    }
}

/// What is signed of a message: its SHA-256 hash (FIPS 180-4). Ed25519 hashes what it signs twice with SHA-512, for
/// which processors have no instructions; a run of lines is long.
fn digest(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

/// Whether this author has signed this. All nodes must agree, so what is malleable, or made of points of small order,
/// is refused as well (see "Taming the many EdDSAs", Chalkias, Garillot, Nikolaenko 2020).
pub fn verify(author: AuthorId, message: &[u8], signature: &Signature) -> bool {
    VerifyingKey::from_bytes(&author.0)
        .and_then(|key| key.verify_strict(&digest(message), &ed25519_dalek::Signature::from_bytes(&signature.0)))
        .is_ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_signs_and_only_what_was_signed_holds() {
        let (ann, bob) = (Identity::of_seed([1; 32]), Identity::fresh().unwrap());
        let signature = ann.sign(b"hello");
        assert!(verify(ann.author(), b"hello", &signature));
        assert!(!verify(ann.author(), b"hellO", &signature));
        assert!(!verify(bob.author(), b"hello", &signature));
        assert!(!verify(AuthorId::of_bits(7), b"hello", &signature));
        assert!(!verify(AuthorId([0; 32]), b"hello", &Signature([0; 64])), "a point of small order signs nothing");
    }

    #[test]
    fn a_seed_is_the_same_pair_again_and_is_not_shown() {
        let ann = Identity::of_seed([0xab; 32]);
        assert_eq!(Identity::of_seed(ann.seed()), ann);
        assert!(!format!("{ann:?}").contains("abab"));
    }
}
