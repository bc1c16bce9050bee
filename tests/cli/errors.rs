//! Failures of the program: its messages, and its exit codes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use dist_chat::ring::{AuthorId, Frame, Hello, Refusal, RoomId, SessionId, Uid, limits::PROTOCOL_VERSION};

use crate::harness::{Dir, Ended, Node, program, run, run_args};

fn join(port: u16, more: &[&str]) -> Ended {
    let dir = Dir::new();
    let port = port.to_string();
    let args: Vec<&str> =
        ["-p", "0", "-na", "127.0.0.1", "-np", &port].into_iter().chain(more.iter().copied()).collect();
    run(program(&dir.0, &args), b"hello\n")
}

#[test]
fn a_port_that_a_dist_chat_has_is_said_so_by_name() {
    let ann = Node::found("ann");
    let port = ann.port.to_string();
    let ended = run(program(&ann.dir.0, &["-l", "-p", &port]), b"");
    assert_eq!(ended.code, 3);
    assert_eq!(
        ended.err,
        format!(
            "dist-chat: cannot listen on 127.0.0.1:{port}\n  a dist-chat of yours has that port: ann(127.0.0.1:{port})\n  \
             try another port with -p PORT\n"
        )
    );
}

#[test]
fn a_port_that_another_users_dist_chat_has_is_said_too() {
    let ann = Node::found("ann");
    // With another runtime directory the program does not find the status socket, as if the node had another user.
    let ended = run_args(&["-l", "-p", &ann.port.to_string()]);
    assert_eq!(ended.code, 3);
    assert!(ended.err.contains("\n  a dist-chat has that port\n"), "{}", ended.err);
}

#[test]
fn a_port_of_another_program_and_an_address_of_another_machine() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let ended = run_args(&["-l", "-p", &other.local_addr().unwrap().port().to_string()]);
    assert_eq!(ended.code, 3);
    assert!(ended.err.contains("\n  another program has that port\n"), "{}", ended.err);
    let ended = run_args(&["-l", "-p", "0", "-a", "192.0.2.1"]);
    assert_eq!(ended.code, 3);
    assert!(ended.err.contains("192.0.2.1 is no address of this machine"), "{}", ended.err);
}

#[test]
fn nobody_is_reachable() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = join(closed.port(), &[]);
    assert_eq!(ended.code, 4);
    assert_eq!(
        ended.err,
        format!(
            "dist-chat: cannot reach {closed} (connection refused, tried for 5 s)\n  nothing listens there, or a firewall \
             refuses it\n  try `dist-chat status` on that machine, or another member's address\n"
        )
    );
    assert!(!ended.out.contains("hello"), "{}", ended.out);
}

#[test]
fn a_host_that_is_not_found() {
    let ended = run_args(&["-p", "0", "-na", "no-such-host.invalid"]);
    assert_eq!(ended.code, 4);
    assert!(ended.err.contains("cannot find the host no-such-host.invalid"), "{}", ended.err);
}

#[test]
fn a_taken_name_is_refused_with_a_suggestion() {
    let ann = Node::found("Ann");
    let ended = join(ann.port, &["-n", "ann"]);
    assert_eq!(ended.code, 5);
    assert!(ended.err.starts_with("dist-chat: the name ann is taken in this room\n"), "{}", ended.err);
    assert!(ended.err.contains("\n  try `-n ann-2`\n"), "{}", ended.err);
}

#[test]
fn a_taken_default_gets_a_number() {
    let user = Node::found("user");
    let ended = join(user.port, &[]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.contains("> user-2(127.0.0.1:"), "{}", ended.out);
    assert!(ended.out.contains(", since user is taken ///"), "{}", ended.out);
}

/// A server that answers every `hello` with this refusal.
fn refusing(refusal: Refusal) -> u16 {
    answering(Some(RoomId(7)), Some(refusal))
}

/// A server in this room that answers every `hello` with its own `hello` and then with the refusal, if there is one.
fn answering(room: Option<RoomId>, refusal: Option<Refusal>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut hello = Vec::new();
            BufReader::new(&stream).read_until(b'\n', &mut hello).unwrap();
            let mut answer = Vec::new();
            Frame::Hello(Hello {
                version: PROTOCOL_VERSION,
                room,
                uid: Uid(address),
                author: AuthorId::of_bits(1),
                session: SessionId(1),
            })
            .encode(&mut answer);
            if let Some(refusal) = &refusal {
                Frame::Refuse(refusal.clone()).encode(&mut answer);
            }
            let _ = stream.write_all(&answer);
        }
    });
    address.port()
}

#[test]
fn somebody_who_looks_for_a_room_itself_is_not_taken_for_another_program() {
    let port = answering(None, None);
    let ended = join(port, &[]);
    assert_eq!(ended.code, 4, "{}", ended.err);
    let expected =
        format!("cannot reach 127.0.0.1:{port} (it knows of no leader, tried for 5 s)\n  a dist-chat listens there");
    assert!(ended.err.contains(&expected), "{}", ended.err);
}

#[test]
fn a_room_of_another_version_refuses() {
    let ended = join(refusing(Refusal::Version(99)), &[]);
    assert_eq!(ended.code, 5, "{}", ended.err);
    let versions = format!("speaks version 99 of the protocol, this program version {PROTOCOL_VERSION}");
    assert!(ended.err.contains(&versions), "{}", ended.err);
}

#[test]
fn a_full_room_refuses() {
    let ended = join(refusing(Refusal::Full), &[]);
    assert_eq!(ended.code, 5, "{}", ended.err);
    assert!(ended.err.contains("the room is full"), "{}", ended.err);
}

#[test]
fn a_room_with_a_key_refuses_who_has_none() {
    // The server sends this refusal and nothing else.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            BufReader::new(&stream).read_until(b'\n', &mut Vec::new()).unwrap();
            let _ = stream.write_all(b"{\"refuse\":\"key_needed\"}\n");
        }
    });
    let ended = join(port, &[]);
    assert_eq!(ended.code, 5, "{}", ended.err);
    let expected = "dist-chat: the room has a key, and this program was given none\n  only who knows the key is let in";
    assert!(ended.err.contains(expected) && ended.err.contains("try `--key-file FILE`"), "{}", ended.err);
}

#[test]
fn a_log_that_cannot_be_written() {
    let ended = run_args(&["-l", "-p", "0", "--data-dir", "/nonexistent"]);
    let hint = "try `mkdir -p /nonexistent`, or another directory with --data-dir DIR";
    let expected = format!("dist-chat: cannot use /nonexistent\n  there is no such directory\n  {hint}\n");
    assert_eq!((ended.code, ended.err), (6, expected));
    let ended = run_args(&["-l", "-p", "0", "--data-dir", "/dev/null"]);
    assert_eq!(ended.code, 6);
    assert!(ended.err.starts_with("dist-chat: cannot use /dev/null/chat_"), "{}", ended.err);
    assert!(ended.err.contains("\n  try another directory with --data-dir DIR"), "{}", ended.err);
}

#[test]
fn files_that_another_node_has_are_left_alone() {
    let ann = Node::found("ann");
    // Another address has the same port, and the files have the same directory.
    let ended = run(program(&ann.dir.0, &["-l", "-a", "127.0.0.2", "-p", &ann.port.to_string()]), b"");
    assert_eq!(ended.code, 6);
    let who = format!("it is in use by ann(127.0.0.1:{}), process ", ann.port);
    assert!(ended.err.contains(&who), "{}", ended.err);
}
