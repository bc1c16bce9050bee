//! The manual tells the truth about what can be compared: every frame that it shows is one, and every limit is named.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use dist_chat::ring::Frame;

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The lines of the protocol's page that show a frame, the block's indentation apart.
fn frames(manual: &str) -> Vec<&str> {
    let block = |line: &&str| line.starts_with("   {\"") || (line.starts_with("   \"") && line.ends_with('"'));
    manual.lines().filter(block).map(str::trim).collect()
}

#[test]
fn every_frame_in_the_manual_is_what_the_program_says() {
    let manual = read("docs/protocol.rst");
    let shown = frames(&manual);
    for line in &shown {
        let frame = Frame::decode(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"));
        let mut said = Vec::new();
        frame.encode(&mut said);
        assert_eq!(String::from_utf8(said).unwrap().trim_end(), *line);
    }
    // Each kind of frame that the codec knows is shown.
    let source = read("src/ring/frame.rs");
    let kinds = source.split_once("pub enum Frame {").unwrap().1.split_once("\n}").unwrap().0;
    for kind in kinds.lines().filter(|line| line.starts_with("    ") && line[4..].starts_with(char::is_uppercase)) {
        let name: String = kind.trim().chars().take_while(|c| c.is_alphanumeric()).collect();
        let snake = name.char_indices().fold(String::new(), |word, (at, c)| {
            let gap = if at > 0 && c.is_uppercase() { "_" } else { "" };
            word + gap + &c.to_lowercase().to_string()
        });
        let (with, without) = (format!("{{\"{snake}\":"), format!("\"{snake}\""));
        assert!(
            shown.iter().any(|line| line.starts_with(&with) || *line == without),
            "no {snake} in docs/protocol.rst"
        );
    }
}

#[test]
fn every_limit_of_the_core_is_in_the_manual() {
    let manual = read("docs/protocol.rst");
    let limits = read("src/ring/limits.rs");
    let constants = limits.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    let times = limits.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.strip_suffix(": Span,"));
    for name in constants.chain(times) {
        assert!(manual.contains(&format!("``{name}``")), "{name} is not in docs/protocol.rst");
    }
}
