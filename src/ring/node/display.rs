//! What the node's user is shown: each line once, and no line that is too old (promise 3).
//!
//! The log's order is not the order in which a user sees lines. A newcomer first sees a backlog of the newest lines,
//! ahead of the log; a node that comes back sees some of the lines that it has missed; a line that a cut has removed comes
//! back at another place. So the node keeps marks: indexes up to which nothing is shown, and for each session the number
//! of the last line that was shown.

use std::collections::BTreeMap;

use crate::ring::log::log_state::LogState;
use crate::ring::types::id::{Index, LineId, SessionKey};
use crate::ring::types::limits;
use crate::ring::{Event, Shown};

/// The marks of what the user has seen.
#[derive(Clone, Debug, Hash)]
pub(super) struct Display {
    /// For each session the number of the last line that was shown, where the log alone does not tell.
    shown: BTreeMap<SessionKey, u64>,
    /// Entries up to here are not shown when they arrive: they were in a backlog, or are too old.
    show_after: Index,
    /// Entries up to here do not go to the chat log either: they were there before the node came for the first time.
    log_after: Index,
    /// For each session the number of the last line that was shown ahead of its place. It goes to the chat log when its
    /// place comes.
    previewed: BTreeMap<SessionKey, u64>,
    /// How many of the newest missed lines the user wants to see.
    backlog: u32,
    /// In this run the node has not yet received all entries that were there when it came.
    first_catch_up: bool,
    /// The user is being shown missed lines, up to here.
    catching_up: Option<Index>,
    /// The user was told the name and the room.
    entered: bool,
}

/// What becomes of a line that has its place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visibility {
    /// The user sees it, and the chat log gets it.
    Show,
    /// The chat log alone gets it.
    LogOnly,
    /// Neither.
    Hide,
}

impl Display {
    /// A run that begins with the marks of earlier ones. `backlog`: how many missed lines the user wants to see.
    pub(super) fn new(saved: Shown, backlog: u32) -> Self {
        Self {
            shown: saved.lines,
            show_after: saved.up_to,
            log_after: saved.up_to,
            previewed: BTreeMap::new(),
            backlog: backlog.min(limits::BACKLOG_LINES_MAX),
            first_catch_up: true,
            catching_up: None,
            entered: false,
        }
    }

    // ---- lines and notes

    /// Whether an entry at this index is news to the user.
    pub(super) fn is_news(&self, index: Index) -> bool {
        index > self.show_after
    }

    /// What becomes of a line at this index.
    pub(super) fn visibility(&self, index: Index, id: LineId) -> Visibility {
        let shown = is_marked(&self.shown, id);
        if index > self.show_after && !shown && !is_marked(&self.previewed, id) {
            Visibility::Show
        } else if index > self.log_after && !shown {
            Visibility::LogOnly
        } else {
            Visibility::Hide
        }
    }

    /// A cut shortens the log to `tail`; before it, `log_state` was its state. The user has seen all lines of it.
    pub(super) fn cut(&mut self, log_state: &LogState, tail: Index) {
        for (&key, &n) in &log_state.watermarks {
            let shown = self.shown.entry(key).or_insert(0);
            *shown = n.max(*shown);
        }
        self.show_after = self.show_after.min(tail);
        self.log_after = self.log_after.min(tail);
    }

    /// The node follows or leads from the entry `after` on: a backlog that went further concerns another log. Returns
    /// whether the marks must be saved.
    pub(super) fn show_from(&mut self, after: Index) -> bool {
        self.show_after = self.show_after.min(after);
        let changed = self.log_after > after;
        self.log_after = self.log_after.min(after);
        changed
    }

    /// The marks that the log alone does not tell, to be saved.
    pub(super) fn beyond(&self, log_state: &LogState) -> Shown {
        let beyond = self.shown.iter().filter(|(key, n)| **n > log_state.watermark(**key));
        Shown { up_to: self.log_after, lines: beyond.map(|(&key, &n)| (key, n)).collect() }
    }

    // ---- the backlog

    /// How many of the newest lines to ask a leader for, ahead of the log. `own`: where the node's log ends.
    pub(super) fn wanted_backlog(&self, own: Index) -> Option<u32> {
        (self.first_catch_up || own < self.show_after).then_some(self.backlog)
    }

    /// The most lines of a backlog.
    pub(super) fn backlog(&self) -> u32 {
        self.backlog
    }

    /// A line of a backlog arrives. Returns whether the user has not seen it yet. `newcomer`: the node's log is empty, and
    /// its chat log begins with the backlog.
    pub(super) fn preview(&mut self, id: LineId, newcomer: bool) -> bool {
        if is_marked(&self.shown, id) || is_marked(&self.previewed, id) {
            return false;
        }
        let marks = if newcomer { &mut self.shown } else { &mut self.previewed };
        marks.insert(id.key(), id.n);
        true
    }

    /// A backlog up to `tail` is complete: other lines up to there are too old to be shown.
    pub(super) fn backlog_complete(&mut self, tail: Index, newcomer: bool) {
        self.show_after = tail;
        if newcomer {
            self.log_after = tail;
        }
    }

    // ---- missed lines

    /// Entries up to `until` were there before the node came (back); its own log ends at `own`. `lines`: so many lines
    /// are missing, too many to show all of them.
    pub(super) fn catch_up(&mut self, until: Index, lines: Option<u64>, own: Index) -> Option<Event> {
        if !self.first_catch_up {
            return None;
        }
        if until <= own && lines.is_none() {
            return self.caught_up();
        }
        let announced = self.catching_up.replace(until).is_some();
        // A newcomer has missed nothing.
        (!announced && own > Index(0)).then_some(Event::CatchUp { lines })
    }

    /// The node's log ends at `own` now.
    pub(super) fn reached(&mut self, own: Index) -> Option<Event> {
        if self.catching_up.is_some_and(|until| until <= own) { self.caught_up() } else { None }
    }

    /// Later lines are new to the user.
    pub(super) fn caught_up(&mut self) -> Option<Event> {
        self.first_catch_up = false;
        self.catching_up.take().map(|_| Event::CaughtUp)
    }

    /// Whether the node has not yet, in this run, received all entries that were there when it came.
    pub(super) fn is_first_catch_up(&self) -> bool {
        self.first_catch_up
    }

    /// Whether the user is being shown missed lines.
    pub(super) fn is_catching_up(&self) -> bool {
        self.catching_up.is_some()
    }

    // ---- the room

    /// Whether the user was told the name and the room.
    pub(super) fn has_entered(&self) -> bool {
        self.entered
    }

    /// The user is told the name and the room.
    pub(super) fn enter(&mut self) {
        self.entered = true;
    }
}

/// Whether a line's number is at most the mark of its session.
fn is_marked(marks: &BTreeMap<SessionKey, u64>, id: LineId) -> bool {
    !marks.is_empty() && marks.get(&id.key()).is_some_and(|&n| id.n <= n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::types::id::SessionId;
    use crate::ring::types::proof::AuthorId;

    fn id(session: u64, n: u64) -> LineId {
        LineId { author: AuthorId::of_bits(1), session: SessionId(session), n }
    }

    fn display() -> Display {
        Display::new(Shown::default(), 10)
    }

    /// A log that ends at `tail` and holds the lines of session 1 up to `n`.
    fn log_state(tail: u64, n: u64) -> LogState {
        let mut log_state = LogState::default();
        log_state.tail.index = Index(tail);
        log_state.watermarks.insert(id(1, n).key(), n);
        log_state
    }

    /// Promise 3: a line is shown once, however it comes.
    #[test]
    fn a_line_is_shown_once() {
        use Visibility::{Hide, LogOnly, Show};
        let new = display();
        let mut backlog = display();
        assert!(backlog.preview(id(1, 3), false), "the backlog shows it");
        backlog.backlog_complete(Index(8), false);
        let mut newcomer = display();
        assert!(newcomer.preview(id(1, 3), true));
        newcomer.backlog_complete(Index(8), true);
        let mut cut = display();
        cut.cut(&log_state(8, 3), Index(4));
        let restarted = Display::new(Shown { up_to: Index(5), lines: [(id(1, 3).key(), 3)].into() }, 10);
        // The index and the number of a line that gets its place.
        let table = [
            ("a new line", &new, 1, 1, Show),
            ("a line that a backlog has shown", &backlog, 7, 3, LogOnly),
            ("a line that is older than a backlog", &backlog, 6, 2, LogOnly),
            ("a new line after a backlog", &backlog, 9, 4, Show),
            ("a line that a newcomer's backlog has shown and logged", &newcomer, 7, 3, Hide),
            ("a line that is older than a newcomer's backlog", &newcomer, 6, 2, Hide),
            ("a new line after a newcomer's backlog", &newcomer, 9, 4, Show),
            ("a line that a cut has removed comes back", &cut, 6, 3, Hide),
            ("another line in the place of a cut one", &cut, 5, 4, Show),
            ("a line that an earlier run has shown ahead", &restarted, 6, 3, Hide),
            ("a line from before the first run", &restarted, 5, 4, Hide),
            ("a new line after a restart", &restarted, 6, 4, Show),
        ];
        for (case, display, index, n, visibility) in table {
            assert_eq!(display.visibility(Index(index), id(1, n)), visibility, "{case}");
        }
        assert!(!backlog.preview(id(1, 3), false), "a second backlog does not show it again");
        assert_eq!(new.visibility(Index(1), id(2, 1)), Show, "sessions are apart");
    }

    #[test]
    fn marks_that_the_log_tells_are_not_saved() {
        let mut display = display();
        display.cut(&log_state(8, 3), Index(4));
        assert_eq!(display.beyond(&log_state(9, 3)).lines.len(), 0, "the log holds the line again");
        assert_eq!(display.beyond(&log_state(4, 2)).lines, [(id(1, 3).key(), 3)].into());
    }

    #[test]
    fn a_backlog_of_another_log_hides_nothing() {
        let mut display = display();
        display.backlog_complete(Index(8), true);
        for (after, save) in [(9, false), (5, true), (5, false)] {
            assert_eq!(display.show_from(Index(after)), save, "the node goes on after {after}");
        }
        assert_eq!(display.visibility(Index(6), id(1, 1)), Visibility::Show);
    }

    #[test]
    fn a_node_that_comes_back_announces_what_was_missed_once() {
        let missed = || Some(Event::CatchUp { lines: None });
        let mut back = display();
        assert_eq!(back.catch_up(Index(9), None, Index(4)), missed());
        assert!(back.is_catching_up());
        assert_eq!(back.catch_up(Index(11), None, Index(5)), None, "another leader, the same absence");
        assert_eq!(back.reached(Index(9)), None);
        assert_eq!(back.reached(Index(11)), Some(Event::CaughtUp));
        assert_eq!(back.catch_up(Index(20), None, Index(11)), None, "it was there all the time");
        assert_eq!(back.wanted_backlog(Index(11)), None);

        let mut newcomer = display();
        assert_eq!(newcomer.wanted_backlog(Index(0)), Some(10));
        assert_eq!(newcomer.catch_up(Index(9), Some(100), Index(0)), None, "a newcomer has missed nothing");
        assert_eq!(newcomer.caught_up(), Some(Event::CaughtUp));

        let mut nothing = display();
        assert_eq!(nothing.catch_up(Index(4), None, Index(4)), None, "nothing is missing");
        assert!(!nothing.is_first_catch_up() && !nothing.is_catching_up());
    }
}
