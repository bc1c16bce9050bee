//! Pages that people write by hand name only files that exist.

use std::path::Path;

use crate::frames::kinds;
use crate::source::files;

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// The literals of a page, in order.
fn literals(page: &str) -> Vec<&str> {
    page.split("``").skip(1).step_by(2).collect()
}

/// Whether a word stands alone somewhere in a text.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part))
}

#[test]
fn the_protocol_has_every_frame_in_its_table() {
    let page = page("protocol.rst");
    for kind in kinds() {
        assert!(page.lines().any(|line| line.starts_with(&format!("``{kind}`` "))), "no row of {kind} in protocol.rst");
    }
}

#[test]
fn the_glossary_names_types_that_exist() {
    let sources: String = files("src").into_iter().map(|(_, text)| text).collect();
    let page = page("glossary.rst");
    for literal in literals(&page) {
        if literal.starts_with("src/") {
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(literal).exists(), "no {literal}");
        } else if literal.starts_with(char::is_uppercase) {
            for word in literal.split("::") {
                // A time in capitals is a field of `Timing`.
                let known = has_word(&sources, word) || has_word(&sources, &word.to_lowercase());
                assert!(known, "glossary.rst: the sources have no {word}");
            }
        }
    }
}

#[test]
fn the_life_of_a_line_passes_functions_that_exist() {
    let page = page("life-of-a-line.rst");
    let mut source = String::new();
    // A file in brackets, then its functions; functions alone are of the file before.
    for group in page.split('(').skip(1).map(|rest| rest.split(')').next().unwrap()) {
        for literal in literals(group) {
            if literal.starts_with("src/") {
                let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(literal);
                source = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{literal}: {error}"));
            } else {
                assert!(
                    source.contains(&format!("fn {literal}(")) || source.contains(&format!("fn {literal}<")),
                    "no {literal}"
                );
            }
        }
    }
}

#[test]
fn the_pages_about_the_protocol_name_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in ["glossary.rst", "life-of-a-line.rst", "protocol.rst", "architecture.rst"] {
        let text = std::fs::read_to_string(root.join("docs").join(page)).unwrap();
        // Literals stand between pairs of backticks.
        let files = text.split("``").skip(1).step_by(2).filter(|literal| literal.starts_with("src/"));
        for file in files {
            assert!(root.join(file).exists(), "docs/{page} names {file}");
        }
    }
}
