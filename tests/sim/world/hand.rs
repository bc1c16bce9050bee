//! Signatures for a simulated room: quick, the same for the same message, and made by whoever wants to. What counts is
//! that a line and its signature fit; nobody here makes one for a line that is not its own.

use dist_chat::ring::{AuthorId, Signature, Signer};

/// Signs for an author.
#[derive(Debug)]
pub struct Hand(pub AuthorId);

impl Signer for Hand {
    fn sign(&self, message: &[u8]) -> Signature {
        let bytes = self.0.0.iter().chain(message);
        // FNV-1a, spread over 64 bytes.
        let hash = bytes
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut signature = [0; 64];
        for (k, part) in signature.chunks_exact_mut(8).enumerate() {
            part.copy_from_slice(&hash.rotate_left(8 * k as u32).to_be_bytes());
        }
        Signature(signature)
    }
}

/// Whether this is that author's signature.
pub fn signed(author: AuthorId, message: &[u8], signature: &Signature) -> bool {
    Hand(author).sign(message) == *signature
}
