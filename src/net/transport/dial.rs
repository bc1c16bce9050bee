//! Dials other nodes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::arrival::{Connected, Failed};
use super::greeting::{GreetingClient, GreetingError};
use super::keyring::HandshakeConfig;
use super::limits::{HELLO_BYTES_MAX, USER_TIMEOUT_SILENCES};

use crate::key::RoomKey;
use crate::ring::{Refusal, Span, Timing};

/// Converts a span of the core to a duration.
pub(in crate::net) const fn duration(span: Span) -> Duration {
    Duration::from_micros(span.0)
}

/// Connects and, if the room has a key, shakes hands, all within [`Timing::connect`].
pub(in crate::net) async fn dial(to: SocketAddr, timing: Timing, locks: &HandshakeConfig) -> Result<Connected, Failed> {
    let keys = locks.keyring.keys();
    let opened = async {
        let Some(current) = &keys.current else { return Ok(Connected::open(connect(to, timing).await?)) };
        let met = shake_hands(connect(to, timing).await?, locks, current).await;
        match &keys.previous {
            // The other end may not know the new key yet.
            Some(previous) if met.as_ref().is_err_and(|why| *why == Failed::TurnedAway(Refusal::WrongKey)) => {
                shake_hands(connect(to, timing).await?, locks, previous).await
            }
            Some(_) | None => met,
        }
    };
    tokio::time::timeout(duration(timing.connect), opened).await.unwrap_or(Err(Failed::Unreachable))
}

async fn connect(to: SocketAddr, timing: Timing) -> Result<TcpStream, Failed> {
    let socket = TcpStream::connect(to).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => Failed::Refused,
        _ => Failed::Unreachable,
    })?;
    // On one machine, the system may give a dial to a free port that same port as its own. The dial then reaches
    // itself.
    if socket.local_addr().ok() == Some(to) {
        return Err(Failed::Refused);
    }
    tune(&socket, timing).map_err(|_| Failed::Unreachable)?;
    Ok(socket)
}

/// The dialler's half of a handshake.
async fn shake_hands(mut socket: TcpStream, locks: &HandshakeConfig, key: &RoomKey) -> Result<Connected, Failed> {
    let gone = |_: io::Error| Failed::Unreachable;
    let (calling, first) = GreetingClient::begin(&locks.own, key)?;
    socket.write_all(&first).await.map_err(gone)?;
    let mut bytes = BytesMut::new();
    while !GreetingClient::answered(&bytes) {
        let mut room = bytes::BufMut::limit(&mut bytes, HELLO_BYTES_MAX);
        if socket.read_buf(&mut room).await.map_err(gone)? == 0 {
            return Err(Failed::Unreachable);
        }
    }
    let (session, third) = calling.finish(&mut bytes)?;
    socket.write_all(&third).await.map_err(gone)?;
    Ok(Connected { socket, session: Some(session), plain: BytesMut::new(), sealed: bytes })
}

impl From<GreetingError> for Failed {
    fn from(shut: GreetingError) -> Self {
        match shut {
            GreetingError::Refused(refusal) => Self::TurnedAway(refusal),
            GreetingError::Broken(why) => Self::Broken(why),
        }
    }
}

/// Sets the socket to send small frames at once, and to give up a peer whose kernel does not answer.
pub(in crate::net) fn tune(socket: &TcpStream, timing: Timing) -> io::Result<()> {
    socket.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(socket).set_tcp_user_timeout(Some(duration(timing.silence.times(USER_TIMEOUT_SILENCES))))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[tokio::test]
    async fn a_free_port_refuses() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(connect(free, Timing::default()).await.unwrap_err(), Failed::Refused);
    }

    #[tokio::test]
    async fn a_dialled_socket_has_its_options() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = connect(listener.local_addr().unwrap(), Timing::default()).await.unwrap();
        assert!(socket.nodelay().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(socket2::SockRef::from(&socket).tcp_user_timeout().unwrap(), Some(Duration::from_secs(6)));
    }
}
