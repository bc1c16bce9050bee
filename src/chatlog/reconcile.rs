//! The log that people read and the history are two files: what a crash or a full disk has kept from the one is added
//! to it, and what it has kept from the other is remembered.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};

use super::gap::LogGap;
use super::log_orphans::{LogOrphans, OrphansByRoom};
use crate::chatlog::{LINE_BYTES_MAX, WRITE_BYTES_MAX};
use crate::present::format::{self, LineFormat};
use crate::ring::{Entry, Index, RoomId, Shown};
use crate::store::Opened;

/// What is left to do when a log was compared with the history.
#[derive(Debug, Default)]
pub struct Reconciled {
    /// Lines that stand in the log, and that may come once more, by room.
    pub ahead: OrphansByRoom,
    /// Lines of the history that the log lacks, since its disk takes no more.
    pub missing: LogGap,
}

/// Adds the lines that stand in the history behind what is known to be logged, but not in the log behind that place.
///
/// # Errors
/// The log cannot be read, or the history.
pub fn mend_log(opened: &Opened, log: &mut File) -> io::Result<Reconciled> {
    let (logged, bytes) = opened.logged;
    // A file that is shorter than it was is another one, or has lost its end: all of it is compared.
    let goes_on = log.metadata()?.len() >= bytes;
    let (from, after) = if goes_on { (bytes, logged) } else { (0, Index(0)) };
    let (mut found, last) = read(log, from, opened.saved.room)?;
    let Some(room) = opened.saved.room else { return Ok(Reconciled { ahead: found, ..Reconciled::default() }) };
    let mut ahead = found.remove(&room).unwrap_or_default();

    // Lines that stand as they are do not stand for others with the same words.
    let (mut stands, mut moved, mut end) = (Vec::new(), LogOrphans::default(), None);
    each_line(opened, after, |_, entry, line| {
        let stood = ahead.take_same(line);
        if stood && entry.index <= logged {
            end = Some(entry.index);
        }
        if goes_on && !stood && entry.index > opened.shown.up_to && was_shown(entry, &opened.shown) {
            moved.add(line);
        }
        stands.push(stood);
    })?;
    if !moved.is_empty() {
        // It stands where it was logged first; or it never was, since its process ended right after the cut.
        each_logged(log, 0, |line| {
            moved.take(line);
        })?;
    }
    // What was logged and stands no more: a rotation has taken all of it, but an end that was lost is due.
    let logged = end.unwrap_or(logged);
    let is_due = |entry: &Entry, line: &str| {
        let told = entry.index > opened.shown.up_to && !was_shown(entry, &opened.shown);
        entry.index > logged && (told || moved.has_same(line))
    };
    let mut added = Added::to(log, (last != Some(room)).then_some(room))?;
    each_line(opened, after, |n, entry, line| {
        if !is_due(entry, line) {
            return;
        }
        match stands[n] || ahead.take(line) {
            true => added.stands(entry, line),
            false => added.add(entry, line),
        }
    })?;
    added.write();
    if !ahead.is_empty() {
        // What has moved since it was logged stands where it stood then.
        each_line(opened, after, |n, entry, line| {
            if !stands[n] && !is_due(entry, line) {
                ahead.take(line);
            }
        })?;
    }
    let Added { missing, stood, .. } = added;
    if missing.holds_back() {
        ahead.join(stood);
    }
    Ok(Reconciled { ahead: [(room, ahead)].into(), missing })
}

/// What is added to the log, some lines at a time, until its disk is full.
struct Added<'a> {
    /// Open for appending.
    log: &'a File,
    /// How long it is, all of it whole.
    length: u64,
    /// To be said before the first line.
    resumes: Option<RoomId>,
    /// The next to be written, and which lines these are.
    text: String,
    lines: LogGap,
    /// Lines that stand in the log, but after the first of those in the history.
    stood: LogOrphans,
    /// What was not taken.
    missing: LogGap,
}

impl<'a> Added<'a> {
    fn to(log: &'a File, resumes: Option<RoomId>) -> io::Result<Self> {
        let (length, text, stood) = (log.metadata()?.len(), String::new(), LogOrphans::default());
        Ok(Self { log, length, resumes, text, lines: LogGap::default(), stood, missing: LogGap::default() })
    }

    /// This line comes next.
    fn add(&mut self, entry: &Entry, line: &str) {
        if self.missing.holds_back() {
            return self.missing.add(entry);
        }
        if let Some(room) = self.resumes.take() {
            format::push_log_event(&mut self.text, entry.lamport, &format::resumed(room));
        }
        self.lines.add(entry);
        self.text.push_str(line);
        if self.text.len() >= WRITE_BYTES_MAX {
            self.write();
        }
    }

    /// This line comes next, and is there: whoever reads the history for those around it meets it again.
    fn stands(&mut self, entry: &Entry, line: &str) {
        let missing = if self.missing.holds_back() { &mut self.missing } else { &mut self.lines };
        if missing.holds_back() {
            missing.add(entry);
            self.stood.add(line);
        }
    }

    fn write(&mut self) {
        if self.text.is_empty() {
            return;
        }
        match self.log.write_all(self.text.as_bytes()) {
            Ok(()) => {
                self.length += self.text.len() as u64;
                self.lines = LogGap::default();
                self.stood = LogOrphans::default();
            }
            Err(_) => {
                self.missing = std::mem::take(&mut self.lines);
                // Where nothing may be taken from the file, whole lines before the torn one stand.
                if self.log.set_len(self.length).is_err() {
                    let taken = self.log.metadata().map_or(0, |meta| meta.len().saturating_sub(self.length));
                    let whole = self.text.split_inclusive('\n').scan(0, |end, line| {
                        *end += line.len() as u64;
                        (*end <= taken).then_some(line)
                    });
                    for line in whole {
                        self.stood.add(line);
                    }
                }
            }
        }
        self.text.clear();
    }
}

/// The chat lines of the log from this byte on, where a `room`'s lines stand: that room's, or, if it is none, all. And
/// the room whose lines stand last.
fn read(log: &mut File, from: u64, room: Option<RoomId>) -> io::Result<(OrphansByRoom, Option<RoomId>)> {
    let (mut found, mut here) = (OrphansByRoom::new(), room);
    each_logged(log, from, |line| {
        here = format::room_of(line).or(here);
        if let Some(here) = here.filter(|here| room.is_none_or(|room| room == *here)) {
            found.entry(here).or_default().add(line);
        }
    })?;
    Ok((found, here))
}

/// Calls `take` with every line of the log from this byte on.
fn each_logged(log: &mut File, from: u64, mut take: impl FnMut(&str)) -> io::Result<()> {
    log.seek(SeekFrom::Start(from))?;
    let (mut reader, mut line) = (BufReader::new(&*log), Vec::new());
    loop {
        line.clear();
        if (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        take(&String::from_utf8_lossy(&line));
    }
}

/// Calls `take` with every line of the history after an index: how many came before it, its entry, and how it is
/// logged.
fn each_line(opened: &Opened, after: Index, mut take: impl FnMut(usize, &Entry, &str)) -> io::Result<()> {
    let (mut format, mut text, mut screen, mut n) = (LineFormat::default(), String::new(), String::new(), 0);
    let read = opened.history.after(after, |entry| {
        text.clear();
        screen.clear();
        if format.push(&entry, &mut text, &mut screen) {
            take(n, &entry, &text);
            n += 1;
        }
    });
    read.map_err(|error| io::Error::other(error.to_string()))
}

/// Whether a line was shown out of the log's order: then it was to be logged at that moment, with the timestamp of
/// then.
fn was_shown(entry: &Entry, shown: &Shown) -> bool {
    entry.line().is_some_and(|line| shown.lines.get(&line.id.key()).is_some_and(|&n| line.id.n <= n))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::identity::Identity;
    use crate::ring::{
        AuthorId, Body, Epoch, Lamport, Line, LineId, Name, Nonce, Record, SessionId, Text, Uid, WallMs,
    };
    use crate::store::{self, LogMark, OpenRequest, Store as _};

    const ROOM: RoomId = RoomId(7);

    /// A history and a log.
    struct Files(tempfile::TempDir);

    fn uid() -> Uid {
        "10.0.0.5:2428".parse().unwrap()
    }

    /// The line at an index, with the timestamp ten times as high.
    fn entry(index: u64, text: &str) -> Arc<Entry> {
        let line = Line {
            id: LineId { author: AuthorId::of_bits(1), session: SessionId(9), n: index },
            lamport: Lamport(index),
            name: Name::parse("ann").unwrap(),
            uid: uid(),
            text: Text::parse(text).unwrap(),
            channel: None,
            act: None,
            signature: None,
        };
        let epoch = Epoch { round: 1, leader: uid(), nonce: Nonce(1) };
        let body = Body::Line(Arc::new(line));
        Arc::new(Entry { epoch, index: Index(index), lamport: Lamport(10 * index), wall: WallMs(0), body })
    }

    fn logged(ts: u64, text: &str) -> String {
        format!("{ts}: ann(10.0.0.5:2428): {text}\n")
    }

    impl Files {
        /// A history of these lines, of which so many were marked as logged when the log had so many bytes.
        fn new(texts: &[&str], marked: u64, bytes: usize) -> Self {
            let files = Self(tempfile::tempdir().unwrap());
            let mut history = files.open(None).history;
            history.save(&Record::Room(ROOM)).unwrap();
            let entries: Vec<_> = (1..).zip(texts).map(|(index, text)| entry(index, text)).collect();
            history.save(&Record::Append(entries.clone())).unwrap();
            history.commit().unwrap();
            if let Some(last) = entries.iter().find(|entry| entry.index.0 == marked) {
                history.logged(LogMark { tail: last.tail(), bytes: bytes as u64 });
            }
            files
        }

        fn open(&self, room: Option<RoomId>) -> Opened {
            let ask = OpenRequest {
                room,
                session: SessionId(2),
                identity: Identity::of_seed([1; 32]),
                name: "ann".into(),
                uid: uid(),
                key: None,
            };
            store::open(&self.0.path().join("chat_1.db"), &ask).unwrap()
        }

        fn log(&self) -> PathBuf {
            self.0.path().join("chat_1.log")
        }

        /// What becomes of this log when a run in this room begins, and what it holds ahead of that room's history.
        fn mend(&self, room: Option<RoomId>, log: &str) -> (String, OrphansByRoom) {
            std::fs::write(self.log(), log).unwrap();
            let mut file = File::options().read(true).append(true).open(self.log()).unwrap();
            let Reconciled { mut ahead, missing } = mend_log(&self.open(room), &mut file).unwrap();
            assert!(missing.is_empty());
            ahead.retain(|_, lines| !lines.is_empty());
            (std::fs::read_to_string(self.log()).unwrap(), ahead)
        }
    }

    #[test]
    fn what_a_crash_has_kept_from_the_log_is_added() {
        let log = logged(10, "one") + "10: Alone in the ring\n";
        let files = Files::new(&["one", "two", "three"], 1, log.len());
        let (mended, ahead) = files.mend(Some(ROOM), &(log.clone() + &logged(20, "two")));
        assert_eq!(mended, log + &logged(20, "two") + &logged(30, "three"));
        assert!(ahead.is_empty(), "{ahead:?}");
    }

    #[test]
    fn what_was_cut_before_it_was_logged_is_added() {
        let log = logged(10, "one") + &logged(15, "two");
        let files = Files::new(&["one", "two", "three"], 1, log.len());
        // All of them stood elsewhere when the log was cut.
        let key = entry(1, "one").line().unwrap().id.key();
        let mut history = files.open(Some(ROOM)).history;
        history.save(&Record::Shown(Shown { up_to: Index(0), lines: [(key, 3)].into() })).unwrap();
        history.commit().unwrap();
        drop(history);
        let expected = log.clone() + &logged(30, "three");
        assert_eq!(files.mend(Some(ROOM), &log), (expected.clone(), OrphansByRoom::new()));
        assert_eq!(files.mend(Some(ROOM), &expected), (expected, OrphansByRoom::new()));
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_missing() {
        let log = logged(10, "one");
        let files = Files::new(&["one", "two", "ok", "four"], 1, log.len());
        let log = log + &logged(30, "ok");
        std::fs::write(files.log(), &log).unwrap();
        // Whatever is written to it fails.
        let mut full = File::open(files.log()).unwrap();
        let Reconciled { mut ahead, missing } = mend_log(&files.open(Some(ROOM)), &mut full).unwrap();
        assert_eq!(std::fs::read_to_string(files.log()).unwrap(), log);
        assert!(missing.holds_back());
        // What stands between those that are missing is met again where they are read.
        assert!(ahead.get_mut(&ROOM).unwrap().take(&logged(30, "ok")) && ahead[&ROOM].is_empty());
        assert_eq!(files.mend(Some(ROOM), &log).0, log + &logged(20, "two") + &logged(40, "four"));
    }

    #[test]
    fn what_the_log_alone_holds_is_ahead_at_every_start_until_it_comes() {
        let log = logged(10, "one");
        let files = Files::new(&["one", "two"], 1, log.len());
        // Ordered on a full disk, and lost with it; then another run has logged what the history has.
        let log = log + &logged(25, "lost") + "------\n" + &logged(20, "two");
        for _ in 0..2 {
            let (mended, mut ahead) = files.mend(Some(ROOM), &log);
            assert_eq!(mended, log);
            assert!(ahead.get_mut(&ROOM).unwrap().take(&logged(99, "lost")));
        }
    }

    #[test]
    fn the_same_words_are_told_apart_by_their_timestamps() {
        let log = logged(10, "one");
        let files = Files::new(&["one", "ok", "ok", "ok"], 1, log.len());
        // The second is the one that was lost with another timestamp; the third is missing.
        let log = log + &logged(15, "ok") + &logged(20, "ok");
        let (mended, ahead) = files.mend(Some(ROOM), &log);
        assert_eq!(mended, log + &logged(40, "ok"));
        assert!(ahead.is_empty(), "{ahead:?}");
    }

    #[test]
    fn a_log_that_is_shorter_than_it_was_is_compared_from_its_beginning() {
        let files = Files::new(&["one", "two", "three"], 2, 1_000);
        let (mended, ahead) = files.mend(Some(ROOM), &logged(20, "two"));
        assert_eq!(mended, logged(20, "two") + &logged(30, "three"), "what a rotation has taken away stays away");
        assert!(ahead.is_empty(), "{ahead:?}");
    }

    #[test]
    fn a_log_that_has_lost_its_end_gets_it_again() {
        let files = Files::new(&["one", "two", "three", "four"], 3, 1_000);
        let expected = logged(10, "one") + &logged(20, "two") + &logged(30, "three") + &logged(40, "four");
        assert_eq!(files.mend(Some(ROOM), &logged(10, "one")).0, expected);
        assert_eq!(files.mend(Some(ROOM), "").0, logged(40, "four"), "a new file");
    }

    #[test]
    fn lines_of_another_room_are_none_of_this_one() {
        let other = RoomId(8);
        let here = format!("1: you are ann(10.0.0.5:2428) in room {ROOM}\n") + &logged(10, "one");
        let there = format!("1: you are ann(10.0.0.5:2428) in room {other}\n") + &logged(10, "two");
        let files = Files::new(&["one", "two"], 1, here.len());
        let log = here + &there;
        let (mended, ahead) = files.mend(Some(ROOM), &log);
        let resumed = format!("20: what follows was said in room {ROOM}\n");
        assert_eq!(mended, log.clone() + &resumed + &logged(20, "two"));
        assert!(ahead.is_empty(), "{ahead:?}");
        // Once more: it stands there.
        assert_eq!(files.mend(Some(ROOM), &mended), (mended.clone(), OrphansByRoom::new()));
        // Whoever does not know the room yet may come to either.
        let (mended, ahead) = files.mend(None, &log);
        assert_eq!(mended, log);
        assert_eq!(ahead.keys().copied().collect::<Vec<_>>(), [ROOM, other]);
    }
}
