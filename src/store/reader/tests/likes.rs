//! Reactions are counted exactly, at any time.

use super::*;

impl Past {
    /// These authors set or withdraw a reaction to a line, in one batch.
    fn react(&mut self, to: LineId, words: &[(u64, &str, bool)]) {
        let entries = words.iter().map(|(author, with, on)| self.reacting(to, *author, with, *on)).collect();
        self.file.write(&[Record::Append(entries)]).unwrap();
    }

    fn reacting(&mut self, to: LineId, author: u64, with: &str, on: bool) -> Arc<Entry> {
        let mut entry = self.entry("ann", "/react");
        if let Body::Line(line) = &mut Arc::make_mut(&mut entry).body {
            let line = Arc::make_mut(line);
            let said = self.said.entry((author, self.round)).or_default();
            *said += 1;
            let session = SessionId(100 * self.round + author);
            line.id = LineId { author: AuthorId::of_bits(author), session, n: *said };
            line.act = Some(Act::React { to, with: Emoji::parse(with).unwrap(), on });
        }
        entry
    }

    /// The reactions to a line, as text.
    fn put_to(&self, line: LineId) -> String {
        let all = self.reader().reactions(&[line]).unwrap();
        let counts = all.get(&line).map_or(&[][..], Vec::as_slice);
        counts.iter().map(|(with, count)| format!("{with} {count}")).collect::<Vec<_>>().join(", ")
    }

    /// The id of ann's line at this index.
    fn id(&self, n: u64) -> LineId {
        LineId { author: AuthorId::of_bits(1), session: SessionId(self.round), n }
    }
}

#[test]
fn what_is_put_to_lines_is_counted_however_far_the_index_goes() {
    let mut past = Past::new();
    past.say(&["we made it", "nobody likes this"]);
    let (liked, other) = (past.id(1), past.id(2));
    assert_eq!(past.put_to(liked), "");
    past.react(liked, &[(2, "👍", true), (3, "👍", true), (3, "👍", true), (4, "🎉", true), (2, "👍", false)]);
    past.react(liked, &[(4, "👍", true), (2, "🎉", true), (5, "🎉", true), (5, "🎉", false)]);
    for _ in 0..=past.file.tail().0 {
        assert_eq!(past.put_to(liked), "🎉 2, 👍 2");
        past.index(1);
    }
    // Reactions after the index count together with those in it.
    past.react(liked, &[(4, "👍", false), (6, "🎉", true)]);
    assert_eq!(past.put_to(liked), "🎉 3, 👍 1");
    past.react(other, &[(2, "👍", true)]);
    let both = past.reader().reactions(&[liked, other, past.id(99)]).unwrap();
    assert_eq!(both.keys().copied().collect::<Vec<_>>(), [liked, other]);
    assert_eq!(both[&other], [(Emoji::like(), 1)]);
}

#[test]
fn what_was_put_to_lines_goes_with_a_cut() {
    for indexed in [0, 3, 4, 5, 100] {
        let mut past = Past::new();
        past.say(&["we made it"]);
        let liked = past.id(1);
        past.react(liked, &[(2, "👍", true), (3, "👍", true), (2, "👍", false), (4, "🎉", true)]);
        past.index(indexed);
        assert_eq!(past.put_to(liked), "🎉 1, 👍 1", "{indexed} are indexed");
        let reader = past.reader();
        let tally = reader.tally().unwrap();
        // The last two reactions are cut.
        past.cut(3);
        assert_eq!(tally.of(&[liked]).unwrap(), None);
        assert_eq!(past.put_to(liked), "👍 2", "{indexed} are indexed");
        past.react(liked, &[(5, "🎉", true), (3, "👍", false)]);
        for _ in 0..6 {
            assert_eq!(past.put_to(liked), "🎉 1, 👍 1", "{indexed} are indexed");
            past.index(1);
        }
    }
}

#[test]
fn ten_thousand_words_about_one_line_are_counted_exactly() {
    let mut past = Past::new();
    past.say(&["we made it"]);
    let liked = past.id(1);
    let mut last = BTreeMap::new();
    let mut chance = 7_u64;
    for round in 0..100 {
        let words: Vec<(u64, &str, bool)> = (0..100)
            .map(|_| {
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (2 + (chance >> 33) % 5, "👍", !(chance >> 40).is_multiple_of(3))
            })
            .collect();
        last.extend(words.iter().map(|(author, _, on)| (*author, *on)));
        past.react(liked, &words);
        if round % 10 == 9 {
            past.index(777);
            let count = last.values().filter(|on| **on).count();
            assert_eq!(past.put_to(liked), if count == 0 { String::new() } else { format!("👍 {count}") });
        }
    }
}

#[test]
fn a_file_of_before_there_were_likes_counts_them_from_then_on() {
    let mut past = Past::new();
    past.say(&["we made it", "long ago"]);
    past.index(1);
    let db = open_again(&past.path()).unwrap();
    db.execute_batch("DROP TABLE reaction; PRAGMA user_version = 4").unwrap();
    drop(db);
    assert!(matches!(Reader::open(&past.path()), Err(Error::Older(4))));
    past.file = Sqlite::open(&past.path()).unwrap();
    past.file.enter(Some(RoomId(u64::MAX)), AuthorId::of_bits(1), SessionId(1)).unwrap();
    let liked = past.id(1);
    past.react(liked, &[(2, "👍", true), (3, "👍", true)]);
    for _ in 0..5 {
        assert_eq!(past.put_to(liked), "👍 2");
        past.index(1);
    }
}

#[test]
fn who_counts_again_and_again_counts_the_same() {
    let mut past = Past::new();
    past.say(&["we made it", "and again"]);
    let mut counter = ReactionReader::open(&past.path()).unwrap().unwrap();
    let mut chance = 3_u64;
    let mut draw = |below: u64| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % below
    };
    let lines = [(past.id(1), Lamport(10)), (past.id(2), Lamport(20))];
    let wrong = (LineId { n: 99, ..past.id(1) }, Lamport(10));
    let wanted = lines.into_iter().chain([wrong]).collect();
    for round in 0..200 {
        let liked = lines[draw(2) as usize].0;
        let words: Vec<(u64, &str, bool)> =
            (0..1 + draw(4)).map(|_| (2 + draw(5), ["👍", "🎉"][draw(2) as usize], draw(3) > 0)).collect();
        match draw(8) {
            0 => past.index(draw(30) as usize),
            _ if round == 100 => past.cut(past.file.tail().0 - 5),
            _ => past.react(liked, &words),
        }
        let (found, words) = counter.look_up(&wanted).unwrap();
        assert_eq!(found.iter().map(|entry| entry.line().unwrap().id).collect::<Vec<_>>(), lines.map(|(id, _)| id));
        let counts = past.reader().reactions(&lines.map(|(id, _)| id)).unwrap();
        for (line, _) in lines {
            assert_eq!(words.of(line), counts.get(&line).cloned().unwrap_or_default(), "round {round}");
        }
    }
}
