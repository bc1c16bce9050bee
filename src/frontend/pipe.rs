//! Reads lines of text from input that is not a terminal, with a limit on each line.

use std::io::{self, Read};

use crate::ring::limits::TEXT_BYTES_MAX;

/// Bytes of one read.
const READ_BYTES: usize = 64 * 1024;

/// One line of input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputLine {
    /// A line within the limit; it may be blank.
    Line(String),
    /// A line beyond the limit, [`TEXT_BYTES_MAX`] by default; the reader drops its text.
    TooLong {
        /// The length of the line.
        bytes: u64,
    },
}

/// Reads lines from `input` until its end, or until `take` returns `false`.
///
/// A line ends with a line feed or with the input; a carriage return before that is not part of it. Bytes that are not
/// UTF-8 become U+FFFD. The reader never holds more than the limit of one line.
///
/// # Errors
/// The input cannot be read.
pub fn read_lines(input: impl Read, take: impl FnMut(InputLine) -> bool) -> io::Result<()> {
    read_lines_to(TEXT_BYTES_MAX, input, take)
}

/// As [`read_lines`], with a limit of `bytes_max` a line.
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

/// The part of a line that has been read so far.
struct Gathered {
    kept: Vec<u8>,
    bytes: u64,
    bytes_max: usize,
}

impl Gathered {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        // One byte more than the limit: it may be a carriage return, which does not count.
        let room = self.bytes_max + 1 - self.kept.len();
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end(&mut self) -> InputLine {
        let bytes = std::mem::take(&mut self.bytes);
        let whole = bytes == self.kept.len() as u64;
        let line = self.kept.strip_suffix(b"\r").filter(|_| whole).unwrap_or(&self.kept);
        let text = String::from_utf8_lossy(line);
        // The text of a dropped line is unknown, and so is its length in UTF-8: the raw bytes count.
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
