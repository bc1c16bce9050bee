//! Users make, keep and pass on the room's key; the program shows it nowhere.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use dist_chat::key::invite::Invite;
use dist_chat::key::{generated, salt};

use crate::harness::{Dir, Ended, Node, chat_lines, program, run, run_args, until};
use crate::pty::Term;
use crate::screen::{Terminal, ends_well};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

/// A fresh key in a file with these permissions; returns the key and the path.
fn key_file(dir: &Dir, mode: u32) -> (String, String) {
    let key = generated::fresh().unwrap().to_string();
    let path = dir.0.join("room.key");
    fs::write(&path, format!("{key}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    (key, path.to_str().unwrap().to_owned())
}

fn invite(node: &Node, more: &[&str]) -> Ended {
    let port = node.port.to_string();
    run(program(&node.dir.0, &[&["invite", "-p", &port][..], more].concat()), b"")
}

#[test]
fn a_key_is_printed_and_nothing_else_and_each_is_fresh() {
    let (one, two) = (run_args(&["key"]), run_args(&["key"]));
    for ended in [&one, &two] {
        assert_eq!((ended.code, ended.err.as_str()), (0, ""));
        let key = ended.out.strip_suffix('\n').unwrap();
        assert_eq!(key.split('-').map(str::len).collect::<Vec<_>>(), [4; 9], "{key}");
        assert!(generated::parse(key).unwrap().is_some(), "{key}");
    }
    assert_ne!(one.out, two.out);
    let help = run_args(&["key", "--help"]);
    assert!(help.code == 0 && help.out.starts_with("  dist-chat key room.key "), "{}", help.out);
}

#[test]
fn a_key_in_a_new_file_is_its_owners_alone() {
    let dir = Dir::new();
    let ended = run(program(&dir.0, &["key", "room.key"]), b"");
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (0, "", ""));
    let path = dir.0.join("room.key");
    assert_eq!(mode(&path), 0o600);
    let key = fs::read_to_string(&path).unwrap();
    assert!(generated::parse(&key).unwrap().is_some());
    // The program never overwrites a key.
    let ended = run(program(&dir.0, &["key", "room.key"]), b"");
    assert_eq!((ended.code, ended.out.as_str()), (6, ""));
    assert!(ended.err.contains("there is such a file already"), "{}", ended.err);
    assert_eq!(fs::read_to_string(&path).unwrap(), key);
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    for bad in [0o644, 0o640, 0o604, 0o620] {
        let dir = Dir::new();
        let (key, path) = key_file(&dir, bad);
        for how in ["flag", "variable"] {
            let mut command = program(&dir.0, &["-l", "-p", "0"]);
            match how {
                "flag" => command.args(["--key-file", &path]),
                _ => command.env("DIST_CHAT_KEY_FILE", &path),
            };
            let ended = run(command, b"");
            assert_eq!((ended.code, ended.out.as_str()), (6, ""), "{}", ended.err);
            assert!(ended.err.contains(&format!("others can read or write it (mode {bad:04o})")), "{}", ended.err);
            assert!(ended.err.contains(&format!("try `chmod 600 {path}`")), "{}", ended.err);
            assert!(!ended.err.contains(&key), "{}", ended.err);
        }
    }
}

#[test]
fn what_is_no_key_file_is_told_without_its_content() {
    let dir = Dir::new();
    let (key, path) = key_file(&dir, 0o600);
    let refused = |content: &str, code, part: &str| {
        fs::write(&path, content).unwrap();
        let ended = run(program(&dir.0, &["-l", "-p", "0", "--key-file", &path]), b"");
        assert_eq!((ended.code, ended.out.as_str()), (code, ""), "{}", ended.err);
        assert!(ended.err.contains(part), "{}", ended.err);
        let secret = content.trim();
        assert!(secret.is_empty() || !ended.err.contains(secret), "{}", ended.err);
    };
    let slip = if key.ends_with('0') { "1" } else { "0" };
    refused(&format!("{}{slip}", &key[..key.len() - 1]), 2, "it is mistyped: its check is wrong");
    refused("hush hush", 2, "it is too short");
    refused("", 6, "it is empty");
    refused("one two three\nfour five six\n", 6, "it has more than one line");
    let token = Invite { addresses: vec![([127, 0, 0, 1], 1).into()], key: None }.token();
    refused(&token, 2, "try `dist-chat join`");
    fs::remove_file(&path).unwrap();
    let ended = run(program(&dir.0, &["-l", "-p", "0", "--key-file", &path]), b"");
    assert_eq!(ended.code, 6, "{}", ended.err);
    assert!(ended.err.contains("`dist-chat key FILE` makes a key"), "{}", ended.err);
    let ended = run(program(&dir.0, &["-l", "-p", "0", "--key-file", "-"]), b"");
    assert!(ended.code == 6 && ended.err.contains("a key is read from a file"), "{}", ended.err);
}

#[test]
fn where_nobody_can_be_asked_that_is_told() {
    let ended = run_args(&["-l", "-p", "0", "--ask-key"]);
    assert_eq!(ended.code, 2, "{}", ended.err);
    assert!(ended.err.contains("there is nobody to ask for the key"), "{}", ended.err);
}

#[test]
fn a_secret_is_no_argument_and_no_variable() {
    let key = generated::fresh().unwrap();
    let token = Invite { addresses: vec![([127, 0, 0, 1], 1).into()], key: None }.token();
    for args in [&["join", &token][..], &["-l", "-p", "0", "--key-file", &key], &["-l", "--key", &key], &[&token]] {
        let ended = run_args(args);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{}", ended.err);
        assert!(ended.err.contains(" is never an argument\n"), "{}", ended.err);
        assert!(!ended.err.contains(&*key) && !ended.err.contains(&*token), "{}", ended.err);
    }
    let dir = Dir::new();
    let mut command = program(&dir.0, &["-l", "-p", "0"]);
    command.env("DIST_CHAT_KEY", &*key);
    let ended = run(command, b"");
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    assert!(ended.err.contains("DIST_CHAT_KEY is no place for a key"), "{}", ended.err);
    assert!(ended.err.contains("try DIST_CHAT_KEY_FILE=FILE") && !ended.err.contains(&*key), "{}", ended.err);
}

#[test]
fn an_invite_to_an_open_room_is_joined_from_a_pipe() {
    let mut ann = Node::found("ann");
    let ended = invite(&ann, &[]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.err.contains("the room is on a loopback address"), "{}", ended.err);
    let token = ended.out.strip_suffix('\n').unwrap();
    let invite = Invite::parse(token).unwrap();
    assert_eq!((invite.addresses, invite.key), (vec![([127, 0, 0, 1], ann.port).into()], None));

    // The program takes the first line of its input as the invite, and the other lines as lines to send.
    let dir = Dir::new();
    let ended = run(program(&dir.0, &["join", "-p", "0", "-n", "bob"]), format!("{token}\nhello\nworld\n").as_bytes());
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.contains("]: hello\n") && ended.out.contains("]: world\n"), "{}", ended.out);
    ann.wait_for("]: world");
    assert!(!ended.out.contains(token) && !ended.err.contains(token));
    assert!(fs::read_dir(&dir.0).unwrap().all(|file| !file.unwrap().file_name().to_string_lossy().ends_with(".key")));
}

#[test]
fn an_invite_is_joined_from_a_file_that_others_cannot_read() {
    let ann = Node::found("ann");
    let dir = Dir::new();
    let path = dir.0.join("invite.txt");
    fs::write(&path, invite(&ann, &[]).out.to_uppercase()).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let args = ["join", "invite.txt", "-p", "0", "-n", "bob"];
    let ended = run(program(&dir.0, &args), b"");
    assert!(ended.code == 6 && ended.err.contains("try `chmod 600 invite.txt`"), "{}", ended.err);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let ended = run(program(&dir.0, &args), b"hello\n");
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.contains("]: hello\n"), "{}", ended.out);
}

#[test]
fn what_is_no_invite_is_told_and_not_repeated() {
    let token = Invite { addresses: vec![([127, 0, 0, 1], 1).into()], key: None }.token();
    let dir = Dir::new();
    for (said, part) in [
        (&token[..token.len() - 1], "that invite is damaged"),
        ("hush-hush-hush", "that is no invite"),
        ("", "no invite on standard input"),
    ] {
        let ended = run(program(&dir.0, &["join", "-p", "0"]), said.as_bytes());
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{}", ended.err);
        assert!(ended.err.contains(part), "{}", ended.err);
        assert!(said.is_empty() || !ended.err.contains(said), "{}", ended.err);
    }
}

#[test]
fn an_invite_is_drawn_too() {
    let ann = Node::found("ann");
    let plain = invite(&ann, &[]).out;
    let ended = invite(&ann, &["--qr"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let lines: Vec<&str> = ended.out.lines().collect();
    let (token, picture) = lines.split_last().unwrap();
    assert_eq!(*token, plain.trim_end());
    assert!(picture.len() <= 24 && picture.iter().all(|line| line.chars().count() <= 80), "{}", ended.out);
    assert!(picture.iter().any(|line| line.contains('█')), "{}", ended.out);
    let nobody = run_args(&["invite", "-p", "1"]);
    assert!(nobody.code == 4 && nobody.err.contains("no node runs with port 1"), "{}", nobody.err);
}

/// Everything of that node that other users or programs can read: its process, its history, its chat log and its
/// status.
fn in_sight(node: &Node) -> String {
    let proc = |what: &str| fs::read(format!("/proc/{}/{what}", node.pid())).unwrap();
    let port = node.port.to_string();
    let status = |more: &[&str]| run(program(&node.dir.0, &[&["status", "-p", &port][..], more].concat()), b"").out;
    let bytes =
        [proc("cmdline"), proc("environ"), fs::read(node.dir.0.join(format!("chat_{port}.db"))).unwrap()].concat();
    format!("{}{}{}{}", String::from_utf8_lossy(&bytes), node.dir.log(node.port), status(&[]), status(&["--json"]))
}

#[test]
fn the_key_of_a_running_node_is_in_its_invite_and_nowhere_in_sight() {
    let dir = Dir::new();
    let (key, path) = key_file(&dir, 0o600);
    let mut command = program(&dir.0, &["-l", "-p", "0", "-n", "ann", "-v"]);
    command.env("DIST_CHAT_KEY_FILE", &path);
    let mut ann = Node::spawn(dir, command);
    ann.feed("hello\n");
    ann.wait_for("]: hello");
    until("the log has it", || !chat_lines(&ann.dir.log(ann.port)).is_empty());
    let token = invite(&ann, &[]).out;
    let invited = Invite::parse(&token).unwrap().key.unwrap();
    assert_eq!(Some(Some(&invited)), generated::parse(&key).as_ref().map(Option::as_ref));
    let seen = in_sight(&ann);
    let secrets =
        [key.clone(), key.replace('-', ""), dist_chat::ring::hex::text(invited.psk()), invited.kept().to_string()];
    for secret in &secrets {
        assert!(!seen.contains(secret.as_str()), "{seen}");
    }
    let (code, said, _) = ann.leave();
    assert_eq!(code, 0);
    assert!(said.iter().all(|line| secrets.iter().all(|secret| !line.contains(secret))), "{said:#?}");
}

#[test]
fn a_room_with_a_key_is_not_opened_without_it() {
    let dir = Dir::new();
    let (key, path) = key_file(&dir, 0o600);
    let command = program(&dir.0, &["-l", "-p", "0", "-n", "ann", "--key-file", &path]);
    let ann = Node::spawn(dir, command);
    let port = ann.port.to_string();
    let (code, _, dir) = ann.leave();
    assert_eq!(code, 0);
    for args in [&["-l", "-p", &port][..], &["-p", &port]] {
        let ended = run(program(&dir.0, args), b"");
        assert_eq!((ended.code, ended.out.as_str()), (5, ""), "{}", ended.err);
        assert!(ended.err.contains("has a key, and none was given"), "{}", ended.err);
        assert!(ended.err.contains("try --key-file FILE"), "{}", ended.err);
    }
    // The key opens the same room again; another key does not open it.
    let ended = run(program(&dir.0, &["-l", "-p", &port, "--key-file", &path]), b"again\n");
    assert!(ended.code == 0 && ended.out.contains("]: again\n"), "{}{}", ended.out, ended.err);
    fs::write(&path, &*generated::fresh().unwrap()).unwrap();
    let ended = run(program(&dir.0, &["-l", "-p", &port, "--key-file", &path]), b"");
    assert!(ended.code == 5 && ended.err.contains("that is not the key of the room"), "{}", ended.err);
    fs::write(&path, "a passphrase of one's own").unwrap();
    let ended = run(program(&dir.0, &["-l", "-p", &port, "--key-file", &path]), b"");
    assert!(ended.code == 5 && ended.err.contains("the room's key is no passphrase"), "{}", ended.err);
    // The program takes the key beside the history without a flag, and reports it.
    let own = dir.0.join(format!("chat_{port}.key"));
    fs::write(&own, key).unwrap();
    fs::set_permissions(&own, Permissions::from_mode(0o600)).unwrap();
    let ended = run(program(&dir.0, &["-p", &port]), b"back\n");
    assert!(ended.code == 0 && ended.out.contains("]: back\n"), "{}{}", ended.out, ended.err);
    assert!(ended.err.contains(&format!("the room's key is that of ./chat_{port}.key\n")), "{}", ended.err);
}

#[test]
fn a_passphrase_opens_its_room_again_and_another_does_not() {
    let dir = Dir::new();
    let path = dir.0.join("phrase");
    let text = path.to_str().unwrap().to_owned();
    let write = |phrase: &str| {
        fs::write(&path, phrase).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    };
    let key_of = |node: &Node| Invite::parse(&invite(node, &[]).out).unwrap().key.unwrap();
    write("correct horse battery staple\n");
    let command = program(&dir.0, &["-l", "-p", "0", "-n", "ann", "--key-file", &text]);
    let ann = Node::spawn(dir, command);
    let first = key_of(&ann);
    assert!(first.salt().is_some());
    assert!(!in_sight(&ann).contains("horse"));
    let port = ann.port.to_string();
    let (code, _, dir) = ann.leave();
    assert_eq!(code, 0);
    // The node's files hold the salt.
    let command = program(&dir.0, &["-p", &port, "--key-file", &text]);
    let ann = Node::spawn(dir, command);
    assert_eq!(key_of(&ann), first);
    let (code, _, dir) = ann.leave();
    assert_eq!(code, 0);
    write("correct horse battery stapler\n");
    let ended = run(program(&dir.0, &["-p", &port, "--key-file", &text]), b"");
    assert!(ended.code == 5 && ended.err.contains("that is not the key of the room"), "{}", ended.err);
    // A new room has a new salt.
    write("correct horse battery staple\n");
    let command = program(&dir.0, &["-l", "--new", "-p", &port, "--key-file", &text]);
    let ann = Node::spawn(dir, command);
    assert_ne!(key_of(&ann), first);
}

/// A node that joins with a passphrase first asks for the salt.
#[test]
fn a_passphrase_is_no_use_where_the_room_has_another_kind_of_key() {
    let dir = Dir::new();
    let path = dir.0.join("phrase");
    fs::write(&path, "correct horse battery staple").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    for (answer, code, part) in [
        (salt::SaltAnswer::Generated.to_string(), 5, "has another kind of key"),
        (salt::SaltAnswer::Open.to_string(), 5, "is open"),
        ("HTTP/1.1 400 Bad Request".to_owned(), 4, "does not answer as a dist-chat"),
    ] {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = door.local_addr().unwrap().port().to_string();
        let asked = std::thread::spawn(move || {
            let (stream, _) = door.accept().unwrap();
            let mut asked = String::new();
            BufReader::new(&stream).read_line(&mut asked).unwrap();
            writeln!(&stream, "{answer}").unwrap();
            asked
        });
        let args = ["-p", "0", "-na", "127.0.0.1", "-np", &port, "--key-file", path.to_str().unwrap()];
        let ended = run(program(&dir.0, &args), b"");
        assert_eq!((ended.code, ended.out.as_str()), (code, ""), "{}", ended.err);
        assert!(ended.err.contains(part) && !ended.err.contains("horse"), "{}", ended.err);
        assert_eq!(asked.join().unwrap(), salt::question());
    }
}

#[test]
fn an_invite_beats_what_the_environment_says() {
    let ann = Node::found("ann");
    let dir = Dir::new();
    let mut command = program(&dir.0, &["join", "-p", "0", "-n", "bob"]);
    command.env("DIST_CHAT_LEADER", "1").env("DIST_CHAT_NEW", "1").env("DIST_CHAT_KEY_FILE", "/nowhere");
    command.env("DIST_CHAT_NEIGHBOR_ADDRESS", "192.0.2.1").env("DIST_CHAT_ASK_KEY", "1");
    let ended = run(command, format!("{}hello\n", invite(&ann, &[]).out).as_bytes());
    assert!(ended.code == 0 && ended.out.contains("]: hello\n"), "{}{}", ended.out, ended.err);
}

#[test]
fn an_open_room_that_others_can_reach_says_so_in_one_line() {
    let word = "anybody who reaches 0.0.0.0:";
    let open = |args: &[&str]| run_args(&[&["-l", "-p", "0"][..], args].concat());
    let ended = open(&["-a", "0.0.0.0"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert_eq!(ended.err.lines().filter(|line| line.contains(word)).count(), 1, "{}", ended.err);
    assert!(ended.err.contains("dist-chat key --help"), "{}", ended.err);
    assert!(!open(&[]).err.contains("anybody"));
    let dir = Dir::new();
    let (_, path) = key_file(&dir, 0o600);
    assert!(!open(&["-a", "0.0.0.0", "--key-file", &path]).err.contains("anybody"));
    // A node that joins an open room warns its user once it is in the room.
    let room = Node::found("ann");
    let port = room.port.to_string();
    let ended = run_args(&["-p", "0", "-a", "0.0.0.0", "-n", "bob", "-na", "127.0.0.1", "-np", &port]);
    assert!(ended.code == 0 && !ended.err.contains("anybody"), "{}", ended.err);
    let told: Vec<&str> = ended.out.lines().filter(|line| line.contains(word)).collect();
    assert!(told.len() == 1 && told[0].starts_with("/// no key: ") && told[0].ends_with(" ///"), "{}", ended.out);
}

#[test]
fn whoever_types_is_told_above_the_line_where_the_key_is_kept() {
    let dir = Dir::new();
    let (_, path) = key_file(&dir, 0o600);
    let command = program(&dir.0, &["-l", "-p", "0", "-n", "bob", "--key-file", &path]);
    let bob = Node::spawn(dir, command);
    let file = bob.dir.0.join("invite");
    fs::write(&file, invite(&bob, &[]).out).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let ann = Term::start(&["join", file.to_str().unwrap(), "-p", "0", "-n", "ann"], &[]);
    ann.wait_row("/// joined: bob and you are here ///");
    ann.wait_row("/// the room's key is now in ./chat_");
    assert!(ann.look(|seen| !seen.has("dist-chat: ")));
}

#[test]
fn an_invite_with_a_key_lets_in_and_the_key_is_kept() {
    let dir = Dir::new();
    let (key, path) = key_file(&dir, 0o600);
    let command = program(&dir.0, &["-l", "-p", "0", "-n", "ann", "--key-file", &path]);
    let ann = Node::spawn(dir, command);
    let token = invite(&ann, &[]).out;
    let dir = Dir::new();
    fs::write(dir.0.join("invite"), &token).unwrap();
    fs::set_permissions(dir.0.join("invite"), Permissions::from_mode(0o600)).unwrap();
    let command = program(&dir.0, &["join", "invite", "-p", "0", "-n", "bob"]);
    let mut bob = Node::spawn(dir, command);
    let port = bob.port.to_string();
    let own = bob.dir.0.join(format!("chat_{port}.key"));
    bob.wait_for_error(&format!("the room's key is now in ./chat_{port}.key"));
    assert_eq!(mode(&own), 0o600);
    let key_in = |token: &str| Invite::parse(token).unwrap().key.unwrap();
    assert_eq!(key_in(&invite(&bob, &[]).out), key_in(&token));
    let seen = in_sight(&bob);
    assert!(!seen.contains(&key) && !seen.contains(token.trim()), "{seen}");
    let (code, _, dir) = bob.leave();
    assert_eq!(code, 0);
    // The node comes back without a flag for the key, and reports which key it uses.
    let command = program(&dir.0, &["-p", &port]);
    let mut bob = Node::spawn(dir, command);
    bob.wait_for_error("the room's key is that of ./chat_");
    bob.feed("back\n");
    bob.wait_for("]: back");
    let (code, _, dir) = bob.leave();
    assert_eq!(code, 0);
    // Without that file the node has no key, and it does not treat the room as open.
    fs::remove_file(own_key(&dir, &port)).unwrap();
    let contact = ann.port.to_string();
    for args in [&["-p", &port][..], &["-p", &port, "-na", "127.0.0.1", "-np", &contact]] {
        let ended = run(program(&dir.0, args), b"");
        assert!(ended.code == 5 && ended.err.contains("has a key, and none was given"), "{}", ended.err);
    }
}

fn own_key(dir: &Dir, port: &str) -> std::path::PathBuf {
    dir.0.join(format!("chat_{port}.key"))
}

#[test]
fn an_invite_is_typed_and_not_shown() {
    let mut ann = Node::found("ann");
    let token = invite(&ann, &[]).out;
    let Some(terminal) = Terminal::start("join -p 0 -n bob") else { return };
    terminal.wait_for(|lines| lines.iter().any(|line| line.starts_with("invite (it is not shown):")));
    terminal.keys(&["-l", token.trim()]);
    terminal.keys(&["Enter"]);
    ann.wait_for(" joined the ring ///");
    let lines = terminal.wait_for(|lines| lines.last().is_some_and(|line| line.starts_with("> bob(")));
    assert!(!lines.iter().any(|line| line.contains(&token[..12])), "{lines:#?}");
    terminal.keys(&["C-d"]);
    terminal.wait_for(ends_well);
}

#[test]
fn a_typed_passphrase_is_not_shown_and_a_new_rooms_is_typed_twice() {
    let Some(terminal) = Terminal::start("-l -p 0 -n ann --ask-key") else { return };
    terminal.wait_for(|lines| lines.iter().any(|line| line.starts_with("room key (it is not shown):")));
    terminal.keys(&["-l", "correct horse battery staple"]);
    terminal.keys(&["Enter"]);
    terminal.wait_for(|lines| lines.iter().any(|line| line.contains("once more:")));
    terminal.keys(&["-l", "correct horse battery staple"]);
    terminal.keys(&["Enter"]);
    let lines = terminal.wait_for(|lines| lines.last().is_some_and(|line| line.starts_with("> ann(")));
    assert!(!lines.iter().any(|line| line.contains("horse")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("invite others: dist-chat invite -p ")), "{lines:#?}");
    terminal.keys(&["C-d"]);
    terminal.wait_for(ends_well);
}

#[test]
fn the_key_of_a_room_that_had_one_is_asked_for_where_somebody_is_there() {
    let dir = Dir::new();
    let (key, path) = key_file(&dir, 0o600);
    let command = program(&dir.0, &["-l", "-p", "0", "-n", "ann", "--key-file", &path]);
    let ann = Node::spawn(dir, command);
    let port = ann.port;
    let (code, _, dir) = ann.leave();
    assert_eq!(code, 0);
    let Some(terminal) = Terminal::start(&format!("-p {port} --data-dir {}", dir.0.display())) else { return };
    terminal.wait_for(|lines| lines.iter().any(|line| line.starts_with("this room has a key (it is not shown):")));
    terminal.keys(&["-l", &key]);
    terminal.keys(&["Enter"]);
    let lines = terminal.wait_for(|lines| lines.last().is_some_and(|line| line.starts_with("> ann(")));
    assert!(!lines.iter().any(|line| line.contains(&key[..9])), "{lines:#?}");
    // The program does not store a key that its user typed.
    assert!(!own_key(&dir, &port.to_string()).exists());
    terminal.keys(&["C-d"]);
    terminal.wait_for(ends_well);
}

#[test]
fn two_passphrases_that_differ_open_no_room() {
    let Some(terminal) = Terminal::start("-l -p 0 -n ann --ask-key") else { return };
    terminal.wait_for(|lines| lines.iter().any(|line| line.starts_with("room key (it is not shown):")));
    terminal.keys(&["-l", "correct horse battery staple"]);
    terminal.keys(&["Enter"]);
    terminal.wait_for(|lines| lines.iter().any(|line| line.contains("once more:")));
    terminal.keys(&["-l", "correct horse battery stable"]);
    terminal.keys(&["Enter"]);
    let lines = terminal.wait_for(|lines| lines.ends_with(&["code 2".to_owned(), "0".to_owned()]));
    assert!(lines.iter().any(|line| line.contains("the two passphrases differ")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("horse")), "{lines:#?}");
}

/// The terminal works as before, however the prompt for the key ends.
#[test]
fn a_question_that_is_broken_off_leaves_the_terminal_as_it_was() {
    let end = ["code 2".to_owned(), "0".to_owned()];
    for how in ["C-c", "C-d", "signal"] {
        let Some(terminal) = Terminal::start("-l -p 0 -n ann --ask-key") else { return };
        terminal.wait_for(|lines| lines.iter().any(|line| line.starts_with("room key (it is not shown):")));
        match how {
            "signal" => terminal.terminate(),
            key => terminal.keys(&[key]),
        }
        let lines = terminal.wait_for(|lines| lines.ends_with(&end));
        assert!(lines.iter().any(|line| line.contains("nothing was typed")), "{how}: {lines:#?}");
        // The terminal shows typed text again.
        terminal.keys(&["-l", "visible"]);
        terminal.wait_for(|lines| lines.iter().any(|line| line.contains("visible")));
    }
}
