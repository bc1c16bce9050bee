//! The bytes of a pipe become lines. No line is lost, torn or invented, however the pipe splits its bytes.
//!
//! The first byte is the number of bytes that each read gets (zero: as many as it asks for). In the rest, a zero byte
//! and the byte after it stand for that many times 128 bytes of text, so that short inputs reach the limits.

use std::io::{self, Read};

use dist_chat::frontend::pipe::{InputLine, read_lines};
use dist_chat::ring::limits::TEXT_BYTES_MAX;
use dist_chat::ring::{Text, TextError};
use dist_chat::text::visible;

/// The repeated character; it has two bytes, so that limits fall into the middle of one.
const REPEATED: &str = "é";

/// A pipe that gives `piece` bytes to each read.
struct TornRun<'a> {
    rest: &'a [u8],
    piece: usize,
}

impl Read for TornRun<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (now, later) = self.rest.split_at(self.piece.min(into.len()).min(self.rest.len()));
        into[..now.len()].copy_from_slice(now);
        self.rest = later;
        Ok(now.len())
    }
}

/// Reads lines, and compares them with the lines of a simpler reader.
pub fn run(bytes: &[u8]) {
    let Some((&piece, rest)) = bytes.split_first() else { return };
    let input = expanded(rest);
    let piece = if piece == 0 { usize::MAX } else { usize::from(piece) };
    let mut read = Vec::new();
    let ended = read_lines(TornRun { rest: &input, piece }, |typed| {
        read.push(typed);
        true
    });
    assert!(ended.is_ok(), "this pipe does not fail");
    assert_eq!(read, simply(&input));
    read.iter().for_each(said);
}

fn expanded(bytes: &[u8]) -> Vec<u8> {
    let mut input = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        match (byte, rest.as_slice().first()) {
            (0, Some(&times)) if input.len() < 8 * TEXT_BYTES_MAX => {
                rest.next();
                input.extend(REPEATED.bytes().cycle().take(128 * usize::from(times)));
            }
            _ => input.push(byte),
        }
    }
    input
}

fn simply(input: &[u8]) -> Vec<InputLine> {
    let mut lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    // The bytes behind the last line feed are a line unless they are empty.
    lines.pop_if(|last| last.is_empty());
    let line = |line: &&[u8]| {
        // A carriage return may be one byte more. The reader counts the raw bytes of a longer line.
        if line.len() > TEXT_BYTES_MAX + 1 {
            return InputLine::TooLong { bytes: line.len() as u64 };
        }
        let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        match text.len() <= TEXT_BYTES_MAX {
            true => InputLine::Line(text.into_owned()),
            false => InputLine::TooLong { bytes: text.len() as u64 },
        }
    };
    lines.iter().map(line).collect()
}

/// Checks that a user may submit the line unless it is blank, and that its visible form holds no control character.
fn said(typed: &InputLine) {
    let InputLine::Line(line) = typed else { return };
    match Text::parse(line) {
        Ok(text) => assert_eq!(text.as_str(), line),
        Err(TextError::Blank) => assert!(line.trim().is_empty()),
        Err(error @ (TextError::TooLong { .. } | TextError::Newline)) => panic!("{error:?}: {line:?}"),
    }
    assert!(!visible(line).chars().any(char::is_control), "a control character is left of {line:?}");
}
