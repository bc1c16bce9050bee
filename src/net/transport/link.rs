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
use super::inbox::{Budget, Ended, Inbox};
use super::limits::{
    DIRECT_BYTES_MAX, FLUSH, READ_BYTES_MAX, SEAL_FRAMES, WRITE_BYTES_MAX, WRITE_FRAMES, WRITE_FRAMES_MAX,
};
use super::meter::Meter;
use super::noise::{Fault, RECORD_BYTES_MAX, Sealer, Session};
use super::task::{Task, end_within};
use super::verify::Witness;
use crate::ring::{AuthorId, ConnId, ForgedLine, Frame};

/// A connection, open or being dialled. Dropping it cuts it.
#[derive(Debug)]
pub(in crate::net) struct Link {
    peer: SocketAddr,
    /// What the driver has said in this turn.
    said: Vec<Piece>,
    said_bytes: usize,
    queue: mpsc::Sender<Piece>,
    /// Bytes that the writer was given and has not written.
    queued: Arc<AtomicUsize>,
    stage: Stage,
    meter: Arc<Meter>,
}

#[derive(Debug)]
enum Stage {
    Dialling { queue: mpsc::Receiver<Piece>, _dialler: Task },
    Open { outlet: Outlet, reader: Task, writer: Task, _open: oneshot::Sender<()> },
}

/// What is to be written: a frame, or, in a keyed room, the rest of a record that the driver could not write at once.
#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    sealed: bool,
}

/// Where a link's bytes leave. The driver uses it while nothing is queued, the writer at all other times: whoever seals
/// finds the lock free, and what was sealed first is written first.
#[derive(Clone, Debug)]
struct Outlet {
    socket: Arc<TcpStream>,
    /// In a keyed room.
    sealer: Option<Arc<Mutex<Sealer>>>,
}

/// The peer does not take what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) struct Overflow;

impl Link {
    /// A connection that this task opens. What is said meanwhile waits.
    pub(in crate::net) fn dialling(peer: SocketAddr, dialler: Task, meter: &Arc<Meter>) -> Self {
        let (sender, queue) = mpsc::channel(WRITE_FRAMES_MAX);
        let stage = Stage::Dialling { queue, _dialler: dialler };
        let (queued, meter) = (Arc::default(), Arc::clone(meter));
        Self { peer, said: Vec::new(), said_bytes: 0, queue: sender, queued, stage, meter }
    }

    /// A connection that somebody opened.
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

    /// The dialled connection is open.
    #[must_use]
    pub(in crate::net) fn dialled(mut self, conn: ConnId, connected: Connected, inbox: &Inbox) -> Self {
        if let Stage::Dialling { queue, .. } = self.stage {
            self.stage = open(conn, connected, queue, inbox, &self.queued, &self.meter);
        }
        self
    }

    /// The other end.
    pub(in crate::net) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Bytes that were said and are not written.
    pub(in crate::net) fn waiting(&self) -> usize {
        self.said_bytes + self.queued.load(Ordering::Acquire)
    }

    /// Puts a frame behind what was said in this turn. True: it is the first.
    pub(in crate::net) fn say(&mut self, frame: Bytes) -> Result<bool, Overflow> {
        if self.waiting() + frame.len() > WRITE_BYTES_MAX || self.said.len() >= self.queue.capacity() {
            return Err(Overflow);
        }
        self.said_bytes += frame.len();
        self.said.push(Piece { bytes: frame, sealed: false });
        Ok(self.said.len() == 1)
    }

    /// Writes what was said if it is little and nothing else waits; hands it to the writer otherwise.
    pub(in crate::net) fn flush(&mut self) {
        if self.said_bytes <= DIRECT_BYTES_MAX && self.queued.load(Ordering::Acquire) == 0 {
            self.write_now();
        }
        self.queued.fetch_add(std::mem::take(&mut self.said_bytes), Ordering::AcqRel);
        for piece in self.said.drain(..) {
            // Places were counted when it was said. A writer that has ended has lost its connection; the reader,
            // which takes what the peer said last, reports it.
            let _ = self.queue.try_send(piece);
        }
    }

    /// Writes as much of what was said as the socket takes at once: a small frame need not wait for another task. The
    /// writer has nothing, so it writes nothing meanwhile.
    fn write_now(&mut self) {
        let Stage::Open { outlet, .. } = &self.stage else { return };
        if self.said.is_empty() || self.said.len() > WRITE_FRAMES {
            return;
        }
        match &outlet.sealer {
            Some(sealer) => write_sealed_now(&outlet.socket, sealer, &mut self.said, &self.meter),
            None => write_plain_now(&outlet.socket, &mut self.said, &self.meter),
        }
        self.said_bytes = self.said.iter().map(|piece| piece.bytes.len()).sum();
    }

    /// Writes what was said, within [`FLUSH`], then closes.
    pub(in crate::net) async fn close(mut self) {
        self.flush();
        drop(self.queue);
        let Stage::Open { reader, writer, _open: open, .. } = self.stage else { return };
        drop(open);
        end_within(FLUSH, [writer, reader]).await;
    }
}

/// Takes out what the socket takes.
fn write_plain_now(socket: &TcpStream, said: &mut Vec<Piece>, meter: &Meter) {
    let mut slices = [IoSlice::new(&[]); WRITE_FRAMES];
    // An error is met again by the writer.
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

/// Makes one record of all (the hello has one of its own), and leaves of it what the socket does not take.
fn write_sealed_now(socket: &TcpStream, sealer: &Mutex<Sealer>, said: &mut Vec<Piece>, meter: &Meter) {
    let (mut plain, mut sealed) = (Vec::new(), Vec::new());
    let (hello, others) = said.split_at(usize::from(is_new(sealer)));
    for pieces in [hello, others].into_iter().filter(|pieces| !pieces.is_empty()) {
        plain.clear();
        pieces.iter().for_each(|piece| plain.extend_from_slice(&piece.bytes));
        // What cannot be sealed here cannot be sealed by the writer either, which then ends the connection.
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
        said.push(Piece { bytes, sealed: true });
    }
}

/// Whether the first frame is still to come: it goes in a record of its own, since the door reads no long ones.
fn is_new(sealer: &Mutex<Sealer>) -> bool {
    sealer.lock().unwrap_or_else(PoisonError::into_inner).is_new()
}

fn seal(sealer: &Mutex<Sealer>, plain: &[u8], into: &mut Vec<u8>) -> Result<(), Fault> {
    sealer.lock().unwrap_or_else(PoisonError::into_inner).seal(plain, into)
}

fn open(
    conn: ConnId,
    connected: Connected,
    queue: mpsc::Receiver<Piece>,
    inbox: &Inbox,
    queued: &Arc<AtomicUsize>,
    meter: &Arc<Meter>,
) -> Stage {
    let Connected { socket, session, plain, sealed } = connected;
    let socket = Arc::new(socket);
    let (open, closing) = oneshot::channel();
    let (proven, sealer, opener) = match session {
        Some(Session { author, late: _, sealer, opener }) => (Some(author), Some(sealer), Some(opener)),
        None => (None, None, None),
    };
    let unframed = Unframed::with(plain, opener.map(|opener| (opener, sealed)));
    let outlet = Outlet { socket: Arc::clone(&socket), sealer: sealer.map(|sealer| Arc::new(Mutex::new(sealer))) };
    let reader = Task::spawn(read(conn, socket, unframed, proven, inbox.clone(), closing));
    let writer = Task::spawn(write(outlet.clone(), queue, Arc::clone(queued), Arc::clone(meter)));
    Stage::Open { outlet, reader, writer, _open: open }
}

/// Hands over what arrives until the connection ends or is being closed.
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
                // The driver has ended: nobody to tell.
                let _ = inbox.put(Arrival::Gone { conn, why }).await;
            }
        }
        _ = closing => discard(&socket).await,
    }
}

/// Reads to the stream's end; gives what was wrong, if its end is not the reason.
async fn receive(
    conn: ConnId,
    socket: &TcpStream,
    mut unframed: Unframed,
    proven: Option<AuthorId>,
    inbox: &Inbox,
) -> Result<Option<String>, Ended> {
    let budget = Budget::new();
    let mut witness = inbox.witness();
    loop {
        // What came before a record that does not open counts, as what comes before a frame that is none.
        let opened = unframed.open();
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

/// A hello of another author than the one that this link has proved.
fn speaks_for_another(frame: &Frame, proven: Option<AuthorId>) -> bool {
    match (frame, proven) {
        (Frame::Hello(hello), Some(author)) => hello.author != author,
        _ => false,
    }
}

/// Checks who said what, up to the first frame with something that nobody has said; that one and what follows are taken
/// out.
async fn look_through(witness: &mut Witness, frames: &mut Vec<Frame>) -> Option<ForgedLine> {
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
async fn write(outlet: Outlet, mut queue: mpsc::Receiver<Piece>, queued: Arc<AtomicUsize>, meter: Arc<Meter>) {
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
    // An error says that the connection is gone, which is what is wanted.
    let _ = SockRef::from(&*outlet.socket).shutdown(Shutdown::Write);
}

/// Writes all of these, in as few records as hold them; in how many writes.
async fn write_sealed(socket: &TcpStream, sealer: &Mutex<Sealer>, pieces: &[Piece]) -> io::Result<usize> {
    let mut writes = 0;
    // Only the driver's rest, if there is one: it was sealed before all that follows.
    let (rests, frames) = pieces.split_at(pieces.iter().position(|piece| !piece.sealed).unwrap_or(pieces.len()));
    for piece in rests {
        writes += write_all(socket, &mut [IoSlice::new(&piece.bytes)]).await?;
    }
    let bytes = frames.iter().map(|piece| piece.bytes.len()).sum::<usize>().min(RECORD_BYTES_MAX);
    let (mut plain, mut sealed) = (Vec::with_capacity(bytes), Vec::with_capacity(Sealer::record_bytes(bytes)));
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

/// Writes all of these; in how many writes.
async fn write_plain(socket: &TcpStream, frames: &[Piece]) -> io::Result<usize> {
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

/// At most [`WRITE_FRAMES`] frames as one write takes them.
fn fill<'s, 'f>(slices: &'s mut [IoSlice<'f>; WRITE_FRAMES], frames: &'f [Piece]) -> &'s mut [IoSlice<'f>] {
    for (slice, frame) in slices.iter_mut().zip(frames) {
        *slice = IoSlice::new(&frame.bytes);
    }
    &mut slices[..frames.len()]
}
