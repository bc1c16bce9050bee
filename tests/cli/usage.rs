//! Flags, environment, help.

use crate::harness::{Dir, Node, program, run, run_args};

#[test]
fn help_fits_a_screen_and_shows_the_two_commands_first() {
    let ended = run_args(&["--help"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    let lines: Vec<&str> = ended.out.lines().collect();
    assert!(lines[0].starts_with("  dist-chat -l -a IP -p PORT -n NAME "));
    assert!(lines[1].starts_with("  dist-chat -a IP -p PORT -n NAME -na IP -np PORT "));
    assert!(lines.len() <= 24 && lines.iter().all(|line| line.len() < 80));
    assert_eq!(run_args(&["-h"]).out, ended.out);
}

#[test]
fn the_bench_and_the_version_answer_too() {
    let ended = run_args(&["bench", "--help"]);
    assert!(ended.code == 0 && ended.out.contains("--quick"), "{}", ended.out);
    assert_eq!(run_args(&["--version"]).out, concat!("dist-chat ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn without_a_start_both_commands_are_shown() {
    for args in [&[][..], &["-n", "ann"], &["-p", "5001"]] {
        let ended = run_args(args);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""));
        assert!(ended.err.contains("dist-chat -l -a IP -p PORT -n NAME "), "{}", ended.err);
        assert!(ended.err.contains("dist-chat -a IP -p PORT -n NAME -na IP -np PORT "), "{}", ended.err);
    }
}

#[test]
fn mistakes_are_usage_errors() {
    for args in [
        &["-l", "-na", "127.0.0.1"][..],
        &["-na10.0.0.1"],
        &["-l", "-n", "a b"],
        &["-l", "-p", "65536"],
        &["-l", "-a", "localhost"],
        &["-l", "--advertise", "0.0.0.0"],
        &["-l", "extra"],
        &["--nonsense"],
        &["-p", "0", "-a", "127.0.0.1", "-na", "192.0.2.1"],
    ] {
        let ended = run_args(args);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{args:?}: {}", ended.err);
        assert!(ended.err.starts_with("dist-chat: "), "{args:?}: {}", ended.err);
        assert!(ended.err.contains("\n  try "), "{args:?}: {}", ended.err);
    }
}

#[test]
fn every_flag_has_a_variable_and_a_flag_beats_it() {
    let dir = Dir::new();
    let mut command = program(&dir.0, &["-n", "flag"]);
    command.env("DIST_CHAT_LEADER", "1").env("DIST_CHAT_PORT", "0").env("DIST_CHAT_NAME", "env");
    command.env("DIST_CHAT_DATA_DIR", "sub");
    std::fs::create_dir(dir.0.join("sub")).unwrap();
    let ended = run(command, b"hello\n");
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.contains("> flag(127.0.0.1:"), "{}", ended.out);
    assert_eq!(std::fs::read_dir(dir.0.join("sub")).unwrap().count(), 2, "a log and a history");
}

#[test]
fn a_flag_beats_a_variable_that_says_the_opposite() {
    let room = Node::found("ann");
    let dir = Dir::new();
    let mut command = program(&dir.0, &["-l", "-p", "0"]);
    command.env("DIST_CHAT_NEIGHBOR_ADDRESS", "127.0.0.1").env("DIST_CHAT_NEIGHBOR_PORT", room.port.to_string());
    assert_eq!(run(command, b"").code, 0);
    let port = room.port.to_string();
    let mut command = program(&dir.0, &["-p", "0", "-na=127.0.0.1", "-np", &port]);
    command.env("DIST_CHAT_LEADER", "true");
    let ended = run(command, b"");
    assert!(ended.out.contains(&format!("Leader is 127.0.0.1:{port} ")), "{}{}", ended.out, ended.err);
    let mut command = program(&dir.0, &[]);
    command.env("DIST_CHAT_LEADER", "1").env("DIST_CHAT_NEIGHBOR_ADDRESS", "127.0.0.1");
    assert_eq!(run(command, b"").code, 2);
}

#[test]
fn neighbours_are_tried_in_turn() {
    let room = Node::found("ann");
    let port = room.port.to_string();
    let dir = Dir::new();
    // No program listens at port 1 on loopback.
    let args = ["-p", "0", "-na", "127.0.0.1", "-np", "1", "-na", "localhost", "-np", &port];
    let ended = run(program(&dir.0, &args), b"hello\n");
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.contains("]: hello\n"), "{}", ended.out);
}

#[test]
fn a_mistake_points_to_the_help_that_tells_of_it() {
    for (args, hint) in [
        (&["--nonsense"][..], "try `dist-chat --help`"),
        (&["send", "--nonsense"], "try `dist-chat send --help`"),
        (&["-p", "x", "-l"], "try `dist-chat --help`"),
        (&["tail", "-p", "x"], "try `dist-chat tail --help`"),
        (&["doctor"], "try `dist-chat doctor --help`"),
        (&["completions", "tcsh"], "try `dist-chat completions --help`"),
    ] {
        let ended = run_args(args);
        assert!(ended.code == 2 && ended.err.ends_with(&format!("\n  {hint}\n")), "{args:?}: {}", ended.err);
    }
}

#[test]
fn a_variable_that_makes_no_sense_is_named() {
    let dir = Dir::new();
    let said = |args: &[&str], name: &str, value: &str| {
        let mut command = program(&dir.0, args);
        command.env(name, value);
        let ended = run(command, b"");
        assert_eq!(ended.code, 2, "{args:?}: {}", ended.err);
        ended.err.lines().next().unwrap().to_owned()
    };
    let words = "dist-chat: invalid value 'abc' in DIST_CHAT_PORT: invalid digit found in string";
    assert_eq!(said(&["-l"], "DIST_CHAT_PORT", "abc"), words);
    assert_eq!(said(&["status"], "DIST_CHAT_PORT", "abc"), words);
    assert!(
        said(&["attach"], "DIST_CHAT_BELL", "loud").starts_with("dist-chat: invalid value 'loud' in DIST_CHAT_BELL")
    );
    // A flag overrides its variable, so the error names the flag.
    let flag = "dist-chat: invalid value 'abc' for '--port <PORT>': invalid digit found in string";
    assert_eq!(said(&["-l", "-p", "abc"], "DIST_CHAT_PORT", "5001"), flag);
    assert_eq!(said(&["-l", "-p", "abc"], "DIST_CHAT_PORT", "abc"), flag);
}

#[test]
fn what_is_to_be_sent_stands_behind_its_flag() {
    for (args, hint) in [
        (&["send", "hello"][..], "try `dist-chat send -m 'hello'`"),
        (&["send", "it's", "done"], "try `dist-chat send -m 'it'\\''s done'`"),
        (&["send", "-m", "the", "build", "is", "done"], "try `dist-chat send -m 'the build is done'`"),
        (&["send", "-m", "x", "-"], "try one of them"),
    ] {
        let ended = run_args(args);
        assert!(ended.code == 2 && ended.err.ends_with(&format!("\n  {hint}\n")), "{args:?}: {}", ended.err);
    }
}
