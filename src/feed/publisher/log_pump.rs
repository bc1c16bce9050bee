//! The chat log's side of the publisher: each line is written once, at its place, and marked.

use std::time::Duration;

use crate::chatlog::LogWriter;
use crate::chatlog::checkpoints::LogCheckpoints;
use crate::chatlog::gap::{LogGap, PastLog};
use crate::chatlog::log_orphans::{LogOrphans, OrphansByRoom};
use crate::chatlog::reconcile::Reconciled;
use crate::present::format::LineFormat;
use crate::ring::{Entry, Index, RoomId, Tail};

/// While lines are missing: the pause before the next check whether the log or the history has moved.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// The pause before the next check whether the history has answered.
const ANSWER: Duration = Duration::from_millis(2);
/// Bytes that wait for the file, after which no missing lines are read for it.
const WAITING_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Entries after the last mark during which lines that only the log holds may still come back. After them the pump
/// forgets those lines. Each start reads as many entries at most.
pub(super) const AHEAD_ENTRIES_MAX: u64 = 100_000;

/// State that earlier runs left in the chat log.
#[derive(Debug)]
pub struct LoggedBefore {
    /// The differences between log and history.
    pub mended: Reconciled,
    /// The room of the last run.
    pub room: Option<RoomId>,
    /// The last entry that the last run marked.
    pub index: Index,
}

/// Writes the chat log.
#[derive(Debug)]
pub struct LogPump {
    log: LogWriter,
    /// How far the log goes, for the task that saves this.
    marks: LogCheckpoints,
    /// The last entry in the log that is not marked yet.
    last: Option<Tail>,
    /// The entry that the last run marked.
    logged: Index,
    /// Lines of this room that the log holds already.
    ahead: LogOrphans,
    /// The same for other rooms: this run may turn out to be in one of them.
    elsewhere: OrphansByRoom,
    /// Lines that the log lacks.
    missing: LogGap,
    /// The history, which holds the missing lines.
    past: PastLog,
    lines: LineFormat,
}

impl LogPump {
    /// A pump that goes on where earlier runs ended.
    pub fn new(log: LogWriter, marks: LogCheckpoints, past: PastLog, logged: LoggedBefore) -> Self {
        let Reconciled { ahead: mut elsewhere, missing } = logged.mended;
        let ahead = logged.room.and_then(|room| elsewhere.remove(&room)).unwrap_or_default();
        let (logged, lines) = (logged.index, LineFormat::default());
        Self { log, marks, last: None, logged, ahead, elsewhere, missing, past, lines }
    }

    /// Whether lines are missing that must be written before any newer line.
    pub(super) fn holds_back(&self) -> bool {
        self.missing.holds_back()
    }

    /// The pause before the next step of [`catch_up_log`](Self::catch_up_log). `moves`: the last step asks for another
    /// at once.
    pub(super) fn pause(&self, moves: bool) -> Duration {
        pause(moves, self.past.is_asked())
    }

    /// Whether the file takes data, and little enough of it waits, so that missing lines can be read for it.
    pub(super) fn has_room(&self) -> bool {
        !self.log.is_failing() && self.log.waits() <= WAITING_BYTES_MAX
    }

    /// One step of writing missing lines: reads some of the history into `log`. Gives whether the next step can follow
    /// at once.
    pub(super) fn catch_up_log(&mut self, log: &mut String) -> bool {
        let (lines, ahead) = (&mut self.lines, &mut self.ahead);
        self.past.read(&mut self.missing, |entry| push_line(entry, lines, ahead, log, &mut String::new()))
    }

    /// Hands the text to the file's thread and empties it, then marks.
    pub(super) fn hand_over(&mut self, log: &mut String) {
        if !log.is_empty() {
            self.log.push(log);
            log.clear();
            if self.log.is_full() {
                self.missing.hold_back();
            }
        }
        self.mark();
    }

    /// Marks how far the log goes. There is no mark while the log holds lines that the history lacks, or lacks lines
    /// that the history holds: the next run must find these again, behind the last mark.
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

    /// The room's log has come up to this entry.
    pub(super) fn reach(&mut self, tail: Tail) {
        self.last = Some(tail);
    }

    /// Adds an entry, if it is a line, to the log and to the screen. While lines are missing the log gets it later,
    /// from the history.
    pub(super) fn line(&mut self, entry: &Entry, log: &mut String, screen: &mut String) {
        if self.missing.holds_back() {
            self.missing.add(entry);
            self.screen_line(entry, screen);
        } else {
            push_line(entry, &mut self.lines, &mut self.ahead, log, screen);
        }
    }

    /// Adds an entry, if it is a line, to the screen alone.
    pub(super) fn screen_line(&mut self, entry: &Entry, screen: &mut String) {
        self.lines.push(entry, &mut String::new(), screen);
    }

    /// The history is cut after this entry. Missing lines may get other places.
    pub(super) fn cut(&mut self, keep: Index) {
        self.missing.cut(keep);
    }

    /// Drops the entry that waits for its mark: a cut may have taken it out of the history.
    pub(super) fn forget_last(&mut self) {
        self.last = None;
    }

    /// The node is in this room: from now on the lines that the log holds are those of this room.
    pub(super) fn enter(&mut self, room: RoomId) {
        if let Some(ahead) = std::mem::take(&mut self.elsewhere).remove(&room) {
            self.ahead = ahead;
        }
    }
}

/// No event reports that the file takes data again, or that the node appended an entry that it does not show. So the
/// publisher checks from time to time.
fn pause(moves: bool, is_asked: bool) -> Duration {
    match (moves, is_asked) {
        (true, _) => Duration::ZERO,
        (false, true) => ANSWER,
        (false, false) => LOOK_AGAIN,
    }
}

/// Adds an entry, if it is a line, to both; not to a log that holds it already.
fn push_line(entry: &Entry, lines: &mut LineFormat, ahead: &mut LogOrphans, log: &mut String, screen: &mut String) {
    let start = log.len();
    if lines.push(entry, log, screen) && !ahead.is_empty() && ahead.take(&log[start..]) {
        log.truncate(start);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::super::tests::entry;
    use super::*;
    use crate::chatlog::ChatLog;

    const ROOM: RoomId = RoomId(7);

    /// A pump whose log holds these lines of [`ROOM`] already; the last run was in `room`.
    fn pump(ahead: &[&str], room: Option<RoomId>) -> LogPump {
        let mut lines = LogOrphans::default();
        assert!(ahead.iter().all(|line| lines.add(line)));
        let mended = Reconciled { ahead: OrphansByRoom::from([(ROOM, lines)]), missing: LogGap::default() };
        let logged = LoggedBefore { mended, room, index: Index(0) };
        LogPump::new(ChatLog::none().writer(), LogCheckpoints::default(), PastLog::of(mpsc::channel(1).0), logged)
    }

    #[test]
    fn the_pump_waits_only_as_long_as_it_must() {
        let cases = [
            (true, true, Duration::ZERO),
            (true, false, Duration::ZERO),
            (false, true, ANSWER),
            (false, false, LOOK_AGAIN),
        ];
        for (moves, is_asked, expected) in cases {
            assert_eq!(pause(moves, is_asked), expected, "{moves} {is_asked}");
        }
    }

    #[test]
    fn a_mark_waits_for_a_log_that_agrees_with_the_history() {
        let held = "10: ann(10.0.0.5:2428): lost\n";
        let cases: [(&[&str], bool, u64, bool); 5] = [
            (&[], false, 1, true),
            (&[held], false, 1, false),
            (&[], true, 1, false),
            (&[held], false, AHEAD_ENTRIES_MAX, false),
            (&[held], false, AHEAD_ENTRIES_MAX + 1, true),
        ];
        for (ahead, holds_back, index, marked) in cases {
            let mut pump = pump(ahead, Some(ROOM));
            if holds_back {
                pump.missing.hold_back();
            }
            pump.reach(entry(index, "other").tail());
            pump.hand_over(&mut String::new());
            let mark = pump.marks.reached(u64::MAX).map(|(_, tail)| tail.index.0);
            assert_eq!(mark, marked.then_some(index), "{ahead:?} {holds_back} {index}");
        }
    }

    #[test]
    fn the_log_gets_a_line_unless_it_holds_it_or_lacks_an_older_one() {
        let line = "10: ann(10.0.0.5:2428): hello\n";
        let cases: [(&[&str], bool, &str); 3] = [(&[], false, line), (&[line], false, ""), (&[], true, "")];
        for (ahead, holds_back, expected) in cases {
            let mut pump = pump(ahead, Some(ROOM));
            if holds_back {
                pump.missing.hold_back();
            }
            let (mut log, mut screen) = (String::new(), String::new());
            pump.line(&entry(1, "hello"), &mut log, &mut screen);
            assert_eq!((log.as_str(), screen.as_str()), (expected, "> ann(10.0.0.5:2428)[10]: hello\n"));
            assert_eq!(pump.missing.count(), u64::from(holds_back));
        }
    }

    #[test]
    fn lines_of_another_room_count_once_the_node_is_in_it() {
        let line = "10: ann(10.0.0.5:2428): hello\n";
        for (room, expected) in [(ROOM, ""), (RoomId(8), line)] {
            let mut pump = pump(&[line], None);
            pump.enter(room);
            let mut log = String::new();
            pump.line(&entry(1, "hello"), &mut log, &mut String::new());
            assert_eq!(log, expected, "{room}");
        }
    }

    #[test]
    fn a_step_asks_the_node_once_until_it_answers() {
        let (node, mut commands) = mpsc::channel(1);
        let mut pump = pump(&[], Some(ROOM));
        pump.past = PastLog::of(node);
        pump.missing.hold_back();
        for _ in 0..2 {
            assert!(pump.has_room() && !pump.catch_up_log(&mut String::new()));
            assert_eq!(pump.pause(false), ANSWER);
        }
        assert!(commands.try_recv().is_ok() && commands.try_recv().is_err());
    }
}
