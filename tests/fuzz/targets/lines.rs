//! Bytes of a pipe become lines: none is lost, torn or made up, however the pipe hands them over.
//!
//! The first byte says how the input is torn: into reads of so many bytes (zero: as many as are asked for). In the
//! rest, a zero byte and the one after it stand for that many times 128 bytes of text, so that the limits are near.

use std::io::{self, Read};

use dist_chat::frontend::pipe::{InputLine, read_lines};
use dist_chat::ring::limits::TEXT_BYTES_MAX;
use dist_chat::ring::{Text, TextError};
use dist_chat::text::visible;

/// What is repeated: a character of two bytes, so that limits fall into the middle of one.
const REPEATED: &str = "é";

/// A pipe that hands over so many bytes at once.
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

/// Reads lines, and reads them again in the simplest way.
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
    // What follows the last line feed is a line only if there is something.
    lines.pop_if(|last| last.is_empty());
    let line = |line: &&[u8]| {
        // A carriage return may be one byte more. What is longer than that counts as it came.
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

/// What was read can be said unless it is blank, and is harmless once it is made visible.
fn said(typed: &InputLine) {
    let InputLine::Line(line) = typed else { return };
    match Text::parse(line) {
        Ok(text) => assert_eq!(text.as_str(), line),
        Err(TextError::Blank) => assert!(line.trim().is_empty()),
        Err(error @ (TextError::TooLong { .. } | TextError::Newline)) => panic!("{error:?}: {line:?}"),
    }
    assert!(!visible(line).chars().any(char::is_control), "a control character is left of {line:?}");
}
