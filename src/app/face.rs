//! The frontend of the person, or program, that runs this node: chosen at the start, at work from the moment the node is
//! in its room, but shown what happens from the beginning.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::termios::isatty;
use tokio::sync::{mpsc, watch};

use crate::cli::Chat;
use crate::failure::complain;
use crate::ring::Uid;
use crate::ui::feed::{Asked, Told};
use crate::ui::herald::Place;
use crate::ui::pipe::{self, Typed};
use crate::ui::screen::Screen;
use crate::ui::talk::{Talk, refuse};
use crate::ui::{json, plain, terminal};

/// What a node shows its owner, and how it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// Lines of text: one typed, one said.
    Text,
    /// Lines of text; nothing is read.
    Daemon,
    /// A person at a terminal.
    Terminal,
    /// Objects, one a line, both ways.
    Json,
}

/// Whether a person sits at both ends.
pub fn is_terminal() -> bool {
    isatty(io::stdin()) && isatty(io::stdout())
}

impl Face {
    /// The one that was asked for, or that fits what stands at both ends.
    pub fn of(chat: &Chat) -> Self {
        match (chat.daemon, chat.json) {
            (true, _) => Self::Daemon,
            (false, true) => Self::Json,
            (false, false) if is_terminal() => Self::Terminal,
            (false, false) => Self::Text,
        }
    }

    /// Whether standard output takes lines of text as they come.
    pub fn takes_text(self) -> bool {
        match self {
            Self::Text | Self::Daemon => true,
            Self::Terminal | Self::Json => false,
        }
    }
}

/// A frontend that shows what happens, and does not read yet.
pub enum Shows {
    /// It is shown lines of text, and says what it reads.
    Text(Talk),
    /// It is shown nothing but those, and reads nothing.
    Daemon,
    /// Values go to a terminal.
    Terminal {
        /// Its other end.
        asked: mpsc::Sender<Asked>,
        /// The terminal.
        screen: Screen,
        /// The prompt's name.
        place: watch::Receiver<Place>,
        /// The prompt's address.
        uid: Uid,
    },
    /// Values go out as they are.
    Json {
        /// Its other end.
        asked: mpsc::Sender<Asked>,
        /// Where it is told what is wrong with that.
        answers: mpsc::WeakSender<Told>,
    },
}

/// Starts a thread that shows a terminal what it is told, until there is no more.
///
/// # Errors
/// The system starts no more threads.
pub fn show(mut told: mpsc::Receiver<Told>, screen: Screen, verbose: bool) -> io::Result<Showing> {
    let thread = named("shown").spawn(move || {
        let mut text = String::new();
        while let Some(one) = told.blocking_recv() {
            text.clear();
            plain::push(&one, verbose, &mut text);
            screen.push(&text);
        }
    })?;
    Ok(Showing { thread, written: Arc::default() })
}

/// Starts a thread that writes objects to standard output, until there is no more. `gone` is called when nobody reads it.
///
/// # Errors
/// The system starts no more threads.
pub fn write(told: mpsc::Receiver<Told>, gone: impl FnOnce() + Send + 'static) -> io::Result<Showing> {
    let written = Arc::<AtomicU64>::default();
    let count = Arc::clone(&written);
    let thread = named("json").spawn(move || {
        // Past the standard library's own buffer.
        let out = io::stdout().as_fd().try_clone_to_owned().map(File::from);
        if out.and_then(|out| json::write(told, out, &count)).is_err() {
            gone();
        }
    })?;
    Ok(Showing { thread, written })
}

/// A frontend that shows what it is told.
#[derive(Debug)]
pub struct Showing {
    thread: JoinHandle<()>,
    /// Counts what it has written.
    written: Arc<AtomicU64>,
}

impl Showing {
    /// Waits until it has shown everything, or has shown nothing for so long. Whether it has shown everything.
    pub fn finish(self, patience: Duration) -> bool {
        let mut seen = (self.written.load(Ordering::Relaxed), Instant::now());
        while !self.thread.is_finished() {
            let written = self.written.load(Ordering::Relaxed);
            if written != seen.0 {
                seen = (written, Instant::now());
            }
            if seen.1.elapsed() > patience {
                return false;
            }
            // A thread cannot be waited for until a time.
            thread::sleep(LOOK_AGAIN);
        }
        self.thread.join().is_ok()
    }
}

/// Between two looks whether everything is shown.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

impl Shows {
    /// Starts to read. `ended` is called once, when somebody wants to leave or the input has ended; sessions of their own
    /// call it themselves.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub fn read(self, ended: impl FnOnce() + Send + 'static) -> io::Result<()> {
        match self {
            Self::Daemon => {}
            Self::Text(talk) => {
                named("stdin").spawn(move || {
                    read(|line| talk.take(&line));
                    ended();
                })?;
            }
            Self::Json { asked, answers } => {
                named("stdin").spawn(move || {
                    let input = io::stdin().as_fd().try_clone_to_owned().map(File::from);
                    if let Err(error) = input.and_then(|input| json::read_all(input, &asked, Some(&answers))) {
                        complain(format_args!("dist-chat: cannot read standard input: {error}"));
                    }
                })?;
            }
            Self::Terminal { asked, screen, place, uid } => {
                // The editor must stay awake while the node has no room for a line: another thread waits in its place.
                let (typed, lines) = sync_channel(terminal::TYPED_LINES_MAX);
                named("editor").spawn(move || {
                    if terminal::edit(&place, uid, &screen, typed.clone()).is_err() {
                        // A dumb terminal: lines are read as they come.
                        read(|line| typed.send(line).is_ok());
                    }
                })?;
                named("typed").spawn(move || ask_all(&asked, &lines))?;
            }
        }
        Ok(())
    }
}

fn ask_all(asked: &mpsc::Sender<Asked>, lines: &Receiver<Typed>) {
    while let Ok(line) = lines.recv() {
        match line {
            Typed::Line(line) => {
                if asked.blocking_send(Asked::Type { line }).is_err() {
                    return;
                }
            }
            Typed::TooLong { bytes } => refuse(bytes),
        }
    }
}

/// Reads lines of standard input, past the standard library's own buffer: whole chunks are taken.
fn read(take: impl FnMut(Typed) -> bool) {
    let input = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    if let Err(error) = input.and_then(|input| pipe::read_lines(input, take)) {
        complain(format_args!("dist-chat: cannot read standard input: {error}"));
    }
}
