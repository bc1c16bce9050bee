//! A terminal that tmux emulates: an arriving line never tears the line that the user types.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Dir, LONG, Node, PROGRAM};

/// A program in a terminal of 80 columns and 24 lines.
pub struct Terminal {
    pub dir: Dir,
}

impl Terminal {
    /// Starts the program; without tmux it prints a note and returns `None`.
    pub fn start(args: &str) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            eprintln!("SKIPPED: no tmux here");
            return None;
        }
        let terminal = Self { dir: Dir::new() };
        let dir = terminal.dir.0.display();
        // The shell goes on after the program, to show the exit code and the state of the terminal.
        let script = format!(
            "cd {dir}; export XDG_RUNTIME_DIR={dir} DIST_CHAT_CONFIG=; {PROGRAM} {args}; echo code $?; stty -a | grep -c -- -icanon; cat"
        );
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "sh", "-c", &script]);
        Some(terminal)
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux").arg("-S").arg(self.dir.0.join("tmux")).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Ends the program in the terminal, as `kill` does.
    pub fn terminate(&self) {
        let pids = self.tmux(&["list-panes", "-F", "#{pane_pid}"]);
        let children = Command::new("pgrep").args(["-P", pids.trim(), "dist-chat"]).output().unwrap();
        let pid = String::from_utf8(children.stdout).unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    }

    /// The lines of the terminal that are not empty.
    pub fn lines(&self) -> Vec<String> {
        self.tmux(&["capture-pane", "-p"]).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    pub fn wait_for(&self, what: impl Fn(&[String]) -> bool) -> Vec<String> {
        let end = Instant::now() + LONG;
        loop {
            let lines = self.lines();
            if what(&lines) {
                return lines;
            }
            assert!(Instant::now() < end, "the screen shows something else: {lines:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

fn last_is(text: &str) -> impl Fn(&[String]) -> bool {
    move |lines| lines.last().is_some_and(|last| last == text)
}

/// Whether the exit code is 0 and the terminal is no longer in raw mode.
pub fn ends_well(lines: &[String]) -> bool {
    lines.ends_with(&["code 0".to_owned(), "0".to_owned()])
}

#[test]
fn what_arrives_stands_above_what_is_being_typed() {
    let mut bob = Node::found("bob");
    let Some(terminal) = Terminal::start(&format!("-p 0 -n ann -na 127.0.0.1 -np {}", bob.port)) else { return };
    let joined = bob.wait_for(" joined the ring ///");
    let ann = joined.split_whitespace().nth(1).unwrap();
    terminal.wait_for(last_is(&format!("> {ann}:")));
    terminal.keys(&["-l", "half a li"]);
    terminal.wait_for(last_is(&format!("> {ann}: half a li")));
    bob.feed((0..12).map(|n| format!("from bob {n}\n")).collect::<String>());
    let lines = terminal.wait_for(|lines| lines.iter().any(|line| line.ends_with("from bob 11")));
    assert_eq!(lines.last().unwrap(), &format!("> {ann}: half a li"));
    for n in 0..12 {
        assert_eq!(lines.iter().filter(|line| line.ends_with(&format!("]: from bob {n}"))).count(), 1, "{lines:#?}");
    }

    // The screen shows the user's own line once, when the room has it.
    terminal.keys(&["-l", "ne"]);
    terminal.keys(&["Enter"]);
    let said = bob.wait_for("half a line");
    let lines = terminal.wait_for(|lines| lines.contains(&said));
    assert_eq!(lines.iter().filter(|line| line.contains("half a li")).count(), 1, "{lines:#?}");
    assert_eq!(lines.last().unwrap(), &format!("> {ann}:"));

    // The arrow key brings the line back, as often as the user presses it.
    terminal.keys(&["Up"]);
    terminal.wait_for(last_is(&format!("> {ann}: half a line")));
    terminal.keys(&["Enter"]);
    bob.wait_for("half a line");
    terminal.wait_for(last_is(&format!("> {ann}:")));
    terminal.keys(&["C-d"]);
    terminal.wait_for(ends_well);
}

/// The terminal wraps the shown lines anew when its width changes, as many terminals do.
#[test]
fn a_narrower_window_shows_the_same() {
    let mut bob = Node::found("bob");
    let Some(terminal) = Terminal::start(&format!("-p 0 -n ann -na 127.0.0.1 -np {}", bob.port)) else { return };
    terminal.wait_for(|lines| lines.iter().any(|line| line == "/// joined: bob and you are here ///"));
    let long = "a line that is longer than the window will be: ".repeat(3);
    for n in 0..3 {
        bob.feed(format!("{long}{n}\n"));
    }
    terminal.wait_for(|lines| lines.last().is_some_and(|line| line.starts_with("> ann(") && line.ends_with(':')));
    terminal.keys(&["-l", "half a line, and some more of it"]);
    terminal.wait_for(|lines| lines.last().is_some_and(|line| line.ends_with("some more of it")));
    for (columns, rows) in [("30", "24"), ("60", "30"), ("40", "12"), ("100", "24")] {
        terminal.tmux(&["resize-window", "-x", columns, "-y", rows]);
        terminal.keys(&["-l", "!"]);
        terminal.wait_for(|lines| {
            // Spaces at the end of a row cannot be seen, so the test ignores all spaces.
            let all = lines.concat().replace(' ', "");
            let prompts = all.matches("):half").count();
            prompts == 1 && all.trim_end_matches('!').ends_with("somemoreofit") && all.contains("be:2>ann(")
        });
    }
    terminal.keys(&["C-c"]);
    terminal.keys(&["C-c"]);
    terminal.wait_for(ends_well);
}

#[test]
fn a_leaders_death_is_one_line() {
    let mut bob = Node::found("bob");
    let Some(terminal) = Terminal::start(&format!("-p 0 -n ann -na 127.0.0.1 -np {}", bob.port)) else { return };
    bob.wait_for(" joined the ring ///");
    terminal.wait_for(|lines| lines.last().is_some_and(|line| line.starts_with("> ann(")));
    bob.kill();
    let gone = |line: &String| line.starts_with("/// bob is gone; ann leads now, ");
    terminal.wait_for(|lines| lines.iter().any(gone));
    // The new leader sequences this line, and it stands behind the note that the old leader was lost.
    terminal.keys(&["-l", "on we go"]);
    terminal.keys(&["Enter"]);
    let lines = terminal.wait_for(|lines| lines.iter().any(|line| line.ends_with("]: on we go")));
    assert_eq!(lines.iter().filter(|line| gone(line)).count(), 1, "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("was lost") || line.contains("(epoch 2)")), "{lines:#?}");
}

#[test]
fn slash_commands_are_answered_and_not_sent() {
    let Some(terminal) = Terminal::start("-l -p 0 -n ann") else { return };
    terminal.wait_for(|lines| lines.last().is_some_and(|line| line.starts_with("> ann(")));
    terminal.keys(&["-l", "/whoo"]);
    terminal.keys(&["Enter"]);
    let suggests = "/// /whoo is no command, and was not sent; did you mean /who? ///";
    terminal.wait_for(|lines| lines.iter().any(|line| line == suggests));
    terminal.keys(&["-l", "/who"]);
    terminal.keys(&["Enter"]);
    let lines = terminal.wait_for(|lines| lines.iter().any(|line| line.ends_with(", you, the leader")));
    assert!(!lines.iter().any(|line| line.contains("]: /")), "{lines:#?}");
    for (typed, said) in [("/etc/hosts", "]: /etc/hosts"), ("/say /who", "]: /who")] {
        terminal.keys(&["-l", typed]);
        terminal.keys(&["Enter"]);
        terminal.wait_for(|lines| lines.iter().any(|line| line.ends_with(said)));
    }
    terminal.keys(&["-l", "/exit"]);
    terminal.keys(&["Enter"]);
    terminal.wait_for(ends_well);
}

#[test]
fn a_channel_shows_what_was_said_in_it() {
    let Some(terminal) = Terminal::start("-l -p 0 -n ann") else { return };
    terminal.wait_for(|lines| lines.last().is_some_and(|line| line.starts_with("> ann(")));
    let enter = |line: &str| {
        terminal.keys(&["-l", line]);
        terminal.keys(&["Enter"]);
    };
    let shows = |text: &'static str| terminal.wait_for(move |lines| lines.iter().any(|line| line.contains(text)));
    enter("in the lobby");
    shows("]: in the lobby");
    enter("/join #Dev");
    shows("/// #dev: no line ///");
    terminal.wait_for(|lines| lines.last().is_some_and(|line| line.ends_with(") #dev:")));
    enter("in dev");
    shows("]: in dev");
    enter("/part");
    shows("/// you have left #dev ///");
    enter("/join #dev");
    let lines = shows("/// #dev: one line ///");
    assert_eq!(lines.iter().filter(|line| line.ends_with("]: in dev")).count(), 2, "{lines:#?}");
    // No other user has typed a line here.
    enter("/like");
    shows("/// nobody else has said anything here yet");
    enter("/search in");
    let lines = shows("/// 2 lines with \"in\" ///");
    assert!(!lines.iter().any(|line| line.starts_with("#dev ")), "that is where she is: {lines:#?}");
    enter("/exit");
    terminal.wait_for(ends_well);
}

#[test]
fn the_past_is_shown_to_the_asker_only() {
    let mut bob = Node::found("bob");
    let Some(terminal) = Terminal::start(&format!("-p 0 -n ann -na 127.0.0.1 -np {}", bob.port)) else { return };
    bob.wait_for(" joined the ring ///");
    bob.feed("deploy on monday\nthe zebra\nDEPLOYED\n");
    terminal.wait_for(|lines| lines.iter().any(|line| line.ends_with("DEPLOYED")));
    let enter = |line: &str| {
        terminal.keys(&["-l", line]);
        terminal.keys(&["Enter"]);
    };
    // The last line is the prompt, which the program draws again after each answer.
    let ends = |heading: &'static str, ends: &'static [&'static str]| {
        terminal.wait_for(move |lines| {
            let Some(at) = lines.iter().rposition(|line| line == heading) else { return false };
            let (shown, rest) = lines[at + 1..].split_at(ends.len().min(lines.len() - at - 1));
            shown.len() == ends.len()
                && shown.iter().zip(ends).all(|(line, end)| line.ends_with(end))
                && rest.len() == 1
        })
    };
    enter("/search deploy");
    let lines = ends("/// 2 lines with \"deploy\" ///", &["]: deploy on monday", "]: DEPLOYED"]);
    let shown = lines.iter().rev().nth(1).unwrap();
    assert_eq!(shown.find(&format!(" > bob(127.0.0.1:{})[", bob.port)), Some("2026-11-20 15:04:05".len()), "{shown}");
    enter("/search giraffe");
    ends("/// no line with \"giraffe\" ///", &[]);
    enter("/history 1");
    ends("/// one line ///", &["]: DEPLOYED"]);
    enter("/history");
    ends("/// 3 lines ///", &["]: deploy on monday", "]: the zebra", "]: DEPLOYED"]);
    enter("/history all");
    ends("/// use: /history [N] (the newest N lines, with their time (20)) ///", &[]);
    enter("/exit");
    terminal.wait_for(ends_well);
    let (code, seen, _) = bob.leave();
    assert_eq!(code, 0);
    assert!(!seen.iter().any(|line| line.contains("/search") || line.contains("giraffe")), "{seen:#?}");
}

#[test]
fn what_is_not_kept_cannot_be_asked_for() {
    let Some(terminal) = Terminal::start("-l -p 0 -n ann --ephemeral") else { return };
    terminal.wait_for(|lines| lines.last().is_some_and(|line| line.starts_with("> ann(")));
    terminal.keys(&["-l", "/history"]);
    terminal.keys(&["Enter"]);
    let told = "/// nothing is kept here: this node runs with --ephemeral ///";
    terminal.wait_for(|lines| lines.iter().any(|line| line == told));
    terminal.keys(&["C-d"]);
    terminal.wait_for(ends_well);
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let Some(terminal) = Terminal::start("-l -p 0 -n ann") else { return };
    terminal.wait_for(|lines| lines.last().is_some_and(|line| line.starts_with("> ann(")));
    terminal.keys(&["-l", "unfinished"]);
    terminal.wait_for(|lines| lines.last().is_some_and(|line| line.ends_with("unfinished")));
    terminal.terminate();
    terminal.wait_for(ends_well);
}
