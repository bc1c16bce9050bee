//! What is to be shown next: as text, and, where frontends listen, as values.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;

use super::format;
use super::values::{self, EventKind, LineKind, Update};
use crate::ring::{Act, Channel, Entry, Event, Lamport, Line, SessionId, WallMs};

/// What is to be shown next.
#[derive(Debug, Default)]
pub struct Presentation {
    /// For standard output: whole lines.
    pub text: String,
    /// For frontends.
    pub told: Vec<Update>,
    /// Once that is shown: up to this number own lines are held.
    pub held: Option<u64>,
}

/// Makes values of what happens.
#[derive(Debug)]
pub struct UpdateBuilder {
    zone: TimeZone,
    /// The node's run: its lines are its own.
    session: SessionId,
}

impl UpdateBuilder {
    /// For the node that runs under this number.
    pub fn new(session: SessionId) -> Self {
        Self { zone: local(), session }
    }

    /// An entry, if it is a line; `past`: it was said before the frontend was here.
    pub fn line(&self, entry: &Entry, past: bool) -> Option<Update> {
        let line = entry.line()?;
        let (text, words) = (line.text.as_str(), line.words());
        Some(Update::Line(Box::new(values::FeedLine {
            index: entry.index.0,
            ts: entry.lamport.0,
            time: time(entry.wall, &self.zone),
            name: line.name.clone(),
            address: line.uid,
            author: line.id.author,
            session: line.id.session,
            n: line.id.n,
            channel: Channel::name_of(line.channel.as_ref()).to_owned(),
            kind: LineKind::of(line.act.as_ref()),
            text: words.to_owned(),
            typed: (text != words).then(|| text.to_owned()),
            to: named(line),
            own: line.id.session == self.session,
            past,
            reactions: Vec::new(),
        })))
    }
}

/// The timestamp by which an author has named the line that is meant: its program writes it where people read it.
fn named(line: &Line) -> Option<u64> {
    let mut words = line.text.as_str().split_whitespace();
    match &line.act {
        Some(Act::Reply(_)) => words.nth(1),
        Some(Act::React { .. }) => words.next_back(),
        Some(_) | None => None,
    }
    .and_then(|word| word.parse().ok())
}

/// The zone of the person; UTC where it is not known.
pub fn local() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

/// A foreign clock may say anything; what no calendar has is the nearest that one has.
pub fn timestamp(wall: WallMs) -> Timestamp {
    i64::try_from(wall.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
}

/// A moment as RFC 3339 has it, in a zone, to the millisecond.
pub fn time(wall: WallMs, zone: &TimeZone) -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
    let at = timestamp(wall);
    PRINTER.timestamp_with_offset_to_string(&at, zone.to_offset(at))
}

/// What a frontend is told of an event; `None` for lines, and for what is too frequent to be told.
#[expect(clippy::too_many_lines, reason = "one table: an event, and its words")]
pub fn event(event: &Event, ts: Lamport) -> Option<Update> {
    let mut told = values::FeedEvent {
        ts: ts.0,
        text: crate::text::visible(&format::event_text(event)?).into_owned(),
        notable: format::is_for_screen(event),
        ..values::FeedEvent::default()
    };
    match event {
        Event::Entered { name, room: _ } => {
            told.kind = EventKind::Entered;
            told.name = Some(name.clone());
        }
        Event::Joined(member) => {
            told.kind = EventKind::Joined;
            (told.name, told.address) = (Some(member.name.clone()), Some(member.uid));
        }
        Event::Left { member, lost } => {
            told.kind = if *lost { EventKind::Lost } else { EventKind::Left };
            (told.name, told.address) = (Some(member.name.clone()), Some(member.uid));
        }
        Event::Leader(epoch) => {
            told.kind = EventKind::Leader;
            (told.address, told.round) = (Some(epoch.leader), Some(epoch.round));
        }
        Event::LeaderLost(uid) => {
            told.kind = EventKind::LeaderLost;
            told.address = Some(*uid);
        }
        Event::LeaderPoll { nodes: _ } => told.kind = EventKind::Asking,
        Event::ElectionStarted { round } => {
            told.kind = EventKind::ElectionStarted;
            told.round = Some(*round);
        }
        Event::TokenPassed { round, candidate, to } => {
            told.kind = EventKind::TokenPassed;
            (told.round, told.address, told.to) = (Some(*round), Some(*candidate), Some(*to));
        }
        Event::NextChanged { next, repaired } => {
            told.kind = if *repaired { EventKind::Repaired } else { EventKind::Next };
            told.to = *next;
        }
        Event::Forged { by, of: _ } => {
            told.kind = EventKind::Forged;
            (told.name, told.address) = (Some(by.name.clone()), Some(by.uid));
        }
        Event::Evicted { member, by: _, banned: _ } => {
            told.kind = EventKind::Moderated;
            (told.name, told.address) = (Some(member.name.clone()), Some(member.uid));
        }
        Event::Renamed { was, name } => {
            told.kind = EventKind::Renamed;
            (told.name, told.address) = (Some(name.clone()), Some(was.uid));
        }
        Event::FailedOver { lost: _, lost_name: _, epoch, name, took: _ } => {
            told.kind = EventKind::Succeeded;
            (told.name, told.address, told.round) = (name.clone(), Some(epoch.leader), Some(epoch.round));
        }
        Event::CutOff { .. } => told.kind = EventKind::CutOff,
        Event::NameTaken(_)
        | Event::PmSettled { .. }
        | Event::PmUndecryptable { .. }
        | Event::Line(_)
        | Event::LogOnly(_)
        | Event::Backlog { .. }
        | Event::CatchUp { .. }
        | Event::CaughtUp
        | Event::ContactAnswered(_)
        | Event::Confirmed { .. }
        | Event::OtherLeader(_)
        | Event::Relayed { .. }
        | Event::OtherRoom(_)
        | Event::Rebased { .. }
        | Event::ProtocolViolation { .. }
        | Event::Throttled
        | Event::NotAllowed { .. }
        | Event::Rekeyed { .. }
        | Event::CommandFailed(_)
        | Event::SubmitRejected(_)
        | Event::StillElecting => {}
    }
    Some(Update::Event(told))
}
