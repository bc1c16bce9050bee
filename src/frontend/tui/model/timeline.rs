//! The messages and which of them the screen shows: the newest, or those up to a row that the user has scrolled to.

use super::messages::{Message, MessageRow, Messages};
use crate::frontend::tui::message_rows::{self, Look};
use crate::present::values::FeedReactions;

/// The last row that the screen shows, while the user has scrolled up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The number of its message.
    pub seq: u64,
    /// The number of the row in that message, from zero.
    pub row: usize,
}

/// How old the lines are that come at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum PastRequest {
    /// No line has come yet.
    #[default]
    Unknown,
    /// Authors said them before this screen was there.
    Before,
    /// Authors said them while this screen or its node was away: they are new to the user.
    Missed,
    /// They are new.
    New,
}

/// The window in which the messages stand: it decides which of them belong there and how many rows each takes.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// Colours, channel and search.
    pub look: Look<'a>,
    /// In cells.
    pub width: usize,
    /// In rows.
    pub height: usize,
}

impl Window<'_> {
    fn has(&self, message: &Message) -> bool {
        message.is_in(self.look.channel)
    }

    fn rows(&self, message: &Message) -> usize {
        message_rows::rows(message, &self.look, self.width).len()
    }
}

/// The messages and the user's place in them.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    messages: Messages,
    scroll: Option<Anchor>,
    /// Messages that came below the last row shown.
    below: u64,
    past: PastRequest,
}

impl Timeline {
    /// The messages.
    pub fn messages(&self) -> &Messages {
        &self.messages
    }

    /// Where the user has scrolled to; `None`: the screen follows the newest message.
    pub fn scroll(&self) -> Option<Anchor> {
        self.scroll
    }

    /// Messages that have come since the user scrolled up, and stand below the last row.
    pub fn below(&self) -> u64 {
        self.below
    }

    /// Adds a message that every channel shows.
    pub fn push(&mut self, what: MessageRow) {
        self.add(None, what, true);
    }

    /// Adds a message of one channel; `shown`: it is the channel that the screen shows.
    pub fn push_in(&mut self, channel: String, what: MessageRow, shown: bool) {
        self.add(Some(channel), what, shown);
    }

    fn add(&mut self, channel: Option<String>, what: MessageRow, shown: bool) {
        let seq = self.messages.push(channel, what);
        if let Some(anchor) = self.scroll
            && shown
            && seq > anchor.seq
        {
            self.below += 1;
        }
    }

    /// Forgets all messages.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.follow();
    }

    /// Shows the reactions to a line that is here. `false`: the line is not here.
    pub fn react(&mut self, reactions: &FeedReactions) -> bool {
        self.messages.react(reactions)
    }

    /// A line comes next, an old one (`past`) or a new one: a divider marks where old and new lines meet.
    pub fn begin_line(&mut self, past: bool) {
        match (past, self.past) {
            (true, PastRequest::Unknown | PastRequest::New) => {
                self.past = PastRequest::Before;
                self.push(MessageRow::Divider("said before".to_owned()));
            }
            (false, PastRequest::Before | PastRequest::Missed) => self.begin_new(),
            (true, PastRequest::Before | PastRequest::Missed) | (false, PastRequest::Unknown | PastRequest::New) => {}
        }
    }

    /// Lines come next that the user has missed; `None`: the node does not know how many.
    pub fn begin_missed(&mut self, lines: Option<u64>) {
        let text = match lines {
            Some(1) => "missed: 1 line".to_owned(),
            Some(lines) => format!("missed: {lines} lines"),
            None => "missed".to_owned(),
        };
        self.past = PastRequest::Missed;
        self.push(MessageRow::Divider(text));
    }

    /// What comes from here on is new.
    pub fn begin_new(&mut self) {
        if matches!(self.past, PastRequest::Before | PastRequest::Missed) {
            self.push(MessageRow::Divider("new".to_owned()));
        }
        self.past = PastRequest::New;
    }

    /// The lines that come at the moment are old, and new to the user.
    pub fn is_missed(&self) -> bool {
        self.past == PastRequest::Missed
    }

    /// Shows the newest messages from here on.
    pub fn follow(&mut self) {
        self.scroll = None;
        self.below = 0;
    }

    /// Shows the messages up to this anchor, or the newest.
    pub fn scroll_to(&mut self, anchor: Option<Anchor>, channel: &str) {
        self.scroll = anchor;
        match anchor {
            None => self.below = 0,
            Some(anchor) => {
                let under = self.messages.from(anchor.seq + 1).filter(|message| message.is_in(channel)).count();
                self.below = self.below.min(u64::try_from(under).unwrap_or(u64::MAX));
            }
        }
    }

    /// Shows the messages up to this anchor; what came below it stays counted as it is.
    pub fn jump_to(&mut self, anchor: Option<Anchor>) {
        self.scroll = anchor;
    }

    /// The anchor so many rows further up.
    pub fn anchor_above(&self, mut rows: usize, window: &Window<'_>) -> Option<Anchor> {
        let start = self.scroll.map_or(u64::MAX, |anchor| anchor.seq);
        let mut reached = None;
        for message in self.messages.up_to(start).rev().filter(|message| window.has(message)) {
            let all = window.rows(message);
            // Rows of this message from its first to the last that is shown.
            let shown = match self.scroll {
                Some(anchor) if anchor.seq == message.seq => anchor.row + 1,
                _ => all,
            };
            if rows < shown {
                reached = Some(Anchor { seq: message.seq, row: shown - 1 - rows });
                break;
            }
            rows -= shown;
        }
        match (reached, self.top(window)) {
            (Some(anchor), Some(top)) => Some(if (anchor.seq, anchor.row) < (top.seq, top.row) { top } else { anchor }),
            (None, Some(top)) => Some(top),
            // Everything fits.
            (_, None) => None,
        }
    }

    /// The anchor with which the first row of all is the first that the screen shows; `None`: everything fits.
    fn top(&self, window: &Window<'_>) -> Option<Anchor> {
        // One row says that there is more below.
        let shown = window.height.saturating_sub(1).max(1);
        let (mut all, mut top) = (0, None);
        for message in self.messages.iter().filter(|message| window.has(message)) {
            let rows = window.rows(message);
            if top.is_none() && all + rows >= shown {
                top = Some(Anchor { seq: message.seq, row: shown - 1 - all });
            }
            all += rows;
            if all > window.height {
                return top;
            }
        }
        None
    }

    /// The last row of all.
    fn last(&self, window: &Window<'_>) -> Option<Anchor> {
        let message = self.messages.iter().rev().find(|message| window.has(message))?;
        Some(Anchor { seq: message.seq, row: window.rows(message) - 1 })
    }

    /// The anchor so many rows below this one; `None`: that is the last row of all.
    pub fn anchor_below(&self, anchor: Option<Anchor>, mut rows: usize, window: &Window<'_>) -> Option<Anchor> {
        let anchor = anchor?;
        for message in self.messages.from(anchor.seq).filter(|message| window.has(message)) {
            let all = window.rows(message);
            let shown = if message.seq == anchor.seq { anchor.row + 1 } else { 0 };
            let hidden = all.saturating_sub(shown);
            if rows <= hidden {
                let reached = Anchor { seq: message.seq, row: (shown + rows).saturating_sub(1) };
                return (self.last(window) != Some(reached)).then_some(reached);
            }
            rows -= hidden;
        }
        None
    }

    /// The anchor that brings a message to the middle of the window; `None`: the newest messages show it.
    pub fn anchor_around(&self, message: &Message, window: &Window<'_>) -> Option<Anchor> {
        let last = Anchor { seq: message.seq, row: window.rows(message) - 1 };
        let anchor = self.anchor_below(Some(last), window.height / 2, window)?;
        match self.top(window) {
            Some(top) if (anchor.seq, anchor.row) < (top.seq, top.row) => Some(top),
            Some(_) | None => Some(anchor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(timeline: &Timeline) -> Vec<&str> {
        timeline.messages().iter().map(Message::text).collect()
    }

    #[test]
    fn dividers_stand_where_old_lines_meet_new_ones() {
        let mut timeline = Timeline::default();
        for past in [true, true, false, false, true] {
            timeline.begin_line(past);
        }
        assert_eq!(texts(&timeline), ["said before", "new", "said before"]);
        timeline.begin_missed(Some(1));
        timeline.begin_line(true);
        assert!(timeline.is_missed());
        timeline.begin_new();
        timeline.begin_new();
        assert_eq!(texts(&timeline)[3..], ["missed: 1 line", "new"]);
    }

    #[test]
    fn a_screen_that_begins_with_new_lines_has_no_divider() {
        let mut timeline = Timeline::default();
        timeline.begin_line(false);
        timeline.begin_new();
        assert!(timeline.messages().is_empty());
    }

    #[test]
    fn messages_below_are_counted_where_the_channel_is_shown() {
        let mut timeline = Timeline::default();
        let note = || MessageRow::Note("x".to_owned());
        timeline.push(note());
        timeline.jump_to(Some(Anchor { seq: 0, row: 0 }));
        timeline.push(note());
        timeline.push_in("dev".to_owned(), note(), false);
        timeline.push_in("lobby".to_owned(), note(), true);
        assert_eq!(timeline.below(), 2);
        // One of the two messages below belongs to another channel by now.
        timeline.scroll_to(Some(Anchor { seq: 2, row: 0 }), "lobby");
        assert_eq!(timeline.below(), 1);
        timeline.follow();
        assert_eq!((timeline.below(), timeline.scroll()), (0, None));
    }
}
