//! Decides when to draw the model: at most as often as an eye can see, and not at all while nothing changes.

use std::collections::VecDeque;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::Backend;
use ratatui::layout::Rect;

use super::model::{FRAME, Model};
use super::view;
use crate::frontend::input::keys::Key;
use crate::present::values::{Request, Update};

/// Most requests that wait for the node; keys that would add more are refused.
const OUTGOING_MAX: usize = 1024;

/// A model, its terminal, and its requests to the node.
#[derive(Debug)]
pub struct FramePacer<B: Backend> {
    model: Model,
    terminal: Terminal<B>,
    outgoing: VecDeque<Request>,
    /// The time of the last drawing.
    drawn: Option<Duration>,
    /// The screen shows an old state.
    stale: bool,
    /// The number of drawings so far.
    draws: u64,
}

impl<B: Backend> FramePacer<B> {
    /// A stage that has drawn nothing.
    pub fn new(model: Model, terminal: Terminal<B>) -> Self {
        Self { model, terminal, outgoing: VecDeque::new(), drawn: None, stale: true, draws: 0 }
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The terminal.
    pub fn terminal(&mut self) -> &mut Terminal<B> {
        &mut self.terminal
    }

    /// Whether the terminal has to ring, since the last call.
    pub fn take_rings(&mut self) -> bool {
        self.model.take_rings()
    }

    /// The number of drawings so far.
    pub fn draws(&self) -> u64 {
        self.draws
    }

    /// Takes an update from the node.
    pub fn told(&mut self, told: Update, now: Duration) {
        self.model.told(told, now);
    }

    /// Takes a key of the user.
    ///
    /// # Errors
    /// The terminal's.
    pub fn key(&mut self, key: Key, now: Duration) -> Result<(), B::Error> {
        match key {
            Key::Resize(columns, rows) => {
                self.terminal.resize(Rect::new(0, 0, columns, rows))?;
            }
            // Draws over what other programs wrote there.
            Key::Ctrl('l') => self.terminal.clear()?,
            _ => {}
        }
        let asked = self.model.key(key, now);
        if self.outgoing.len() + asked.len() > OUTGOING_MAX {
            self.model.told(Update::Note { text: "not sent: too many lines wait to be taken".to_owned() }, now);
        } else {
            self.outgoing.extend(asked);
        }
        Ok(())
    }

    /// Hands waiting requests to `give`, until it returns one because it has no room.
    pub fn ask(&mut self, mut give: impl FnMut(Request) -> Option<Request>) {
        while let Some(asked) = self.outgoing.pop_front() {
            if let Some(back) = give(asked) {
                self.outgoing.push_front(back);
                return;
            }
        }
    }

    /// Whether requests wait for the node.
    pub fn has_more(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Does all that is due `now`, and draws if a drawing is due.
    ///
    /// # Errors
    /// The terminal's.
    pub fn turn(&mut self, now: Duration) -> Result<(), B::Error> {
        let asked = self.model.tick(now);
        // While earlier requests wait, the model's regular ones are dropped: they would only repeat.
        if self.outgoing.is_empty() {
            self.outgoing.extend(asked);
        }
        self.stale |= self.model.take_changed();
        if self.stale && self.drawn.is_none_or(|drawn| now >= drawn + FRAME) {
            let Self { model, terminal, .. } = self;
            terminal.draw(|frame| view::draw(model, frame, now))?;
            self.stale = false;
            self.drawn = Some(now);
            self.draws += 1;
        }
        Ok(())
    }

    /// The latest time for the next [`FramePacer::turn`] if nothing happens.
    pub fn wake(&self, now: Duration) -> Duration {
        let wake = self.model.wake(now);
        match self.drawn {
            Some(drawn) if self.stale => wake.min(drawn + FRAME),
            Some(_) | None => wake,
        }
    }
}
