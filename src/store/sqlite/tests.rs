//! The file answers as the store in memory does, whenever it is closed.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Arc;

use super::log::LOG_STATE_EVERY;
use super::*;
use crate::ring::{
    Body, Entry, Lamport, Line, LineId, Member, Name, Nonce, Note, PendingPosition, SessionKey, Shown, Text, WallMs,
};
use crate::store::Store as _;

const SESSIONS: [u64; 3] = [1, 2, u64::MAX];

fn uid(n: u16) -> Uid {
    format!("10.0.0.{n}:2428").parse().unwrap()
}

pub(in crate::store) fn session_key(k: usize) -> SessionKey {
    SessionKey { author: AuthorId::of_bits(u64::MAX - k as u64), session: SessionId(SESSIONS[k]) }
}

fn line(k: usize, n: u64) -> Arc<Line> {
    let key = session_key(k);
    Arc::new(Line {
        id: LineId { author: key.author, session: key.session, n },
        lamport: Lamport(n),
        name: Name::parse("ann").unwrap(),
        uid: uid(1),
        text: Text::parse(&format!("line {n} of {k} \u{1f980} \"quoted\"")).unwrap(),
        channel: None,
        act: None,
        signature: None,
    })
}

/// A seeded sequence of records and reads: the same for the file and for memory.
pub(in crate::store) struct Story {
    rng: u64,
    epoch: Epoch,
    index: Index,
    lamport: u64,
    /// The last number of each session in the log.
    marks: Vec<u64>,
    queued: u64,
}

pub(in crate::store) enum Deed {
    Write(Vec<Record>),
    Cut(Index),
    Reopen,
}

impl Story {
    pub(in crate::store) fn new(seed: u64) -> Self {
        let epoch = Epoch { round: 1, leader: uid(1), nonce: Nonce(seed) };
        Self { rng: seed, epoch, index: Index(0), lamport: 0, marks: vec![0; SESSIONS.len()], queued: 0 }
    }

    fn below(&mut self, n: u64) -> u64 {
        self.rng = self.rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.rng >> 33) % n
    }

    fn entry(&mut self) -> Arc<Entry> {
        self.index = self.index.next();
        self.lamport += 1 + self.below(3);
        let body = match self.below(8) {
            0 => Body::Note(Note::Joined(Member {
                uid: uid(2 + self.index.0 as u16 % 5),
                name: Name::parse("bob").unwrap(),
                author: AuthorId::of_bits(7),
            })),
            1 => Body::Note(Note::Left { uid: uid(2 + self.index.0 as u16 % 5), lost: true }),
            _ => {
                let k = self.below(SESSIONS.len() as u64) as usize;
                self.marks[k] += 1;
                if k == 0 {
                    // A number that once stood in the log is never used again.
                    self.queued = self.queued.max(self.marks[0]);
                }
                Body::Line(line(k, self.marks[k]))
            }
        };
        let (epoch, index) = (self.epoch, self.index);
        Arc::new(Entry { epoch, index, lamport: Lamport(self.lamport), wall: WallMs(self.lamport), body })
    }

    pub(in crate::store) fn next(&mut self, memory: &MemoryStore) -> Deed {
        match self.below(12) {
            0 => {
                let keep = Index(self.below(self.index.0 + 1));
                self.epoch.round += 1;
                Deed::Cut(keep)
            }
            1 => Deed::Reopen,
            2 => {
                let lines = (0..1 + self.below(4)).map(|_| {
                    self.queued += 1;
                    line(0, self.queued)
                });
                Deed::Write(vec![Record::Queue(lines.collect())])
            }
            3 => {
                let shown = Shown { up_to: self.index, lines: [(session_key(1), self.marks[1] + 3)].into() };
                let uid = uid(self.below(9) as u16 + 1);
                let met = if self.below(2) == 0 { Record::LearnPeer(uid) } else { Record::ForgetPeer(uid) };
                Deed::Write(vec![Record::Promise(self.epoch), met, Record::Shown(shown)])
            }
            _ => {
                debug_assert_eq!(memory.log_state().tail.index, self.index);
                let count = 1 + self.below(40);
                let entries = (0..count).map(|_| self.entry()).collect();
                Deed::Write(vec![Record::Append(entries)])
            }
        }
    }

    /// Takes the log's state from this store.
    pub(in crate::store) fn follow(&mut self, log_state: &LogState) {
        self.index = log_state.tail.index;
        self.marks = (0..SESSIONS.len()).map(|k| log_state.watermark(session_key(k))).collect();
    }
}

struct Pair {
    dir: tempfile::TempDir,
    file: Sqlite,
    memory: MemoryStore,
}

impl Pair {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = Sqlite::open(&dir.path().join("chat_1.db")).unwrap();
        let mut pair = Self { dir, file, memory: MemoryStore::new() };
        let key = session_key(0);
        pair.file.enter(None, key.author, key.session).unwrap();
        pair.write(&[Record::Room(RoomId(u64::MAX)), Record::LearnPeer(uid(9))]);
        pair
    }

    fn write(&mut self, group: &[Record]) {
        self.file.write(group).unwrap();
        for record in group {
            let Ok(()) = self.memory.save(record);
        }
    }

    fn reopen(&mut self) {
        self.file = Sqlite::open(&self.dir.path().join("chat_1.db")).unwrap();
        let key = session_key(0);
        self.file.enter(Some(RoomId(u64::MAX)), key.author, key.session).unwrap();
        self.memory.reopen();
    }

    fn compare(&mut self) {
        let Ok(saved) = self.memory.saved();
        assert_eq!(self.file.saved().unwrap(), saved);
        let tail = saved.log_state.tail.index;
        let wants = [
            ReadRequest::Log { from: Index(1), bytes_max: usize::MAX },
            ReadRequest::Log { from: Index(tail.0 / 2 + 1), bytes_max: 2_000 },
            ReadRequest::Log { from: tail.next(), bytes_max: 2_000 },
            ReadRequest::Newest { to: tail, lines: 7, bytes_max: 100_000 },
            ReadRequest::Newest { to: Index(tail.0 / 2), lines: 70, bytes_max: 1_000 },
        ];
        for wanted in wants {
            let Ok(expected) = self.memory.read(&wanted);
            assert_eq!(self.file.read(&wanted).unwrap(), expected, "{wanted:?}");
        }
        // Places may differ; the lines there may not.
        let pending = |found: ReadReply| match found {
            ReadReply::Pending(lines) => lines,
            ReadReply::Log(_) => panic!("the store answers what it was asked"),
        };
        let (mut after, mut theirs): (Option<PendingPosition>, _) = (None, Vec::new());
        loop {
            let lines = pending(self.file.read(&ReadRequest::Pending { after }).unwrap());
            let Some((last, _)) = lines.last() else { break };
            after = Some(*last);
            theirs.extend(lines.into_iter().map(|(_, line)| line));
        }
        let log_state = self.memory.log_state().clone();
        let ours = self.memory.pending().filter(|line| line.id.n > log_state.watermark(line.id.key()));
        assert_eq!(theirs, ours.cloned().collect::<Vec<_>>());
    }
}

#[test]
fn the_file_does_what_memory_does() {
    for seed in 1..=40 {
        let mut pair = Pair::new();
        let mut story = Story::new(seed);
        for _ in 0..60 {
            match story.next(&pair.memory) {
                Deed::Write(group) => pair.write(&group),
                Deed::Cut(keep) => {
                    let Ok(expected) = pair.memory.cut(keep);
                    assert_eq!(pair.file.cut(keep).unwrap(), expected, "seed {seed}");
                    story.follow(pair.memory.log_state());
                }
                Deed::Reopen => pair.reopen(),
            }
            pair.compare();
        }
    }
}

#[test]
fn what_memory_has_kept_meanwhile_goes_into_the_file() {
    for seed in 1..=20 {
        let mut pair = Pair::new();
        let mut story = Story::new(seed);
        let (mut overlay, mut began) = (None::<MemoryStore>, Index(0));
        for step in 0..80 {
            if step % 20 == 9 {
                overlay = Some(pair.file.overlay().unwrap());
                began = pair.file.tail();
            }
            if step % 20 == 19
                && let Some(memory) = overlay.take()
            {
                pair.file.adopt(&memory).unwrap();
            }
            match (story.next(&pair.memory), &mut overlay) {
                (Deed::Write(group), Some(memory)) => {
                    for record in &group {
                        let (Ok(()), Ok(())) = (memory.save(record), pair.memory.save(record));
                    }
                }
                (Deed::Write(group), None) => pair.write(&group),
                (Deed::Cut(keep), overlay) => {
                    let Ok(expected) = pair.memory.cut(keep);
                    let cut = match overlay {
                        Some(memory) => {
                            if keep < began {
                                let (base, mut entries) = pair.file.split_at(keep).unwrap();
                                entries.truncate(usize::try_from(began.0 - keep.0).unwrap());
                                memory.put_before(base, entries);
                                began = keep;
                            }
                            let Ok(cut) = memory.cut(keep);
                            cut
                        }
                        None => pair.file.cut(keep).unwrap(),
                    };
                    assert_eq!(cut, expected, "seed {seed}");
                    story.follow(pair.memory.log_state());
                }
                (Deed::Reopen, _) => {}
            }
            if overlay.is_none() {
                pair.compare();
            }
        }
    }
}

#[test]
fn a_long_log_is_folded_from_the_nearest_log_state() {
    let mut pair = Pair::new();
    let mut story = Story::new(3);
    while story.index.0 < 2 * LOG_STATE_EVERY + 100 {
        let entries = (0..500).map(|_| story.entry()).collect();
        pair.write(&[Record::Append(entries)]);
    }
    let folds: i64 = pair.file.db.query_row("SELECT count(*) FROM summary", [], |row| row.get(0)).unwrap();
    assert_eq!(folds, 2);
    pair.reopen();
    pair.compare();
    let keep = Index(LOG_STATE_EVERY + 77);
    let Ok(expected) = pair.memory.cut(keep);
    assert_eq!(pair.file.cut(keep).unwrap(), expected);
    pair.compare();
}

#[test]
fn an_older_file_becomes_todays() {
    let dir = tempfile::tempdir().unwrap();
    for version in 0..SCHEMA_VERSION {
        let path = dir.path().join(format!("chat_{version}.db"));
        schema::make_older(&path, version).unwrap();
        let mut file = Sqlite::open(&path).unwrap();
        file.enter(None, AuthorId::of_bits(1), SessionId(2)).unwrap();
        let mut story = Story::new(1);
        let entries = (0..10).map(|_| story.entry()).collect();
        file.write(&[Record::Room(RoomId(5)), Record::Append(entries)]).unwrap();
        file.cut(Index(4)).unwrap();
        assert_eq!(file.tail(), Index(4));
    }
}

#[test]
fn a_room_from_before_lines_were_signed_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat_1.db");
    schema::make_older(&path, 3).unwrap();
    let db = Connection::open(&path).unwrap();
    db.execute("INSERT INTO room (id, entered) VALUES (1, 1)", []).unwrap();
    drop(db);
    let before = std::fs::read(&path).unwrap();
    assert_eq!(Sqlite::open(&path).unwrap_err(), Error::Unsigned);
    assert!(std::fs::read(&path).unwrap() == before, "nothing of it has changed");
}

#[test]
fn a_newer_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat_1.db");
    let newer = SCHEMA_VERSION + 1;
    Sqlite::open(&path).unwrap().db.pragma_update(None, "user_version", newer as i64).unwrap();
    assert_eq!(Sqlite::open(&path).unwrap_err(), Error::Newer(newer));
}

#[test]
fn another_programs_file_is_not_ours() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat_1.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x); PRAGMA user_version = 1").unwrap();
    assert!(matches!(Sqlite::open(&path), Err(Error::Damaged(_))));
    std::fs::write(&path, b"what is this?".repeat(1000)).unwrap();
    assert!(matches!(Sqlite::open(&path), Err(Error::Damaged(_))));
}

#[test]
fn a_bit_that_flips_is_noticed() {
    let mut pair = Pair::new();
    let mut story = Story::new(1);
    let entries = (0..50).map(|_| story.entry()).collect();
    pair.write(&[Record::Append(entries)]);
    let sql = "UPDATE batch SET body = CAST(replace(CAST(body AS TEXT), 'line 1 ', 'lime 1 ') AS BLOB)";
    pair.file.db.execute(sql, []).unwrap();
    let wanted = ReadRequest::Log { from: Index(1), bytes_max: 1_000_000 };
    assert!(matches!(pair.file.read(&wanted), Err(Error::Damaged(_))));
}

#[test]
fn a_room_that_is_entered_later_leaves_the_first_as_it_was() {
    let mut pair = Pair::new();
    let mut story = Story::new(1);
    let entries: Vec<_> = (0..50).map(|_| story.entry()).collect();
    pair.write(&[Record::Append(entries.clone())]);
    let key = session_key(1);
    pair.file = Sqlite::open(&pair.dir.path().join("chat_1.db")).unwrap();
    pair.file.enter(None, key.author, key.session).unwrap();
    assert_eq!(pair.file.saved().unwrap(), SavedState::default());
    pair.file.write(&[Record::Room(RoomId(2)), Record::Append(entries[..5].to_vec())]).unwrap();
    assert_eq!(pair.file.tail(), Index(5));
    pair.file.cut(Index(1)).unwrap();
    assert_eq!(pair.file.rooms().unwrap(), [RoomId(2), RoomId(u64::MAX)]);
    pair.reopen();
    pair.compare();
}
