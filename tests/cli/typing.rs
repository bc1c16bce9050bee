//! A user types on a terminal while lines arrive and while the terminal changes its size, with all editing keys.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;

use rustix::process::Signal;

use crate::harness::{Dir, Node};
use crate::pty::{Term, spawn};
use crate::tail::Reader;

/// The number of lines that arrive with each key.
const LINES_A_KEY: usize = 8;

/// Bob talks all the time, and ann types.
struct Fire {
    bob: Node,
    ann: Term,
    said: usize,
    /// The text that ann had typed after each key.
    states: Vec<String>,
}

impl Fire {
    fn shoot(&mut self) {
        let lines = (self.said..self.said + LINES_A_KEY).map(|n| format!("from bob {n}\n"));
        self.bob.feed(lines.collect::<String>());
        self.said += LINES_A_KEY;
    }

    /// Presses a key while lines arrive; waits until the screen ends with exactly the expected text.
    fn press(&mut self, key: &str, expected: &str) {
        self.shoot();
        self.ann.keys(key);
        self.ann.wait_typed(expected);
        self.is_typed(expected);
    }

    fn is_typed(&mut self, text: &str) {
        if self.states.last().is_none_or(|last| last != text.trim_end()) {
            self.states.push(text.trim_end().to_owned());
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn what_arrives_never_tears_what_is_typed() {
    let bob = Node::found("bob");
    let ann = Term::join(&bob, &[], &[]);
    let mut fire = Fire { bob, ann, said: 0, states: vec![String::new()] };

    // The node must know the members first, so the test presses Tab until the name is there.
    fire.press("b", "b");
    fire.press("o", "bo");
    crate::harness::until("Tab completes the name", || {
        fire.ann.keys("\t");
        fire.shoot();
        fire.ann.look(|seen| seen.typed("> ann(").is_some_and(|typed| typed.ends_with("bob:")))
    });
    fire.ann.wait_typed("bob:");
    fire.is_typed("bob:");
    let mut text = "bob: ".to_owned();
    let script = "漢字かな ist e\u{301}in a\u{308}lter 👩‍👩‍👧 mit 🇩🇪 und 👍🏽, שלום עולם، مرحبا; über zwei Zeilen hinweg, bis ans Ende";
    for c in script.chars() {
        text.push(c);
        fire.press(&c.to_string(), &text);
    }
    fire.ann.wait_cursor(&text);

    // The editing keys.
    let rest = text.split_off(text.len() - "Ende".len());
    fire.press("\x17", &text);
    fire.press("\x19", &format!("{text}{rest}"));
    text.push_str(&rest);
    fire.press("\x01", &text);
    fire.ann.wait_cursor("");
    fire.press("\x1bf", &text);
    fire.ann.wait_cursor("bob");
    for letter in [": ", "漢", "字"] {
        for _ in letter.chars() {
            fire.press("\x1b[C", &text);
        }
    }
    fire.ann.wait_cursor("bob: 漢字");
    fire.press("\x7f", &text.replacen('字', "", 1));
    fire.press("語", &text.replacen('字', "語", 1));
    text = text.replacen('字', "語", 1);
    fire.ann.wait_cursor("bob: 漢語");
    fire.press("\x0b", "bob: 漢語");
    fire.press("\x19", &text);
    fire.press("\x1b[H", &text);
    for _ in 0.."bob: 漢語かな ist e".chars().count() {
        fire.press("\x06", &text);
    }
    fire.ann.wait_cursor("bob: 漢語かな ist e\u{301}");
    fire.press("\x7f", &text.replacen("e\u{301}", "", 1));
    text = text.replacen("e\u{301}", "", 1);
    fire.press("\x1b[F", &text);
    fire.press(" ", &text);
    fire.press("b", &format!("{text} b"));
    fire.press("\t", &format!("{text} bob"));
    text.push_str(" bob !");
    fire.press("!", &text);
    assert!(fire.said >= 500, "{}", fire.said);

    // The room gets exactly the typed text.
    let Fire { mut bob, mut ann, said, mut states } = fire;
    ann.wait_row(&format!("from bob {}", said - 1));
    ann.wait_typed(&text);
    ann.keys("\r");
    let line = bob.wait_for("bob: 漢語");
    assert_eq!(line.split_once("]: ").unwrap().1, text);
    ann.wait_typed("");
    ann.wait("it above", |seen| seen.rows().concat().contains(" bob !"));

    // Each drawing of the screen showed exactly the text that ann had typed by then.
    states.push(String::new());
    let frames = ann.look(|seen| seen.frames.clone());
    // The first prompts may appear before the node has its name.
    let first = frames.iter().position(String::is_empty).unwrap();
    assert_eq!(frames[first..], states);

    // The screen showed every arriving line once, whole, and in order.
    let shown: Vec<String> = ann.look(|seen| seen.everything());
    let shown: Vec<&str> = shown.iter().filter_map(|row| row.split_once("from bob ").map(|(_, n)| n)).collect();
    let expected: Vec<String> = (0..said).map(|n| n.to_string()).collect();
    assert_eq!(shown, expected);
    ann.keys("\x04");
    assert_eq!(ann.ended(), 0);
}

#[test]
fn a_window_may_change_its_size_while_one_types() {
    let bob = Node::found("bob");
    let ann = Term::join(&bob, &[], &[]);
    let mut fire = Fire { bob, ann, said: 0, states: Vec::new() };
    let mut text = String::new();
    for (n, (rows, columns)) in [(24, 60), (10, 40), (10, 33), (30, 100), (24, 80)].into_iter().enumerate() {
        for c in ["漢", "e\u{301}", "👍", "x"] {
            text.push_str(c);
            text.push_str(&n.to_string());
            fire.press(&format!("{c}{n}"), &text);
        }
        fire.ann.resize(rows, columns);
        fire.shoot();
        let last = format!("from bob {}", fire.said - 1);
        fire.ann.wait("the last line and what was typed", |seen| {
            let rows = seen.rows();
            let at = rows.iter().rposition(|row| row.starts_with("> ann("));
            at.is_some_and(|at| rows[at..].concat().ends_with(&text) && at > 0 && rows[..at].concat().ends_with(&last))
        });
    }
    fire.ann.keys("\r");
    let line = fire.bob.wait_for("漢0");
    assert_eq!(line.split_once("]: ").unwrap().1, text);
}

#[test]
fn a_paste_of_many_lines_asks_first() {
    let mut bob = Node::found("bob");
    let mut ann = Term::join(&bob, &[], &[]);
    ann.paste("no end of a line\x1b[31m\x03\x04");
    ann.wait_typed("no end of a line[31m");
    ann.paste("\ntwo\nthree\n");
    for text in ["no end of a line[31m", "two", "three"] {
        assert!(bob.wait_for("> ann(").ends_with(&format!("]: {text}")));
    }
    ann.wait_typed("");
    let many: String = (1..=12).map(|n| format!("many {n}\r")).collect();
    ann.paste(&many);
    ann.wait("the question", |seen| seen.rows().last().is_some_and(|row| row == "paste 12 lines? y/N"));
    ann.keys("n");
    ann.wait_typed("");
    ann.paste(&many);
    ann.wait("the question", |seen| seen.rows().last().is_some_and(|row| row == "paste 12 lines? y/N"));
    ann.keys("\x1b");
    ann.wait_typed("");
    ann.keys("between\r");
    assert!(bob.wait_for("> ann(").ends_with("]: between"));
    ann.paste(&many);
    ann.wait("the question", |seen| seen.rows().last().is_some_and(|row| row == "paste 12 lines? y/N"));
    ann.keys("y");
    for n in 1..=12 {
        assert!(bob.wait_for("> ann(").ends_with(&format!("]: many {n}")));
    }
    ann.wait_typed("");
}

#[test]
fn no_line_of_a_paste_is_a_command() {
    let mut bob = Node::found("bob");
    let mut ann = Term::join(&bob, &[], &[]);
    let said = |bob: &mut Node| bob.wait_for("> ann(").split_once("]: ").unwrap().1.to_owned();
    ann.paste("one\n/exit\n/nick zed\nrm -rf there\n");
    for text in ["one", "/exit", "/nick zed", "rm -rf there"] {
        assert_eq!(said(&mut bob), text);
    }
    ann.wait_typed("");
    ann.paste("1\n2\n3\n4\n5\n/exit\n");
    ann.wait("the question", |seen| seen.rows().last().is_some_and(|row| row == "paste 6 lines? y/N"));
    ann.keys("y");
    for text in ["1", "2", "3", "4", "5", "/exit"] {
        assert_eq!(said(&mut bob), text);
    }
    // A pasted line does not run a command that the user is typing; only Enter runs it.
    ann.keys("/nick ");
    ann.paste("zoe\n");
    ann.wait_typed("/nick zoe");
    ann.paste("y\n/exit\n");
    ann.wait_row("/// not pasted: a command takes one line ///");
    ann.wait_typed("/nick zoe");
    ann.keys("\r");
    bob.wait_for(" is zoe now");
    ann.prompt = ann.prompt.replace("ann", "zoe");
    ann.wait_typed("");
    ann.paste("/exit");
    ann.wait_typed("/exit");
    ann.keys("\r");
    assert_eq!(ann.ended(), 0);
}

#[test]
fn control_c_and_d_clear_delete_and_leave() {
    let bob = Node::found("bob");
    for leave in ["\x03", "\x04"] {
        let mut ann = Term::join(&bob, &[], &[]);
        ann.keys("abc");
        ann.wait_typed("abc");
        ann.keys("\x01\x04");
        ann.wait_typed("bc");
        ann.keys("\x03");
        ann.wait_typed("");
        ann.keys(leave);
        assert_eq!(ann.ended(), 0);
    }
}

#[test]
fn what_was_typed_comes_back() {
    let mut bob = Node::found("bob");
    let mut ann = Term::join(&bob, &[], &[]);
    for line in ["make tea", "drink it", "make coffee"] {
        ann.keys(&format!("{line}\r"));
        bob.wait_for(line);
    }
    ann.wait_typed("");
    ann.keys("draft\x1b[A");
    ann.wait_typed("make coffee");
    ann.keys("\x10");
    ann.wait_typed("drink it");
    ann.keys("\x0e\x1b[B");
    ann.wait_typed("draft");
    ann.keys("\x12mak\x12");
    ann.wait("what is found", |seen| seen.rows().last().is_some_and(|row| row == "(search `mak') make tea"));
    ann.keys("\r");
    bob.wait_for("make tea");
    ann.wait_typed("");
}

#[test]
fn tab_completes_commands_and_lists_what_there_is() {
    let bob = Node::found("bob");
    let mut ann = Term::join(&bob, &[], &[]);
    // The test waits for the last message of the join, which would otherwise appear on the cleared screen.
    ann.wait_row("/// joined: bob and you are here ///");
    ann.keys("/hi\t");
    ann.wait_typed("/history");
    ann.keys("\x15/un\t");
    ann.wait_row("/unban  /unlike  /unreact");
    ann.wait_typed("/un");
    ann.keys("\x15\x0c");
    ann.wait("an empty screen", |seen| seen.rows().len() == 1);
    ann.wait_typed("");
}

#[test]
fn a_mention_stands_out_and_rings() {
    for (bell, mention, other) in [("off", 0, 0), ("mention", 1, 1), ("all", 1, 2)] {
        let mut bob = Node::found("bob");
        let ann = Term::join(&bob, &["--bell", bell], &[]);
        bob.feed("hello Ann!\n");
        ann.wait_row("hello Ann!");
        let bytes = ann.look(|seen| String::from_utf8_lossy(&seen.bytes).into_owned());
        assert!(bytes.contains("\x1b[1;7mAnn\x1b[0m!"), "{bytes:?}");
        assert_eq!(ann.look(|seen| seen.bells()), mention, "{bell}");
        bob.feed("hello anna\n");
        ann.wait_row("hello anna");
        assert_eq!(ann.look(|seen| seen.bells()), other, "{bell}");
    }
}

#[test]
fn no_colour_where_none_is_wanted() {
    for (variable, value, coloured) in [("NO_COLOR", "", true), ("NO_COLOR", "1", false), ("TERM", "dumb", false)] {
        let mut bob = Node::found("bob");
        let mut ann = match value {
            // The program shows no prompt.
            "dumb" => {
                let port = bob.port.to_string();
                Term::start(&["-p", "0", "-n", "ann", "-na", "127.0.0.1", "-np", &port], &[(variable, value)])
            }
            _ => Term::join(&bob, &[], &[(variable, value)]),
        };
        bob.wait_for(" joined the ring ///");
        bob.feed("hello ann\n");
        ann.wait_row("hello ann");
        ann.keys("hello bob\r");
        bob.wait_for("hello bob");
        ann.wait_row("]: hello bob");
        let bytes = ann.look(|seen| String::from_utf8_lossy(&seen.bytes).into_owned());
        assert_eq!(bytes.contains("\x1b[38;5;"), coloured, "{bytes:?}");
        assert_eq!(bytes.contains("\x1b[1;7m"), coloured, "{bytes:?}");
        if value == "dumb" {
            assert!(!bytes.contains('\x1b') && !bytes.contains('\x07'), "{bytes:?}");
        }
        ann.keys("\x04");
        assert_eq!(ann.ended(), 0);
    }
}

#[test]
fn a_terminal_that_goes_away_takes_the_program_with_it() {
    let mut bob = Node::found("bob");
    let port = bob.port.to_string();
    let (_dir, terminal, mut ann) = spawn(&["-p", "0", "-n", "ann", "-na", "127.0.0.1", "-np", &port], &[]);
    bob.wait_for(" joined the ring ///");
    drop(terminal);
    bob.wait_for(" left the ring ///");
    ann.wait().unwrap();
}

#[test]
fn a_line_that_waits_is_shown_until_it_is_ordered() {
    // If the room goes on without bob quickly, the line waits too briefly to be seen; so the test tries again.
    let waited = (0..10).any(|_| {
        let bob = Node::found("bob");
        let mut ann = Term::join(&bob, &[], &[]);
        bob.freeze();
        ann.keys("say it\r/me waits\r");
        ann.wait("the line, or that it waits", |seen| seen.has("say it (waits)") || seen.has("]: say it"));
        let waits = ann.look(|seen| seen.has("… say it (waits)") && seen.has("/// 2 lines of yours wait"));
        if waits {
            ann.wait_row("… /me waits (waits)");
            ann.wait_row("/// ordered: none of your lines waits any more ///");
        }
        ann.wait_typed("");
        ann.wait_row("]: say it");
        ann.wait_row("* ann waits");
        waits
    });
    assert!(waited);
}

#[test]
fn whoever_gives_up_before_the_room_answers_is_told_that() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let args = ["-p", "0", "-n", "ann", "-na", "127.0.0.1", "-np", &port];
    let mut ann = Term::start(&args, &[]);
    ann.wait_row("/// reaching 127.0.0.1:");
    ann.keys("\x03");
    ann.wait_row("/// gave up before it was in a room ///");
    assert_eq!(ann.ended(), 0);
    // The program does not wait for the end of its input either.
    let dir = Dir::new();
    let mut ann = Reader::start(&dir.0, &[&args[..], &["--json"]].concat());
    let mut told = BufReader::new(ann.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(told.next().unwrap().contains("hello"));
    ann.signal(Signal::TERM);
    assert!(told.last().unwrap().contains("gave up before it was in a room"));
    let typing = ann.0.stdin.take();
    assert_eq!(ann.end(), (0, String::new()));
    drop(typing);
}

#[test]
fn the_prompt_changes_while_one_types() {
    let mut bob = Node::found("bob");
    let mut ann = Term::join(&bob, &[], &[]);
    let address = ann.prompt.trim_start_matches("> ann").trim_end_matches(':').to_owned();
    ann.keys("/join #dev\rhalf a 漢");
    ann.prompt = format!("> ann{address} #dev:");
    ann.wait_typed("half a 漢");
    ann.keys("\x15/nick anna\rand the oth");
    ann.prompt = format!("> anna{address} #dev:");
    ann.wait_typed("and the oth");
    ann.wait_cursor("and the oth");
    ann.keys("er\r");
    assert!(bob.wait_for("> anna(").ends_with("]: and the other"));
    ann.keys("/me waves\r");
    ann.wait_row("* anna waves");
}
