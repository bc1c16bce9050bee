//! Pages that are written by hand name files that exist.

use std::path::Path;

#[test]
fn the_pages_about_the_protocol_name_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in ["glossary.rst", "life-of-a-line.rst", "protocol.rst"] {
        let text = std::fs::read_to_string(root.join("docs").join(page)).unwrap();
        // Literals stand between pairs of backticks.
        let files = text.split("``").skip(1).step_by(2).filter(|literal| literal.starts_with("src/"));
        for file in files {
            assert!(root.join(file).exists(), "docs/{page} names {file}");
        }
    }
}
