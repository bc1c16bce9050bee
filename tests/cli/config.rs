//! The configuration file; the environment overrides it, and flags override both.

use std::process::Command;

use crate::harness::{Dir, Ended, Node, PROGRAM, program, run};

/// A command with this configuration at its default path, in `home/.config` of this directory.
fn configured(dir: &Dir, text: &str, args: &[&str]) -> Command {
    let config = dir.0.join("home/.config/dist-chat");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.toml"), text).unwrap();
    let mut command = program(&dir.0, args);
    command.env_remove("DIST_CHAT_CONFIG").env_remove("XDG_CONFIG_HOME").env("HOME", dir.0.join("home"));
    command
}

fn said(text: &str, args: &[&str], set: &[(&str, &str)]) -> Ended {
    let dir = Dir::new();
    let mut command = configured(&dir, text, args);
    command.envs(set.iter().copied());
    run(command, b"")
}

#[test]
fn every_value_says_where_it_comes_from() {
    let text = "name = \"ann\"\nport = 5001\nneighbor-address = [\"10.0.0.5\", \"host\"]\nverbose = true\n";
    let set = [("DIST_CHAT_PORT", "5002"), ("DIST_CHAT_VERBOSE", "0")];
    let ended = said(text, &["config", "--backlog", "7", "-np", "9"], &set);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    for (setting, from) in [
        ("name = \"ann\"", "~/.config/dist-chat/config.toml:1"),
        ("port = 5002", "DIST_CHAT_PORT"),
        ("neighbor-address = [\"10.0.0.5\", \"host\"]", "~/.config/dist-chat/config.toml:3"),
        ("neighbor-port = [9]", "--neighbor-port"),
        ("verbose = false", "DIST_CHAT_VERBOSE"),
        ("backlog = 7", "--backlog"),
        ("data-dir = \".\"", "default"),
    ] {
        let line = ended.out.lines().find(|line| line.starts_with(&format!("{setting} ")));
        assert!(line.is_some_and(|line| line.ends_with(&format!(" # {from}"))), "{setting}: {}", ended.out);
    }
    assert!(ended.out.contains("\n# key-file is not set\n"), "{}", ended.out);
    assert!(said("", &["config"], &[]).out.contains("name = \"user\" "), "the login name");
}

#[test]
fn what_is_printed_is_such_a_file() {
    let text = "name = \"ann\"\nport = 5001\nneighbor-address = [\"10.0.0.5\"]\nverbose = true\nkey-file = \"/k\"\n";
    let dir = Dir::new();
    let first = run(configured(&dir, text, &["config"]), b"");
    std::fs::write(dir.0.join("again.toml"), &first.out).unwrap();
    let again = run(configured(&dir, "", &["config", "--config", "again.toml"]), b"");
    assert_eq!(again.code, 0, "{}", again.err);
    let values = |said: &str| {
        said.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split(" #").next().unwrap().to_owned())
            .collect()
    };
    let (first, again): (Vec<String>, Vec<String>) = (values(&first.out), values(&again.out));
    // The program reads a relative directory from the place of the configuration file.
    assert_eq!(first.len(), again.len());
    assert!(first.iter().zip(&again).all(|(a, b)| a == b || a.starts_with("data-dir")), "{first:?} {again:?}");
}

#[test]
fn a_member_begins_as_the_file_says() {
    let room = Node::found("ann");
    let dir = Dir::new();
    let text = format!(
        "name = \"bob\"\nport = 0\nneighbor-address = \"127.0.0.1\"\nneighbor-port = {}\ndata-dir = \"../../..\"\n",
        room.port
    );
    let ended = run(configured(&dir, &text, &[]), b"hello\n");
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.contains("> bob(127.0.0.1:") && ended.out.contains("]: hello\n"), "{}", ended.out);
    assert!(
        std::fs::read_dir(&dir.0).unwrap().any(|file| file.unwrap().file_name().to_string_lossy().ends_with(".db"))
    );
    // `-l`, as a flag or in the environment, overrides the contacts of the file, and `-n` overrides its name.
    let ended = run(configured(&dir, &text, &["-l", "-n", "carl"]), b"");
    assert!(ended.code == 0 && ended.out.contains("you are carl(127.0.0.1:"), "{}{}", ended.out, ended.err);
    let mut command = configured(&dir, &text, &["--ephemeral"]);
    command.env("DIST_CHAT_LEADER", "1");
    assert!(run(command, b"").out.contains("/// Leader is 127.0.0.1:"));
}

#[test]
fn a_mistake_names_the_line_and_stops_only_what_needs_the_file() {
    let wrong = "name = \"ann\"\nprot = 5\n";
    for args in [&["-l"][..], &["status"], &["history"], &["config"], &["join"], &["invite"]] {
        let ended = said(wrong, args, &[]);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{args:?}");
        let expected = "dist-chat: ~/.config/dist-chat/config.toml:2 has an unknown key, `prot`\n  the keys are the long \
                        names of the flags of `dist-chat`\n  try `port`\n";
        assert_eq!(ended.err, expected, "{args:?}");
    }
    for args in [&["key"][..], &["man"], &["completions", "bash"], &["--help"], &["--version"]] {
        assert_eq!(said(wrong, args, &[]).code, 0, "{args:?}");
    }
}

#[test]
fn another_file_may_be_named_and_none() {
    let text = "port = 5001\n";
    let ended = said(text, &["config", "--config", "nonesuch.toml"], &[]);
    assert_eq!(ended.code, 6);
    assert!(ended.err.starts_with("dist-chat: cannot read the configuration in nonesuch.toml\n"), "{}", ended.err);
    assert_eq!(said(text, &["status"], &[("DIST_CHAT_CONFIG", "nonesuch.toml")]).code, 6);
    let port = |ended: Ended| ended.out.lines().find(|line| line.starts_with("port = ")).map(str::to_owned).unwrap();
    assert!(port(said(text, &["config"], &[])).starts_with("port = 5001 "));
    assert!(port(said(text, &["config"], &[("DIST_CHAT_CONFIG", "")])).starts_with("port = 2428 "));
    let ended = said(text, &["config", "--path"], &[]);
    assert!(ended.out.ends_with("home/.config/dist-chat/config.toml\n"), "{}", ended.out);
    assert_eq!(said(text, &["config", "--path"], &[("DIST_CHAT_CONFIG", "")]).code, 2);
}

#[test]
fn the_testers_own_configuration_changes_no_test() {
    let dir = Dir::new();
    let command = program(&dir.0, &[]);
    assert_eq!(command.get_program(), PROGRAM);
    let set = command.get_envs().find(|(name, _)| *name == "DIST_CHAT_CONFIG").unwrap();
    assert_eq!(set.1.unwrap(), "");
}
