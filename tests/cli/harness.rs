//! Real processes, each in a directory of its own, and waits that fail with the output so far.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_dist-chat");
/// The longest wait for anything in these tests.
pub const LONG: Duration = Duration::from_secs(30);

/// A directory that is removed together with this value.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/tmp/dist-chat-cli-{}-{n}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The content of the chat log of the node at that port.
    pub fn log(&self, port: u16) -> String {
        fs::read_to_string(self.0.join(format!("chat_{port}.log"))).unwrap_or_default()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A command for the program with an environment of its own: no variable of the tester reaches the program.
pub fn program(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).current_dir(dir).env("XDG_RUNTIME_DIR", dir).env("USER", "user");
    for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("DIST_CHAT_")) {
        command.env_remove(key);
    }
    // The program does not read the tester's configuration file either.
    command.env("DIST_CHAT_CONFIG", "");
    command
}

/// The exit code and the output of a run that ended by itself.
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs a command with this input until it ends.
pub fn run(mut command: Command, input: &[u8]) -> Ended {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The program may end before it has read all its input.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs the program without input until it ends.
pub fn run_args(args: &[&str]) -> Ended {
    let dir = Dir::new();
    run(program(&dir.0, args), b"")
}

/// A running node.
pub struct Node {
    pub dir: Dir,
    pub port: u16,
    child: Child,
    stdin: Option<ChildStdin>,
    out: Lines,
    err: Lines,
}

impl Node {
    /// Starts a node with this name, which creates a room.
    pub fn found(name: &str) -> Self {
        Self::start(&["-l", "-p", "0", "-n", name])
    }

    /// Starts a node with this name, which joins the room of `through`.
    pub fn join(name: &str, through: &Node) -> Self {
        Self::start(&["-p", "0", "-n", name, "-na", "127.0.0.1", "-np", &through.port.to_string()])
    }

    /// Starts a node with these arguments and waits until it is in its room.
    pub fn start(args: &[&str]) -> Self {
        let dir = Dir::new();
        let command = program(&dir.0, args);
        Self::spawn(dir, command)
    }

    /// Starts a node by this command and waits until it is in its room.
    pub fn spawn(dir: Dir, mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = Lines::of(child.stdout.take().unwrap());
        let err = Lines::of(child.stderr.take().unwrap());
        let stdin = child.stdin.take();
        let mut node = Self { dir, port: 0, child, stdin, out, err };
        let welcome = node.wait_for("/// you are ");
        let address = welcome.split(['(', ')']).nth(1).unwrap();
        node.port = address.rsplit(':').next().unwrap().parse().unwrap();
        node
    }

    /// Types these bytes.
    pub fn feed(&mut self, bytes: impl AsRef<[u8]>) {
        self.stdin.as_mut().unwrap().write_all(bytes.as_ref()).unwrap();
    }

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The input of the node, for another thread.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().unwrap()
    }

    /// The further lines of the node's standard output, for another thread.
    pub fn take_lines(&mut self) -> impl Iterator<Item = String> + Send + use<> {
        std::mem::replace(&mut self.out, Lines::none()).lines.into_iter()
    }

    /// Kills the process with `SIGKILL`; its directory stays.
    pub fn kill(mut self) -> Dir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.dir, Dir::new())
    }

    /// Ends the node's input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Reads standard output up to the first line that contains `part`; returns that line.
    pub fn wait_for(&mut self, part: &str) -> String {
        self.out.wait_for(part)
    }

    /// Reads standard error up to the first line that contains `part`; returns that line.
    pub fn wait_for_error(&mut self, part: &str) -> String {
        self.err.wait_for(part)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Stops all threads of the process, as closing a laptop does.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.child.id());
        let stopped = |task: fs::DirEntry| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        };
        until("all threads stand still", || fs::read_dir(&tasks).unwrap().all(|task| stopped(task.unwrap())));
    }

    /// Waits until the process has ended. Returns the exit code, the unread lines of standard output, and the
    /// directory.
    pub fn wait(mut self) -> (i32, Vec<String>, Dir) {
        let until = Instant::now() + LONG;
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < until, "it does not end; seen: {:#?}", self.out.seen);
            std::thread::sleep(Duration::from_millis(5));
        };
        let rest = self.out.rest();
        (code, rest, std::mem::replace(&mut self.dir, Dir::new()))
    }

    /// Ends the input, so that the node leaves, and waits as [`wait`](Self::wait) does.
    pub fn leave(mut self) -> (i32, Vec<String>, Dir) {
        self.end_input();
        self.wait()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines of a stream that a thread reads.
struct Lines {
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    fn none() -> Self {
        Self { lines: channel().1, seen: Vec::new() }
    }

    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                if line.is_ok_and(|line| sender.send(line).is_err()) {
                    return;
                }
            }
        });
        Self { lines, seen: Vec::new() }
    }

    fn wait_for(&mut self, part: &str) -> String {
        let until = Instant::now() + LONG;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(error @ (RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)) => {
                    panic!("no line with {part:?} ({error}); seen: {:#?}", self.seen)
                }
            }
        }
    }

    fn rest(&mut self) -> Vec<String> {
        self.lines.iter().collect()
    }
}

/// Waits until `holds` returns `true`; fails with `what` if it does not in time.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The chat lines of a log: `TS: NAME(IP:PORT): text`.
pub fn chat_lines(log: &str) -> Vec<&str> {
    let shaped = |line: &&str| {
        let Some((ts, rest)) = line.split_once(": ") else { return false };
        ts.parse::<u64>().is_ok() && dist_chat::text::is_chat_shaped(rest)
    };
    log.lines().filter(shaped).collect()
}
