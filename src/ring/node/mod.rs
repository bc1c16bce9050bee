//! One member of the room: the only place where things are decided.
//!
//! [`Node::step`] reads like the protocol's table of contents; each chapter is a file of its own.

mod admission;
mod agenda;
mod announcer;
mod blocklist;
mod candidate;
mod clocks;
mod common;
mod completeness;
mod display;
mod election;
mod entries;
mod eviction;
mod failover;
mod follower;
mod forgery;
mod frames;
mod health;
mod identity;
mod join;
mod keys;
mod leader;
mod leader_search;
mod leave;
mod log_fetch;
mod merge;
mod moderation;
mod name;
mod neighbours;
mod outbox;
mod phase;
mod poll;
mod private_message;
mod probe;
mod rebase;
mod relay;
mod requests;
mod room_key;
mod start;
mod status;
mod stream;
mod submit;
mod time;

use std::collections::BTreeMap;

use self::admission::Admission;
use self::agenda::Agenda;
use self::announcer::Announcer;
use self::blocklist::Blocklist;
use self::clocks::Clocks;
use self::completeness::Completeness;
use self::display::Display;
use self::failover::Failover;
use self::health::HealthQueries;
use self::identity::{NodeIdentity, Settings};
use self::moderation::Moderation;
use self::neighbours::Neighbours;
use self::outbox::Outbox;
use self::phase::Phase;
use self::private_message::PrivateMessages;
use self::requests::Requests;
use self::room_key::RoomKeyState;
use crate::ring::links::{CloseReason, Links};
use crate::ring::log::Log;
use crate::ring::log::address_book::AddressBook;
use crate::ring::types::id::{Epoch, Index, Now, RoomId, SessionKey};
use crate::ring::types::time::{Span, Time};
use crate::ring::{Config, Input, Output};

/// One member of a room; see the [module's contract](super).
#[derive(Clone, Debug, Hash)]
pub struct Node {
    // Who I am, and how I run.
    identity: NodeIdentity,
    settings: Settings,
    rng: Rng,
    now: Now,

    // What must outlive the process.
    room: Option<RoomId>,
    log: Log,
    pending: BTreeMap<SessionKey, u64>,
    outbox: Outbox,
    promise: Option<Epoch>,
    book: AddressBook,

    // What I know.
    clocks: Clocks,
    completeness: Completeness,
    display: Display,
    stable_index: Index,
    blocklist: Blocklist,
    key: RoomKeyState,
    admission: Admission,
    moderation: Moderation,
    announcer: Announcer,
    failover: Failover,
    pms: PrivateMessages,
    health_queries: HealthQueries,

    // What I do.
    phase: Phase,
    links: Links,
    neighbours: Neighbours,
    requests: Requests,
    agenda: Agenda,
    out: Vec<Output>,
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
        let mut book = AddressBook::default();
        for uid in saved.book.into_iter().filter(|&known| known != uid) {
            book.learn_peer(uid);
        }
        let round = saved.promise.map_or(0, |epoch| epoch.round);
        let logged = saved.log_state.epochs.last_key_value().map_or(0, |(epoch, _)| epoch.round);
        Self {
            identity: NodeIdentity::new(uid, SessionKey { author, session }, signer, name, rename),
            settings: Settings { start, timing },
            rng: Rng(seed),
            now: Now::default(),
            room: saved.room,
            clocks: Clocks::new(saved.log_state.tail.index, saved.log_state.lamport, round.max(logged)),
            completeness: Completeness::default(),
            display: Display::new(saved.shown, backlog),
            log: Log::new(saved.log_state),
            pending: saved.pending,
            outbox: Outbox::default(),
            promise: saved.promise,
            book,
            stable_index: Index(0),
            blocklist: Blocklist::default(),
            key: RoomKeyState::new(key),
            admission: Admission::new(rate),
            moderation: Moderation::new(moderators),
            announcer: Announcer::default(),
            failover: Failover::default(),
            pms: PrivateMessages::default(),
            health_queries: HealthQueries::default(),
            phase: Phase::NotStarted,
            links: Links::new(uid, timing),
            neighbours: Neighbours::default(),
            requests: Requests::default(),
            agenda: Agenda::default(),
            out: Vec::new(),
        }
    }

    /// Takes one input; gives what must be done, in order.
    pub fn step(&mut self, now: Now, input: Input) -> Vec<Output> {
        if matches!(self.phase, Phase::Stopped) {
            return Vec::new();
        }
        self.set_clock(now);
        if !Self::is_data_path(&input) {
            self.agenda.deadline_moved();
        }
        if matches!(self.phase, Phase::NotStarted) {
            self.begin();
        }
        match input {
            Input::Tick => self.on_tick(),
            Input::Accepted(conn) => self.links.accepted(now.mono, conn, &mut self.out),
            Input::Dialled(conn) => self.links.opened(now.mono, conn, self.identity.hello(self.room), &mut self.out),
            Input::DialFailed { conn, refused: true } => self.end(conn, CloseReason::Refused),
            Input::DialFailed { conn, refused: false } => self.end(conn, CloseReason::Unreachable),
            Input::DialRejected(conn, refusal) => self.on_turned_away(conn, refusal),
            Input::Closed(conn) => self.end(conn, CloseReason::Closed),
            Input::Forged(conn, forged) => self.on_forged(conn, &forged),
            Input::Frame(conn, frame) => self.on_frame(conn, frame),
            Input::Read(id, found) => self.on_read(id, found),
            Input::Cut(cut) => self.on_cut(cut),
            Input::Persisted { id, kept } => self.on_persisted(id, kept),
            Input::Submit(said) => self.on_submit(said),
            Input::Moderate(order) => self.on_moderate(order),
            Input::Rekey(key, text) => self.on_rekey(key, text),
            Input::KeyInstalled(key) => self.on_key_held(key),
            Input::SendPm(outgoing) => self.on_send_pm(outgoing),
            Input::PmOpened { id, from, token } => self.on_opened(id, from, token),
            Input::HealthQuery => self.on_health_query(),
            Input::Leave => self.on_leave(),
        }
        self.settle();
        std::mem::take(&mut self.out)
    }

    /// When to step with [`Input::Tick`] at the latest; in the past: as soon as nothing else has arrived.
    pub fn deadline(&self) -> Time {
        self.agenda.deadline()
    }

    /// How many more lines may be submitted now.
    pub fn outbox_room(&self) -> usize {
        let slowed = self.sequences_own() && self.own_wait() > Span(0);
        let closed = self.agenda.is_leaving() || self.room.is_none() || slowed;
        if closed { 0 } else { self.outbox.room(self.unheld_lines()) }
    }

    /// Own lines that I, leading, have sequenced and that none of my followers holds: a leader's user writes no faster
    /// than the quickest follower reads.
    fn unheld_lines(&self) -> usize {
        let followed = self.leading().is_some_and(|leading| !leading.followers.is_empty());
        if followed { self.outbox.unheld() } else { 0 }
    }
}
