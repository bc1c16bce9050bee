//! The room key: what every member of a keyed room shares, and nobody else.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes of the secret.
pub const PSK_BYTES: usize = 32;
/// Bytes of the salt with which a passphrase becomes the secret.
pub const SALT_BYTES: usize = 16;

/// A room's secret, and the salt of its passphrase if it came from one. Nothing shows it, and its memory is cleared.
pub struct RoomKey {
    psk: Zeroizing<[u8; PSK_BYTES]>,
    salt: Option<[u8; SALT_BYTES]>,
}

impl RoomKey {
    /// This secret.
    pub fn new(psk: [u8; PSK_BYTES], salt: Option<[u8; SALT_BYTES]>) -> Self {
        Self { psk: Zeroizing::new(psk), salt }
    }

    /// The secret.
    pub fn psk(&self) -> &[u8; PSK_BYTES] {
        &self.psk
    }

    /// The salt; no secret.
    pub fn salt(&self) -> Option<[u8; SALT_BYTES]> {
        self.salt
    }
}

impl fmt::Debug for RoomKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_show_itself() {
        assert_eq!(format!("{:?}", RoomKey::new([7; PSK_BYTES], Some([9; SALT_BYTES]))), "RoomKey(..)");
    }
}
