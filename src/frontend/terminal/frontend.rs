//! The one owner of the terminal: takes keys and updates in the order of their arrival, and draws.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::complete::Known;
use super::display::TerminalDisplay;
use super::editor::{Editor, EditorAction};
use super::pending::Pending;
use super::render::{Renderer, note};
use super::tty::{self, Raw};
use crate::frontend::input::keys::Key;
use crate::present::paint::Paint;
use crate::present::values::{Request, Update};
use crate::ring::limits::TEXT_BYTES_MAX;
use crate::settings::Bell;

/// Most inputs in the queue; a key waits behind no more than these.
pub const INPUTS_MAX: usize = 64;
/// Most inputs between two drawings.
const BATCH_INPUTS_MAX: usize = 256;
/// Bytes of new lines that cause a drawing.
const BATCH_BYTES: usize = 64 * 1024;
/// Most requests that wait for the node; only a paste may go beyond.
const TYPED_LINES_MAX: usize = 256;
/// Pause between two attempts to send waiting requests.
const HAND_OVER_EVERY: Duration = Duration::from_millis(20);
/// Shortest time between two requests for the node's state.
const STATE_EVERY: Duration = Duration::from_secs(1);
/// Age of the state after which Tab requests it again.
const STATE_OLD: Duration = Duration::from_secs(5);

/// The user's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSettings {
    /// Colours.
    pub paint: Paint,
    /// When the terminal rings.
    pub bell: Bell,
    /// Shows log-only events, too.
    pub verbose: bool,
    /// The terminal can only print, or there is none: no editor, lines in and out as they come.
    pub dumb: bool,
}

/// Why the frontend has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalEnd {
    /// The user has left, and saw all updates until the end.
    Left,
    /// The node sends no more updates.
    Over,
    /// The terminal is gone.
    Gone,
}

/// An input of the owner.
#[derive(Debug)]
pub enum TerminalInput {
    /// Show a prompt: keys follow.
    Begin,
    /// The user pressed a key.
    Key(Key),
    /// An update from the node.
    Told(Box<Update>),
    /// The terminal has another size.
    Resized,
    /// The terminal is gone.
    Gone,
    /// The node sends no more updates.
    Over,
}

/// How far the frontend is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TerminalPhase {
    /// Prints updates, without a prompt.
    Showing,
    /// Shows a prompt and takes keys.
    Typing,
    /// The user or the node has left: prints the remaining updates, without a prompt.
    Left,
}

/// The owner of the terminal.
#[derive(Debug)]
pub struct Frontend {
    editor: Editor,
    display: TerminalDisplay,
    renderer: Renderer,
    phase: TerminalPhase,
    raw: Raw,
    asked: mpsc::Sender<Request>,
    /// Requests that wait for the node.
    outbox: VecDeque<Request>,
    pending: Pending,
    /// Lines for the next drawing.
    above: String,
    rings: bool,
    resized: bool,
    cleared: bool,
    /// The user or the node is leaving.
    leaves: bool,
    /// Members may have changed since the last request for the state.
    stale: bool,
    state_asked: Option<Instant>,
}

impl Frontend {
    /// A frontend that prints updates, until [`TerminalInput::Begin`].
    ///
    /// # Errors
    /// There is no terminal.
    pub fn new(asked: mpsc::Sender<Request>, settings: &TerminalSettings) -> io::Result<Self> {
        Ok(Self {
            editor: Editor::default(),
            display: TerminalDisplay::new(tty::size()),
            renderer: Renderer::new(settings.paint, settings.bell, settings.verbose),
            phase: TerminalPhase::Showing,
            raw: Raw::quiet()?,
            asked,
            outbox: VecDeque::new(),
            pending: Pending::default(),
            above: String::new(),
            rings: false,
            resized: false,
            cleared: false,
            leaves: false,
            stale: false,
            state_asked: None,
        })
    }

    /// Runs until the node sends no more updates or the terminal is gone.
    ///
    /// # Errors
    /// The terminal cannot be written to.
    pub fn live(mut self, inputs: &Receiver<TerminalInput>) -> io::Result<TerminalEnd> {
        loop {
            let first = match self.deadline() {
                None => inputs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => inputs.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            let mut next = match first {
                Ok(input) => Some(input),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(TerminalInput::Over),
            };
            let mut taken = 0;
            let mut end = None;
            while let Some(input) = next.take() {
                match input {
                    TerminalInput::Gone => return Ok(TerminalEnd::Gone),
                    TerminalInput::Over => {
                        end =
                            Some(if self.phase == TerminalPhase::Left { TerminalEnd::Left } else { TerminalEnd::Over })
                    }
                    input => self.take(input)?,
                }
                taken += 1;
                if end.is_none() && taken < BATCH_INPUTS_MAX && self.above.len() < BATCH_BYTES {
                    next = inputs.try_recv().ok();
                }
            }
            let now = Instant::now();
            self.renderer.tick(&mut self.above, now);
            self.hand_over();
            self.ask_state(now);
            if let Some(end) = end {
                tty::write(self.display.finish(&self.above).as_bytes())?;
                return Ok(end);
            }
            self.draw()?;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let now = Instant::now();
        let hand_over = (!self.outbox.is_empty()).then(|| now + HAND_OVER_EVERY);
        let state = self.stale.then(|| self.state_asked.map_or(now, |asked| asked + STATE_EVERY));
        [hand_over, state, self.renderer.deadline()].into_iter().flatten().min()
    }

    fn take(&mut self, input: TerminalInput) -> io::Result<()> {
        match input {
            TerminalInput::Begin => {
                self.raw.give_keys()?;
                self.phase = TerminalPhase::Typing;
                self.stale = true;
            }
            TerminalInput::Key(key) => match self.phase {
                TerminalPhase::Typing => return self.key(key),
                TerminalPhase::Showing | TerminalPhase::Left => {}
            },
            TerminalInput::Gone | TerminalInput::Over => {}
            TerminalInput::Told(told) => {
                self.rings |= self.renderer.push(&mut self.above, &told, Instant::now());
                match &*told {
                    Update::State(state) => self.editor.known = Known::from(&**state),
                    Update::Event(_) => self.stale = self.phase == TerminalPhase::Typing,
                    Update::Line(line) => self.pending.came(line),
                    Update::Waiting { lines } => {
                        let waiting = self.pending.wait(*lines);
                        self.show_waiting(&waiting);
                    }
                    Update::Clear => self.clear(),
                    Update::Bye { text: _ } => self.leave(),
                    _other => {}
                }
            }
            TerminalInput::Resized => self.resized = true,
        }
        Ok(())
    }

    fn key(&mut self, key: Key) -> io::Result<()> {
        if key == Key::Tab && self.state_asked.is_none_or(|asked| asked.elapsed() > STATE_OLD) {
            self.stale = true;
        }
        match self.editor.key(key) {
            EditorAction::Nothing => {}
            EditorAction::Enter => self.enter(),
            EditorAction::Lines(lines) => self.enter_all(lines),
            EditorAction::List(candidates) => self.above.push_str(&(candidates.join("  ") + "\n")),
            EditorAction::Clear => self.clear(),
            EditorAction::Suspend => {
                tty::write(self.display.finish(&std::mem::take(&mut self.above)).as_bytes())?;
                self.raw.suspend()?;
                self.resized = true;
            }
            EditorAction::Leave => {
                self.outbox.push_back(Request::Leave);
                self.leave();
            }
            EditorAction::Say(text) => note(&mut self.above, &text),
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.cleared = true;
        self.above.clear();
    }

    fn enter(&mut self) {
        let line = self.editor.line();
        if line.len() > TEXT_BYTES_MAX {
            let text = format!("a line of {} bytes was not sent: at most {TEXT_BYTES_MAX} are allowed", line.len());
            return note(&mut self.above, &text);
        } else if self.outbox.len() >= TYPED_LINES_MAX {
            return note(&mut self.above, "not sent: too many lines wait for a leader; Enter tries again");
        } else if !line.trim().is_empty() {
            let line = line.to_owned();
            let waiting = self.pending.enter(&line);
            self.show_waiting(&waiting);
            self.outbox.push_back(Request::Type { line });
        }
        self.editor.entered();
    }

    fn enter_all(&mut self, lines: Vec<String>) {
        if self.outbox.len() >= TYPED_LINES_MAX {
            return note(&mut self.above, "not pasted: too many lines wait for a leader");
        }
        for text in lines.into_iter().filter(|line| !line.trim().is_empty()) {
            let waiting = self.pending.say(&text);
            self.show_waiting(&waiting);
            self.outbox.push_back(Request::Say { text, channel: None, id: None });
        }
    }

    fn show_waiting(&mut self, lines: &[String]) {
        lines.iter().for_each(|line| self.renderer.waits(&mut self.above, line));
    }

    fn hand_over(&mut self) {
        while let Some(asked) = self.outbox.pop_front() {
            match self.asked.try_send(asked) {
                Ok(()) => {}
                Err(TrySendError::Full(asked)) => return self.outbox.push_front(asked),
                Err(TrySendError::Closed(_)) => {
                    self.outbox.clear();
                    return self.leave();
                }
            }
        }
    }

    fn ask_state(&mut self, now: Instant) {
        let early = self.state_asked.is_some_and(|asked| now < asked + STATE_EVERY);
        if self.stale && !early {
            self.stale = self.asked.try_send(Request::State).is_err();
            self.state_asked = Some(now);
        }
    }

    /// Removes the prompt. After the next drawing the terminal has its old settings, and Ctrl-C is a signal again.
    fn leave(&mut self) {
        self.leaves = true;
        self.stale = false;
    }

    fn draw(&mut self) -> io::Result<()> {
        let above = std::mem::take(&mut self.above);
        let mut bytes = if std::mem::take(&mut self.rings) { "\x07".to_owned() } else { String::new() };
        if std::mem::take(&mut self.leaves) {
            bytes.push_str(&self.display.finish(""));
            tty::write(bytes.as_bytes())?;
            bytes.clear();
            self.raw.leave();
            self.phase = TerminalPhase::Left;
        }
        match self.phase {
            TerminalPhase::Typing => {}
            TerminalPhase::Showing | TerminalPhase::Left => {
                bytes.push_str(&self.display.finish(&above));
                return tty::write(bytes.as_bytes());
            }
        }
        let shown = self.editor.shown();
        let prompt = shown.question.clone().unwrap_or_else(|| self.renderer.prompt());
        if std::mem::take(&mut self.cleared) {
            bytes.push_str(&self.display.clear(&prompt, shown.text, shown.at));
        }
        if std::mem::take(&mut self.resized) && tty::size() != self.display.size() {
            bytes.push_str(&self.display.resize(tty::size(), &prompt, shown.text, shown.at));
        }
        bytes.push_str(&self.display.paint(&above, &prompt, shown.text, shown.at));
        if bytes.is_empty() { Ok(()) } else { tty::write(bytes.as_bytes()) }
    }
}
