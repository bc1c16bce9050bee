//! What the fuzzers run: one function for each target, which takes any bytes and panics where a promise is broken.
//!
//! `cargo test --test fuzz` replays the corpus through them; the package in `fuzz/` includes this file and lets a
//! coverage-guided fuzzer choose the bytes. A target more is a function more here, its name in [`ALL`], and three lines
//! in `fuzz/fuzz_targets/`.

pub mod frame;
pub mod handshake;
pub mod lines;
pub mod room;
pub mod step;
pub mod store;
pub mod watch;

/// A target's name and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Target; 5] = [
    ("frame", frame::run),
    ("step", step::run),
    ("lines", lines::run),
    ("store", store::run),
    ("handshake", handshake::run),
];
