//! The line terminal: a line editor at the bottom, the room above it.
//!
//! ```text
//!   keys ──▶ ┌──────────┐ ──▶ Request
//! Update ──▶ │ frontend │
//!   size ──▶ └──────────┘ ──▶ the screen
//! ```
//!
//! One thread owns the screen. Keys, updates from the node and changes of the size reach it through one queue, so
//! updates always appear above the prompt, and the user sees an own line once: when the room has it. Most parts are
//! pure: [`decoder`](super::input::decoder) turns bytes into keys, [`editor`] decides what a key does, [`render`] turns
//! updates into lines, [`display`] computes the bytes that draw them. Only [`tty`] touches the terminal.
//!
//! The editor is our own because existing ones own the prompt while the user edits a line. Here the prompt changes
//! during typing, a long paste needs consent, lines arrive above at any moment, and terminals disagree about the width
//! of letters.

pub mod complete;
pub mod display;
pub mod editor;
mod frontend;
mod pending;
pub mod render;
pub mod tty;

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

use super::pipe::{self, InputLine};
use super::stdin::refuse;
use crate::failure::complain;
use crate::present::paint::Paint;
use crate::present::values::{Request, Update};
use crate::settings::Bell;
use frontend::{Frontend, INPUTS_MAX, TerminalInput};
pub use frontend::{TerminalEnd, TerminalSettings};
pub use render::Renderer;

impl TerminalSettings {
    /// Settings for this terminal and its environment (`TERM`, `NO_COLOR`).
    pub fn new(bell: Bell, verbose: bool) -> Self {
        let variable = |name| std::env::var(name).ok();
        let term = variable("TERM");
        let terminal = isatty(io::stdin()) && isatty(io::stdout());
        let dumb = !terminal || matches!(term.as_deref(), None | Some("" | "dumb" | "cons25" | "emacs"));
        let paint = if dumb { Paint::Plain } else { Paint::of(variable("NO_COLOR").as_deref(), term.as_deref()) };
        Self { paint, bell: if dumb { Bell::Off } else { bell }, verbose, dumb }
    }
}

/// A terminal that only prints; [`read`](Self::read) starts to read keys.
#[derive(Debug)]
pub struct Terminal {
    asked: mpsc::Sender<Request>,
    /// `None` for a dumb terminal.
    inputs: Option<SyncSender<TerminalInput>>,
}

/// Starts a thread that prints updates until their channel closes or the terminal is gone; then it calls `ended`, once.
/// When the user leaves, the thread sends [`Request::Leave`] and prints the remaining updates.
///
/// # Errors
/// The system starts no more threads.
pub fn start(
    told: mpsc::Receiver<Update>,
    asked: mpsc::Sender<Request>,
    settings: TerminalSettings,
    ended: impl FnOnce(TerminalEnd) + Send + 'static,
) -> io::Result<(Terminal, JoinHandle<()>)> {
    if settings.dumb {
        let thread = named("shown").spawn(move || ended(show_dumb(told, &settings)))?;
        return Ok((Terminal { asked, inputs: None }, thread));
    }
    let (inputs, received) = sync_channel(INPUTS_MAX);
    let terminal = Terminal { asked: asked.clone(), inputs: Some(inputs.clone()) };
    named("told").spawn(move || pass_on(told, &inputs))?;
    let thread = named("shown").spawn(move || {
        // A terminal that refuses writes counts as gone.
        let end = Frontend::new(asked, &settings).and_then(|frontend| frontend.live(&received));
        ended(end.unwrap_or(TerminalEnd::Gone));
    })?;
    Ok((terminal, thread))
}

impl Terminal {
    /// Shows a prompt and starts to read keys. The reading threads end with the process, or at the first input after
    /// their receiver is gone.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub fn read(self) -> io::Result<()> {
        let Self { asked, inputs } = self;
        let Some(inputs) = inputs else {
            named("stdin").spawn(move || read_dumb(&asked))?;
            return Ok(());
        };
        let sizes = inputs.clone();
        named("size").spawn(move || tty::watch_size(|| sizes.send(TerminalInput::Resized).is_ok()))?;
        named("keys").spawn(move || {
            if inputs.send(TerminalInput::Begin).is_ok() {
                tty::read_keys(|key| inputs.send(key.map_or(TerminalInput::Gone, TerminalInput::Key)).is_ok());
            }
        })?;
        Ok(())
    }
}

/// Runs [`start`] and [`Terminal::read`], and blocks until the end.
///
/// # Errors
/// The system starts no more threads.
pub fn run(
    told: mpsc::Receiver<Update>,
    asked: mpsc::Sender<Request>,
    settings: TerminalSettings,
) -> io::Result<TerminalEnd> {
    let (end, ended) = sync_channel(1);
    let ended_by = move |how| {
        let _ = end.send(how);
    };
    let (terminal, _thread) = start(told, asked, settings, ended_by)?;
    terminal.read()?;
    Ok(ended.recv().unwrap_or(TerminalEnd::Gone))
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

fn pass_on(mut told: mpsc::Receiver<Update>, inputs: &SyncSender<TerminalInput>) {
    while let Some(told) = told.blocking_recv() {
        if inputs.send(TerminalInput::Told(Box::new(told))).is_err() {
            return;
        }
    }
    let _ = inputs.send(TerminalInput::Over);
}

fn show_dumb(mut told: mpsc::Receiver<Update>, settings: &TerminalSettings) -> TerminalEnd {
    let mut renderer = Renderer::new(settings.paint, settings.bell, settings.verbose);
    while let Some(told) = told.blocking_recv() {
        let mut out = String::new();
        renderer.push(&mut out, &told, Instant::now());
        if tty::write(out.as_bytes()).is_err() {
            return TerminalEnd::Gone;
        }
    }
    TerminalEnd::Over
}

/// Sends each line as it comes; leaves the room at the end of the input.
fn read_dumb(asked: &mpsc::Sender<Request>) {
    let ask = |typed| match typed {
        InputLine::Line(line) => asked.blocking_send(Request::Type { line }).is_ok(),
        InputLine::TooLong { bytes } => {
            refuse(bytes);
            true
        }
    };
    let input = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    if let Err(error) = input.and_then(|input| pipe::read_lines(input, ask)) {
        complain(format_args!("dist-chat: cannot read standard input: {error}"));
    }
    let _ = asked.blocking_send(Request::Leave);
}

/// Restores the terminal's settings on drop, even if the editor was cut off.
#[derive(Debug)]
pub struct TtyGuard(Option<Termios>);

impl TtyGuard {
    /// Saves the terminal's settings.
    pub fn new() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }
}

impl Default for TtyGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TtyGuard {
    fn drop(&mut self) {
        let Some(saved) = &self.0 else { return };
        if let Ok(now) = tcgetattr(io::stdin())
            && now.local_modes != saved.local_modes
        {
            // The editor was cut off: erase its prompt and turn bracketed paste off.
            tty::write_if_taken(b"\x1b[?2004l\x1b[?7h\r\x1b[J");
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, saved);
        }
    }
}
