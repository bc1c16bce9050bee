//! An invite: the addresses and the key of a room in one word. Everybody who has it can join.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use zeroize::Zeroizing;

use super::room_key::{RoomKey, begins_with, sealed, unsealed};

/// The beginning of an invite, with the version of its form.
const PREFIX: &str = "dcinvite1";
/// The beginning of an invite of any version.
const ANY: &str = "dcinvite";
/// The most addresses in an invite.
pub const ADDRESSES_MAX: usize = 4;

/// The content of an invite.
#[derive(Clone, PartialEq, Eq)]
pub struct Invite {
    /// Members to join through, tried in turn; at least one, at most [`ADDRESSES_MAX`].
    pub addresses: Vec<SocketAddr>,
    /// The room's key; `None`: the room is open.
    pub key: Option<RoomKey>,
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invite").field("addresses", &self.addresses).field("key", &self.key).finish()
    }
}

/// Whether a text looks like an invite, valid or not, of any version.
pub fn is_one(text: &str) -> bool {
    begins_with(text.trim(), ANY)
}

impl Invite {
    /// The invite as one word of digits and small letters.
    pub fn token(&self) -> Zeroizing<String> {
        let addresses = &self.addresses[..self.addresses.len().min(ADDRESSES_MAX)];
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + addresses.len() * 19 + 49));
        bytes.push(u8::try_from(addresses.len()).unwrap_or_default());
        for address in addresses {
            match address.ip() {
                IpAddr::V4(ip) => {
                    bytes.push(4);
                    bytes.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    bytes.push(6);
                    bytes.extend(ip.octets());
                }
            }
            bytes.extend(address.port().to_be_bytes());
        }
        if let Some(key) = &self.key {
            bytes.extend_from_slice(&key.bytes());
        }
        sealed(PREFIX, &bytes)
    }

    /// Parses an invite. `None`: it is damaged, or no invite.
    pub fn parse(token: &str) -> Option<Self> {
        let bytes = unsealed(PREFIX, token.trim())?;
        let (count, mut rest) = bytes.split_first()?;
        let mut addresses = Vec::new();
        for _ in 0..*count {
            let (ip, after) = match rest.split_first()? {
                (4, rest) => rest.split_first_chunk::<4>().map(|(ip, after)| (IpAddr::from(*ip), after))?,
                (6, rest) => rest.split_first_chunk::<16>().map(|(ip, after)| (IpAddr::from(*ip), after))?,
                _ => return None,
            };
            let (port, after) = after.split_first_chunk()?;
            addresses.push(SocketAddr::new(ip, u16::from_be_bytes(*port)));
            rest = after;
        }
        let key = match rest {
            [] => None,
            rest => Some(RoomKey::of_bytes(rest)?),
        };
        (1..=ADDRESSES_MAX).contains(&addresses.len()).then_some(Self { addresses, key })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    fn invites() -> Vec<Invite> {
        let addresses = |all: &[&str]| all.iter().map(|one| one.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let v4 = addresses(&["10.0.0.5:2428"]);
        let both = addresses(&["10.0.0.5:2428", "[2001:db8::1]:65535", "127.0.0.1:1", "[::1]:5001"]);
        [None, Some(RoomKey::new([0xab; 32], None)), Some(RoomKey::new([0xab; 32], Some([0xcd; 16])))]
            .into_iter()
            .flat_map(|key| [v4.clone(), both.clone()].map(|addresses| Invite { addresses, key: key.clone() }))
            .collect()
    }

    #[test]
    fn a_token_is_read_back_in_either_case() {
        for invite in invites() {
            let token = invite.token();
            assert!(token.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()), "{}", *token);
            assert_eq!(Invite::parse(&token).as_ref(), Some(&invite));
            assert_eq!(Invite::parse(&format!(" {}\n", token.to_uppercase())).as_ref(), Some(&invite));
            assert!(is_one(&token));
        }
    }

    #[test]
    fn a_damaged_token_is_none() {
        for invite in invites() {
            let token = invite.token();
            for at in 0..token.len() {
                let mut damaged = token.as_bytes().to_vec();
                damaged[at] = if damaged[at] == b'0' { b'2' } else { b'0' };
                assert_eq!(Invite::parse(std::str::from_utf8(&damaged).unwrap()), None, "{at}");
                assert_eq!(Invite::parse(&token[..at]), None, "{at}");
            }
        }
        // The check is right, the rest is wrong.
        for bytes in [
            &[][..],
            &[0],
            &[1],
            &[1, 5, 0, 0, 0, 0, 0, 0],
            &[1, 4, 10, 0, 0, 5, 0],
            &[255, 4],
            &[1, 4, 10, 0, 0, 5, 0, 1, 0, 9],
        ] {
            assert_eq!(Invite::parse(&sealed(PREFIX, bytes)), None, "{bytes:?}");
        }
    }

    #[test]
    fn nothing_of_the_key_is_shown() {
        let shown = format!("{:?}", invites());
        assert!(shown.contains("10.0.0.5:2428") && !shown.contains("171") && !shown.contains("ab, "), "{shown}");
    }
}
