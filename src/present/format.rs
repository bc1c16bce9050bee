//! What lines and events look like, on the screen and in the log. Scripts read these: they do not change lightly.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use crate::ring::{
    CommandError, Entry, Event, Lamport, Member, Name, PmError, PmOutcome, RoomId, Span, Stop, Text, Uid,
};
use crate::store::StoreHealth;
use crate::text;

/// Authors whose `NAME(IP:PORT)` is kept ready. A room that has more gets by with forgetting.
const AUTHORS_MAX: usize = 4096;

/// A member as people see it: `NAME(IP:PORT)`.
#[derive(Clone, Copy, Debug)]
pub struct PeerLabel<'a>(pub &'a Name, pub Uid);

impl fmt::Display for PeerLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.0, self.1)
    }
}

impl<'a> From<&'a Member> for PeerLabel<'a> {
    fn from(member: &'a Member) -> Self {
        Self(&member.name, member.uid)
    }
}

/// Writes chat lines; remembers what it needs to do that quickly.
#[derive(Debug, Default)]
pub struct LineFormat {
    authors: HashMap<Uid, (Name, String)>,
    ts: String,
}

impl LineFormat {
    /// Appends the entry, if it is a line, to the log (`TS: NAME(IP:PORT): text`) and to the screen
    /// (`> NAME(IP:PORT)[TS]: text`). Whether it is one.
    pub fn push(&mut self, entry: &Entry, log: &mut String, screen: &mut String) -> bool {
        let Some(line) = entry.line() else { return false };
        if self.authors.len() >= AUTHORS_MAX && !self.authors.contains_key(&line.uid) {
            self.authors.clear();
        }
        let fresh = || (line.name.clone(), PeerLabel(&line.name, line.uid).to_string());
        let (name, who) = self.authors.entry(line.uid).or_insert_with(fresh);
        if *name != line.name {
            (*name, *who) = fresh();
        }
        self.ts.clear();
        let _ = write!(self.ts, "{}", entry.lamport.0);
        extend(log, [&self.ts, ": ", who, ": "]);
        let start = log.len();
        text::push_visible(log, line.text.as_str());
        log.push('\n');
        extend(screen, ["> ", who, "[", &self.ts, "]: ", &log[start..]]);
        true
    }
}

fn extend<const N: usize>(out: &mut String, parts: [&str; N]) {
    parts.into_iter().for_each(|part| out.push_str(part));
}

/// Appends an event's line to the log: `TS: text`. Nothing but a chat line ever has a chat line's shape.
pub fn push_log_event(log: &mut String, clock: Lamport, event: &str) {
    let event = text::visible(event);
    let guard = if text::is_chat_shaped(&event) { "* " } else { "" };
    let _ = writeln!(log, "{}: {guard}{event}", clock.0);
}

/// Appends a room event's line to the screen: `/// text ///`.
pub fn push_screen_event(screen: &mut String, event: &str) {
    let _ = writeln!(screen, "/// {} ///", text::visible(event));
}

/// Why a command did nothing.
fn command_error_text(error: &CommandError) -> String {
    match error {
        CommandError::NotModerator => "only the moderators of this room may do that".to_owned(),
        CommandError::NotNow => "there is no leader at the moment: try again when there is".to_owned(),
        CommandError::NoKey => "this room has no key that could be changed".to_owned(),
        CommandError::UnknownMember(whom) => {
            format!("{whom} is no member's name, and no author's id that is known here; /who lists who is here")
        }
    }
}

/// What an event says; `None` for lines, which have a form of their own, and for what is too frequent to be told.
pub fn event_text(event: &Event) -> Option<String> {
    Some(match event {
        Event::Line(_)
        | Event::LogOnly(_)
        | Event::Backlog { .. }
        | Event::Confirmed { .. }
        | Event::CatchUp { .. }
        | Event::CaughtUp
        | Event::ContactAnswered(_) => {
            return None;
        }
        Event::Entered { name, room } => format!("{name} is in the room {room}"),
        Event::Renamed { was, name } => format!("{} is {name} now", PeerLabel::from(was)),
        Event::NameTaken(name) => format!("the name {name} is taken"),
        Event::Joined(member) => format!("{} joined the ring", PeerLabel::from(member)),
        Event::Left { member, lost: true } => format!("{} was lost", PeerLabel::from(member)),
        Event::Left { member, lost: false } => format!("{} left the ring", PeerLabel::from(member)),
        Event::Leader(epoch) => format!("Leader is {} (epoch {})", epoch.leader, epoch.round),
        Event::FailedOver { lost, lost_name, epoch, name, took } => {
            let (gone, leads) = (called(lost_name.as_ref(), *lost), called(name.as_ref(), epoch.leader));
            format!("{gone} is gone; {leads} leads now, {}", span_text(*took))
        }
        Event::CutOff { here, of } => format!(
            "most of the room cannot be reached: {here} of {of} are here; what is said now reaches the others when they \
             are back"
        ),
        Event::PmSettled { id: _, to, outcome } => fate_text(to, *outcome),
        Event::PmUndecryptable { of, through } => {
            format!(
                "a private message as of {} came through {through} with a broken seal: dropped",
                PeerLabel::from(of)
            )
        }
        Event::LeaderLost(uid) => format!("The leader {uid} does not answer"),
        Event::LeaderPoll { nodes: 0 } => "Nobody else is known who could be asked for the leader".to_owned(),
        Event::LeaderPoll { nodes: 1 } => "Asking one node for the leader".to_owned(),
        Event::LeaderPoll { nodes } => format!("Asking {nodes} nodes for the leader"),
        Event::ElectionStarted { round } => format!("Election {round} started"),
        Event::TokenPassed { round, candidate, to } => {
            format!("Election {round}: candidate {candidate} passed on to {to}")
        }
        Event::NextChanged { next: Some(next), repaired: true } => format!("Ring repaired: the next is {next}"),
        Event::NextChanged { next: Some(next), repaired: false } => format!("The next in the ring is {next}"),
        Event::NextChanged { next: None, repaired: _ } => "Alone in the ring".to_owned(),
        Event::OtherLeader(epoch) => {
            format!("Another part of the room follows {} (epoch {})", epoch.leader, epoch.round)
        }
        Event::Relayed { through, leader } => format!("The leader {leader} is reached through {through}"),
        Event::OtherRoom(uid) => format!("another room is now at {uid}"),
        Event::Rebased { lines: 1, keep: _ } => "One line goes back into the queue, to be ordered again".to_owned(),
        Event::Rebased { lines, keep: _ } => format!("{lines} lines go back into the queue, to be ordered again"),
        Event::ProtocolViolation { conn: _, why } => format!("A peer broke the protocol and lost its link: {why}"),
        Event::Forged { by, of: Some(of) } => {
            format!("{0} relayed a line forged in {of}'s name: it is refused, and {0} is blocked", PeerLabel::from(by))
        }
        Event::Forged { by, of: None } => {
            format!(
                "{0} relayed lines without a valid signature: they are refused, and {0} is blocked",
                PeerLabel::from(by)
            )
        }
        Event::Evicted { member, by, banned: false } => format!("{} was put out by {by}", PeerLabel::from(member)),
        Event::Evicted { member, by, banned: true } => format!("{} was banned by {by}", PeerLabel::from(member)),
        Event::Throttled => "you send faster than the room accepts: the rest goes out as it can".to_owned(),
        Event::NotAllowed { by } => format!("{by} may not do that: nothing has happened"),
        Event::Rekeyed { by, key: _ } => format!("{by} has changed the room's key"),
        Event::CommandFailed(error) => command_error_text(error),
        Event::SubmitRejected(text) => format!("not sent: {}", text.as_str()),
        Event::StillElecting => "The room is choosing a leader; waiting".to_owned(),
    })
}

/// Whether an event is for people at the screen; the log has all of them.
pub const fn is_for_screen(event: &Event) -> bool {
    match event {
        Event::Renamed { .. }
        | Event::NameTaken(_)
        | Event::Joined(_)
        | Event::Left { .. }
        | Event::Leader(_)
        | Event::FailedOver { .. }
        | Event::CutOff { .. }
        | Event::PmSettled { .. }
        | Event::OtherRoom(_)
        | Event::Rebased { .. }
        | Event::Forged { .. }
        | Event::Evicted { .. }
        | Event::NotAllowed { .. }
        | Event::Throttled
        | Event::Rekeyed { .. }
        | Event::CommandFailed(_)
        | Event::SubmitRejected(_)
        | Event::StillElecting => true,
        Event::Line(_)
        | Event::LogOnly(_)
        | Event::Backlog { .. }
        | Event::CatchUp { .. }
        | Event::CaughtUp
        | Event::Confirmed { .. }
        | Event::ContactAnswered(_)
        | Event::Entered { .. }
        | Event::LeaderLost(_)
        | Event::LeaderPoll { .. }
        | Event::ElectionStarted { .. }
        | Event::TokenPassed { .. }
        | Event::NextChanged { .. }
        | Event::OtherLeader(_)
        | Event::Relayed { .. }
        | Event::PmUndecryptable { .. }
        | Event::ProtocolViolation { .. } => false,
    }
}

/// Somebody by name, where that is known.
fn called(name: Option<&Name>, uid: Uid) -> String {
    name.map_or_else(|| uid.to_string(), Name::to_string)
}

/// A length of time: `<1 ms`, `12 ms`, `1.4 s`.
pub fn span_text(span: Span) -> String {
    match span.0 / 1000 {
        0 => "<1 ms".to_owned(),
        ms @ 1..1000 => format!("{ms} ms"),
        ms => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    }
}

/// A message for this node's owner alone.
pub fn private_text(from: &Member, text: &Text) -> String {
    format!("private from {}: {}", PeerLabel::from(from), text.as_str())
}

/// What became of a message for one reader.
pub fn fate_text(to: &Member, outcome: PmOutcome) -> String {
    let what = match outcome {
        PmOutcome::Delivered => "delivered",
        PmOutcome::Gone => "not delivered, the room has no such member any more",
        PmOutcome::NoLeader => "not delivered, there was no leader to pass it on: try again when there is",
        PmOutcome::Unknown => "no answer: it may have arrived, or not",
    };
    format!("private to {}: {what}", PeerLabel::from(to))
}

/// Why a message for one reader was not sent, and what to try.
pub fn unsaid_text(why: &PmError) -> String {
    match why {
        PmError::Nobody(whom) => format!("not sent: {whom} is nobody who is here; /who lists who is"),
        PmError::Oneself => "not sent: that is you".to_owned(),
        PmError::TooMany => "not sent: too many private messages at once; try again in a moment".to_owned(),
        PmError::NotNow => "not sent: this node is not in a room".to_owned(),
        PmError::NoKey => "not sent: nothing can be sealed for that author".to_owned(),
    }
}

/// What is told of the store. Some of it is told to people who have no idea what a store is.
pub fn health_text(health: &StoreHealth) -> String {
    match health {
        StoreHealth::Failing { why, again: true } => format!(
            "the history cannot be written ({why}): the room goes on, and what is said is kept in memory until it can; \
             make room on the disk"
        ),
        StoreHealth::Failing { why, again: false } => format!(
            "the disk has failed ({why}): the room goes on, but what is said now is kept in memory only; \
             leave when you can, and check the disk"
        ),
        StoreHealth::Well => "the history is written again, and whole".to_owned(),
    }
}

/// What somebody who comes back is told before what was missed: so many lines, of which the newest `shown` follow.
pub fn away_text(lines: u64, shown: u64) -> String {
    match (lines, lines > shown) {
        (1, false) => "one line while you were away".to_owned(),
        (_, false) => format!("{lines} lines while you were away"),
        (_, true) => format!("{lines} lines while you were away; the newest {shown}"),
    }
}

/// What somebody is told whose lines wait.
pub fn waiting_text(lines: u64) -> String {
    match lines {
        1 => "one line of yours waits to be ordered".to_owned(),
        _ => format!("{lines} lines of yours wait to be ordered"),
    }
}

/// What a newcomer is told of itself.
pub fn welcome(name: &Name, wanted: &Name, uid: Uid, room: RoomId) -> String {
    match name == wanted {
        true => format!("you are {} in room {room}", PeerLabel(name, uid)),
        false => format!("you are {} in room {room}, since {wanted} is taken", PeerLabel(name, uid)),
    }
}

/// What stands in the log between the lines of another room and lines of this one that a crash had kept from it.
pub fn resumed(room: RoomId) -> String {
    format!("what follows was said in room {room}")
}

/// The room that a line of the log, a [`welcome`] or [`resumed`], says what follows it belongs to.
pub fn room_of(line: &str) -> Option<RoomId> {
    let (stamp, event) = line.split_once(": ")?;
    stamp.parse::<u64>().ok()?;
    let said = event.strip_prefix("you are ").or_else(|| event.strip_prefix("what follows was said "))?;
    let digits = said.split_once("in room ")?.1.get(..16)?;
    u64::from_str_radix(digits, 16).ok().map(RoomId)
}

/// How a run ended, for the log. `was_in`: it was in a room.
pub fn stop_text(stop: &Stop, was_in: bool) -> String {
    match stop {
        Stop::Left { waiting: _ } if !was_in => "gave up before it was in a room".to_owned(),
        Stop::Left { waiting: 0 } => "left the room".to_owned(),
        Stop::Left { waiting: 1 } => "left the room with one line that nobody else has".to_owned(),
        Stop::Left { waiting } => format!("left the room with {waiting} lines that nobody else has"),
        Stop::Unreachable => "nobody answers".to_owned(),
        Stop::Refused(_) if was_in => "the room has us no longer".to_owned(),
        Stop::Refused(_) => "the room would not have us".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use std::sync::Arc;

    use super::*;
    use crate::ring::{AuthorId, Body, Epoch, Index, Line, LineId, Nonce, PmId, SessionId, WallMs};

    fn uid() -> Uid {
        "10.0.0.5:2428".parse().unwrap()
    }

    fn member() -> Member {
        Member { uid: uid(), name: Name::parse("ann").unwrap(), author: AuthorId::of_bits(1) }
    }

    fn epoch() -> Epoch {
        Epoch { round: 3, leader: "10.0.0.7:2428".parse().unwrap(), nonce: Nonce(1) }
    }

    fn entry(text: &str) -> Entry {
        let line = Line {
            id: LineId { author: AuthorId::of_bits(1), session: SessionId(1), n: 1 },
            lamport: Lamport(11),
            name: member().name,
            uid: uid(),
            text: Text::parse(text).unwrap(),
            channel: None,
            act: None,
            signature: None,
        };
        Entry {
            epoch: epoch(),
            index: Index(9),
            lamport: Lamport(12),
            wall: WallMs(0),
            body: Body::Line(Arc::new(line)),
        }
    }

    #[test]
    fn whoever_knows_nobody_asks_nobody() {
        let text = |nodes| event_text(&Event::LeaderPoll { nodes }).unwrap();
        assert_eq!(text(0), "Nobody else is known who could be asked for the leader");
        assert_eq!(text(1), "Asking one node for the leader");
        assert_eq!(text(2), "Asking 2 nodes for the leader");
    }

    #[test]
    fn lines_have_their_exact_form() {
        let (mut log, mut screen) = (String::new(), String::new());
        assert!(LineFormat::default().push(&entry("hello"), &mut log, &mut screen));
        assert_eq!(log, "12: ann(10.0.0.5:2428): hello\n");
        assert_eq!(screen, "> ann(10.0.0.5:2428)[12]: hello\n");
    }

    #[test]
    fn a_message_forges_neither_a_line_nor_an_escape() {
        let (mut log, mut screen) = (String::new(), String::new());
        LineFormat::default().push(&entry("x\r13: bob(1.2.3.4:5): y\x1b]0;t\x07\u{202e}"), &mut log, &mut screen);
        assert_eq!(log, "12: ann(10.0.0.5:2428): x\\r13: bob(1.2.3.4:5): y\\x1b]0;t\\x07\\u{202e}\n");
        assert_eq!(screen.lines().count(), 1);
    }

    #[test]
    fn an_author_who_changes_the_name_is_shown_with_the_new_one() {
        let (mut log, mut screen) = (String::new(), String::new());
        let mut format = LineFormat::default();
        format.push(&entry("a"), &mut log, &mut screen);
        let mut renamed = entry("b");
        if let Body::Line(line) = &mut renamed.body {
            Arc::make_mut(line).name = Name::parse("ann-2").unwrap();
        }
        format.push(&renamed, &mut log, &mut screen);
        assert_eq!(log, "12: ann(10.0.0.5:2428): a\n12: ann-2(10.0.0.5:2428): b\n");
    }

    #[test]
    fn events_have_their_exact_form() {
        for (event, expected) in [
            (Event::Joined(member()), "ann(10.0.0.5:2428) joined the ring"),
            (Event::Left { member: member(), lost: false }, "ann(10.0.0.5:2428) left the ring"),
            (Event::Left { member: member(), lost: true }, "ann(10.0.0.5:2428) was lost"),
            (Event::Renamed { was: member(), name: Name::parse("anna").unwrap() }, "ann(10.0.0.5:2428) is anna now"),
            (Event::NameTaken(Name::parse("anna").unwrap()), "the name anna is taken"),
            (Event::Leader(epoch()), "Leader is 10.0.0.7:2428 (epoch 3)"),
            (
                Event::FailedOver {
                    lost: uid(),
                    lost_name: Some(member().name),
                    epoch: epoch(),
                    name: None,
                    took: Span(12_345),
                },
                "ann is gone; 10.0.0.7:2428 leads now, 12 ms",
            ),
            (
                Event::PmSettled { id: PmId(1), to: member(), outcome: PmOutcome::Delivered },
                "private to ann(10.0.0.5:2428): delivered",
            ),
            (Event::OtherRoom(uid()), "another room is now at 10.0.0.5:2428"),
        ] {
            assert_eq!(event_text(&event).as_deref(), Some(expected));
        }
        let (mut log, mut screen) = (String::new(), String::new());
        push_log_event(&mut log, Lamport(14), "Leader is 10.0.0.7:2428 (epoch 3)");
        push_screen_event(&mut screen, "Leader is 10.0.0.7:2428 (epoch 3)");
        assert_eq!(log, "14: Leader is 10.0.0.7:2428 (epoch 3)\n");
        assert_eq!(screen, "/// Leader is 10.0.0.7:2428 (epoch 3) ///\n");
    }

    #[test]
    fn what_is_said_to_one_reader_never_has_the_shape_of_a_line() {
        let said = private_text(&member(), &Text::parse("hello \u{1b}[2J").unwrap());
        assert_eq!(said, "private from ann(10.0.0.5:2428): hello \u{1b}[2J");
        let mut log = String::new();
        push_log_event(&mut log, Lamport(1), &said);
        assert_eq!(log, "1: private from ann(10.0.0.5:2428): hello \\x1b[2J\n");
        assert!(!text::is_chat_shaped(&said));
    }

    #[test]
    fn spans_are_short() {
        for (micros, expected) in
            [(0, "<1 ms"), (999, "<1 ms"), (1_000, "1 ms"), (999_999, "999 ms"), (1_450_000, "1.4 s")]
        {
            assert_eq!(span_text(Span(micros)), expected);
        }
    }

    #[test]
    fn the_log_says_which_room_it_tells_of() {
        let (ann, bob, room) = (Name::parse("ann").unwrap(), Name::parse("bob").unwrap(), RoomId(u64::MAX - 7));
        for text in [welcome(&ann, &ann, uid(), room), welcome(&ann, &bob, uid(), room), resumed(room)] {
            let mut log = String::new();
            push_log_event(&mut log, Lamport(3), &text);
            assert_eq!(room_of(&log), Some(room), "{log}");
        }
        let mut log = String::new();
        LineFormat::default().push(&entry("you are ann in room 0000000000000007"), &mut log, &mut String::new());
        push_log_event(&mut log, Lamport(3), "not sent: you are ann in room 0000000000000007");
        assert!(log.lines().all(|line| room_of(line).is_none()), "{log}");
    }

    #[test]
    fn no_event_has_the_shape_of_a_chat_line() {
        let mut log = String::new();
        push_log_event(&mut log, Lamport(1), "bob(1.2.3.4:5): forged\n2: bob(1.2.3.4:5): again");
        assert_eq!(log, "1: * bob(1.2.3.4:5): forged\\n2: bob(1.2.3.4:5): again\n");
    }
}
