//! `docs/limits.rst`: every named limit with its value, its unit and its doc comment.

use std::collections::BTreeMap;

use dist_chat::ring::limits::{OUTBOX_LINE_BYTES_MAX, RUN_BYTES_MAX};

use crate::source::{documented, files, item};

/// The head of the page.
const HEAD: &str = "\
.. Made by a test: UPDATE=1 cargo test --test pages writes it again.

Limits
======

Every bound of the program, from the constants in its sources. A value in memory, on the wire or on the screen never
passes them. The core's own checks, the simulator and the model compare the sizes of all collections with these
numbers after every step (invariant 8 in :doc:`protocol`).
";

/// A constant as its file defines it.
struct Constant {
    name: String,
    kind: String,
    value: String,
    meaning: String,
}

/// The constants of all files of this name under a folder.
fn constants(folder: &str, file: &str) -> Vec<Constant> {
    let mut found = Vec::new();
    for (path, text) in files(folder) {
        if path.file_name().is_none_or(|name| name != file) {
            continue;
        }
        // A definition may take two lines.
        let text = text.replace(" =\n    ", " = ");
        for (line, name, meaning) in documented(&text, |line| line.strip_prefix("pub const ")?.split(':').next()) {
            let (kind, value) = line.split_once(": ").unwrap().1.split_once(" = ").unwrap();
            let value = value.trim_end_matches(';').to_owned();
            found.push(Constant { name: name.to_owned(), kind: kind.to_owned(), value, meaning });
        }
    }
    found
}

/// The value of an expression of numbers and known names; `None` if a name is unknown.
fn number(text: &str, known: &BTreeMap<String, u64>) -> Option<u64> {
    let text = text.trim();
    if let Some((left, right)) = split(text, " << ") {
        return Some(number(left, known)? << number(right, known)?);
    }
    for (sign, of) in [
        (" + ", u64::checked_add as fn(u64, u64) -> Option<u64>),
        (" - ", u64::checked_sub),
        (" * ", u64::checked_mul),
        (" / ", u64::checked_div),
    ] {
        if let Some((left, right)) = split(text, sign) {
            return of(number(left, known)?, number(right, known)?);
        }
    }
    let text = text.split(" as ").next()?;
    if let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        return number(inner, known);
    }
    text.replace('_', "").parse().ok().or_else(|| known.get(text).copied())
}

/// The parts before and behind the last such sign outside parentheses.
fn split<'a>(text: &'a str, sign: &str) -> Option<(&'a str, &'a str)> {
    let outside = |at: &usize| text[..*at].matches('(').count() == text[..*at].matches(')').count();
    let at = text.match_indices(sign).map(|(at, _)| at).filter(outside).last()?;
    Some((&text[..at], &text[at + sign.len()..]))
}

/// The digits of a number in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut made = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            made.push(',');
        }
        made.push(digit);
    }
    made
}

fn bytes(number: u64) -> (String, &'static str) {
    match number {
        0 => ("0".to_owned(), "bytes"),
        n if n.is_multiple_of(1 << 30) => (grouped(n >> 30), "GiB"),
        n if n.is_multiple_of(1 << 20) => (grouped(n >> 20), "MiB"),
        n if n.is_multiple_of(1 << 10) => (grouped(n >> 10), "KiB"),
        n => (grouped(n), "bytes"),
    }
}

fn time(ms: u64) -> (String, &'static str) {
    match ms {
        ms if ms.is_multiple_of(1000) => (grouped(ms / 1000), "s"),
        ms if ms > 1000 => ((ms as f64 / 1000.0).to_string(), "s"),
        ms => (ms.to_string(), "ms"),
    }
}

/// The unit of a constant, which its name gives.
fn unit(name: &str) -> String {
    let noun = name.trim_end_matches("_MAX").trim_end_matches("_MIN").rsplit('_').next().unwrap();
    match noun {
        "CHARS" => "characters".to_owned(),
        "CONNS" => "connections".to_owned(),
        noun if noun.ends_with('S') => noun.to_lowercase(),
        _ => String::new(),
    }
}

/// A value and its unit in the form for people.
fn shown(constant: &Constant, known: &BTreeMap<String, u64>) -> (String, String) {
    let Constant { name, kind, value, .. } = constant;
    let inner = |call: &str| number(value.strip_prefix(call)?.strip_suffix(')')?, known);
    let timed = inner("Span::ms(")
        .or_else(|| inner("Duration::from_millis("))
        .or_else(|| inner("Duration::from_secs(").map(|s| s * 1000));
    if let Some(ms) = timed {
        let (value, unit) = time(ms);
        return (value, unit.to_owned());
    }
    if kind == "Rate" {
        let field = |name: &str| {
            let (_, rest) = value.split_once(&format!("{name}: ")).unwrap();
            number(rest.split([',', '}']).next().unwrap(), known).unwrap()
        };
        let of = |name: &str| {
            let (value, unit) = bytes(field(name));
            format!("{value} {unit}")
        };
        let lines = format!("{} lines, {} at once; ", field("lines"), field("lines_burst"));
        return (format!("{lines}{}, {} at once", of("bytes"), of("bytes_burst")), "a second".to_owned());
    }
    let Some(number) = number(value, known) else { panic!("{name} = {value}: not understood") };
    if name.contains("BYTES") {
        let (value, unit) = bytes(number);
        return (value, unit.to_owned());
    }
    let value = match number {
        n if n == (1 << 53) - 1 => "2^53 - 1".to_owned(),
        n if n >= 1 << 24 && n.is_power_of_two() => format!("2^{}", n.trailing_zeros()),
        n => grouped(n),
    };
    (value, unit(name))
}

fn table(page: &mut String, heading: &str, words: &str, rows: &[(String, String, String, String)]) {
    let line = "-".repeat(heading.len());
    page.push_str(&format!("\n{heading}\n{line}\n\n{words}\n\n"));
    page.push_str(".. list-table::\n   :header-rows: 1\n   :widths: 28 14 12 46\n\n");
    page.push_str("   * - name\n     - value\n     - unit\n     - meaning\n");
    for (name, value, unit, meaning) in rows {
        page.push_str(&format!("   * - ``{name}``\n     - {value}\n     -"));
        if !unit.is_empty() {
            page.push_str(&format!(" {unit}"));
        }
        page.push('\n');
        for (at, line) in folded(meaning).iter().enumerate() {
            page.push_str(if at == 0 { "     - " } else { "       " });
            page.push_str(line);
            page.push('\n');
        }
    }
}

/// Splits words into lines of at most 113 columns.
pub fn folded(words: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split_whitespace() {
        let line = lines.last_mut().unwrap();
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= 113 {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// The fields of `Timing` with their defaults.
fn times() -> Vec<(String, String, String, String)> {
    let fields = item("src/ring", "pub struct Timing");
    let defaults = item("src/ring", "impl Default for Timing");
    let field = |line: &'static str| line.strip_prefix("    pub ")?.strip_suffix(": Span,");
    let fields: &'static str = fields.leak();
    let of = |(_, name, meaning): (&str, &str, String)| {
        let (_, rest) = defaults.split_once(&format!(" {name}: Span::ms(")).unwrap();
        let ms = number(rest.split(')').next().unwrap(), &BTreeMap::new()).unwrap();
        let (value, unit) = time(ms);
        (name.to_owned(), value, unit.to_owned(), meaning)
    };
    documented(fields, field).into_iter().map(of).collect()
}

#[test]
fn the_page_of_limits_is_what_the_sources_say() {
    let (core, network) = (constants("src/ring", "limits.rs"), constants("src/net", "limits.rs"));
    let mut known = BTreeMap::new();
    for constant in core.iter().chain(&network) {
        // The test cannot compute this value, because its parts are constants of other files.
        let value = match constant.name.as_str() {
            "OUTBOX_LINE_BYTES_MAX" => Some(OUTBOX_LINE_BYTES_MAX as u64),
            _ => number(&constant.value, &known),
        };
        known.extend(value.map(|value| (constant.name.clone(), value)));
    }
    // A constant may use another one further below, so the test computes each once more.
    for constant in core.iter().chain(&network) {
        let value = number(&constant.value, &known);
        known.extend(value.map(|value| (constant.name.clone(), value)));
    }
    assert_eq!(known.get("RUN_BYTES_MAX"), Some(&(RUN_BYTES_MAX as u64)));
    let row = |constant: &Constant| {
        let exact = known.get(&constant.name).map(|value| Constant {
            name: constant.name.clone(),
            kind: constant.kind.clone(),
            value: value.to_string(),
            meaning: String::new(),
        });
        let (value, unit) = shown(exact.as_ref().unwrap_or(constant), &known);
        (constant.name.clone(), value, unit, constant.meaning.clone())
    };
    let rows = |constants: &[Constant]| constants.iter().map(row).collect::<Vec<_>>();
    let mut page = HEAD.to_owned();
    table(&mut page, "The core", "Constants of ``src/ring``.", &rows(&core));
    let words = "Fields of ``Timing`` with their defaults. :doc:`protocol` writes them in capitals: ``SILENCE``.";
    table(&mut page, "Times", words, &times());
    table(&mut page, "The network", "Constants of ``src/net``.", &rows(&network));
    assert!(core.len() > 50 && network.len() > 30 && times().len() > 10);
    crate::check("limits.rst", &page);
}
