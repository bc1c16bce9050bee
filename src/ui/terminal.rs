//! A terminal: a line editor at the bottom, what arrives above it.
//!
//! The editor is never left between lines. Enter hands the line over and empties the buffer in place, so that what
//! arrives always goes above the prompt, and one's own line is seen once: when the room has it.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{
    Cmd, ConditionalEventHandler, Config, Editor, Event, EventContext, EventHandler, ExternalPrinter as _, KeyCode,
    KeyEvent, Modifiers, Movement, RepeatCount,
};
use tokio::sync::watch;

use crate::ring::Uid;
use crate::ui::format::Who;
use crate::ui::herald::Place;
use crate::ui::pipe::Typed;
use crate::ui::screen::Screen;

/// Typed lines that can be called back with the arrow keys.
const RECALL_LINES_MAX: usize = 1000;
/// Typed lines that wait for the node to take them.
pub const TYPED_LINES_MAX: usize = 256;

/// Puts the terminal back to how it was found, whatever the editor was doing.
#[derive(Debug)]
pub struct Restore(Option<Termios>);

impl Restore {
    /// Remembers how the terminal is.
    pub fn new() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }
}

impl Default for Restore {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        use io::Write as _;
        let Some(saved) = &self.0 else { return };
        if let Ok(now) = tcgetattr(io::stdin())
            && now.local_modes != saved.local_modes
        {
            // An editor was cut off: its prompt and bracketed paste go with it.
            let mut out = io::stdout();
            let _ = out.write_all(b"\x1b[?2004l\r\x1b[J").and_then(|()| out.flush());
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, saved);
        }
    }
}

/// Edits lines until the person wants to leave, or nobody takes them any more.
///
/// # Errors
/// This terminal cannot do it: [`io::ErrorKind::Unsupported`].
pub fn edit(place: &watch::Receiver<Place>, uid: Uid, screen: &Screen, typed: SyncSender<Typed>) -> io::Result<()> {
    let config = Config::builder().build();
    let mut editor: Editor<(), MemHistory> =
        Editor::with_history(config, MemHistory::new()).map_err(|error| unsupported(&error))?;
    let mut printer = editor.create_external_printer().map_err(|error| unsupported(&error))?;
    screen.print_above(Some(Box::new(move |text| printer.print(text).map_err(io::Error::other))));

    let recall = Arc::new(Mutex::new(Recall::default()));
    let enter = Arc::new(Enter {
        typed,
        recall: recall.clone(),
        screen: screen.clone(),
        place: place.clone(),
        prompted: Mutex::new(None),
        renamed: AtomicBool::new(false),
    });
    for key in [KeyEvent(KeyCode::Enter, Modifiers::NONE), KeyEvent::ctrl('M'), KeyEvent::ctrl('J')] {
        editor.bind_sequence(key, EventHandler::Conditional(Box::new(Shared(enter.clone()))));
    }
    for (key, older) in [
        (KeyEvent(KeyCode::Up, Modifiers::NONE), true),
        (KeyEvent::ctrl('P'), true),
        (KeyEvent(KeyCode::Down, Modifiers::NONE), false),
        (KeyEvent::ctrl('N'), false),
    ] {
        let arrow = Arrow { recall: recall.clone(), older };
        editor.bind_sequence(key, EventHandler::Conditional(Box::new(arrow)));
    }

    loop {
        let here = place.borrow().clone();
        let prompt = match &here {
            Some((name, _)) => format!("> {}: ", Who(name, uid)),
            None => "> ".to_owned(),
        };
        *enter.prompted.lock().unwrap_or_else(PoisonError::into_inner) = here;
        match editor.readline(&prompt) {
            // A key that accepts the line past our own handling of Enter.
            Ok(line) => {
                enter.hand_over(&line);
            }
            Err(ReadlineError::Interrupted) if enter.renamed.swap(false, Ordering::AcqRel) => {}
            Err(_) => return Ok(()),
        }
    }
}

fn unsupported(error: &ReadlineError) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, error.to_string())
}

/// What Enter does.
struct Enter {
    typed: SyncSender<Typed>,
    recall: Arc<Mutex<Recall>>,
    screen: Screen,
    place: watch::Receiver<Place>,
    /// What the prompt says.
    prompted: Mutex<Place>,
    /// The editor is left only to come back with a new prompt.
    renamed: AtomicBool,
}

impl Enter {
    fn hand_over(&self, line: &str) -> Cmd {
        match self.typed.try_send(Typed::Line(line.to_owned())) {
            Ok(()) => {
                self.recall.lock().unwrap_or_else(PoisonError::into_inner).add(line);
                // The prompt stays for as long as the editor is not left: a new name needs a new one.
                if *self.place.borrow() != *self.prompted.lock().unwrap_or_else(PoisonError::into_inner) {
                    self.renamed.store(true, Ordering::Release);
                    return Cmd::Interrupt;
                }
                Cmd::Kill(Movement::WholeBuffer)
            }
            Err(TrySendError::Full(_)) => {
                self.screen.event("not sent: too many lines wait for a leader; Enter tries again");
                Cmd::Noop
            }
            Err(TrySendError::Disconnected(_)) => Cmd::Interrupt,
        }
    }
}

/// One handler behind several keys.
struct Shared(Arc<Enter>);

impl ConditionalEventHandler for Shared {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        Some(self.0.hand_over(context.line()))
    }
}

/// What an arrow key does.
struct Arrow {
    recall: Arc<Mutex<Recall>>,
    older: bool,
}

impl ConditionalEventHandler for Arrow {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        let mut recall = self.recall.lock().unwrap_or_else(PoisonError::into_inner);
        let line = if self.older { recall.older(context.line()) } else { recall.newer() };
        Some(line.map_or(Cmd::Noop, |line| Cmd::Replace(Movement::WholeBuffer, Some(line))))
    }
}

/// The lines typed so far, and where in them the arrow keys are.
#[derive(Debug, Default)]
struct Recall {
    lines: VecDeque<String>,
    /// How many lines back; zero: at what is being typed.
    back: usize,
    draft: String,
}

impl Recall {
    fn add(&mut self, line: &str) {
        self.back = 0;
        if line.trim().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() == RECALL_LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }

    fn older(&mut self, current: &str) -> Option<String> {
        if self.back == self.lines.len() {
            return None;
        }
        if self.back == 0 {
            self.draft = current.to_owned();
        }
        self.back += 1;
        self.lines.get(self.lines.len() - self.back).cloned()
    }

    fn newer(&mut self) -> Option<String> {
        self.back = self.back.checked_sub(1)?;
        match self.back {
            0 => Some(std::mem::take(&mut self.draft)),
            back => self.lines.get(self.lines.len() - back).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_walk_through_what_was_typed_and_back_to_the_draft() {
        let mut recall = Recall::default();
        assert_eq!(recall.older("x"), None);
        ["a", "b", "b", " "].into_iter().for_each(|line| recall.add(line));
        assert_eq!(recall.older("draft").as_deref(), Some("b"));
        assert_eq!(recall.older("b").as_deref(), Some("a"));
        assert_eq!(recall.older("a"), None);
        assert_eq!(recall.newer().as_deref(), Some("b"));
        assert_eq!(recall.newer().as_deref(), Some("draft"));
        assert_eq!(recall.newer(), None);
    }

    #[test]
    fn what_was_typed_is_bounded() {
        let mut recall = Recall::default();
        (0..2 * RECALL_LINES_MAX).for_each(|n| recall.add(&n.to_string()));
        assert_eq!(recall.lines.len(), RECALL_LINES_MAX);
    }
}
