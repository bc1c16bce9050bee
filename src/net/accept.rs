//! The door: connections that somebody opened, until they have said who they are.
//!
//! What knocks here may be anything: a browser, a scanner, a flood. It costs a socket and, once it speaks, at most
//! [`HELLO_BYTES_MAX`], for a bounded time; the driver hears of it when a hello has been read.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::Meter;
use super::dial::{duration, tune};
use super::inbox::{Arrival, Ended, Inbox};
use super::limits::{
    ACCEPT_PAUSE_MAX, ACCEPT_PAUSE_MIN, HELLO_BYTES_MAX, HELLO_CONNECTS, UNGREETED_MAX, UNGREETED_PER_IP_MAX,
};
use crate::ring::{Frame, Timing};

/// All listeners, and everybody who has not said hello.
#[derive(Debug)]
pub(super) struct Door {
    listeners: Vec<TcpListener>,
    greetings: JoinSet<Greeting>,
    /// By the order in which they came.
    ungreeted: BTreeMap<u64, Stranger>,
    came: u64,
    inbox: Inbox,
    timing: Timing,
    meter: Arc<Meter>,
}

/// Somebody who has not said hello.
#[derive(Debug)]
struct Stranger {
    peer: SocketAddr,
    greeting: AbortHandle,
}

/// How a greeting went.
#[derive(Debug)]
struct Greeting {
    who: u64,
    /// What the driver is told; somebody who goes without a word is not worth one.
    arrival: Option<Arrival>,
}

/// Pauses between accepts that fail.
#[derive(Debug, Default)]
struct Backoff {
    pause: Duration,
    until: Option<Instant>,
}

impl Door {
    pub(super) fn new(listeners: Vec<TcpListener>, inbox: Inbox, timing: Timing, meter: Arc<Meter>) -> Self {
        let (greetings, ungreeted) = (JoinSet::new(), BTreeMap::new());
        Self { listeners, greetings, ungreeted, came: 0, inbox, timing, meter }
    }

    /// Lets people in until the driver has ended.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let met = tokio::select! {
                Some(greeted) = self.greetings.join_next() => match greeted {
                    Ok(greeting) => self.greeted(greeting).await,
                    // Dropped for its age.
                    Err(_) => Ok(()),
                },
                (at, accepted) = accept(&self.listeners), if backoff.until.is_none() => match accepted {
                    Ok((socket, peer)) => {
                        backoff = Backoff::default();
                        self.knocked(socket, peer).await
                    }
                    Err(error) if concerns_peer(&error) => Ok(()),
                    Err(error) => match backoff.failed() {
                        true => self.cannot_accept(at, &error).await,
                        false => Ok(()),
                    },
                },
                () = resume(backoff.until) => {
                    backoff.until = None;
                    Ok(())
                }
            };
            self.meter.strangers(self.ungreeted.len());
            if let Err(Ended) = met {
                return;
            }
        }
    }

    /// Takes a stranger in, at the cost of the oldest where there are too many.
    async fn knocked(&mut self, socket: TcpStream, peer: SocketAddr) -> Result<(), Ended> {
        let ip = peer.ip().to_canonical();
        let same = |stranger: &Stranger| stranger.peer.ip().to_canonical() == ip;
        let too_many_alike = self.ungreeted.values().filter(|stranger| same(stranger)).count() >= UNGREETED_PER_IP_MAX;
        let too_many = self.ungreeted.len() >= UNGREETED_MAX;
        let oldest = self.ungreeted.iter().find(|(_, stranger)| too_many && !too_many_alike || same(stranger));
        let dropped = (too_many || too_many_alike).then_some(oldest).flatten().map(|(&who, _)| who);
        if let Some(stranger) = dropped.and_then(|who| self.ungreeted.remove(&who)) {
            stranger.greeting.abort();
            self.turned_away(stranger.peer, "did not say hello, and others wait").await?;
        }
        self.came += 1;
        let greeting = greet(self.came, socket, peer, self.timing);
        let greeting = self.greetings.spawn(greeting);
        self.ungreeted.insert(self.came, Stranger { peer, greeting });
        Ok(())
    }

    async fn greeted(&mut self, greeting: Greeting) -> Result<(), Ended> {
        self.ungreeted.remove(&greeting.who);
        match greeting.arrival {
            Some(arrival) => self.inbox.put(arrival).await,
            None => Ok(()),
        }
    }

    async fn cannot_accept(&self, listener: usize, error: &io::Error) -> Result<(), Ended> {
        let unspecified = SocketAddr::from((IpAddr::from([0; 4]), 0));
        let address = self.listeners.get(listener).and_then(|listener| listener.local_addr().ok());
        let why = format!("cannot accept connections, and tries on: {error}");
        self.turned_away(address.unwrap_or(unspecified), &why).await
    }

    async fn turned_away(&self, peer: SocketAddr, why: &str) -> Result<(), Ended> {
        self.inbox.put(Arrival::TurnedAway { peer, why: why.to_owned() }).await
    }
}

impl Backoff {
    /// Pauses, each time longer; true: it is the first of this trouble.
    fn failed(&mut self) -> bool {
        let first = self.pause.is_zero();
        self.pause = (self.pause * 2).clamp(ACCEPT_PAUSE_MIN, ACCEPT_PAUSE_MAX);
        self.until = Some(Instant::now() + self.pause);
        first
    }
}

/// The next connection of any listener, and which one it is.
async fn accept(listeners: &[TcpListener]) -> (usize, io::Result<(TcpStream, SocketAddr)>) {
    std::future::poll_fn(|context| {
        for (at, listener) in listeners.iter().enumerate() {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                return Poll::Ready((at, accepted));
            }
        }
        Poll::Pending
    })
    .await
}

/// Waits for that moment; for ever, if there is none.
async fn resume(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// The connection has failed, not the listener: the next may be good.
fn concerns_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// Waits for a hello.
async fn greet(who: u64, socket: TcpStream, peer: SocketAddr, timing: Timing) -> Greeting {
    let limit = duration(timing.connect.times(HELLO_CONNECTS));
    let heard = tokio::time::timeout(limit, hello(&socket)).await;
    let arrival = match heard.unwrap_or_else(|_| Err(Some("did not say hello".to_owned()))) {
        Ok((hello, rest)) => match tune(&socket, timing) {
            Ok(()) => Some(Arrival::Greeted { socket, peer, hello: Box::new(hello), rest }),
            // Gone already.
            Err(_) => None,
        },
        Err(why) => why.map(|why| Arrival::TurnedAway { peer, why }),
    };
    Greeting { who, arrival }
}

/// Reads the first frame; an error says what it was instead, if anything.
async fn hello(socket: &TcpStream) -> Result<(Frame, BytesMut), Option<String>> {
    let mut bytes = BytesMut::new();
    let end = loop {
        socket.readable().await.map_err(|_| None)?;
        let room = HELLO_BYTES_MAX - bytes.len();
        match socket.try_read_buf(&mut (&mut bytes).limit(room)) {
            Ok(0) => return Err((!bytes.is_empty()).then(|| "went away within its hello".to_owned())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) => return Err(None),
        }
        match memchr::memchr(b'\n', &bytes) {
            Some(at) => break at + 1,
            None if bytes.len() >= HELLO_BYTES_MAX => return Err(Some("its first line is too long".to_owned())),
            None => {}
        }
    };
    let line = bytes.split_to(end);
    match Frame::decode(&line) {
        Ok(hello @ Frame::Hello(_)) => Ok((hello, bytes)),
        Ok(_) => Err(Some("its first frame is no hello".to_owned())),
        Err(error) => Err(Some(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_in_trouble_pauses_ever_longer_and_says_so_once() {
        let mut backoff = Backoff::default();
        let said = (0..20).filter(|_| backoff.failed()).count();
        assert_eq!((said, backoff.pause), (1, ACCEPT_PAUSE_MAX));
        let mut again = Backoff::default();
        assert!(again.failed() && again.pause == ACCEPT_PAUSE_MIN);
    }

    #[test]
    fn only_trouble_of_our_own_pauses() {
        assert!(concerns_peer(&io::ErrorKind::ConnectionAborted.into()));
        #[cfg(target_os = "linux")]
        assert!(!concerns_peer(&io::Error::from_raw_os_error(24)), "too many open files");
    }
}
