//! The disk of the chat log is full for a while, and the disk of the history is not.

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::disk::Disk;

use crate::harness::{Dir, Node, chat_lines, program, until};
use crate::tail::ask;

/// The directory of a node, and a second directory on a small disk of its own for the node's chat log. `None` if the
/// system cannot mount the disk; the reason is printed.
fn apart(mebibytes: u32) -> Option<(Disk, Dir, Dir, u16)> {
    let (dir, small) = (Dir::new(), Dir::new());
    let disk = match Disk::mount(&small.0, mebibytes) {
        Ok(disk) => disk,
        Err(why) => {
            eprintln!("SKIPPED: {why}");
            return None;
        }
    };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    symlink(small.0.join("log"), dir.0.join(format!("chat_{port}.log"))).unwrap();
    Some((disk, small, dir, port))
}

fn start(dir: Dir, port: u16) -> Node {
    let command = program(&dir.0, &["-l", "-p", &port.to_string(), "-n", "ann"]);
    Node::spawn(dir, command)
}

/// A line of this many bytes; its last 8 bytes are `n`.
fn line(n: usize, bytes: usize) -> String {
    format!("{}{n:08}", "x".repeat(bytes - 8))
}

/// The numbers of the lines in a chat log, in the order of the log.
fn numbers(log: &Path) -> Vec<usize> {
    let log = std::fs::read_to_string(log).unwrap();
    // The node may still be writing the last line.
    let whole = &log[..log.rfind('\n').map_or(0, |end| end + 1)];
    chat_lines(whole).iter().map(|line| line[line.len() - 8..].parse().unwrap()).collect()
}

#[test]
fn what_a_full_disk_takes_no_more_of_is_written_when_there_is_space_however_much_it_is() {
    const BYTES: usize = 16 * 1024;
    // More lines than the node keeps in memory.
    const LINES: usize = 1_600;
    let Some((disk, small, dir, port)) = apart(40) else { return };
    let mut ann = start(dir, port);
    ann.feed(line(0, BYTES) + "\n");
    ann.wait_for("00000000");
    disk.fill();
    for n in 1..LINES {
        ann.feed(line(n, BYTES) + "\n");
    }
    ann.wait_for(&format!("{:08}", LINES - 1));
    disk.free();
    let log = small.0.join("log");
    until("the log is whole", || numbers(&log).last() == Some(&(LINES - 1)));
    ann.feed(line(LINES, BYTES) + "\n");
    until("the next line follows", || numbers(&log).last() == Some(&LINES));
    assert_eq!(numbers(&log), (0..=LINES).collect::<Vec<_>>());
    // The next start finds the log whole and adds no line.
    let (code, _, dir) = ann.leave();
    assert_eq!(code, 0);
    let (_, _, _dir) = start(dir, port).leave();
    assert_eq!(numbers(&log), (0..=LINES).collect::<Vec<_>>());
}

#[test]
fn what_a_full_disk_does_not_take_at_the_start_is_written_when_there_is_space() {
    const BYTES: usize = 1024;
    let Some((disk, small, dir, port)) = apart(1) else { return };
    let log = small.0.join("log");
    let mut ann = start(dir, port);
    ann.feed(line(0, BYTES) + "\n");
    until("it stands there", || numbers(&log) == [0]);
    disk.fill();
    for n in 1..100 {
        ann.feed(line(n, BYTES) + "\n");
    }
    ann.wait_for("00000099");
    let mut ann = start(ann.kill(), port);
    ann.feed(line(100, BYTES) + "\n");
    ann.wait_for("00000100");
    disk.free();
    until("the log is whole", || numbers(&log).last() == Some(&100));
    assert_eq!(numbers(&log), (0..=100).collect::<Vec<_>>());
    // A later line stands at the end, and the next start adds no line.
    ann.feed(line(101, BYTES) + "\n");
    until("the next line follows", || numbers(&log).last() == Some(&101));
    let (code, _, dir) = ann.leave();
    assert_eq!(code, 0);
    let (_, _, _dir) = start(dir, port).leave();
    assert_eq!(numbers(&log), (0..=101).collect::<Vec<_>>());
}

/// A line of a lone member stands at no other node, so it is safe only once the disk has it.
#[test]
fn what_stands_in_memory_alone_is_not_called_safe() {
    let dir = Dir::new();
    let disk = match Disk::mount(&dir.0, 2) {
        Ok(disk) => disk,
        Err(why) => return eprintln!("SKIPPED: {why}"),
    };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut ann = start(dir, port);
    disk.fill();
    for n in 0..40 {
        ann.feed(line(n, 9000) + "\n");
    }
    ann.wait_for("/// the history cannot be written");
    let say = |ann: &Node, text: &str| ask(&ann.dir.0, port, &["send", "--wait", "-m", text], "").code;
    assert_eq!(say(&ann, "in memory alone"), 7, "it is taken, and not safe");
    disk.free();
    until("it is safe", || say(&ann, "on the disk") == 0);
    let dir = ann.kill();
    let history = ask(&dir.0, port, &["history"], "");
    for text in ["00000039", "in memory alone", "on the disk"] {
        assert!(history.out.contains(text), "no {text} in the history");
    }
}
