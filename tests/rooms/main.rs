//! Proofs that real processes keep a room's promises.
//!
//! The tests see only what users and scripts see: the flags, standard output, `chat_<port>.log`, `status --json` and
//! exit codes. Each test prints one line that begins with `proof` and gives its measurements; `scripts/proofs` runs the
//! tests at full count and shows those lines. The tests run one at a time, because each needs the whole machine.
//!
//! These environment variables change the tests:
//!
//! * `PROOF_KILLS`: how many leaders proof 3 kills, default 6;
//! * `PROOF_ROUNDS`: how many rooms of 8 proof 4 runs, and how many rounds of strangers proof 17 runs, default 1;
//! * `PROOF_FLOOD_SECONDS`: how long the flood of proof 19 lasts, default 10;
//! * `PROOF_TAIL_LINES`: how many lines the tails of proof 21 read, default 20,000;
//! * `PROOF_FLAPS`: how often a cable flaps, default 5;
//! * `PROOF_SEED`: the seed of random choices; a test without it draws and prints one.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the proof lines are read by people")]

mod crashes;
mod crowd;
mod flood;
mod forging;
mod freezing;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "shared: some of it is for tests/faults")]
mod harness;
mod hostile;
mod intruders;
mod leaving;
mod likes;
mod namespaces;
mod refusals;
mod secret;
mod tailing;
mod talking;
mod whispers;
