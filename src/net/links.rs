//! All connections of the node.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::transport::arrival::Arrival;
use super::transport::arrival::Connected;
use super::transport::dial::dial;
use super::transport::inbox::Inbox;
use super::transport::keyring::HandshakeConfig;
use super::transport::limits::{COPY_BYTES_MAX, WRITE_BYTES_MAX};
use super::transport::link::{Connection, Overflow};
use super::transport::meter::Meter;
use super::transport::task::Task;
use crate::ring::limits::FRAME_BYTES_MAX;
use crate::ring::{ConnId, Frame, Timing};

/// The connections by the core's ids. Dropping this cuts them all.
#[derive(Debug)]
pub(super) struct Connections {
    links: HashMap<ConnId, Connection>,
    /// The connections that got frames in this turn.
    spoken: Vec<ConnId>,
    /// The connections that close once their queued frames are written.
    closing: JoinSet<()>,
    accepted: u64,
    /// The buffer in which frames are encoded.
    scratch: Vec<u8>,
    inbox: Inbox,
    timing: Timing,
    locks: HandshakeConfig,
    meter: Arc<Meter>,
}

/// A connection that was cut because its peer does not read.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlowPeer {
    pub(super) conn: ConnId,
    pub(super) peer: SocketAddr,
}

impl Connections {
    pub(super) fn new(inbox: Inbox, timing: Timing, locks: HandshakeConfig, meter: Arc<Meter>) -> Self {
        Self {
            links: HashMap::new(),
            spoken: Vec::new(),
            closing: JoinSet::new(),
            accepted: 0,
            scratch: Vec::new(),
            inbox,
            timing,
            locks,
            meter,
        }
    }

    /// The peer's address, if the connection exists.
    pub(super) fn peer(&self, conn: ConnId) -> Option<SocketAddr> {
        self.links.get(&conn).map(Connection::peer)
    }

    /// Starts to dial a peer.
    pub(super) fn dial(&mut self, conn: ConnId, peer: SocketAddr) {
        let (inbox, timing, locks) = (self.inbox.clone(), self.timing, self.locks.clone());
        let dialler = Task::spawn(async move {
            let result = dial(peer, timing, &locks).await.map(Box::new);
            // An error means that the driver has ended, and that the connection is no longer needed.
            let _ = inbox.put(Arrival::Dialled { conn, result }).await;
        });
        self.insert(conn, Connection::dialling(peer, dialler, &self.meter));
    }

    /// Takes over a dialled connection. `false`: the node no longer wants it.
    pub(super) fn dialled(&mut self, conn: ConnId, connected: Connected) -> bool {
        let Some(link) = self.links.remove(&conn) else { return false };
        let link = link.dialled(conn, connected, &self.inbox);
        self.links.insert(conn, link);
        true
    }

    /// Takes over an accepted connection. Returns its new id.
    pub(super) fn accept(&mut self, peer: SocketAddr, connected: Connected) -> ConnId {
        self.accepted += 1;
        let conn = ConnId::accepted(self.accepted);
        let link = Connection::accepted(conn, peer, connected, &self.inbox, &self.meter);
        self.insert(conn, link);
        conn
    }

    /// Encodes a frame once and queues it on each of these connections. Returns the connections that were cut because
    /// their queue was full.
    pub(super) fn send(&mut self, conns: &[ConnId], frame: &Frame) -> Vec<SlowPeer> {
        let mut cut = Vec::new();
        if !conns.iter().any(|conn| self.links.contains_key(conn)) {
            return cut;
        }
        #[cfg(feature = "forger")]
        let frame = &super::forger::lie(frame).unwrap_or_else(|| frame.clone());
        let bytes = self.encode(frame);
        for &conn in conns {
            // Absent: the connection has ended, and the core will get its end.
            let Some(link) = self.links.get_mut(&conn) else { continue };
            match link.say(bytes.clone()) {
                Ok(true) => self.spoken.push(conn),
                Ok(false) => {}
                Err(Overflow) => {
                    cut.push(SlowPeer { conn, peer: link.peer() });
                    self.remove(conn);
                }
            }
        }
        cut
    }

    fn encode(&mut self, frame: &Frame) -> Bytes {
        self.scratch.clear();
        frame.encode(&mut self.scratch);
        let len = self.scratch.len();
        debug_assert!(len <= FRAME_BYTES_MAX, "no peer takes a frame of {len} bytes");
        if len < COPY_BYTES_MAX {
            return Bytes::copy_from_slice(&self.scratch);
        }
        // A long frame keeps the buffer. The next buffer starts with the same capacity, since the next frame is
        // probably as long.
        std::mem::replace(&mut self.scratch, Vec::with_capacity(len)).into()
    }

    /// Hands this turn's frames to the writers.
    pub(super) fn flush(&mut self) {
        for conn in self.spoken.drain(..) {
            if let Some(link) = self.links.get_mut(&conn) {
                link.flush();
            }
        }
        while self.closing.try_join_next().is_some() {}
    }

    /// Closes a connection once its queued frames are written.
    pub(super) fn close(&mut self, conn: ConnId) {
        if let Some(link) = self.remove(conn) {
            self.closing.spawn(link.close());
        }
    }

    /// Removes a connection. Dropping the returned link cuts it.
    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Connection> {
        let link = self.links.remove(&conn);
        self.meter.links(self.links.len());
        link
    }

    /// Closes all connections once their queued frames are written. Waits for that, but only for a bounded time.
    pub(super) async fn finish(mut self) {
        for (_, link) in self.links.drain() {
            self.closing.spawn(link.close());
        }
        while self.closing.join_next().await.is_some() {}
    }

    fn insert(&mut self, conn: ConnId, link: Connection) {
        self.links.insert(conn, link);
        self.meter.links(self.links.len());
    }
}

/// The text of a notice about a peer that was [`SlowPeer`].
pub(super) fn overflowed() -> String {
    format!("does not read: more than {} MiB wait for it", WRITE_BYTES_MAX / (1024 * 1024))
}
