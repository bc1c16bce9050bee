//! One process of the program, its files and its pipes.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::Value;
use tempfile::TempDir;

use super::screen::{Chat, Screen};
use super::{poll, soon};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_dist-chat");

/// A command for the program with an environment of its own: no variable of the tester reaches the program.
pub fn program(netns: Option<&str>, runtime: &OsStr) -> Command {
    isolated(Path::new(PROGRAM), netns, runtime)
}

fn isolated(program: &Path, netns: Option<&str>, runtime: &OsStr) -> Command {
    let mut command = match netns {
        Some(netns) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", netns]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.env_clear().env("XDG_RUNTIME_DIR", runtime).env("RUST_BACKTRACE", "1").env("DIST_CHAT_CONFIG", "");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// How a node gets into its room.
#[derive(Clone, Copy, Debug)]
pub enum Enter {
    /// The node creates the room: `-l`.
    Create,
    /// The node joins through this contact: `-na`, `-np`.
    Join(SocketAddr),
    /// The node gets no such flag, because its files remember a room.
    Return,
}

/// Where and how a node starts.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    pub name: &'a str,
    pub addr: SocketAddr,
    pub enter: Enter,
    /// The user's runtime directory.
    pub runtime: &'a Path,
    /// The network namespace in which the node runs.
    pub netns: Option<&'a str>,
    /// The directory of the node's files, and the file that takes its standard error. With `None`, the node gets an
    /// empty directory of its own, which is removed together with the [`Node`].
    pub home: Option<(&'a Path, &'a Path)>,
    /// The library that changes the time for the node, and the file that says by how much.
    pub clock: Option<(&'a Path, &'a Path)>,
    /// The file with the room's key.
    pub key: Option<&'a Path>,
    /// A build of the program that lies, and the name of the lie.
    pub lies: Option<(&'a Path, &'a str)>,
}

/// One process of the program, running or dead.
pub struct Node {
    pub name: String,
    pub addr: SocketAddr,
    pub screen: Arc<Screen>,
    netns: Option<String>,
    runtime: PathBuf,
    dir: PathBuf,
    stderr: PathBuf,
    /// The node's own directory, if the test gave it none.
    own: Option<TempDir>,
    pid: Pid,
    child: Mutex<Child>,
    stdin: Arc<Mutex<Option<ChildStdin>>>,
}

impl Node {
    /// Starts the process.
    pub fn start(start: Start) -> Self {
        let Start { name, addr, enter, runtime, netns, home, clock, key, lies } = start;
        let own = home.is_none().then(|| tempfile::Builder::new().prefix("dc-").tempdir().unwrap());
        let (dir, stderr) = match (home, &own) {
            (Some((dir, stderr)), _) => (dir.to_owned(), stderr.to_owned()),
            (None, Some(own)) => (own.path().to_owned(), own.path().join("stderr")),
            (None, None) => unreachable!("it has a home or one of its own"),
        };
        let mut command = isolated(lies.map_or(Path::new(PROGRAM), |lies| lies.0), netns, runtime.as_os_str());
        if let Some((_, how)) = lies {
            command.env("DIST_CHAT_FORGE", how);
        }
        command.args(["-a", &addr.ip().to_string(), "-p", &addr.port().to_string(), "-n", name]);
        match enter {
            Enter::Create => {
                command.arg("-l");
            }
            Enter::Join(contact) => {
                command.args(["-na", &contact.ip().to_string(), "-np", &contact.port().to_string()]);
            }
            Enter::Return => {}
        }
        command.arg("--data-dir").arg(&dir);
        if let Some(key) = key {
            command.arg("--key-file").arg(key);
        }
        if let Some((library, file)) = clock {
            // The library leaves the monotonic clock alone: no user can set it on a real machine either.
            command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", file);
            command.env("FAKETIME_CACHE_DURATION", "1").env("DONT_FAKE_MONOTONIC", "1");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(File::options().create(true).append(true).open(&stderr).unwrap());
        let mut child = command.spawn().unwrap();
        let screen = Screen::read(child.stdout.take().unwrap());
        let stdin = Arc::new(Mutex::new(child.stdin.take()));
        Self {
            name: name.into(),
            addr,
            screen,
            netns: netns.map(str::to_owned),
            runtime: runtime.to_owned(),
            dir,
            stderr,
            own,
            pid: Pid::from_child(&child),
            child: Mutex::new(child),
            stdin,
        }
    }

    /// Types a line.
    pub fn say(&self, text: &str) {
        self.keyboard().line(text).unwrap();
    }

    /// A handle that types into this node.
    pub fn keyboard(&self) -> Keyboard {
        Keyboard(Arc::clone(&self.stdin))
    }

    /// Ends the node's input; the node then leaves.
    pub fn end_input(&self) {
        self.stdin.lock().unwrap().take();
    }

    pub fn signal(&self, signal: Signal) {
        let mut child = self.child.lock().unwrap();
        // After this process has reaped the child, another process may have its id.
        if child.try_wait().unwrap().is_none() {
            kill_process(self.pid, signal).unwrap();
        }
    }

    /// Stops the process; returns when all its threads have stopped.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        let (_, status) = waitpid(Some(self.pid), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{} has ended", self.name);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills the process with `SIGKILL`; returns when it is gone.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        self.child.lock().unwrap().wait().unwrap();
    }

    pub fn alive(&self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_none()
    }

    /// Waits until the node has ended by itself; returns its exit status.
    pub fn ended(&self, until: Instant) -> ExitStatus {
        poll(&format!("{} ends", self.name), until, || self.child.lock().unwrap().try_wait().unwrap())
    }

    /// The output of `status --json`. Fails with the program's error text and its exit code.
    pub fn status(&self) -> Result<Value, String> {
        let (ip, port) = (self.addr.ip().to_string(), self.addr.port().to_string());
        let text = self.ask(&["status", "-a", &ip, "-p", &port, "--json"].map(OsStr::new))?;
        serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
    }

    /// The output of `history --json`; the node need not run. Fails with the program's error text and its exit code.
    pub fn history(&self) -> Result<Vec<Value>, String> {
        let port = self.addr.port().to_string();
        let mut args = ["history", "-p", &port, "--json", "--data-dir"].map(OsStr::new).to_vec();
        args.push(self.dir.as_os_str());
        let text = self.ask(&args)?;
        text.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))).collect()
    }

    /// Starts the program beside the node, as its user does. Dropping the handle kills the program.
    pub fn beside(&self, args: &[&str]) -> Leash {
        let mut command = program(self.netns.as_deref(), self.runtime.as_os_str());
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Leash(command.spawn().unwrap())
    }

    /// Starts the program that attaches to the node, as its user does: it reads and writes JSON objects.
    pub fn attached(&self) -> Leash {
        let (ip, port) = (self.addr.ip().to_string(), self.addr.port().to_string());
        let mut command = program(self.netns.as_deref(), self.runtime.as_os_str());
        command.args(["attach", "--json", "-a", &ip, "-p", &port]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Leash(command.spawn().unwrap())
    }

    /// Runs the program beside the node until it ends; returns its standard output.
    fn ask(&self, args: &[&OsStr]) -> Result<String, String> {
        let mut command = program(self.netns.as_deref(), self.runtime.as_os_str());
        command.args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Leash(command.spawn().unwrap());
        let mut stdout = child.0.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).map(|_| text)
        });
        let ended = soon(10);
        while !reader.is_finished() {
            if Instant::now() > ended {
                return Err(format!("{args:?} does not answer within 10 s"));
            }
            super::pause();
        }
        let text = reader.join().unwrap().map_err(|error| error.to_string())?;
        let code = child.0.wait().unwrap();
        if !code.success() {
            let mut said = String::new();
            let _ = child.0.stderr.take().unwrap().read_to_string(&mut said);
            return Err(format!("{code}: {said}"));
        }
        Ok(text)
    }

    /// The present content of `chat_<port>.log`.
    pub fn log(&self) -> String {
        let path = self.dir.join(format!("chat_{}.log", self.addr.port()));
        let bytes = std::fs::read(path).unwrap_or_default();
        String::from_utf8(bytes).expect("the log is UTF-8")
    }

    /// The chat lines in the log.
    pub fn log_chats(&self) -> Vec<Chat> {
        let text = self.log();
        // The node may still be writing the text after the last line feed.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().filter_map(Chat::from_log).collect()
    }

    /// The directory of the node's files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The id of the process, valid as long as the process is alive.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// The text that the node has written to standard error.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// The node's resident memory in bytes, now and at its highest; `None` where the system does not report it.
    pub fn memory(&self) -> Option<(u64, u64)> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid.as_raw_nonzero())).ok()?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
        };
        Some((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// Waits until `f` finds something on the screen. Fails with `what` if `f` finds nothing before `until`.
    pub fn wait<T>(&self, what: &str, until: Instant, f: impl FnMut(&super::Shown) -> Option<T>) -> T {
        self.screen.wait(until, f).unwrap_or_else(|| panic!("not in time: {} {what}", self.name))
    }

    /// Waits until the screen shows this text; returns the moment at which the screen first showed it.
    pub fn shows(&self, text: &str, until: Instant) -> Instant {
        self.wait(&format!("shows {text:?}"), until, |shown| shown.first.get(text).copied())
    }

    /// The facts about this node that a person needs after a failed test.
    pub fn portrait(&self) -> String {
        let last = |lines: Vec<&str>| lines[lines.len().saturating_sub(15)..].join("\n    ");
        let (chats, events) = self.screen.look(|shown| (shown.chats.len(), shown.events.clone()));
        let log = self.log();
        format!(
            "== {} {} pid {} alive {} chats shown {chats}, files kept in {}\n  status {}\n  log:\n    {}\n  events:\n    {}\n  \
             stderr:\n    {}",
            self.name,
            self.addr,
            self.pid.as_raw_nonzero(),
            self.alive(),
            self.dir.display(),
            if self.alive() { self.status().map_or_else(|e| e, |v| v.to_string()) } else { "-".into() },
            last(log.lines().collect()),
            last(events.iter().map(|(_, line)| line.as_str()).collect()),
            last(self.stderr().lines().collect()),
        )
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            own.disable_cleanup(std::thread::panicking());
        }
        let mut child = self.child.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A handle that types lines into a node.
#[derive(Clone)]
pub struct Keyboard(Arc<Mutex<Option<ChildStdin>>>);

impl Keyboard {
    /// Types these bytes; fails when the node no longer reads its input.
    pub fn bytes(&self, bytes: &[u8]) -> std::io::Result<()> {
        match self.0.lock().unwrap().as_mut() {
            Some(stdin) => stdin.write_all(bytes),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }

    pub fn line(&self, text: &str) -> std::io::Result<()> {
        self.bytes(format!("{text}\n").as_bytes())
    }
}

/// A child process that ends together with its handle.
pub struct Leash(pub Child);

impl Drop for Leash {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
