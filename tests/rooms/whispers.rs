//! Private messages, and the nodes that must not hold their text.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::harness::{Lock, Node, PROGRAM, Room, free_addrs, poll, soon, turn};

const FIRST: &str = "the treasure lies under the third birch";
const SECOND: &str = "dig there on the night of the new moon";
const PUBLIC: &str = "what lovely weather we are having today";
/// The number of bytes of a process's memory that one read takes.
const CHUNK_BYTES: usize = 1024 * 1024;

/// The text of a private message stands in its reader's log and memory only. The logs, stores, journals and memories of
/// the leader that passes it on and of a bystander do not hold it. Nor do the files of its author.
#[test]
fn proof_20_nobody_else_learns_a_private_word() {
    let _turn = turn();
    // The nodes stand in ring order: the first leads, and the last leads after it.
    let room = Room::of_behind(Lock::Keyed, 3, 0);
    let mut author = match Terminal::join(&room) {
        Ok(terminal) => terminal,
        Err(why) => {
            println!("proof 20: SKIPPED: {why}");
            return;
        }
    };
    let [leader, reader, bystander] = &room.nodes[..] else { panic!("three") };
    if let Err(error) = holds(leader, PUBLIC) {
        println!("proof 20: SKIPPED: the memory of a process cannot be read here: {error}");
        return;
    }
    let carries = "carries the pot of gold away";
    author.line(PUBLIC);
    for node in &room.nodes {
        node.shows(PUBLIC, soon(20));
    }
    author.line(&format!("/msg {} {FIRST}", reader.name));
    reads(reader, FIRST);
    author.is_told("delivered");
    let (mut looked, authors) = (0, author.dir.path().to_owned());
    let mut only_at_its_reader = |words: &str, others: &[&Node]| {
        // The leader has passed the message on by now, so the search finds any copy that the leader keeps.
        for other in others {
            looked += nowhere(other, words);
        }
        assert!(holds(reader, words).unwrap() > 0, "the search does not find {words:?} at its reader");
        assert!(reader.log().contains(words), "it stands in its reader's own log");
        in_files(&authors, words, 0);
    };
    only_at_its_reader(FIRST, &[leader, bystander]);
    assert!(holds(bystander, PUBLIC).unwrap() > 0, "the search does not find what all were told");
    assert!(bystander.log().contains(PUBLIC));
    in_files(bystander.dir(), PUBLIC, 1);

    // The author writes while no node leads; the next leader passes the message on.
    leader.kill();
    author.line(&format!("/msg {} {SECOND}", reader.name));
    reads(reader, SECOND);
    author.is_told("delivered");
    only_at_its_reader(SECOND, &[bystander]);
    in_files(leader.dir(), SECOND, 0);
    in_files(leader.dir(), FIRST, 0);
    assert_eq!(count(&reader.log(), SECOND), 1, "it is shown once");

    // No member has that name, so the author's node sends no message.
    author.line(&format!("/msg nobody {carries}"));
    author.shows("nobody is nobody who is here");
    for node in &room.nodes[1..] {
        nowhere(node, carries);
    }
    author.line("/exit");
    poll("the author goes", soon(20), || author.child.try_wait().unwrap());
    println!(
        "proof 20: keyed: two private messages, one of them across a leader's death: their words were in no file but their \
         reader's log, and nowhere in {} MiB of memory of the leaders and a bystander; the same search finds them at their \
         reader, and a public line at the bystander",
        looked / 1024 / 1024
    );
}

/// Waits until the reader's screen shows the message, in the form of an event.
#[track_caller]
fn reads(node: &Node, words: &str) {
    node.wait(&format!("is told {words:?}"), soon(20), |shown| {
        let told =
            |line: &str| line.starts_with("/// private from Mole(") && line.ends_with(&format!("): {words} ///"));
        shown.events.iter().any(|(_, line)| told(line)).then_some(())
    });
    poll("its log has it too", soon(5), || node.log().contains(words).then_some(()));
}

/// Checks that neither the node's files nor its memory hold these words. Returns the number of bytes of memory that it
/// read.
#[track_caller]
fn nowhere(node: &Node, words: &str) -> usize {
    in_files(node.dir(), words, 0);
    let (found, bytes) = search(node.pid(), words).unwrap();
    assert_eq!(found, 0, "{words:?} stands in the memory of {}", node.name);
    bytes
}

fn holds(node: &Node, words: &str) -> io::Result<usize> {
    search(node.pid(), words).map(|(found, _)| found)
}

/// How often these words stand in a process's memory, and how many bytes of that memory the search read.
fn search(pid: i32, words: &str) -> io::Result<(usize, usize)> {
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let finder = memchr::memmem::Finder::new(words);
    let (mut found, mut read) = (0, 0);
    let mut chunk = vec![0; CHUNK_BYTES + words.len()];
    for line in maps.lines() {
        let mut parts = line.split_whitespace();
        let (Some(range), Some(rights)) = (parts.next(), parts.next()) else { continue };
        let Some((start, end)) = range.split_once('-') else { continue };
        let (Ok(start), Ok(end)) = (u64::from_str_radix(start, 16), u64::from_str_radix(end, 16)) else { continue };
        // The kernel does not let a process read these areas.
        if !rights.starts_with('r') || line.ends_with("[vvar]") || line.ends_with("[vsyscall]") {
            continue;
        }
        let mut at = start;
        while at < end {
            // Each read takes the end of the last one again, because the words may lie across two chunks.
            let want = usize::try_from(end - at).unwrap().min(chunk.len());
            let Ok(got) = memory.read_at(&mut chunk[..want], at) else { break };
            if got == 0 {
                break;
            }
            found += finder.find_iter(&chunk[..got]).count();
            read += got;
            if at + got as u64 >= end {
                break;
            }
            at += (got - got.min(words.len() - 1)).max(1) as u64;
        }
    }
    assert!(read > CHUNK_BYTES, "{read} bytes are no process");
    Ok((found, read))
}

/// Checks that at least `least` of the node's files hold these words; if `least` is zero, that no file does.
#[track_caller]
fn in_files(dir: &Path, words: &str, least: usize) {
    let mut holders = Vec::new();
    let mut files = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files += 1;
            if memchr::memmem::find(&std::fs::read(&path).unwrap(), words.as_bytes()).is_some() {
                holders.push(path);
            }
        }
    }
    assert!(files >= 2, "{} has {files} files", dir.display());
    match least {
        0 => assert!(holders.is_empty(), "{words:?} stands in {holders:?}"),
        least => assert!(holders.len() >= least, "{words:?} stands in {holders:?} alone"),
    }
}

fn count(text: &str, words: &str) -> usize {
    text.matches(words).count()
}

/// A member at a terminal that the program `script` plays.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    dir: tempfile::TempDir,
    typescript: std::path::PathBuf,
    /// The number of bytes of the typescript that the test has looked at.
    seen: usize,
}

impl Terminal {
    fn join(room: &Room) -> Result<Self, String> {
        let contact = room.nodes[0].addr;
        let (ip, port, np) = (contact.ip(), free_addrs(1)[0].port(), contact.port());
        let dir = tempfile::Builder::new().prefix("dct-").tempdir().unwrap();
        let key = room.key().unwrap().display();
        let command = format!(
            "{PROGRAM} -a {ip} -p {port} -n Mole -na {ip} -np {np} --data-dir {} --key-file {key}",
            dir.path().display()
        );
        let typescript = room.runtime().join("typescript");
        let mut script = Command::new("script");
        script.args(["-q", "-f", "-c", &command]).arg(&typescript);
        script.env("TERM", "dumb").env("XDG_RUNTIME_DIR", room.runtime());
        script.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = script.spawn().map_err(|error| format!("no terminal here: script: {error}"))?;
        let keys = child.stdin.take().unwrap();
        let terminal = Self { child, keys, dir, typescript, seen: 0 };
        for node in &room.nodes {
            let joined = |line: &str| line.starts_with("/// Mole(") && line.ends_with(" joined the ring ///");
            node.wait("sees the author come", soon(20), |shown| {
                shown.events.iter().any(|(_, line)| joined(line)).then_some(())
            });
        }
        let members = |node: &Node| node.status().ok()?["members"].as_array().map(Vec::len);
        poll("all are here", soon(20), || room.nodes.iter().all(|node| members(node) == Some(4)).then_some(()));
        Ok(terminal)
    }

    fn line(&mut self, line: &str) {
        self.keys.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Waits until the terminal shows this text anew.
    #[track_caller]
    fn shows(&mut self, text: &str) {
        let mut seen = self.seen;
        poll(&format!("the terminal shows {text:?}"), soon(20), || {
            let bytes = std::fs::read(&self.typescript).ok()?;
            seen += memchr::memmem::find(bytes.get(self.seen..)?, text.as_bytes())? + text.len();
            Some(())
        });
        self.seen = seen;
    }

    /// Waits until the terminal shows the outcome of its private message.
    #[track_caller]
    fn is_told(&mut self, what: &str) {
        self.shows(&format!("): {what} ///"));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
