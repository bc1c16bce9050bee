//! The journal: the newest records, on their way into the database file.
//!
//! A transaction of SQLite writes whole pages, and a line is a twentieth of a page. So the store first appends a small
//! group of records to `chat_<port>.journal`, unchanged: one write, which the end of the process cannot lose. Later one
//! transaction takes many such groups into the file, and also stores the place in the journal up to which the file
//! holds everything (a [`JournalMark`]). At the next start the store writes the groups behind that mark to the file
//! before anything else.
//!
//! ```text
//!   length (4 bytes) | checksum (4 bytes) | [{"queue":[line, ..]}, {"append":batch}, ..]     and so on, then zeros
//! ```
//!
//! Each checksum (CRC-32; lengths and numbers in little endian) continues the previous one; the first continues the
//! mark's seed. So a group counts only after all groups that were written before it, and bytes of an earlier use of the
//! file never count. Every other change of the database draws a new seed: later journal groups count only if that
//! change has reached the medium too.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crc32fast::Hasher;
use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::ring::{Batch, Line, Record};

/// The file grows in steps of so many bytes: overwriting existing bytes is faster to sync.
const GROW_BYTES: u64 = 64 * 1024;
/// Bytes of a group's header.
const HEADER_BYTES: usize = 8;
/// The longest group, in bytes, that a reader accepts. Written groups are far shorter.
const PAYLOAD_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A place in the journal: the file holds everything before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalMark {
    /// Offset of the next group, in bytes.
    pub at: u64,
    /// The seed that the next group's checksum continues.
    pub seal: u32,
}

impl JournalMark {
    /// A place with a new random seed.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn anew(at: u64) -> Result<Self, Error> {
        let seal = getrandom::u32().map_err(|error| Error::Unwritable(format!("no random numbers: {error}")))?;
        Ok(Self { at, seal })
    }
}

impl fmt::Display for JournalMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:08x}", self.at, self.seal)
    }
}

impl FromStr for JournalMark {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mark = text
            .split_once(' ')
            .and_then(|(at, seal)| Some(Self { at: at.parse().ok()?, seal: u32::from_str_radix(seal, 16).ok()? }));
        mark.ok_or_else(|| Error::Damaged("it holds a place in the journal that is none".to_owned()))
    }
}

/// One part of a group, as it stands in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum JournalPiece {
    Queue(Vec<Arc<Line>>),
    Append(Batch),
}

/// The path of the journal that belongs to a database file.
pub fn file_of(db: &Path) -> PathBuf {
    db.with_extension("journal")
}

/// The journal of a running node.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Option<File>,
    end: JournalMark,
    /// Length of the file, in bytes.
    length: u64,
    /// Bytes from here on may still be needed and are not overwritten.
    pub limit: u64,
    /// Buffer for the group that is written next.
    group: Vec<u8>,
}

impl Journal {
    /// A journal that continues at a place. The first group creates the file.
    pub fn at(path: PathBuf, end: JournalMark) -> Self {
        Self { path, file: None, end, length: 0, limit: u64::MAX, group: Vec::new() }
    }

    /// The place at which the next group goes.
    pub fn end(&self) -> JournalMark {
        self.end
    }

    /// Continues at `mark`. The caller has stored that place in the database.
    pub fn go_on(&mut self, mark: JournalMark) {
        self.end = mark;
    }

    /// Appends a group of [`Record::Append`] and [`Record::Queue`].
    ///
    /// # Errors
    /// See [`Error`]; the group does not count.
    pub fn append(&mut self, group: &[Record]) -> Result<(), Error> {
        let next = self.encode(group)?;
        if next.at > self.limit {
            return Err(Error::Unwritable("it would write over what is still needed".to_owned()));
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let file = open(&self.path).map_err(|error| unwritable(&error))?;
                self.length = file.metadata().map_or(0, |meta| meta.len());
                file
            }
        };
        if next.at > self.length {
            let grown = next.at.next_multiple_of(GROW_BYTES) - self.end.at;
            self.group.resize(usize::try_from(grown).unwrap_or(self.group.len()), 0);
        }
        let written = file.write_all_at(&self.group, self.end.at);
        self.file = Some(file);
        written.map_err(|error| unwritable(&error))?;
        self.length = self.length.max(self.end.at + self.group.len() as u64);
        self.end = next;
        Ok(())
    }

    /// Removes the file. The database must hold everything.
    pub fn remove(&mut self) {
        self.file = None;
        // If the file stays, its groups do not count.
        let _ = std::fs::remove_file(&self.path);
    }

    /// Encodes the group into the buffer; returns the place where it will end.
    fn encode(&mut self, group: &[Record]) -> Result<JournalMark, Error> {
        let mut pieces = Vec::with_capacity(group.len());
        for record in group {
            match record {
                Record::Queue(lines) => pieces.push(JournalPiece::Queue(lines.clone())),
                Record::Append(entries) => {
                    let reigns = entries.chunk_by(|a, b| a.epoch == b.epoch);
                    pieces.extend(reigns.map(|entries| JournalPiece::Append(Batch { entries: entries.to_vec() })));
                }
                Record::Room(_)
                | Record::Promise(_)
                | Record::LearnPeer(_)
                | Record::ForgetPeer(_)
                | Record::Shown(_) => {
                    return Err(Error::Unwritable("the journal takes lines alone".to_owned()));
                }
            }
        }
        self.group.clear();
        self.group.resize(HEADER_BYTES, 0);
        serde_json::to_writer(&mut self.group, &pieces).map_err(|error| Error::Unwritable(error.to_string()))?;
        let length = u32::try_from(self.group.len() - HEADER_BYTES).unwrap_or(u32::MAX).to_le_bytes();
        let seal = checksum(self.end.seal, length, &self.group[HEADER_BYTES..]);
        self.group[..4].copy_from_slice(&length);
        self.group[4..HEADER_BYTES].copy_from_slice(&seal.to_le_bytes());
        Ok(JournalMark { at: self.end.at + self.group.len() as u64, seal })
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Reads the records behind a place, and where they end. Returns none if there is no journal.
///
/// # Errors
/// See [`Error`].
pub fn after(path: &Path, mark: JournalMark) -> Result<(Vec<Record>, JournalMark), Error> {
    let (mut records, mut end) = (Vec::new(), mark);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((records, end)),
        Err(error) => return Err(unwritable(&error)),
    };
    file.seek(SeekFrom::Start(mark.at)).map_err(|error| unwritable(&error))?;
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let mut payload = Vec::new();
    while let Some(seal) = read_group(&mut reader, end.seal, &mut payload).map_err(|error| unwritable(&error))? {
        let pieces: Vec<JournalPiece> = serde_json::from_slice(&payload)
            .map_err(|_| Error::Damaged("its journal holds what cannot be read".to_owned()))?;
        records.extend(pieces.into_iter().map(|piece| match piece {
            JournalPiece::Queue(lines) => Record::Queue(lines),
            JournalPiece::Append(batch) => Record::Append(batch.entries),
        }));
        end = JournalMark { at: end.at + (HEADER_BYTES + payload.len()) as u64, seal };
    }
    Ok((records, end))
}

/// Reads the next group if its checksum is right, and returns that checksum.
fn read_group(reader: &mut BufReader<File>, seal: u32, payload: &mut Vec<u8>) -> io::Result<Option<u32>> {
    let mut header = [0; HEADER_BYTES];
    match reader.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let [l0, l1, l2, l3, c0, c1, c2, c3] = header;
    let (length, said) = ([l0, l1, l2, l3], u32::from_le_bytes([c0, c1, c2, c3]));
    let bytes = u64::from(u32::from_le_bytes(length));
    if bytes == 0 || bytes > PAYLOAD_BYTES_MAX {
        return Ok(None);
    }
    payload.clear();
    reader.take(bytes).read_to_end(payload)?;
    let whole = payload.len() as u64 == bytes && checksum(seal, length, payload) == said;
    Ok(whole.then_some(said))
}

fn checksum(seal: u32, length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(seal);
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}

fn unwritable(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull => Error::Unwritable("no space left on the disk".to_owned()),
        _ => Error::Unwritable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use crate::ring::{AuthorId, Lamport, LineId, Name, SessionId, Text};

    fn queue(n: u64, text: &str) -> Record {
        Record::Queue(vec![Arc::new(Line {
            id: LineId { author: AuthorId::of_bits(1), session: SessionId(2), n },
            lamport: Lamport(n),
            name: Name::parse("ann").unwrap(),
            uid: "10.0.0.5:2428".parse().unwrap(),
            text: Text::parse(text).unwrap(),
            channel: None,
            act: None,
            signature: None,
        })])
    }

    struct Paper {
        _dir: tempfile::TempDir,
        path: PathBuf,
    }

    impl Paper {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = file_of(&dir.path().join("chat_1.db"));
            Self { _dir: dir, path }
        }

        fn held(&self, mark: JournalMark) -> Vec<Record> {
            after(&self.path, mark).unwrap().0
        }
    }

    #[test]
    fn what_was_written_is_read_from_any_mark_on() {
        let paper = Paper::new();
        let start = JournalMark::anew(0).unwrap();
        assert_eq!(paper.held(start), []);
        let mut journal = Journal::at(paper.path.clone(), start);
        let mut marks = vec![start];
        for n in 1..=400 {
            journal.append(&[queue(n, "so long a line that the file grows more than once")]).unwrap();
            marks.push(journal.end());
        }
        for (n, mark) in (1..).zip(&marks) {
            let (records, end) = after(&paper.path, *mark).unwrap();
            assert_eq!((records.len(), end), (401 - n, journal.end()));
            assert_eq!(
                records.first(),
                (n <= 400).then(|| queue(n as u64, "so long a line that the file grows more than once")).as_ref()
            );
            assert_eq!(mark.to_string().parse(), Ok(*mark));
        }
        assert!(paper.path.metadata().unwrap().len().is_multiple_of(GROW_BYTES));
        journal.remove();
        assert_eq!(paper.held(start), []);
    }

    #[test]
    fn what_an_earlier_use_has_left_never_counts() {
        let paper = Paper::new();
        let start = JournalMark::anew(0).unwrap();
        let mut journal = Journal::at(paper.path.clone(), start);
        (1..=9).for_each(|n| journal.append(&[queue(n, "old")]).unwrap());
        let old = journal.end();
        // The new groups are as long as the old ones, so an old group follows at a group boundary.
        journal.go_on(JournalMark { at: 0, seal: start.seal ^ 1 });
        let new = journal.end();
        (1..=3).for_each(|n| journal.append(&[queue(n, "new")]).unwrap());
        assert_eq!(paper.held(new), [queue(1, "new"), queue(2, "new"), queue(3, "new")]);
        assert_eq!(paper.held(start), []);
        assert_eq!(paper.held(old), []);
        // A change of the file that has not reached the medium invalidates the groups after it.
        let before = journal.end();
        journal.go_on(JournalMark { at: before.at, seal: before.seal ^ 1 });
        journal.append(&[queue(4, "new")]).unwrap();
        assert_eq!(paper.held(before), []);
    }

    #[test]
    fn what_is_torn_or_no_group_ends_it() {
        let paper = Paper::new();
        let start = JournalMark::anew(0).unwrap();
        let mut journal = Journal::at(paper.path.clone(), start);
        journal.append(&[queue(1, "whole")]).unwrap();
        let whole = journal.end();
        journal.append(&[queue(2, "torn")]).unwrap();
        let bytes = std::fs::read(&paper.path).unwrap();
        let (from, to) = (usize::try_from(whole.at).unwrap(), usize::try_from(journal.end().at).unwrap());
        for end in from..to {
            std::fs::write(&paper.path, &bytes[..end]).unwrap();
            assert_eq!(after(&paper.path, start).unwrap(), (vec![queue(1, "whole")], whole), "{end} bytes");
        }
        for flipped in from..to {
            let mut bytes = bytes.clone();
            bytes[flipped] ^= 0x10;
            std::fs::write(&paper.path, &bytes).unwrap();
            assert_eq!(paper.held(start), [queue(1, "whole")], "byte {flipped}");
        }
        // The reader does not trust a length before the bytes are there.
        std::fs::write(&paper.path, [0xff; 64]).unwrap();
        assert_eq!(paper.held(start), []);
        assert!(
            "12".parse::<JournalMark>().is_err()
                && "x 0".parse::<JournalMark>().is_err()
                && "1 g".parse::<JournalMark>().is_err()
        );
    }

    #[test]
    fn other_records_are_not_for_it() {
        let paper = Paper::new();
        let mut journal = Journal::at(paper.path.clone(), JournalMark::anew(0).unwrap());
        assert!(journal.append(&[Record::LearnPeer("10.0.0.6:1".parse().unwrap())]).is_err());
        assert!(!paper.path.exists());
    }
}
