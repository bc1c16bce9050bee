//! Standard input, from the moment the node is in its room.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use rustix::termios::isatty;
use tokio::sync::{mpsc, oneshot, watch};

use crate::failure::complain;
use crate::net::Command;
use crate::ring::Uid;
use crate::ui::herald::Place;
use crate::ui::pipe::{self, Typed};
use crate::ui::screen::Screen;
use crate::ui::talk::Talk;
use crate::ui::terminal::{self, Settings, Strings};

/// Whether a person sits at both ends: then lines are edited, else they are read.
pub fn is_terminal() -> bool {
    isatty(io::stdin()) && isatty(io::stdout())
}

/// What is needed to read and to answer.
pub struct Input {
    /// Takes each line.
    pub talk: Talk,
    /// The prompt's name.
    pub place: watch::Receiver<Place>,
    /// The prompt's address.
    pub uid: Uid,
    /// Where lines are shown.
    pub screen: Screen,
    /// What to tell before the first line is typed.
    pub hint: Option<String>,
    /// How the person wants it.
    pub settings: Settings,
    /// Called once, when the person wants to leave or the input has ended.
    pub ended: Box<dyn FnOnce() + Send>,
}

impl Input {
    /// Starts to read.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub fn start(self) -> io::Result<()> {
        let Self { talk, place, uid, screen, hint, settings, ended } = self;
        if let Some(hint) = hint {
            screen.event(&hint);
        }
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        if !talk.terminal {
            spawn("stdin").spawn(move || {
                read(&talk);
                ended();
            })?;
            return Ok(());
        }
        // The editor must stay awake while the node has no room for a line: another thread waits in its place.
        let (typed, lines) = sync_channel(terminal::TYPED_LINES_MAX);
        let names = Box::new(names(talk.urgent.clone()));
        spawn("editor").spawn(move || {
            // A dumb terminal: lines are read as they come.
            let _ = match settings.dumb {
                true => read_stdin(|line| typed.send(line).is_ok()),
                false => terminal::edit(Strings { place, uid, screen, typed, names }, &settings),
            };
        })?;
        spawn("typed").spawn(move || {
            take_all(&talk, &lines);
            ended();
        })?;
        Ok(())
    }
}

/// Asks the node who is here.
fn names(node: mpsc::Sender<Command>) -> impl Fn() -> Option<Vec<String>> {
    move || {
        let (ask, answer) = oneshot::channel();
        node.blocking_send(Command::Status(ask)).ok()?;
        let status = answer.blocking_recv().ok()?;
        Some(status.members.into_iter().map(|member| member.name.as_str().to_owned()).collect())
    }
}

fn take_all(talk: &Talk, lines: &Receiver<Typed>) {
    while let Ok(line) = lines.recv() {
        if !talk.take(&line) {
            return;
        }
    }
}

fn read(talk: &Talk) {
    if let Err(error) = read_stdin(|line| talk.take(&line)) {
        complain(format_args!("dist-chat: cannot read standard input: {error}"));
    }
}

/// Past the standard library's own buffer: whole chunks are taken.
fn read_stdin(take: impl FnMut(Typed) -> bool) -> io::Result<()> {
    pipe::read_lines(File::from(io::stdin().as_fd().try_clone_to_owned()?), take)
}
