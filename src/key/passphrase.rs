//! Turns a passphrase into a key with Argon2id (RFC 9106).
//!
//! Each room has its own salt, generated when the room is opened with the passphrase. A salt is no secret.

use anyhow::anyhow;
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use super::room_key::{PSK_BYTES, RoomKey, SALT_BYTES};

/// Characters of the shortest passphrase.
pub const CHARS_MIN: usize = 12;
/// Memory of one guess: 64 MiB, as RFC 9106 recommends for machines with little memory.
pub const MEMORY_KIB: u32 = 64 * 1024;
/// Passes of one guess over that memory.
pub const PASSES: u32 = 3;
/// The most processors that can share the work of one guess.
pub const LANES: u32 = 1;

/// A new salt.
///
/// # Errors
/// The system gives no random numbers.
pub fn fresh_salt() -> anyhow::Result<[u8; SALT_BYTES]> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|error| anyhow!("no random numbers: {error}"))?;
    Ok(salt)
}

/// The key for this passphrase and this room's salt. Takes about a tenth of a second and [`MEMORY_KIB`].
///
/// # Errors
/// None are known with the parameters above.
pub fn key(passphrase: &str, salt: [u8; SALT_BYTES]) -> anyhow::Result<RoomKey> {
    let wrong = |error| anyhow!("Argon2: {error}");
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(PSK_BYTES)).map_err(wrong)?;
    let mut psk = Zeroizing::new([0; PSK_BYTES]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(passphrase.as_bytes(), &salt, &mut *psk).map_err(wrong)?;
    Ok(RoomKey::new(*psk, Some(salt)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use crate::ring::hex;

    /// The result for a passphrase must never change: a room's members may run different programs.
    #[test]
    fn the_same_passphrase_and_salt_make_the_same_key() {
        let made = key("correct horse battery staple", [7; SALT_BYTES]).unwrap();
        assert_eq!(hex::text(made.psk()), "6ad10af97f1744119bd7135c85121dc589794f9c5d646200b8ad4d6becf15084");
        assert_eq!(made.salt(), Some([7; SALT_BYTES]));
        assert_ne!(key("correct horse battery staple", [8; SALT_BYTES]).unwrap().psk(), made.psk());
        assert_ne!(key("Correct horse battery staple", [7; SALT_BYTES]).unwrap().psk(), made.psk());
    }
}
