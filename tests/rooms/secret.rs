//! What an eavesdropper learns that records every packet of a room.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Enter, Lock, Net, Node, PROGRAM, Room, free_addrs, poll, quiet, settled, soon, turn};

const NAMES: [&str; 3] = ["Rumpelstilzchen", "Schneewittchen", "Dornroeschen"];
/// The port of a node that joins only to kick a member.
const MODERATOR_PORT: u16 = 9;
/// Words by which a frame or a line of the log can be recognized in clear text.
const GRAMMAR: [&str; 19] = [
    r#"{"hello":"#,
    r#"{"entries":"#,
    r#"{"submit":"#,
    r#"{"accept":"#,
    r#"{"join":"#,
    r#"{"ack":"#,
    r#"{"ping":"#,
    r#"{"pong":"#,
    r#"{"adjacent":"#,
    r#"{"elected":"#,
    r#""who":["#,
    r#""say":""#,
    r#""author":""#,
    r#""name":""#,
    r#""seal":{""#,
    r#""epoch":{"#,
    r#""note":{""#,
    r#""room":""#,
    r#""stream":"#,
];
/// The only line that a keyed room sends in clear.
const PREAMBLE: &[u8] = b"dist-chat 4 keyed\n";
/// The text of the last packet that the test records.
const LAST: &str = "that was all";
/// The longest row of printable bytes that the recording may hold. Encrypted bytes look random, and 10^9 random bytes
/// hold no longer row.
const READABLE_MAX: usize = 36;

/// The recording holds all traffic of a room, also while members join, leave, die or are kicked. In a room without a
/// key the secrets can be read in it; in a room with a key none can.
#[test]
fn proof_16_nothing_in_clear() {
    let _turn = turn();
    let (open, keyed) = match (overheard(Lock::Open), overheard(Lock::Keyed)) {
        (Ok(open), Ok(keyed)) => (open, keyed),
        (Err(why), _) | (_, Err(why)) => {
            println!("proof 16: SKIPPED: {why}");
            return;
        }
    };
    // The open room shows that the search finds secrets that are there.
    for what in &open.secrets {
        let found = what.ways().iter().any(|bytes| count(&open.bytes, bytes) > 0);
        assert!(found, "an open room says {what:?}, and it is not found");
    }
    assert_eq!(count(&open.bytes, PREAMBLE), 0);
    let dials = count(&keyed.bytes, PREAMBLE);
    assert!(dials >= 5, "{dials} handshakes were recorded");
    for what in &keyed.secrets {
        for bytes in what.ways() {
            assert_eq!(count(&keyed.bytes, &bytes), 0, "{what:?} stands in the recording");
        }
    }
    let readable = longest_readable(&keyed.bytes);
    assert!(readable.len() <= READABLE_MAX, "{:?}", String::from_utf8_lossy(readable));
    println!(
        "proof 16: {} KiB recorded of a keyed room of 3 (one kicked and back, its leader killed and back): of {} words, \
         names, author ids and parts of frames, all of them found in {} KiB of an open room, none is there; {dials} \
         times {:?}, and otherwise no more than {} readable bytes in a row",
        keyed.bytes.len() / 1024,
        keyed.secrets.len(),
        open.bytes.len() / 1024,
        String::from_utf8_lossy(PREAMBLE),
        readable.len(),
    );
}

/// A secret that no eavesdropper may learn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Secret {
    Words(String),
    Author(String),
}

impl Secret {
    /// The forms in which a node might send the secret.
    fn ways(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Words(words) => vec![words.as_bytes().to_vec()],
            Self::Author(hex) => {
                let raw = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
                let raw: Vec<u8> = raw.collect();
                // Parts count too, because a packet may end within the secret.
                let hex = hex.as_bytes();
                vec![hex[..16].to_vec(), hex[48..].to_vec(), raw[..8].to_vec(), raw[24..].to_vec()]
            }
        }
    }
}

struct Overheard {
    bytes: Vec<u8>,
    secrets: BTreeSet<Secret>,
}

/// Plays the story in a namespace of its own and records all its packets.
fn overheard(lock: Lock) -> Result<Overheard, String> {
    let net = Net::new(1, 1).map_err(|why| format!("no network namespaces here: {why}"))?;
    let mut room = Room::behind(lock);
    let recorder = Recorder::start(net.name(0), &room.runtime().join("all.pcap"))?;
    let ports: Vec<u16> = free_addrs(3).iter().map(SocketAddr::port).collect();
    let addrs: Vec<SocketAddr> = ports.iter().map(|port| SocketAddr::from((net.addr(0).ip(), *port))).collect();
    let start = |room: &Room, at: usize, enter| room.start_in(NAMES[at], addrs[at], enter, Some(net.name(0)));
    for at in 0..3 {
        let enter = if at == 0 { Enter::Create } else { Enter::Join(addrs[0]) };
        let node = start(&room, at, enter);
        room.nodes.push(node);
        settled(&room.all(), soon(30));
    }
    let mut secrets = BTreeSet::new();
    let mut authors = BTreeSet::new();
    let mut talk = |room: &Room, words: &str| {
        for (node, name) in room.nodes.iter().zip(NAMES) {
            let line = format!("{words}, says one whose name begins with {}", &name[..1]);
            node.say(&line);
            for reader in &room.nodes {
                reader.shows(&line, soon(20));
            }
            secrets.insert(Secret::Words(line));
        }
        secrets.extend(words.split(' ').filter(|word| word.len() > 4).map(|word| Secret::Words(word.to_owned())));
        quiet(&room.all(), soon(20));
        for node in &room.nodes {
            authors.extend(said_by(node));
        }
    };
    talk(&room, "meet me under the chestnut");
    // A moderator kicks one node, which comes back.
    kick(&net, &room, addrs[0], "Dornroeschen", "sleeping beauty")?;
    room.nodes[2].ended(soon(20));
    settled(&room.all()[..2], soon(20));
    room.nodes[2] = start(&room, 2, Enter::Join(addrs[1]));
    settled(&room.all(), soon(30));
    talk(&room, "midnight exactly, bring lanterns");
    // The leader dies and comes back.
    let leader = room.place(settled(&room.all(), soon(20)).leader);
    room.nodes[leader].kill();
    settled(&room.except(&[leader]), soon(30));
    room.nodes[leader] = start(&room, leader, Enter::Join(addrs[(leader + 1) % 3]));
    settled(&room.all(), soon(30));
    talk(&room, "nobody suspects anything");
    room.nodes.iter().for_each(Node::end_input);
    for node in &room.nodes {
        node.ended(soon(20));
    }
    secrets.extend(authors.into_iter().map(Secret::Author));
    secrets
        .extend(NAMES.into_iter().chain(["Froschkoenig"]).chain(GRAMMAR).map(|words| Secret::Words(words.to_owned())));
    secrets.insert(Secret::Words("sleeping beauty".to_owned()));
    Ok(Overheard { bytes: recorder.end()?, secrets })
}

/// A moderator joins at a terminal, kicks this member with this reason, and leaves.
fn kick(net: &Net, room: &Room, contact: SocketAddr, whom: &str, why: &str) -> Result<(), String> {
    let key = room.key().map(|key| format!("--key-file {}", key.display())).unwrap_or_default();
    let (netns, ip, port) = (net.name(0), contact.ip(), contact.port());
    let command = format!(
        "ip netns exec {netns} {PROGRAM} -a {ip} -p {MODERATOR_PORT} -n Froschkoenig -na {ip} -np {port} --ephemeral {key}"
    );
    let mut script = Command::new("script");
    script
        .args(["-q", "-c", &command, "/dev/null"])
        .env("TERM", "dumb")
        .env("XDG_RUNTIME_DIR", room.runtime())
        .env("DIST_CHAT_CONFIG", "");
    let child = script.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut moderator = Leash(child.map_err(|error| format!("no terminal here: script: {error}"))?);
    let mut keys = moderator.0.stdin.take().unwrap();
    let members = || Some(room.nodes[0].status().ok()?["members"].as_array()?.len());
    poll("the moderator is in the room", soon(20), || (members() == Some(4)).then_some(()));
    keys.write_all(format!("/kick {whom} {why}\n").as_bytes()).unwrap();
    poll("one is out", soon(20), || (members() == Some(3)).then_some(()));
    keys.write_all(b"/exit\n").unwrap();
    poll("the moderator goes", soon(20), || moderator.0.try_wait().unwrap().map(drop));
    Ok(())
}

/// The authors whose lines this node holds.
fn said_by(node: &Node) -> Vec<String> {
    let history = node.history().unwrap();
    history.iter().filter_map(|entry| Some(entry["author"].as_str()?.to_owned())).collect()
}

fn count(bytes: &[u8], what: &[u8]) -> usize {
    memchr::memmem::find_iter(bytes, what).count()
}

fn longest_readable(bytes: &[u8]) -> &[u8] {
    let readable = bytes.split(|byte| !(b' '..=b'~').contains(byte));
    readable.max_by_key(|run| run.len()).unwrap_or_default()
}

/// A child process that ends together with its handle.
struct Leash(Child);

impl Drop for Leash {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running tcpdump, and the file that it writes.
struct Recorder {
    child: Leash,
    netns: String,
    file: PathBuf,
    said: Option<JoinHandle<Vec<String>>>,
}

impl Recorder {
    /// Records all packets of this namespace from now on. Fails with the reason if the system does not allow it.
    fn start(netns: &str, file: &Path) -> Result<Self, String> {
        let found = Command::new("tcpdump").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        found.map_err(|error| format!("no tcpdump here: {error}"))?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", netns, "tcpdump", "-i", "any", "-s", "0", "-B", "65536"]).args([
            "--immediate-mode",
            "-U",
            "-Z",
            "root",
            "-w",
        ]);
        let child = command.arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = Leash(child.map_err(|error| format!("ip: {error}"))?);
        let mut said = BufReader::new(child.0.stderr.take().unwrap()).lines().map_while(Result::ok);
        let begun = said.find(|line| line.contains("listening on"));
        if begun.is_none() {
            return Err("tcpdump cannot listen here".to_owned());
        }
        let said = Some(std::thread::spawn(move || said.collect()));
        Ok(Self { child, netns: netns.to_owned(), file: file.to_owned(), said })
    }

    /// Ends the recording; returns all that tcpdump wrote.
    fn end(mut self) -> Result<Vec<u8>, String> {
        let pid = Pid::from_child(&self.child.0);
        // The kernel hands packets to tcpdump late, but in order: once the file holds the last packet, it holds all.
        let send = format!("printf '%s' '{LAST}' >/dev/udp/127.0.0.1/9");
        let sent = Command::new("ip").args(["netns", "exec", &self.netns, "bash", "-c", &send]).status();
        sent.map_err(|error| format!("ip: {error}"))?;
        poll("the recording is written", soon(20), || {
            let bytes = std::fs::read(&self.file).ok()?;
            (count(&bytes, LAST.as_bytes()) > 0).then_some(())
        });
        kill_process(pid, Signal::INT).map_err(|error| error.to_string())?;
        let said = self.said.take().map(|said| said.join().unwrap()).unwrap_or_default();
        let lost = said.iter().any(|line| line.ends_with("dropped by kernel") && !line.starts_with("0 "));
        assert!(!lost, "packets were missed: {said:?}");
        std::fs::read(&self.file).map_err(|error| error.to_string())
    }
}
