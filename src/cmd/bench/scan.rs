//! Splits a byte stream into frames as cheaply as possible: entries pass without parsing their JSON.

use std::io;

use memchr::{memchr, memmem};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::ring::limits::FRAME_BYTES_MAX;

/// Bytes that one read asks for.
const READ_BYTES: usize = 256 * 1024;

/// Received bytes, cut into frames.
pub struct Scanner {
    bytes: Vec<u8>,
    /// The start of the first unread frame.
    start: usize,
    /// No frame ends before this position.
    seen: usize,
    /// The end of the received bytes.
    end: usize,
}

impl Scanner {
    /// An empty scanner.
    pub fn new() -> Self {
        Self { bytes: vec![0; READ_BYTES], start: 0, seen: 0, end: 0 }
    }

    /// Reads more bytes. `false`: the stream has ended.
    ///
    /// # Errors
    /// The stream fails, or a frame does not end within [`FRAME_BYTES_MAX`].
    pub async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
        if self.start == self.end {
            (self.start, self.seen, self.end) = (0, 0, 0);
        } else if self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.seen, self.end) = (0, self.seen - self.start, self.end - self.start);
            if self.end == self.bytes.len() {
                if self.end > FRAME_BYTES_MAX {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame without an end"));
                }
                self.bytes.resize(2 * self.end, 0);
            }
        }
        let read = stream.read(&mut self.bytes[self.end..]).await?;
        self.end += read;
        Ok(read > 0)
    }

    /// The next whole frame, without its line feed.
    pub fn next(&mut self) -> Option<&[u8]> {
        match memchr(b'\n', &self.bytes[self.seen..self.end]) {
            Some(at) => {
                let (from, to) = (self.start, self.seen + at);
                (self.start, self.seen) = (to + 1, to + 1);
                Some(&self.bytes[from..to])
            }
            None => {
                self.seen = self.end;
                None
            }
        }
    }
}

/// The kinds of frames that a thin reader distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScannedEnd<'a> {
    /// A range of entries.
    Entries {
        /// The first index.
        first: u64,
        /// The last index.
        last: u64,
    },
    /// A heartbeat.
    Ping(u64),
    /// Any other frame.
    Other(&'a [u8]),
}

/// Classifies a frame.
///
/// JSON escapes a quotation mark within text, so the searched patterns never match inside a line's text.
pub fn look(frame: &[u8]) -> ScannedEnd<'_> {
    if frame.starts_with(br#"{"entries":{"#) {
        let first = memmem::find(frame, br#""entries":[{"i":"#).and_then(|at| number(&frame[at + 16..]));
        let last = memmem::rfind(frame, br#"{"i":"#).and_then(|at| number(&frame[at + 5..]));
        if let (Some(first), Some(last)) = (first, last) {
            return ScannedEnd::Entries { first, last };
        }
    } else if let Some(ping) = frame.strip_prefix(br#"{"ping":"#).and_then(number) {
        return ScannedEnd::Ping(ping);
    }
    ScannedEnd::Other(frame)
}

/// The number at the start of `digits`.
pub fn number(digits: &[u8]) -> Option<u64> {
    let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    str::from_utf8(&digits[..len]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::bench::payload::entries;
    use crate::ring::{Frame, Text};

    fn line(frame: &Frame) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        bytes.pop();
        bytes
    }

    #[test]
    fn tells_frames_apart() -> anyhow::Result<()> {
        let text = |text| Text::parse(text).map_err(|error| anyhow::anyhow!("{error:?}"));
        let forged = entries(17, 1, &text(r#"{"i":99 \"#)?)?;
        assert_eq!(look(&line(&forged)), ScannedEnd::Entries { first: 17, last: 17 });
        assert_eq!(look(&line(&entries(998, 5, &text("x")?)?)), ScannedEnd::Entries { first: 998, last: 1002 });
        assert_eq!(look(&line(&Frame::Ping(u64::MAX))), ScannedEnd::Ping(u64::MAX));
        assert_eq!(look(&line(&Frame::Wait)), ScannedEnd::Other(br#""wait""#));
        Ok(())
    }

    #[tokio::test]
    async fn cuts_frames_that_arrive_in_pieces() -> io::Result<()> {
        let frames: Vec<Vec<u8>> = [1, 300_000, 2, 700_000, 3].iter().map(|&len| vec![b'x'; len]).collect();
        let stream: Vec<u8> = frames.iter().flat_map(|frame| frame.iter().copied().chain([b'\n'])).collect();
        let mut pieces = stream.as_slice();
        let mut scanner = Scanner::new();
        let mut cut = Vec::new();
        while scanner.fill(&mut pieces).await? {
            while let Some(frame) = scanner.next() {
                cut.push(frame.to_vec());
            }
        }
        assert!(cut == frames);
        Ok(())
    }
}
