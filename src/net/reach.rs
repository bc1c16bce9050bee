//! Checks with plain sockets whether another node can be reached: before a node runs, or after it has failed to start.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::failure::{Exit, Failure};
use crate::ring::limits::PROTOCOL_VERSION;
use crate::ring::{AuthorId, Frame, Hello, Refusal, SessionId, Uid};

/// How long the process that holds our port may take to identify itself.
const GREETING: Duration = Duration::from_secs(1);
/// Maximum bytes of that answer.
const GREETING_BYTES_MAX: u64 = 4096;
/// How long the last connection attempt to a contact may take.
const LOOK: Duration = Duration::from_millis(500);

/// This machine's address towards another one. Asks the routing table and sends nothing.
pub fn local_ip_towards(there: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if there.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(there).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// Whether this machine has the address.
pub fn is_ours(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// Sends a hello and returns the answer, if it is a frame.
///
/// # Errors
/// There is no answer in time.
pub fn greet(there: SocketAddr) -> anyhow::Result<Option<Frame>> {
    let ip = match there.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(ip, there.port()), GREETING)?;
    stream.set_read_timeout(Some(GREETING))?;
    stream.set_write_timeout(Some(GREETING))?;
    let hello = Hello {
        version: PROTOCOL_VERSION,
        room: None,
        uid: Uid(stream.local_addr()?),
        author: AuthorId::of_bits(getrandom::u64()?),
        session: SessionId(getrandom::u64()?),
    };
    let mut line = Vec::new();
    Frame::Hello(hello).encode(&mut line);
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    let mut reader = io::BufReader::new(stream.take(GREETING_BYTES_MAX));
    io::BufRead::read_until(&mut reader, b'\n', &mut answer)?;
    Ok(Frame::decode(&answer).ok())
}

/// Explains why no contact has answered. Tries the first contact once more to find out.
pub fn unreachable(contacts: &[SocketAddr], tried: Duration) -> Failure {
    let Some(first) = contacts.first() else {
        return Failure::new(Exit::Unreachable, "nobody answers", "there is nobody to ask", "");
    };
    let (reason, why) = match TcpStream::connect_timeout(first, LOOK).map(drop) {
        Ok(()) => match greet(*first) {
            // A node that lacks the key has got a refusal that says so. This node has the key.
            Ok(Some(Frame::Hello(_) | Frame::Refuse(Refusal::KeyNeeded))) => {
                ("it knows of no leader", "a dist-chat listens there that is looking for its room itself")
            }
            Ok(_) | Err(_) => {
                ("connected, but no answer", "something listens there, but it does not speak as a dist-chat does")
            }
        },
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                ("connection refused", "nothing listens there, or a firewall refuses it")
            }
            io::ErrorKind::TimedOut => ("no answer", "that machine is down, or a firewall drops what is sent to it"),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                ("no route", "that machine is down, or no network leads there")
            }
            _ => ("no connection", "the network does not lead there"),
        },
    };
    let others = match contacts.len() {
        1 => String::new(),
        2 => " and one other".to_owned(),
        n => format!(" and {} others", n - 1),
    };
    Failure::new(
        Exit::Unreachable,
        format!("cannot reach {first}{others} ({reason}, tried for {} s)", tried.as_secs_f64().round()),
        why,
        "try `dist-chat status` on that machine, or another member's address",
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    #[test]
    fn the_local_address_towards_a_neighbour_on_this_machine_is_its_own() {
        assert_eq!(local_ip_towards("127.0.0.1:9".parse().unwrap()), Some([127, 0, 0, 1].into()));
    }
}
