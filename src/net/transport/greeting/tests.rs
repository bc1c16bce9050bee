#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use super::*;
use crate::identity::Identity;
use crate::ring::limits::PROTOCOL_VERSION;
use crate::ring::{RoomId, SessionId, Uid};

fn identity(owner: u8) -> Identity {
    Identity::of_seed([owner; 32])
}

fn own(owner: u8) -> Arc<LocalKeys> {
    Arc::new(LocalKeys::new(&identity(owner)).unwrap())
}

fn key(n: u8) -> Arc<RoomKey> {
    Arc::new(RoomKey::new([n; 32], (n == 9).then_some([0xab; 16])))
}

fn keyed(n: u8) -> Keys {
    Keys { current: Some(key(n)), previous: None }
}

fn hello_of(owner: u8) -> Vec<u8> {
    let hello = Hello {
        version: PROTOCOL_VERSION,
        room: Some(RoomId(7)),
        uid: Uid(SocketAddr::from(([127, 0, 0, 1], 1))),
        author: identity(owner).author(),
        session: SessionId(2),
    };
    let mut bytes = Vec::new();
    Frame::Hello(hello).encode(&mut bytes);
    bytes
}

/// What came of a stranger.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Waits,
    Greeted,
    Away(String, Option<String>),
}

/// Gives a door these bytes and all that it wants to read; its answers go to `answers`.
fn hear(door: &mut GreetingServer, said: &[u8], answers: &mut Vec<u8>) -> Fate {
    let mut bytes = BytesMut::from(said);
    loop {
        match door.step(&mut bytes) {
            GreetingStep::Wait => return Fate::Waits,
            GreetingStep::Answer(answer) => answers.extend(answer),
            GreetingStep::Greeted(_) => return Fate::Greeted,
            GreetingStep::TurnedAway { word, why } => return Fate::Away(String::from_utf8(word).unwrap(), why),
        }
    }
}

fn fate(keys: &Keys, said: &[u8]) -> Fate {
    let (mut door, mut answers) = (GreetingServer::new(own(1), keys.clone()), Vec::new());
    let fate = hear(&mut door, said, &mut answers);
    assert!(answers.is_empty(), "only a handshake is answered before the end");
    fate
}

fn away(word: &str, why: &str) -> Fate {
    Fate::Away(word.to_owned(), Some(why.to_owned()))
}

/// All that the dialler says, and the door's answer to the first part of it.
struct Talk {
    first: Vec<u8>,
    answer: Vec<u8>,
    third: Vec<u8>,
    hello: Vec<u8>,
    door: GreetingServer,
}

/// A dialler of this author, up to where the door waits for the third message.
fn talk(owner: u8, hello: &[u8]) -> Talk {
    let mut door = GreetingServer::new(own(1), keyed(5));
    let (calling, first) = GreetingClient::begin(&own(owner), &key(5)).unwrap();
    let mut answer = Vec::new();
    assert_eq!(hear(&mut door, &first, &mut answer), Fate::Waits);
    assert!(GreetingClient::answered(&answer) && !GreetingClient::answered(&answer[..answer.len() - 1]));
    let (mut session, third) = calling.finish(&mut BytesMut::from(&answer[..])).unwrap();
    let mut sealed = Vec::new();
    session.sealer.seal(hello, &mut sealed).unwrap();
    Talk { first, answer, third, hello: sealed, door }
}

#[test]
fn a_hello_under_the_key_opens_the_door_however_it_is_torn() {
    for step in [1, 2, 7, 50, 1000] {
        let mut talk = talk(2, &hello_of(2));
        let said = [talk.third, talk.hello].concat();
        let mut bytes = BytesMut::new();
        let mut greeted = None;
        for piece in said.chunks(step) {
            assert!(greeted.is_none());
            bytes.extend_from_slice(piece);
            match talk.door.step(&mut bytes) {
                GreetingStep::Wait => {}
                GreetingStep::Greeted(met) => greeted = Some(met),
                other => panic!("{other:?}"),
            }
        }
        let greeted = greeted.unwrap();
        assert_eq!(greeted.session.as_ref().unwrap().author, identity(2).author());
        assert!(matches!(&greeted.hello, Frame::Hello(hello) if hello.author == identity(2).author()));
    }
}

#[test]
fn what_comes_behind_the_hello_is_kept() {
    let said = [&hello_of(2)[..], b"\"as"].concat();
    let mut talk = talk(2, &said);
    let mut bytes = BytesMut::from(&[talk.third, talk.hello, vec![1, 2, 3]].concat()[..]);
    let GreetingStep::Greeted(greeted) = talk.door.step(&mut bytes) else { panic!("not let in") };
    assert_eq!((&greeted.plain[..], &bytes[..]), (&b"\"as"[..], &[1, 2, 3][..]));
}

#[test]
fn each_mistake_has_its_word() {
    let open = Keys::default();
    let first = GreetingClient::begin(&own(2), &key(5)).unwrap().1;
    assert_eq!(fate(&keyed(6), &first), away("dist-chat 4 wrong key\n", "has another room key"));
    assert_eq!(fate(&open, &first), away("dist-chat 4 open\n", "has a room key, and this room has none"));
    let needed = away("{\"refuse\":\"key_needed\"}\n", "has no room key, and this room has one");
    assert_eq!(fate(&keyed(5), &hello_of(2)), needed);
    assert_eq!(fate(&open, &hello_of(2)), Fate::Greeted);
    for keys in [&open, &keyed(5)] {
        let newer = away("dist-chat 4 version\n", "speaks version 5 of the protocol");
        assert_eq!(fate(keys, b"dist-chat 5 keyed, or otherwise\n"), newer);
        assert_eq!(fate(keys, b"dist-chat 4 wrong key\n"), away("", "its first line is an answer"));
        assert_eq!(fate(keys, &[b'x'; HELLO_BYTES_MAX]), away("", "its first line is too long"));
    }
    assert_eq!(fate(&keyed(5), b"GET / HTTP/1.1\r\n"), away("", "knows neither the room's key nor the protocol"));
}

#[test]
fn the_salt_is_told_to_anybody_and_is_no_trouble() {
    let told = |keys: &Keys| fate(keys, b"dist-chat 4 salt\n");
    assert_eq!(told(&Keys::default()), Fate::Away("dist-chat 4 open\n".to_owned(), None));
    assert_eq!(told(&keyed(5)), Fate::Away("dist-chat 4 salt none\n".to_owned(), None));
    let salt = format!("dist-chat 4 salt {}\n", "ab".repeat(16));
    assert_eq!(told(&keyed(9)), Fate::Away(salt, None));
}

#[test]
fn the_key_before_is_taken_beside_the_new_one() {
    let first = GreetingClient::begin(&own(2), &key(5)).unwrap().1;
    let mut door = GreetingServer::new(own(1), Keys { current: Some(key(6)), previous: Some(key(5)) });
    let mut answer = Vec::new();
    assert_eq!(hear(&mut door, &first, &mut answer), Fate::Waits);
    assert!(GreetingClient::answered(&answer));
}

#[test]
fn a_dialler_understands_each_word() {
    let answered = |answer: &[u8]| {
        assert!(GreetingClient::answered(answer));
        let (calling, _) = GreetingClient::begin(&own(2), &key(5)).unwrap();
        calling.finish(&mut BytesMut::from(answer)).map(|_| ()).unwrap_err()
    };
    assert_eq!(answered(b"dist-chat 4 open\n"), GreetingError::Refused(Refusal::NoKey));
    assert_eq!(answered(b"dist-chat 4 wrong key\n"), GreetingError::Refused(Refusal::WrongKey));
    assert_eq!(answered(b"dist-chat 4 version\n"), GreetingError::Refused(Refusal::Version(4)));
    assert_eq!(answered(b"dist-chat 77 whatever\n"), GreetingError::Refused(Refusal::Version(77)));
    let other: [&[u8]; 5] =
        [b"dist-chat 4 keyed\n", b"HTTP/1.1 400\r\n", b"{\"refuse\":\"full\"}\n", &[b'd'; LINE_BYTES_MAX], &[0; 194]];
    for answer in other {
        assert!(matches!(answered(answer), GreetingError::Broken(_)), "{answer:?}");
    }
    assert!(
        !GreetingClient::answered(b"dist-chat 4 op")
            && !GreetingClient::answered(b"")
            && !GreetingClient::answered(&[0; 193])
    );
}

#[test]
fn a_bit_flipped_on_the_way_ends_the_handshake() {
    let good = talk(2, &hello_of(2));
    let line = PreambleLine::Keyed.line().len();
    for at in line..good.first.len() {
        let mut first = good.first.clone();
        first[at] ^= 1 << (at % 8);
        assert!(matches!(fate(&keyed(5), &first), Fate::Away(..)), "byte {at} of the first message");
    }
    for at in 0..good.answer.len() {
        let (mut answer, mut door) = (Vec::new(), GreetingServer::new(own(1), keyed(5)));
        let (calling, first) = GreetingClient::begin(&own(2), &key(5)).unwrap();
        assert_eq!(hear(&mut door, &first, &mut answer), Fate::Waits);
        answer[at] ^= 1 << (at % 8);
        assert!(calling.finish(&mut BytesMut::from(&answer[..])).is_err(), "byte {at} of the second message");
    }
    for at in 0..good.third.len() + good.hello.len() {
        let mut talk = talk(2, &hello_of(2));
        let mut said = [&talk.third[..], &talk.hello].concat();
        said[at] ^= 1 << (at % 8);
        let fate = hear(&mut talk.door, &said, &mut Vec::new());
        // A longer record may still be on its way.
        let longer = at >= talk.third.len() && fate == Fate::Waits;
        assert!(matches!(fate, Fate::Away(..)) || longer, "byte {at} of the third message and the hello: {fate:?}");
    }
}

#[test]
fn a_recording_of_a_good_start_gets_nowhere() {
    let good = talk(2, &hello_of(2));
    let mut again = GreetingServer::new(own(1), keyed(5));
    let mut answer = Vec::new();
    let said = [&good.first[..], &good.third, &good.hello].concat();
    assert_eq!(hear(&mut again, &said, &mut answer), away("", &NoiseError::Seal.to_string()));
    assert_ne!(answer, good.answer, "the door's part is another each time");

    let (calling, _) = GreetingClient::begin(&own(2), &key(5)).unwrap();
    let shut = calling.finish(&mut BytesMut::from(&good.answer[..])).unwrap_err();
    assert_eq!(shut, GreetingError::Broken(NoiseError::Seal.to_string()));
}

#[test]
fn a_door_answers_a_first_message_once() {
    let own = own(1);
    let first = GreetingClient::begin(&self::own(2), &key(5)).unwrap().1;
    let (mut once, mut again) = (GreetingServer::new(Arc::clone(&own), keyed(5)), GreetingServer::new(own, keyed(5)));
    assert_eq!(hear(&mut once, &first, &mut Vec::new()), Fate::Waits);
    assert_eq!(hear(&mut again, &first, &mut Vec::new()), away("", &NoiseError::Repeated.to_string()));
}

#[test]
fn a_mirror_gets_nowhere() {
    let (calling, first) = GreetingClient::begin(&own(2), &key(5)).unwrap();
    let line = PreambleLine::Keyed.line().len();
    assert!(!GreetingClient::answered(&first[line..]), "its own first message is too short for an answer");
    let padded = [&first[line..], &[0; 200]].concat();
    assert_eq!(
        calling.finish(&mut BytesMut::from(&padded[..])).unwrap_err(),
        GreetingError::Broken(NoiseError::Length.to_string())
    );
    let (calling, first) = GreetingClient::begin(&own(2), &key(5)).unwrap();
    assert!(matches!(calling.finish(&mut BytesMut::from(&first[..])).unwrap_err(), GreetingError::Broken(_)));

    let mut talk = talk(2, &hello_of(2));
    let said = talk.answer.clone();
    assert_eq!(hear(&mut talk.door, &said, &mut Vec::new()), away("", &NoiseError::Length.to_string()));

    // Whole messages relayed between a dialler and the door of the same process.
    let own = own(3);
    let (mut door, mut answer) = (GreetingServer::new(Arc::clone(&own), keyed(5)), Vec::new());
    let (calling, first) = GreetingClient::begin(&own, &key(5)).unwrap();
    assert_eq!(hear(&mut door, &first, &mut answer), Fate::Waits);
    let shut = calling.finish(&mut BytesMut::from(&answer[..])).unwrap_err();
    assert_eq!(shut, GreetingError::Refused(Refusal::SameAddress));
}

#[test]
fn a_hello_for_another_author_is_turned_away() {
    let mut talk = talk(2, &hello_of(3));
    let said = [talk.third, talk.hello].concat();
    assert_eq!(hear(&mut talk.door, &said, &mut Vec::new()), away("", SPEAKS_FOR_ANOTHER));
}

#[test]
fn who_has_proved_the_key_must_still_say_hello() {
    let mut talk = talk(2, b"\"leader_poll\"\n");
    let said = [talk.third, talk.hello].concat();
    assert_eq!(hear(&mut talk.door, &said, &mut Vec::new()), away("", "its first frame is no hello"));
}

#[test]
fn noise_from_strangers_is_heard_out_and_leads_nowhere() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let good = talk(2, &hello_of(2));
    for keys in [Keys::default(), keyed(5)] {
        for _ in 0..300 {
            let mut said = [&good.first[..], &good.third].concat();
            for _ in 0..random() % 5 {
                let at = random() as usize % said.len();
                said[at] = random() as u8;
            }
            said.truncate(random() as usize % (said.len() + 1));
            let fate = hear(&mut GreetingServer::new(own(1), keys.clone()), &said, &mut Vec::new());
            assert_ne!(fate, Fate::Greeted);
        }
    }
}
