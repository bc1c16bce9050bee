//! Asks a member for the room's salt, in clear and before anything else: a node with only the passphrase needs the salt
//! to compute the key. A salt is no secret; the security page says what asking in clear costs.
//!
//! ```text
//!   asker:   dist-chat 4 salt
//!   member:  dist-chat 4 salt 00112233445566778899aabbccddeeff     the salt
//!            dist-chat 4 salt none                                 there is a key, but it is no passphrase
//!            dist-chat 4 open                                      there is no key
//! ```

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::{RoomKey, SALT_BYTES};
use crate::ring::hex;
use crate::ring::limits::PROTOCOL_VERSION;

/// The longest time for one member to connect and answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 128;

/// The question, with its line feed.
pub fn question() -> String {
    format!("dist-chat {PROTOCOL_VERSION} salt\n")
}

/// A member's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaltAnswer {
    /// The room's key is a passphrase, with this salt.
    Salt([u8; SALT_BYTES]),
    /// The room's key is no passphrase.
    Generated,
    /// The room has no key.
    Open,
}

impl SaltAnswer {
    /// The answer of a member whose room has this key.
    pub fn of(key: Option<&RoomKey>) -> Self {
        match key {
            None => Self::Open,
            Some(key) => key.salt().map_or(Self::Generated, Self::Salt),
        }
    }
}

/// Without the line feed.
impl fmt::Display for SaltAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dist-chat {PROTOCOL_VERSION} ")?;
        match self {
            Self::Salt(salt) => write!(f, "salt {}", hex::text(salt)),
            Self::Generated => f.write_str("salt none"),
            Self::Open => f.write_str("open"),
        }
    }
}

impl FromStr for SaltAnswer {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let rest = line.strip_prefix(&format!("dist-chat {PROTOCOL_VERSION} ")).ok_or(())?;
        match (rest, rest.strip_prefix("salt ")) {
            ("open", _) => Ok(Self::Open),
            ("salt none", _) => Ok(Self::Generated),
            (_, Some(digits)) => hex::read(digits).map(Self::Salt).ok_or(()),
            _ => Err(()),
        }
    }
}

/// Asks a member.
///
/// # Errors
/// The member cannot be reached, or does not answer in time.
pub fn ask(there: SocketAddr) -> io::Result<SaltAnswer> {
    let until = Instant::now() + PATIENCE;
    let left = || match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::from(io::ErrorKind::TimedOut)),
        left => Ok(left),
    };
    let mut stream = TcpStream::connect_timeout(&there, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    stream.write_all(question().as_bytes())?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while answer.len() as u64 <= ANSWER_BYTES_MAX {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut byte)? {
            0 => break,
            _ if byte == *b"\n" => {
                let line = std::str::from_utf8(&answer).map_err(|_| io::ErrorKind::InvalidData)?;
                return line.parse().map_err(|()| io::ErrorKind::InvalidData.into());
            }
            _ => answer.extend(byte),
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn every_answer_is_read_back() {
        for answer in [SaltAnswer::Salt([0xa5; SALT_BYTES]), SaltAnswer::Generated, SaltAnswer::Open] {
            assert_eq!(answer.to_string().parse(), Ok(answer));
        }
        for other in ["", "open", "dist-chat 2000 open", &format!("dist-chat {PROTOCOL_VERSION} salt 00")] {
            assert_eq!(other.parse::<SaltAnswer>(), Err(()), "{other}");
        }
    }

    #[test]
    fn what_a_room_answers_follows_from_its_key() {
        assert_eq!(SaltAnswer::of(None), SaltAnswer::Open);
        assert_eq!(SaltAnswer::of(Some(&RoomKey::new([1; 32], None))), SaltAnswer::Generated);
        assert_eq!(SaltAnswer::of(Some(&RoomKey::new([1; 32], Some([2; 16])))), SaltAnswer::Salt([2; 16]));
    }

    /// Plays a member that sends `says` once, and returns what the asker makes of it.
    fn asked(says: &'static [u8]) -> io::Result<SaltAnswer> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        let member = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let _ = (&stream).write_all(says);
            line
        });
        let answer = ask(there);
        assert_eq!(member.join().unwrap(), question());
        answer
    }

    #[test]
    fn a_member_is_asked_over_the_network() {
        let says = format!("{}\nmore", SaltAnswer::Salt([3; 16])).leak().as_bytes();
        assert_eq!(asked(says).unwrap(), SaltAnswer::Salt([3; 16]));
        assert_eq!(asked(b"").unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(asked(b"HTTP/1.1 400 Bad Request\r\n").unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(asked(&[b'x'; 4096]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
