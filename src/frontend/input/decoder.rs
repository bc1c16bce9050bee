//! Decodes the bytes of a terminal into keys.
//!
//! The code is our own because no library fits: the reader must end with the terminal, hold a bounded part of a paste,
//! and recognise a lone escape key although a sequence could follow.

use memchr::memmem;

use super::keys::Key;

/// Longest paste in bytes; the decoder drops a longer one as a whole.
pub const PASTE_BYTES_MAX: usize = 1 << 20;
/// An escape sequence that is longer counts as none.
const SEQUENCE_BYTES_MAX: usize = 32;
const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// Turns bytes into keys, however the bytes are split.
#[derive(Debug, Default)]
pub struct Decoder {
    rest: Vec<u8>,
    paste: Option<Paste>,
}

#[derive(Debug, Default)]
struct Paste {
    kept: Vec<u8>,
    /// Bytes beyond the limit.
    dropped: u64,
}

/// What the next bytes are.
enum Found {
    /// An incomplete key: more bytes are needed.
    Part,
    /// This many bytes without a meaning.
    Nothing(usize),
    /// A key of this many bytes.
    Key(usize, Key),
    /// This many bytes that begin a paste.
    Paste(usize),
}

impl Decoder {
    /// Takes more bytes, and appends the keys that they complete.
    pub fn push(&mut self, bytes: &[u8], keys: &mut Vec<Key>) {
        self.rest.extend_from_slice(bytes);
        loop {
            if self.paste.is_some() {
                match self.pasted() {
                    Some(key) => keys.push(key),
                    None => return,
                }
                continue;
            }
            match look(&self.rest) {
                Found::Part => return,
                Found::Nothing(bytes) => drop(self.rest.drain(..bytes)),
                Found::Key(bytes, key) => {
                    self.rest.drain(..bytes);
                    keys.push(key);
                }
                Found::Paste(bytes) => {
                    self.rest.drain(..bytes);
                    self.paste = Some(Paste::default());
                }
            }
        }
    }

    /// Whether the bytes so far are an incomplete key. Then the caller waits a moment and calls
    /// [`give_up`](Self::give_up).
    pub fn is_waiting(&self) -> bool {
        self.paste.is_none() && !self.rest.is_empty()
    }

    /// No byte has followed in time: a lone escape byte was the escape key.
    pub fn give_up(&mut self, keys: &mut Vec<Key>) {
        if self.is_waiting() {
            let escape = self.rest == b"\x1b";
            self.rest.clear();
            keys.extend(escape.then_some(Key::Escape));
        }
    }

    /// Moves bytes to the paste. Returns the paste if its end is among them.
    fn pasted(&mut self) -> Option<Key> {
        let paste = self.paste.as_mut()?;
        let end = memmem::find(&self.rest, PASTE_ENDS);
        // The last bytes may be the beginning of the end mark.
        let bytes = end.unwrap_or(self.rest.len().saturating_sub(PASTE_ENDS.len() - 1));
        let room = PASTE_BYTES_MAX - paste.kept.len();
        paste.kept.extend_from_slice(&self.rest[..bytes.min(room)]);
        paste.dropped += bytes.saturating_sub(room) as u64;
        self.rest.drain(..bytes + if end.is_some() { PASTE_ENDS.len() } else { 0 });
        end?;
        let Paste { kept, dropped } = self.paste.take()?;
        Some(match dropped {
            0 => Key::Paste(String::from_utf8_lossy(&kept).into_owned()),
            _ => Key::PasteTooLong { bytes: kept.len() as u64 + dropped },
        })
    }
}

fn look(bytes: &[u8]) -> Found {
    match bytes {
        [] => Found::Part,
        [0x1b, rest @ ..] => escape(bytes, rest),
        [b'\r' | b'\n', ..] => Found::Key(1, Key::Enter),
        [b'\t', ..] => Found::Key(1, Key::Tab),
        [0x7f | 0x08, ..] => Found::Key(1, Key::Backspace),
        [control @ 0x01..=0x1a, ..] => Found::Key(1, Key::Ctrl(char::from(control - 1 + b'a'))),
        [0x1f, ..] => Found::Key(1, Key::Ctrl('_')),
        [0x00 | 0x1c..=0x1e, ..] => Found::Nothing(1),
        [ascii @ 0x20..=0x7e, ..] => Found::Key(1, Key::Char(char::from(*ascii))),
        [0x80..=0xff, ..] => letter(bytes),
    }
}

/// A character of several bytes; invalid bytes become U+FFFD.
fn letter(bytes: &[u8]) -> Found {
    let start = &bytes[..bytes.len().min(4)];
    match std::str::from_utf8(start) {
        Ok(text) => first(text),
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(&start[..error.valid_up_to()]).map_or(Found::Nothing(1), first)
        }
        Err(error) => match error.error_len() {
            None => Found::Part,
            Some(length) => Found::Key(length, Key::Char(char::REPLACEMENT_CHARACTER)),
        },
    }
}

fn first(text: &str) -> Found {
    match text.chars().next() {
        Some(c) if c.is_control() => Found::Nothing(c.len_utf8()),
        Some(c) => Found::Key(c.len_utf8(), Key::Char(c)),
        None => Found::Part,
    }
}

fn escape(bytes: &[u8], rest: &[u8]) -> Found {
    match rest {
        [] => Found::Part,
        [b'[', sequence @ ..] => csi(bytes, sequence),
        [b'O'] => Found::Part,
        [b'O', last, ..] => arrow(*last).map_or(Found::Nothing(3), |key| Found::Key(3, key)),
        // Two escapes: the first one is the escape key.
        [0x1b, ..] => Found::Key(1, Key::Escape),
        [0x7f | 0x08, ..] => Found::Key(2, Key::AltBackspace),
        [ascii @ 0x20..=0x7e, ..] => Found::Key(2, Key::Alt(char::from(*ascii))),
        [0x00..=0x1f | 0x80..=0xff, ..] => Found::Key(1, Key::Escape),
    }
}

fn csi(bytes: &[u8], sequence: &[u8]) -> Found {
    let Some(end) = sequence.iter().position(|byte| !matches!(byte, 0x20..=0x3f)) else {
        return if bytes.len() > SEQUENCE_BYTES_MAX { Found::Nothing(bytes.len()) } else { Found::Part };
    };
    if !matches!(sequence[end], 0x40..=0x7e) {
        // The sequence is cut off, and another key begins here.
        return Found::Nothing(end + 2);
    }
    let total = end + 3;
    if bytes.starts_with(PASTE_BEGINS) {
        return Found::Paste(total);
    }
    let moved = sequence[..end].contains(&b';');
    let key = match (&sequence[..end], sequence[end]) {
        // An arrow with Ctrl or Alt moves by words.
        (_, b'C') if moved => Some(Key::Alt('f')),
        (_, b'D') if moved => Some(Key::Alt('b')),
        (_, last @ (b'A'..=b'D' | b'F' | b'H')) => arrow(last),
        (b"1" | b"7", b'~') => Some(Key::Home),
        (b"4" | b"8", b'~') => Some(Key::End),
        (b"3", b'~') => Some(Key::Delete),
        _ => None,
    };
    key.map_or(Found::Nothing(total), |key| Found::Key(total, key))
}

const fn arrow(last: u8) -> Option<Key> {
    match last {
        b'A' => Some(Key::Up),
        b'B' => Some(Key::Down),
        b'C' => Some(Key::Right),
        b'D' => Some(Key::Left),
        b'H' => Some(Key::Home),
        b'F' => Some(Key::End),
        b'M' => Some(Key::Enter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut whole = Vec::new();
        Decoder::default().push(bytes, &mut whole);
        // The keys are the same, however the bytes are split.
        let (mut one, mut single) = (Decoder::default(), Vec::new());
        bytes.iter().for_each(|byte| one.push(&[*byte], &mut single));
        assert_eq!(whole, single);
        whole
    }

    #[test]
    fn keys_are_recognised() {
        use Key::{Alt, AltBackspace, Backspace, Char, Ctrl, Delete, Down, End, Enter, Home, Left, Right, Tab, Up};
        assert_eq!(keys(b"a\r\n\t\x7f\x01\x12"), [Char('a'), Enter, Enter, Tab, Backspace, Ctrl('a'), Ctrl('r')]);
        assert_eq!(keys(b"\x1b[A\x1b[B\x1bOC\x1bOD\x1b[H\x1b[F"), [Up, Down, Right, Left, Home, End]);
        assert_eq!(
            keys(b"\x1b[1~\x1b[4~\x1b[3~\x1bb\x1b\x7f\x1b[1;5C"),
            [Home, End, Delete, Alt('b'), AltBackspace, Alt('f')]
        );
        assert_eq!(keys("é漢👍\u{301}".as_bytes()), [Char('é'), Char('漢'), Char('👍'), Char('\u{301}')]);
    }

    #[test]
    fn what_is_no_key_does_nothing() {
        assert_eq!(keys(b"\x1b[99;99xa\x1b[?1;2cb\x1b[200\x1bc\0"), [Key::Char('a'), Key::Char('b'), Key::Alt('c')]);
        assert_eq!(keys(b"\xffa\xc2\x9bb"), [Key::Char('\u{fffd}'), Key::Char('a'), Key::Char('b')]);
    }

    #[test]
    fn a_paste_is_one_key_whatever_it_holds() {
        assert_eq!(
            keys(b"a\x1b[200~x\x1b[A\x03\r\ny\x1b[201~b"),
            [Key::Char('a'), Key::Paste("x\x1b[A\x03\r\ny".to_owned()), Key::Char('b')]
        );
        let long = [PASTE_BEGINS, &vec![b'x'; PASTE_BYTES_MAX + 1], PASTE_ENDS, b"b"].concat();
        let mut found = Vec::new();
        Decoder::default().push(&long, &mut found);
        assert_eq!(found, [Key::PasteTooLong { bytes: PASTE_BYTES_MAX as u64 + 1 }, Key::Char('b')]);
    }

    #[test]
    fn the_escape_key_is_one_when_nothing_follows() {
        let (mut decoder, mut found) = (Decoder::default(), Vec::new());
        decoder.push(b"\x1b", &mut found);
        assert!(found.is_empty() && decoder.is_waiting());
        decoder.give_up(&mut found);
        assert_eq!(found, [Key::Escape]);
        assert!(!decoder.is_waiting());
    }
}
