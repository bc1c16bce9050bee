//! A node comes back with the files of an earlier run: whole files, old files and damaged files.

use std::fs;
use std::path::Path;

use dist_chat::store::file_in;

use crate::harness::{Dir, Node, chat_lines, program, run, until};

/// A port that no program uses at this moment.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts a node on this port, with its files in this directory.
fn start(dir: Dir, port: u16, args: &[&str]) -> Node {
    let port = port.to_string();
    let mut all = vec!["-p", &port];
    all.extend(args);
    let command = program(&dir.0, &all);
    Node::spawn(dir, command)
}

fn texts(log: &str) -> Vec<String> {
    chat_lines(log).iter().map(|line| line.split("): ").nth(1).unwrap().to_owned()).collect()
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn a_room_of_one_comes_back_with_its_lines_and_its_name() {
    let port = free_port();
    let mut ann = start(Dir::new(), port, &["-l", "-n", "ann"]);
    ann.feed("one\ntwo\n");
    ann.wait_for("]: two");
    let dir = ann.kill();
    // The user gives neither a name nor a way to start: the files hold both.
    let mut ann = start(dir, port, &[]);
    ann.feed("three\n");
    let line = ann.wait_for("]: three");
    assert!(line.starts_with(&format!("> ann(127.0.0.1:{port})[")), "{line}");
    let (code, shown, dir) = ann.leave();
    assert_eq!(code, 0);
    assert!(!shown.iter().any(|line| line.contains("]: one")), "{shown:?}");
    assert_eq!(texts(&dir.log(port)), ["one", "two", "three"]);
    let mut ann = start(dir, port, &["-l"]);
    ann.feed("four\n");
    ann.wait_for("]: four");
    let (_, _, dir) = ann.leave();
    assert_eq!(texts(&dir.log(port)), ["one", "two", "three", "four"]);
}

#[test]
fn a_file_from_before_lines_were_signed_is_left_alone_and_said() {
    let port = free_port();
    let mut ann = start(Dir::new(), port, &["-l", "-n", "ann"]);
    ann.feed("one\n");
    ann.wait_for("]: one");
    let (code, _, dir) = ann.leave();
    assert_eq!(code, 0);
    let db = rusqlite::Connection::open(file_in(&dir.0, port)).unwrap();
    db.execute_batch("PRAGMA user_version = 3").unwrap();
    drop(db);
    for args in [vec![], vec!["-l"], vec!["-l", "--new"]] {
        let mut all = vec!["-p".to_owned(), port.to_string()];
        all.extend(args.iter().map(|arg: &&str| (*arg).to_owned()));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let said = run(program(&dir.0, &all), b"");
        assert_eq!(said.code, 6, "{args:?}: {}", said.err);
        assert!(said.err.contains("its lines are not signed"), "{}", said.err);
    }
}

#[test]
fn what_a_kill_leaves_in_the_journal_stays_with_its_room() {
    let (port, other) = (free_port(), free_port());
    let mut bea = start(Dir::new(), other, &["-l", "-n", "bea"]);
    bea.feed("elsewhere\n");
    bea.wait_for("]: elsewhere");
    let mut dir = Dir::new();
    for args in [vec!["-l", "--new", "-n", "cid"], vec!["-n", "cid", "-na", "127.0.0.1", "-np", &other.to_string()]] {
        let mut cid = start(dir, port, &["-l", "--new", "-n", "cid"]);
        cid.feed("one\ntwo\n");
        cid.wait_for("]: two");
        // The test kills the node at once, so the last line stands in the journal alone.
        let killed = cid.kill();
        let mut cid = start(killed, port, &args);
        cid.feed("three\n");
        cid.wait_for("]: three");
        let (code, _, left) = cid.leave();
        assert_eq!(code, 0);
        dir = left;
        let db = rusqlite::Connection::open(file_in(&dir.0, port)).unwrap();
        let two = "SELECT count(*) FROM batch WHERE cast(body AS text) LIKE '%\"say\":\"two\"%'";
        assert_eq!(db.query_row(two, [], |row| row.get::<_, i64>(0)).unwrap(), 1, "it stands in its room");
        drop(db);
        fs::remove_file(file_in(&dir.0, port)).unwrap();
        fs::remove_file(dir.0.join(format!("chat_{port}.log"))).unwrap();
    }
}

#[test]
fn half_a_line_in_the_log_is_nobodys_line() {
    let port = free_port();
    let mut ann = start(Dir::new(), port, &["-l", "-n", "ann"]);
    ann.feed("message 1\nmessage 12\n");
    ann.wait_for("]: message 12");
    until("logged", || texts(&ann.dir.log(port)).len() == 2);
    let dir = ann.kill();
    // A crash can leave the log like this.
    let path = dir.0.join(format!("chat_{port}.log"));
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, whole.strip_suffix("2\n").unwrap()).unwrap();
    let mut ann = start(dir, port, &[]);
    ann.feed("message 3\n");
    ann.wait_for("]: message 3");
    let (_, _, dir) = ann.leave();
    assert_eq!(texts(&dir.log(port)), ["message 1", "message 12", "message 3"]);
}

#[test]
fn the_same_words_are_logged_in_a_new_room_too() {
    let port = free_port();
    let mut dir = Dir::new();
    for (args, times) in [(&["-l", "-n", "ann"][..], 1), (&["-l", "-n", "ann", "--new"], 2), (&["-l"], 3)] {
        let mut ann = start(dir, port, args);
        ann.feed("hello\n");
        ann.wait_for("]: hello");
        dir = ann.leave().2;
        assert_eq!(texts(&dir.log(port)), vec!["hello"; times]);
    }
}

#[test]
fn what_was_missed_is_shown_as_such() {
    let mut ann = Node::found("ann");
    let port = free_port();
    let through = ann.port.to_string();
    let mut bob = start(Dir::new(), port, &["-n", "bob", "-na", "127.0.0.1", "-np", &through]);
    bob.feed("here\n");
    ann.wait_for("]: here");
    bob.wait_for("]: here");
    let dir = bob.kill();
    ann.wait_for("bob(127.0.0.1");
    for n in 1..=12 {
        ann.feed(format!("missed {n}\n"));
    }
    ann.wait_for("]: missed 12");
    let mut bob = start(dir, port, &[]);
    bob.wait_for("/// 12 lines while you were away ///");
    for n in 1..=12 {
        bob.wait_for(&format!("]: missed {n}"));
    }
    bob.wait_for("/// now ///");
    ann.feed("live\n");
    bob.wait_for("]: live");
    let (_, rest, dir) = bob.leave();
    assert!(!rest.iter().any(|line| line.contains("away")), "{rest:?}");
    let expected: Vec<String> = ["here".to_owned()]
        .into_iter()
        .chain((1..=12).map(|n| format!("missed {n}")))
        .chain(["live".to_owned()])
        .collect();
    assert_eq!(texts(&dir.log(port)), expected);
}

#[test]
fn who_misses_much_is_shown_the_newest_and_logs_all() {
    let mut ann = Node::found("ann");
    let port = free_port();
    let through = ann.port.to_string();
    let join = ["-n", "bob", "-na", "127.0.0.1", "-np", &through, "--backlog", "5"];
    let mut bob = start(Dir::new(), port, &join);
    bob.feed("here\n");
    bob.wait_for("]: here");
    ann.wait_for("]: here");
    let dir = bob.kill();
    let missed: String = (1..=50).map(|n| format!("missed {n}\n")).collect();
    ann.feed(missed);
    ann.wait_for("]: missed 50");
    let mut bob = start(dir, port, &["--backlog", "5"]);
    bob.wait_for("/// 50 lines while you were away; the newest 5 ///");
    let first = bob.wait_for("]: missed ");
    assert!(first.ends_with("missed 46"), "{first}");
    bob.wait_for("/// now ///");
    bob.feed("back\n");
    bob.wait_for("]: back");
    until("the log is whole", || texts(&bob.dir.log(port)).len() == 52);
    let mut expected = vec!["here".to_owned()];
    expected.extend((1..=50).map(|n| format!("missed {n}")));
    expected.push("back".to_owned());
    assert_eq!(texts(&bob.dir.log(port)), expected);
}

#[test]
fn a_newcomer_is_shown_as_many_old_lines_as_it_wants() {
    let mut ann = Node::found("ann");
    ann.feed((1..=9).map(|n| format!("old {n}\n")).collect::<String>());
    ann.wait_for("]: old 9");
    let through = ann.port.to_string();
    let shown = |backlog: &str| {
        let mut node = Node::start(&["-p", "0", "-na", "127.0.0.1", "-np", &through, "--backlog", backlog]);
        node.feed(format!("I want {backlog}\n"));
        let mut old = Vec::new();
        loop {
            let line = node.wait_for("]: ");
            if line.ends_with(&format!("]: I want {backlog}")) {
                break;
            }
            old.push(line);
        }
        old.len()
    };
    assert_eq!(shown("3"), 3);
    assert_eq!(shown("1"), 1);
    assert_eq!(shown("0"), 0);
}

#[test]
fn an_old_backup_that_is_put_back_hurts_nobody() {
    let mut ann = Node::found("ann");
    let port = free_port();
    let through = ann.port.to_string();
    let mut bob = start(Dir::new(), port, &["-n", "bob", "-na", "127.0.0.1", "-np", &through]);
    bob.feed("b1\nb2\n");
    bob.wait_for("]: b2");
    ann.wait_for("]: b2");
    let dir = bob.kill();
    let backup = Dir::new();
    copy(&dir.0, &backup.0);
    let mut bob = start(dir, port, &[]);
    bob.feed("b3\nb4\n");
    bob.wait_for("]: b4");
    ann.feed("a1\n");
    bob.wait_for("]: a1");
    drop(bob.kill());
    // The node gives the numbers of b3 and b4 again, in a new session.
    let mut bob = start(backup, port, &[]);
    bob.wait_for("/// 3 lines while you were away ///");
    bob.wait_for("/// now ///");
    bob.feed("b5\nb6\n");
    for text in ["b5", "b6"] {
        bob.wait_for(&format!("]: {text}"));
        ann.wait_for(&format!("]: {text}"));
    }
    let all = ["b1", "b2", "b3", "b4", "a1", "b5", "b6"];
    until("logged", || texts(&ann.dir.log(ann.port)).len() == all.len());
    assert_eq!(texts(&ann.dir.log(ann.port)), all);
    until("logged", || texts(&bob.dir.log(port)).len() == all.len());
    assert_eq!(texts(&bob.dir.log(port)), all);
}

/// Damages the history of a node that has left, and starts the node again.
fn spoiled(left: &[u8], spoil: impl Fn(&Path)) {
    let mut ann = Node::found("ann");
    let port = free_port();
    let through = ann.port.to_string();
    let mut bob = start(Dir::new(), port, &["-n", "bob", "-na", "127.0.0.1", "-np", &through]);
    let many: String = (1..=300).map(|n| format!("line {n} {}\n", "x".repeat(100))).collect();
    bob.feed(many);
    bob.wait_for("]: line 300");
    let (code, _, dir) = bob.leave();
    assert_eq!(code, 0);
    let file = file_in(&dir.0, port);
    spoil(&file);
    let mut bob = start(dir, port, &["-na", "127.0.0.1", "-np", &through]);
    let told = bob.wait_for_error("dist-chat: the history file was damaged");
    assert!(told.contains(&format!("it is now chat_{port}.db.damaged-")), "{told}");
    bob.feed("again\n");
    bob.wait_for("]: again");
    ann.wait_for("]: again");
    until("everything is there again", || {
        let mut command = program(&bob.dir.0, &["history", "-p", &port.to_string()]);
        let output = command.output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().count() == 301
    });
    let aside = fs::read_dir(&bob.dir.0).unwrap().map(|entry| entry.unwrap().path());
    let is_file = |name: &str| name.contains(".db.damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm");
    let aside = aside.into_iter().find(|path| is_file(&path.to_string_lossy())).unwrap();
    let kept = fs::read(aside).unwrap();
    assert!(kept.windows(left.len()).any(|part| part == left), "what was damaged is kept");
}

#[test]
fn a_file_that_is_no_history_is_moved_aside_and_refilled() {
    spoiled(b"no database at all", |file| fs::write(file, b"this is no database at all".repeat(500)).unwrap());
}

#[test]
fn a_truncated_file_is_moved_aside_and_refilled() {
    spoiled(b"SQLite format 3", |file| {
        let length = file.metadata().unwrap().len();
        fs::File::options().write(true).open(file).unwrap().set_len(length / 2).unwrap();
    });
}

#[test]
fn a_file_with_a_flipped_bit_is_moved_aside_and_refilled() {
    spoiled(b"line 10 ", |file| {
        let mut bytes = fs::read(file).unwrap();
        // Free pages of the file may still hold a line from the time when it was queued, so the test damages every
        // copy.
        let places: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(b"line 299 ")).collect();
        places.into_iter().for_each(|at| bytes[at] ^= 1);
        fs::write(file, bytes).unwrap();
    });
}

#[test]
fn no_room_is_founded_beside_one_that_a_damaged_file_has_forgotten() {
    let port = free_port();
    let mut ann = start(Dir::new(), port, &["-l", "-n", "ann"]);
    ann.feed("hello\n");
    ann.wait_for("]: hello");
    let (_, _, dir) = ann.leave();
    let file = file_in(&dir.0, port);
    fs::write(&file, b"nothing of the kind".repeat(1000)).unwrap();
    for args in [&["-l"][..], &[]] {
        let port = port.to_string();
        let mut all = vec!["-p", &port];
        all.extend(args);
        let ended = run(program(&dir.0, &all), b"");
        assert_eq!(ended.code, 6, "{}", ended.err);
        assert!(ended.err.contains("-na") && ended.err.contains(".db.damaged-"), "{}", ended.err);
        fs::write(&file, b"nothing of the kind".repeat(1000)).unwrap();
    }
}

#[test]
fn a_history_whose_beginning_is_gone_is_not_dropped() {
    let port = free_port();
    let mut ann = start(Dir::new(), port, &["-l", "-n", "ann"]);
    ann.feed("hello\n");
    ann.wait_for("]: hello");
    let dir = ann.kill();
    let file = file_in(&dir.0, port);
    fs::remove_file(&file).unwrap();
    let ended = run(program(&dir.0, &["-l", "-p", &port.to_string()]), b"");
    assert_eq!(ended.code, 6, "{}", ended.err);
    let kept =
        fs::read_dir(&dir.0).unwrap().any(|entry| entry.unwrap().file_name().to_string_lossy().ends_with("-wal"));
    assert!(kept, "the write-ahead log is moved aside");
}

#[test]
fn a_directory_that_cannot_be_written_is_said() {
    if rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: root writes where nobody else may");
        return;
    }
    let dir = Dir::new();
    let mut mode = dir.0.metadata().unwrap().permissions();
    mode.set_readonly(true);
    fs::set_permissions(&dir.0, mode).unwrap();
    let ended = run(program(&dir.0, &["-l", "-p", "0"]), b"");
    assert_eq!(ended.code, 6);
    assert!(ended.err.contains("--ephemeral"), "{}", ended.err);
}

#[test]
fn an_ephemeral_node_keeps_nothing() {
    let dir = Dir::new();
    let ended = run(program(&dir.0, &["-l", "-p", "0", "-n", "ann", "--ephemeral"]), b"hello\n");
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.contains("]: hello"));
    let left: Vec<_> = fs::read_dir(&dir.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("chat_")), "{left:?}");
}

#[test]
fn a_new_room_leaves_the_old_one_as_it_was() {
    let port = free_port();
    let mut ann = start(Dir::new(), port, &["-l", "-n", "ann"]);
    ann.feed("old\n");
    ann.wait_for("]: old");
    let (_, _, dir) = ann.leave();
    let room = |welcome: &str| welcome.split("in room ").nth(1).unwrap().to_owned();
    let mut command = program(&dir.0, &["-l", "-p", &port.to_string(), "--new"]);
    let ended = {
        command.env("DIST_CHAT_NAME", "ann");
        run(command, b"new\n")
    };
    assert_eq!(ended.code, 0, "{}", ended.err);
    let first = dir.log(port);
    let rooms: Vec<String> = first.lines().filter(|line| line.contains("in room ")).map(room).collect();
    assert_eq!(rooms.len(), 2, "{first}");
    assert_ne!(rooms[0], rooms[1]);
    let history = program(&dir.0, &["history", "-p", &port.to_string()]).output().unwrap();
    let history = String::from_utf8(history.stdout).unwrap();
    assert!(history.contains(": new") && !history.contains(": old"), "{history}");
}
