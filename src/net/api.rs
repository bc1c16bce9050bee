//! The messages between a running node and its frontends: commands go in, notices come out.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::ring::{
    Draft, Entry, Event, Index, Lamport, Member, ModerationCommand, PmError, PmId, RoomHealth, Status, Text,
};
use crate::store::{LogMark, StoreHealth};

/// A command from a frontend to the node.
#[derive(Debug)]
pub enum Command {
    /// Submits a line. The sender, if any, gets the line's number in this run's session. If the node does not take the
    /// line, it drops the sender.
    Say(Draft, Option<oneshot::Sender<u64>>),
    /// Submits a moderation command. The answer says whether a line now holds it. Ordered with [`Self::Say`].
    Order(ModerationCommand, oneshot::Sender<bool>),
    /// Draws a new key for the room and announces it with this line. The answer says whether the node took the line.
    /// Ordered with [`Self::Say`].
    Rekey(Text, oneshot::Sender<bool>),
    /// Sends a private message: encrypted for one member, and never written to a log or a file. The answer names the
    /// message and its reader, or says why it was not sent. [`Event::PmSettled`] tells its outcome later. The message
    /// need not wait behind lines, since it has no place in the room's order.
    SendPm {
        /// A name, an author's id, or enough of the id's first digits.
        to: String,
        /// The message.
        text: Text,
        /// The message's id and its reader, or the error.
        answer: oneshot::Sender<Result<(PmId, Member), PmError>>,
    },
    /// Asks how all members are doing. The leader's report counts if it comes within
    /// [`HEALTH_QUERY_WAIT`](crate::ring::limits::HEALTH_QUERY_WAIT). Otherwise the answer is what this node knows by
    /// itself.
    Survey(oneshot::Sender<RoomHealth>),
    /// Leaves the room. A second one leaves at once.
    Leave,
    /// The chat log is written up to this mark.
    Logged(LogMark),
    /// Asks for the node's state at this moment.
    Status(oneshot::Sender<Status>),
    /// Asks for entries of the history.
    Past {
        /// The first wanted index.
        from: Index,
        /// The entries: as many as fit into [`BATCH_BYTES_MAX`](crate::ring::limits::BATCH_BYTES_MAX), and at least one
        /// if there is one.
        answer: oneshot::Sender<Vec<Arc<Entry>>>,
    },
}

/// A notice from the node to its frontends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An event of the room.
    Event(Event),
    /// A private message to this node's owner.
    PrivateMessage {
        /// The sender. The encryption proves the author, but nothing proves the author's name.
        from: Member,
        /// The message.
        text: Text,
    },
    /// The node's clock. It comes before a notice that has no timestamp, and only when it has changed.
    Clock(Lamport),
    /// The state of the history's store.
    Health(StoreHealth),
    /// A peer lost its link: it broke the protocol, was refused, or could not keep up. There is at most one such notice
    /// per IP address and [`NOTICE_PAUSE`](super::transport::limits::NOTICE_PAUSE).
    PeerDropped {
        /// The peer's address. If a listener cannot accept connections, the listener's address.
        peer: String,
        /// The reason: short, and safe to print on a terminal.
        why: String,
    },
}
