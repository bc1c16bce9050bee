//! The frontend of the user or program that runs this node. The node picks it at the start; it shows what happens from
//! then on, and reads input only once the node is in its room.

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

/// How a node shows its room to its owner and reads from the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontendKind {
    /// Lines of text, in and out: each typed line is sent.
    Text,
    /// Lines of text out; reads nothing.
    Daemon,
    /// A terminal with a line editor.
    Terminal,
    /// A terminal, used as a whole (`--tui`).
    Full,
    /// JSON objects, one a line, in and out (`--json`).
    Json,
}

/// Whether standard input and standard output are both a terminal.
pub fn is_terminal() -> bool {
    isatty(io::stdin()) && isatty(io::stdout())
}

impl FrontendKind {
    /// The kind that the options name, or else the one that fits standard input and output.
    pub fn of(chat: &Chat) -> Self {
        match (chat.daemon, chat.json) {
            (true, _) => Self::Daemon,
            (false, true) => Self::Json,
            (false, false) if is_terminal() && chat.tui => Self::Full,
            (false, false) if is_terminal() => Self::Terminal,
            (false, false) => Self::Text,
        }
    }

    /// Whether standard output takes lines of text at any time.
    pub fn takes_text(self) -> bool {
        match self {
            Self::Text | Self::Daemon => true,
            Self::Terminal | Self::Full | Self::Json => false,
        }
    }

    /// Whether a user looks at it, as opposed to a program.
    pub fn is_person(self) -> bool {
        match self {
            Self::Terminal | Self::Full => true,
            Self::Text | Self::Daemon | Self::Json => false,
        }
    }
}

/// A frontend that shows what happens and does not read yet.
pub enum Shows {
    /// Prints lines of text; will send each line that it reads.
    Text(StdinSender),
    /// Prints lines of text; will read nothing.
    Daemon,
    /// The full screen, which reads keys from the beginning.
    Full,
    /// Prints to a terminal.
    Terminal(Terminal),
    /// Writes JSON objects.
    Json {
        /// Takes the program's requests.
        asked: mpsc::Sender<Request>,
        /// Takes complaints about lines that are no requests.
        answers: mpsc::WeakSender<Update>,
    },
}

/// Starts a thread that writes objects to standard output until the channel closes. The thread calls `gone` when
/// standard output takes no more.
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

/// The thread in which a frontend shows what happens.
#[derive(Debug)]
pub struct Showing {
    thread: JoinHandle<()>,
    /// The number of writes so far.
    written: Arc<AtomicU64>,
}

impl Showing {
    /// A thread that does not count its writes.
    pub fn of(thread: JoinHandle<()>) -> Self {
        Self { thread, written: Arc::default() }
    }

    /// Waits until the thread has shown everything: `true`; or until it has written nothing for `patience`: `false`.
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
            // The standard library has no join with a timeout.
            thread::sleep(LOOK_AGAIN);
        }
        self.thread.join().is_ok()
    }
}

/// Pause between two checks whether the thread is done.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Starts the full screen in a thread, where it stays until the node says good-bye.
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
        // The send fails only where the node has already left.
        let _ = asked.blocking_send(Request::Leave);
    })
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

impl Shows {
    /// Starts to read. A reader of text calls `ended` once, when its input ends or a line leaves the room. The other
    /// kinds leave through their own client sessions.
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

/// Reads lines of standard input in large chunks, without the buffer of the standard library.
fn read(take: impl FnMut(InputLine) -> bool) {
    let input = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    if let Err(error) = input.and_then(|input| pipe::read_lines(input, take)) {
        complain(format_args!("dist-chat: cannot read standard input: {error}"));
    }
}
