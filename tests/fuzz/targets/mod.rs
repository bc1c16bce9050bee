//! The fuzz targets: one function for each, which takes any bytes and panics when the program breaks a promise.
//!
//! `cargo test --test fuzz` runs the corpus through them; the package in `fuzz/` includes this file and lets a
//! coverage-guided fuzzer choose the bytes. A new target needs a function here, its name in [`ALL`], and three lines in
//! `fuzz/fuzz_targets/`.

pub mod frame;
pub mod handshake;
pub mod lines;
pub mod room;
pub mod step;
pub mod store;
pub mod watch;

/// The name of a target and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const ALL: [Target; 5] = [
    ("frame", frame::run),
    ("step", step::run),
    ("lines", lines::run),
    ("store", store::run),
    ("handshake", handshake::run),
];
