//! Asks the user for a secret at the terminal, without an echo.

use std::fs::File;
use std::io;

use rpassword::prompt_password;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// The controlling terminal of the process, even if standard input is something else.
const TERMINAL: &str = "/dev/tty";

/// Whether there is a user to ask: standard input or standard error is a terminal.
pub fn is_somebody_there() -> bool {
    (isatty(io::stdin()) || isatty(io::stderr())) && File::open(TERMINAL).is_ok()
}

/// Asks the user and blocks until there is an answer. Call it only where blocking is allowed.
///
/// # Errors
/// There is no terminal, or the user cancels: [`io::ErrorKind::Interrupted`], [`io::ErrorKind::UnexpectedEof`].
pub fn ask(prompt: &str) -> io::Result<Zeroizing<String>> {
    prompt_password(prompt).map(Zeroizing::new)
}

/// Restores the terminal's settings when the question is abandoned.
#[derive(Debug)]
pub struct EchoGuard(Option<(File, Termios)>);

impl EchoGuard {
    /// Saves the terminal's settings.
    pub fn new() -> Self {
        let found = File::open(TERMINAL).ok();
        Self(found.and_then(|terminal| tcgetattr(&terminal).ok().map(|how| (terminal, how))))
    }

    /// Restores the settings now.
    pub fn now(self) {
        if let Some((terminal, how)) = self.0 {
            let _ = tcsetattr(terminal, OptionalActions::Now, &how);
        }
    }
}

impl Default for EchoGuard {
    fn default() -> Self {
        Self::new()
    }
}
