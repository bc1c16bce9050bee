//! One connection: its reader and its writer.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use super::Meter;
use super::frames::Unframed;
use super::inbox::{Arrival, Budget, Ended, Inbox};
use super::limits::{FLUSH, READ_BYTES, WRITE_BYTES_MAX, WRITE_FRAMES, WRITE_FRAMES_MAX};
use super::task::{Task, end_within};
use crate::ring::ConnId;

/// A connection, open or being dialled. Dropping it cuts it.
#[derive(Debug)]
pub(super) struct Link {
    peer: SocketAddr,
    /// What the driver has said in this turn.
    said: Vec<Bytes>,
    queue: mpsc::Sender<Bytes>,
    /// Bytes that were said and are not written.
    queued: Arc<AtomicUsize>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Dialling { queue: mpsc::Receiver<Bytes>, _dialler: Task },
    Open { reader: Task, writer: Task, _open: oneshot::Sender<()> },
}

/// The peer does not take what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

impl Link {
    /// A connection that this task opens. What is said meanwhile waits.
    pub(super) fn dialling(peer: SocketAddr, dialler: Task) -> Self {
        let (sender, queue) = mpsc::channel(WRITE_FRAMES_MAX);
        let stage = Stage::Dialling { queue, _dialler: dialler };
        Self { peer, said: Vec::new(), queue: sender, queued: Arc::default(), stage }
    }

    /// A connection that somebody opened; `rest` was read from it already.
    pub(super) fn accepted(
        conn: ConnId,
        peer: SocketAddr,
        socket: TcpStream,
        rest: BytesMut,
        inbox: &Inbox,
        meter: &Arc<Meter>,
    ) -> Self {
        let (sender, queue) = mpsc::channel(WRITE_FRAMES_MAX);
        let queued = Arc::default();
        let stage = open(conn, socket, rest, queue, &queued, inbox, meter);
        Self { peer, said: Vec::new(), queue: sender, queued, stage }
    }

    /// The dialled connection is open.
    #[must_use]
    pub(super) fn dialled(mut self, conn: ConnId, socket: TcpStream, inbox: &Inbox, meter: &Arc<Meter>) -> Self {
        if let Stage::Dialling { queue, .. } = self.stage {
            self.stage = open(conn, socket, BytesMut::new(), queue, &self.queued, inbox, meter);
        }
        self
    }

    /// The other end.
    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Bytes that were said and are not written.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Puts a frame behind what was said in this turn. True: it is the first.
    pub(super) fn say(&mut self, frame: Bytes) -> Result<bool, Overflow> {
        let queued = self.queued.fetch_add(frame.len(), Ordering::Relaxed) + frame.len();
        if queued > WRITE_BYTES_MAX || self.said.len() >= self.queue.capacity() {
            return Err(Overflow);
        }
        self.said.push(frame);
        Ok(self.said.len() == 1)
    }

    /// Hands what was said to the writer.
    pub(super) fn flush(&mut self) {
        for frame in self.said.drain(..) {
            // Places were counted when it was said. A writer that has ended has lost its connection; the reader,
            // which takes what the peer said last, reports it.
            let _ = self.queue.try_send(frame);
        }
    }

    /// Writes what was said, within [`FLUSH`], then closes.
    pub(super) async fn close(mut self) {
        self.flush();
        drop(self.queue);
        let Stage::Open { reader, writer, _open: open } = self.stage else { return };
        drop(open);
        end_within(FLUSH, [writer, reader]).await;
    }
}

fn open(
    conn: ConnId,
    socket: TcpStream,
    rest: BytesMut,
    queue: mpsc::Receiver<Bytes>,
    queued: &Arc<AtomicUsize>,
    inbox: &Inbox,
    meter: &Arc<Meter>,
) -> Stage {
    let (source, sink) = socket.into_split();
    let (open, closing) = oneshot::channel();
    let reader = Task::spawn(read(conn, source, rest, inbox.clone(), closing));
    let writer = Task::spawn(write(sink, queue, Arc::clone(queued), Arc::clone(meter)));
    Stage::Open { reader, writer, _open: open }
}

/// Hands over what arrives until the connection ends or is being closed.
async fn read(conn: ConnId, source: OwnedReadHalf, rest: BytesMut, inbox: Inbox, closing: oneshot::Receiver<()>) {
    tokio::select! {
        ended = receive(conn, &source, rest, &inbox) => {
            if let Ok(why) = ended {
                // The driver has ended: nobody to tell.
                let _ = inbox.put(Arrival::Gone { conn, why }).await;
            }
        }
        _ = closing => discard(&source).await,
    }
}

/// Reads to the stream's end; gives what was wrong, if its end is not the reason.
async fn receive(conn: ConnId, source: &OwnedReadHalf, rest: BytesMut, inbox: &Inbox) -> Result<Option<String>, Ended> {
    let budget = Budget::new();
    let mut unframed = Unframed::with(rest);
    loop {
        loop {
            let bytes = match unframed.find() {
                Ok(0) => break,
                Ok(bytes) => bytes,
                Err(error) => return Ok(Some(error.to_string())),
            };
            // Before decoding: what waits for room waits as bytes.
            let cost = inbox.afford(&budget, bytes).await?;
            let mut frames = Vec::new();
            let decoded = unframed.decode(&mut frames);
            if !frames.is_empty() {
                inbox.put(Arrival::Frames { conn, frames, cost }).await?;
            }
            if let Err(error) = decoded {
                return Ok(Some(error.to_string()));
            }
        }
        match unframed.read(source).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
}

/// Reads to nowhere until the peer has closed too: a socket closed with unread bytes resets the connection, and takes
/// what was written last from the peer.
async fn discard(source: &OwnedReadHalf) {
    let mut nowhere = BytesMut::new();
    while source.readable().await.is_ok() {
        nowhere.clear();
        nowhere.reserve(READ_BYTES);
        match source.try_read_buf(&mut nowhere) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
}

/// Writes what is queued, as much as there is at once, until the queue is closed and empty.
async fn write(
    mut sink: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Bytes>,
    queued: Arc<AtomicUsize>,
    meter: Arc<Meter>,
) {
    let mut frames = Vec::with_capacity(WRITE_FRAMES);
    while queue.recv_many(&mut frames, WRITE_FRAMES).await > 0 {
        let bytes: usize = frames.iter().map(Bytes::len).sum();
        let Ok(writes) = write_frames(&mut sink, &frames).await else { return };
        meter.wrote(frames.len(), writes);
        queued.fetch_sub(bytes, Ordering::Relaxed);
        frames.clear();
    }
    // An error says that the connection is gone, which is what is wanted.
    let _ = sink.shutdown().await;
}

/// Writes all of these; in how many writes.
async fn write_frames(sink: &mut OwnedWriteHalf, frames: &[Bytes]) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); WRITE_FRAMES];
    for (slice, frame) in slices.iter_mut().zip(frames) {
        *slice = IoSlice::new(frame);
    }
    let mut left = &mut slices[..frames.len()];
    let mut writes = 0;
    while !left.is_empty() {
        let written = sink.write_vectored(left).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut left, written);
        writes += 1;
    }
    Ok(writes)
}
