//! Tells what happens: every notice goes to the log, and what people want to know to the screen.
//!
//! Runs on a thread of its own, since the log may block on a disk. The node waits while notices are not taken, so this
//! never waits for anything but the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::broadcaster::Broadcaster;
use super::catch_up::CatchUp;
use super::clock::FeedClock;
use super::failover_notice::FailoverNotice;
use super::own_lines::OwnLines;
use super::reactions::ReactionFeed;
use crate::chatlog::checkpoints::LogCheckpoints;
use crate::chatlog::gap::{LogGap, PastLog};
use crate::chatlog::log_orphans::{LogOrphans, OrphansByRoom};
use crate::chatlog::{self, LogWriter};
use crate::net::Notice;
use crate::present::builder::{self, Presentation, UpdateBuilder};
use crate::present::format::{self, LineFormat};
use crate::present::values::{self, EventKind, Update};
use crate::ring::{Entry, Event, Index, Member, Name, RoomId, SessionId, Tail, Text, Uid};
use crate::store::StoreHealth;

/// Who this node is in its room; nothing before it is in.
pub type RoomPlace = Option<(Name, RoomId)>;

/// Everything that a herald tells, and whom.
#[derive(Debug)]
pub struct EventPublisher {
    /// The log.
    pub log: LogWriter,
    /// Whoever is shown what happens.
    pub hub: Broadcaster,
    /// Log lines are shown too.
    pub verbose: bool,
    /// Kept at the latest timestamp.
    pub clock: FeedClock,
    /// The node's address.
    pub uid: Uid,
    /// The name that was asked for.
    pub wanted: Name,
    /// The node's run: its own lines are counted.
    pub session: SessionId,
    /// The count.
    pub lines: OwnLines,
    /// Makes values for frontends.
    pub teller: UpdateBuilder,
    /// What was put to lines.
    pub likes: ReactionFeed,
    /// Told when the node is in its room, and when its name changes there.
    pub place: watch::Sender<RoomPlace>,
    /// Told how far the log goes.
    pub marks: LogCheckpoints,
    /// Told which contact of a newcomer answers.
    pub reached: watch::Sender<Option<Uid>>,
    /// What was missed, while it comes.
    pub away: Option<CatchUp>,
    /// The last entry in the log that is not marked yet.
    pub last: Option<Tail>,
    /// The entry that the last run has marked.
    pub logged: Index,
    /// Lines that the log holds already.
    pub ahead: LogOrphans,
    /// The same, of rooms that this run may turn out to be in.
    pub elsewhere: OrphansByRoom,
    /// Lines that the log lacks.
    pub missing: LogGap,
    /// Where they stand.
    pub past: PastLog,
    /// Set while the store fails, which is told of.
    pub failing: Arc<AtomicBool>,
    /// What the screen is told in one line instead of several.
    pub succession: FailoverNotice,
}

/// While lines are missing: between two looks whether the log or the history has moved.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Between two looks whether the history has answered.
const ANSWER: Duration = Duration::from_millis(2);
/// Bytes that wait for the file, after which no missing lines are read for it.
const WAITING_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Entries after the last mark for which lines that the log holds ahead of the history are waited for; beyond, whoever
/// had them is not believed to come back. Each start reads as many at most.
const AHEAD_ENTRIES_MAX: u64 = 100_000;

impl EventPublisher {
    /// Tells until the node has ended.
    pub fn run(mut self, mut notices: mpsc::Receiver<Vec<Notice>>) {
        let mut lines = LineFormat::default();
        let (mut log, mut shown) = (String::new(), Presentation::default());
        while let Some(batch) = self.next(&mut notices, &mut lines) {
            let mut batch = batch.into_iter().peekable();
            while let Some(notice) = batch.next() {
                match notice {
                    Notice::Clock(at) => self.clock.witness(at),
                    Notice::Event(event) => {
                        self.succession.hear(&event, batch.peek());
                        self.tell(&event, &mut lines, &mut log, &mut shown);
                    }
                    Notice::Whisper { from, text } => self.whispered(&from, &text, &mut log, &mut shown),
                    Notice::Health(health) => {
                        self.failing.store(health != StoreHealth::Well, Ordering::Release);
                        self.push(&format::health_text(&health), true, EventKind::Disk, &mut log, &mut shown);
                    }
                    Notice::PeerDropped { peer, why } => {
                        self.push(
                            &format!("{peer} lost its link: {why}"),
                            false,
                            EventKind::Other,
                            &mut log,
                            &mut shown,
                        );
                    }
                }
                if log.len() >= chatlog::WRITE_BYTES_MAX {
                    self.hand_over(&mut log, &mut shown);
                }
            }
            self.hand_over(&mut log, &mut shown);
        }
        // The room has ended before all that was missed had come.
        self.caught_up(&mut log, &mut shown);
    }

    /// The next notices; meanwhile what is missing is written.
    fn next(&mut self, notices: &mut mpsc::Receiver<Vec<Notice>>, lines: &mut LineFormat) -> Option<Vec<Notice>> {
        if !self.missing.holds_back() {
            return notices.blocking_recv();
        }
        // A channel alone cannot be waited for until a time. Without a timer, what is missing is written as notices
        // come.
        let Ok(timer) = tokio::runtime::Builder::new_current_thread().enable_time().build() else {
            self.catch_up_log(lines);
            return notices.blocking_recv();
        };
        while self.missing.holds_back() {
            let moves = self.catch_up_log(lines);
            // Nothing tells when the file takes something again, or when an entry is appended that nobody is told of.
            let pause = match self.past.is_asked() {
                _ if moves => Duration::ZERO,
                true => ANSWER,
                false => LOOK_AGAIN,
            };
            if let Ok(came) = timer.block_on(async { tokio::time::timeout(pause, notices.recv()).await }) {
                return came;
            }
        }
        notices.blocking_recv()
    }

    /// One step of writing what is missing. Whether the next can be made at once.
    fn catch_up_log(&mut self, lines: &mut LineFormat) -> bool {
        // Before it is in its room, the log does not say whose lines they are.
        let is_in = self.place.borrow().is_some();
        if !is_in || self.log.is_failing() || self.log.waits() > WAITING_BYTES_MAX {
            return false;
        }
        let (mut log, ahead) = (String::new(), &mut self.ahead);
        let moves =
            self.past.read(&mut self.missing, |entry| push_line(entry, lines, ahead, &mut log, &mut String::new()));
        self.hand_over(&mut log, &mut Presentation::default());
        moves
    }

    fn hand_over(&mut self, log: &mut String, shown: &mut Presentation) {
        if !log.is_empty() {
            self.log.push(log);
            log.clear();
            if self.log.is_full() {
                self.missing.hold_back();
            }
        }
        self.mark();
        if self.hub.is_watched() {
            shown.told.append(&mut self.likes.changes());
        }
        match &mut self.away {
            Some(away) => away.keep(shown),
            None => self.hub.show(shown),
        }
        if let Some(n) = shown.held.take() {
            self.lines.hold(n);
        }
    }

    /// Marks how far the log goes. Not while it holds what the history does not, or lacks what the history holds: the
    /// next run must find that again, behind the last mark.
    fn mark(&mut self) {
        if self.last.is_some_and(|last| last.index.0 > self.logged.0.saturating_add(AHEAD_ENTRIES_MAX)) {
            self.ahead = LogOrphans::default();
        }
        if self.ahead.is_empty()
            && self.missing.is_empty()
            && let Some(tail) = self.last.take()
        {
            self.marks.push(self.log.handed(), tail);
        }
    }

    /// Somebody who comes back has seen nothing of what follows: it is gathered, then shown as such.
    fn catch_up(&mut self, lines: Option<u64>, log: &mut String, shown: &mut Presentation) {
        self.hand_over(log, shown);
        self.away.get_or_insert(CatchUp::new(lines));
    }

    fn caught_up(&mut self, log: &mut String, shown: &mut Presentation) {
        self.hand_over(log, shown);
        if let Some(away) = self.away.take() {
            away.show(&self.hub);
        }
    }

    fn tell(&mut self, event: &Event, lines: &mut LineFormat, log: &mut String, shown: &mut Presentation) {
        match event {
            Event::Line(entry) => {
                self.clock.witness(entry.lamport);
                if let Some(line) = entry.line().filter(|line| line.id.session == self.session) {
                    self.lines.witness(line.id.n, entry.lamport);
                }
                self.last = Some(entry.tail());
                self.line(entry, lines, log, shown);
                self.value(entry, false, shown);
            }
            Event::LogOnly(entry) => {
                self.clock.witness(entry.lamport);
                self.last = Some(entry.tail());
                self.line(entry, lines, log, &mut Presentation::default());
                if self.hub.is_watched() {
                    self.likes.take(entry);
                }
            }
            Event::CatchUp { lines } => self.catch_up(*lines, log, shown),
            Event::CaughtUp => self.caught_up(log, shown),
            Event::Rebased { lines: _, keep } => {
                self.missing.cut(*keep);
                // What was shown before the cut has the places of before.
                self.hand_over(log, shown);
                self.hub.cut(*keep);
                // What was logged may stand no more.
                self.last = None;
                self.tell_event(event, log, shown);
            }
            Event::Backlog { entries, logged: false } => {
                for entry in entries {
                    lines.push(entry, &mut String::new(), &mut shown.text);
                    self.value(entry, true, shown);
                }
            }
            Event::Backlog { entries, logged: true } => {
                for entry in entries {
                    self.clock.witness(entry.lamport);
                    self.line(entry, lines, log, shown);
                    self.value(entry, true, shown);
                    if log.len() >= chatlog::WRITE_BYTES_MAX {
                        self.hand_over(log, shown);
                    }
                }
            }
            Event::Confirmed { n, alone: _ } => shown.held = Some(*n),
            Event::ContactAnswered(contact) => drop(self.reached.send_replace(Some(*contact))),
            Event::Entered { name, room } => self.enter(name, *room, log, shown),
            Event::Renamed { was, name } => {
                if was.uid == self.uid {
                    self.wanted = name.clone();
                }
                self.tell_event(event, log, shown);
            }
            event => self.tell_event(event, log, shown),
        }
    }

    fn line(&mut self, entry: &Entry, lines: &mut LineFormat, log: &mut String, shown: &mut Presentation) {
        if self.missing.holds_back() {
            self.missing.add(entry);
            lines.push(entry, &mut String::new(), &mut shown.text);
        } else {
            push_line(entry, lines, &mut self.ahead, log, &mut shown.text);
        }
    }

    /// A message for the owner alone: in the log too, since a screen may be gone before it is read.
    fn whispered(&self, from: &Member, text: &Text, log: &mut String, shown: &mut Presentation) {
        self.push_text(&format::private_text(from, text), true, log, shown);
        if self.hub.is_watched() {
            let to = self.place.borrow().as_ref().map_or_else(|| self.wanted.clone(), |(name, _)| name.clone());
            let text = text.as_str().to_owned();
            shown.told.push(Update::Private(values::FeedPm { from: from.name.clone(), to, text, own: false }));
        }
    }

    /// The same for frontends.
    fn value(&mut self, entry: &Entry, past: bool, shown: &mut Presentation) {
        if !self.hub.is_watched() {
            return self.likes.forget();
        }
        let to = self.likes.take(entry);
        if let Some(Update::Line(mut line)) = self.teller.line(entry, past) {
            line.to = to.or(line.to);
            shown.told.push(Update::Line(line));
        }
    }

    fn tell_event(&self, event: &Event, log: &mut String, shown: &mut Presentation) {
        if let Some(text) = format::event_text(event) {
            let (at, notable) = (self.clock.now(), format::is_for_screen(event));
            self.push_text(&text, notable && self.succession.shows(event, false), log, shown);
            if self.hub.is_watched()
                && let Some(Update::Event(told)) = builder::event(event, at)
            {
                let notable = notable && self.succession.shows(event, true);
                shown.told.push(Update::Event(values::FeedEvent { notable, ..told }));
            }
        }
    }

    fn enter(&mut self, name: &Name, room: RoomId, log: &mut String, shown: &mut Presentation) {
        let place = Some((name.clone(), room));
        if *self.place.borrow() == place {
            return;
        }
        if let Some(ahead) = std::mem::take(&mut self.elsewhere).remove(&room) {
            self.ahead = ahead;
        }
        let welcome = format::welcome(name, &self.wanted, self.uid, room);
        self.push(&welcome, true, EventKind::Entered, log, shown);
        self.hand_over(log, shown);
        self.place.send_replace(place);
    }

    fn push(&self, text: &str, notable: bool, kind: EventKind, log: &mut String, shown: &mut Presentation) {
        self.push_text(text, notable, log, shown);
        if self.hub.is_watched() {
            let text = crate::text::visible(text).into_owned();
            let ts = self.clock.now().0;
            shown.told.push(Update::Event(values::FeedEvent {
                ts,
                kind,
                text,
                notable,
                ..values::FeedEvent::default()
            }));
        }
    }

    fn push_text(&self, text: &str, notable: bool, log: &mut String, shown: &mut Presentation) {
        let start = log.len();
        format::push_log_event(log, self.clock.now(), text);
        if notable {
            format::push_screen_event(&mut shown.text, text);
        }
        if self.verbose {
            shown.text.push_str(&log[start..]);
        }
    }
}

/// Appends a line to both; not to a log that has it already.
fn push_line(entry: &Entry, lines: &mut LineFormat, ahead: &mut LogOrphans, log: &mut String, screen: &mut String) {
    let start = log.len();
    if lines.push(entry, log, screen) && !ahead.is_empty() && ahead.take(&log[start..]) {
        log.truncate(start);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use std::io::Read as _;

    use super::*;
    use crate::chatlog::{ChatLog, DASHES};
    use crate::feed::screen::Screen;
    use crate::ring::{AuthorId, Body, Epoch, Lamport, Line, LineId, Member, Nonce, Text, WallMs};

    const PATIENCE: Duration = Duration::from_secs(10);

    /// What the log and the screen show of these notices.
    fn told(name: &str, verbose: bool, batches: Vec<Vec<Notice>>) -> (String, String, RoomPlace) {
        let (logged, shown, place, _) = told_behind(LogOrphans::default(), name, verbose, batches);
        (logged, shown, place)
    }

    /// As [`told`], where the log holds these lines already; and the last mark.
    fn told_behind(
        ahead: LogOrphans,
        name: &str,
        verbose: bool,
        batches: Vec<Vec<Notice>>,
    ) -> (String, String, RoomPlace, Option<Index>) {
        let dir = std::env::temp_dir().join(format!("dist-chat-herald-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let log = ChatLog::open(&dir, 1, |_| Ok(()), |_| {}).unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (screen, thread) = Screen::start(writer, log.name(), |_| {}).unwrap();
        let (place, here) = watch::channel(None);
        let marks = LogCheckpoints::default();
        let herald = EventPublisher {
            log: log.writer(),
            hub: Broadcaster::new(Some(screen.clone())),
            verbose,
            clock: FeedClock::default(),
            uid: "10.0.0.5:2428".parse().unwrap(),
            wanted: Name::parse("ann").unwrap(),
            session: SessionId(1),
            lines: OwnLines::default(),
            teller: UpdateBuilder::new(SessionId(1)),
            likes: ReactionFeed::default(),
            place,
            marks: marks.clone(),
            reached: watch::channel(None).0,
            away: None,
            last: None,
            logged: Index(0),
            ahead,
            elsewhere: OrphansByRoom::default(),
            missing: LogGap::default(),
            past: PastLog::of(mpsc::channel(1).0),
            failing: Arc::default(),
            succession: FailoverNotice::default(),
        };
        let (sender, notices) = mpsc::channel(batches.len().max(1));
        batches.into_iter().for_each(|batch| sender.try_send(batch).unwrap());
        drop(sender);
        herald.run(notices);
        log.finish(PATIENCE);
        screen.finish(PATIENCE);
        thread.join().unwrap();
        let mut shown = String::new();
        reader.read_to_string(&mut shown).unwrap();
        let logged = std::fs::read_to_string(dir.join("chat_1.log")).unwrap();
        std::fs::remove_dir_all(dir).unwrap();
        let marked = marks.reached(u64::MAX).map(|(_, tail)| tail.index);
        (logged.strip_prefix(DASHES).unwrap().to_owned(), shown, here.borrow().clone(), marked)
    }

    fn line(index: u64, text: &str) -> Notice {
        let line = Line {
            id: LineId { author: AuthorId::of_bits(1), session: SessionId(9), n: index },
            lamport: Lamport(index),
            name: Name::parse("ann").unwrap(),
            uid: "10.0.0.5:2428".parse().unwrap(),
            text: Text::parse(text).unwrap(),
            channel: None,
            act: None,
            signature: None,
        };
        let epoch = Epoch { round: 1, leader: line.uid, nonce: Nonce(1) };
        let (index, lamport, body) = (Index(index), Lamport(10 * index), Body::Line(Arc::new(line)));
        Notice::Event(Event::Line(Arc::new(Entry { epoch, index, lamport, wall: WallMs(0), body })))
    }

    #[test]
    fn the_log_is_not_marked_while_it_is_ahead_of_the_history() {
        let mut ahead = LogOrphans::default();
        assert!(ahead.add("7: ann(10.0.0.5:2428): lost\n"));
        let tell = |name: &str, batches: Vec<Vec<Notice>>| {
            let (logged, _, _, marked) = told_behind(ahead.clone(), name, false, batches);
            (logged, marked)
        };
        let other = "10: ann(10.0.0.5:2428): other\n";
        assert_eq!(tell("ahead-1", vec![vec![line(1, "other")]]), (other.to_owned(), None));
        let both = vec![vec![line(1, "other")], vec![line(2, "lost")], vec![line(3, "lost")]];
        let expected = format!("{other}30: ann(10.0.0.5:2428): lost\n");
        assert_eq!(tell("ahead-2", both), (expected, Some(Index(3))));
        let late = 2 + AHEAD_ENTRIES_MAX;
        let (logged, marked) = tell("ahead-3", vec![vec![line(late, "other")], vec![line(late + 1, "lost")]]);
        assert_eq!((logged.lines().count(), marked), (2, Some(Index(late + 1))), "{logged}");
    }

    fn entered(name: &str) -> Notice {
        Notice::Event(Event::Entered { name: Name::parse(name).unwrap(), room: RoomId(7) })
    }

    #[test]
    fn a_name_that_changes_is_told_once_each_time() {
        let batches = vec![vec![entered("ann"), entered("ann")], vec![entered("ann-2")]];
        let (logged, shown, place) = told("rename", false, batches);
        assert_eq!(
            shown,
            "/// you are ann(10.0.0.5:2428) in room 0000000000000007 ///\n\
             /// you are ann-2(10.0.0.5:2428) in room 0000000000000007, since ann is taken ///\n"
        );
        assert_eq!(logged.lines().count(), 2, "{logged}");
        assert_eq!(place.unwrap().0.as_str(), "ann-2");
    }

    #[test]
    fn a_name_that_was_wanted_is_told_as_such() {
        let was = Member {
            uid: "10.0.0.5:2428".parse().unwrap(),
            name: Name::parse("ann").unwrap(),
            author: AuthorId::of_bits(1),
        };
        let renamed = Notice::Event(Event::Renamed { was, name: Name::parse("anna").unwrap() });
        let (_, shown, place) = told("nick", false, vec![vec![entered("ann")], vec![renamed, entered("anna")]]);
        assert_eq!(
            shown,
            "/// you are ann(10.0.0.5:2428) in room 0000000000000007 ///\n\
             /// ann(10.0.0.5:2428) is anna now ///\n\
             /// you are anna(10.0.0.5:2428) in room 0000000000000007 ///\n"
        );
        assert_eq!(place.unwrap().0.as_str(), "anna");
    }

    #[test]
    fn events_go_to_the_log_with_the_clock_and_some_to_the_screen() {
        let member = Member {
            uid: "10.0.0.6:1".parse().unwrap(),
            name: Name::parse("bob").unwrap(),
            author: AuthorId::of_bits(2),
        };
        let batch = || {
            vec![vec![
                Notice::Clock(Lamport(12)),
                Notice::Event(Event::Joined(member.clone())),
                Notice::Event(Event::ElectionStarted { round: 2 }),
                Notice::PeerDropped { peer: "10.0.0.9:7".to_owned(), why: "not a frame\u{1b}[2J".to_owned() },
            ]]
        };
        let (logged, shown, _) = told("events", false, batch());
        let expected = "12: bob(10.0.0.6:1) joined the ring\n12: Election 2 started\n12: 10.0.0.9:7 lost its link: not a \
                        frame\\x1b[2J\n";
        assert_eq!(logged, expected);
        assert_eq!(shown, "/// bob(10.0.0.6:1) joined the ring ///\n");
        let (_, shown, _) = told("verbose", true, batch());
        assert!(expected.lines().all(|line| shown.lines().any(|shown| shown == line)), "{shown}");
    }
}
