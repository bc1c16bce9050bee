//! Frontends attach to a node that runs as another process.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;

use dist_chat::feed::broadcaster::FRONTS_MAX;
use rustix::process::{Signal, geteuid};
use serde_json::Value;

use crate::harness::{Dir, Node, program, run, until};
use crate::pty::{Seen, Term};
use crate::tail::{Reader, ask};

#[test]
fn several_frontends_at_once_and_the_end() {
    let ann = Node::start(&["-l", "-p", "0", "-n", "ann", "--daemon"]);
    let port = ann.port.to_string();
    assert_eq!(ask(&ann.dir.0, ann.port, &["send", "-m", "before", "--wait"], "").code, 0);
    let mut fronts: Vec<_> = (0..3).map(|_| Reader::start(&ann.dir.0, &["attach", "-p", &port])).collect();
    let mut outs: Vec<_> =
        fronts.iter_mut().map(|front| BufReader::new(front.0.stdout.take().unwrap()).lines()).collect();
    let mut saw = |n: usize, text: &str| {
        let found = outs[n].find_map(|line| line.unwrap().split_once("]: ").map(|(_, text)| text.to_owned()));
        assert_eq!(found.as_deref(), Some(text), "{n}");
    };
    (0..3).for_each(|n| saw(n, "before"));
    for (n, front) in fronts.iter_mut().enumerate() {
        let said = format!("{n} speaks");
        writeln!(front.0.stdin.as_mut().unwrap(), "{said}").unwrap();
        (0..3).for_each(|n| saw(n, &said));
    }
    // One frontend leaves by a command or by the end of its input; the other frontends and the node stay.
    writeln!(fronts[0].0.stdin.as_mut().unwrap(), "/exit").unwrap();
    let (code, said) = fronts.remove(0).end();
    assert_eq!((code, said.as_str()), (0, ""));
    let mut second = fronts.remove(0);
    second.0.stdin.as_mut().unwrap().write_all(b"good-bye").unwrap();
    drop(second.0.stdin.take());
    let (code, said) = second.end();
    assert_eq!((code, said.as_str()), (0, ""));
    saw(2, "good-bye");
    // The node leaves, and each attached frontend reports it.
    ann.signal(Signal::TERM);
    assert_eq!(ann.wait().0, 0);
    let (code, said) = fronts.remove(0).end();
    assert_eq!((code, said.as_str()), (0, "dist-chat: left the room\n"));
}

#[test]
fn one_frontend_more_than_there_may_be_is_refused_with_a_word() {
    let ann = Node::start(&["-l", "-p", "0", "-n", "ann", "--daemon"]);
    assert_eq!(ask(&ann.dir.0, ann.port, &["send", "-m", "hello", "--wait"], "").code, 0);
    let socket = ann.dir.0.join(format!("chat_{}.sock", ann.port));
    let fronts: Vec<_> = (0..FRONTS_MAX)
        .map(|_| {
            let mut front = UnixStream::connect(&socket).unwrap();
            front.write_all(b"attach {}\n").unwrap();
            let mut told = [0; 1];
            front.read_exact(&mut told).unwrap();
            front
        })
        .collect();
    for args in [&["send", "-m", "x"][..], &["tail"], &["tail", "-f"], &["attach"], &["attach", "--json"]] {
        let refused = ask(&ann.dir.0, ann.port, args, "");
        assert_eq!((refused.code, refused.out.as_str()), (5, ""), "{args:?}");
        let what = format!("dist-chat: there are {FRONTS_MAX} frontends at this node already\n");
        assert!(refused.err.starts_with(&what), "{args:?}: {}", refused.err);
    }
    drop(fronts);
    until("there is room again", || ask(&ann.dir.0, ann.port, &["tail"], "").code == 0);
}

#[test]
fn objects_both_ways() {
    let ann = Node::start(&["-l", "-p", "0", "-n", "ann", "--daemon"]);
    let port = ann.port.to_string();
    let big = "\\u0001".repeat(16 * 1024);
    let asked = format!(
        "{}\n{}\n{}\n{}\n{}\n",
        r#"{"v":1,"type":"say","text":"hello","channel":"Ops","id":"a"}"#,
        r#"{"v":1,"type":"say","text":"hello","channel":"no such place","id":"b"}"#,
        format_args!(r#"{{"v":1,"type":"say","text":"{big}","id":"c"}}"#),
        r#"{"v":2,"type":"state"}"#,
        r#"{"v":1,"type":"type","line":"/who"}"#,
    );
    let ended = run(program(&ann.dir.0, &["attach", "--json", "-p", &port]), asked.as_bytes());
    assert_eq!(ended.code, 0, "{}", ended.err);
    let objects: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(objects.iter().all(|object| object["v"] == 1));
    let of = |kind: &str| objects.iter().filter(|object| object["type"] == kind).collect::<Vec<_>>();
    assert_eq!(objects[0]["type"], "hello");
    assert_eq!(of("state").len(), 1, "the state comes first, and a wrong version is not understood");
    assert_eq!(of("line").iter().filter(|line| line["channel"] == "ops").count(), 1);
    let sent = of("sent");
    let receipt = |id: &str| *sent.iter().find(|sent| sent["id"] == id).unwrap();
    assert_eq!((&receipt("a")["ordered"], &receipt("c")["ordered"]), (&true.into(), &true.into()));
    assert_eq!(receipt("b")["ordered"], false);
    assert!(receipt("b")["why"].as_str().unwrap().contains("channel"));
    assert!(of("note")[0]["text"].as_str().unwrap().contains("version 2"));
    assert_eq!(of("listing").len(), 1);
    assert_eq!(objects.last().unwrap()["type"], "bye");
}

#[test]
fn the_socket_stands_beside_the_files_and_goes_with_the_node() {
    let dir = Dir::new();
    let deep = dir.0.join("d".repeat(120));
    std::fs::create_dir_all(&deep).unwrap();
    let mut command = program(&deep, &["-l", "-p", "0", "-n", "ann"]);
    command.env("XDG_RUNTIME_DIR", &dir.0);
    let ann = Node::spawn(dir, command);
    let socket = deep.join(format!("chat_{}.sock", ann.port));
    let meta = socket.symlink_metadata().unwrap();
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    // A program with another runtime directory finds the node by its files alone.
    let elsewhere = Dir::new();
    let from = |args: &[&str]| ask(&elsewhere.0, ann.port, args, "");
    assert_eq!(from(&["send", "-m", "x"]).code, 4);
    let deep_name = deep.to_str().unwrap();
    assert_eq!(from(&["send", "-m", "from elsewhere", "--wait", "--data-dir", deep_name]).code, 0);
    let told = from(&["tail", "--data-dir", deep_name]);
    assert!(told.out.ends_with("]: from elsewhere\n"), "{}", told.out);

    // A new node replaces the socket that a dead node left.
    let port = ann.port.to_string();
    let home = ann.kill();
    assert!(socket.exists());
    let mut command = program(&deep, &["-l", "-p", &port, "-n", "ann"]);
    command.env("XDG_RUNTIME_DIR", &home.0);
    let ann = Node::spawn(home, command);
    assert_eq!(ask(&elsewhere.0, ann.port, &["tail", "--data-dir", deep_name], "").code, 0);
    let (code, _, _dir) = ann.leave();
    assert_eq!((code, socket.exists()), (0, false));
}

#[test]
fn a_node_that_keeps_nothing_serves_all_the_same() {
    let mut ann = Node::start(&["-l", "-p", "0", "-n", "ann", "--ephemeral"]);
    assert!(!ann.dir.0.join(format!("chat_{}.sock", ann.port)).exists());
    ann.feed("one\ntwo\nthree\n");
    ann.wait_for("]: three");
    for args in [&["tail", "-n", "2"][..], &["tail", "-n", "2", "--channel", "lobby"]] {
        let told = ask(&ann.dir.0, ann.port, args, "").out;
        assert!(told.lines().count() == 2 && told.ends_with("]: three\n"), "{told}");
    }
    assert_eq!(ask(&ann.dir.0, ann.port, &["tail", "--since", "1h"], "").out.lines().count(), 3);
    assert_eq!(ask(&ann.dir.0, ann.port, &["send", "-m", "four", "--wait"], "").code, 0);
    ann.wait_for("]: four");
}

#[test]
fn another_user_is_refused() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: only root can be another user");
        return;
    }
    let (dir, reach) = (Dir::new(), Dir::new());
    let nobody = 65534;
    // The node belongs to another user, and every user may open its socket.
    let files = reach.0.join("files");
    std::fs::create_dir(&files).unwrap();
    for path in [&dir.0, &files] {
        chown(path, Some(1), Some(1)).unwrap();
    }
    let copy = reach.0.join("dist-chat");
    std::fs::copy(crate::harness::PROGRAM, &copy).unwrap();
    let as_user = |user: u32, runtime: &Path, args: &[&str]| {
        let mut command = std::process::Command::new(&copy);
        command.args(args).current_dir("/").env_clear().env("XDG_RUNTIME_DIR", runtime).env("USER", "user");
        command.arg("--data-dir").arg(&files).uid(user).gid(user);
        command
    };
    let mut ann = Node::spawn(dir, as_user(1, &files, &["-l", "-p", "0", "-n", "ann"]));
    let port = ann.port.to_string();
    let socket = files.join(format!("chat_{port}.sock"));
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    let send = |user| run(as_user(user, &reach.0, &["send", "-m", "who am I", "-p", &port]), b"");
    let refused = send(nobody);
    assert_eq!(refused.code, 4, "{}", refused.err);
    // The node also refuses a client that does not check the socket's owner.
    let script = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
                  s.sendall(b'attach {}\\n{\"v\":1,\"type\":\"say\",\"text\":\"intruder\"}\\n')\nprint(len(s.recv(100)))";
    let mut python = std::process::Command::new("python3");
    python.args(["-c", script]).arg(&socket).uid(nobody).gid(nobody).stdin(Stdio::null());
    match python.output() {
        Ok(said) => assert!(!String::from_utf8_lossy(&said.stdout).contains("100"), "{said:?}"),
        Err(error) => eprintln!("skipped in part: python3 does not run ({error})"),
    }
    assert_eq!(send(1).code, 0);
    ann.feed("the end\n");
    let shown = ann.wait_for("]: ");
    assert!(shown.ends_with("]: who am I"), "{shown}");
}

#[test]
fn a_terminal_onto_a_node() {
    if std::process::Command::new("tmux").arg("-V").stdout(Stdio::null()).status().is_err() {
        eprintln!("SKIPPED: there is no tmux here");
        return;
    }
    let ann = Node::start(&["-l", "-p", "0", "-n", "ann", "--daemon"]);
    assert_eq!(ask(&ann.dir.0, ann.port, &["send", "-m", "said before"], "").code, 0);
    let server = format!("dist-chat-attach-{}", std::process::id());
    let tmux = |args: &[&str]| {
        let mut command = std::process::Command::new("tmux");
        command.args(["-L", &server, "-f", "/dev/null"]).args(args).stdin(Stdio::null());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let command = format!(
        "env XDG_RUNTIME_DIR={} {} attach -p {}; echo code $?; cat",
        ann.dir.0.display(),
        crate::harness::PROGRAM,
        ann.port
    );
    tmux(&["new-session", "-d", "-x", "100", "-y", "30", &command]);
    let shows = |what: &str| until(what, || tmux(&["capture-pane", "-p"]).contains(what));
    shows("said before");
    tmux(&["send-keys", "-l", "typed there"]);
    tmux(&["send-keys", "Enter"]);
    shows("]: typed there");
    tmux(&["send-keys", "C-d"]);
    shows("the node stays");
    shows("code 0");
    assert_eq!(tmux(&["capture-pane", "-p"]).matches("the node stays").count(), 1);
    tmux(&["kill-server"]);
    assert_eq!(ask(&ann.dir.0, ann.port, &["send", "-m", "it does", "--wait"], "").code, 0);
}

#[test]
fn what_is_liked_is_among_the_newest_lines_and_likes_are_not() {
    let ann = Node::start(&["-l", "-p", "0", "-n", "ann", "--daemon"]);
    let port = ann.port.to_string();
    let lines: String = (1..=30).map(|n| format!("number {n}\n")).collect();
    assert_eq!(ask(&ann.dir.0, ann.port, &["send", "--wait", "-"], &lines).code, 0);
    let first = last_stamp(&ann) - 19;
    let like = |ts| format!("{{\"v\":1,\"type\":\"type\",\"line\":\"/like {ts}\"}}\n");
    let likes: String = (first..first + 20).map(like).collect();
    let ended = run(program(&ann.dir.0, &["attach", "--json", "-p", &port]), likes.as_bytes());
    assert_eq!(ended.out.matches("\"kind\":\"react\"").count(), 20, "{}", ended.out);
    let mut term = Term::start_in(Dir::new(), &["attach", "-p", &port, "--data-dir", ann.dir.0.to_str().unwrap()], &[]);
    term.wait_row("/// now ///");
    let shown = term.look(Seen::everything).concat();
    assert!(shown.contains("]: number 11") && !shown.contains("]: number 10"), "{shown}");
    term.keys("\x04");
    assert_eq!(term.ended(), 0);
}

#[test]
fn commands_are_meant_for_the_terminal_where_they_are_typed() {
    let dir = Dir::new();
    let mut command = program(&dir.0, &["-l", "-p", "0", "-n", "ann", "--daemon"]);
    command.env("HOME", dir.0.join("home"));
    std::fs::create_dir(dir.0.join("home")).unwrap();
    let ann = Node::spawn(dir, command);
    let port = ann.port.to_string();
    assert_eq!(ask(&ann.dir.0, ann.port, &["send", "--wait", "-"], "one\ntwo\n").code, 0);
    let liking = format!("{{\"v\":1,\"type\":\"type\",\"line\":\"/like {}\"}}\n", last_stamp(&ann));
    let ended = run(program(&ann.dir.0, &["attach", "--json", "-p", &port]), liking.as_bytes());
    assert_eq!(ended.out.matches("\"kind\":\"react\"").count(), 1, "{}", ended.out);
    let args = ["attach", "-p", &port, "--data-dir", ann.dir.0.to_str().unwrap()];
    let mut term = Term::start_in(Dir::new(), &args, &[]);
    term.wait_row("/// now ///");
    for (name, file) in [("here.txt", term.dir.0.join("here.txt")), ("~/home.txt", ann.dir.0.join("home/home.txt"))] {
        term.keys(&format!("/save {name}\r"));
        let saved = format!("/// 2 lines, and 1 of likes and the like, saved in {} ///", file.display());
        term.wait("what was saved", |seen| seen.everything().concat().contains(&saved));
        assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), 3);
    }
    term.keys("/ignore zed\r");
    term.wait_row("/// nobody of that name is here now; lines of zed are not shown here");
    term.keys("/ignore Ann\r");
    term.wait_row("/// that is you: ");
    term.keys("/help exit\r");
    term.wait_row("/// /exit: leave the room; an attached terminal: that terminal alone ///");
    term.keys("/exit\r");
    assert_eq!(term.ended(), 0);
}

/// The timestamp of the last line that the node holds.
fn last_stamp(node: &Node) -> u64 {
    let told = ask(&node.dir.0, node.port, &["tail", "-n", "1"], "").out;
    told.split(['[', ']']).nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_terminal_that_hangs_up_leaves_a_daemon_where_it_is() {
    let ann = Node::start(&["-l", "-p", "0", "-n", "ann", "--daemon"]);
    ann.signal(Signal::HUP);
    assert_eq!(ask(&ann.dir.0, ann.port, &["send", "-m", "still here", "--wait"], "").code, 0);
    let mut tail = Reader::start(&ann.dir.0, &["tail", "-p", &ann.port.to_string()]);
    let mut said = String::new();
    tail.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.ends_with("]: still here\n"), "{said}");
}
