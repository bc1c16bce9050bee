//! A person is asked at the terminal, and what is typed is not shown.

use std::fs::File;
use std::io;

use rpassword::prompt_password;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// The terminal that the process belongs to, whatever its standard input is.
const TERMINAL: &str = "/dev/tty";

/// Whether there is a person to ask: standard input or standard error is the terminal.
pub fn is_somebody_there() -> bool {
    (isatty(io::stdin()) || isatty(io::stderr())) && File::open(TERMINAL).is_ok()
}

/// Asks. Waits for an answer: not to be called where others wait too.
///
/// # Errors
/// There is no terminal, or the person wants out: [`io::ErrorKind::Interrupted`], [`io::ErrorKind::UnexpectedEof`].
pub fn ask(prompt: &str) -> io::Result<Zeroizing<String>> {
    prompt_password(prompt).map(Zeroizing::new)
}

/// Puts the terminal back to how it was found, where nobody waits for an answer any more.
#[derive(Debug)]
pub struct Restore(Option<(File, Termios)>);

impl Restore {
    /// Remembers how the terminal is.
    pub fn new() -> Self {
        let found = File::open(TERMINAL).ok();
        Self(found.and_then(|terminal| tcgetattr(&terminal).ok().map(|how| (terminal, how))))
    }

    /// Now.
    pub fn now(self) {
        if let Some((terminal, how)) = self.0 {
            let _ = tcsetattr(terminal, OptionalActions::Now, &how);
        }
    }
}

impl Default for Restore {
    fn default() -> Self {
        Self::new()
    }
}
