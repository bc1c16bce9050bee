//! The codec: encodes frames, decodes them, and checks lists and signatures before any other code sees a frame.

use std::fmt;
use std::sync::Arc;

use crate::ring::log::entry::{Entry, Line};
use crate::ring::log::run_signature::{ForgedLine, TornRun, each_run, message};
use crate::ring::types::id::RoomId;
use crate::ring::types::limits::{
    BATCH_ENTRIES_MAX, BOOK_NODES_MAX, EPOCH_BOUNDS_MAX, FRAME_BYTES_MAX, OFFER_LINES_MAX,
};
use crate::ring::types::proof::{AuthorId, Signature};
use crate::ring::wire::frame::{Backlog, Entries, Frame};

/// Why bytes are no frame. Nothing of them takes effect.
#[derive(Debug)]
pub enum DecodeError {
    /// It has more than [`FRAME_BYTES_MAX`] bytes.
    TooLong(usize),
    /// It is not the JSON of a frame.
    Json(serde_json::Error),
    /// A list is longer than its limit.
    List(&'static str),
    /// It is a relay within a relay.
    Nested,
    /// Its lines are no whole runs, so their signatures cannot be checked.
    Torn,
}

impl From<TornRun> for DecodeError {
    fn from(TornRun: TornRun) -> Self {
        Self::Torn
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(f, "a frame of {bytes} bytes; at most {FRAME_BYTES_MAX} are allowed"),
            Self::Json(error) => write!(f, "not a frame: {error}"),
            Self::List(what) => write!(f, "too many {what} in a frame"),
            Self::Nested => write!(f, "a relayed frame within a relayed frame"),
            Self::Torn => write!(f, "lines without their author's signature"),
        }
    }
}

impl std::error::Error for DecodeError {}

impl Frame {
    /// Appends the frame to `into`, as one line of JSON with its line feed.
    pub fn encode(&self, into: &mut Vec<u8>) {
        let start = into.len();
        // A frame holds no map with foreign keys and no float, so writing it to memory never fails.
        if serde_json::to_writer(&mut *into, self).is_err() {
            into.truncate(start);
        }
        into.push(b'\n');
    }

    /// Decodes one line of JSON, with or without its line feed.
    ///
    /// # Errors
    /// [`DecodeError`] names the reason.
    pub fn decode(line: &[u8]) -> Result<Self, DecodeError> {
        if line.len() > FRAME_BYTES_MAX {
            return Err(DecodeError::TooLong(line.len()));
        }
        let frame: Self = serde_json::from_slice(line).map_err(DecodeError::Json)?;
        frame.check()?;
        Ok(frame)
    }

    /// The lines that the frame carries, in order.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        let (entries, lines) = self.said();
        entries.iter().filter_map(|entry| entry.line()).chain(lines.iter().map(|line| &**line))
    }

    /// Lists every kind of frame: a forgotten kind would carry unchecked lines.
    fn said(&self) -> (&[Arc<Entry>], &[Arc<Line>]) {
        match self {
            Self::Entries(Entries { batch, .. }) | Self::Backlog(Backlog { batch, .. }) | Self::Pulled(batch) => {
                (&batch.entries, &[])
            }
            Self::Submit(submit) => (&[], &submit.lines),
            Self::Relay(relay) => relay.frame.as_deref().map_or((&[], &[]), Self::said),
            Self::Hello(_)
            | Self::Refuse(_)
            | Self::Ping(_)
            | Self::Pong(_)
            | Self::Adjacent(_)
            | Self::NextIs(_)
            | Self::LeaderPoll
            | Self::PollReply(_)
            | Self::Join(_)
            | Self::MoreEpochBounds
            | Self::Accept(_)
            | Self::Redirect(_)
            | Self::Wait
            | Self::NoLeader
            | Self::Ack(_)
            | Self::StableIndex(_)
            | Self::Offer(_)
            | Self::Want(_)
            | Self::KeyRequest(_)
            | Self::Key(_)
            | Self::Throttle(_)
            | Self::Leave(_)
            | Self::Token(_)
            | Self::TokenAck { .. }
            | Self::Swallowed { .. }
            | Self::Elected(_)
            | Self::Fetch(_)
            | Self::Common(_)
            | Self::Pull(_)
            | Self::MergeOffer(_)
            | Self::MergeAccepted(_)
            | Self::StepDown(_)
            | Self::RivalLeader(_)
            | Self::Handover(_)
            | Self::PrivateMessage(_)
            | Self::PmReceipt(_)
            | Self::HealthQuery
            | Self::HealthReply(_) => (&[], &[]),
        }
    }

    /// Checks that all lines of the frame are whole runs that their authors have signed, in this room.
    ///
    /// # Errors
    /// The first forged line, with the author in whose name it stands.
    pub fn verify(&self, room: RoomId, signed: impl Fn(AuthorId, &[u8], &Signature) -> bool) -> Result<(), ForgedLine> {
        each_run(self.lines(), |run, seal| match run.first() {
            Some(first) if !signed(first.id.author, &message(room, run), &seal.by) => {
                Err(ForgedLine { author: first.id.author, name: Some(first.name.clone()) })
            }
            Some(_) | None => Ok(()),
        })
    }

    /// Refuses lists that are too long, torn runs, and relays within relays.
    fn check(&self) -> Result<(), DecodeError> {
        self.check_lists()?;
        each_run(self.lines(), |_, _| Ok(()))
    }

    fn check_lists(&self) -> Result<(), DecodeError> {
        let within = |len: usize, max: usize, what| if len <= max { Ok(()) } else { Err(DecodeError::List(what)) };
        match self {
            Self::Join(join) => within(join.epoch_bounds.len(), EPOCH_BOUNDS_MAX, "epochs"),
            Self::Fetch(epoch_bounds) => within(epoch_bounds.len(), EPOCH_BOUNDS_MAX, "epochs"),
            Self::Accept(accept) => within(accept.members.len(), BOOK_NODES_MAX, "members"),
            Self::Entries(entries) => within(entries.batch.entries.len(), BATCH_ENTRIES_MAX, "entries"),
            Self::Backlog(Backlog { batch, .. }) | Self::Pulled(batch) => {
                within(batch.entries.len(), BATCH_ENTRIES_MAX, "entries")
            }
            Self::Offer(offer) => within(offer.lines.len(), OFFER_LINES_MAX, "lines"),
            Self::Want(want) => within(want.places.len(), OFFER_LINES_MAX, "lines"),
            Self::Submit(submit) => within(submit.lines.len(), BATCH_ENTRIES_MAX, "lines"),
            Self::Token(token) => within(token.ring.len(), BOOK_NODES_MAX, "nodes"),
            Self::Elected(elected) => within(elected.ring.len(), BOOK_NODES_MAX, "nodes"),
            Self::HealthReply(reports) => within(reports.len(), BOOK_NODES_MAX, "members"),
            Self::Relay(relay) => match relay.frame.as_deref() {
                Some(Self::Relay(_)) => Err(DecodeError::Nested),
                Some(frame) => frame.check_lists(),
                None => Ok(()),
            },
            Self::Hello(_)
            | Self::Refuse(_)
            | Self::Ping(_)
            | Self::Pong(_)
            | Self::Adjacent(_)
            | Self::NextIs(_)
            | Self::LeaderPoll
            | Self::PollReply(_)
            | Self::MoreEpochBounds
            | Self::Redirect(_)
            | Self::Wait
            | Self::NoLeader
            | Self::Ack(_)
            | Self::StableIndex(_)
            | Self::Throttle(_)
            | Self::KeyRequest(_)
            | Self::Key(_)
            | Self::Leave(_)
            | Self::TokenAck { .. }
            | Self::Swallowed { .. }
            | Self::Common(_)
            | Self::Pull(_)
            | Self::MergeOffer(_)
            | Self::MergeAccepted(_)
            | Self::StepDown(_)
            | Self::RivalLeader(_)
            | Self::Handover(_)
            | Self::PrivateMessage(_)
            | Self::PmReceipt(_)
            | Self::HealthQuery => Ok(()),
        }
    }
}
