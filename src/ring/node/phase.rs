//! What a node is doing. Each state owns its data.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::election::Election;
use super::log_fetch::LogFetch;
use super::poll::LeaderPoll;
use crate::ring::PendingPosition;
use crate::ring::log::entry::Line;
use crate::ring::types::id::{ConnId, Epoch, Index, LineId, StreamId, Tail, Uid};
use crate::ring::types::time::Time;
use crate::ring::wire::frame::{Join, Offer, PollReply, Refusal};

/// What a node is doing.
#[derive(Clone, Debug, Hash)]
pub(super) enum Phase {
    /// Nothing yet: the first step begins.
    NotStarted,
    /// At the door: asks its contacts, one at a time, whom to follow.
    Bootstrapping(Bootstrap),
    /// Has lost its leader, and lets better placed nodes ask first.
    PollBackoff { search: LeaderSearch, until: Time },
    /// Asks every node that it knows which leader it follows.
    LeaderPoll { search: LeaderSearch, poll: LeaderPoll },
    /// Takes part in an election.
    Electing(Electing),
    /// Has won, and fetches the best log before it answers joins.
    Synchronizing(Synchronizing),
    /// Is on its way to a leader.
    Joining(Joining),
    /// Follows.
    Following(Following),
    /// Leads.
    Leading(Leading),
    /// Is done.
    Stopped,
}

/// The search for a room.
#[derive(Clone, Debug, Hash)]
pub(super) struct Bootstrap {
    pub contacts: Vec<Uid>,
    pub at: usize,
    /// The connection to the contact that is being asked.
    pub conn: Option<ConnId>,
    /// The last sign of life of any contact.
    pub sign: Time,
    /// When to ask the next one.
    pub retry: Option<Time>,
    /// Leaders that others name and that I could not reach.
    pub unreached: BTreeSet<Uid>,
    /// It was told that one answers.
    pub answered: bool,
}

/// What a node knows while it looks for a leader.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct LeaderSearch {
    /// The leader that was lost.
    pub lost: Option<LostLeader>,
    /// Elections and joins that have failed in a row.
    pub failures: u32,
    /// From whom any frame came since I began to ask.
    pub heard: BTreeSet<Uid>,
    /// Whom a dial has not reached since.
    pub gone: BTreeSet<Uid>,
    /// What was answered.
    pub answers: BTreeMap<Uid, PollReply>,
    /// A newcomer's contacts: it goes back to them, and founds nothing.
    pub bootstrap: Option<Bootstrap>,
    /// The store remembers a room, and nobody has been asked yet.
    pub reopening: bool,
    /// What somebody has said who does not take my key.
    pub turned_away: Option<Refusal>,
    /// The leader's connection has closed, and it is asked once more before it is given up.
    pub redialling: bool,
    /// Whom I join has closed the connection, and is asked once more.
    pub repeated: bool,
    /// I have let a better placed node ask first, once.
    pub gave_way: bool,
    /// How often I was sent on.
    pub redirects: u32,
}

/// A lost leader.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct LostLeader {
    pub uid: Uid,
    /// Claims to have heard it after this are news.
    pub at: Time,
}

/// A token is out, or was passed on.
#[derive(Clone, Debug, Hash)]
pub(super) struct Electing {
    pub search: LeaderSearch,
    pub election: Election,
}

/// A winner's rebase.
#[derive(Clone, Debug, Hash)]
pub(super) struct Synchronizing {
    pub epoch: Epoch,
    /// Not a lone return from files.
    pub established: bool,
    /// One of the electors was level: what was owed to me and is not there was nobody's but the lost leader's.
    pub caught_up: bool,
    pub ring: BTreeSet<Uid>,
    pub fetch: LogFetch,
    /// Who wants to follow, once I lead.
    pub joins: Vec<(ConnId, Join)>,
}

/// A join is out.
#[derive(Clone, Debug, Hash)]
pub(super) struct Joining {
    pub leader: Uid,
    /// Its epoch, where somebody has named it.
    pub epoch: Option<Epoch>,
    pub conn: ConnId,
    /// The last request that is out: only its answer counts.
    pub attempt: u64,
    pub deadline: Time,
    /// The oldest epoch that I have described.
    pub described: Option<Epoch>,
    pub search: LeaderSearch,
    /// What was accepted, while the store cuts my log.
    pub accepted: Option<JoinGrant>,
}

/// What a join has led to.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct JoinGrant {
    pub stream: StreamId,
    pub epoch: Epoch,
    pub common: Index,
    /// The number of my last line that the leader holds.
    pub watermark: u64,
    /// Where the leader's log ends.
    pub tail: Tail,
    /// How many lines it holds.
    pub lines: u64,
    /// The newest of them come ahead of the log.
    pub backlog: bool,
}

/// The newest lines come ahead of the log.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct BacklogPreview {
    /// The last index that counts.
    pub tail: Index,
    /// What stands up to here was shown before.
    pub seen: Index,
    /// I have nothing yet: my log, as people read it, begins with these.
    pub newcomer: bool,
    /// How many have come.
    pub lines: u32,
}

/// A follower's state.
#[derive(Clone, Debug, Hash)]
pub(super) struct Following {
    pub leader: Uid,
    pub epoch: Epoch,
    pub conn: ConnId,
    pub stream: StreamId,
    pub uplink: Uplink,
    /// What was acknowledged.
    pub acked: Index,
    /// My good-bye is out.
    pub leaving: bool,
    /// The newest lines come before anything else.
    pub ahead: Option<BacklogPreview>,
}

/// My lines on their way to the leader: pending first, then outbox.
#[derive(Clone, Debug, Hash)]
pub(super) struct Uplink {
    pub pending: PendingUpload,
    /// The number of the last line of the outbox that was sent (or that the leader said it has).
    pub sent: u64,
    /// The leader has asked me to wait.
    pub until: Option<Time>,
}

/// How far the pending queue has been offered.
#[derive(Clone, Debug, Hash)]
pub(super) enum PendingUpload {
    /// A part is being read from the store.
    Reading,
    /// These are offered, up to this place.
    Offered { lines: Vec<Arc<Line>>, last: PendingPosition },
    /// All is offered.
    Done,
}

/// A leader's state.
#[derive(Clone, Debug, Hash)]
pub(super) struct Leading {
    pub epoch: Epoch,
    /// It was not opened alone by a node that had been down, nor by one that lacked entries.
    pub established: bool,
    /// I lacked entries when I began to lead.
    pub known_gap: Option<KnownGap>,
    pub followers: BTreeMap<Uid, Follower>,
    /// The highest index that any follower of this epoch has acknowledged.
    pub acked: Index,
    /// Members without a link, and when they are given up.
    pub absent: BTreeMap<Uid, Time>,
    /// Whose offered lines are awaited, and until when.
    pub turn: Option<(Uid, Time)>,
    /// Whose offers wait for their turn.
    pub offers: VecDeque<(Uid, Offer)>,
    /// All of these are of authors from whom nothing is taken until then.
    pub offers_at: Option<Time>,
    /// My own pending lines come first.
    pub pending: PendingUpload,
    /// Another leader that was asked for its weight, and when.
    pub merging: Option<(Uid, Time)>,
    /// Leaders that did not answer.
    pub unmergeable: BTreeSet<Uid>,
    /// I leave: nothing is ordered any more.
    pub retiring: Option<Retiring>,
    /// What was told as the lowest acknowledged index.
    pub stable_index: Index,
}

/// What a leader knows that it lacks.
#[derive(Clone, Debug, Hash)]
pub(super) struct KnownGap {
    /// Where the log ended that was owed to it.
    pub tail: Tail,
    /// Until then who has all of it is heavier, whoever follows me.
    pub light_until: Time,
    /// Who was asked for it in vain.
    pub in_vain: BTreeSet<Uid>,
}

/// A leader on its way out.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Retiring {
    pub until: Time,
    /// To whom the room was handed.
    pub successor: Option<Uid>,
}

/// A follower as its leader sees it.
#[derive(Clone, Debug, Hash)]
pub(super) struct Follower {
    pub conn: ConnId,
    pub stream: StreamId,
    pub acked: Index,
    /// The last entry sent; `None` until it has cut its log.
    pub sent: Option<Tail>,
    /// Batches on the way: last index and weight.
    pub flight: VecDeque<(Index, usize)>,
    pub flight_bytes: usize,
    /// Lines that came back from a cut, of which it was asked for the words and has not sent them yet.
    pub wanted: BTreeSet<LineId>,
    /// Frames with lines that were dropped since it was told to wait.
    pub dropped: u32,
    /// When it is told again how all are doing.
    pub health_report_at: Time,
    /// Older entries are being read from the store for it.
    pub reading: bool,
    /// A newcomer gets no entry before everybody else has its `joined`, at this index, or until this time: whoever
    /// was shown an entry is then in everybody's book, and nobody elects without asking it.
    pub gate: Option<(Index, Time)>,
}

impl LeaderSearch {
    /// A search after the loss of a leader; claims to have heard it after `at` are news.
    pub(super) fn after(uid: Uid, at: Time) -> Self {
        Self { lost: Some(LostLeader { uid, at }), ..Self::default() }
    }

    /// Everybody from whom something came and whom no dial has missed.
    pub(super) fn alive(&self) -> BTreeSet<Uid> {
        self.heard.difference(&self.gone).copied().collect()
    }

    /// The next attempt: what was heard is forgotten, what has failed is counted.
    pub(super) fn again(mut self) -> Self {
        self.failures += 1;
        self.heard.clear();
        self.gone.clear();
        self.answers.clear();
        self
    }
}

impl Phase {
    /// The epoch that this node has won: it leads, or will once it is synchronized.
    pub(super) fn own_epoch(&self) -> Option<Epoch> {
        match self {
            Self::Leading(leading) => Some(leading.epoch),
            Self::Synchronizing(synchronizing) => Some(synchronizing.epoch),
            Self::NotStarted
            | Self::Bootstrapping(_)
            | Self::PollBackoff { .. }
            | Self::LeaderPoll { .. }
            | Self::Electing(_)
            | Self::Joining(_)
            | Self::Following(_)
            | Self::Stopped => None,
        }
    }

    /// The same, to raise it.
    pub(super) fn own_epoch_mut(&mut self) -> Option<&mut Epoch> {
        match self {
            Self::Leading(leading) => Some(&mut leading.epoch),
            Self::Synchronizing(synchronizing) => Some(&mut synchronizing.epoch),
            Self::NotStarted
            | Self::Bootstrapping(_)
            | Self::PollBackoff { .. }
            | Self::LeaderPoll { .. }
            | Self::Electing(_)
            | Self::Joining(_)
            | Self::Following(_)
            | Self::Stopped => None,
        }
    }
}

impl Synchronizing {
    /// A winner that has everything still to do: it tells `ring`, and fetches the best log of it by `fetch`.
    pub(super) fn new(epoch: Epoch, ring: BTreeSet<Uid>, fetch: LogFetch) -> Self {
        Self { epoch, established: true, caught_up: false, ring, fetch, joins: Vec::new() }
    }
}

impl Follower {
    /// A follower that holds the log up to `acked`, and gets nothing until its stream starts.
    pub(super) fn new(conn: ConnId, stream: StreamId, acked: Index, now: Time) -> Self {
        Self {
            conn,
            stream,
            acked,
            sent: None,
            flight: VecDeque::new(),
            flight_bytes: 0,
            wanted: BTreeSet::new(),
            dropped: 0,
            health_report_at: now,
            reading: false,
            gate: None,
        }
    }
}

impl Uplink {
    /// A line's place in an offer, as the leader names it.
    pub(super) fn wanted(lines: &[Arc<Line>], places: &[u32]) -> Option<Vec<Arc<Line>>> {
        places.iter().map(|&place| lines.get(place as usize).cloned()).collect()
    }
}

impl Offer {
    /// The places of the lines that `watermark` says are missing, or `None` where a number is skipped.
    pub(super) fn missing(&self, watermark: impl Fn(LineId) -> u64) -> Option<Vec<u32>> {
        let mut ahead = BTreeMap::new();
        let mut places = Vec::new();
        for (place, id) in (0u32..).zip(&self.lines) {
            let last = ahead.entry(id.key()).or_insert_with(|| watermark(*id));
            if id.n <= *last {
                continue;
            }
            if id.n != last.checked_add(1)? {
                return None;
            }
            *last = id.n;
            places.push(place);
        }
        Some(places)
    }
}
