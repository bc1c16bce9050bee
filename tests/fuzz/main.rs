//! Runs the fuzz targets on a stable toolchain: each reads every file of its corpus once, in seconds.
//!
//! `tests/fuzz/corpus/<target>/` holds seeds and inputs that fuzzing once found. The names of seeds begin with `seed-`;
//! `UPDATE=1 cargo test --test fuzz` records them. `scripts/fuzz` looks for more inputs.
#![cfg(feature = "program")]
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a test may fail by panicking, and says at which file")]

mod bite;
mod impostors;
mod numbers;
mod targets;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dist_chat::ring::Frame;
use targets::{ALL, Target};

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target)
}

/// Every file of a target's corpus.
fn files(target: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(corpus(target)).expect("a corpus");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files
}

/// The seeds with which each target begins.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let own = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
    let named = |all: Vec<(&'static str, Vec<u8>)>| all.into_iter().map(|(name, bytes)| own(name, &bytes)).collect();
    match target {
        "frame" => frames(),
        "step" => named(targets::step::recorded()),
        "store" => named(targets::store::recorded()),
        "handshake" => named(targets::handshake::recorded()),
        "lines" => vec![
            own("plain", b"\x00hello\nworld\r\n\n/exit\nno end"),
            own("torn", b"\x01\xc3\xa9\r\n\xf0\x9f\x92\n\xff\xfe\x1b[31m\n"),
            own("long", b"\x07a\x00\x80\nb\x00\x7fcc\r\n\x00\xff\x00\xff\n\r\n"),
        ],
        other => panic!("{other} has no seeds"),
    }
}

/// One frame of each kind, from docs/wire.rst.
fn frames() -> Vec<(String, Vec<u8>)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/wire.rst");
    let page = std::fs::read_to_string(page).expect("the page of frames");
    // A frame is a block of its own, and may take several lines.
    let shown = page.split("\n\n").filter(|block| block.starts_with("   "));
    let shown = shown.map(|block| block.lines().map(str::trim).collect::<String>());
    let mut kinds = BTreeSet::new();
    let first = shown.filter(|line| Frame::decode(line.as_bytes()).is_ok()).filter_map(|line| {
        let kind = line.split('"').nth(1)?.to_owned();
        kinds.insert(kind.clone()).then(|| (kind, line.as_bytes().to_vec()))
    });
    first.collect()
}

fn replay(target: &str) {
    if std::env::var_os("UPDATE").is_some() {
        record(target);
    }
    let (_, run): &Target = ALL.iter().find(|(name, _)| *name == target).expect("a target");
    let files = files(target);
    assert!(files.len() >= 3, "the corpus of {target} has {} files: UPDATE=1 cargo test --test fuzz", files.len());
    for file in files {
        // Cargo shows this name when the target panics.
        println!("{}", file.display());
        run(&std::fs::read(&file).expect("a file of the corpus"));
    }
}

/// Writes the seeds anew.
fn record(target: &str) {
    std::fs::create_dir_all(corpus(target)).expect("a directory");
    for old in files(target) {
        if old.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seed-")) {
            std::fs::remove_file(old).expect("an old seed goes");
        }
    }
    for (name, bytes) in seeds(target) {
        std::fs::write(corpus(target).join(format!("seed-{name}")), bytes).expect("a seed is written");
    }
}

#[test]
fn frames_come_back_as_they_were() {
    replay("frame");
}

#[test]
fn whatever_peers_say_a_node_keeps_its_promises() {
    replay("step");
}

#[test]
fn no_line_of_a_pipe_is_lost_or_torn() {
    replay("lines");
}

#[test]
fn a_file_that_is_damaged_or_hostile_is_no_panic() {
    replay("store");
}

#[test]
fn nobody_is_let_in_but_by_a_handshake_that_is_untouched() {
    replay("handshake");
}
