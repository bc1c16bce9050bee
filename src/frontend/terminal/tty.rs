//! The terminal device: its modes, its size, its bytes.

use std::io::{self, Write as _};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{InputModes, LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

use super::display::Size;
use crate::frontend::input::decoder::Decoder;
use crate::frontend::input::keys::Key;

/// If nothing follows an escape byte for this long, the user pressed the escape key.
const ESCAPE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Bytes of one read.
const READ_BYTES: usize = 4096;

const PASTE_ON: &[u8] = b"\x1b[?2004h";
const PASTE_OFF: &[u8] = b"\x1b[?2004l";

/// Writes and flushes all bytes.
pub fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Writes only if that does not block, neither on the terminal nor on another thread's lock of standard output.
pub fn write_if_taken(bytes: &[u8]) {
    let out = io::stdout();
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut [PollFd::new(&out, PollFlags::OUT)], Some(&now)).is_ok_and(|ready| ready > 0) {
        let _ = rustix::io::write(&out, bytes);
    }
}

/// The terminal's size; 80 by 24 if the terminal reports none.
pub fn size() -> Size {
    tcgetwinsize(io::stdout()).map_or(Size::of(0, 0), |size| Size::of(size.ws_col, size.ws_row))
}

/// A terminal under the editor's control. First it only stops to echo early typing; then it delivers each key at once.
#[derive(Debug)]
pub struct Raw {
    before: Termios,
    state: TtyState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TtyState {
    Quiet,
    Keys,
    Left,
}

impl Raw {
    /// Takes the terminal and turns its echo off.
    ///
    /// # Errors
    /// Standard input is no terminal.
    pub fn quiet() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut modes = before.clone();
        modes.local_modes &= !LocalModes::ECHO;
        tcsetattr(io::stdin(), OptionalActions::Now, &modes)?;
        Ok(Self { before, state: TtyState::Quiet })
    }

    /// Makes the terminal deliver each key at once.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn give_keys(&mut self) -> io::Result<()> {
        let mut modes = self.before.clone();
        modes.local_modes &= !(LocalModes::ECHO | LocalModes::ICANON | LocalModes::IEXTEN | LocalModes::ISIG);
        modes.input_modes &=
            !(InputModes::BRKINT | InputModes::ICRNL | InputModes::INPCK | InputModes::ISTRIP | InputModes::IXON);
        tcsetattr(io::stdin(), OptionalActions::Drain, &modes)?;
        self.state = TtyState::Keys;
        write(PASTE_ON)
    }

    /// Restores the terminal's settings.
    pub fn leave(&mut self) {
        let state = std::mem::replace(&mut self.state, TtyState::Left);
        if state == TtyState::Keys {
            let _ = write(PASTE_OFF);
        }
        if state != TtyState::Left {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
        }
    }

    /// Stops the process, as Ctrl-Z does elsewhere; returns when the shell continues it.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.leave();
        kill_process(getpid(), Signal::TSTP)?;
        self.before = tcgetattr(io::stdin())?;
        self.give_keys()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Reads keys until `take` returns `false`. `take` gets `None` when the terminal is gone.
pub fn read_keys(mut take: impl FnMut(Option<Key>) -> bool) {
    let (mut decoder, mut keys, mut bytes) = (Decoder::default(), Vec::new(), [0; READ_BYTES]);
    loop {
        match next(&decoder, &mut bytes) {
            Ok(None) => decoder.give_up(&mut keys),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Ok(Some(0)) | Err(_) => {
                take(None);
                return;
            }
            Ok(Some(got)) => decoder.push(&bytes[..got], &mut keys),
        }
        if !keys.drain(..).all(|key| take(Some(key))) {
            return;
        }
    }
}

/// Reads without the standard library's buffer, since only then `poll` knows whether more bytes wait. `None`: no byte
/// came in time.
fn next(decoder: &Decoder, bytes: &mut [u8]) -> Result<Option<usize>, Errno> {
    let stdin = io::stdin();
    if decoder.is_waiting() && poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&ESCAPE))? == 0 {
        return Ok(None);
    }
    read(&stdin, bytes).map(Some)
}

/// Calls `changed` at once and at every change of the size, until it returns `false`.
///
/// # Errors
/// The system gives no more signal handlers.
pub fn watch_size(mut changed: impl FnMut() -> bool) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut changes = signal(SignalKind::window_change())?;
        while changed() && changes.recv().await.is_some() {}
        Ok(())
    })
}
