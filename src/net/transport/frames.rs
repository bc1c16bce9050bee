//! Turns the bytes of a stream into frames. In a room with a key, decrypts them first.

use std::io;

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::net::TcpStream;

use super::limits::{HANDOVER_FRAMES_MAX, READ_BYTES_MAX, READ_BYTES_MIN};
use super::noise::{Decryptor, NoiseError};
use crate::ring::limits::FRAME_BYTES_MAX;
use crate::ring::{DecodeError, Frame};

/// Bytes that were read from one connection and are not used yet.
#[derive(Debug)]
struct Unread {
    bytes: BytesMut,
    /// Bytes that the next read asks for. Grows after a full read and shrinks after an almost empty one: a burst takes
    /// few reads, and a quiet connection takes little memory.
    ask: usize,
}

/// Bytes that were read from one connection and are not decoded yet: less than one frame and one read.
#[derive(Debug)]
pub(in crate::net) struct Unframed {
    plain: Unread,
    /// In a room with a key: the encrypted bytes. After each read, they are less than one record.
    sealed: Option<(Decryptor, Unread)>,
    /// The search found no line end in this many bytes after the last of `ends`.
    searched: usize,
    /// The ends of the whole frames in `plain`, each after its line feed.
    ends: Vec<usize>,
}

impl Unread {
    fn with(bytes: BytesMut) -> Self {
        Self { bytes, ask: READ_BYTES_MIN }
    }

    /// Reads once. Zero bytes: the stream has ended.
    async fn read(&mut self, socket: &TcpStream) -> io::Result<usize> {
        loop {
            self.bytes.reserve(self.ask);
            match socket.try_read_buf(&mut (&mut self.bytes).limit(self.ask)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.readable().await?,
                Err(error) => return Err(error),
                Ok(read) => {
                    self.adapt(read);
                    return Ok(read);
                }
            }
        }
    }

    fn adapt(&mut self, read: usize) {
        if read == self.ask {
            self.ask = (self.ask * 2).min(READ_BYTES_MAX);
        } else if read < self.ask / 4 && self.ask > READ_BYTES_MIN {
            self.ask /= 2;
            // The buffer is as large as it ever had to be. A copy takes only what the bytes need.
            self.bytes = BytesMut::from(&self.bytes[..]);
        }
    }

    /// Frees the memory of an earlier burst, if the buffer is empty.
    fn renew(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > READ_BYTES_MIN {
            self.bytes = BytesMut::new();
        }
    }
}

impl Unframed {
    /// Starts with the bytes that were read together with the hello.
    pub(in crate::net) fn with(plain: BytesMut, sealed: Option<(Decryptor, BytesMut)>) -> Self {
        let sealed = sealed.map(|(opener, bytes)| (opener, Unread::with(bytes)));
        Self { plain: Unread::with(plain), sealed, searched: 0, ends: Vec::new() }
    }

    /// In a room with a key: decrypts all whole records.
    pub(in crate::net) fn open(&mut self) -> Result<(), NoiseError> {
        let Some((opener, sealed)) = &mut self.sealed else { return Ok(()) };
        self.plain.renew();
        while opener.open(&mut sealed.bytes, &mut self.plain.bytes)? {}
        Ok(())
    }

    /// Reads once. Zero bytes: the stream has ended.
    pub(in crate::net) async fn read(&mut self, socket: &TcpStream) -> io::Result<usize> {
        match &mut self.sealed {
            Some((_, sealed)) => sealed.read(socket).await,
            None => self.plain.read(socket).await,
        }
    }

    /// Finds whole frames, at most [`HANDOVER_FRAMES_MAX`]. Returns their total length in bytes.
    pub(in crate::net) fn find(&mut self) -> Result<usize, DecodeError> {
        let mut end = self.ends.last().copied().unwrap_or(0);
        while self.ends.len() < HANDOVER_FRAMES_MAX {
            let from = end + self.searched;
            let Some(at) = memchr::memchr(b'\n', &self.plain.bytes[from..]) else {
                self.searched = self.plain.bytes.len() - end;
                break;
            };
            end = from + at + 1;
            self.ends.push(end);
            self.searched = 0;
        }
        if self.ends.is_empty() && self.searched >= FRAME_BYTES_MAX {
            return Err(DecodeError::TooLong(self.searched));
        }
        Ok(end)
    }

    /// Decodes the frames that were found, up to the first invalid one.
    pub(in crate::net) fn decode(&mut self, into: &mut Vec<Frame>) -> Result<(), DecodeError> {
        let mut start = 0;
        for end in self.ends.drain(..) {
            into.push(Frame::decode(&self.plain.bytes[start..end])?);
            start = end;
        }
        self.plain.bytes.advance(start);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn whole(unframed: &mut Unframed) -> Vec<Frame> {
        let mut frames = Vec::new();
        while unframed.find().unwrap() > 0 {
            unframed.decode(&mut frames).unwrap();
        }
        frames
    }

    #[test]
    fn frames_are_found_wherever_the_stream_was_torn() {
        let sent: Vec<Frame> = (0..3).map(Frame::Ping).chain([Frame::LeaderPoll]).collect();
        let mut stream = Vec::new();
        sent.iter().for_each(|frame| frame.encode(&mut stream));
        for step in 1..=stream.len() {
            let mut unframed = Unframed::with(BytesMut::new(), None);
            let mut got = Vec::new();
            for piece in stream.chunks(step) {
                unframed.plain.bytes.extend_from_slice(piece);
                got.extend(whole(&mut unframed));
            }
            assert_eq!(got, sent, "in pieces of {step} bytes");
            assert!(unframed.plain.bytes.is_empty());
        }
    }

    #[test]
    fn a_burst_is_handed_over_in_bounded_parts() {
        let mut unframed = Unframed::with(BytesMut::new(), None);
        let mut stream = Vec::new();
        (0..1000).for_each(|n| Frame::Ping(n).encode(&mut stream));
        unframed.plain.bytes.extend_from_slice(&stream);
        let mut frames = Vec::new();
        assert!(unframed.find().unwrap() < stream.len());
        unframed.decode(&mut frames).unwrap();
        assert_eq!(frames.len(), HANDOVER_FRAMES_MAX);
        frames.extend(whole(&mut unframed));
        assert_eq!(frames.len(), 1000);
    }

    #[test]
    fn a_burst_makes_reads_longer_and_quiet_makes_them_short_again() {
        let mut unframed = Unframed::with(BytesMut::new(), None);
        let burst: Vec<usize> =
            (0..8).map(|_| (unframed.plain.adapt(unframed.plain.ask), unframed.plain.ask).1).collect();
        assert_eq!((burst[0], burst[7]), (2 * READ_BYTES_MIN, READ_BYTES_MAX));
        unframed.plain.bytes.extend_from_slice(&[b' '; READ_BYTES_MAX]);
        unframed.plain.bytes.advance(READ_BYTES_MAX - 10);
        (0..8).for_each(|_| unframed.plain.adapt(10));
        assert_eq!((unframed.plain.ask, unframed.plain.bytes.len()), (READ_BYTES_MIN, 10));
        assert!(unframed.plain.bytes.capacity() < READ_BYTES_MIN);
    }

    #[test]
    fn a_frame_without_an_end_is_refused_at_the_limit() {
        let mut unframed = Unframed::with(BytesMut::new(), None);
        unframed.plain.bytes.resize(FRAME_BYTES_MAX - 1, b' ');
        assert_eq!(unframed.find().unwrap(), 0);
        unframed.plain.bytes.put_u8(b' ');
        assert!(matches!(unframed.find(), Err(DecodeError::TooLong(_))));
    }

    #[test]
    fn frames_before_an_error_are_kept() {
        let mut unframed = Unframed::with(
            BytesMut::from(&b"{\"ping\":1}\n\"leader_poll\"\nGET / HTTP/1.1\n\"leader_poll\"\n"[..]),
            None,
        );
        let mut frames = Vec::new();
        assert!(unframed.find().unwrap() > 0);
        assert!(unframed.decode(&mut frames).is_err());
        assert_eq!(frames, [Frame::Ping(1), Frame::LeaderPoll]);
    }
}
