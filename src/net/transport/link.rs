//! One connection: its reader and its writer.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf as _, Bytes, BytesMut};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use super::arrival::{Arrival, Connected};
use super::frames::Unframed;
use super::greeting::SPEAKS_FOR_ANOTHER;
use super::inbox::{DriverGone, Inbox, InboxBudget};
use super::limits::{
    DIRECT_BYTES_MAX, FLUSH, READ_BYTES_MAX, SEAL_FRAMES, WRITE_BYTES_MAX, WRITE_FRAMES, WRITE_FRAMES_MAX,
};
use super::meter::Meter;
use super::noise::{Encryptor, NoiseError, RECORD_BYTES_MAX, SecureSession};
use super::task::{Task, end_within};
use super::verify::FrameVerifier;
use crate::ring::{AuthorId, ConnId, ForgedLine, Frame};

/// A connection, open or being dialled. Dropping it cuts it.
#[derive(Debug)]
pub(in crate::net) struct Connection {
    peer: SocketAddr,
    /// The frames that the driver has queued in this turn.
    said: Vec<WriteChunk>,
    said_bytes: usize,
    queue: mpsc::Sender<WriteChunk>,
    /// Bytes that the writer has received and not written.
    queued: Arc<AtomicUsize>,
    stage: ConnectionStage,
    meter: Arc<Meter>,
}

#[derive(Debug)]
enum ConnectionStage {
    Dialling { queue: mpsc::Receiver<WriteChunk>, _dialler: Task },
    Open { outlet: WriteHalf, reader: Task, writer: Task, _open: oneshot::Sender<()> },
}

/// Bytes to write: a frame or, in a room with a key, the rest of a record that the driver could not write at once.
#[derive(Debug)]
struct WriteChunk {
    bytes: Bytes,
    sealed: bool,
}

/// The socket, with its encryption. The driver uses it while nothing is queued, and the writer uses it at all other
/// times. So the lock is always free, and what is encrypted first is written first.
#[derive(Clone, Debug)]
struct WriteHalf {
    socket: Arc<TcpStream>,
    /// The encryption, in a room with a key.
    sealer: Option<Arc<Mutex<Encryptor>>>,
}

/// The peer does not read what this node sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) struct Overflow;

impl Connection {
    /// A connection that this task dials. Frames wait until it is open.
    pub(in crate::net) fn dialling(peer: SocketAddr, dialler: Task, meter: &Arc<Meter>) -> Self {
        let (sender, queue) = mpsc::channel(WRITE_FRAMES_MAX);
        let stage = ConnectionStage::Dialling { queue, _dialler: dialler };
        let (queued, meter) = (Arc::default(), Arc::clone(meter));
        Self { peer, said: Vec::new(), said_bytes: 0, queue: sender, queued, stage, meter }
    }

    /// A connection that the peer opened.
    pub(in crate::net) fn accepted(
        conn: ConnId,
        peer: SocketAddr,
        connected: Connected,
        inbox: &Inbox,
        meter: &Arc<Meter>,
    ) -> Self {
        let (sender, queue) = mpsc::channel(WRITE_FRAMES_MAX);
        let (queued, meter) = (Arc::default(), Arc::clone(meter));
        let stage = open(conn, connected, queue, inbox, &queued, &meter);
        Self { peer, said: Vec::new(), said_bytes: 0, queue: sender, queued, stage, meter }
    }

    /// Takes over the dialled connection.
    #[must_use]
    pub(in crate::net) fn dialled(mut self, conn: ConnId, connected: Connected, inbox: &Inbox) -> Self {
        if let ConnectionStage::Dialling { queue, .. } = self.stage {
            self.stage = open(conn, connected, queue, inbox, &self.queued, &self.meter);
        }
        self
    }

    /// The peer's address.
    pub(in crate::net) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Bytes that are queued and not written.
    pub(in crate::net) fn waiting(&self) -> usize {
        self.said_bytes + self.queued.load(Ordering::Acquire)
    }

    /// Queues a frame behind this turn's other frames. `true`: it is the first of the turn.
    pub(in crate::net) fn say(&mut self, frame: Bytes) -> Result<bool, Overflow> {
        if self.waiting() + frame.len() > WRITE_BYTES_MAX || self.said.len() >= self.queue.capacity() {
            return Err(Overflow);
        }
        self.said_bytes += frame.len();
        self.said.push(WriteChunk { bytes: frame, sealed: false });
        Ok(self.said.len() == 1)
    }

    /// Writes this turn's frames itself if they are short and nothing else waits. Otherwise hands them to the writer.
    pub(in crate::net) fn flush(&mut self) {
        if self.said_bytes <= DIRECT_BYTES_MAX && self.queued.load(Ordering::Acquire) == 0 {
            self.write_now();
        }
        self.queued.fetch_add(std::mem::take(&mut self.said_bytes), Ordering::AcqRel);
        for piece in self.said.drain(..) {
            // `say` has counted the places. An error means that the writer has ended and lost its connection. The
            // reader takes the peer's last frames and reports the end.
            let _ = self.queue.try_send(piece);
        }
    }

    /// Writes as much of this turn's frames as the socket takes at once, so that a small frame need not wait for
    /// another task. The writer's queue is empty, so it writes nothing meanwhile.
    fn write_now(&mut self) {
        let ConnectionStage::Open { outlet, .. } = &self.stage else { return };
        if self.said.is_empty() || self.said.len() > WRITE_FRAMES {
            return;
        }
        match &outlet.sealer {
            Some(sealer) => write_sealed_now(&outlet.socket, sealer, &mut self.said, &self.meter),
            None => write_plain_now(&outlet.socket, &mut self.said, &self.meter),
        }
        self.said_bytes = self.said.iter().map(|piece| piece.bytes.len()).sum();
    }

    /// Writes what is queued, within [`FLUSH`], then closes.
    pub(in crate::net) async fn close(mut self) {
        self.flush();
        drop(self.queue);
        let ConnectionStage::Open { reader, writer, _open: open, .. } = self.stage else { return };
        drop(open);
        end_within(FLUSH, [writer, reader]).await;
    }
}

/// Writes frames in clear, and removes what the socket takes.
fn write_plain_now(socket: &TcpStream, said: &mut Vec<WriteChunk>, meter: &Meter) {
    let mut slices = [IoSlice::new(&[]); WRITE_FRAMES];
    // The writer meets the same error again.
    let Ok(mut left) = socket.try_write_vectored(fill(&mut slices, said)) else { return };
    let before = said.len();
    said.retain_mut(|piece| {
        let part = piece.bytes.len().min(left);
        piece.bytes.advance(part);
        left -= part;
        !piece.bytes.is_empty()
    });
    meter.wrote(before - said.len(), 1);
}

/// Encrypts all frames as one record (the hello gets its own), and keeps what the socket does not take.
fn write_sealed_now(socket: &TcpStream, sealer: &Mutex<Encryptor>, said: &mut Vec<WriteChunk>, meter: &Meter) {
    let (mut plain, mut sealed) = (Vec::new(), Vec::new());
    let (hello, others) = said.split_at(usize::from(is_new(sealer)));
    for pieces in [hello, others].into_iter().filter(|pieces| !pieces.is_empty()) {
        plain.clear();
        pieces.iter().for_each(|piece| plain.extend_from_slice(&piece.bytes));
        // If encryption fails here, it fails in the writer too, and the writer then ends the connection.
        if seal(sealer, &plain, &mut sealed).is_err() {
            return;
        }
    }
    let written = socket.try_write(&sealed).unwrap_or(0);
    meter.wrote(said.len(), usize::from(written > 0));
    said.clear();
    if written < sealed.len() {
        let mut bytes = Bytes::from(sealed);
        bytes.advance(written);
        said.push(WriteChunk { bytes, sealed: true });
    }
}

/// Whether the first frame was not sent yet. It goes in a record of its own, since the listener reads no long records.
fn is_new(sealer: &Mutex<Encryptor>) -> bool {
    sealer.lock().unwrap_or_else(PoisonError::into_inner).is_new()
}

fn seal(sealer: &Mutex<Encryptor>, plain: &[u8], into: &mut Vec<u8>) -> Result<(), NoiseError> {
    sealer.lock().unwrap_or_else(PoisonError::into_inner).seal(plain, into)
}

fn open(
    conn: ConnId,
    connected: Connected,
    queue: mpsc::Receiver<WriteChunk>,
    inbox: &Inbox,
    queued: &Arc<AtomicUsize>,
    meter: &Arc<Meter>,
) -> ConnectionStage {
    let Connected { socket, session, plain, sealed } = connected;
    let socket = Arc::new(socket);
    let (open, closing) = oneshot::channel();
    let (proven, sealer, opener) = match session {
        Some(SecureSession { author, late: _, sealer, opener }) => (Some(author), Some(sealer), Some(opener)),
        None => (None, None, None),
    };
    let unframed = Unframed::with(plain, opener.map(|opener| (opener, sealed)));
    let outlet = WriteHalf { socket: Arc::clone(&socket), sealer: sealer.map(|sealer| Arc::new(Mutex::new(sealer))) };
    let reader = Task::spawn(read(conn, socket, unframed, proven, inbox.clone(), closing));
    let writer = Task::spawn(write(outlet.clone(), queue, Arc::clone(queued), Arc::clone(meter)));
    ConnectionStage::Open { outlet, reader, writer, _open: open }
}

/// Hands arriving frames over until the connection ends or closes.
async fn read(
    conn: ConnId,
    socket: Arc<TcpStream>,
    unframed: Unframed,
    proven: Option<AuthorId>,
    inbox: Inbox,
    closing: oneshot::Receiver<()>,
) {
    tokio::select! {
        ended = receive(conn, &socket, unframed, proven, &inbox) => {
            if let Ok(why) = ended {
                // An error means that the driver has ended.
                let _ = inbox.put(Arrival::Gone { conn, why }).await;
            }
        }
        _ = closing => discard(&socket).await,
    }
}

/// Reads to the end of the stream. Returns the fault, if a fault ended it.
async fn receive(
    conn: ConnId,
    socket: &TcpStream,
    mut unframed: Unframed,
    proven: Option<AuthorId>,
    inbox: &Inbox,
) -> Result<Option<String>, DriverGone> {
    let budget = InboxBudget::new();
    let mut witness = inbox.witness();
    loop {
        // The frames before a broken record count, like the frames before an invalid frame.
        let opened = unframed.open();
        loop {
            let bytes = match unframed.find() {
                Ok(0) => break,
                Ok(bytes) => bytes,
                Err(error) => return Ok(Some(error.to_string())),
            };
            // Before decoding: while the budget is full, the input waits as bytes.
            let cost = inbox.afford(&budget, bytes).await?;
            let mut frames = Vec::new();
            let decoded = unframed.decode(&mut frames);
            let impostor = frames.iter().position(|frame| speaks_for_another(frame, proven));
            frames.truncate(impostor.unwrap_or(frames.len()));
            let forged = look_through(&mut witness, &mut frames).await;
            if !frames.is_empty() {
                inbox.put(Arrival::Frames { conn, frames, cost }).await?;
            }
            if let Some(forged) = forged {
                inbox.put(Arrival::Forged { conn, forged }).await?;
                return std::future::pending().await;
            }
            if impostor.is_some() {
                return Ok(Some(SPEAKS_FOR_ANOTHER.to_owned()));
            }
            if let Err(error) = decoded {
                return Ok(Some(error.to_string()));
            }
        }
        if let Err(fault) = opened {
            return Ok(Some(fault.to_string()));
        }
        match unframed.read(socket).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
}

/// Whether this is a hello of another author than the one this link has proved.
fn speaks_for_another(frame: &Frame, proven: Option<AuthorId>) -> bool {
    match (frame, proven) {
        (Frame::Hello(hello), Some(author)) => hello.author != author,
        _ => false,
    }
}

/// Verifies the signatures of the frames, up to the first frame with a forged line. Removes that frame and all later
/// ones.
async fn look_through(witness: &mut FrameVerifier, frames: &mut Vec<Frame>) -> Option<ForgedLine> {
    for at in 0..frames.len() {
        if let Err(forged) = witness.check(&frames[at]) {
            frames.truncate(at);
            return Some(forged);
        }
        // A frame may hold hundreds of signatures, so other tasks get a turn.
        if frames[at].lines().next().is_some() {
            tokio::task::yield_now().await;
        }
    }
    None
}

/// Reads and discards until the peer has closed too. A socket that closes with unread bytes resets the connection, and
/// the peer then loses what was written last.
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

/// Writes what is queued, as much as possible at once, until the queue is closed and empty.
async fn write(outlet: WriteHalf, mut queue: mpsc::Receiver<WriteChunk>, queued: Arc<AtomicUsize>, meter: Arc<Meter>) {
    let at_once = if outlet.sealer.is_some() { SEAL_FRAMES } else { WRITE_FRAMES };
    let mut pieces = Vec::with_capacity(WRITE_FRAMES);
    while queue.recv_many(&mut pieces, at_once).await > 0 {
        let bytes: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
        let written = match &outlet.sealer {
            Some(sealer) => write_sealed(&outlet.socket, sealer, &pieces).await,
            None => write_plain(&outlet.socket, &pieces).await,
        };
        let Ok(writes) = written else { return };
        meter.wrote(pieces.iter().filter(|piece| !piece.sealed).count(), writes);
        queued.fetch_sub(bytes, Ordering::AcqRel);
        pieces.clear();
    }
    // An error means that the connection is already gone, as wanted.
    let _ = SockRef::from(&*outlet.socket).shutdown(Shutdown::Write);
}

/// Writes all pieces in as few records as possible. Returns the number of writes.
async fn write_sealed(socket: &TcpStream, sealer: &Mutex<Encryptor>, pieces: &[WriteChunk]) -> io::Result<usize> {
    let mut writes = 0;
    // At most the driver's rest: it was encrypted before everything that follows.
    let (rests, frames) = pieces.split_at(pieces.iter().position(|piece| !piece.sealed).unwrap_or(pieces.len()));
    for piece in rests {
        writes += write_all(socket, &mut [IoSlice::new(&piece.bytes)]).await?;
    }
    let bytes = frames.iter().map(|piece| piece.bytes.len()).sum::<usize>().min(RECORD_BYTES_MAX);
    let (mut plain, mut sealed) = (Vec::with_capacity(bytes), Vec::with_capacity(Encryptor::record_bytes(bytes)));
    let hello = is_new(sealer);
    for (at, piece) in frames.iter().enumerate() {
        let mut frame = &piece.bytes[..];
        while !frame.is_empty() {
            let part;
            (part, frame) = frame.split_at(frame.len().min(RECORD_BYTES_MAX - plain.len()));
            plain.extend_from_slice(part);
            let last = frame.is_empty() && (at + 1 == frames.len() || hello && at == 0);
            if plain.len() == RECORD_BYTES_MAX || last {
                seal(sealer, &plain, &mut sealed).map_err(|fault| io::Error::other(fault.to_string()))?;
                writes += write_all(socket, &mut [IoSlice::new(&sealed)]).await?;
                plain.clear();
                sealed.clear();
            }
        }
    }
    Ok(writes)
}

/// Writes all frames in clear. Returns the number of writes.
async fn write_plain(socket: &TcpStream, frames: &[WriteChunk]) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); WRITE_FRAMES];
    write_all(socket, fill(&mut slices, frames)).await
}

async fn write_all(socket: &TcpStream, mut left: &mut [IoSlice<'_>]) -> io::Result<usize> {
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

/// The first [`WRITE_FRAMES`] frames, at most, as slices for one write.
fn fill<'s, 'f>(slices: &'s mut [IoSlice<'f>; WRITE_FRAMES], frames: &'f [WriteChunk]) -> &'s mut [IoSlice<'f>] {
    for (slice, frame) in slices.iter_mut().zip(frames) {
        *slice = IoSlice::new(&frame.bytes);
    }
    &mut slices[..frames.len()]
}
