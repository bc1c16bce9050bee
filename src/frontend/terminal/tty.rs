//! The terminal itself: its modes, its size, what comes from it.

use std::io::{self, Write as _};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{InputModes, LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

use super::display::Size;
use crate::frontend::input::decoder::Decoder;
use crate::frontend::input::keys::Key;

/// After the escape key for so long nothing that would make it a sequence has to come.
const ESCAPE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Bytes read at once.
const READ_BYTES: usize = 4096;

const PASTE_ON: &[u8] = b"\x1b[?2004h";
const PASTE_OFF: &[u8] = b"\x1b[?2004l";

/// Writes all of it at once.
pub fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Writes if that needs no waiting, neither for the terminal nor for another thread that waits for it.
pub fn write_if_taken(bytes: &[u8]) {
    let out = io::stdout();
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut [PollFd::new(&out, PollFlags::OUT)], Some(&now)).is_ok_and(|ready| ready > 0) {
        let _ = rustix::io::write(&out, bytes);
    }
}

/// How large the terminal is; 80 to 24 where it does not say.
pub fn size() -> Size {
    tcgetwinsize(io::stdout()).map_or(Size::of(0, 0), |size| Size::of(size.ws_col, size.ws_row))
}

/// A terminal that is ours: at first it only does not show what is typed too early, then it gives each key as it is
/// typed.
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
    /// Takes the terminal.
    ///
    /// # Errors
    /// There is none.
    pub fn quiet() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut modes = before.clone();
        modes.local_modes &= !LocalModes::ECHO;
        tcsetattr(io::stdin(), OptionalActions::Now, &modes)?;
        Ok(Self { before, state: TtyState::Quiet })
    }

    /// From here on it gives keys.
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

    /// Gives the terminal back as it was.
    pub fn leave(&mut self) {
        let state = std::mem::replace(&mut self.state, TtyState::Left);
        if state == TtyState::Keys {
            let _ = write(PASTE_OFF);
        }
        if state != TtyState::Left {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
        }
    }

    /// Stops this process, as Ctrl-Z does elsewhere, and comes back when the shell continues it.
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

/// Reads keys until `take` wants no more; `None`: the terminal is gone.
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

/// Past the standard library's buffer: only so it is known whether more is there. `None`: not in time.
fn next(decoder: &Decoder, bytes: &mut [u8]) -> Result<Option<usize>, Errno> {
    let stdin = io::stdin();
    if decoder.is_waiting() && poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&ESCAPE))? == 0 {
        return Ok(None);
    }
    read(&stdin, bytes).map(Some)
}

/// Calls `changed` when it begins to watch, and whenever the size has changed, until it wants no more.
///
/// # Errors
/// The system gives no more signals.
pub fn watch_size(mut changed: impl FnMut() -> bool) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut changes = signal(SignalKind::window_change())?;
        while changed() && changes.recv().await.is_some() {}
        Ok(())
    })
}
