//! What a room promises, shown with real processes.
//!
//! Written against what people see: the flags, standard output, `chat_<port>.log`, `status --json` and exit codes.
//! Each test prints one line that begins with `proof` and says what it measured; `scripts/proofs` runs them at full
//! count and shows those lines. The tests take turns: each wants the machine for itself.
//!
//! Environment: `PROOF_KILLS` (leaders killed in proof 3, default 6), `PROOF_ROUNDS` (rooms of 8 in proof 4, default
//! 1; rounds of strangers in proof 17), `PROOF_FLOOD_SECONDS` (how long proof 19's flood lasts, default
//! 10), `PROOF_TAIL_LINES` (lines that proof 21's tails read, default 20,000), `PROOF_FLAPS` (how often a cable
//! flaps, default 5), `PROOF_SEED` (where random choices start; drawn and printed if absent).
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
