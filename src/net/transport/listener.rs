//! The listener: accepts connections, and holds them until the peer has said hello.
//!
//! Any program may connect: a browser, a scanner, a flood. Such a peer costs a socket and, once it sends, at most
//! [`HELLO_BYTES_MAX`], for a bounded time. The driver gets a connection only after its hello.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::arrival::{Arrival, Connected};
use super::dial::{duration, tune};
use super::greeting::{GreetedPeer, GreetingServer, GreetingStep};
use super::inbox::{DriverGone, Inbox};
use super::keyring::HandshakeConfig;
use super::limits::{ACCEPT_PAUSE_MAX, ACCEPT_PAUSE_MIN, HANDSHAKES_MAX, HELLO_BYTES_MAX, HELLO_CONNECTS};
use super::meter::Meter;
use super::pending_peers::{PendingPeer, PendingPeers};
use crate::ring::Timing;

/// All listening sockets, and all peers that have not said hello.
#[derive(Debug)]
pub(in crate::net) struct Listener {
    listeners: Vec<TcpListener>,
    greetings: JoinSet<Outcome>,
    ungreeted: PendingPeers,
    came: u64,
    inbox: Inbox,
    timing: Timing,
    locks: HandshakeConfig,
    /// Permits for work that costs processor time.
    turns: Arc<Semaphore>,
    meter: Arc<Meter>,
}

/// The result of a greeting.
#[derive(Debug)]
struct Outcome {
    who: u64,
    /// The message for the driver. A peer that leaves without a word causes none.
    arrival: Option<Arrival>,
}

/// Pauses between accepts that fail.
#[derive(Debug, Default)]
struct AcceptBackoff {
    pause: Duration,
    until: Option<Instant>,
}

impl Listener {
    pub(in crate::net) fn new(
        listeners: Vec<TcpListener>,
        inbox: Inbox,
        timing: Timing,
        locks: HandshakeConfig,
        meter: Arc<Meter>,
    ) -> Self {
        let (greetings, ungreeted) = (JoinSet::new(), PendingPeers::default());
        let turns = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        Self { listeners, greetings, ungreeted, came: 0, inbox, timing, locks, turns, meter }
    }

    /// Accepts peers until the driver has ended.
    pub(in crate::net) async fn run(mut self) {
        let mut backoff = AcceptBackoff::default();
        loop {
            let met = tokio::select! {
                Some(greeted) = self.greetings.join_next() => match greeted {
                    Ok(outcome) => self.greeted(outcome).await,
                    // Dropped, since it was the oldest.
                    Err(_) => Ok(()),
                },
                (at, accepted) = accept(&self.listeners), if backoff.until.is_none() => match accepted {
                    Ok((socket, peer)) => {
                        backoff = AcceptBackoff::default();
                        self.knocked(socket, peer)
                    }
                    Err(error) if concerns_peer(&error) => Ok(()),
                    Err(error) => match backoff.failed() {
                        true => self.cannot_accept(at, &error),
                        false => Ok(()),
                    },
                },
                () = resume(backoff.until) => {
                    backoff.until = None;
                    Ok(())
                }
            };
            self.meter.pending_peers(self.ungreeted.len());
            if let Err(DriverGone) = met {
                return;
            }
        }
    }

    /// Takes a stranger in. If there are too many, drops the oldest.
    fn knocked(&mut self, socket: TcpStream, peer: SocketAddr) -> Result<(), DriverGone> {
        if let Some(pending_peer) = self.ungreeted.make_room(peer.ip()) {
            pending_peer.greeting.abort();
            self.turned_away(pending_peer.peer, "did not say hello, and others wait".to_owned())?;
        }
        self.came += 1;
        let knows_key = Arc::new(AtomicBool::new(false));
        let greeter = Greeter {
            greeting: GreetingServer::new(Arc::clone(&self.locks.own), self.locks.keyring.keys()),
            knows_key: Arc::clone(&knows_key),
            turns: Arc::clone(&self.turns),
        };
        let greeting = self.greetings.spawn(greet(self.came, socket, peer, self.timing, greeter));
        self.ungreeted.insert(self.came, PendingPeer { peer, greeting, knows_key });
        Ok(())
    }

    async fn greeted(&mut self, outcome: Outcome) -> Result<(), DriverGone> {
        self.ungreeted.remove(outcome.who);
        match outcome.arrival {
            Some(Arrival::TurnedAway { peer, why }) => self.turned_away(peer, why),
            Some(arrival) => self.inbox.put(arrival).await,
            None => Ok(()),
        }
    }

    fn cannot_accept(&self, listener: usize, error: &io::Error) -> Result<(), DriverGone> {
        let unspecified = SocketAddr::from((IpAddr::from([0; 4]), 0));
        let address = self.listeners.get(listener).and_then(|listener| listener.local_addr().ok());
        let why = format!("cannot accept connections, and tries on: {error}");
        self.turned_away(address.unwrap_or(unspecified), why)
    }

    /// Reports a refused stranger, if the queue has a place: a flood of such reports must not block the listener. The
    /// notices drop most of them anyway.
    fn turned_away(&self, peer: SocketAddr, why: String) -> Result<(), DriverGone> {
        self.inbox.mention(Arrival::TurnedAway { peer, why })
    }
}

impl AcceptBackoff {
    /// Pauses, longer after each failure. `true`: this is the first failure in a row.
    fn failed(&mut self) -> bool {
        let first = self.pause.is_zero();
        self.pause = (self.pause * 2).clamp(ACCEPT_PAUSE_MIN, ACCEPT_PAUSE_MAX);
        self.until = Some(Instant::now() + self.pause);
        first
    }
}

/// The next connection of any listening socket, and that socket's index.
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

/// Waits until that moment; without one, forever.
async fn resume(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// Whether the connection has failed and not the listening socket. The next connection may be good.
fn concerns_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// Greets one peer.
async fn greet(who: u64, mut socket: TcpStream, peer: SocketAddr, timing: Timing, greeter: Greeter) -> Outcome {
    let limit = duration(timing.connect.times(HELLO_CONNECTS));
    let heard = tokio::time::timeout(limit, greeter.hear(&mut socket)).await;
    let arrival = match heard.unwrap_or_else(|_| Err(Some("did not say hello".to_owned()))) {
        Ok((GreetedPeer { hello, session, plain }, sealed)) => match tune(&socket, timing) {
            Ok(()) => {
                let connected = Box::new(Connected { socket, session, plain, sealed });
                Some(Arrival::Greeted { connected, peer, hello: Box::new(hello) })
            }
            // The peer is gone already.
            Err(_) => None,
        },
        Err(why) => why.map(|why| Arrival::TurnedAway { peer, why }),
    };
    Outcome { who, arrival }
}

/// Greets one stranger.
#[derive(Debug)]
struct Greeter {
    greeting: GreetingServer,
    knows_key: Arc<AtomicBool>,
    turns: Arc<Semaphore>,
}

impl Greeter {
    /// Reads up to the stranger's hello. Returns the greeting and the bytes behind the hello. An error holds the fault,
    /// if there was one.
    async fn hear(mut self, socket: &mut TcpStream) -> Result<(GreetedPeer, BytesMut), Option<String>> {
        let (mut bytes, mut left) = (BytesMut::new(), HELLO_BYTES_MAX);
        loop {
            let step = {
                let _turn = self.turns.acquire().await;
                self.greeting.step(&mut bytes)
            };
            match step {
                GreetingStep::Wait if left == 0 => return Err(Some("says too much before its hello".to_owned())),
                GreetingStep::Wait => left -= read(socket, &mut bytes, left).await?,
                GreetingStep::Answer(answer) => {
                    self.knows_key.store(true, Ordering::Relaxed);
                    socket.write_all(&answer).await.map_err(|_| None)?;
                }
                GreetingStep::Greeted(greeted) => return Ok((*greeted, bytes)),
                GreetingStep::TurnedAway { word, why } => {
                    if !word.is_empty() {
                        last_word(socket, &word).await;
                    }
                    return Err(why);
                }
            }
        }
    }
}

/// Reads once, at most `most` bytes.
async fn read(socket: &TcpStream, bytes: &mut BytesMut, most: usize) -> Result<usize, Option<String>> {
    loop {
        socket.readable().await.map_err(|_| None)?;
        match socket.try_read_buf(&mut (&mut *bytes).limit(most)) {
            Ok(0) => return Err((!bytes.is_empty()).then(|| "went away within its hello".to_owned())),
            Ok(read) => return Ok(read),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Err(None),
        }
    }
}

/// Sends this, then waits until the peer has read it. A socket that closes with unread bytes takes back what was
/// written last.
async fn last_word(socket: &mut TcpStream, word: &[u8]) {
    if socket.write_all(word).await.is_err() || socket.shutdown().await.is_err() {
        return;
    }
    let mut nowhere = BytesMut::new();
    let mut left = HELLO_BYTES_MAX;
    while let Ok(read) = read(socket, &mut nowhere, left).await {
        left -= read;
        nowhere.clear();
        if left == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_in_trouble_pauses_ever_longer_and_says_so_once() {
        let mut backoff = AcceptBackoff::default();
        let said = (0..20).filter(|_| backoff.failed()).count();
        assert_eq!((said, backoff.pause), (1, ACCEPT_PAUSE_MAX));
        let mut again = AcceptBackoff::default();
        assert!(again.failed() && again.pause == ACCEPT_PAUSE_MIN);
    }

    #[test]
    fn only_trouble_of_our_own_pauses() {
        assert!(concerns_peer(&io::ErrorKind::ConnectionAborted.into()));
        #[cfg(target_os = "linux")]
        assert!(!concerns_peer(&io::Error::from_raw_os_error(24)), "too many open files");
    }
}
