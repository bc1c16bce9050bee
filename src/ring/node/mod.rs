//! One member of the room: the only place where things are decided.
//!
//! [`Node::step`] reads like the protocol's table of contents; each chapter is a file of its own.

mod asking;
mod beginning;
mod electing;
mod entries;
mod following;
mod forging;
mod frames;
mod joining;
mod keys;
mod leading;
mod leaving;
mod looking;
mod meeting;
mod moderating;
mod neighbours;
mod phase;
mod rebasing;
mod relaying;
mod status;
mod streaming;
mod submitting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use self::neighbours::Neighbours;
use self::phase::{Fetching, Phase};
use super::book::Book;
use super::budget::Budget;
use super::entry::Line;
use super::frame::{Frame, Hello};
use super::id::{
    ConnId, Epoch, Index, Lamport, LineId, Name, Now, ReadId, RoomId, SessionKey, Span, StreamId, SyncId, Time, Uid,
};
use super::limits::{self, NUMBER_MAX, OUTBOX_BYTES_MAX, OUTBOX_LINE_BYTES_MAX, OUTBOX_LINES_MAX, PROTOCOL_VERSION};
use super::links::{End, Links};
use super::log::Log;
use super::proof::{AuthorId, Digest};
use super::rate::{Bucket, Rate};
use super::seal::Sign;
use super::{Config, Event, Input, Output, Record, Start, Timing};

/// One member of a room; see the [module's contract](super).
#[derive(Clone, Debug, Hash)]
pub struct Node {
    // Who I am.
    me: Uid,
    session: SessionKey,
    hand: Hand,
    name: Name,
    rename: bool,
    start: Start,
    timing: Timing,
    rng: Rng,
    now: Now,

    // What must outlive the process.
    room: Option<RoomId>,
    log: Log,
    pending: BTreeMap<SessionKey, u64>,
    outbox: VecDeque<Arc<Line>>,
    outbox_bytes: usize,
    /// The number of my last line.
    n: u64,
    /// The number of my last line that was put on the medium: nothing later counts as sent.
    durable: u64,
    /// The synchronisation that is under way, and the number up to which it counts.
    syncing: Option<(SyncId, u64)>,
    promise: Option<Epoch>,
    book: Book,

    // What I know.
    clock: Lamport,
    /// The highest round that anybody has named.
    round: u64,
    /// How far each author's peers have pushed the clock.
    clock_pushed: Budget,
    /// How far each author's peers have pushed the round.
    round_pushed: Budget,
    /// How far submitted lines have pushed the clock while I led.
    submitted_pushed: u64,
    /// I began with nothing, and what stands in the room's log up to here was there before: of that I believe all
    /// numbers, since I know no other.
    believing: Option<Index>,
    /// For each session the number of the last line that was shown, where the log alone does not tell.
    shown: BTreeMap<SessionKey, u64>,
    /// What stands up to here is not shown when it comes: it was in a backlog, or is too old.
    show_after: Index,
    /// What stands up to here is not logged either: it was there before I came for the first time.
    log_after: Index,
    /// For each session the number of the last line that was shown ahead of its place, and is logged when it comes.
    previewed: BTreeMap<SessionKey, u64>,
    /// How many of the newest lines I want to be shown of what I have missed.
    backlog: u32,
    /// I have not yet had, in this run, all that was there when I came.
    arriving: bool,
    /// I am told what I have missed, up to here.
    catching_up: Option<Index>,
    greeted: bool,
    floor: Index,
    /// The number of my last line that people were told is safe: held by another, or by me when I am alone.
    sent: u64,
    /// The number of my last line that another member is known to hold.
    held: u64,
    /// My lines that nobody has acknowledged: where they stand, and the last number there.
    unsent: VecDeque<(Index, u64)>,
    /// Authors that have handed on lines which nobody has said, and where they were, unless somebody else is there now.
    convicts: BTreeMap<AuthorId, Option<Uid>>,
    /// The hash of the room's key that I hold; none: the room is open.
    key: Option<Digest>,
    /// What I take from one author when I lead, and what was taken.
    rate: Rate,
    buckets: BTreeMap<AuthorId, Bucket>,
    /// When I was last told that I say too much.
    slow_told: Time,
    /// Who may moderate a room that I found.
    moderators: Vec<AuthorId>,
    /// What stands up to here and puts me out is past.
    judged_after: Index,
    /// I was put out.
    sentence: Option<super::Refusal>,
    /// The last announcement that I passed on.
    announced: Option<Epoch>,

    // What I do.
    phase: Phase,
    links: Links,
    neighbours: Neighbours,
    reads: BTreeMap<ReadId, ReadFor>,
    /// Who has asked for entries to rebase onto, and from where: the last question of each connection.
    pulls: BTreeMap<ConnId, Index>,
    read: u64,
    sync: u64,
    stream: u64,
    attempt: u64,
    leaving: Option<Time>,
    beat: Time,
    look: Time,
    other_room_told: Time,
    /// When my reign was last renewed above a token's round.
    outdone: Time,

    /// Something is gathered that leaves with the next tick.
    dirty: bool,
    /// The ring may have changed.
    ring_changed: bool,
    /// A deadline may have come nearer.
    rearm: bool,
    wake: Time,
    out: Vec<Output>,
}

/// What a read of the store is for.
#[derive(Clone, Copy, Debug, Hash)]
enum ReadFor {
    /// Entries for all followers that stand right before this index.
    Stream(Index),
    /// Entries for somebody who rebases onto this log.
    Pull(ConnId),
    /// So many of the newest lines for somebody new.
    Backlog(ConnId, StreamId, u32),
    /// My pending lines, to offer them to a leader.
    Offer(StreamId),
    /// My pending lines, to order them myself.
    Order,
}

/// Who signs. Two nodes that differ in this alone are the same: it is a function of the author.
#[derive(Clone, Debug)]
struct Hand(Arc<dyn Sign>);

impl Hash for Hand {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Pseudo-random numbers from a seed (splitmix64: Steele, Lea, Flood 2014).
#[derive(Clone, Debug, Hash)]
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A span below `span`.
    fn below(&mut self, span: Span) -> Span {
        Span(if span.0 == 0 { 0 } else { self.next() % span.0 })
    }
}

impl Node {
    /// A node that has not begun: its first [`step`](Self::step) begins.
    pub fn new(config: Config) -> Self {
        let Config {
            uid,
            name,
            rename,
            author,
            signer,
            session,
            seed,
            start,
            saved,
            rate,
            key,
            moderators,
            backlog,
            timing,
        } = config;
        let mut book = Book::default();
        for uid in saved.book.into_iter().filter(|&known| known != uid) {
            book.meet(uid);
        }
        let believing = (saved.summary.tail.index == Index(0)).then_some(Index(NUMBER_MAX));
        let round = saved.promise.map_or(0, |epoch| epoch.round);
        let logged = saved.summary.epochs.last_key_value().map_or(0, |(epoch, _)| epoch.round);
        Self {
            me: uid,
            session: SessionKey { author, session },
            hand: Hand(signer),
            name,
            rename,
            start,
            timing,
            rng: Rng(seed),
            now: Now::default(),
            room: saved.room,
            clock: saved.summary.lamport,
            log: Log::new(saved.summary),
            pending: saved.pending,
            outbox: VecDeque::new(),
            outbox_bytes: 0,
            n: 0,
            durable: 0,
            syncing: None,
            promise: saved.promise,
            book,
            round: round.max(logged),
            clock_pushed: Budget::default(),
            round_pushed: Budget::default(),
            submitted_pushed: 0,
            believing,
            shown: saved.shown.lines,
            show_after: saved.shown.up_to,
            log_after: saved.shown.up_to,
            previewed: BTreeMap::new(),
            backlog: backlog.min(limits::BACKLOG_LINES_MAX),
            arriving: true,
            catching_up: None,
            greeted: false,
            floor: Index(0),
            sent: 0,
            held: 0,
            unsent: VecDeque::new(),
            convicts: BTreeMap::new(),
            key,
            rate,
            buckets: BTreeMap::new(),
            slow_told: Time(0),
            moderators,
            judged_after: Index(0),
            sentence: None,
            announced: None,
            phase: Phase::Unborn,
            links: Links::new(uid, timing),
            neighbours: Neighbours::default(),
            reads: BTreeMap::new(),
            pulls: BTreeMap::new(),
            read: 0,
            sync: 0,
            stream: 0,
            attempt: 0,
            leaving: None,
            beat: Time(0),
            look: Time(0),
            other_room_told: Time(0),
            outdone: Time(0),
            dirty: false,
            ring_changed: false,
            rearm: true,
            wake: Time(0),
            out: Vec::new(),
        }
    }

    /// Takes one input; gives what must be done, in order.
    pub fn step(&mut self, now: Now, input: Input) -> Vec<Output> {
        if matches!(self.phase, Phase::Gone) {
            return Vec::new();
        }
        self.set_clock(now);
        self.rearm |= !Self::is_hot(&input);
        if matches!(self.phase, Phase::Unborn) {
            self.begin();
        }
        match input {
            Input::Tick => self.on_tick(),
            Input::Accepted(conn) => self.links.accepted(now.mono, conn, &mut self.out),
            Input::Dialled(conn) => self.links.opened(now.mono, conn, self.hello(), &mut self.out),
            Input::DialFailed { conn, refused: true } => self.end(conn, End::Refused),
            Input::DialFailed { conn, refused: false } => self.end(conn, End::Unreachable),
            Input::TurnedAway(conn, refusal) => self.on_turned_away(conn, refusal),
            Input::Closed(conn) => self.end(conn, End::Closed),
            Input::Forged(conn, forged) => self.on_forged(conn, &forged),
            Input::Frame(conn, frame) => self.on_frame(conn, frame),
            Input::Read(id, found) => self.on_read(id, found),
            Input::Cut(cut) => self.on_cut(cut),
            Input::Persisted(id) => self.on_persisted(id),
            Input::Submit(texts) => self.on_submit(texts),
            Input::Order(order) => self.on_order(order),
            Input::Rekey(key, text) => self.on_rekey(key, text),
            Input::KeyHeld(key) => self.on_key_held(key),
            Input::Leave => self.on_leave(),
        }
        self.settle();
        std::mem::take(&mut self.out)
    }

    /// When to step with [`Input::Tick`] at the latest; in the past: as soon as nothing else has arrived.
    pub fn deadline(&self) -> Time {
        if self.dirty { Time(0) } else { self.wake }
    }

    /// How many more lines may be submitted now.
    pub fn outbox_room(&self) -> usize {
        let bytes = OUTBOX_BYTES_MAX.saturating_sub(self.outbox_bytes) / OUTBOX_LINE_BYTES_MAX;
        let lines = OUTBOX_LINES_MAX.saturating_sub(self.outbox.len().max(self.on_their_way()));
        let slowed = self.orders_own() && self.own_wait() > Span(0);
        if self.leaving.is_some() || self.room.is_none() || slowed { 0 } else { bytes.min(lines) }
    }

    /// Own lines that I, leading, have ordered and that none of my followers has: who leads talks no faster than the
    /// quickest of them reads.
    fn on_their_way(&self) -> usize {
        match &self.phase {
            Phase::Leading(leading) if !leading.followers.is_empty() => {
                usize::try_from(self.n.saturating_sub(self.held)).unwrap_or(usize::MAX)
            }
            _ => 0,
        }
    }

    // ---- time

    fn set_clock(&mut self, now: Now) {
        let due = if self.dirty { self.now.mono } else { self.wake.max(self.now.mono) };
        let late = now.mono - due;
        if late > self.timing.heartbeat && !matches!(self.phase, Phase::Unborn) {
            self.links.forgive(now.mono, late);
        }
        self.now = Now { mono: now.mono.max(self.now.mono), wall: now.wall };
    }

    /// Inputs that come by the thousand and move no deadline.
    fn is_hot(input: &Input) -> bool {
        matches!(
            input,
            Input::Submit(_)
                | Input::Frame(
                    _,
                    Frame::Entries(_)
                        | Frame::Ack(_)
                        | Frame::Submit(_)
                        | Frame::Ping(_)
                        | Frame::Pong(_)
                        | Frame::Floor(_)
                )
        )
    }

    fn on_tick(&mut self) {
        if self.dirty {
            self.flush();
        }
        if self.wake > self.now.mono {
            return;
        }
        if self.beat <= self.now.mono {
            self.beat = self.now.mono + self.timing.heartbeat;
            self.links.beat(self.now.mono, &mut self.out);
            self.look_for_the_lost();
            self.tell_floor();
            self.ask_for_key();
        }
        let held = self.held();
        for ended in self.links.expire(self.now.mono, &held, &mut self.out) {
            self.on_end(ended);
        }
        self.on_phase_deadline();
        self.retry_neighbours();
        self.rearm = true;
    }

    /// What was gathered leaves.
    fn flush(&mut self) {
        self.dirty = false;
        self.answer_pulls();
        self.persist_own();
        match &self.phase {
            Phase::Leading(_) => self.fan_out(),
            Phase::Following(_) => self.acknowledge(),
            _ => {}
        }
        self.tell_sent();
    }

    /// After every step: the ring, the good-bye, and the next deadline.
    fn settle(&mut self) {
        if self.ring_changed {
            self.ring_changed = false;
            self.link_next();
        }
        self.serve_sentence();
        if self.leaving.is_some() {
            self.go_on_leaving();
        }
        if self.rearm {
            self.rearm = false;
            self.wake = self.next_wake();
        }
    }

    fn next_wake(&self) -> Time {
        let phase = match &self.phase {
            Phase::Unborn => Some(Time(0)),
            Phase::Knocking(knock) => Some(knock.retry.unwrap_or(knock.sign + self.timing.knock)),
            Phase::Waiting { until, .. } => Some(*until),
            Phase::Asking(asking) => Some(asking.deadline),
            Phase::Electing(electing) => {
                Some(electing.ack_by.map_or(electing.deadline, |by| by.min(electing.deadline)))
            }
            Phase::Crowned(crowned) => Some(crowned.deadline),
            Phase::Joining(joining) => Some(joining.deadline),
            Phase::Following(following) => following.uplink.until,
            Phase::Leading(leading) => {
                let own = Some(self.own_wait()).filter(|wait| *wait > Span(0)).map(|wait| self.now.mono + wait);
                leading.deadline(&self.timing).into_iter().chain(own).min()
            }
            Phase::Gone => None,
        };
        let leaving = self.leaving.map(|since| since + self.timing.leave);
        let all = [phase, leaving, self.links.deadline(), self.neighbours.deadline()];
        all.into_iter().flatten().fold(self.beat, Time::min)
    }

    fn on_phase_deadline(&mut self) {
        let now = self.now.mono;
        match &self.phase {
            Phase::Knocking(_) => self.on_knock_deadline(),
            Phase::Waiting { until, .. } if *until <= now => self.ask_all(),
            Phase::Asking(asking) if asking.deadline <= now => self.conclude_ask(),
            Phase::Electing(electing) if electing.deadline <= now => self.give_up_election(),
            Phase::Electing(electing) if electing.ack_by.is_some_and(|by| by <= now) => self.token_unanswered(),
            Phase::Crowned(crowned) if crowned.deadline <= now => self.fetch_failed(),
            Phase::Joining(joining) if joining.deadline <= now => self.join_timed_out(),
            Phase::Following(following) if following.uplink.until.is_some_and(|until| until <= now) => {
                self.go_on_sending()
            }
            Phase::Leading(_) => self.on_leading_deadline(),
            Phase::Unborn
            | Phase::Waiting { .. }
            | Phase::Asking(_)
            | Phase::Electing(_)
            | Phase::Crowned(_)
            | Phase::Joining(_)
            | Phase::Following(_)
            | Phase::Gone => {}
        }
    }

    // ---- what all chapters share

    fn hello(&self) -> Hello {
        Hello {
            version: PROTOCOL_VERSION,
            room: self.room,
            uid: self.me,
            author: self.session.author,
            session: self.session.session,
        }
    }

    /// Sets the phase; gives the one before.
    fn set_phase(&mut self, phase: Phase) -> Phase {
        self.rearm = true;
        self.ring_changed = true;
        std::mem::replace(&mut self.phase, phase)
    }

    fn save(&mut self, record: Record) {
        self.out.push(Output::Save(record));
    }

    fn event(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }

    fn send(&mut self, conn: ConnId, frame: Frame) {
        self.links.send(self.now.mono, conn, frame, &mut self.out);
    }

    /// A direct connection to `uid`, opened if need be.
    fn reach(&mut self, uid: Uid) -> Option<ConnId> {
        self.rearm = true;
        if uid == self.me || self.is_shunned(uid) { None } else { self.links.reach(self.now.mono, uid, &mut self.out) }
    }

    /// Sends a frame to a uid, over a connection that is opened if need be.
    fn send_to(&mut self, uid: Uid, frame: Frame) -> Option<ConnId> {
        let conn = self.reach(uid)?;
        self.send(conn, frame);
        Some(conn)
    }

    fn close(&mut self, conn: ConnId) {
        self.rearm = true;
        for ended in self.links.close(conn, &mut self.out) {
            self.on_end(ended);
        }
    }

    fn end(&mut self, conn: ConnId, how: End) {
        for ended in self.links.ended(conn, how) {
            self.on_end(ended);
        }
    }

    /// A peer has broken the protocol: it loses this connection, and nothing else happens.
    fn misbehaved(&mut self, conn: ConnId, why: &'static str) {
        self.event(Event::Misbehaved { conn, why });
        self.send(conn, Frame::Refuse(super::Refusal::Protocol));
        self.close(conn);
    }

    /// Whether a number is so far ahead of mine that following it would spoil the room's clock or rounds.
    fn jumps(mine: u64, theirs: u64) -> bool {
        theirs > mine.saturating_add(limits::JUMP_MAX)
    }

    /// Takes note of a round that the peer of this connection names. `false`: it is absurd.
    fn saw_round(&mut self, conn: ConnId, round: u64) -> bool {
        let ahead = round.saturating_sub(self.round);
        let Some(author) = self.links.peer(conn).map(|peer| peer.author) else { return ahead == 0 };
        let seen = self.round_pushed.spend(author, ahead);
        if seen {
            self.round = self.round.max(round);
        }
        seen
    }

    /// Takes note of entries or lines that move the clock so far beyond what they count for. `false`: it is absurd.
    fn pushes_clock(&mut self, conn: ConnId, far: u64) -> bool {
        let author = self.links.peer(conn).map(|peer| peer.author);
        author.map_or(far == 0, |author| self.clock_pushed.spend(author, far))
    }

    /// The round after this one, unless numbers end there.
    fn round_after(round: u64) -> Option<u64> {
        round.checked_add(1).filter(|next| *next <= NUMBER_MAX)
    }

    /// Obeys an epoch: nothing lower is obeyed from now on.
    fn obey(&mut self, epoch: Epoch) {
        self.round = self.round.max(epoch.round);
        if self.promise < Some(epoch) {
            self.promise = Some(epoch);
            self.save(Record::Promise(epoch));
            // Whatever relies on it leaves after this.
            self.out.push(Output::Sync);
        }
    }

    /// Writes a uid into the book.
    fn meet(&mut self, uid: Uid) {
        if uid == self.me {
            return;
        }
        if let Some(forgotten) = self.book.meet(uid) {
            self.save(Record::Met(uid));
            if let Some(forgotten) = forgotten {
                self.save(Record::Forget(forgotten));
            }
        }
    }

    fn read(&mut self, wanted: super::Wanted, what: ReadFor) {
        self.read += 1;
        let id = ReadId(self.read);
        self.reads.insert(id, what);
        self.out.push(Output::Read(id, wanted));
    }

    fn line_id(&self, n: u64) -> LineId {
        LineId { author: self.session.author, session: self.session.session, n }
    }

    /// Connections that must not be closed for being idle.
    fn held(&self) -> BTreeSet<ConnId> {
        let mut held: BTreeSet<ConnId> = self.neighbours.conns().collect();
        match &self.phase {
            Phase::Following(following) => {
                held.insert(following.conn);
            }
            Phase::Joining(joining) => {
                held.insert(joining.conn);
            }
            Phase::Leading(leading) => held.extend(leading.followers.values().map(|follower| follower.conn)),
            Phase::Crowned(crowned) => {
                if let Fetching::From { conn, .. } = crowned.stage {
                    held.insert(conn);
                }
                held.extend(crowned.joins.iter().map(|(conn, _)| *conn));
            }
            Phase::Knocking(knock) => held.extend(knock.conn),
            Phase::Unborn | Phase::Waiting { .. } | Phase::Asking(_) | Phase::Electing(_) | Phase::Gone => {}
        }
        // What carries another connection lives as long as that one.
        let carried: Vec<ConnId> = held.iter().filter_map(|&conn| self.links.carried_by(conn)).collect();
        held.extend(carried);
        held
    }
}
