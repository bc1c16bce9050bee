//! Opening connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use super::inbox::Refused;
use super::limits::USER_TIMEOUT_SILENCES;
use crate::ring::{Span, Timing};

/// A span of the core as the runtime counts time.
pub(super) const fn duration(span: Span) -> Duration {
    Duration::from_micros(span.0)
}

/// Connects, or says whether the host refused.
pub(super) async fn dial(to: SocketAddr, timing: Timing) -> Result<TcpStream, Refused> {
    let connected = tokio::time::timeout(duration(timing.connect), TcpStream::connect(to)).await;
    let socket = connected.map_err(|_| Refused(false))?.map_err(|error| Refused(refused(&error)))?;
    // On one machine a dial to a free port may be given that very port as its own, and reach itself.
    if socket.local_addr().ok() == Some(to) {
        return Err(Refused(true));
    }
    tune(&socket, timing).map_err(|_| Refused(false))?;
    Ok(socket)
}

fn refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

/// Sends small frames at once, and gives up a peer whose kernel does not answer.
pub(super) fn tune(socket: &TcpStream, timing: Timing) -> io::Result<()> {
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
        assert_eq!(dial(free, Timing::default()).await.unwrap_err(), Refused(true));
    }

    #[tokio::test]
    async fn a_dialled_socket_has_its_options() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = dial(listener.local_addr().unwrap(), Timing::default()).await.unwrap();
        assert!(socket.nodelay().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(socket2::SockRef::from(&socket).tcp_user_timeout().unwrap(), Some(Duration::from_secs(6)));
    }
}
