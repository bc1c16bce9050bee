//! Reads the sources: files, items and their doc comments.

use std::path::{Path, PathBuf};

/// All source files under a folder of the package, sorted by path.
pub fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut open = vec![root.join(folder)];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// The lines between the braces of an item that a file in this folder defines.
pub fn item(folder: &str, head: &str) -> String {
    let of = |(_, text): (PathBuf, String)| Some(text.split_once(&format!("\n{head} {{\n"))?.1.to_owned());
    let rest = files(folder).into_iter().find_map(of).unwrap_or_else(|| panic!("no {head} under {folder}"));
    rest.split_once("\n}").unwrap().0.to_owned()
}

/// Each line in which `named` finds a name, with that name and the doc comment above the line.
pub fn documented<'a>(text: &'a str, named: impl Fn(&'a str) -> Option<&'a str>) -> Vec<(&'a str, &'a str, String)> {
    let mut found = Vec::new();
    let mut comment = Vec::new();
    for line in text.lines() {
        match line.trim_start().strip_prefix("///") {
            Some(words) => comment.push(words.trim()),
            None => {
                if let Some(name) = named(line) {
                    found.push((line, name, plain(&comment.join(" "))));
                }
                // Attributes stand between a comment and its item.
                if !line.trim_start().starts_with("#[") {
                    comment.clear();
                }
            }
        }
    }
    found
}

/// A doc comment as reStructuredText: links and code become literals.
fn plain(comment: &str) -> String {
    let mut made = String::new();
    let mut rest = comment;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((code, after)) = after.split_once('`') else { break };
        let linked = before.ends_with('[') && after.starts_with(']');
        made.push_str(if linked { &before[..before.len() - 1] } else { before });
        made.push_str(&format!("``{code}``"));
        rest = match after.strip_prefix(']').filter(|_| linked) {
            Some(after) => match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
                Some((_, after)) => after,
                None => after,
            },
            None => after,
        };
    }
    made + rest
}

#[test]
fn links_in_comments_become_literals() {
    let made = plain("The echo of [`Frame::Ping`], at most [`MAX`](super::MAX) of `these`.");
    assert_eq!(made, "The echo of ``Frame::Ping``, at most ``MAX`` of ``these``.");
}
