//! Standard input that is not a terminal: each line is a message, whoever sends it waits for the room.

use std::io::{self, Read};

use crate::ring::limits::TEXT_BYTES_MAX;

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// What a line of input is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputLine {
    /// To be said, if it is not blank.
    Line(String),
    /// More than are allowed, [`TEXT_BYTES_MAX`] for what is said; nothing of it is kept.
    TooLong {
        /// How many.
        bytes: u64,
    },
}

/// Reads lines from `input` until its end, or until `take` says that it wants no more (`false`).
///
/// A line ends with a line feed or with the input; a carriage return before that is not part of it. Bytes that are not
/// UTF-8 become U+FFFD. No more than one line's limit is ever kept.
///
/// # Errors
/// The input cannot be read.
pub fn read_lines(input: impl Read, take: impl FnMut(InputLine) -> bool) -> io::Result<()> {
    read_lines_to(TEXT_BYTES_MAX, input, take)
}

/// As [`read_lines`], where a line may have so many bytes.
///
/// # Errors
/// The input cannot be read.
pub fn read_lines_to(
    bytes_max: usize,
    mut input: impl Read,
    mut take: impl FnMut(InputLine) -> bool,
) -> io::Result<()> {
    let mut chunk = vec![0; READ_BYTES];
    let mut line = Gathered { kept: Vec::new(), bytes: 0, bytes_max };
    loop {
        let got = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let mut rest = &chunk[..got];
        while let Some(end) = memchr::memchr(b'\n', rest) {
            line.push(&rest[..end]);
            if !take(line.end()) {
                return Ok(());
            }
            rest = &rest[end + 1..];
        }
        line.push(rest);
    }
    if line.bytes > 0 {
        take(line.end());
    }
    Ok(())
}

/// A line on its way in.
struct Gathered {
    kept: Vec<u8>,
    bytes: u64,
    bytes_max: usize,
}

impl Gathered {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        // One more byte than a line may have: the carriage return that is not part of it.
        let room = self.bytes_max + 1 - self.kept.len();
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end(&mut self) -> InputLine {
        let bytes = std::mem::take(&mut self.bytes);
        let whole = bytes == self.kept.len() as u64;
        let line = self.kept.strip_suffix(b"\r").filter(|_| whole).unwrap_or(&self.kept);
        let text = String::from_utf8_lossy(line);
        // Of a line that was not kept whole nobody knows what its bytes would have become: they count as they came.
        let typed = match whole {
            true if text.len() <= self.bytes_max => InputLine::Line(text.into_owned()),
            true => InputLine::TooLong { bytes: text.len() as u64 },
            false => InputLine::TooLong { bytes },
        };
        self.kept.clear();
        typed
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    fn read(input: impl Read) -> Vec<InputLine> {
        let mut lines = Vec::new();
        read_lines(input, |typed| {
            lines.push(typed);
            true
        })
        .unwrap();
        lines
    }

    fn line(text: &str) -> InputLine {
        InputLine::Line(text.to_owned())
    }

    #[test]
    fn lines_end_with_a_line_feed_or_with_the_input() {
        assert_eq!(read(&b"a\r\nb\n\nc"[..]), [line("a"), line("b"), line(""), line("c")]);
        assert_eq!(read(&b""[..]), []);
        assert_eq!(read(&b"a\rb\n"[..]), [line("a\rb")]);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(read(&b"a\xffb\n"[..]), [line("a\u{fffd}b")]);
    }

    #[test]
    fn a_line_has_a_limit() {
        let limit = "x".repeat(TEXT_BYTES_MAX);
        assert_eq!(
            read(format!("{limit}\r\n{limit}\n{limit}y\nz\n").as_bytes()),
            [line(&limit), line(&limit), InputLine::TooLong { bytes: TEXT_BYTES_MAX as u64 + 1 }, line("z"),]
        );
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let endless = io::repeat(b'x').take(1 << 28);
        assert_eq!(read(endless), [InputLine::TooLong { bytes: 1 << 28 }]);
    }

    #[test]
    fn replaced_bytes_count_for_what_they_become() {
        assert_eq!(read(&vec![0xff; TEXT_BYTES_MAX][..]), [InputLine::TooLong { bytes: 3 * TEXT_BYTES_MAX as u64 }]);
    }

    #[test]
    fn whoever_has_enough_is_not_asked_again() {
        let mut asked = 0;
        read_lines(&b"a\nb\nc\n"[..], |_| {
            asked += 1;
            false
        })
        .unwrap();
        assert_eq!(asked, 1);
    }
}
