//! The store reads a file that is not as a node wrote it. It may report an error or return what the file seems to hold,
//! but it never panics.
//!
//! The first byte says how the target reads the rest. If it is even, the rest is damage: two bytes give a place, and
//! the third byte goes there. If it is odd, the rest is hostile lines, which go into the file with valid checksums, as
//! if a node had written them:
//!
//! | line | what it becomes |
//! |---|---|
//! | `b12{..}` | a batch of entries: the index in its key, the index of its last, its body |
//! | `s1{..}` | a fold of the log: the index in its key, its body |
//! | `p1{..}` | a pending line: its place, the line |
//! | `o1[..]` | queued lines: the last number, the lines |
//! | `j[..]` | a group in the journal |
//! | `r{..}` | the promise |
//! | `m5 17` | a mark of the journal |

use std::path::Path;
use std::sync::OnceLock;

use dist_chat::ring::{Index, Input, Lamport, Node, Now, ReadRequest, RoomId, Start, WallMs};
use dist_chat::store::{Moment, ReadOutcome, Reader, Selection, Sqlite};
use rusqlite::Connection;

use super::room::{Room, config};

/// The bytes of a page: the smallest size, so that a change of any byte hits content.
const PAGE_BYTES: u32 = 512;
/// The most lines that a question may return; no hostile file holds more.
const LINES_MAX: usize = 10_000;

/// Makes the file, and reads it in every way that the program does.
pub fn run(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let dir = scratch();
    let db = dir.path().join("chat_1.db");
    let journal = dir.path().join("chat_1.journal");
    let mut file = sound().to_vec();
    if first % 2 == 0 {
        for change in rest.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
            match file.get_mut(at) {
                Some(byte) => *byte = change[2],
                None => file.truncate(at % (file.len() + 1)),
            }
        }
    }
    std::fs::write(&db, file).expect("a file");
    if first % 2 == 1 {
        let Ok(file) = Connection::open(&db) else { return };
        for line in rest.split(|byte| *byte == b'\n') {
            // A line that SQLite rejects changes nothing, so the error does not matter.
            let _ = spoil(&file, &journal, line);
        }
    }
    let _ = ask(&db);
    let _ = reopen(&db, &journal);
}

/// Asks the file the questions of a user.
fn ask(db: &Path) -> Result<(), dist_chat::store::Error> {
    let Some(reader) = Reader::open(db)? else { return Ok(()) };
    let stamp = |n| Some(Moment::Stamp(Lamport(n)));
    let all = Selection::default();
    for wanted in [
        all.clone(),
        Selection { newest: Some(2), ..all.clone() },
        Selection { since: stamp(3), until: stamp(9), ..all.clone() },
        Selection { until: Some(Moment::Wall(WallMs(u64::MAX))), words: Some("line".into()), ..all.clone() },
        Selection { words: Some("of n".into()), newest: Some(3), ..all },
    ] {
        let mut given = 0;
        let answer = reader.select(&wanted, |_| {
            given += 1;
            given < LINES_MAX
        });
        assert!(!matches!(answer, Ok(ReadOutcome::Enough)) || given >= LINES_MAX || wanted.newest.is_some());
    }
    reader.indexed().map(|_| ())
}

/// Reads the file as a node does when it starts again.
fn reopen(db: &Path, journal: &Path) -> Result<(), dist_chat::store::Error> {
    let mut file = Sqlite::open(db)?;
    file.replay(journal)?;
    let rooms = file.rooms()?;
    let ego = config(0, Start::Reopen, Default::default());
    file.enter(rooms.first().copied(), ego.author, ego.session)?;
    let saved = file.saved()?;
    let tail = saved.log_state.tail.index;
    let mut node = Node::new(config(0, Start::Reopen, saved));
    assert_eq!(node.status().tail.index, tail, "a node begins where its file ends");
    node.step(Now::default(), Input::Tick);
    node.status();
    file.log_mark()?;
    file.shown()?;
    file.after(Index(0), |_| {})?;
    file.read(&ReadRequest::Log { from: Index(1), bytes_max: 1 << 16 })?;
    file.read(&ReadRequest::Newest { to: tail, lines: 5, bytes_max: 1 << 16 })?;
    file.read(&ReadRequest::Pending { after: None })?;
    file.overlay()?;
    file.cut(Index(tail.0 / 2))?;
    file.saved().map(|_| ())
}

/// Writes a hostile line into the file or the journal.
fn spoil(file: &Connection, journal: &Path, line: &[u8]) -> rusqlite::Result<()> {
    let Some((&kind, rest)) = line.split_first() else { return Ok(()) };
    let place = |at: usize| rest.get(at).and_then(|byte| char::from(*byte).to_digit(36)).map_or(0, i64::from);
    let text = |from: usize| String::from_utf8_lossy(rest.get(from..).unwrap_or_default()).into_owned();
    let body = |from: usize| rest.get(from..).unwrap_or_default();
    let room: i64 = file.query_row("SELECT no FROM room LIMIT 1", [], |row| row.get(0))?;
    match kind {
        b'b' => {
            let sql = "REPLACE INTO batch (at, last, wall_min, wall_max, crc, body) VALUES (?1, ?2, 0, ?3, ?4, ?5)";
            let at = (room << 40) | place(0);
            file.execute(sql, (at, place(1), i64::MAX, crc32fast::hash(body(2)), body(2)))?;
        }
        b's' => {
            let sql = "REPLACE INTO summary (at, crc, body) VALUES (?1, ?2, ?3)";
            file.execute(sql, ((room << 40) | place(0), crc32fast::hash(body(1)), body(1)))?;
        }
        b'p' => {
            let sql = "REPLACE INTO pending SELECT room, ?1, author, session, n, ?2 FROM pending LIMIT 1";
            file.execute(sql, (place(0), text(1)))?;
        }
        b'o' => {
            let sql = "REPLACE INTO outbox SELECT room, author, session, ?1, ?2 FROM session LIMIT 1";
            file.execute(sql, (place(0), text(1)))?;
        }
        b'r' => {
            file.execute("UPDATE room SET promise = ?1", [text(0)])?;
        }
        b'm' => {
            file.execute("REPLACE INTO node (key, value) VALUES ('journal', ?1)", [text(0)])?;
        }
        b'j' => {
            file.execute("REPLACE INTO node (key, value) VALUES ('journal', '0 00000000')", [])?;
            let length = u32::try_from(rest.len()).unwrap_or(0).to_le_bytes();
            let mut hasher = crc32fast::Hasher::new_with_initial(0);
            hasher.update(&length);
            hasher.update(rest);
            let group = [&length[..], &hasher.finalize().to_le_bytes(), rest].concat();
            std::fs::write(journal, group).expect("a file");
        }
        _ => {}
    }
    Ok(())
}

/// A directory on a fast file system.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

/// The bytes of a small valid file that holds every kind of record.
fn sound() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| {
        let dir = scratch();
        let path = dir.path().join("chat_1.db");
        fill(&path);
        shrink(&path);
        std::fs::read(&path).expect("a file")
    })
}

/// The number of lines that a user finds in the unchanged file.
pub fn lines_of_a_sound_file() -> usize {
    let dir = scratch();
    let db = dir.path().join("chat_1.db");
    std::fs::write(&db, sound()).expect("a file");
    reopen(&db, &dir.path().join("chat_1.journal")).expect("a node reads it");
    std::fs::write(&db, sound()).expect("a file");
    ask(&db).expect("people read it");
    let reader = Reader::open(&db).expect("it is read").expect("it has a room");
    let wanted = Selection { words: Some("line".into()), ..Selection::default() };
    let mut lines = 0;
    let answer = reader.select(&wanted, |_| {
        lines += 1;
        true
    });
    assert_eq!(answer, Ok(ReadOutcome::Whole));
    lines
}

fn fill(path: &Path) {
    use dist_chat::ring::Record;
    let mut room = Room::of(3, 2);
    room.say(0, "a line that is cut");
    room.pass(100);
    let log = room.host(0).store.log().to_vec();
    let line = log.iter().find_map(|entry| match &entry.body {
        dist_chat::ring::Body::Line(line) => Some(std::sync::Arc::clone(line)),
        dist_chat::ring::Body::Note(_) => None,
    });
    let ego = config(0, Start::Reopen, Default::default());
    let mut file = Sqlite::open(path).expect("a file");
    file.enter(None, ego.author, ego.session).expect("no room yet");
    let (first, second) = log.split_at(log.len() / 2);
    let epoch = log[0].epoch;
    for group in [
        vec![Record::Room(RoomId(7)), Record::Promise(epoch), Record::LearnPeer(log[0].epoch.leader)],
        vec![Record::Append(first.to_vec())],
        vec![Record::Append(second.to_vec()), Record::Shown(room.host(0).store.shown().clone())],
    ] {
        file.write(&group).expect("it is written");
    }
    file.cut(Index(log.len() as u64 - 2)).expect("it is cut");
    let mut own = dist_chat::ring::Line::clone(&line.expect("a line"));
    (own.id.author, own.id.session, own.id.n) = (ego.author, ego.session, 50);
    file.write(&[Record::Queue(vec![std::sync::Arc::new(own)])]).expect("it is written");
    file.set_fact("name", "ann").expect("it is written");
}

/// Removes the free space from the file.
fn shrink(path: &Path) {
    let file = Connection::open(path).expect("a file");
    let words = "INSERT INTO words (rowid, text) SELECT at, 'line of n0' FROM batch;
                 REPLACE INTO indexed (room, last) SELECT no, 4 FROM room;";
    file.execute_batch(words).expect("an index");
    file.pragma_update(None, "journal_mode", "delete").expect("a mode");
    file.pragma_update(None, "page_size", PAGE_BYTES).expect("a size");
    file.execute_batch("VACUUM").expect("a smaller file");
}

/// The rows of the valid file as hostile lines; they are the seeds of this target.
pub fn recorded() -> Vec<(&'static str, Vec<u8>)> {
    let dir = scratch();
    let path = dir.path().join("chat_1.db");
    std::fs::write(&path, sound()).expect("a file");
    let file = Connection::open(&path).expect("a file");
    let column = |sql: &str| -> Vec<String> {
        let mut statement = file.prepare(sql).expect("a question");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.map(|row| row.expect("a text")).collect()
    };
    let batches = column("SELECT CAST(body AS TEXT) FROM batch");
    let mut rows = vec![1];
    let mut put = |line: String| rows.extend_from_slice(format!("{line}\n").as_bytes());
    batches.iter().for_each(|body| put(format!("b14{body}")));
    column("SELECT line FROM pending").iter().for_each(|line| put(format!("p0{line}")));
    column("SELECT lines FROM outbox").iter().for_each(|lines| put(format!("o3{lines}")));
    column("SELECT promise FROM room").iter().for_each(|epoch| put(format!("r{epoch}")));
    let fold = r#"{"tail":{"e":null,"i":2},"lamport":9,"lines":1,"epochs":[],"marks":[],"members":[]}"#;
    let mut journal = vec![1];
    journal.extend_from_slice(format!("s2{fold}\nj[{{\"append\":{}}}]\n", batches[batches.len() - 1]).as_bytes());
    vec![("sound", vec![0]), ("damaged", vec![0, 200, 1, 255, 0, 8, 7]), ("rows", rows), ("journal", journal)]
}
