//! The page of errors fits the program: it holds every text of which the program makes a failure, and no other.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

/// Texts in the same functions that are no errors: questions, reports of success, parts of names.
const OTHERS: [&str; 14] = [
    "invite (it is not shown): ",
    "room key (it is not shown): ",
    "this room has a key (it is not shown): ",
    "once more: ",
    "the invite has been read",
    "joining through {contact}",
    "\n\nFor more information",
    "default: the login name",
    "{}:{} {what}",
    "{why}\nit is now {}",
    "it {why}",
    "dist-chat: {remark}",
    "dist-chat: {}",
    "{host} is {}",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The sources of the program, without those for measurements and tests.
fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match path.is_dir() {
            true if ["bench", "tests"].contains(&name.as_str()) => {}
            true => sources(&path, into),
            false if name.ends_with(".rs") && name != "tests.rs" && name != "forger.rs" => into.push(path),
            false => {}
        }
    }
}

/// The functions of a formatted source: name, signature and body.
fn functions(source: &str) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    for line in source.split_inclusive('\n') {
        let (start, text) = (at, line.trim_start());
        at += line.len();
        let Some((before, after)) = text.split_once("fn ") else { continue };
        let words = ["pub", "pub(super)", "pub(crate)", "async", "const"];
        if !before.split_whitespace().all(|word| words.contains(&word)) {
            continue;
        }
        let indent = &line[..line.len() - text.len()];
        let end = source[start..].find(&format!("\n{indent}}}")).map_or(source.len(), |end| start + end);
        let name = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        found.push((name, &source[start..end]));
    }
    found
}

/// The texts between quotation marks, without comments and line breaks.
fn texts(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['"', '\'', '/']) {
        let from = &rest[at..];
        rest = match from.as_bytes() {
            [b'/', b'/', ..] => from.split_once('\n').map_or("", |(_, rest)| rest),
            [b'\'', b'\\', ..] => from[2..].split_once('\'').map_or("", |(_, rest)| rest),
            // This is a character, not a lifetime.
            [b'\'', _, b'\'', ..] => &from[3..],
            [b'"', ..] => {
                let (text, rest) = text(&from[1..]);
                found.push(text);
                rest
            }
            _ => &from[1..],
        };
    }
    found
}

fn text(source: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = source.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                // The text goes on behind the indentation of the next line.
                Some('\n') => chars = chars.as_str().trim_start().chars(),
                Some(other) => text.push(other),
                None => break,
            },
            c => text.push(c),
        }
    }
    (text, chars.as_str())
}

/// The text with `…` for each variable part, without backticks, backslashes and the program's name, and with single
/// blanks.
fn plain(text: &str) -> String {
    let mut said = String::new();
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                said.push('…');
            }
            '`' | '\\' => {}
            c if depth == 0 => said.push(c),
            _ => {}
        }
    }
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    said.strip_prefix("dist-chat: ").unwrap_or(&said).to_owned()
}

/// Each text that an error may hold, and its place in the sources.
fn said() -> Vec<(String, String)> {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let source = std::fs::read_to_string(&file).unwrap();
        let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (name, body) in functions(source) {
            let of_errors = ["Failure::new(", "Failure>", "-> Failure", "Fails<", "complain(", "remark", "aside_text"];
            let is_display = name == "fmt"
                && ["NameError", "sqlite"].iter().any(|part| {
                    source.contains(&format!("Display for {part}"))
                        || file.to_str().unwrap().contains(&format!("/{part}/"))
                });
            // The error text of a parser becomes the reason of a failure.
            let parses = ["/cli/", "/key/", "/config/"].iter().any(|dir| file.to_str().unwrap().contains(dir))
                && (body.lines().next().unwrap().contains(", String>") || body.contains("io::Error::other("));
            if !is_display && !parses && !of_errors.iter().any(|word| body.contains(word)) {
                continue;
            }
            let place = format!("{}, fn {name}", file.strip_prefix(root()).unwrap().display());
            for text in texts(body) {
                let words = text.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count();
                let other = OTHERS.contains(&text.as_str());
                if words >= 2 && !other {
                    found.push((place.clone(), text));
                }
            }
        }
    }
    found
}

#[test]
fn every_text_of_an_error_is_in_the_manual() {
    let page = plain(&std::fs::read_to_string(root().join("docs/errors.rst")).unwrap());
    let said = said();
    assert!(said.len() > 200, "only {} texts are found: is the search for them broken?", said.len());
    let missing: Vec<_> = said
        .iter()
        .filter(|(_, text)| !text.lines().all(|line| page.contains(&plain(line))))
        .map(|(place, text)| format!("{place}: {}", plain(text)))
        .collect();
    assert!(missing.is_empty(), "docs/errors.rst does not explain:\n{}", missing.join("\n"));
}

#[test]
fn every_error_in_the_manual_is_one_that_the_program_says() {
    let page = std::fs::read_to_string(root().join("docs/errors.rst")).unwrap();
    let page = page.split_once("2: usage").unwrap().1;
    let said: Vec<String> = said().iter().map(|(_, text)| plain(text)).collect();
    let lines: Vec<&str> = page.lines().collect();
    // The line above an indented line is the exact text of an error; only lists of texts of one form are not.
    let terms = lines.windows(2).filter(|pair| !pair[0].starts_with([' ', '-']) || pair[0].starts_with("--"));
    let terms = terms.filter(|pair| !pair[0].is_empty() && !pair[0].starts_with("---") && pair[1].starts_with("   "));
    let unknown: Vec<_> =
        terms.map(|pair| plain(pair[0])).filter(|term| !said.iter().any(|text| text.contains(term.as_str()))).collect();
    let lists = ["a web server (HTTP), an SSH server, a mail or FTP server, a server that speaks TLS, another program"];
    let unknown: Vec<_> = unknown.iter().filter(|term| !lists.contains(&term.as_str())).collect();
    assert!(unknown.is_empty(), "docs/errors.rst explains what the program does not say: {unknown:#?}");
}
