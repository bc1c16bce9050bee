//! The program on a pseudo-terminal; an emulated screen shows its output.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::os::fd::AsFd as _;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

use crate::harness::{Dir, LONG, Node, PROGRAM};

/// The sequence with which the program ends each drawing.
const DRAWN: &[u8] = b"\x1b[?2026l";
/// The number of lines that the emulated terminal keeps after they have left the screen.
const SCROLLBACK_LINES: usize = 10_000;

/// Counts the bells that the program rings.
#[derive(Default)]
pub struct Bells(pub usize);

impl vt100::Callbacks for Bells {
    fn audible_bell(&mut self, _: &mut vt100::Screen) {
        self.0 += 1;
    }
}

/// The program's output, as bytes and as an emulated screen.
pub struct Seen {
    parser: vt100::Parser<Bells>,
    /// All bytes that the program has written.
    pub bytes: Vec<u8>,
    /// The text behind ann's prompt after each drawing; equal texts in a row stand once.
    pub frames: Vec<String>,
    closed: bool,
}

impl Seen {
    fn push(&mut self, bytes: &[u8]) {
        let mut fed = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        // The sequence may begin in the bytes of an earlier read.
        let mut from = fed.saturating_sub(DRAWN.len() - 1);
        while let Some(at) = memchr::memmem::find(&self.bytes[from..], DRAWN) {
            from += at + DRAWN.len();
            self.parser.process(&self.bytes[fed..from]);
            fed = from;
            let typed = self.typed("> ann(");
            let typed = typed.and_then(|typed| Some(typed.split_once("):")?.1.trim_start().to_owned()));
            let typed = typed.unwrap_or_else(|| format!("no prompt: {:?}", self.rows()));
            if self.frames.last() != Some(&typed) {
                self.frames.push(typed);
            }
        }
        self.parser.process(&self.bytes[fed..]);
    }

    /// The rows of the screen that are not empty, without the spaces at their ends.
    pub fn rows(&self) -> Vec<String> {
        let screen = self.parser.screen();
        let rows = screen.rows(0, screen.size().1.get());
        rows.map(|row| row.trim_end().to_owned()).filter(|row| !row.is_empty()).collect()
    }

    /// The text on the screen behind the last prompt.
    pub fn typed(&self, prompt: &str) -> Option<String> {
        let screen = self.parser.screen();
        let rows: Vec<String> = screen.rows(0, screen.size().1.get()).collect();
        let at = rows.iter().rposition(|row| row.starts_with(prompt))?;
        let text = rows[at..].concat();
        Some(text.strip_prefix(prompt).unwrap_or_default().trim_start_matches(' ').trim_end().to_owned())
    }

    /// The text on the screen between the last prompt and the cursor.
    pub fn before_cursor(&self, prompt: &str) -> Option<String> {
        let screen = self.parser.screen();
        let (row, column) = screen.cursor_position();
        let rows: Vec<String> = screen.rows(0, screen.size().1.get()).collect();
        let at = rows.iter().rposition(|row| row.starts_with(prompt))?;
        let mut text = rows[at..usize::from(row)].concat();
        text.push_str(&screen.rows(0, column).nth(usize::from(row))?);
        Some(text.strip_prefix(prompt).unwrap_or(&text).trim_start_matches(' ').trim_end().to_owned())
    }

    /// Every row that the screen ever showed, the oldest first.
    pub fn everything(&mut self) -> Vec<String> {
        let screen = self.parser.screen_mut();
        let columns = screen.size().1.get();
        let mut all = Vec::new();
        for back in (1..=screen.scrollback_len()).rev() {
            screen.set_scrollback(back);
            all.extend(screen.rows(0, columns).next());
        }
        screen.set_scrollback(0);
        all.extend(screen.rows(0, columns));
        all
    }

    /// Whether a row contains `part`.
    pub fn has(&self, part: &str) -> bool {
        self.rows().iter().any(|row| row.contains(part))
    }

    /// Whether the program shows the terminal's alternate screen.
    pub fn is_full_screen(&self) -> bool {
        self.parser.screen().alternate_screen()
    }

    /// How often the program rang the bell.
    pub fn bells(&self) -> usize {
        self.parser.callbacks().0
    }
}

/// Starts the program on a pseudo-terminal, without a thread that reads its output.
pub fn spawn(args: &[&str], variables: &[(&str, &str)]) -> (Dir, Pty, Child) {
    let dir = Dir::new();
    let (pty, child) = spawn_in(&dir, args, variables);
    (dir, pty, child)
}

/// Like [`spawn`], in this directory.
pub fn spawn_in(dir: &Dir, args: &[&str], variables: &[(&str, &str)]) -> (Pty, Child) {
    let (pty, pts) = open().unwrap();
    pty.resize(Size::new(24, 80)).unwrap();
    let mut command = Command::new(PROGRAM).args(args).current_dir(&dir.0);
    for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("DIST_CHAT_")) {
        command = command.env_remove(key);
    }
    command = command
        .env("XDG_RUNTIME_DIR", &dir.0)
        .env("TERM", "xterm-256color")
        .env("DIST_CHAT_CONFIG", "")
        .env_remove("NO_COLOR");
    let child = command.envs(variables.iter().copied()).spawn(pts).unwrap();
    (pty, child)
}

/// A program on a pseudo-terminal, and a thread that reads its output.
pub struct Term {
    pub dir: Dir,
    /// The beginning of the prompt, `> NAME(IP:PORT):`, once the test knows it.
    pub prompt: String,
    pty: Pty,
    child: Child,
    shared: Arc<(Mutex<Seen>, Condvar)>,
}

impl Term {
    /// Starts ann, which joins bob's room, on a terminal of 80 columns and 24 rows; waits for the prompt.
    pub fn join(bob: &Node, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let port = bob.port.to_string();
        let args = [&["-p", "0", "-n", "ann", "-na", "127.0.0.1", "-np", &port], args].concat();
        let mut term = Self::start(&args, variables);
        let mut prompt = String::new();
        term.wait("the prompt", |seen| {
            let rows = seen.rows();
            let row = rows.last().filter(|row| row.starts_with("> ann("));
            prompt = row.cloned().unwrap_or_default();
            prompt.ends_with("):")
        });
        term.prompt = prompt;
        term
    }

    /// Starts the program with these arguments and variables.
    pub fn start(args: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::start_in(Dir::new(), args, variables)
    }

    /// Like [`start`](Self::start), in this directory.
    pub fn start_in(dir: Dir, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let (pty, child) = spawn_in(&dir, args, variables);
        let size = |n| NonZero::new(n).unwrap();
        let parser = vt100::Parser::new_with_callbacks(size(24), size(80), SCROLLBACK_LINES, Bells::default());
        let seen = Seen { parser, bytes: Vec::new(), frames: Vec::new(), closed: false };
        let shared = Arc::new((Mutex::new(seen), Condvar::new()));
        let (mut out, writer) = (File::from(pty.as_fd().try_clone_to_owned().unwrap()), Arc::clone(&shared));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                // The read fails once the last process that had the terminal open has closed it.
                let got = out.read(&mut bytes).unwrap_or(0);
                let mut seen = writer.0.lock().unwrap();
                seen.push(&bytes[..got]);
                seen.closed = got == 0;
                writer.1.notify_all();
                if got == 0 {
                    return;
                }
            }
        });
        Self { dir, prompt: String::new(), pty, child, shared }
    }

    /// Presses keys.
    pub fn keys(&mut self, keys: &str) {
        self.pty.write_all(keys.as_bytes()).unwrap();
    }

    /// Pastes this text.
    pub fn paste(&mut self, text: &str) {
        self.keys(&format!("\x1b[200~{text}\x1b[201~"));
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        let size = |n| NonZero::new(n).unwrap();
        self.shared.0.lock().unwrap().parser.screen_mut().set_size(size(rows), size(columns));
        self.pty.resize(Size::new(rows, columns)).unwrap();
    }

    /// Waits until `holds` returns `true` for the output; fails with `what` if it does not in time.
    pub fn wait(&self, what: &str, mut holds: impl FnMut(&mut Seen) -> bool) {
        let until = Instant::now() + LONG;
        let mut seen = self.shared.0.lock().unwrap();
        while !holds(&mut seen) {
            let left = until.saturating_duration_since(Instant::now());
            let rows = seen.rows();
            assert!(!left.is_zero() && !seen.closed, "in vain: {what}; the screen:\n{}", rows.join("\n"));
            seen = self.shared.1.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Waits until the screen ends with the prompt and exactly this text.
    pub fn wait_typed(&self, text: &str) {
        self.wait(&format!("`{text}` behind the prompt"), |seen| {
            seen.typed(&self.prompt).is_some_and(|typed| typed == text.trim_end())
        });
    }

    /// Waits until exactly this text stands between the prompt and the cursor.
    pub fn wait_cursor(&self, before: &str) {
        self.wait(&format!("`{before}` before the cursor"), |seen| {
            seen.before_cursor(&self.prompt).is_some_and(|typed| typed == before.trim_end())
        });
    }

    /// Waits until a row contains `part`.
    pub fn wait_row(&self, part: &str) {
        self.wait(&format!("a row with `{part}`"), |seen| seen.has(part));
    }

    /// Calls `f` with the output so far.
    pub fn look<T>(&self, f: impl FnOnce(&mut Seen) -> T) -> T {
        f(&mut self.shared.0.lock().unwrap())
    }

    /// Waits until the program has ended; returns its exit code.
    pub fn ended(&mut self) -> i32 {
        let mut code = None;
        crate::harness::until("the program ends", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        code.and_then(|status| status.code()).unwrap_or(-1)
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
