//! Traces that people can read: letters for addresses, small numbers for random ids.

use std::collections::HashMap;
use std::fmt::Write as _;

use dist_chat::ring::{Body, Note};

/// The short name of the `slot`-th host: `a` to `z`, then `n26`, `n27` ...
pub fn host(slot: usize) -> String {
    match u8::try_from(slot) {
        Ok(n) if n < 26 => char::from(b'a' + n).to_string(),
        _ => format!("n{slot}"),
    }
}

/// Where an FNV-1a hash starts.
pub const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// The FNV-1a hash, continued with this text.
pub fn fnv1a(hash: u64, text: &str) -> u64 {
    text.bytes().fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Shortens what a trace shows.
#[derive(Debug, Default)]
pub struct Short {
    ids: HashMap<String, usize>,
    hosts: HashMap<String, String>,
}

impl Short {
    /// What a note says.
    pub fn note(body: &Body) -> String {
        match body {
            Body::Note(Note::Elected(member)) => format!("(elected {})", member.uid),
            Body::Note(Note::Joined(member)) => format!("(joined {})", member.uid),
            Body::Note(Note::Left { uid, lost }) => format!("({} {uid})", if *lost { "lost" } else { "left" }),
            Body::Note(Note::Forged { uid, .. }) => format!("(forger {uid})"),
            Body::Line(line) => format!("{:?}", line.text.as_str()),
        }
    }

    /// Knows this address by the host's short name.
    pub fn name(&mut self, address: String, slot: usize) {
        self.hosts.insert(address, host(slot));
    }

    /// The same text with short names. A random id (16 hexadecimal digits) becomes `#1`, `#2` ... as they turn up.
    pub fn text(&mut self, text: &str) -> String {
        let mut short = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let word =
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | ':'))).unwrap_or(rest.len());
            if word == 0 {
                if first != '"' {
                    short.push(first);
                }
                rest = &rest[first.len_utf8()..];
                continue;
            }
            let (token, after) = rest.split_at(word);
            let (core, colon) = match token.strip_suffix(':') {
                Some(core) => (core, ":"),
                None => (token, ""),
            };
            if let Some(name) = self.hosts.get(core) {
                short.push_str(name);
            } else if matches!(core.len(), 16 | 64 | 128) && core.bytes().all(|b| b.is_ascii_hexdigit()) {
                let known = self.ids.len() + 1;
                let id = *self.ids.entry(core.to_owned()).or_insert(known);
                let _ = write!(short, "#{id}");
            } else {
                short.push_str(core);
            }
            short.push_str(colon);
            rest = after;
        }
        short
    }
}
