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

/// The program with an environment of its own: nothing of the tester's reaches it.
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

/// How a node comes into its room.
#[derive(Clone, Copy, Debug)]
pub enum Enter {
    /// `-l`
    Create,
    /// `-na`, `-np`
    Join(SocketAddr),
    /// Neither: its files remember a room.
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
    /// The network namespace that it runs in.
    pub netns: Option<&'a str>,
    /// The directory of its files, and the file that takes its standard error; none: empty ones of its own, that go
    /// with it.
    pub home: Option<(&'a Path, &'a Path)>,
    /// The library that lies about the time, and the file that says by how much.
    pub clock: Option<(&'a Path, &'a Path)>,
    /// The file with the room's key.
    pub key: Option<&'a Path>,
    /// A build that lies, and how.
    pub lies: Option<(&'a Path, &'a str)>,
}

/// A running (or dead) process.
pub struct Node {
    pub name: String,
    pub addr: SocketAddr,
    pub screen: Arc<Screen>,
    netns: Option<String>,
    runtime: PathBuf,
    dir: PathBuf,
    stderr: PathBuf,
    /// Its own directory.
    own: Option<TempDir>,
    pid: Pid,
    child: Mutex<Child>,
    stdin: Arc<Mutex<Option<ChildStdin>>>,
}

impl Node {
    /// Starts a node.
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
            // The monotonic clock is left alone: nobody can set it on a real machine either.
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

    /// A handle that types.
    pub fn keyboard(&self) -> Keyboard {
        Keyboard(Arc::clone(&self.stdin))
    }

    /// Ends the input, upon which the node leaves.
    pub fn end_input(&self) {
        self.stdin.lock().unwrap().take();
    }

    pub fn signal(&self, signal: Signal) {
        let mut child = self.child.lock().unwrap();
        // Once reaped, the id may be somebody else's.
        if child.try_wait().unwrap().is_none() {
            kill_process(self.pid, signal).unwrap();
        }
    }

    /// Stops the process; returns when all its threads stand still.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        let (_, status) = waitpid(Some(self.pid), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{} has ended", self.name);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// kill -9; returns when the process is gone.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        self.child.lock().unwrap().wait().unwrap();
    }

    pub fn alive(&self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_none()
    }

    /// Waits until the node has ended by itself.
    pub fn ended(&self, until: Instant) -> ExitStatus {
        poll(&format!("{} ends", self.name), until, || self.child.lock().unwrap().try_wait().unwrap())
    }

    /// `status --json`, or what it said and its exit code.
    pub fn status(&self) -> Result<Value, String> {
        let (ip, port) = (self.addr.ip().to_string(), self.addr.port().to_string());
        let text = self.ask(&["status", "-a", &ip, "-p", &port, "--json"].map(OsStr::new))?;
        serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
    }

    /// `history --json`, or what it said and its exit code. The node need not run.
    pub fn history(&self) -> Result<Vec<Value>, String> {
        let port = self.addr.port().to_string();
        let mut args = ["history", "-p", &port, "--json", "--data-dir"].map(OsStr::new).to_vec();
        args.push(self.dir.as_os_str());
        let text = self.ask(&args)?;
        text.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))).collect()
    }

    /// Starts the program beside the node, as its user would; it is killed with its handle.
    pub fn beside(&self, args: &[&str]) -> Leash {
        let mut command = program(self.netns.as_deref(), self.runtime.as_os_str());
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Leash(command.spawn().unwrap())
    }

    /// A program's conversation with the node, as its user would start it: objects in, objects out.
    pub fn attached(&self) -> Leash {
        let (ip, port) = (self.addr.ip().to_string(), self.addr.port().to_string());
        let mut command = program(self.netns.as_deref(), self.runtime.as_os_str());
        command.args(["attach", "--json", "-a", &ip, "-p", &port]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Leash(command.spawn().unwrap())
    }

    /// Runs the program beside the node; returns what it wrote.
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

    /// `chat_<port>.log` as it is now.
    pub fn log(&self) -> String {
        let path = self.dir.join(format!("chat_{}.log", self.addr.port()));
        let bytes = std::fs::read(path).unwrap_or_default();
        String::from_utf8(bytes).expect("the log is UTF-8")
    }

    /// The chat lines in the log.
    pub fn log_chats(&self) -> Vec<Chat> {
        let text = self.log();
        // What follows the last line feed is still being written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().filter_map(Chat::from_log).collect()
    }

    /// The directory of its files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its process's id; while it is alive.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// What it said on standard error.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Resident bytes now and at their highest, where the system tells.
    pub fn memory(&self) -> Option<(u64, u64)> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid.as_raw_nonzero())).ok()?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
        };
        Some((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// Waits until `f` finds something on the screen; fails with `what` if it is not there in time.
    pub fn wait<T>(&self, what: &str, until: Instant, f: impl FnMut(&super::Shown) -> Option<T>) -> T {
        self.screen.wait(until, f).unwrap_or_else(|| panic!("not in time: {} {what}", self.name))
    }

    /// Waits until this text is shown; returns when it was.
    pub fn shows(&self, text: &str, until: Instant) -> Instant {
        self.wait(&format!("shows {text:?}"), until, |shown| shown.first.get(text).copied())
    }

    /// What a person would look at after a failure.
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

/// Types lines into a node.
#[derive(Clone)]
pub struct Keyboard(Arc<Mutex<Option<ChildStdin>>>);

impl Keyboard {
    /// Types these bytes; fails when nobody reads any more.
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

/// A child that does not outlive its handle.
pub struct Leash(pub Child);

impl Drop for Leash {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
