//! Publishes notices: every notice goes to the chat log, and those for people to the screen.
//!
//! The publisher runs on a thread of its own, since the log may block on a disk. The node waits while the publisher
//! takes no notices, so the publisher waits for nothing but the log.
//!
//! Its parts: `log_pump` writes the chat log, `screen_feed` makes text and values, `presence` holds facts about the
//! node itself, and `batch` collects output between two hand-overs.

mod batch;
mod log_pump;
mod presence;
mod screen_feed;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{mpsc, watch};

use self::batch::PublishBatch;
pub use self::log_pump::{LogPump, LoggedBefore};
pub use self::presence::Presence;
pub use self::screen_feed::ScreenFeed;
use crate::net::Notice;
use crate::present::format;
use crate::present::values::EventKind;
use crate::ring::{Entry, Event, Index, Name, RoomId, Uid};

/// The node's name and room; `None` before the node is in a room.
pub type RoomPlace = Option<(Name, RoomId)>;

/// Publishes the notices of one node.
#[derive(Debug)]
pub struct EventPublisher {
    log: LogPump,
    screen: ScreenFeed,
    presence: Presence,
    batch: PublishBatch,
}

impl EventPublisher {
    /// A publisher that [`run`](Self::run) starts.
    pub fn new(log: LogPump, screen: ScreenFeed, presence: Presence) -> Self {
        Self { log, screen, presence, batch: PublishBatch::default() }
    }

    /// Watches the node's name and room.
    pub fn watch_place(&self) -> watch::Receiver<RoomPlace> {
        self.presence.watch_place()
    }

    /// Watches which contact answers a newcomer.
    pub fn watch_contact(&self) -> watch::Receiver<Option<Uid>> {
        self.presence.watch_contact()
    }

    /// A flag that is set while the store fails.
    pub fn failing(&self) -> Arc<AtomicBool> {
        self.presence.failing()
    }

    /// Publishes until the node has ended.
    pub fn run(mut self, mut notices: mpsc::Receiver<Vec<Notice>>) {
        while let Some(batch) = self.next(&mut notices) {
            let mut batch = batch.into_iter().peekable();
            while let Some(notice) = batch.next() {
                if let Notice::Event(event) = &notice {
                    self.screen.hear(event, batch.peek());
                }
                self.publish(notice);
                if self.batch.is_large() {
                    self.hand_over();
                }
            }
            self.hand_over();
        }
        // The room may have ended before all missed lines had come.
        self.caught_up();
    }

    /// The next notices. While lines are missing in the log, it writes them until notices come.
    fn next(&mut self, notices: &mut mpsc::Receiver<Vec<Notice>>) -> Option<Vec<Notice>> {
        if !self.log.holds_back() {
            return notices.blocking_recv();
        }
        // `blocking_recv` has no time limit, so this builds a timer. Without one, each batch of notices makes one step.
        let Ok(timer) = tokio::runtime::Builder::new_current_thread().enable_time().build() else {
            self.catch_up_log();
            return notices.blocking_recv();
        };
        while self.log.holds_back() {
            let moves = self.catch_up_log();
            let pause = self.log.pause(moves);
            if let Ok(came) = timer.block_on(async { tokio::time::timeout(pause, notices.recv()).await }) {
                return came;
            }
        }
        notices.blocking_recv()
    }

    /// One step of writing missing lines. Gives whether the next step can follow at once.
    fn catch_up_log(&mut self) -> bool {
        // Before the node is in its room, nothing says whose lines the log holds.
        if !self.presence.is_in_room() || !self.log.has_room() {
            return false;
        }
        let moves = self.log.catch_up_log(&mut self.batch.log);
        self.hand_over();
        moves
    }

    /// Hands the batch over in this order: the log, the screen, the own lines. So an own line counts as confirmed only
    /// after its batch is in the log and on the screen.
    fn hand_over(&mut self) {
        self.log.hand_over(&mut self.batch.log);
        self.screen.hand_over(&mut self.batch.shown);
        if let Some(n) = self.batch.shown.held.take() {
            self.presence.confirm(n);
        }
    }

    fn publish(&mut self, notice: Notice) {
        match notice {
            Notice::Clock(at) => self.presence.witness(at),
            Notice::Event(event) => self.event(&event),
            Notice::PrivateMessage { from, text } => {
                let (at, to) = (self.presence.now(), self.presence.name());
                self.screen.private(at, &from, to, &text, &mut self.batch);
            }
            Notice::Health(health) => {
                self.presence.store_health(&health);
                self.note(&format::health_text(&health), true, EventKind::Disk);
            }
            Notice::PeerDropped { peer, why } => {
                self.note(&format!("{peer} lost its link: {why}"), false, EventKind::Other);
            }
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Line(entry) => {
                self.presence.witness(entry.lamport);
                self.presence.count_own(entry);
                self.log.reach(entry.tail());
                self.line(entry, false);
            }
            Event::LogOnly(entry) => {
                self.presence.witness(entry.lamport);
                self.log.reach(entry.tail());
                self.log.line(entry, &mut self.batch.log, &mut String::new());
                self.screen.reaction(entry);
            }
            // The user has seen nothing of the lines that follow: they are gathered, then shown as missed.
            Event::CatchUp { lines } => {
                self.hand_over();
                self.screen.catch_up(*lines);
            }
            Event::CaughtUp => self.caught_up(),
            Event::Rebased { lines: _, keep } => {
                self.cut(*keep);
                self.screen.event(self.presence.now(), event, &mut self.batch);
            }
            Event::Backlog { entries, logged: false } => {
                for entry in entries {
                    self.log.screen_line(entry, &mut self.batch.shown.text);
                    self.screen.value(entry, true, &mut self.batch.shown);
                }
            }
            Event::Backlog { entries, logged: true } => {
                for entry in entries {
                    self.presence.witness(entry.lamport);
                    self.line(entry, true);
                    if self.batch.is_large() {
                        self.hand_over();
                    }
                }
            }
            Event::Confirmed { n, alone: _ } => self.batch.shown.held = Some(*n),
            Event::ContactAnswered(contact) => self.presence.contact_answered(*contact),
            Event::Entered { name, room } => self.enter(name, *room),
            Event::Renamed { was, name } => {
                self.presence.renamed(was.uid, name);
                self.screen.event(self.presence.now(), event, &mut self.batch);
            }
            event => self.screen.event(self.presence.now(), event, &mut self.batch),
        }
    }

    /// Adds an entry, if it is a line, to the log, to the screen's text and to the values.
    fn line(&mut self, entry: &Entry, past: bool) {
        self.log.line(entry, &mut self.batch.log, &mut self.batch.shown.text);
        self.screen.value(entry, past, &mut self.batch.shown);
    }

    fn note(&mut self, text: &str, notable: bool, kind: EventKind) {
        self.screen.note(self.presence.now(), text, notable, kind, &mut self.batch);
    }

    fn caught_up(&mut self) {
        self.hand_over();
        self.screen.caught_up();
    }

    /// The history is cut after this entry.
    fn cut(&mut self, keep: Index) {
        self.log.cut(keep);
        // The lines in the batch have their places of before the cut.
        self.hand_over();
        self.screen.cut(keep);
        self.log.forget_last();
    }

    /// The node is in its room under this name, which may be a new one.
    fn enter(&mut self, name: &Name, room: RoomId) {
        let Some(welcome) = self.presence.welcome(name, room) else { return };
        self.log.enter(room);
        self.note(&welcome, true, EventKind::Entered);
        self.hand_over();
        self.presence.enter(name, room);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use std::io::Read as _;
    use std::time::Duration;

    use super::log_pump::AHEAD_ENTRIES_MAX;
    use super::*;
    use crate::chatlog::checkpoints::LogCheckpoints;
    use crate::chatlog::gap::{LogGap, PastLog};
    use crate::chatlog::log_orphans::{LogOrphans, OrphansByRoom};
    use crate::chatlog::reconcile::Reconciled;
    use crate::chatlog::{ChatLog, DASHES};
    use crate::feed::broadcaster::Broadcaster;
    use crate::feed::clock::FeedClock;
    use crate::feed::own_lines::OwnLines;
    use crate::feed::screen::Screen;
    use crate::ring::{AuthorId, Body, Epoch, Lamport, Line, LineId, Member, Nonce, SessionId, Text, WallMs};

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
        let dir = std::env::temp_dir().join(format!("dist-chat-publisher-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let log = ChatLog::open(&dir, 1, |_| Ok(()), |_| {}).unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (screen, thread) = Screen::start(writer, log.name(), |_| {}).unwrap();
        let (marks, room) = (LogCheckpoints::default(), RoomId(7));
        let mended = Reconciled { ahead: OrphansByRoom::from([(room, ahead)]), missing: LogGap::default() };
        let logged = LoggedBefore { mended, room: Some(room), index: Index(0) };
        let pump = LogPump::new(log.writer(), marks.clone(), PastLog::of(mpsc::channel(1).0), logged);
        let screen_feed = ScreenFeed::new(Broadcaster::new(Some(screen.clone())), SessionId(1), None, verbose);
        let (uid, wanted) = ("10.0.0.5:2428".parse().unwrap(), Name::parse("ann").unwrap());
        let presence = Presence::new(uid, wanted, SessionId(1), FeedClock::default(), OwnLines::default());
        let publisher = EventPublisher::new(pump, screen_feed, presence);
        let here = publisher.watch_place();
        let (sender, notices) = mpsc::channel(batches.len().max(1));
        batches.into_iter().for_each(|batch| sender.try_send(batch).unwrap());
        drop(sender);
        publisher.run(notices);
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

    /// A line of ann at this index, with ten times the index as its timestamp.
    pub(super) fn entry(index: u64, text: &str) -> Arc<Entry> {
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
        Arc::new(Entry { epoch, index, lamport, wall: WallMs(0), body })
    }

    fn line(index: u64, text: &str) -> Notice {
        Notice::Event(Event::Line(entry(index, text)))
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
