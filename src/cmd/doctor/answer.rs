//! Finds out what answers at an address: a dist-chat node or another program.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::key::salt;
use crate::ring::limits::PROTOCOL_VERSION;
use crate::ring::{Frame, Refusal};
use crate::text;

/// Maximum bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 1024;
/// Maximum characters of a foreign answer that are shown.
const SHOWN_CHARS_MAX: usize = 60;

/// The program at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeAnswer {
    /// A node of this version, with its answer about the room's key.
    DistChat(salt::SaltAnswer),
    /// A node of another version.
    Version(u32),
    /// Another program.
    Other(String),
    /// The program closes the connection without an answer.
    Closed,
    /// The program sends nothing.
    Silent,
}

/// Asks the question that every node of this version answers to strangers: what kind of key its room has.
///
/// # Errors
/// The connection breaks.
pub fn ask(mut stream: &TcpStream, patience: Duration) -> io::Result<ProbeAnswer> {
    let until = Instant::now() + patience;
    let mut said = Vec::new();
    stream.set_write_timeout(Some(patience))?;
    // A program that speaks first is not a node, and may have closed the connection already. Its bytes say more than
    // the write error.
    let asked = stream.write_all(salt::question().as_bytes());
    let mut chunk = [0; ANSWER_BYTES_MAX];
    while said.len() < ANSWER_BYTES_MAX && !said.contains(&b'\n') {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut chunk) {
            Ok(0) if said.is_empty() => return asked.map(|()| ProbeAnswer::Closed),
            Ok(0) => break,
            Ok(bytes) => said.extend_from_slice(&chunk[..bytes]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if said.is_empty() && error.kind() == io::ErrorKind::ConnectionReset => {
                return Ok(ProbeAnswer::Closed);
            }
            Err(_) if !said.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(match said.is_empty() {
        true => ProbeAnswer::Silent,
        false => of(&said),
    })
}

/// The kind of program that sends these first bytes.
fn of(said: &[u8]) -> ProbeAnswer {
    let line = said.split(|byte| *byte == b'\n').next().unwrap_or(said);
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    if let Ok(answer) = text.parse::<salt::SaltAnswer>() {
        return ProbeAnswer::DistChat(answer);
    }
    let version = text.strip_prefix("dist-chat ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    if let Some(version) = version.filter(|version| *version != PROTOCOL_VERSION) {
        return ProbeAnswer::Version(version);
    }
    match Frame::decode(line) {
        Ok(Frame::Refuse(Refusal::Version(version))) => return ProbeAnswer::Version(version),
        Ok(Frame::Hello(hello)) if hello.version != PROTOCOL_VERSION => return ProbeAnswer::Version(hello.version),
        Ok(_) | Err(_) => {}
    }
    let lower = text.to_lowercase();
    let kind = match said {
        [b'H', b'T', b'T', b'P', b'/', ..] => "a web server (HTTP)",
        _ if lower.starts_with("<!doctype html") || lower.starts_with("<html") => "a web server (HTTP)",
        [b'S', b'S', b'H', b'-', ..] => "an SSH server",
        // A TLS alert or handshake.
        [0x15 | 0x16, 0x03, ..] => return ProbeAnswer::Other("a server that speaks TLS".to_owned()),
        [b'2', b'2', b'0', b' ' | b'-', ..] => "a mail or FTP server",
        _ => "another program",
    };
    let shown: String = text::visible(text).chars().take(SHOWN_CHARS_MAX).collect();
    ProbeAnswer::Other(format!("{kind}: {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_is_known_by_its_first_bytes() {
        let other = |said: &[u8]| match of(said) {
            ProbeAnswer::Other(kind) => kind,
            answer => format!("{answer:?}"),
        };
        assert_eq!(of(b"dist-chat 4 open\n"), ProbeAnswer::DistChat(salt::SaltAnswer::Open));
        assert_eq!(of(b"dist-chat 4 salt none\n"), ProbeAnswer::DistChat(salt::SaltAnswer::Generated));
        assert_eq!(of(b"dist-chat 1 whatever\n"), ProbeAnswer::Version(1));
        assert_eq!(of(b"{\"refuse\":{\"version\":1}}\n"), ProbeAnswer::Version(1));
        assert_eq!(other(b"HTTP/1.1 400 Bad Request\r\nServer: x"), "a web server (HTTP): HTTP/1.1 400 Bad Request");
        assert!(other(b"<!DOCTYPE HTML>\n").starts_with("a web server"));
        assert_eq!(other(b"SSH-2.0-OpenSSH_9.2\r\n"), "an SSH server: SSH-2.0-OpenSSH_9.2");
        assert_eq!(other(&[0x15, 3, 1, 0, 2, 2, 0x46]), "a server that speaks TLS");
        assert_eq!(other(b"220 mail ready\r\n"), "a mail or FTP server: 220 mail ready");
        assert_eq!(other(b"\x1b[2J"), "another program: \\x1b[2J");
        assert!(other(&[b'a'; 1000]).len() < 100);
    }
}
