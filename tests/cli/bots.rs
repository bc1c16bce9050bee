//! The manual's example bots run as the manual shows them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Node, PROGRAM, until};
use crate::tail::Reader;

/// The file of a bot; checks that it has at most 30 lines.
fn bot(name: &str) -> std::path::PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/bots").join(name);
    let lines = std::fs::read_to_string(&path).unwrap().lines().count();
    assert!(lines <= 30, "{name} has {lines} lines");
    path
}

fn answers(interpreter: &str, name: &str) {
    if Command::new(interpreter).arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("SKIPPED: there is no {interpreter} here");
        return;
    }
    let mut ann = Node::found("ann");
    let bob = Node::start(&["-p", "0", "-n", "bob", "-na", "127.0.0.1", "-np", &ann.port.to_string(), "--daemon"]);
    ann.wait_for(" joined the ring ///");
    let mut path = std::ffi::OsString::from(Path::new(PROGRAM).parent().unwrap());
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new(interpreter);
    command.arg(bot(name)).arg(bob.port.to_string()).env("PATH", path).env("XDG_RUNTIME_DIR", &bob.dir.0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let bot = Reader(command.spawn().unwrap());
    // A bot does not say when it begins to listen, so the test asks again and again.
    until("the bot listens", || {
        ann.feed("!ping ready\n");
        std::thread::sleep(Duration::from_millis(200));
        ann.dir.log(ann.port).contains("): pong ready")
    });
    for words in ["hello", "it's \"quoted\" $HOME `id` \\n * ]: x", "\u{1f980} ünï"] {
        ann.feed(format!("!ping {words}\n"));
        assert!(ann.wait_for(&format!("]: pong {words}")).contains("> bob("));
    }
    ann.feed("!time\n");
    ann.wait_for("]: !time");
    let is_time = |line: &str| {
        line.split_once("]: ").is_some_and(|(_, text)| text.bytes().filter(|byte| *byte == b':').count() == 2)
    };
    while !is_time(&ann.wait_for("> bob(")) {}
    // A bot ends together with its node.
    bob.signal(Signal::TERM);
    assert_eq!(bob.wait().0, 0);
    assert_eq!(bot.end().0, 0);
}

#[test]
fn the_bot_in_shell_answers() {
    answers("bash", "echo.sh");
}

#[test]
fn the_bot_in_python_answers() {
    answers("python3", "echo.py");
}
