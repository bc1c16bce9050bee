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
//! without touching anything: [`keys`] makes keys of bytes, [`editor`] says what they mean, [`render`] makes lines of
//! what is told, [`display`] makes the bytes that draw them; [`tty`] alone knows the terminal.
//!
//! The editor is our own because the ones there are hold the prompt for as long as a line is edited: here it changes
//! while one types, asks before a paste, and has lines arriving above it at any moment, on terminals that do not agree
//! with anybody about how wide a letter is.

pub mod buffer;
pub mod complete;
pub mod display;
pub mod editor;
mod frontend;
pub mod keys;
pub mod recall;
pub mod render;
mod strings;
pub mod tty;

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};

use crate::ui::feed::{Asked, Told};
use crate::ui::paint::Paint;
use crate::ui::pipe::{self, Typed};
use frontend::{Frontend, INPUTS_MAX, Input};
pub use render::Bell;
use render::Renderer;
pub use strings::{Strings, edit};

/// Typed lines that wait for the node to take them.
pub const TYPED_LINES_MAX: usize = 256;

/// How the person wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The colours.
    pub paint: Paint,
    /// When it rings.
    pub bell: Bell,
    /// Events that are for the log are shown too.
    pub verbose: bool,
    /// The terminal can do nothing but print, or there is none: lines are read and shown as they come.
    pub dumb: bool,
}

impl Settings {
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

/// Why a frontend has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The person has left; everything told until the end was shown.
    Left,
    /// Nothing more is told.
    Over,
    /// The terminal is gone: nobody can say or see anything any more.
    Gone,
}

/// Shows what is told and asks what is typed, until nothing more is told or the terminal is gone. When the person
/// leaves, [`Asked::Leave`] is asked, and what is told until the end is still shown.
///
/// # Errors
/// The terminal cannot be used, or the system starts no more threads.
pub fn run(told: Receiver<Told>, asked: SyncSender<Asked>, settings: &Settings) -> io::Result<End> {
    if settings.dumb {
        return run_dumb(told, asked, settings);
    }
    let (inputs, received) = sync_channel(INPUTS_MAX);
    let frontend = Frontend::new(asked, settings)?;
    watch_terminal(&inputs)?;
    thread::Builder::new().name("told".to_owned()).spawn(move || {
        if told.into_iter().all(|told| inputs.send(Input::Told(Box::new(told))).is_ok()) {
            let _ = inputs.send(Input::Over);
        }
    })?;
    frontend.live(&received)
}

/// Starts the threads that tell of keys and of changes of the size. They end with the process, or when they have
/// something to tell and nobody listens any more.
fn watch_terminal(inputs: &SyncSender<Input>) -> io::Result<()> {
    let (keys, sizes) = (inputs.clone(), inputs.clone());
    tty::read_keys(move |key| keys.send(key.map_or(Input::Gone, Input::Key)).is_ok())?;
    tty::watch_size(move || sizes.send(Input::Resized).is_ok())
}

fn run_dumb(told: Receiver<Told>, asked: SyncSender<Asked>, settings: &Settings) -> io::Result<End> {
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let ask = |typed| match typed {
            Typed::Line(line) => asked.send(Asked::Type { line }).is_ok(),
            Typed::TooLong { bytes } => {
                crate::failure::complain(format_args!("dist-chat: a line of {bytes} bytes was not sent"));
                true
            }
        };
        let _ = pipe::read_lines(input, ask);
        let _ = asked.send(Asked::Leave);
    })?;
    let mut renderer = Renderer::new(settings.paint, settings.bell, settings.verbose);
    for told in told {
        let mut out = String::new();
        renderer.push(&mut out, &told, Instant::now());
        tty::write(out.as_bytes())?;
    }
    Ok(End::Over)
}

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
        let Some(saved) = &self.0 else { return };
        if let Ok(now) = tcgetattr(io::stdin())
            && now.local_modes != saved.local_modes
        {
            // An editor was cut off: its prompt and bracketed paste go with it.
            let _ = tty::write(b"\x1b[?2004l\x1b[?7h\r\x1b[J");
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, saved);
        }
    }
}
