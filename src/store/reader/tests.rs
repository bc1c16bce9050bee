#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod likes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use super::*;
use crate::ring::{AuthorId, Body, Channel, Emoji, Epoch, Nonce, Note, SessionId, Text, WallMs};
use crate::store::Sqlite;
use crate::store::sqlite::open_again;

const NONE: [u64; 0] = [];

/// A file with known lines: line `i` has the timestamp `10 i` and the time `1000 i`.
struct Past {
    dir: tempfile::TempDir,
    file: Sqlite,
    round: u64,
    next: u64,
    /// How many reactions each author has sent in a round.
    said: BTreeMap<(u64, u64), u64>,
}

impl Past {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut file = Sqlite::open(&dir.path().join("chat_1.db")).unwrap();
        file.enter(None, AuthorId::of_bits(1), SessionId(1)).unwrap();
        file.write(&[Record::Room(RoomId(u64::MAX))]).unwrap();
        Self { dir, file, round: 1, next: 1, said: BTreeMap::new() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("chat_1.db")
    }

    fn entry(&mut self, name: &str, text: &str) -> Arc<Entry> {
        let i = self.next;
        self.next += 1;
        let uid = "10.0.0.1:2428".parse().unwrap();
        let body = match text {
            "" => Body::Note(Note::Left { uid, lost: true }),
            text => Body::Line(Arc::new(Line {
                id: LineId { author: AuthorId::of_bits(1), session: SessionId(self.round), n: i },
                lamport: Lamport(10 * i),
                name: Name::parse(name).unwrap(),
                uid,
                text: Text::parse(text).unwrap(),
                channel: None,
                act: None,
                signature: None,
            })),
        };
        let epoch = Epoch { round: self.round, leader: uid, nonce: Nonce(1) };
        Arc::new(Entry { epoch, index: Index(i), lamport: Lamport(10 * i), wall: WallMs(1000 * i), body })
    }

    /// Appends these lines of ann in one batch.
    fn say(&mut self, texts: &[&str]) {
        let entries = texts.iter().map(|text| self.entry("ann", text)).collect();
        self.file.write(&[Record::Append(entries)]).unwrap();
    }

    /// Appends each (name, text) as a batch of its own; an empty text is a note.
    fn talk(&mut self, lines: &[(&str, &str)]) {
        for (name, text) in lines {
            let entry = self.entry(name, text);
            self.file.write(&[Record::Append(vec![entry])]).unwrap();
        }
    }

    fn index(&self, most: usize) {
        let mut db = open_again(&self.path()).unwrap();
        index_some(&mut db, self.file.room_no().unwrap(), self.file.tail().0, 0, most).unwrap();
    }

    fn cut(&mut self, keep: u64) {
        self.file.cut(Index(keep)).unwrap();
        self.next = keep + 1;
        self.round += 1;
    }

    fn reader(&self) -> Reader {
        Reader::open(&self.path()).unwrap().unwrap()
    }

    /// The indexes of the selected lines.
    fn select(&self, wanted: &Selection) -> Vec<u64> {
        let mut found = Vec::new();
        let answer = self.reader().select(wanted, |entry| {
            found.push(entry.index.0);
            true
        });
        assert_eq!(answer.unwrap(), ReadOutcome::Whole);
        found
    }

    fn search(&self, words: &str) -> Vec<u64> {
        self.select(&words_wanted(words))
    }
}

fn words_wanted(words: &str) -> Selection {
    Selection { words: Some(words.to_owned()), ..Selection::default() }
}

fn stamps(since: u64, until: u64) -> Selection {
    let moment = |stamp| Some(Moment::Stamp(Lamport(stamp)));
    Selection { since: moment(since), until: moment(until), ..Selection::default() }
}

fn walls(since: u64, until: u64) -> Selection {
    let moment = |wall| Some(Moment::Wall(WallMs(wall)));
    Selection { since: moment(since), until: moment(until), ..Selection::default() }
}

#[test]
fn everything_in_order_without_notes() {
    let mut past = Past::new();
    assert_eq!(past.select(&Selection::default()), NONE);
    past.say(&["a", "", "b"]);
    past.talk(&[("bob", "c"), ("bob", ""), ("bob", "d")]);
    assert_eq!(past.select(&Selection::default()), [1, 3, 4, 6]);
    assert_eq!(past.reader().room(), RoomId(u64::MAX));
}

#[test]
fn an_entry_is_found_by_its_timestamp_wherever_it_stands() {
    let mut past = Past::new();
    assert_eq!(past.reader().stamped(Lamport(10)).unwrap(), None);
    for many in [1, 7, 1, 40, 2, 300, 1] {
        past.say(&vec!["hello"; many]);
    }
    let (reader, end) = (past.reader(), past.file.tail().0);
    for index in 1..=end {
        let found = reader.stamped(Lamport(10 * index)).unwrap().unwrap();
        assert_eq!(found.index, Index(index));
        assert_eq!(reader.stamped(Lamport(10 * index + 1)).unwrap(), None);
    }
    assert_eq!(reader.stamped(Lamport(0)).unwrap(), None);
    assert_eq!(reader.stamped(Lamport(u64::MAX)).unwrap(), None);
}

#[test]
fn between_timestamps_and_between_times() {
    let mut past = Past::new();
    past.say(&["a", "b", "c"]);
    past.talk(&[("ann", "d"), ("ann", ""), ("ann", "f")]);
    past.say(&["g", "h"]);
    for (since, until, expected) in [
        (0, u64::MAX, vec![1, 2, 3, 4, 6, 7, 8]),
        (20, 40, vec![2, 3, 4]),
        (21, 39, vec![3]),
        (50, 59, vec![]),
        (80, u64::MAX, vec![8]),
        (81, u64::MAX, vec![]),
        (0, 9, vec![]),
        (40, 20, vec![]),
    ] {
        assert_eq!(past.select(&stamps(since, until)), expected, "{since} to {until}");
        let (first, last) = (100 * since, until.saturating_mul(100));
        assert_eq!(past.select(&walls(first, last)), expected, "{first} ms to {last} ms");
        for newest in 0..4 {
            let wanted = Selection { newest: Some(newest), ..stamps(since, until) };
            assert_eq!(past.select(&wanted), expected[expected.len().saturating_sub(newest)..], "{since} to {until}");
        }
    }
}

#[test]
fn under_a_name_upper_and_lower_case_alike() {
    let mut past = Past::new();
    past.talk(&[("Ann", "a"), ("bob", "b"), ("ANN", "c"), ("ann-2", "d"), ("Äpfel", "e")]);
    let from = |name: &str| Selection { from: Some(Name::parse(name).unwrap()), ..Selection::default() };
    assert_eq!(past.select(&from("ann")), [1, 3]);
    assert_eq!(past.select(&from("äPFEL")), [5]);
    assert_eq!(past.select(&from("carl")), NONE);
    assert_eq!(past.select(&Selection { newest: Some(1), ..from("ann") }), [3]);
}

/// Lines, and the searches that find them. The results do not depend on how far the index goes.
const SAID: [&str; 16] = [
    "deploy on Monday",
    "the DEPLOYMENT failed",
    "don't redeploy",
    "Crème brûlée für ÄRZTE",
    "creme brulee",
    "明日東京に行きます",
    "東京タワー and deploy",
    "the crab 🦀 waves",
    "🦀🦀 and 🚀",
    "สวัสดีครับ",
    "ИСТОРИЯ ничего не теряет",
    "C++ or \"Rust\"?",
    "한국어로 말해요",
    "हिन्दी में",
    "straße and ΣΊΣΥΦΟΣ",
    "x_y z-1.5",
];

const SEARCHES: [(&str, &[u64]); 34] = [
    ("deploy", &[1, 2, 7]),
    ("DEPLOY", &[1, 2, 7]),
    ("deploym", &[2]),
    ("monday deploy", &[1]),
    ("deploy tuesday", &[]),
    ("eploy", &[]),
    ("don't", &[3]),
    ("dont", &[]),
    ("creme", &[4, 5]),
    ("crème BRÛL", &[4, 5]),
    ("arzte", &[4]),
    ("東京", &[6, 7]),
    ("京に", &[6]),
    ("東京 deploy", &[7]),
    ("deploy 東京", &[7]),
    ("行きます 東京", &[6]),
    ("大阪", &[]),
    ("🦀", &[8, 9]),
    ("🦀 🚀", &[9]),
    ("crab 🦀", &[8]),
    ("deploy 🦀", &[]),
    ("สวัสดี", &[10]),
    ("ครับ", &[10]),
    ("история", &[11]),
    ("++", &[12]),
    ("\"rust\"", &[12]),
    ("\"", &[12]),
    ("AND", &[7, 9, 15]),
    ("한국어", &[13]),
    ("हिन्दी", &[14]),
    ("σίσυφος", &[15]),
    ("x_y", &[16]),
    ("1.5", &[16]),
    ("NEAR(deploy monday)", &[]),
];

#[test]
fn words_are_found_however_far_the_index_goes() {
    for indexed in [0, 1, 7, 15, 16] {
        let mut past = Past::new();
        past.say(&SAID[..9]);
        SAID[9..].iter().for_each(|text| past.talk(&[("ann", text)]));
        past.index(indexed);
        for (words, expected) in SEARCHES {
            assert_eq!(past.search(words), expected, "{words}, {indexed} indexed");
            for newest in 1..3 {
                let wanted = Selection { newest: Some(newest), ..words_wanted(words) };
                let expected = &expected[expected.len().saturating_sub(newest)..];
                assert_eq!(past.select(&wanted), expected, "{words}, {indexed} indexed, newest {newest}");
            }
        }
        assert_eq!(past.search(" \t").len(), SAID.len(), "nothing is searched for");
        assert_eq!(past.select(&Selection { words: Some("deploy".to_owned()), ..stamps(15, 60) }), [2]);
        assert_eq!(past.select(&Selection { words: Some("🦀".to_owned()), ..walls(8_500, 9_500) }), [9]);
    }
}

#[test]
fn a_search_of_many_words_is_one_too() {
    let mut past = Past::new();
    let words: Vec<String> = (0..1000).map(|n| format!("w{n}")).collect();
    past.say(&[&words.join(" "), "w1 w2"]);
    for _ in 0..2 {
        assert_eq!(past.search(&words.join(" ")), [1]);
        past.index(10);
    }
}

#[test]
fn the_index_and_its_rules_in_memory_part_words_alike() {
    let past = Past::new();
    let db = open_again(&past.path()).unwrap();
    let sql: String = db.query_row("SELECT sql FROM sqlite_schema WHERE name = 'words'", [], |row| row.get(0)).unwrap();
    assert!(sql.contains(&format!("tokenize='{}'", query::TOKENIZER)), "{sql}");
}

#[test]
fn more_is_found_than_is_asked_for_at_once() {
    let mut past = Past::new();
    let all = 10 * FOUND_MIN as u64 + 7;
    let long = "x".repeat(100);
    let texts: Vec<String> =
        (1..=all).map(|i| if i % 2 == 0 { format!("even {long}") } else { format!("odd {long}") }).collect();
    for some in texts.chunks(100) {
        past.say(&some.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let even: Vec<u64> = (1..=all).filter(|i| i % 2 == 0).collect();
    for indexed in [0, all as usize / 2, all as usize] {
        past.index(indexed);
        assert!(past.search("even") == even);
        let most = 3 * FOUND_MIN;
        assert!(past.select(&Selection { newest: Some(most), ..words_wanted("even") }) == even[even.len() - most..]);
        assert!(past.select(&Selection { newest: Some(most), ..Selection::default() }).len() == most);
    }
}

#[test]
fn what_was_cut_is_found_no_more_and_what_replaces_it_is() {
    let mut past = Past::new();
    past.say(&["one apple", "two apples", "three apples", "four apples"]);
    past.index(3);
    past.cut(1);
    assert_eq!(past.search("apple"), [1]);
    past.talk(&[("ann", "two pears"), ("ann", "three apples")]);
    assert_eq!(past.search("apple"), [1, 3]);
    past.index(100);
    assert_eq!(past.search("apple"), [1, 3]);
    assert_eq!(past.search("pear"), [2]);
    past.cut(0);
    assert_eq!((past.search("apple"), past.select(&Selection::default())), (vec![], vec![]));
}

#[test]
fn an_answer_ends_where_the_log_is_cut_meanwhile() {
    for indexed in [0, 3_000] {
        let mut past = Past::new();
        for _ in 0..300 {
            past.say(&["apple ".repeat(50).as_str(); 10]);
        }
        past.index(indexed);
        for wanted in [Selection::default(), words_wanted("apple")] {
            let reader = past.reader();
            let mut count = 0;
            let answer = reader.select(&wanted, |_| {
                count += 1;
                if count == 1 {
                    let keep = past.file.tail().0 - 1;
                    past.cut(keep);
                    past.talk(&[("ann", "another apple")]);
                }
                true
            });
            assert_eq!(answer.unwrap(), ReadOutcome::Cut);
            assert!(count < 3_000);
        }
        // Lines that arrive during the read are not part of the answer and do not disturb it.
        let reader = past.reader();
        let (mut count, before) = (0, past.file.tail().0);
        let answer = reader.select(&Selection::default(), |_| {
            count += 1;
            if count % 500 == 1 {
                past.talk(&[("ann", "more")]);
            }
            true
        });
        assert_eq!((answer.unwrap(), count), (ReadOutcome::Whole, before));
    }
}

#[test]
fn whoever_has_enough_is_not_asked_again() {
    let mut past = Past::new();
    past.say(&["a", "b", "c"]);
    let mut count = 0;
    let answer = past.reader().select(&Selection::default(), |_| {
        count += 1;
        count < 2
    });
    assert_eq!((answer.unwrap(), count), (ReadOutcome::Enough, 2));
}

#[test]
fn one_channel_or_all_of_them() {
    let mut past = Past::new();
    past.say(&["in the lobby", "not in ops", "nor here"]);
    let mut entry = past.entry("ann", "deploy in ops");
    if let Body::Line(line) = &mut Arc::make_mut(&mut entry).body {
        Arc::make_mut(line).channel = Channel::parse("ops").unwrap();
    }
    past.file.write(&[Record::Append(vec![entry])]).unwrap();
    let place = |name: &str| Selection { channel: Some(Channel::parse(name).unwrap()), ..Selection::default() };
    for _ in 0..2 {
        assert_eq!(past.select(&place("ops")), [4]);
        assert_eq!(past.select(&place("lobby")), [1, 2, 3]);
        assert_eq!(past.select(&place("dev")), NONE);
        assert_eq!(past.select(&Selection { words: Some("ops".to_owned()), ..place("ops") }), [4]);
        assert_eq!(past.select(&Selection { newest: Some(1), ..place("lobby") }), [3]);
        past.index(100);
    }
}

#[test]
fn two_rooms_in_one_file_do_not_mix() {
    let mut past = Past::new();
    past.say(&["apple one", "apple two", "apple three"]);
    past.index(100);
    let first = past.file.room_no();
    past.file = Sqlite::open(&past.path()).unwrap();
    past.file.enter(None, AuthorId::of_bits(1), SessionId(2)).unwrap();
    past.file.write(&[Record::Room(RoomId(2))]).unwrap();
    assert_ne!(past.file.room_no(), first);
    past.next = 1;
    past.say(&["pear one", "apple two"]);
    for _ in 0..2 {
        assert_eq!(past.reader().room(), RoomId(2));
        assert_eq!(past.search("apple"), [2]);
        assert_eq!(past.search("three"), NONE);
        assert_eq!(past.select(&Selection::default()), [1, 2]);
        assert_eq!(past.select(&Selection { newest: Some(9), ..Selection::default() }), [1, 2]);
        past.index(100);
    }
}

#[test]
fn files_that_hold_nothing_or_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat_1.db");
    std::fs::write(&path, b"").unwrap();
    assert!(Reader::open(&path).unwrap().is_none());
    drop(Sqlite::open(&path).unwrap());
    assert!(Reader::open(&path).unwrap().is_none());
    std::fs::write(&path, b"what is this?".repeat(1000)).unwrap();
    assert!(matches!(Reader::open(&path), Err(Error::Damaged(_))));
    assert!(matches!(Reader::open(&dir.path().join("none.db")), Err(Error::Unwritable(_))));
}

#[test]
fn a_bit_that_flips_is_noticed() {
    let mut past = Past::new();
    past.say(&["a line"]);
    let db = open_again(&past.path()).unwrap();
    db.execute("UPDATE batch SET body = CAST(replace(CAST(body AS TEXT), 'a line', 'a lime') AS BLOB)", []).unwrap();
    assert!(matches!(past.reader().select(&Selection::default(), |_| true), Err(Error::Damaged(_))));
}

/// `cargo test --release a_million_lines -- --ignored --nocapture` prints how long answers take: for a log in batches,
/// as busy rooms write it, and for one line by line.
#[test]
#[ignore = "takes minutes"]
#[expect(clippy::print_stdout, reason = "that is what it is for")]
fn a_million_lines() {
    for (what, batch) in [("in batches of 50", 50), ("line by line", 1)] {
        let past = a_million(batch);
        for words in ["zebra", "斑馬"] {
            let begun = Instant::now();
            let found = past.search(words).len();
            println!("\n{what}\n{words}, nothing indexed: {found} lines in {:?}", begun.elapsed());
        }
        while past.file.tail() > past.reader().indexed().unwrap().0 {
            past.index(10_000);
        }
        past.file.shrink().unwrap();
        let newest = |wanted: Selection| Selection { newest: Some(20), ..wanted };
        for (what, wanted) in [
            ("a rare word", words_wanted("zebra")),
            ("two words", words_wanted("stands zebra")),
            ("a word that is not there", words_wanted("giraffe")),
            ("a rare word, newest 20", newest(words_wanted("zebra"))),
            ("a word of all lines, newest 20", newest(words_wanted("deploy"))),
            ("newest 20", newest(Selection::default())),
            ("between timestamps", stamps(5_000_000, 5_000_500)),
            ("between times", walls(500_000_000, 500_050_000)),
            ("text without spaces", words_wanted("斑馬")),
            ("a word of all lines, all", words_wanted("deploy")),
            ("all", Selection::default()),
        ] {
            let begun = Instant::now();
            let found = past.select(&wanted).len();
            println!("{what}: {found} lines in {:?}", begun.elapsed());
        }
    }
}

/// A million lines, none of them indexed.
fn a_million(batch: u64) -> Past {
    const LINES: u64 = 1_000_000;
    let mut past = Past::new();
    for _ in 0..LINES / 1000 {
        let group: Vec<_> = (0..1000 / batch)
            .flat_map(|_| {
                let entries: Vec<_> = (0..batch)
                    .map(|_| match past.next {
                        500_000 => past.entry("ann", "the zebra stands here 斑馬"),
                        i => {
                            past.entry("bob", &format!("line {i} about deploy {} and build {} today", i % 977, i % 31))
                        }
                    })
                    .collect();
                // Entries that are appended together form one batch, unless another record comes in between.
                let between = Record::Promise(entries[0].epoch);
                [Record::Append(entries), between]
            })
            .collect();
        past.file.write(&group).unwrap();
    }
    past.file.shrink().unwrap();
    past
}

#[test]
fn what_only_the_journal_holds_is_found_too() {
    let mut past = Past::new();
    past.say(&["deploy one", "two"]);
    past.index(10);
    past.talk(&[("bob", "deploy three")]);
    let mark = journal::JournalMark::anew(0).unwrap();
    past.file.note(mark);
    past.file.write(&[]).unwrap();
    let mut paper = journal::Journal::at(journal::file_of(&past.path()), mark);
    for (name, text) in [("ann", "deployed four"), ("bob", ""), ("bob", "five \u{1f680}")] {
        let entry = past.entry(name, text);
        paper.append(&[Record::Append(vec![entry])]).unwrap();
    }
    assert_eq!(past.select(&Selection::default()), [1, 2, 3, 4, 6]);
    assert_eq!(past.search("deploy"), [1, 3, 4]);
    assert_eq!(past.search("\u{1f680}"), [6]);
    assert_eq!(past.select(&stamps(40, 60)), [4, 6]);
    assert_eq!(past.select(&stamps(20, 40)), [2, 3, 4]);
    assert_eq!(past.select(&walls(3000, 5000)), [3, 4]);
    let newest = |most| Selection { newest: Some(most), ..Selection::default() };
    assert_eq!(past.select(&newest(1)), [6]);
    assert_eq!(past.select(&newest(3)), [3, 4, 6]);
    assert_eq!(past.select(&Selection { newest: Some(2), ..words_wanted("deploy") }), [3, 4]);
    let from = Selection { from: Some(Name::parse("BOB").unwrap()), ..Selection::default() };
    assert_eq!(past.select(&from), [3, 6]);
    // The file takes the records, and the journal begins anew.
    let (records, _) = journal::after(&journal::file_of(&past.path()), mark).unwrap();
    past.file.note(journal::JournalMark::anew(0).unwrap());
    past.file.write(&records).unwrap();
    assert_eq!(past.select(&Selection::default()), [1, 2, 3, 4, 6]);
}
