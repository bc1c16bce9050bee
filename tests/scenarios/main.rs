//! Scenarios in plain text: commands, and the frames that the nodes then sent each other.
//!
//! Each file here is a row of blocks: commands, a line `----`, and the recorded output up to the next empty line (the
//! form of etcd raft's `testdata`). `UPDATE=1 cargo test --test scenarios` records the output; the diff shows what
//! changed in the protocol. Hosts are `a`, `b`, `c` ... by ascending address, random ids `#1`, `#2` ... in order of
//! appearance; every link takes 100 microseconds.
//!
//! | command | what happens |
//! |---|---|
//! | `hosts 3` | makes so many hosts, on which nothing runs; the first command of a file |
//! | `at once` | a node that loses its leader polls at once, whatever its place |
//! | `found a`, `join b a` | a node creates a room; a node joins through a contact |
//! | `say a hello`, `leave a` | the user of a node types a line; leaves |
//! | `crash a b` | these nodes die in the same instant |
//! | `cut a b c / d e`, `heal` | no frame passes between the two sides; all frames pass again |
//! | `run 500ms` | time passes; the output counts heartbeats and shows everything else |
//! | `settle` | runs on until all nodes are one room with equal logs |
//! | `logs` | shows every log |
#![cfg(feature = "program")]
#![expect(clippy::expect_used, reason = "a test that cannot read its files is to fail")]
#![expect(clippy::print_stdout, reason = "a hash of all stories is printed")]

#[allow(dead_code, reason = "the machinery is the simulator's; not every part of it is wanted here")]
#[path = "../sim/check/mod.rs"]
mod check;
#[allow(dead_code, reason = "the machinery is the simulator's; not every part of it is wanted here")]
#[path = "../sim/settle.rs"]
mod settle;
#[allow(dead_code, reason = "the machinery is the simulator's; not every part of it is wanted here")]
#[path = "../sim/world/mod.rs"]
mod world;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use dist_chat::ring::{Body, Span};
use world::trace::{FNV_START, Short, fnv1a, host};
use world::{MS, SECOND, World};

/// A scenario while it runs.
struct Story {
    world: Option<World>,
    at_once: bool,
}

impl Story {
    fn world(&mut self) -> &mut World {
        self.world.as_mut().expect("`hosts N` comes first")
    }

    fn obey(&mut self, command: &str) -> String {
        let mut words = command.split_whitespace();
        let verb = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.collect();
        match verb {
            "hosts" => {
                let hosts = rest[0].parse().expect("a number of hosts");
                let mut world = World::new(1, hosts, 99, 0);
                world.trace = Some(Vec::new());
                if self.at_once {
                    world.timing.poll_stagger = Span(0);
                }
                self.world = Some(world);
            }
            "at" => self.at_once = true,
            "found" => self.world().found(slot(rest[0])),
            "join" => self.world().join(slot(rest[0]), &[slot(rest[1])]),
            "say" => assert!(self.world().say(slot(rest[0]), &rest[1..].join(" ")), "{command}: it takes no line"),
            "leave" => self.world().leave(slot(rest[0])),
            "crash" => rest.iter().for_each(|who| self.world().crash(slot(who))),
            "cut" => {
                let bar = rest.iter().position(|word| *word == "/").expect("`cut A / B`");
                for a in &rest[..bar] {
                    rest[bar + 1..].iter().for_each(|b| self.world().cut_link(slot(a), slot(b)));
                }
            }
            "heal" => self.world().heal(),
            "run" => {
                let ms: u64 = rest[0].strip_suffix("ms").expect("`run 500ms`").parse().expect("a number");
                let world = self.world();
                world.run_to(world.now + ms * MS);
            }
            "settle" => {
                settle::whole_within(self.world(), 10 * SECOND);
            }
            "logs" => return self.shown() + &self.logs(),
            other => panic!("{other:?} is no command"),
        }
        self.shown()
    }

    /// The output since the last call: frames, events and saved records; heartbeats as a number.
    fn shown(&mut self) -> String {
        let Some(world) = &mut self.world else { return String::new() };
        assert_eq!(world.failure, None);
        let mut shown = String::new();
        let mut beats = 0;
        for line in world.trace.replace(Vec::new()).unwrap_or_default() {
            let (stamp, what) = line.split_at(11);
            let what = what.trim_start();
            let mut parts = what.split_whitespace();
            let kind = parts.nth(1).unwrap_or_default();
            if what.contains("{ping:") || what.contains("{pong:") {
                beats += u32::from(what.contains(" -> "));
                continue;
            }
            let third = parts.next().unwrap_or_default();
            // The output leaves out an event that an appended entry or a token already shows.
            let again = ["Line", "Joined", "Left", "TokenPassed"].iter().any(|event| third.starts_with(event));
            let told = match kind {
                "->" | "stops:" => true,
                "tells" => !again,
                "saves" => third == "append",
                _ => false,
            };
            if what.starts_with("===") || told {
                writeln!(shown, "{} {what}", stamp.trim_start()).expect("memory");
            }
        }
        if beats > 0 {
            writeln!(shown, "({beats} heartbeats and echoes)").expect("memory");
        }
        shown
    }

    fn logs(&mut self) -> String {
        let mut shown = String::new();
        let world = self.world();
        for slot in world.running() {
            let entries: Vec<String> = (world.slots[slot].disk.store().log().iter())
                .map(|entry| match &entry.body {
                    Body::Line(line) => format!("{} {:?}", entry.lamport.0, line.text.as_str()),
                    note @ Body::Note(_) => format!("{} {}", entry.lamport.0, Short::note(note)),
                })
                .collect();
            let text = world.shorten(&entries.join(", "));
            writeln!(shown, "{}: {text}", host(slot)).expect("memory");
        }
        shown
    }
}

fn slot(name: &str) -> usize {
    usize::from(name.bytes().next().expect("a host") - b'a')
}

/// The text of the file, with the present output in every block.
fn told(text: &str) -> String {
    let mut story = Story { world: None, at_once: false };
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut shown = story.obey(line);
        while let Some(command) = lines.next_if(|next| !next.is_empty() && *next != "----") {
            writeln!(out, "{command}").expect("memory");
            shown += &story.obey(command);
        }
        while lines.next_if(|next| !next.is_empty()).is_some() {}
        if !shown.is_empty() {
            writeln!(out, "----").expect("memory");
            out.push_str(&shown);
        }
    }
    out
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = (std::fs::read_dir(folder).expect("the folder"))
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_story_goes_as_it_was_recorded() {
    let update = std::env::var_os("UPDATE").is_some();
    let files = files();
    assert!(!files.is_empty());
    for file in files {
        let recorded = std::fs::read_to_string(&file).expect("a story");
        let now = told(&recorded);
        if update {
            std::fs::write(&file, now).expect("to record it");
            continue;
        }
        let difference = recorded.lines().zip(now.lines()).zip(1..).find(|((was, is), _)| was != is);
        if let Some(((was, is), line)) = difference {
            panic!("{}:{line}\n  recorded: {was}\n  now:      {is}\n(UPDATE=1 records anew)", file.display());
        }
        assert_eq!(recorded.lines().count(), now.lines().count(), "{}", file.display());
    }
}

/// Prints one hash over the present output of all scenarios, without their remarks; `scripts/sim --hash` runs this.
/// With `SIM_TRACES=FOLDER` it also writes each scenario to a file there.
#[test]
#[ignore = "run by scripts/sim --hash"]
fn hash_of_the_stories() {
    let folder = std::env::var_os("SIM_TRACES").map(PathBuf::from);
    let mut hash = FNV_START;
    for file in files() {
        let now = told(&std::fs::read_to_string(&file).expect("a story"));
        let lines = now.lines().filter(|line| !line.starts_with('#'));
        hash = lines.fold(hash, |hash, line| fnv1a(fnv1a(hash, line), "\n"));
        if let Some(folder) = &folder {
            let name = file.file_name().expect("a name").to_string_lossy().into_owned();
            std::fs::write(folder.join(format!("scenario-{name}")), now).expect("to write it");
        }
    }
    println!("scenarios: {hash:016x}");
}
