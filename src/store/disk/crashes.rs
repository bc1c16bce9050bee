//! The process ends after any write to the journal or the file, or in the middle of one. Or the power fails, and each
//! file goes back to a moment of its own. The files then hold a state that really existed, and no older state than the
//! last synced one.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![expect(clippy::print_stdout, reason = "how many places were tried is worth a word")]

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::identity::Identity;
use crate::ring::{RoomId, SessionId};
use crate::store::files::OpenRequest;
use crate::store::lock::Lock;
use crate::store::sqlite::crashes::Held;
use crate::store::sqlite::tests::{Deed, Story, session_key};

/// The files as they were after a write.
#[derive(Clone, Default)]
struct Files {
    db: Vec<u8>,
    log: Vec<u8>,
    journal: Vec<u8>,
    /// The end of the journal.
    end: u64,
}

/// A working store, its content after each operation, and its files at that moment.
struct Run {
    dir: tempfile::TempDir,
    disk: Disk,
    states: Vec<MemoryStore>,
    files: Vec<Files>,
    story: Story,
    /// The last synced state.
    synced: usize,
}

fn path_in(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("chat_1.db")
}

impl Files {
    fn read(db: &Path, end: u64) -> Self {
        let bytes = |path: &Path| fs::read(path).unwrap_or_default();
        Self { db: bytes(db), log: bytes(&db.with_extension("db-wal")), journal: bytes(&journal::file_of(db)), end }
    }
}

impl Run {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = path_in(&dir);
        let lock = Lock::take(&path).unwrap();
        let mut file = Sqlite::open(&path).unwrap();
        let key = session_key(0);
        file.enter(None, key.author, key.session).unwrap();
        let disk = Disk::start(file, lock).unwrap();
        let mut run = Self { dir, disk, states: vec![], files: vec![], story: Story::new(seed), synced: 0 };
        let mut memory = MemoryStore::new();
        run.disk.write(&[Record::Room(RoomId(9))]).unwrap();
        memory.keep(&Record::Room(RoomId(9)));
        run.was(memory);
        run
    }

    fn was(&mut self, state: MemoryStore) {
        self.states.push(state);
        self.files.push(Files::read(&path_in(&self.dir), self.disk.journal.end().at));
    }

    fn now(&self) -> usize {
        self.states.len() - 1
    }

    /// The next operation of the story, and sometimes the node's periodic maintenance.
    fn go_on(&mut self, turn: usize) {
        let mut memory = self.states[self.now()].clone();
        match self.story.next(&memory) {
            Deed::Write(group) => {
                self.disk.write(&group).unwrap();
                group.iter().for_each(|record| memory.keep(record));
            }
            Deed::Cut(keep) => {
                self.disk.cut(keep).unwrap();
                let Ok(cut) = crate::store::Store::cut(&mut memory, keep);
                self.story.follow(&cut.log_state);
            }
            Deed::Reopen => {}
        }
        self.was(memory);
        match turn % 12 {
            5 => {
                self.sync();
                self.disk.since = Instant::now().checked_sub(HELD_FOR).unwrap();
                self.disk.tend().unwrap();
                self.was(self.states[self.now()].clone());
            }
            8 => {
                self.sync();
                self.disk.turn().unwrap();
                self.was(self.states[self.now()].clone());
            }
            _ => {}
        }
    }

    /// Syncs everything, as the maintenance thread was asked to.
    fn sync(&mut self) {
        self.disk.sync().unwrap();
        self.synced = self.now();
    }

    /// The range of states that these files hold completely.
    fn states_of(&self, files: &Files) -> (usize, usize) {
        let dir = tempfile::tempdir().unwrap();
        let path = path_in(&dir);
        fs::write(&path, &files.db).unwrap();
        fs::write(path.with_extension("db-wal"), &files.log).unwrap();
        fs::write(journal::file_of(&path), &files.journal).unwrap();
        let held = Held::of(&path);
        let same = |state: &MemoryStore| Held::expected(state) == held;
        let first = self.states.iter().position(same);
        let last = self.states.iter().rposition(same);
        first.zip(last).unwrap_or_else(|| panic!("what the files hold never was: {held:?}"))
    }
}

/// A run that knows no room.
fn in_no_room() -> OpenRequest {
    let uid = "10.0.0.5:2428".parse().unwrap();
    OpenRequest {
        room: None,
        session: SessionId(5),
        identity: Identity::of_seed([5; 32]),
        name: "ann".into(),
        uid,
        key: None,
    }
}

/// The old bytes, overwritten by the first `bytes` of the new ones.
fn torn(before: &[u8], now: &[u8], bytes: usize) -> Vec<u8> {
    let mut torn = now[..bytes.min(now.len())].to_vec();
    torn.extend_from_slice(before.get(torn.len()..).unwrap_or_default());
    torn
}

#[test]
fn a_crash_at_any_write_leaves_what_was_written_before_it() {
    let mut points = 0;
    for seed in 11..=13 {
        let mut run = Run::new(seed);
        for turn in 0..90 {
            let was = run.now();
            run.go_on(turn);
            for step in was + 1..=run.now() {
                let (before, now) = (run.files[step - 1].clone(), run.files[step].clone());
                let (_, last) = run.states_of(&now);
                assert!(last >= step, "{seed}: state {last} after write {step}");
                points += 1;
                // A torn write to the journal alone.
                let [first, end] = [before.end, now.end].map(|at| usize::try_from(at).unwrap());
                if (&before.db, &before.log) != (&now.db, &now.log) || first == end {
                    continue;
                }
                for bytes in [first + 1, first + 4, first + (end - first) / 2, end - 1] {
                    let journal = torn(&before.journal, &now.journal, bytes);
                    if journal == now.journal {
                        // The old bytes are equal by chance.
                        continue;
                    }
                    let (from, to) = run.states_of(&Files { journal, ..now.clone() });
                    assert!((from..=to).contains(&(step - 1)), "{seed}: states {from} to {to} in write {step}");
                    points += 1;
                }
            }
        }
    }
    println!("{points} places at which a crash may strike the journal or the file");
    assert!(points >= 1_000, "{points}");
}

#[test]
fn a_loss_of_power_leaves_a_state_that_really_was() {
    let mut points = 0;
    for seed in 21..=23 {
        let mut run = Run::new(seed);
        let mut rng = seed;
        for turn in 0..96 {
            run.go_on(turn);
            // The file goes back to any moment since the last sync, the journal to any other.
            let mut any = || {
                rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                run.synced + usize::try_from(rng >> 33).unwrap() % (run.now() - run.synced + 1)
            };
            let (file, journal) = (any(), any());
            let Files { db, log, .. } = run.files[file].clone();
            let files = Files { db, log, ..run.files[journal].clone() };
            let (_, last) = run.states_of(&files);
            let synced = file.min(journal);
            assert!(last >= synced, "{seed}: state {last} where {synced} was synced ({file}, {journal})");
            points += 1;
        }
    }
    println!("{points} pairs of moments to which a loss of power takes the file and the journal back");
}

#[test]
fn what_the_journal_holds_goes_to_the_room_it_is_of() {
    let mut run = Run::new(31);
    (0..10).for_each(|turn| run.go_on(turn));
    let expected = Held::expected(&run.states[run.now()]);
    let path = path_in(&run.dir);
    let copy = tempfile::tempdir().unwrap();
    let files = Files::read(&path, 0);
    fs::write(path_in(&copy), files.db).unwrap();
    fs::write(path_in(&copy).with_extension("db-wal"), files.log).unwrap();
    fs::write(journal::file_of(&path_in(&copy)), files.journal).unwrap();
    // The next run is in no room yet.
    let ask = in_no_room();
    let opened = crate::store::open(&path_in(&copy), &ask).unwrap();
    assert_eq!(opened.saved, crate::ring::SavedState::default());
    drop(opened);
    assert_eq!(Held::of(&path_in(&copy)), expected);
    // It opens another room, whose log begins with its own first entry.
    let mut history = crate::store::open(&path_in(&copy), &ask).unwrap().history;
    let mut other = MemoryStore::new();
    let begins = |seed| match Story::new(seed).next(&other) {
        Deed::Write(group) if matches!(group[..], [Record::Append(_)]) => Some(group),
        Deed::Write(_) | Deed::Cut(_) | Deed::Reopen => None,
    };
    let group = (1..100).find_map(begins).unwrap();
    for record in [vec![Record::Room(RoomId(10))], group].into_iter().flatten() {
        crate::store::Store::save(&mut history, &record).unwrap();
        crate::store::Store::commit(&mut history).unwrap();
        other.keep(&record);
    }
    drop(history);
    assert_eq!(Held::of(&path_in(&copy)).log(), Held::expected(&other).log());
}

#[test]
fn a_journal_whose_file_has_lost_its_write_ahead_log_is_kept() {
    let mut run = Run::new(51);
    (0..10).for_each(|turn| run.go_on(turn));
    let copy = tempfile::tempdir().unwrap();
    // Everything of a young file except its tables is in its write-ahead log.
    drop(Sqlite::open(&path_in(&copy)).unwrap());
    fs::copy(journal::file_of(&path_in(&run.dir)), journal::file_of(&path_in(&copy))).unwrap();
    let ask = in_no_room();
    let aside = crate::store::open(&path_in(&copy), &ask).unwrap().aside.unwrap();
    assert!(aside.why.contains("journal"), "{}", aside.why);
    let mut kept = aside.path.into_os_string();
    kept.push(".journal");
    assert!(PathBuf::from(kept).metadata().unwrap().len() > 0);
}

#[test]
fn a_run_that_ends_well_leaves_one_file() {
    let mut run = Run::new(41);
    (0..30).for_each(|turn| run.go_on(turn));
    assert!(journal::file_of(&path_in(&run.dir)).exists());
    run.disk.finish().unwrap();
    assert!(!journal::file_of(&path_in(&run.dir)).exists());
    let Run { dir, disk, states, .. } = run;
    drop(disk);
    assert_eq!(Held::of(&path_in(&dir)), Held::expected(&states[states.len() - 1]));
}
