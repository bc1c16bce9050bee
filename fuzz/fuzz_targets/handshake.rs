#![no_main]

#[allow(dead_code, reason = "each target is a program of its own, and uses a part")]
#[path = "../../tests/fuzz/targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::handshake::run(bytes));
