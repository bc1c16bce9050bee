//! The checkers bite: for each invariant, hand-made traces of a core that breaks it are caught, and a good one passes.

use std::sync::Arc;

use dist_chat::ring::{
    Ack, AuthorId, Body, Config, Elected, Entry, Epoch, Event, Frame, Index, Lamport, Line, LineId, Member, Name,
    Nonce, Note, Record, Role, RoomId, SavedState, SessionId, SessionKey, Start, Status, StreamId, Submit, Tail, Text,
    Timing, WallMs,
};

use crate::check::{Checks, Verdict};
use crate::world::disk::Disk;
use crate::world::hand;
use crate::world::{name, uid};

/// Hosts that obey by hand.
struct Hand {
    checks: Checks,
    disks: Vec<Disk>,
}

fn text(words: &str) -> Text {
    match Text::parse(words) {
        Ok(text) => text,
        Err(error) => panic!("{error:?}"),
    }
}

fn key(slot: usize) -> SessionKey {
    SessionKey { author: AuthorId::of_bits(slot as u64), session: SessionId(slot as u64) }
}

fn epoch(round: u64, leader: usize) -> Epoch {
    Epoch { round, leader: uid(leader), nonce: Nonce(7) }
}

fn member(slot: usize) -> Member {
    Member { uid: uid(slot), name: member_name(slot), author: AuthorId::of_bits(slot as u64) }
}

fn member_name(slot: usize) -> Name {
    name(&crate::world::trace::host(slot))
}

fn line(author: usize, n: u64, words: &str) -> Line {
    let SessionKey { author: who, session } = key(author);
    Line {
        id: LineId { author: who, session, n },
        lamport: Lamport(0),
        name: member_name(author),
        uid: uid(author),
        text: text(words),
        channel: None,
        act: None,
        signature: None,
    }
}

fn entry(epoch: Epoch, index: u64, body: Body) -> Arc<Entry> {
    Arc::new(Entry { epoch, index: Index(index), lamport: Lamport(10 * index), wall: WallMs(0), body })
}

fn elected(epoch: Epoch, index: u64, leader: usize) -> Arc<Entry> {
    entry(epoch, index, Body::Note(Note::Elected(member(leader))))
}

fn says(epoch: Epoch, index: u64, author: usize, n: u64, words: &str) -> Arc<Entry> {
    entry(epoch, index, Body::Line(Arc::new(line(author, n, words))))
}

impl Hand {
    fn new(hosts: usize) -> Self {
        let mut hand = Self { checks: Checks::new(hosts), disks: vec![Disk::default(); hosts] };
        (0..hosts).for_each(|slot| hand.starts(slot, slot as u32 + 1));
        hand
    }

    fn starts(&mut self, slot: usize, run: u32) {
        let SessionKey { author, session } = key(slot);
        let config = Config {
            uid: uid(slot),
            name: member_name(slot),
            rename: true,
            author,
            signer: Arc::new(hand::Hand(author)),
            session,
            seed: 0,
            start: Start::Create(RoomId(1)),
            saved: SavedState::default(),
            key: None,
            rate: dist_chat::ring::Rate::DEFAULT,
            moderators: Vec::new(),
            backlog: 1000,
            timing: Timing::default(),
        };
        self.checks.started(slot, run, &config, 0);
    }

    fn save(&mut self, slot: usize, record: &Record) -> Verdict {
        self.checks.saved(slot, record)?;
        self.disks[slot].save(record);
        Ok(())
    }

    fn append(&mut self, slot: usize, entry: &Arc<Entry>) -> Verdict {
        self.save(slot, &Record::Append(vec![Arc::clone(entry)]))
    }

    fn types(&mut self, slot: usize, n: u64, words: &str) -> Verdict {
        self.checks.submitted(slot, text(words));
        self.save(slot, &Record::Queue(vec![Arc::new(line(slot, n, words))]))
    }

    fn cut(&mut self, slot: usize, keep: u64) -> Verdict {
        self.disks[slot].cut(Index(keep));
        self.checks.cut(slot, Index(keep), &self.disks[slot])
    }

    fn tells(&mut self, slot: usize, event: &Event) -> Verdict {
        self.checks.event(slot, event, &self.disks[slot])
    }

    fn enters(&mut self, slot: usize) -> Verdict {
        self.tells(slot, &Event::Entered { name: member_name(slot), room: RoomId(1) })
    }

    fn sends(&mut self, slot: usize, frame: &Frame) -> Verdict {
        self.checks.sending(slot, frame, &self.disks[slot])
    }

    fn stands(&mut self, slot: usize, role: Role, epoch: Option<Epoch>) -> Verdict {
        self.stands_with(slot, role, epoch, Vec::new())
    }

    /// As [`Self::stands`], with these members.
    fn stands_with(&mut self, slot: usize, role: Role, epoch: Option<Epoch>, members: Vec<Member>) -> Verdict {
        let log = self.disks[slot].store().log();
        let tail = log.last().map_or_else(Tail::default, |last| last.tail());
        let status = Status {
            author: AuthorId::of_bits(0),
            banned: Vec::new(),
            channels: Vec::new(),
            away: Vec::new(),
            room: Some(RoomId(1)),
            name: member_name(slot),
            uid: uid(slot),
            role,
            epoch,
            next: None,
            prev: None,
            members,
            health: Vec::new(),
            tail,
            lamport: Lamport(0),
            waiting: 0,
            stable_index: Index(0),
            relay: None,
        };
        self.checks.status(slot, &status, &self.disks[slot])
    }
}

/// A checker has caught a breach of this invariant.
#[track_caller]
fn bites(verdict: &Verdict, invariant: &str) {
    match verdict {
        Err(what) if what.starts_with(&format!("{invariant}:")) => {}
        other => panic!("{invariant} is not caught: {other:?}"),
    }
}

#[track_caller]
fn fine(verdict: &Verdict) {
    assert_eq!(verdict, &Ok(()));
}

/// Two hosts that share `elected`, one line of each, and have shown them.
fn good() -> Hand {
    let mut hand = Hand::new(3);
    let reign = epoch(1, 0);
    fine(&hand.types(0, 1, "one"));
    fine(&hand.types(1, 1, "two"));
    fine(&hand.append(0, &elected(reign, 1, 0)));
    fine(&hand.append(0, &says(reign, 2, 0, 1, "one")));
    fine(&hand.append(0, &says(reign, 3, 1, 1, "two")));
    for entry in [elected(reign, 1, 0), says(reign, 2, 0, 1, "one"), says(reign, 3, 1, 1, "two")] {
        fine(&hand.append(1, &entry));
    }
    fine(&hand.stands(0, Role::Leader, Some(reign)));
    fine(&hand.stands(1, Role::Follower, Some(reign)));
    fine(&hand.tells(1, &Event::Line(says(reign, 2, 0, 1, "one"))));
    hand.disks[0].sync();
    fine(&hand.tells(0, &Event::Confirmed { n: 1, alone: false }));
    fine(&hand.sends(1, &Frame::Ack(Ack { stream: StreamId(1), index: Index(3) })));
    fine(&hand.checks.all_sent_stand(0));
    hand
}

#[test]
fn invariant_1_two_leaders_of_one_epoch() {
    // Who is not named by an epoch orders in it, or says that it leads it.
    bites(&good().append(1, &elected(epoch(2, 0), 4, 0)), "invariant 1");
    bites(&good().stands(1, Role::Leader, Some(epoch(1, 0))), "invariant 1");
    // Another run at the same address orders on in the first one's epoch.
    let mut hand = good();
    fine(&hand.types(0, 2, "three"));
    hand.starts(0, 9);
    bites(&hand.append(0, &says(epoch(1, 0), 4, 0, 2, "three")), "invariant 1");
}

#[test]
fn invariant_1_a_lower_epoch_is_obeyed_after_a_higher() {
    let mut hand = good();
    fine(&hand.tells(1, &Event::Leader(epoch(3, 2))));
    bites(&hand.tells(1, &Event::Leader(epoch(2, 0))), "invariant 1");
    bites(&hand.save(1, &Record::Promise(epoch(2, 0))), "invariant 1");
    bites(&hand.stands(1, Role::Follower, Some(epoch(1, 0))), "invariant 1");
}

#[test]
fn invariant_1_a_win_is_announced_before_its_promise_is_synced() {
    let mut hand = good();
    let win = epoch(2, 2);
    let announcement = Frame::Elected(Elected { epoch: win, ring: Vec::new(), hops: None });
    fine(&hand.save(2, &Record::Promise(win)));
    bites(&hand.sends(2, &announcement), "invariant 1");
    hand.disks[2].sync();
    fine(&hand.sends(2, &announcement));
}

#[test]
fn invariant_2_two_entries_at_one_place() {
    let mut hand = good();
    fine(&hand.types(0, 2, "three"));
    fine(&hand.types(0, 3, "four"));
    fine(&hand.append(0, &says(epoch(1, 0), 4, 0, 2, "three")));
    let other = Entry { wall: WallMs(5), ..Entry::clone(&says(epoch(1, 0), 4, 0, 2, "three")) };
    bites(&hand.append(1, &Arc::new(other)), "invariant 2");
}

#[test]
fn invariant_2_two_prefixes_below_one_entry() {
    let mut hand = good();
    fine(&hand.append(2, &elected(epoch(1, 2), 1, 2)));
    let second = Arc::new(Entry { index: Index(2), ..Entry::clone(&elected(epoch(2, 2), 2, 2)) });
    fine(&hand.append(2, &second));
    fine(&hand.cut(1, 1));
    bites(&hand.append(1, &second), "invariant 2");
}

#[test]
fn invariant_2_a_hole_a_falling_epoch_a_missing_elected() {
    bites(&good().append(0, &elected(epoch(2, 0), 5, 0)), "invariant 2");
    let mut hand = good();
    fine(&hand.append(0, &elected(epoch(3, 0), 4, 0)));
    bites(&hand.append(0, &elected(epoch(2, 0), 5, 0)), "invariant 2");
    bites(&good().append(0, &entry(epoch(2, 0), 4, Body::Note(Note::Joined(member(2))))), "invariant 2");
    bites(&good().tells(2, &Event::Line(says(epoch(1, 0), 2, 0, 1, "one"))), "invariant 2");
}

#[test]
fn invariant_3_numbers_skip_repeat_or_were_never_typed() {
    let mut hand = good();
    fine(&hand.types(1, 2, "three"));
    fine(&hand.types(1, 3, "four"));
    bites(&hand.append(0, &says(epoch(1, 0), 4, 1, 3, "four")), "invariant 3");
    bites(&good().append(0, &says(epoch(1, 0), 4, 1, 1, "two")), "invariant 3");
    bites(&good().append(0, &says(epoch(1, 0), 4, 1, 2, "forged")), "invariant 3");
    bites(&hand.append(0, &says(epoch(1, 0), 4, 1, 2, "another text")), "invariant 3");
}

#[test]
fn invariant_4_a_reply_stands_before_what_it_answers() {
    let mut hand = Hand::new(3);
    let (one, two) = (epoch(1, 0), epoch(2, 2));
    fine(&hand.types(0, 1, "question"));
    for slot in [0, 1] {
        fine(&hand.append(slot, &elected(one, 1, 0)));
        fine(&hand.append(slot, &says(one, 2, 0, 1, "question")));
    }
    // Host 1 has read the question when it answers; host 2 orders the answer first.
    fine(&hand.types(1, 1, "answer"));
    fine(&hand.append(2, &elected(two, 1, 2)));
    fine(&hand.append(2, &says(two, 2, 1, 1, "answer")));
    bites(&hand.append(2, &says(two, 3, 0, 1, "question")), "invariant 4");
}

#[test]
fn invariant_5_lamport_stands_still() {
    let mut hand = good();
    let late = Entry { lamport: Lamport(30), ..Entry::clone(&elected(epoch(2, 0), 4, 0)) };
    bites(&hand.append(0, &Arc::new(late)), "invariant 5");
}

#[test]
fn invariant_6_what_is_not_written_is_acknowledged_or_submitted_or_called_sent() {
    let mut hand = good();
    bites(&hand.sends(2, &Frame::Ack(Ack { stream: StreamId(1), index: Index(1) })), "invariant 6");
    hand.checks.submitted(2, text("three"));
    let submit = Submit { stream: StreamId(1), lines: vec![Arc::new(line(2, 1, "three"))] };
    bites(&hand.sends(2, &Frame::Submit(submit)), "invariant 6");
    fine(&hand.types(0, 2, "three"));
    bites(&hand.tells(0, &Event::Confirmed { n: 2, alone: false }), "invariant 6");
    fine(&hand.append(0, &says(epoch(1, 0), 4, 0, 2, "three")));
    bites(&hand.tells(0, &Event::Confirmed { n: 2, alone: false }), "invariant 6");
    bites(&hand.tells(0, &Event::Confirmed { n: 2, alone: true }), "invariant 6");
    hand.disks[0].sync();
    fine(&hand.tells(0, &Event::Confirmed { n: 2, alone: true }));
    // Who leads gives its own lines their place at once.
    hand.checks.submitted(0, text("four"));
    fine(&hand.append(0, &says(epoch(1, 0), 5, 0, 3, "four")));
    bites(&hand.tells(0, &Event::Confirmed { n: 3, alone: true }), "invariant 6");
}

#[test]
fn invariant_6_a_sent_line_is_forgotten() {
    let mut hand = good();
    // A cut that forgets to queue its lines: the store is told nothing of them.
    hand.disks[1].rewind(0);
    bites(&hand.checks.cut(1, Index(1), &hand.disks[1]), "invariant 6");
    let mut hand = good();
    fine(&hand.cut(0, 1));
    bites(&hand.checks.all_sent_stand(0), "invariant 6");
    // The same loss is excused where a fault has destroyed every copy.
    let mut hand = good();
    (0..3).for_each(|slot| hand.checks.gone(slot));
    fine(&hand.checks.all_sent_stand(0));
}

#[test]
fn invariant_7_a_line_is_shown_twice_or_never() {
    let mut hand = good();
    bites(&hand.tells(1, &Event::Line(says(epoch(1, 0), 2, 0, 1, "one"))), "invariant 7");
    let mut hand = good();
    fine(&hand.tells(0, &Event::Backlog { entries: vec![says(epoch(1, 0), 2, 0, 1, "one")], logged: true }));
    bites(&hand.tells(0, &Event::Line(says(epoch(1, 0), 2, 0, 1, "one"))), "invariant 7");
    let mut hand = good();
    fine(&hand.enters(1));
    fine(&hand.types(0, 2, "three"));
    fine(&hand.append(0, &says(epoch(1, 0), 4, 0, 2, "three")));
    fine(&hand.append(1, &says(epoch(1, 0), 4, 0, 2, "three")));
    bites(&hand.checks.all_shown(1), "promise 3");
}

#[test]
fn invariant_8_a_queue_grows_beyond_its_limit() {
    let hand = good();
    fine(&hand.checks.sizes(0, &[("outbox", 4, 4), ("book", 1, 2)]));
    bites(&hand.checks.sizes(0, &[("book", 1, 2), ("outbox", 5, 4)]), "invariant 8");
}

#[test]
fn invariant_10_a_survivor_loses_what_it_was_shown() {
    let shown = |crashes_only: bool| {
        let mut hand = Hand::new(2);
        if crashes_only {
            hand.checks.crashes_only();
        }
        let reign = epoch(1, 0);
        for slot in 0..2 {
            fine(&hand.append(slot, &elected(reign, 1, 0)));
            fine(&hand.enters(slot));
            fine(&hand.stands(slot, if slot == 0 { Role::Leader } else { Role::Follower }, Some(reign)));
        }
        fine(&hand.types(0, 1, "shown"));
        for slot in 0..2 {
            fine(&hand.append(slot, &says(reign, 2, 0, 1, "shown")));
        }
        hand
    };
    bites(&shown(true).cut(1, 1), "invariant 10");
    fine(&shown(false).cut(1, 1));
    // Once nobody who had joined is up, it is a partition in time.
    let mut hand = shown(true);
    (0..2).for_each(|slot| hand.checks.ended(slot, 0));
    fine(&hand.cut(1, 1));
}

#[test]
fn invariant_11_of_one_log_two_things_are_told() {
    let mut hand = good();
    // The two hosts' logs end alike, and one of them knows of a member that the other does not.
    bites(&hand.stands_with(1, Role::Follower, Some(epoch(1, 0)), vec![member(0)]), "invariant 11");
    fine(&hand.stands_with(1, Role::Follower, Some(epoch(1, 0)), Vec::new()));
    let mut other = member(1);
    other.name = name("A");
    bites(&hand.stands_with(1, Role::Follower, Some(epoch(1, 0)), vec![member(0), other]), "invariant 11");
}
