//! The test makes two pages of the manual from the program: `docs/wire.rst` and `docs/limits.rst`.
//!
//! Each test makes the text of a page and compares it with the file. `UPDATE=1 cargo test --test pages` writes the
//! files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod frames;
mod limits;
mod source;
mod words;

use std::path::Path;

/// Compares the text of a page with its file, or writes the file.
fn check(page: &str, made: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, made).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = kept.lines().zip(made.lines()).position(|(kept, made)| kept != made);
    let line = differs.unwrap_or_else(|| kept.lines().count().min(made.lines().count())) + 1;
    assert!(kept == made, "docs/{page} is out of date from line {line}: UPDATE=1 cargo test --test pages");
}
