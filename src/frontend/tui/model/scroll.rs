//! Which messages are seen: the newest, or those up to a row that the person has scrolled to.

use super::messages::Message;
use super::{Anchor, Model};
use crate::frontend::tui::message_rows;

impl Model {
    /// Shows the newest messages from here on.
    pub(super) fn follow(&mut self) {
        self.scroll = None;
        self.below = 0;
    }

    fn rows(&self, message: &Message, width: usize) -> usize {
        message_rows::rows(message, &self.look(), width).len()
    }

    /// Moves what is shown by so many rows, up or down.
    pub(super) fn scroll_by(&mut self, up: bool, rows: usize) {
        let area = self.areas().messages;
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        self.scroll = if up { self.anchor_above(rows, width, height) } else { self.anchor_below(rows, width) };
        match self.scroll {
            None => self.below = 0,
            Some(anchor) => {
                let under = self.messages.from(anchor.seq + 1).filter(|message| self.is_here(message)).count();
                self.below = self.below.min(u64::try_from(under).unwrap_or(u64::MAX));
            }
        }
    }

    fn anchor_above(&self, mut rows: usize, width: usize, height: usize) -> Option<Anchor> {
        let start = self.scroll.map_or(u64::MAX, |anchor| anchor.seq);
        let mut reached = None;
        for message in self.messages.up_to(start).rev().filter(|message| self.is_here(message)) {
            let all = self.rows(message, width);
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
        let top = self.top(width, height);
        match (reached, top) {
            (Some(anchor), Some(top)) => Some(if (anchor.seq, anchor.row) < (top.seq, top.row) { top } else { anchor }),
            (None, Some(top)) => Some(top),
            // Everything fits.
            (_, None) => None,
        }
    }

    /// The anchor with which the first row of all is the first that is shown; `None`: everything fits.
    fn top(&self, width: usize, height: usize) -> Option<Anchor> {
        // One row says that there is more below.
        let shown = height.saturating_sub(1).max(1);
        let (mut all, mut top) = (0, None);
        for message in self.messages.iter().filter(|message| self.is_here(message)) {
            let rows = self.rows(message, width);
            if top.is_none() && all + rows >= shown {
                top = Some(Anchor { seq: message.seq, row: shown - 1 - all });
            }
            all += rows;
            if all > height {
                return top;
            }
        }
        None
    }

    /// The last row of all.
    fn last(&self, width: usize) -> Option<Anchor> {
        let message = self.messages.iter().rev().find(|message| self.is_here(message))?;
        Some(Anchor { seq: message.seq, row: self.rows(message, width) - 1 })
    }

    fn anchor_below(&self, mut rows: usize, width: usize) -> Option<Anchor> {
        let anchor = self.scroll?;
        for message in self.messages.from(anchor.seq).filter(|message| self.is_here(message)) {
            let all = self.rows(message, width);
            let shown = if message.seq == anchor.seq { anchor.row + 1 } else { 0 };
            let hidden = all.saturating_sub(shown);
            if rows <= hidden {
                let reached = Anchor { seq: message.seq, row: (shown + rows).saturating_sub(1) };
                return (self.last(width) != Some(reached)).then_some(reached);
            }
            rows -= hidden;
        }
        None
    }

    /// Brings a message to the middle of what is shown.
    pub(super) fn show(&mut self, seq: u64) {
        let area = self.areas().messages;
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        let Some(message) = self.messages.get(seq) else { return };
        let row = self.rows(message, width) - 1;
        self.scroll = Some(Anchor { seq, row });
        self.scroll = self.anchor_below(height / 2, width);
        if let Some(anchor) = self.scroll
            && let Some(top) = self.top(width, height)
            && (anchor.seq, anchor.row) < (top.seq, top.row)
        {
            self.scroll = Some(top);
        }
    }
}
