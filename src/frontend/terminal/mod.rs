//! A terminal: a line editor at the bottom, what arrives above it.
//!
//! ```text
//!   keys ──▶ ┌──────────┐ ──▶ Asked
//!   Told ──▶ │ frontend │
//!   size ──▶ └──────────┘ ──▶ the screen
//! ```
//!
//! One thread owns the screen; keys, what is told and changes of the size come to it over one queue, so that what
//! arrives always goes above the prompt, and one's own line is seen once: when the room has it. The parts decide
//! without touching anything: [`decoder`](super::input::decoder) makes keys of bytes, [`editor`] says what they mean,
//! [`render`] makes lines of what is told, [`display`] makes the bytes that draw them; [`tty`] alone knows the
//! terminal.
//!
//! The editor is our own because the ones there are hold the prompt for as long as a line is edited: here it changes
//! while one types, asks before a paste, and has lines arriving above it at any moment, on terminals that do not agree
//! with anybody about how wide a letter is.

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
    /// What fits this terminal and its environment (`TERM`, `NO_COLOR`).
    pub fn new(bell: Bell, verbose: bool) -> Self {
        let variable = |name| std::env::var(name).ok();
        let term = variable("TERM");
        let terminal = isatty(io::stdin()) && isatty(io::stdout());
        let dumb = !terminal || matches!(term.as_deref(), None | Some("" | "dumb" | "cons25" | "emacs"));
        let paint = if dumb { Paint::Plain } else { Paint::of(variable("NO_COLOR").as_deref(), term.as_deref()) };
        Self { paint, bell: if dumb { Bell::Off } else { bell }, verbose, dumb }
    }
}

/// A terminal that shows what is told, and reads nothing yet. Where nobody says that it shall, it never does.
#[derive(Debug)]
pub struct Terminal {
    asked: mpsc::Sender<Request>,
    /// None: it is dumb.
    inputs: Option<SyncSender<TerminalInput>>,
}

/// Starts to show what is told, in a thread, until nothing more is told or the terminal is gone (`ended`, called once).
/// When the person leaves, [`Request::Leave`] is asked, and what is told until the end is still shown.
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
        // A terminal that cannot be written to is gone too.
        let end = Frontend::new(asked, &settings).and_then(|frontend| frontend.live(&received));
        ended(end.unwrap_or(TerminalEnd::Gone));
    })?;
    Ok((terminal, thread))
}

impl Terminal {
    /// Shows a prompt and reads from here on. The threads that read end with the process, or when they have read
    /// something that nobody takes any more.
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

/// As [`start`] and [`Terminal::read`], until the end.
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

/// Lines as they come; their end leaves.
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

/// Puts the terminal back to how it was found, whatever the editor was doing.
#[derive(Debug)]
pub struct TtyGuard(Option<Termios>);

impl TtyGuard {
    /// Remembers how the terminal is.
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
            // An editor was cut off: its prompt and bracketed paste go with it.
            tty::write_if_taken(b"\x1b[?2004l\x1b[?7h\r\x1b[J");
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, saved);
        }
    }
}
