//! Foreign text made harmless, before a terminal or a log sees it.
//!
//! Control characters could move the cursor, rename a window or end a line and forge the next; bidirectional overrides
//! could make a line read as another. Both are made visible. Everything else, emoji and right-to-left scripts included,
//! stays as it is.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Appends `foreign` to `out`, with control characters (`\n`, `\x1b`), line separators and bidirectional overrides
/// (`\u{202e}`) made visible.
pub fn push_visible(out: &mut String, foreign: &str) {
    if !has_suspects(foreign) {
        return out.push_str(foreign);
    }
    let mut rest = foreign;
    while let Some(at) = rest.bytes().position(is_suspect) {
        out.push_str(&rest[..at]);
        let mut chars = rest[at..].chars();
        if let Some(c) = chars.next() {
            push_char(out, c);
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// `foreign` made visible; borrowed where nothing had to be changed.
pub fn visible(foreign: &str) -> Cow<'_, str> {
    if !has_suspects(foreign) {
        return Cow::Borrowed(foreign);
    }
    let mut out = String::with_capacity(foreign.len() + 8);
    push_visible(&mut out, foreign);
    Cow::Owned(out)
}

/// Appends JSON with what could harm a terminal escaped: it means the same.
pub fn push_escaped(out: &mut String, json: &str) {
    if let Cow::Borrowed(json) = visible(json) {
        return out.push_str(json);
    }
    for c in json.chars() {
        let mut bytes = [0; 4];
        match *visible(c.encode_utf8(&mut bytes)) == *c.encode_utf8(&mut [0; 4]) {
            true => out.push(c),
            false => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
        }
    }
}

/// Looks at every byte, without a way out: the compiler makes that much faster than stopping at the first.
fn has_suspects(text: &str) -> bool {
    text.bytes().fold(false, |found, byte| found | is_suspect(byte))
}

/// Whether a character that begins with this byte may have to be made visible: C0 and DEL; 0xc2 begins C1; 0xe2 begins
/// U+2028 to U+202E and U+2066 to U+2069. Continuation bytes are none of these.
const fn is_suspect(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f || byte == 0xc2 || byte == 0xe2
}

fn push_char(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\0' => out.push_str("\\0"),
        c if c.is_ascii_control() => {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        }
        c if c.is_control() || is_override(c) => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// Line and paragraph separators, and what overrides, embeds or isolates a direction of writing.
const fn is_override(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether `text`, after a timestamp, would have the shape of a chat line: `NAME(IP:PORT): text`.
pub fn is_chat_shaped(text: &str) -> bool {
    let Some((name, rest)) = text.split_once('(') else { return false };
    let Some((address, _)) = rest.split_once("): ") else { return false };
    crate::ring::Name::parse(name).is_ok() && address.parse::<std::net::SocketAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_made_visible() {
        assert_eq!(visible("a\nb\r\tc\x1b[31m\x7f\0\u{9b}"), "a\\nb\\r\\tc\\x1b[31m\\x7f\\0\\u{9b}");
    }

    #[test]
    fn overrides_and_separators_are_made_visible() {
        assert_eq!(visible("a\u{202e}b\u{2066}c\u{2028}d"), "a\\u{202e}b\\u{2066}c\\u{2028}d");
    }

    #[test]
    fn everything_else_stays() {
        for text in ["", "plain", "naïve – “quoted”", "שלום", "👩‍👩‍👧", "C:\\new", "\u{fffd}"] {
            assert_eq!(visible(text), text);
        }
        assert!(matches!(visible("plain ascii"), Cow::Borrowed(_)));
    }

    #[test]
    fn no_control_character_survives() {
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        assert!(!visible(&all).chars().any(|c| c.is_control() || is_override(c)));
    }

    #[test]
    fn the_shape_of_a_chat_line_is_recognised() {
        assert!(is_chat_shaped("ann(10.0.0.5:2428): hello"));
        assert!(is_chat_shaped("ann([::1]:2428): hello"));
        for other in ["ann(10.0.0.5:2428) joined the ring", "Leader is 10.0.0.7:2428 (epoch 3)", "a b(1.2.3.4:5): x"] {
            assert!(!is_chat_shaped(other), "{other}");
        }
    }
}
