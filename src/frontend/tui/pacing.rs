//! A model before a terminal: when it is drawn. At most so often as an eye can see, and not at all while nothing
//! changes.

use std::collections::VecDeque;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::Backend;
use ratatui::layout::Rect;

use super::model::{FRAME, Model};
use super::view;
use crate::frontend::input::keys::Key;
use crate::present::values::{Request, Update};

/// What is asked and not yet taken: more is not taken from the keyboard.
const OUTGOING_MAX: usize = 1024;

/// A model, its terminal, and what it asks for.
#[derive(Debug)]
pub struct FramePacer<B: Backend> {
    model: Model,
    terminal: Terminal<B>,
    outgoing: VecDeque<Request>,
    /// When it was drawn last.
    drawn: Option<Duration>,
    /// It is to be drawn again.
    stale: bool,
    /// How often it was drawn.
    draws: u64,
}

impl<B: Backend> FramePacer<B> {
    /// Nothing is drawn yet.
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

    /// Whether the terminal is to ring.
    pub fn take_rings(&mut self) -> bool {
        self.model.take_rings()
    }

    /// How often it was drawn.
    pub fn draws(&self) -> u64 {
        self.draws
    }

    /// The node has told something.
    pub fn told(&mut self, told: Update, now: Duration) {
        self.model.told(told, now);
    }

    /// The person has done something.
    ///
    /// # Errors
    /// The terminal's.
    pub fn key(&mut self, key: Key, now: Duration) -> Result<(), B::Error> {
        match key {
            Key::Resize(columns, rows) => {
                self.terminal.resize(Rect::new(0, 0, columns, rows))?;
            }
            // Whatever else wrote there is drawn over.
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

    /// What is asked next; `give` takes it, or says that it cannot at the moment by giving it back.
    pub fn ask(&mut self, mut give: impl FnMut(Request) -> Option<Request>) {
        while let Some(asked) = self.outgoing.pop_front() {
            if let Some(back) = give(asked) {
                self.outgoing.push_front(back);
                return;
            }
        }
    }

    /// Something waits to be taken by the node.
    pub fn has_more(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Does what is due `now`, and draws where that is due.
    ///
    /// # Errors
    /// The terminal's.
    pub fn turn(&mut self, now: Duration) -> Result<(), B::Error> {
        let asked = self.model.tick(now);
        // Questions that nobody has taken yet are not asked twice.
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

    /// When [`FramePacer::turn`] is to be called at the latest, if nothing happens.
    pub fn wake(&self, now: Duration) -> Duration {
        let wake = self.model.wake(now);
        match self.drawn {
            Some(drawn) if self.stale => wake.min(drawn + FRAME),
            Some(_) | None => wake,
        }
    }
}
