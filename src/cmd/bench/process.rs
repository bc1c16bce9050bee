//! Whole nodes: starts this program as children with pipes, and ends them by their process ids.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;
use serde_json::Value;

use super::lab::wait_until;
use super::plan::LOOPBACK;

/// Called for each chat line that a node shows, with the node's place, the time and the line's text.
pub type Ear = std::sync::Arc<dyn Fn(usize, Instant, &[u8]) + Send + Sync>;

/// The files of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// A log and a history, as by default.
    Files,
    /// No files: `--ephemeral`.
    Nothing,
}

/// A room of whole nodes on this machine. Dropping it ends all nodes.
pub struct ProcessRoom {
    program: PathBuf,
    /// The directory of the nodes' files, removed at the end.
    files: PathBuf,
    keep: Keep,
    ear: Ear,
    nodes: Vec<BenchNode>,
}

/// One node.
struct BenchNode {
    address: SocketAddr,
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Drop for BenchNode {
    fn drop(&mut self) {
        // The child may have ended by itself. Either way it is reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for ProcessRoom {
    fn drop(&mut self) {
        self.nodes.clear();
        let _ = std::fs::remove_dir_all(&self.files);
    }
}

impl ProcessRoom {
    /// Forms a room of `count` nodes that all see each other. The first node founds it.
    ///
    /// # Errors
    /// A node does not start, or the room does not form.
    pub fn form(program: &Path, count: usize, keep: Keep, ear: Ear) -> anyhow::Result<Self> {
        let files = std::env::temp_dir().join(format!("dist-chat-bench-{}", std::process::id()));
        std::fs::create_dir_all(&files).with_context(|| format!("cannot create {}", files.display()))?;
        let mut room = Self { program: program.to_path_buf(), files, keep, ear, nodes: Vec::new() };
        // Takes free ports, and holds all of them until every port is known.
        let held = (0..count).map(|_| TcpListener::bind((LOOPBACK, 0))).collect::<Result<Vec<_>, _>>()?;
        let addresses = held.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
        drop(held);
        for (k, &address) in addresses.iter().enumerate() {
            let contact = addresses.first().filter(|_| k > 0).copied();
            let node = room.start(k, address, contact)?;
            room.nodes.push(node);
            if k == 0 {
                wait_until("the first node opens its room", || Ok(room.status(0).is_some()))?;
            }
        }
        room.wait_whole()?;
        Ok(room)
    }

    fn start(&self, k: usize, address: SocketAddr, contact: Option<SocketAddr>) -> anyhow::Result<BenchNode> {
        let mut command = Command::new(&self.program);
        command.arg("-a").arg(address.ip().to_string()).arg("-p").arg(address.port().to_string());
        command.arg("-n").arg(format!("node{k}")).arg("--data-dir").arg(&self.files);
        // The user's configuration and rate limits must not change what is measured.
        command.env("DIST_CHAT_CONFIG", "");
        command.args(["--rate-limit", "0"]);
        if self.keep == Keep::Nothing {
            command.arg("--ephemeral");
        }
        match contact {
            None => command.arg("-l"),
            Some(to) => command.arg("-na").arg(to.ip().to_string()).arg("-np").arg(to.port().to_string()),
        };
        let errors = std::fs::File::create(self.files.join(format!("stderr-{k}")))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", self.program.display()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("a child without standard output")?;
        let ear = std::sync::Arc::clone(&self.ear);
        let node = BenchNode { address, child, stdin };
        // The thread ends with the child's standard output.
        std::thread::Builder::new().name(format!("node{k}")).spawn(move || {
            let mut reader = BufReader::with_capacity(64 * 1024, stdout);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                if let Some(text) = chat_text(&line) {
                    ear(k, Instant::now(), text);
                }
                line.clear();
            }
        })?;
        Ok(node)
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Takes the pipe to a node's standard input. Works once.
    ///
    /// # Errors
    /// The pipe was already taken.
    pub fn take_stdin(&mut self, k: usize) -> anyhow::Result<ChildStdin> {
        self.nodes[k].stdin.take().context("a node's standard input is taken")
    }

    /// Types into a node, which may have ended.
    pub fn type_into(&mut self, k: usize, bytes: &[u8]) {
        if let Some(stdin) = &mut self.nodes[k].stdin {
            let _ = std::io::Write::write_all(stdin, bytes);
        }
    }

    /// A node's status. `None`: the node does not answer.
    fn status(&self, k: usize) -> Option<Value> {
        let address = self.nodes[k].address;
        let mut command = Command::new(&self.program);
        command.env("DIST_CHAT_CONFIG", "");
        command.args(["status", "--json", "-a", &address.ip().to_string(), "-p", &address.port().to_string()]);
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| serde_json::from_slice(&output.stdout).ok())?
    }

    /// The place of the leader, according to the first node that answers.
    ///
    /// # Errors
    /// No node leads.
    pub fn leader(&self) -> anyhow::Result<usize> {
        let leads = |k: usize| self.status(k).is_some_and(|status| status["role"] == "leader");
        (0..self.nodes.len()).find(|&k| leads(k)).context("no node says that it leads")
    }

    /// Waits until every node sees every other, all follow one leader, and the ring is closed.
    ///
    /// # Errors
    /// That does not happen in time.
    pub fn wait_whole(&mut self) -> anyhow::Result<()> {
        let files = self.files.clone();
        wait_until("the room is whole", || {
            for (k, node) in self.nodes.iter_mut().enumerate() {
                if let Some(status) = node.child.try_wait()? {
                    let said = std::fs::read_to_string(files.join(format!("stderr-{k}"))).unwrap_or_default();
                    anyhow::bail!("node{k} has ended ({status}): {}", said.trim());
                }
            }
            let mut leader = None;
            for k in 0..self.nodes.len() {
                let Some(status) = self.status(k) else { return Ok(false) };
                let members = status["members"].as_array().map_or(0, Vec::len);
                let linked = status["next"].is_string() && status["prev"].is_string() && status["leader"].is_string();
                if members != self.nodes.len() || !linked {
                    return Ok(false);
                }
                if *leader.get_or_insert_with(|| status["leader"].clone()) != status["leader"] {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Ends a node with SIGKILL.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub fn kill(&mut self, k: usize) -> anyhow::Result<()> {
        self.nodes[k].child.kill().context("cannot kill a child")
    }

    /// Starts a killed node again, on its old address.
    ///
    /// # Errors
    /// The node does not start, or no other node is left to join.
    pub fn restart(&mut self, k: usize) -> anyhow::Result<()> {
        self.nodes[k].child.wait()?;
        let address = self.nodes[k].address;
        let contact = self.nodes.iter().map(|node| node.address).find(|&other| other != address);
        let node = self.start(k, address, Some(contact.context("nobody to join")?))?;
        self.nodes[k] = node;
        Ok(())
    }
}

/// The text of `> NAME(IP:PORT)[TS]: text`.
fn chat_text(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_prefix(b"> ")?;
    let at = memchr::memmem::find(line, b"]: ")?;
    Some(line[at + 3..].trim_ascii_end())
}

#[cfg(test)]
mod tests {
    use super::chat_text;

    #[test]
    fn finds_the_text_of_chat_lines_alone() {
        assert_eq!(chat_text(b"> ann(10.0.0.5:2428)[12]: a [b]: c\n"), Some(b"a [b]: c".as_slice()));
        assert_eq!(chat_text(b"/// ann(10.0.0.5:2428) joined the ring ///\n"), None);
    }
}
