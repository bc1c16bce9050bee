//! The process ends, or the power fails, between any two writes: the files then hold a state that really existed.
//!
//! A commit is a sequence of writes to the write-ahead log; a checkpoint is a sequence of writes to the file while the
//! log stays. So every crash leaves a prefix of the first, or the whole log and any part of the second.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![expect(clippy::print_stdout, reason = "how many places were tried is worth a word")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::tests::{Deed, Story, session_key};
use super::*;
use crate::ring::Line;
use crate::store::Store as _;

/// Bytes of the header of a write-ahead log, and of each of its frames (SQLite's file format, section 4).
const WAL_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const PAGE: usize = PAGE_BYTES as usize;
/// The session that opens the files after the crash.
const LATER: u64 = 77;

/// The writes of one run, and the store's content after each of its transactions.
struct Run {
    dir: tempfile::TempDir,
    file: Sqlite,
    states: Vec<MemoryStore>,
    story: Story,
}

impl Run {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut file = Sqlite::open(&dir.path().join("chat_1.db")).unwrap();
        file.shrink().unwrap();
        let key = session_key(0);
        file.enter(None, key.author, key.session).unwrap();
        Self { dir, file, states: vec![MemoryStore::new()], story: Story::new(seed) }
    }

    fn now(&self) -> MemoryStore {
        self.states.last().cloned().unwrap_or_default()
    }

    fn write(&mut self, group: &[Record]) {
        let mut memory = self.now();
        self.file.write(group).unwrap();
        for record in group {
            let Ok(()) = memory.save(record);
        }
        self.states.push(memory);
    }

    fn go_on(&mut self, deeds: usize) {
        for _ in 0..deeds {
            let mut memory = self.now();
            match self.story.next(&memory) {
                Deed::Write(group) => self.write(&group),
                Deed::Cut(keep) => {
                    self.file.cut(keep).unwrap();
                    let Ok(cut) = memory.cut(keep);
                    self.story.follow(&cut.log_state);
                    self.states.push(memory);
                }
                Deed::Reopen => {}
            }
        }
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.path().join(name)).unwrap()
    }

    /// The number of the state that these files hold.
    fn state_of(&self, db: &[u8], wal: &[u8]) -> usize {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chat_1.db");
        fs::write(&path, db).unwrap();
        fs::write(path.with_extension("db-wal"), wal).unwrap();
        let held = Held::of(&path);
        self.states.iter().rposition(|state| Held::expected(state) == held).unwrap_or_else(|| {
            panic!("what {} bytes of the write-ahead log hold never was: {held:?}", wal.len());
        })
    }
}

/// The whole content of a store.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct Held {
    saved: SavedState,
    log: ReadReply,
    pending: Vec<Line>,
}

impl Held {
    pub(in crate::store) fn of(path: &Path) -> Self {
        let mut file = Sqlite::open(path).unwrap();
        file.replay(&journal::file_of(path)).unwrap();
        let room = file.rooms().unwrap().first().copied();
        file.enter(room, AuthorId::of_bits(LATER), SessionId(LATER)).unwrap();
        let pending = match file.read(&ReadRequest::Pending { after: None }).unwrap() {
            ReadReply::Pending(lines) => lines.into_iter().map(|(_, line)| Line::clone(&line)).collect(),
            ReadReply::Log(_) => panic!("the store answers what it was asked"),
        };
        let log = file.read(&ReadRequest::Log { from: Index(1), bytes_max: usize::MAX }).unwrap();
        Self { saved: file.saved().unwrap(), log, pending }
    }

    pub(in crate::store) fn log(&self) -> &ReadReply {
        &self.log
    }

    pub(in crate::store) fn expected(state: &MemoryStore) -> Self {
        let mut state = state.clone();
        state.reopen();
        let Ok(saved) = state.saved();
        let Ok(log) = state.read(&ReadRequest::Log { from: Index(1), bytes_max: usize::MAX });
        let pending = match state.read(&ReadRequest::Pending { after: None }) {
            Ok(ReadReply::Pending(lines)) => lines.into_iter().map(|(_, line)| Line::clone(&line)).collect(),
            Ok(ReadReply::Log(_)) => panic!("the store answers what it was asked"),
        };
        Self { saved, log, pending }
    }
}

#[test]
fn a_crash_at_any_write_leaves_a_state_that_really_was() {
    let mut points = 0;
    for seed in 1..=5 {
        let mut run = Run::new(seed);
        let db = run.bytes("chat_1.db");
        run.write(&[Record::Room(RoomId(9))]);
        run.go_on(40);
        let wal = run.bytes("chat_1.db-wal");
        let frame = FRAME_HEADER + PAGE;
        let frames = (wal.len() - WAL_HEADER) / frame;
        // Before and after each frame's header, within each page, and at its end.
        let ends = (0..frames).flat_map(|k| {
            let start = WAL_HEADER + k * frame;
            [start, start + 1, start + FRAME_HEADER, start + FRAME_HEADER + (k * 977) % PAGE]
        });
        let mut last = 0;
        for end in ends.chain([wal.len()]) {
            let state = run.state_of(&db, &wal[..end]);
            assert!(state >= last, "state {state} follows state {last} where more was written");
            last = state;
            points += 1;
        }
        assert_eq!(Held::expected(&run.states[last]), Held::expected(&run.now()), "the whole log is the last state");
    }
    println!("{points} places at which a crash may strike a commit");
    assert!(points >= 1_000, "{points}");
}

#[test]
fn a_crash_in_a_checkpoint_loses_nothing() {
    let mut run = Run::new(5);
    run.write(&[Record::Room(RoomId(9))]);
    run.go_on(40);
    let (before, wal) = (run.bytes("chat_1.db"), run.bytes("chat_1.db-wal"));
    run.file.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
    let after = run.bytes("chat_1.db");
    let pages = after.len().div_ceil(PAGE);
    let now = Held::expected(&run.now());
    let mut rng = 5u64;
    for _ in 0..200 {
        // Any pages may be written, and one of them in part.
        let mut torn = before.clone();
        torn.resize(after.len(), 0);
        let mut written = BTreeSet::new();
        for page in 0..pages {
            rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if rng >> 63 == 1 {
                written.insert(page);
            }
        }
        for page in written {
            let end = ((page + 1) * PAGE).min(after.len());
            torn[page * PAGE..end].copy_from_slice(&after[page * PAGE..end]);
        }
        let state = run.state_of(&torn, &wal);
        assert_eq!(Held::expected(&run.states[state]), now);
    }
}

#[test]
fn a_crash_while_the_write_ahead_log_begins_anew_leaves_a_state_that_really_was() {
    let mut run = Run::new(7);
    run.write(&[Record::Room(RoomId(9))]);
    run.go_on(30);
    let first = run.states.len() - 1;
    // A checkpoint that keeps the log's length: later writes overwrite old bytes.
    run.file.db.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
    let (db, old) = (run.bytes("chat_1.db"), run.bytes("chat_1.db-wal"));
    run.go_on(12);
    let new = run.bytes("chat_1.db-wal");
    let differ = (0..new.len()).rev().find(|&at| old.get(at) != Some(&new[at])).unwrap();
    let mut last = 0;
    let mut points = 0;
    for end in (0..=differ + 1).step_by(1031).chain([differ + 1]) {
        let mut wal = new[..end].to_vec();
        wal.extend(old.get(end..).unwrap_or_default());
        let state = run.state_of(&db, &wal);
        assert!(state >= last.max(first), "state {state} after state {last}");
        last = state;
        points += 1;
    }
    println!("{points} places at which a crash may strike a log that begins anew");
    assert_eq!(Held::expected(&run.states[last]), Held::expected(&run.now()));
}
