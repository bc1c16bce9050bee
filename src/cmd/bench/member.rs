//! A thin reader: a member of the room that reads frames, checks the indexes and acknowledges.
//!
//! It has its own uid and its own listener, so it has a place in the ring: its predecessor dials it, and it echoes
//! heartbeats. It keeps no log, shows nothing and takes no part in elections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::payload::{entries, text};
use super::plan::{LATENCY_RATE, LOOPBACK};
use super::scan::{ScannedEnd, Scanner, look};
use super::times::Times;
use crate::identity::Identity;
use crate::ring::limits::PROTOCOL_VERSION;
use crate::ring::{
    Accept, Ack, Frame, Hello, Index, Join, Lamport, Line, LineId, Name, RoomId, SessionId, StreamId, Submit, Uid,
    sign_runs,
};

/// The task of the readers.
#[derive(Clone)]
pub enum Watch {
    /// Count the delivered entries.
    Count,
    /// Count lines of bare text.
    Text,
    /// Record the time of each line.
    Times(Arc<Times>),
}

/// Running readers. Dropping this ends them.
pub struct Readers {
    tasks: JoinSet<anyhow::Result<()>>,
    seen: Vec<Arc<ReaderProgress>>,
}

/// A reader's progress.
#[derive(Default)]
struct ReaderProgress {
    /// Lines delivered.
    lines: AtomicU64,
    /// The last index.
    index: AtomicU64,
}

impl Readers {
    /// No readers.
    pub fn new() -> Self {
        Self { tasks: JoinSet::new(), seen: Vec::new() }
    }

    /// Connects `count` readers to a bare loop. With [`Watch::Times`] the first of them sends the lines.
    ///
    /// # Errors
    /// The loop does not accept.
    pub async fn bare(on: &Handle, server: SocketAddr, count: usize, watch: &Watch) -> anyhow::Result<Self> {
        let mut readers = Self::new();
        for k in 0..count {
            let stream = connect(server).await?;
            let talk = match watch {
                Watch::Times(times) if k == 0 => Some(PacedSender { times: Arc::clone(times), voice: Voice::Bare }),
                Watch::Times(_) | Watch::Count | Watch::Text => None,
            };
            readers.spawn(on, ThinReader::new(stream, watch.clone(), talk));
        }
        Ok(readers)
    }

    /// Adds `count` thin members to the room. With [`Watch::Times`] the first of them submits the lines.
    ///
    /// # Errors
    /// The leader refuses a member.
    pub async fn members(on: &Handle, leader: SocketAddr, count: usize, watch: &Watch) -> anyhow::Result<Self> {
        let mut readers = Self::new();
        for k in 0..count {
            let listener = TcpListener::bind((LOOPBACK, 0)).await.context("cannot listen on the loopback interface")?;
            let me = Me::new(Uid(listener.local_addr()?), k)?;
            let hello = me.hello.clone();
            readers.tasks.spawn_on(answer_neighbours(listener, hello), on);
            let (mut reader, accept) = me.join(leader).await.with_context(|| format!("thin member {k}"))?;
            reader.watch = watch.clone();
            reader.talk = match watch {
                Watch::Times(times) if k == 0 => {
                    let voice = Voice::Member { me: Box::new(me), room: accept.room, stream: accept.stream };
                    Some(PacedSender { times: Arc::clone(times), voice })
                }
                Watch::Times(_) | Watch::Count | Watch::Text => None,
            };
            readers.spawn(on, reader);
        }
        Ok(readers)
    }

    fn spawn(&mut self, on: &Handle, reader: ThinReader) {
        self.seen.push(Arc::clone(&reader.progress));
        self.tasks.spawn_on(reader.run(), on);
    }

    /// Lines delivered so far, summed over all readers.
    pub fn lines(&self) -> u64 {
        self.seen.iter().map(|seen| seen.lines.load(Ordering::Relaxed)).sum()
    }

    /// The last index that every reader has.
    pub fn index(&self) -> u64 {
        self.seen.iter().map(|seen| seen.index.load(Ordering::Relaxed)).min().unwrap_or_default()
    }

    /// Checks that every reader still reads.
    ///
    /// # Errors
    /// The fault of a reader that has stopped.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.tasks.try_join_next() {
            None => Ok(()),
            Some(Ok(Ok(()))) => anyhow::bail!("a reader's connection has ended"),
            Some(Ok(Err(error))) => Err(error.context("a reader has stopped")),
            Some(Err(error)) => Err(error).context("a reader has stopped"),
        }
    }
}

/// The identity of a thin member.
struct Me {
    identity: Identity,
    hello: Hello,
    name: Name,
}

impl Me {
    fn new(uid: Uid, k: usize) -> anyhow::Result<Self> {
        let identity = Identity::fresh()?;
        let author = identity.author();
        let session = SessionId(getrandom::u64()?);
        let hello = Hello { version: PROTOCOL_VERSION, room: None, uid, author, session };
        Ok(Self { identity, hello, name: Name::parse(&format!("thin{k}"))? })
    }

    async fn join(&self, leader: SocketAddr) -> anyhow::Result<(ThinReader, Accept)> {
        let mut stream = connect(leader).await?;
        let join = Join {
            attempt: 1,
            name: self.name.clone(),
            rename: true,
            tail: Index(0),
            epoch_bounds: Vec::new(),
            complete: true,
            caught_up: false,
            promise: None,
            lamport: Lamport(0),
            backlog: None,
        };
        let mut out = Vec::new();
        Frame::Hello(self.hello.clone()).encode(&mut out);
        Frame::Join(join).encode(&mut out);
        stream.write_all(&out).await?;
        let mut scanner = Scanner::new();
        loop {
            while let Some(frame) = scanner.next() {
                match Frame::decode(frame)? {
                    Frame::Accept(accept) => {
                        let mut reader = ThinReader::new(stream, Watch::Count, None);
                        reader.scanner = scanner;
                        reader.follows = Some(accept.stream);
                        return Ok((reader, accept));
                    }
                    Frame::Ping(ping) => {
                        out.clear();
                        Frame::Pong(ping).encode(&mut out);
                        stream.write_all(&out).await?;
                    }
                    Frame::Hello(_) | Frame::Wait => {}
                    other => anyhow::bail!("the leader answers a join with {other:?}"),
                }
            }
            anyhow::ensure!(scanner.fill(&mut stream).await?, "the leader closes the connection instead of accepting");
        }
    }

    fn submit(&self, room: RoomId, stream: StreamId, n: u64) -> anyhow::Result<Frame> {
        let id = LineId { author: self.hello.author, session: self.hello.session, n };
        let (name, uid, text) = (self.name.clone(), self.hello.uid, text(n)?);
        let mut line = Line { id, lamport: Lamport(0), name, uid, text, channel: None, act: None, signature: None };
        sign_runs(room, std::slice::from_mut(&mut line), &self.identity);
        Ok(Frame::Submit(Submit { stream, lines: vec![Arc::new(line)] }))
    }
}

/// Answers the hello of peers that dial this member, and echoes heartbeats.
async fn answer_neighbours(listener: TcpListener, hello: Hello) -> anyhow::Result<()> {
    let mut links = JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let hello = Frame::Hello(hello.clone());
        links.spawn(async move {
            let mut out = Vec::new();
            hello.encode(&mut out);
            let mut scanner = Scanner::new();
            loop {
                stream.write_all(&out).await?;
                out.clear();
                if !scanner.fill(&mut stream).await? {
                    return std::io::Result::Ok(());
                }
                while let Some(frame) = scanner.next() {
                    if let ScannedEnd::Ping(ping) = look(frame) {
                        Frame::Pong(ping).encode(&mut out);
                    }
                }
            }
        });
    }
}

/// Sends [`Times::lines`] lines at an even rate.
struct PacedSender {
    times: Arc<Times>,
    voice: Voice,
}

/// The form of sent lines.
enum Voice {
    /// An entry in the form that readers expect. A bare loop relays it.
    Bare,
    /// A submission that the leader orders.
    Member { me: Box<Me>, room: RoomId, stream: StreamId },
}

impl PacedSender {
    /// The `n`-th line, from 1.
    fn say(&self, n: u64, out: &mut Vec<u8>) -> anyhow::Result<()> {
        match &self.voice {
            Voice::Bare => entries(self.times.index(n), 1, &text(n)?)?.encode(out),
            Voice::Member { me, room, stream } => me.submit(*room, *stream, n)?.encode(out),
        }
        Ok(())
    }
}

/// The reading side of one connection.
struct ThinReader {
    stream: TcpStream,
    scanner: Scanner,
    /// The stream to acknowledge; `None`: a bare loop expects no acknowledgement.
    follows: Option<StreamId>,
    watch: Watch,
    talk: Option<PacedSender>,
    progress: Arc<ReaderProgress>,
    /// The index before the next expected one.
    index: u64,
    said: u64,
    out: Vec<u8>,
}

impl ThinReader {
    fn new(stream: TcpStream, watch: Watch, talk: Option<PacedSender>) -> Self {
        Self {
            stream,
            scanner: Scanner::new(),
            follows: None,
            watch,
            talk,
            progress: Arc::default(),
            index: 0,
            said: 0,
            out: Vec::new(),
        }
    }

    async fn run(mut self) -> anyhow::Result<()> {
        self.take()?;
        if let Some(talk) = self.talk.take() {
            self.converse(&talk).await?;
        }
        loop {
            self.stream.write_all(&self.out).await?;
            self.out.clear();
            if !self.scanner.fill(&mut self.stream).await? {
                return Ok(());
            }
            self.take()?;
        }
    }

    /// Sends lines, and reads meanwhile.
    async fn converse(&mut self, talk: &PacedSender) -> anyhow::Result<()> {
        let mut pace = interval(Duration::from_secs(1) / LATENCY_RATE);
        // A sender that lags catches up, so that the rate holds.
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut begun = false;
        while self.said < talk.times.lines() {
            tokio::select! {
                () = talk.times.begun(), if !begun => {
                    begun = true;
                    pace.reset();
                }
                _ = pace.tick(), if begun => {
                    self.said += 1;
                    talk.times.sent(self.said);
                    talk.say(self.said, &mut self.out)?;
                }
                more = self.scanner.fill(&mut self.stream) => {
                    anyhow::ensure!(more?, "the connection has ended");
                    self.take()?;
                }
            }
            self.stream.write_all(&self.out).await?;
            self.out.clear();
        }
        Ok(())
    }

    /// Handles every frame that has arrived, and puts the answers in `out`.
    fn take(&mut self) -> anyhow::Result<()> {
        let mut lines = 0;
        while let Some(frame) = self.scanner.next() {
            match look(frame) {
                ScannedEnd::Entries { first, last } => {
                    // A bare loop repeats the same indexes, so they are checked only in a room.
                    if self.follows.is_some() {
                        anyhow::ensure!(first == self.index + 1, "index {first} comes after {}", self.index);
                    }
                    anyhow::ensure!(last >= first, "index {last} stands after {first} in a frame");
                    self.index = last;
                    lines += last - first + 1;
                    if let Watch::Times(times) = &self.watch {
                        times.delivered(first, last);
                    }
                }
                ScannedEnd::Ping(ping) => Frame::Pong(ping).encode(&mut self.out),
                ScannedEnd::Other(_) if matches!(self.watch, Watch::Text) => lines += 1,
                ScannedEnd::Other(_) => {}
            }
        }
        if lines > 0 {
            self.progress.lines.fetch_add(lines, Ordering::Relaxed);
            self.progress.index.store(self.index, Ordering::Relaxed);
            if let Some(stream) = self.follows {
                Frame::Ack(Ack { stream, index: Index(self.index) }).encode(&mut self.out);
            }
        }
        Ok(())
    }
}

async fn connect(to: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(to).await.with_context(|| format!("cannot reach {to}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
