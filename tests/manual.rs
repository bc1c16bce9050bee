//! The page of objects fits the program: every object on it is valid, and it describes every key.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dist_chat::present::values::{Request, Update, Versioned};
use serde_json::Value;

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The name of a variant in JSON.
fn snake(name: &str) -> String {
    name.char_indices().fold(String::new(), |word, (at, c)| {
        let gap = if at > 0 && c.is_uppercase() { "_" } else { "" };
        word + gap + &c.to_lowercase().to_string()
    })
}

/// The objects on a page; each begins a line and may take several lines.
fn objects(manual: &str) -> Vec<Value> {
    let paragraphs = manual.split("\n\n").filter(|paragraph| paragraph.trim_start().starts_with("{\"v\""));
    let of = |paragraph: &str| {
        let flat: Vec<&str> = paragraph.lines().map(str::trim).collect();
        let each = flat.join("\n").replace("\n{\"v\"", "\u{0}{\"v\"");
        let object = |text: &str| serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        each.split('\u{0}').map(object).collect::<Vec<Value>>()
    };
    paragraphs.flat_map(of).collect()
}

/// The text between the braces of an item in a source file.
fn body<'a>(source: &'a str, item: &str) -> &'a str {
    let (_, rest) = source.split_once(&format!("pub {item} {{\n")).unwrap_or_else(|| panic!("no {item}"));
    rest.split_once("\n}").unwrap().0
}

/// The names of the fields; each stands behind `before` at the beginning of a line.
fn fields<'a>(block: &'a str, before: &str) -> BTreeSet<&'a str> {
    let field = |line: &'a str| line.strip_prefix(before)?.split_once(": ").map(|(name, _)| name);
    let is_name = |name: &&str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    block.lines().filter_map(field).filter(is_name).collect()
}

/// The types in an enum of objects, each with its keys.
fn types<'a>(source: &'a str, item: &str) -> BTreeMap<String, BTreeSet<&'a str>> {
    let block = body(source, item);
    let mut types = BTreeMap::new();
    for (at, line) in block.lines().enumerate() {
        let Some(variant) = line.strip_prefix("    ").filter(|line| line.starts_with(char::is_uppercase)) else {
            continue;
        };
        let name: String = variant.chars().take_while(|c| c.is_alphanumeric()).collect();
        let keys = match variant[name.len()..].chars().next() {
            Some('(') => {
                let inner = variant.trim_end_matches([')', ',', '>']).rsplit(['(', '<']).next().unwrap();
                fields(body(source, &format!("struct {inner}")), "    pub ")
            }
            Some('{') | Some(' ') => {
                let rest = block.lines().skip(at + 1).take_while(|line| *line != "    },");
                rest.flat_map(|line| fields(line, "        ")).collect()
            }
            _ => BTreeSet::new(),
        };
        types.insert(snake(&name), keys);
    }
    types
}

/// The object after the program has read and written it.
fn back<T: serde::Serialize + serde::de::DeserializeOwned>(object: &Value) -> Value {
    let read =
        serde_json::from_value::<Versioned<T>>(object.clone()).unwrap_or_else(|error| panic!("{object}: {error}"));
    serde_json::to_value(read).unwrap()
}

#[test]
fn every_object_in_the_manual_is_one_and_each_is_described_whole() {
    let (manual, source) = (read("docs/json.rst"), read("src/present/values.rs"));
    let (asked, told) = manual.split_once("What a program is told").unwrap();
    for (page, item, back) in
        [(asked, "enum Request", back::<Request> as fn(&Value) -> Value), (told, "enum Update", back::<Update>)]
    {
        let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for object in objects(page) {
            assert_eq!(back(&object), object);
            let object = object.as_object().unwrap();
            let of_type = keys.entry(object["type"].as_str().unwrap().to_owned()).or_default();
            of_type.extend(object.keys().filter(|key| !["v", "type"].contains(&key.as_str())).cloned());
        }
        for (name, fields) in types(&source, item) {
            // `reactions` and some other words are both a type and a key, and each type has a paragraph of its own.
            assert!(page.contains(&format!("\n``{name}``\n")), "no {name} in docs/json.rst");
            let shown = keys.get(&name).unwrap_or_else(|| panic!("no example of {name} in docs/json.rst"));
            assert_eq!(shown.iter().map(String::as_str).collect::<BTreeSet<_>>(), fields, "{name} in docs/json.rst");
            let section = page.split_once(&format!("\n``{name}``\n")).unwrap().1;
            let section = section.split("\n``").next().unwrap();
            for field in fields {
                assert!(
                    section.contains(&format!("``{field}``")),
                    "{field} of {name} is not described in docs/json.rst"
                );
            }
        }
    }
    for item in ["struct FeedMember", "struct FeedLink", "struct FeedChannel", "struct ReactionCount"] {
        for field in fields(body(&source, item), "    pub ") {
            assert!(manual.contains(&format!("``{field}``")), "{field} of {item} is not in docs/json.rst");
        }
    }
    for item in ["enum LineKind", "enum EventKind"] {
        let words = body(&source, item).lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(','));
        for word in words.filter(|word| word.chars().all(char::is_alphanumeric)) {
            assert!(manual.contains(&format!("``{}``", snake(word))), "{word} is not in docs/json.rst");
        }
    }
}
