//! The program as users and scripts see it: real processes, their output, their files, their exit codes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and its name says what it shows")]
#![expect(clippy::print_stderr, reason = "a test says when it is skipped")]

mod attach;
mod bots;
mod config;
mod crash;
#[path = "../faults/disk.rs"]
#[allow(dead_code, reason = "shared: some of it is for tests/faults")]
mod disk;
mod doctor;
mod errors;
mod full;
mod full_screen;
mod harness;
mod history;
mod install;
mod keys;
mod locked;
mod log;
mod long;
mod manual;
mod old_files;
mod pty;
mod returning;
mod screen;
mod status;
mod tail;
mod talking;
mod typing;
mod usage;
