//! The phases of a node. Each phase owns its data.

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

/// The phase of a node.
#[derive(Clone, Debug, Hash)]
pub(super) enum Phase {
    /// Before the first step.
    NotStarted,
    /// Asks its contacts, one at a time, whom to follow.
    Bootstrapping(Bootstrap),
    /// Has lost its leader, and lets better placed nodes poll first.
    PollBackoff { search: LeaderSearch, until: Time },
    /// Asks every node that it knows which leader it follows.
    LeaderPoll { search: LeaderSearch, poll: LeaderPoll },
    /// Takes part in an election.
    Electing(Electing),
    /// Has won, and fetches the best log before it answers joins.
    Synchronizing(Synchronizing),
    /// Has asked a leader to join.
    Joining(Joining),
    /// Follows a leader.
    Following(Following),
    /// Leads the room.
    Leading(Leading),
    /// Has ended.
    Stopped,
}

/// A newcomer's search for a room.
#[derive(Clone, Debug, Hash)]
pub(super) struct Bootstrap {
    pub contacts: Vec<Uid>,
    pub at: usize,
    /// The connection to the contact that the node asks now.
    pub conn: Option<ConnId>,
    /// The last sign of life of any contact.
    pub sign: Time,
    /// When to ask the next contact.
    pub retry: Option<Time>,
    /// Leaders that contacts name and that the node could not reach.
    pub unreached: BTreeSet<Uid>,
    /// The user was told that a contact answers.
    pub answered: bool,
}

/// What a node knows while it searches a leader.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct LeaderSearch {
    /// The lost leader.
    pub lost: Option<LostLeader>,
    /// Elections and joins that have failed in a row.
    pub failures: u32,
    /// Nodes from which a frame has arrived since the search began.
    pub heard: BTreeSet<Uid>,
    /// Nodes that a dial has not reached since the search began.
    pub gone: BTreeSet<Uid>,
    /// The replies to the poll.
    pub answers: BTreeMap<Uid, PollReply>,
    /// A newcomer's contacts: the node goes back to them, and creates no room.
    pub bootstrap: Option<Bootstrap>,
    /// The files hold a room, and the node has not polled yet.
    pub reopening: bool,
    /// The refusal of a node that does not accept this node's key.
    pub turned_away: Option<Refusal>,
    /// The leader's connection has closed; the node redials once before it gives the leader up.
    pub redialling: bool,
    /// The leader that the node joins has closed the connection; the node asks once more.
    pub repeated: bool,
    /// The node has let a better placed node poll first, once.
    pub gave_way: bool,
    /// How often a node was redirected.
    pub redirects: u32,
}

/// A lost leader.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct LostLeader {
    pub uid: Uid,
    /// A claim to have heard it after this time is news.
    pub at: Time,
}

/// The node takes part in an election: its own token, or another's, is on its way.
#[derive(Clone, Debug, Hash)]
pub(super) struct Electing {
    pub search: LeaderSearch,
    pub election: Election,
}

/// A winner that rebases onto the best log.
#[derive(Clone, Debug, Hash)]
pub(super) struct Synchronizing {
    pub epoch: Epoch,
    /// The epoch is not the lone return of a node from its files.
    pub established: bool,
    /// A node that voted has been caught up: entries that the winner still lacks were only at the lost leader.
    pub caught_up: bool,
    pub ring: BTreeSet<Uid>,
    pub fetch: LogFetch,
    /// Nodes that want to follow, once this node leads.
    pub joins: Vec<(ConnId, Join)>,
}

/// The node has asked a leader to join.
#[derive(Clone, Debug, Hash)]
pub(super) struct Joining {
    pub leader: Uid,
    /// The leader's epoch, if a node has named it.
    pub epoch: Option<Epoch>,
    pub conn: ConnId,
    /// The number of the last request. Only its answer counts.
    pub attempt: u64,
    pub deadline: Time,
    /// The oldest epoch that the request described.
    pub described: Option<Epoch>,
    pub search: LeaderSearch,
    /// The leader's answer, while the store cuts the log.
    pub accepted: Option<JoinGrant>,
}

/// What a leader has granted to a joiner.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct JoinGrant {
    pub stream: StreamId,
    pub epoch: Epoch,
    pub common: Index,
    /// The number of the node's last line that the leader holds.
    pub watermark: u64,
    /// The end of the leader's log.
    pub tail: Tail,
    /// The number of lines in the leader's log.
    pub lines: u64,
    /// The newest of them come ahead of the log.
    pub backlog: bool,
}

/// A backlog: the newest lines come ahead of the log.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct BacklogPreview {
    /// The last index of the backlog.
    pub tail: Index,
    /// Entries up to here were shown before.
    pub seen: Index,
    /// The node's log is empty: its chat log begins with the backlog.
    pub newcomer: bool,
    /// How many lines have arrived.
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
    /// The last acknowledged index.
    pub acked: Index,
    /// The node has sent its good-bye.
    pub leaving: bool,
    /// The backlog that comes before all other entries.
    pub ahead: Option<BacklogPreview>,
}

/// The node's lines on their way to the leader: first the pending ones, then the outbox.
#[derive(Clone, Debug, Hash)]
pub(super) struct Uplink {
    pub pending: PendingUpload,
    /// The number of the last line of the outbox that was sent, or that the leader says it has.
    pub sent: u64,
    /// The leader has asked the node to wait until then.
    pub until: Option<Time>,
}

/// The progress of offering the pending queue.
#[derive(Clone, Debug, Hash)]
pub(super) enum PendingUpload {
    /// The node reads a part from the store.
    Reading,
    /// The node has offered these lines, up to this place.
    Offered { lines: Vec<Arc<Line>>, last: PendingPosition },
    /// The node has offered all.
    Done,
}

/// A leader's state.
#[derive(Clone, Debug, Hash)]
pub(super) struct Leading {
    pub epoch: Epoch,
    /// The epoch was not opened alone by a node that had been down, nor by one with a known gap.
    pub established: bool,
    /// Entries that the node lacked when it began to lead.
    pub known_gap: Option<KnownGap>,
    pub followers: BTreeMap<Uid, Follower>,
    /// The highest index that any follower of this epoch has acknowledged.
    pub acked: Index,
    /// Members without a link, and when each is given up.
    pub absent: BTreeMap<Uid, Time>,
    /// The follower whose offered lines the leader waits for, and until when.
    pub turn: Option<(Uid, Time)>,
    /// Offers that wait for their turn.
    pub offers: VecDeque<(Uid, Offer)>,
    /// Until then the leader takes no lines of the authors of all these offers.
    pub offers_at: Option<Time>,
    /// The leader's own pending lines come first.
    pub pending: PendingUpload,
    /// Another leader that was asked for its rank, and when.
    pub merging: Option<(Uid, Time)>,
    /// Leaders that did not answer.
    pub unmergeable: BTreeSet<Uid>,
    /// The leader leaves, and sequences nothing more.
    pub retiring: Option<Retiring>,
    /// The stable index that was announced last.
    pub stable_index: Index,
}

/// Entries that a leader knows it lacks.
#[derive(Clone, Debug, Hash)]
pub(super) struct KnownGap {
    /// The end of the log that the node was catching up with.
    pub tail: Tail,
    /// Until then a leader that holds these entries has the higher merge rank, whatever followers this one has.
    pub light_until: Time,
    /// Nodes that were asked for the entries in vain.
    pub in_vain: BTreeSet<Uid>,
}

/// A leader that leaves.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Retiring {
    pub until: Time,
    /// The follower to which it has handed the room over.
    pub successor: Option<Uid>,
}

/// A follower, as its leader sees it.
#[derive(Clone, Debug, Hash)]
pub(super) struct Follower {
    pub conn: ConnId,
    pub stream: StreamId,
    pub acked: Index,
    /// The last entry that was sent; `None` until the follower has cut its log.
    pub sent: Option<Tail>,
    /// Batches without an acknowledgement: last index and weight.
    pub flight: VecDeque<(Index, usize)>,
    pub flight_bytes: usize,
    /// Lines of the follower's offer that the leader has asked for and not received yet.
    pub wanted: BTreeSet<LineId>,
    /// Frames with lines that the leader has dropped since it told the follower to wait.
    pub dropped: u32,
    /// When the leader may answer the follower's next health query.
    pub health_report_at: Time,
    /// The leader reads older entries for this follower from the store.
    pub reading: bool,
    /// A newcomer gets no entry before all others have its `joined` note, at this index, or until this time. So every
    /// node that was shown an entry is in the address book of all others, and none of them elects without asking it.
    pub gate: Option<(Index, Time)>,
}

impl LeaderSearch {
    /// A search after the loss of a leader. A claim to have heard it after `at` is news.
    pub(super) fn after(uid: Uid, at: Time) -> Self {
        Self { lost: Some(LostLeader { uid, at }), ..Self::default() }
    }

    /// Nodes from which a frame has arrived and that no dial has missed.
    pub(super) fn alive(&self) -> BTreeSet<Uid> {
        self.heard.difference(&self.gone).copied().collect()
    }

    /// The next attempt: forgets the nodes that were heard, and counts the failure.
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

    /// The same epoch, mutable, so that it can be raised.
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
    /// A winner at its start: it will announce itself to `ring`, and fetch the best log by `fetch`.
    pub(super) fn new(epoch: Epoch, ring: BTreeSet<Uid>, fetch: LogFetch) -> Self {
        Self { epoch, established: true, caught_up: false, ring, fetch, joins: Vec::new() }
    }
}

impl Follower {
    /// A follower that holds the log up to `acked`. It gets nothing until its stream starts.
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
    /// The lines at these places of an offer, as the leader names them; `None`: there is no such place.
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
