//! The payload of measurements: lines of one length, and frames of them.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use super::plan::{LINE_BYTES, LOOPBACK};
use crate::ring::limits::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, RUN_LINES_MAX};
use crate::ring::{
    AuthorId, Batch, Body, Entries, Entry, Epoch, Frame, Index, Lamport, Line, LineId, Name, Nonce, RunSignature,
    SessionId, Signature, Tail, Text, Uid, WallMs,
};

/// The bytes that a bare loop sends over and over.
#[derive(Clone)]
pub struct Payload {
    /// The bytes of one write, or of several.
    pub bytes: Bytes,
    /// The end of each line.
    ends: Arc<[usize]>,
}

impl Payload {
    /// The largest frame of entries that a leader sends, in its form on the wire.
    ///
    /// # Errors
    /// The encoding of the frame is not the expected one.
    pub fn frame() -> anyhow::Result<Self> {
        let text = text(0)?;
        let lines = BATCH_ENTRIES_MAX.min(BATCH_BYTES_MAX / (Line::OVERHEAD + LINE_BYTES));
        let mut bytes = Vec::new();
        entries(100_000, lines as u64, &text)?.encode(&mut bytes);
        // The frame's head counts with the first line, its end with the last.
        let ends: Arc<[usize]> = memmem::find_iter(&bytes, br#"{"i":"#).skip(1).chain([bytes.len()]).collect();
        anyhow::ensure!(ends.len() == lines, "{} lines in a frame of {lines}", ends.len());
        Ok(Self { bytes: bytes.into(), ends })
    }

    /// As many lines as a frame holds, each only its text and a line feed.
    ///
    /// # Errors
    /// None in practice: the text is valid.
    pub fn text(lines: usize) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for n in 0..lines {
            bytes.extend_from_slice(text(n as u64)?.as_str().as_bytes());
            bytes.push(b'\n');
            ends.push(bytes.len());
        }
        Ok(Self { bytes: bytes.into(), ends: ends.into() })
    }

    /// The payload of these lines, in order.
    pub(super) fn of(lines: &[Bytes]) -> Self {
        let mut bytes = BytesMut::with_capacity(lines.iter().map(Bytes::len).sum());
        let mut ends = Vec::with_capacity(lines.len());
        for line in lines {
            bytes.extend_from_slice(line);
            ends.push(bytes.len());
        }
        Self { bytes: bytes.freeze(), ends: ends.into() }
    }

    /// Each line by itself.
    pub(super) fn each(&self) -> impl Iterator<Item = Bytes> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends.iter()).map(|(start, &end)| self.bytes.slice(start..end))
    }

    /// Whether the payload is bare text.
    pub fn is_text(&self) -> bool {
        !self.bytes.starts_with(b"{")
    }

    /// The number of lines.
    pub fn lines(&self) -> usize {
        self.ends.len()
    }
}

/// The `n`-th text: [`LINE_BYTES`] bytes that begin with its number.
///
/// # Errors
/// None in practice: the text is valid.
pub fn text(n: u64) -> anyhow::Result<Text> {
    let text = format!("{n:0>10} {:=<width$}", "", width = LINE_BYTES - 11);
    Text::parse(&text).map_err(|error| anyhow::anyhow!("{text:?} is no line: {error:?}"))
}

/// A frame of entries, as a leader sends it.
///
/// # Errors
/// None in practice: the name is valid.
pub fn entries(first: u64, count: u64, text: &Text) -> anyhow::Result<Frame> {
    let uid = Uid(SocketAddr::from((LOOPBACK, 50_000)));
    let epoch = Epoch { round: 1, leader: uid, nonce: Nonce(u64::MAX / 3) };
    let name = Name::parse("leader")?;
    let last = first + count.saturating_sub(1);
    let entry = |index: u64| {
        let id = LineId { author: AuthorId::of_bits(u64::MAX / 5), session: SessionId(u64::MAX / 7), n: index };
        let lamport = Lamport(index);
        // Runs of the maximum length. The readers do not verify signatures.
        let of = (index - first) % RUN_LINES_MAX as u64 + 1;
        let ends = of == RUN_LINES_MAX as u64 || index == last;
        let seal = ends.then_some(RunSignature { of: of as u32, by: Signature([7; 64]) });
        let line = Line {
            id,
            lamport,
            name: name.clone(),
            uid,
            text: text.clone(),
            channel: None,
            act: None,
            signature: seal,
        };
        let wall = WallMs(1_800_000_000_000);
        Arc::new(Entry { epoch, index: Index(index), lamport, wall, body: Body::Line(Arc::new(line)) })
    };
    let prev = Tail { epoch: Some(epoch), index: Index(first.saturating_sub(1)) };
    Ok(Frame::Entries(Entries { prev, batch: Batch { entries: (first..first + count).map(entry).collect() } }))
}
