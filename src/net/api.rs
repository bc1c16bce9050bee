//! The messages between a running node and its frontends: commands go in, notices come out.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::ring::{
    Draft, Entry, Event, Index, Lamport, Member, ModerationCommand, PmError, PmId, RoomHealth, Status, Text,
};
use crate::store::{Health, LogMark};

/// What a frontend wants of the node.
#[derive(Debug)]
pub enum Command {
    /// Submit a line. Who gives a sender is answered with its number in this run's session; where it was not taken, the
    /// sender is dropped.
    Say(Draft, Option<oneshot::Sender<u64>>),
    /// Have something done to somebody; answered with whether a line says so now. In order, as [`Self::Say`].
    Order(ModerationCommand, oneshot::Sender<bool>),
    /// Draw a new key for the room, and say so with this line; answered with whether a line says so now. In order, as
    /// [`Self::Say`].
    Rekey(Text, oneshot::Sender<bool>),
    /// Say this to one member alone: sealed for that one, and written nowhere. Answered with which message it is and
    /// for whom, or why it was not sent; what becomes of it is told with [`Event::PmSettled`]. It need not stand in
    /// line: nothing of it is ordered.
    Whisper {
        /// A name, or an author's id or enough of its first digits.
        to: String,
        /// The words.
        text: Text,
        /// The answer.
        answer: oneshot::Sender<Result<(PmId, Member), PmError>>,
    },
    /// Answer with how all members are doing: within [`HEALTH_QUERY_WAIT`](crate::ring::limits::SURVEY_WAIT) with what
    /// the leader says, or else with what this node knows by itself.
    Survey(oneshot::Sender<RoomHealth>),
    /// Leave the room; a second time: at once.
    Leave,
    /// So far the log that people read is written.
    Logged(LogMark),
    /// Answer with the node's state at this moment.
    Status(oneshot::Sender<Status>),
    /// Answer with entries of the history.
    Past {
        /// The first.
        from: Index,
        /// As many as fit into [`BATCH_BYTES_MAX`](crate::ring::limits::BATCH_BYTES_MAX), at least one if there is one.
        answer: oneshot::Sender<Vec<Arc<Entry>>>,
    },
}

/// What a frontend is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Something happened in the room.
    Event(Event),
    /// A member has said this to this node's owner alone.
    Whisper {
        /// Whose words they are: proven by the seal. Which name an author has, nobody proves.
        from: Member,
        /// The words.
        text: Text,
    },
    /// The node's clock, before a notice that carries no timestamp of its own; only when it has changed.
    Clock(Lamport),
    /// The history's store.
    Health(Health),
    /// A peer broke the protocol, was refused or could not keep up, and lost its link. At most one per peer's IP
    /// address and [`NOTICE_PAUSE`](super::transport::limits::NOTICE_PAUSE).
    PeerDropped {
        /// Its address; for the one notice about a listener that cannot accept, the listener's.
        peer: String,
        /// What was wrong: short, and fit for a terminal.
        why: String,
    },
}
