//! One connection: its reader and its writer.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Buf as _, Bytes, BytesMut};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use super::Meter;
use super::frames::Unframed;
use super::inbox::{Arrival, Budget, Ended, Inbox};
use super::limits::{DIRECT_BYTES_MAX, FLUSH, READ_BYTES_MAX, WRITE_BYTES_MAX, WRITE_FRAMES, WRITE_FRAMES_MAX};
use super::task::{Task, end_within};
use super::witness::Witness;
use crate::ring::{ConnId, Forged, Frame};

/// A connection, open or being dialled. Dropping it cuts it.
#[derive(Debug)]
pub(super) struct Link {
    peer: SocketAddr,
    /// What the driver has said in this turn.
    said: Vec<Bytes>,
    said_bytes: usize,
    queue: mpsc::Sender<Bytes>,
    /// Bytes that the writer was given and has not written.
    queued: Arc<AtomicUsize>,
    stage: Stage,
    meter: Arc<Meter>,
}

#[derive(Debug)]
enum Stage {
    Dialling { queue: mpsc::Receiver<Bytes>, _dialler: Task },
    Open { socket: Arc<TcpStream>, reader: Task, writer: Task, _open: oneshot::Sender<()> },
}

/// The peer does not take what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

impl Link {
    /// A connection that this task opens. What is said meanwhile waits.
    pub(super) fn dialling(peer: SocketAddr, dialler: Task, meter: &Arc<Meter>) -> Self {
        let (sender, queue) = mpsc::channel(WRITE_FRAMES_MAX);
        let stage = Stage::Dialling { queue, _dialler: dialler };
        let (queued, meter) = (Arc::default(), Arc::clone(meter));
        Self { peer, said: Vec::new(), said_bytes: 0, queue: sender, queued, stage, meter }
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
        let (queued, meter) = (Arc::default(), Arc::clone(meter));
        let stage = open(conn, socket, rest, queue, inbox, &queued, &meter);
        Self { peer, said: Vec::new(), said_bytes: 0, queue: sender, queued, stage, meter }
    }

    /// The dialled connection is open.
    #[must_use]
    pub(super) fn dialled(mut self, conn: ConnId, socket: TcpStream, inbox: &Inbox) -> Self {
        if let Stage::Dialling { queue, .. } = self.stage {
            self.stage = open(conn, socket, BytesMut::new(), queue, inbox, &self.queued, &self.meter);
        }
        self
    }

    /// The other end.
    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Bytes that were said and are not written.
    pub(super) fn waiting(&self) -> usize {
        self.said_bytes + self.queued.load(Ordering::Acquire)
    }

    /// Puts a frame behind what was said in this turn. True: it is the first.
    pub(super) fn say(&mut self, frame: Bytes) -> Result<bool, Overflow> {
        if self.waiting() + frame.len() > WRITE_BYTES_MAX || self.said.len() >= self.queue.capacity() {
            return Err(Overflow);
        }
        self.said_bytes += frame.len();
        self.said.push(frame);
        Ok(self.said.len() == 1)
    }

    /// Writes what was said if it is little and nothing else waits; hands it to the writer otherwise.
    pub(super) fn flush(&mut self) {
        if self.said_bytes <= DIRECT_BYTES_MAX && self.queued.load(Ordering::Acquire) == 0 {
            self.write_now();
        }
        self.queued.fetch_add(std::mem::take(&mut self.said_bytes), Ordering::AcqRel);
        for frame in self.said.drain(..) {
            // Places were counted when it was said. A writer that has ended has lost its connection; the reader,
            // which takes what the peer said last, reports it.
            let _ = self.queue.try_send(frame);
        }
    }

    /// Writes as much of what was said as the socket takes at once: a small frame need not wait for another task. The
    /// writer has nothing, so it writes nothing meanwhile.
    fn write_now(&mut self) {
        let Stage::Open { socket, .. } = &self.stage else { return };
        if self.said.len() > WRITE_FRAMES {
            return;
        }
        let mut slices = [IoSlice::new(&[]); WRITE_FRAMES];
        // An error is met again by the writer.
        let Ok(written) = socket.try_write_vectored(fill(&mut slices, &self.said)) else { return };
        self.said_bytes -= written;
        let before = self.said.len();
        let mut left = written;
        self.said.retain_mut(|frame| {
            let part = frame.len().min(left);
            frame.advance(part);
            left -= part;
            !frame.is_empty()
        });
        self.meter.wrote(before - self.said.len(), 1);
    }

    /// Writes what was said, within [`FLUSH`], then closes.
    pub(super) async fn close(mut self) {
        self.flush();
        drop(self.queue);
        let Stage::Open { reader, writer, _open: open, .. } = self.stage else { return };
        drop(open);
        end_within(FLUSH, [writer, reader]).await;
    }
}

fn open(
    conn: ConnId,
    socket: TcpStream,
    rest: BytesMut,
    queue: mpsc::Receiver<Bytes>,
    inbox: &Inbox,
    queued: &Arc<AtomicUsize>,
    meter: &Arc<Meter>,
) -> Stage {
    let socket = Arc::new(socket);
    let (open, closing) = oneshot::channel();
    let reader = Task::spawn(read(conn, Arc::clone(&socket), rest, inbox.clone(), closing));
    let writer = Task::spawn(write(Arc::clone(&socket), queue, Arc::clone(queued), Arc::clone(meter)));
    Stage::Open { socket, reader, writer, _open: open }
}

/// Hands over what arrives until the connection ends or is being closed.
async fn read(conn: ConnId, socket: Arc<TcpStream>, rest: BytesMut, inbox: Inbox, closing: oneshot::Receiver<()>) {
    tokio::select! {
        ended = receive(conn, &socket, rest, &inbox) => {
            if let Ok(why) = ended {
                // The driver has ended: nobody to tell.
                let _ = inbox.put(Arrival::Gone { conn, why }).await;
            }
        }
        _ = closing => discard(&socket).await,
    }
}

/// Reads to the stream's end; gives what was wrong, if its end is not the reason.
async fn receive(conn: ConnId, socket: &TcpStream, rest: BytesMut, inbox: &Inbox) -> Result<Option<String>, Ended> {
    let budget = Budget::new();
    let mut unframed = Unframed::with(rest);
    let mut witness = inbox.witness();
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
            let forged = look_through(&mut witness, &mut frames).await;
            if !frames.is_empty() {
                inbox.put(Arrival::Frames { conn, frames, cost }).await?;
            }
            if let Some(forged) = forged {
                inbox.put(Arrival::Forged { conn, forged }).await?;
                return std::future::pending().await;
            }
            if let Err(error) = decoded {
                return Ok(Some(error.to_string()));
            }
        }
        match unframed.read(socket).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
}

/// Checks who said what, up to the first frame with something that nobody has said; that one and what follows are taken
/// out.
async fn look_through(witness: &mut Witness, frames: &mut Vec<Frame>) -> Option<Forged> {
    for at in 0..frames.len() {
        if let Err(forged) = witness.check(&frames[at]) {
            frames.truncate(at);
            return Some(forged);
        }
        // A frame may hold hundreds of signatures: others have their turn.
        if frames[at].lines().next().is_some() {
            tokio::task::yield_now().await;
        }
    }
    None
}

/// Reads to nowhere until the peer has closed too: a socket closed with unread bytes resets the connection, and takes
/// what was written last from the peer.
async fn discard(socket: &TcpStream) {
    let mut nowhere = BytesMut::new();
    while socket.readable().await.is_ok() {
        nowhere.clear();
        nowhere.reserve(READ_BYTES_MAX);
        match socket.try_read_buf(&mut nowhere) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
}

/// Writes what is queued, as much as there is at once, until the queue is closed and empty.
async fn write(socket: Arc<TcpStream>, mut queue: mpsc::Receiver<Bytes>, queued: Arc<AtomicUsize>, meter: Arc<Meter>) {
    let mut frames = Vec::with_capacity(WRITE_FRAMES);
    while queue.recv_many(&mut frames, WRITE_FRAMES).await > 0 {
        let bytes: usize = frames.iter().map(Bytes::len).sum();
        let Ok(writes) = write_frames(&socket, &frames).await else { return };
        meter.wrote(frames.len(), writes);
        queued.fetch_sub(bytes, Ordering::AcqRel);
        frames.clear();
    }
    // An error says that the connection is gone, which is what is wanted.
    let _ = SockRef::from(&*socket).shutdown(Shutdown::Write);
}

/// Writes all of these; in how many writes.
async fn write_frames(socket: &TcpStream, frames: &[Bytes]) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); WRITE_FRAMES];
    let mut left = fill(&mut slices, frames);
    let mut writes = 0;
    while !left.is_empty() {
        match socket.try_write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                IoSlice::advance_slices(&mut left, written);
                writes += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(writes)
}

/// At most [`WRITE_FRAMES`] frames as one write takes them.
fn fill<'s, 'f>(slices: &'s mut [IoSlice<'f>; WRITE_FRAMES], frames: &'f [Bytes]) -> &'s mut [IoSlice<'f>] {
    for (slice, frame) in slices.iter_mut().zip(frames) {
        *slice = IoSlice::new(frame);
    }
    &mut slices[..frames.len()]
}
