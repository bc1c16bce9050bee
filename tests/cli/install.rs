//! `scripts/install` puts each file in its place, may run twice, and removes everything again.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Dir, Ended, PROGRAM, run};

fn install(prefix: &Path, args: &[&str]) -> Ended {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/install");
    let mut command = Command::new("bash");
    command.arg(script).arg("--prefix").arg(prefix).args(args).env("DIST_CHAT_CONFIG", "");
    run(command, b"")
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { dirs.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

#[test]
fn everything_is_put_in_its_place_and_taken_away() {
    let dir = Dir::new();
    // The prefix contains a blank, so each path needs quotes.
    let prefix = dir.0.join("my prefix");
    let first = install(&prefix, &["--binary", PROGRAM]);
    assert_eq!((first.code, first.err.as_str()), (0, ""), "{}", first.out);
    let installed = files(&prefix);
    for file in [
        "bin/dist-chat",
        "share/man/man1/dist-chat.1",
        "share/man/man1/dist-chat-doctor.1",
        "share/bash-completion/completions/dist-chat",
        "share/zsh/site-functions/_dist-chat",
        "share/fish/vendor_completions.d/dist-chat.fish",
    ] {
        assert!(installed.contains(&prefix.join(file)), "{file}: {installed:#?}");
    }
    assert!(first.out.contains(&format!("program   {}", prefix.join("bin/dist-chat").display())), "{}", first.out);
    assert!(first.out.contains("is not in PATH"), "{}", first.out);
    let version = run(
        {
            let mut command = Command::new(prefix.join("bin/dist-chat"));
            command.arg("--version");
            command
        },
        b"",
    );
    assert_eq!(version.out, concat!("dist-chat ", env!("CARGO_PKG_VERSION"), "\n"));
    // One page belongs to another program, the other to a command that this program no longer has.
    let (other, old) = (prefix.join("share/man/man1/other.1"), prefix.join("share/man/man1/dist-chat-old.1"));
    std::fs::write(&other, "").unwrap();
    std::fs::write(&old, "").unwrap();
    let again = install(&prefix, &["--binary", PROGRAM]);
    assert_eq!((again.code, again.out), (0, first.out));
    assert!(!old.exists());
    let gone = install(&prefix, &["--uninstall"]);
    assert_eq!((gone.code, gone.err.as_str()), (0, ""));
    assert_eq!(gone.out.lines().count(), installed.len(), "{}", gone.out);
    assert_eq!(files(&prefix), [other]);
    assert_eq!(install(&prefix, &["--uninstall"]).out, "");
}

#[test]
fn what_cannot_be_installed_is_said() {
    let dir = Dir::new();
    let none = install(&dir.0, &["--binary", "/nonexistent/dist-chat"]);
    assert_eq!((none.code, none.err.as_str()), (1, "scripts/install: /nonexistent/dist-chat is no program\n"));
    for args in [&["--binary"][..], &["--nonsense"], &["extra"]] {
        let usage = install(&dir.0, args);
        assert_eq!(usage.code, 2, "{args:?}");
        assert!(usage.err.contains("scripts/install [--prefix DIR] [--binary FILE] [--uninstall]"), "{}", usage.err);
    }
}
