//! `doctor` names the failed layer for each kind of failure, and reports success where all is well. No member notices
//! it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use dist_chat::ring::limits::{BOOK_NODES_MAX, PROTOCOL_VERSION};
use dist_chat::ring::{AuthorId, Epoch, Frame, Hello, NodeState, Nonce, PollReply, RoomId, SessionId, Tail, Uid};

use crate::harness::{Dir, Ended, Node, PROGRAM, program, run, run_args};

/// Runs `doctor` from an empty directory, as the program of another user: no node of that user runs here.
fn doctor(args: &[&str]) -> Ended {
    run_args(&[&["doctor"], args].concat())
}

/// Runs `doctor` as the user that owns this node.
fn doctor_at_home(node: &Node, args: &[&str]) -> Ended {
    run(program(&node.dir.0, &[&["doctor"], args].concat()), b"")
}

/// The mark and the layer of each line of the report.
fn layers(said: &str) -> Vec<(String, String)> {
    let lines = said.lines().filter(|line| !line.starts_with(' '));
    let words = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next().unwrap().to_owned(), words.next().unwrap().to_owned())
    };
    lines.map(words).collect()
}

fn fails_in(ended: &Ended, layer: &str, code: i32, part: &str) {
    let last = layers(&ended.out).pop().unwrap();
    assert_eq!((last.0.as_str(), last.1.as_str(), ended.code), ("FAIL", layer, code), "{}{}", ended.out, ended.err);
    assert!(ended.out.contains(part), "no {part:?} in {}", ended.out);
    let said: Vec<&str> = ended.out.lines().collect();
    assert!(said.len() >= 3 && said[said.len() - 1].starts_with("              "), "what to try: {}", ended.out);
    assert_eq!(layers(&ended.out).iter().filter(|(mark, _)| mark == "FAIL").count(), 1);
}

/// A server that reads one request on every connection, sends this answer, and closes the connection.
fn answering(answer: &'static [u8]) -> String {
    serving(move |mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(answer);
    })
}

fn serving(serve: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || listener.incoming().for_each(|stream| serve(stream.unwrap())));
    place
}

fn place(node: &Node) -> String {
    format!("127.0.0.1:{}", node.port)
}

fn key_file(dir: &Path) -> String {
    let path = dir.join("room.key");
    assert_eq!(run_args(&["key", path.to_str().unwrap()]).code, 0);
    path.to_str().unwrap().to_owned()
}

#[test]
fn all_is_well_in_an_open_room_and_nobody_has_seen_anybody() {
    let ann = Node::found("ann");
    let log = ann.dir.log(ann.port);
    let ended = doctor(&[&place(&ann), "-n", "bob"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    let expected = ["host", "route", "TCP", "answer", "version", "key", "room", "name"];
    assert_eq!(layers(&ended.out).iter().map(|(_, layer)| layer.as_str()).collect::<Vec<_>>(), expected);
    assert!(ended.out.contains("ok   key      none is needed"), "{}", ended.out);
    assert!(ended.out.contains(", which it leads (epoch 1, 0 others)"), "{}", ended.out);
    // `doctor` checks a name only for a node that joins.
    assert!(ended.out.contains("\n--   name     `bob` can be a name"), "{}", ended.out);
    let status = run(program(&ann.dir.0, &["status", "-p", &ann.port.to_string(), "--json"]), b"").out;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["members"].as_array().unwrap().len(), 1);
    let port = ann.port;
    let (code, shown, dir) = ann.leave();
    assert_eq!((code, shown.iter().filter(|line| !line.contains("left")).count()), (0, 0), "{shown:?}");
    let more = dir.log(port)[log.len()..].to_owned();
    assert!(!more.contains("joined") && !more.contains("lost"), "{more}");
}

#[test]
fn a_follower_names_its_leader() {
    let ann = Node::found("ann");
    let bob = Node::join("bob", &ann);
    let ended = doctor(&[&place(&bob)]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    assert!(ended.out.contains(&format!(", led by 127.0.0.1:{} (epoch 1)\n", ann.port)), "{}", ended.out);
}

#[test]
fn a_name_is_taken_where_a_node_of_ones_own_tells_who_is_here() {
    let ann = Node::found("Ann");
    let bob = Node::join("bob", &ann);
    for node in [&ann, &bob] {
        let taken = doctor_at_home(node, &[&place(node), "-n", "ann"]);
        fails_in(&taken, "name", 5, &format!("the name ann is taken, by 127.0.0.1:{}", ann.port));
        let free = doctor_at_home(node, &[&place(node), "-n", "carl"]);
        assert!(free.code == 0 && free.out.contains("ok   name     nobody who is here is called carl"), "{}", free.out);
    }
    let mut command = program(&ann.dir.0, &["doctor", &place(&ann)]);
    command.env("USER", "ann");
    let ended = run(command, b"");
    assert!(ended.code == 0 && ended.out.contains("a number would be added"), "{}", ended.out);
}

#[test]
fn a_room_with_a_key() {
    let dir = Dir::new();
    let key = key_file(&dir.0);
    let ann = Node::start(&["-l", "-p", "0", "-n", "ann", "--key-file", &key]);
    let well = doctor(&[&place(&ann), "--key-file", &key]);
    assert_eq!(well.code, 0, "{}{}", well.out, well.err);
    assert!(well.out.contains("ok   key      it opens the room's door"), "{}", well.out);
    fails_in(&doctor(&[&place(&ann)]), "key", 5, "the room has a key, and this program was given none");
    let wrong = Dir::new();
    let ended = doctor(&[&place(&ann), "--key-file", &key_file(&wrong.0)]);
    fails_in(&ended, "key", 5, "the room has another key");
    let phrase = wrong.0.join("phrase");
    std::fs::write(&phrase, "correct horse battery staple\n").unwrap();
    std::fs::set_permissions(&phrase, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let phrase = phrase.to_str().unwrap();
    fails_in(&doctor(&[&place(&ann), "--key-file", phrase]), "key", 5, "another kind of key");
    // One room uses that passphrase; another room has no key.
    let bob = Node::start(&["-l", "-p", "0", "-n", "bob", "--key-file", phrase]);
    assert_eq!(doctor(&[&place(&bob), "--key-file", phrase]).code, 0);
    let carl = Node::found("carl");
    fails_in(&doctor(&[&place(&carl), "--key-file", &key]), "key", 5, "the room has no key");
    assert_eq!(doctor(&[&place(&ann), "--key-file", "nonesuch"]).code, 6);
}

#[test]
fn a_host_that_is_not_found() {
    fails_in(&doctor(&["no-such-host.invalid"]), "host", 4, "cannot find the host no-such-host.invalid");
}

#[test]
fn a_port_that_refuses() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    fails_in(&doctor(&[&closed]), "TCP", 4, &format!("cannot connect to {closed} (connection refused)"));
}

#[test]
fn a_machine_that_swallows_what_is_sent_to_it() {
    // When the queue of connections is full, the machine answers no more, like a machine behind a firewall.
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let there = listener.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&there, Duration::from_millis(300)) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "its queue has no end");
    }
    let ended = doctor(&[&there.to_string()]);
    fails_in(&ended, "TCP", 4, &format!("cannot connect to {there} (no answer within 3 s)"));
    assert!(ended.out.contains("ok   route    from 127.0.0.1 to 127.0.0.1\n"), "{}", ended.out);
    assert!(ended.out.contains("a firewall drops what is sent to it"), "{}", ended.out);
}

#[test]
fn a_machine_to_which_no_network_leads() {
    let dir = Dir::new();
    let mut alone = Command::new("unshare");
    alone.args(["-n", "true"]).stderr(Stdio::null());
    if !alone.status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no network namespace can be made here");
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["-n", PROGRAM, "doctor", "10.0.0.5"]).current_dir(&dir.0).env("DIST_CHAT_CONFIG", "");
    fails_in(&run(command, b""), "route", 4, "cannot reach 10.0.0.5:2428 (no route)");
}

/// A member that answers `doctor` with this state.
fn state(state: NodeState) -> String {
    serving(move |mut stream| {
        let uid = Uid(stream.local_addr().unwrap());
        let mut asked = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        asked.read_line(&mut line).unwrap();
        let mut answer = Vec::new();
        if line.ends_with(" salt\n") {
            answer.extend(format!("dist-chat {PROTOCOL_VERSION} open\n").bytes());
        } else {
            let (author, session) = (AuthorId::of_bits(1), SessionId(1));
            let hello = Hello { version: PROTOCOL_VERSION, room: Some(RoomId(7)), uid, author, session };
            Frame::Hello(hello).encode(&mut answer);
            Frame::PollReply(PollReply { state, tail: Tail::default(), round: 1 }).encode(&mut answer);
        }
        let _ = stream.write_all(&answer);
        let _ = asked.read_to_end(&mut Vec::new());
    })
}

#[test]
fn a_room_that_is_full_or_has_no_leader() {
    let epoch = |port| Epoch { round: 3, nonce: Nonce(1), leader: Uid(([127, 0, 0, 1], port).into()) };
    let full = state(NodeState::Leading { epoch: epoch(1), followers: BOOK_NODES_MAX as u32 - 1 });
    fails_in(&doctor(&[&full]), "room", 5, "the room is full");
    let between = doctor(&[&state(NodeState::Electing)]);
    assert!(between.code == 0 && between.out.contains("which has no leader just now"), "{}", between.out);
    fails_in(&doctor(&[&state(NodeState::Bootstrapping)]), "room", 4, "is in no room");
    // No node listens at port 1: `doctor` reaches the member, but not the leader.
    let far = doctor(&[&state(NodeState::Following { epoch: epoch(1), heard_ms: 0, relay: true })]);
    let expected = ", led by 127.0.0.1:1 (epoch 3); not reached from here: messages would go through this member";
    assert!(far.code == 0 && far.out.contains(expected), "{}", far.out);
}

#[test]
fn something_that_says_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = silent.local_addr().unwrap().to_string();
    fails_in(&doctor(&[&place]), "answer", 4, "connected, but no answer within 3 s");
    fails_in(&doctor(&[&serving(drop)]), "answer", 4, "it closes the connection without a word");
}

#[test]
fn something_that_is_no_dist_chat() {
    let web = answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    fails_in(&doctor(&[&web]), "answer", 4, "a web server (HTTP): HTTP/1.1 400 Bad Request");
    let ssh = serving(|mut stream| drop(stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n")));
    fails_in(&doctor(&[&ssh]), "answer", 4, "an SSH server: SSH-2.0-OpenSSH_9.2");
    let rude = answering(b"\x1b]0;owned\x07\n");
    let ended = doctor(&[&rude]);
    fails_in(&ended, "answer", 4, "another program: ");
    assert!(!ended.out.contains('\x1b'));
}

#[test]
fn another_version() {
    let versions = format!("the room speaks version 1 of the protocol, this program version {PROTOCOL_VERSION}");
    fails_in(&doctor(&[&answering(b"dist-chat 1 version\n")]), "version", 5, &versions);
    fails_in(&doctor(&[&answering(b"{\"refuse\":{\"version\":1}}\n")]), "version", 5, &versions);
}

#[test]
fn a_node_that_is_in_no_room() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let dir = Dir::new();
    // The node dials an address at which no program listens, for some seconds.
    let lost = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut command = program(&dir.0, &["-p", &lost, "-na", "127.0.0.1", "-np", &closed, "--daemon"]);
    let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let there = format!("127.0.0.1:{lost}");
    crate::harness::until("it listens", || TcpStream::connect(&there).is_ok());
    fails_in(&doctor(&[&there]), "room", 4, "is in no room");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_script_reads_one_object() {
    let ann = Node::found("ann");
    let of = |ended: Ended| -> serde_json::Value {
        assert_eq!(ended.out.lines().count(), 1, "{}", ended.out);
        serde_json::from_str(&ended.out).unwrap()
    };
    let well = of(doctor(&[&place(&ann), "--json"]));
    assert_eq!((&well["ok"], &well["failed"], &well["exit"]), (&true.into(), &serde_json::Value::Null, &0.into()));
    assert_eq!(well["layers"].as_array().unwrap().len(), 8);
    assert_eq!((&well["layers"][2]["layer"], &well["layers"][2]["state"]), (&"tcp".into(), &"ok".into()));
    let bad = of(doctor(&["no-such-host.invalid", "--json"]));
    assert_eq!((&bad["ok"], &bad["failed"], &bad["exit"]), (&false.into(), &"host".into(), &4.into()));
    assert!(bad["layers"][0]["try"].as_str().unwrap().contains("IP address"));
}

#[test]
fn a_question_that_makes_no_sense() {
    for args in [&[][..], &["127.0.0.1:x"], &["127.0.0.1", "-n", "a b"], &["127.0.0.1:0"]] {
        let ended = doctor(args);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{args:?}: {}", ended.err);
    }
}
