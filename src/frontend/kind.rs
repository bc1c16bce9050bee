//! The frontend of the person, or program, that runs this node: chosen at the start, at work from the moment the node
//! is in its room, but shown what happens from the beginning.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::termios::isatty;
use tokio::sync::mpsc;

use super::pipe::{self, InputLine};
use super::stdin::StdinSender;
use super::terminal::Terminal;
use super::{json, tui};
use crate::failure::complain;
use crate::feed::commands::COMMANDS;
use crate::feed::session::ClientHandle;
use crate::feed::stdout::StdoutWriter;
use crate::present::builder;
use crate::present::values::{Request, Update};
use crate::settings::Chat;

/// What a node shows its owner, and how it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontendKind {
    /// Lines of text: one typed, one said.
    Text,
    /// Lines of text; nothing is read.
    Daemon,
    /// A person at a terminal.
    Terminal,
    /// The same, who wants all of it.
    Full,
    /// Objects, one a line, both ways.
    Json,
}

/// Whether a person sits at both ends.
pub fn is_terminal() -> bool {
    isatty(io::stdin()) && isatty(io::stdout())
}

impl FrontendKind {
    /// The one that was asked for, or that fits what stands at both ends.
    pub fn of(chat: &Chat) -> Self {
        match (chat.daemon, chat.json) {
            (true, _) => Self::Daemon,
            (false, true) => Self::Json,
            (false, false) if is_terminal() && chat.tui => Self::Full,
            (false, false) if is_terminal() => Self::Terminal,
            (false, false) => Self::Text,
        }
    }

    /// Whether standard output takes lines of text as they come.
    pub fn takes_text(self) -> bool {
        match self {
            Self::Text | Self::Daemon => true,
            Self::Terminal | Self::Full | Self::Json => false,
        }
    }

    /// Whether a person looks at it.
    pub fn is_person(self) -> bool {
        match self {
            Self::Terminal | Self::Full => true,
            Self::Text | Self::Daemon | Self::Json => false,
        }
    }
}

/// A frontend that shows what happens, and does not read yet.
pub enum Shows {
    /// It is shown lines of text, and says what it reads.
    Text(StdinSender),
    /// It is shown nothing but those, and reads nothing.
    Daemon,
    /// The full screen, which reads from the beginning.
    Full,
    /// Values go to a terminal.
    Terminal(Terminal),
    /// Values go out as they are.
    Json {
        /// Its other end.
        asked: mpsc::Sender<Request>,
        /// Where it is told what is wrong with that.
        answers: mpsc::WeakSender<Update>,
    },
}

/// Starts a thread that writes objects to standard output, until there is no more. `gone` is called when it takes no
/// more.
///
/// # Errors
/// The system starts no more threads.
pub fn write(told: mpsc::Receiver<Update>, gone: impl FnOnce(io::Error) + Send + 'static) -> io::Result<Showing> {
    let written = Arc::<AtomicU64>::default();
    let count = Arc::clone(&written);
    let thread = named("json").spawn(move || {
        if let Err(error) = StdoutWriter::stdout().and_then(|out| json::write(told, out, &count)) {
            gone(error);
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
    /// In this thread; nobody counts what it writes.
    pub fn of(thread: JoinHandle<()>) -> Self {
        Self { thread, written: Arc::default() }
    }

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

/// Starts a thread with the full screen, which is there until the node says good-bye.
///
/// # Errors
/// The system starts no more threads.
pub fn full(front: ClientHandle, look: super::terminal::TerminalSettings) -> io::Result<JoinHandle<()>> {
    named(tui::THREAD).spawn(move || {
        let ClientHandle { told, asked, answers: _ } = front;
        let settings = tui::TuiSettings {
            colours: look.paint,
            bell: look.bell,
            zone: builder::local(),
            commands: COMMANDS.iter().map(|command| command.name.to_owned()).collect(),
        };
        match tui::run(told, &asked, settings) {
            Ok(tui::TuiEnd::Bye(_) | tui::TuiEnd::Silent) => return,
            Ok(tui::TuiEnd::NoKeyboard) => {}
            Err(error) => {
                complain(format_args!("dist-chat: this terminal has no full screen ({error})\n  try it without --tui"))
            }
        }
        // Nobody is there any more.
        let _ = asked.blocking_send(Request::Leave);
    })
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

impl Shows {
    /// Starts to read. `ended` is called once, when somebody wants to leave or the input has ended; sessions of their
    /// own call it themselves.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub fn read(self, ended: impl FnOnce() + Send + 'static) -> io::Result<()> {
        match self {
            Self::Daemon | Self::Full => {}
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
            Self::Terminal(terminal) => terminal.read()?,
        }
        Ok(())
    }
}

/// Reads lines of standard input, past the standard library's own buffer: whole chunks are taken.
fn read(take: impl FnMut(InputLine) -> bool) {
    let input = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    if let Err(error) = input.and_then(|input| pipe::read_lines(input, take)) {
        complain(format_args!("dist-chat: cannot read standard input: {error}"));
    }
}
