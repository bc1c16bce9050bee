#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn own(owner: u8, rekey_bytes: u64) -> Arc<LocalKeys> {
    Arc::new(LocalKeys::rekeying(&Identity::of_seed([owner; 32]), rekey_bytes).unwrap())
}

fn key(n: u8) -> Arc<RoomKey> {
    Arc::new(RoomKey::new([n; PSK_BYTES], None))
}

/// The message behind its length.
fn message(bytes: &[u8]) -> &[u8] {
    &bytes[LENGTH_BYTES..]
}

fn meet(dialler: &Arc<LocalKeys>, door: &Arc<LocalKeys>) -> Result<(SecureSession, SecureSession), NoiseError> {
    let key = key(1);
    let (initiator, first) = Initiator::begin(dialler, &key)?;
    let (responder, second) =
        Responder::begin(door, [&key].into_iter(), message(&first[PreambleLine::Keyed.line().len()..]))?;
    let (there, third) = initiator.finish(message(&second))?;
    Ok((there, responder.finish(message(&third))?))
}

fn sealed(sealer: &mut Encryptor, plain: &[u8]) -> BytesMut {
    let mut record = Vec::new();
    sealer.seal(plain, &mut record).unwrap();
    BytesMut::from(&record[..])
}

fn opened(opener: &mut Decryptor, mut record: BytesMut) -> Result<BytesMut, NoiseError> {
    let mut plain = BytesMut::new();
    assert!(opener.open(&mut record, &mut plain)?, "the record is whole");
    assert!(record.is_empty());
    Ok(plain)
}

#[test]
fn both_ends_learn_who_is_there() {
    let (mut there, mut here) = meet(&own(1, u64::MAX), &own(2, u64::MAX)).unwrap();
    assert_eq!(there.author, Identity::of_seed([2; 32]).author());
    assert_eq!(here.author, Identity::of_seed([1; 32]).author());
    for plain in [&b"a"[..], &[7; RECORD_BYTES_MAX]] {
        assert_eq!(opened(&mut here.opener, sealed(&mut there.sealer, plain)).unwrap(), plain);
        assert_eq!(opened(&mut there.opener, sealed(&mut here.sealer, plain)).unwrap(), plain);
    }
}

#[test]
fn two_sessions_of_the_same_ends_share_nothing() {
    let (one, two) = (own(1, u64::MAX), own(2, u64::MAX));
    let (mut first, mut second) = (meet(&one, &two).unwrap(), meet(&one, &two).unwrap());
    let record = sealed(&mut first.0.sealer, b"said in the first");
    assert_ne!(record, sealed(&mut second.0.sealer, b"said in the first"));
    assert_eq!(opened(&mut second.1.opener, record), Err(NoiseError::Seal));
}

#[test]
fn an_end_does_not_talk_to_itself() {
    let own = own(1, u64::MAX);
    assert_eq!(meet(&own, &own).unwrap_err(), NoiseError::Reflected);
}

#[test]
fn two_processes_of_one_author_may_meet() {
    assert!(meet(&own(1, u64::MAX), &own(1, u64::MAX)).is_ok());
}

#[test]
fn an_author_that_has_not_signed_the_static_key_is_not_believed() {
    let (mut thief, victim) = (LocalKeys::new(&Identity::of_seed([3; 32])).unwrap(), own(2, u64::MAX));
    thief.proof = victim.proof;
    let thief = Arc::new(thief);
    assert_eq!(meet(&thief, &own(1, u64::MAX)).unwrap_err(), NoiseError::Author);
    assert_eq!(meet(&own(1, u64::MAX), &thief).unwrap_err(), NoiseError::Author);
    let mut nobody = LocalKeys::new(&Identity::of_seed([3; 32])).unwrap();
    nobody.proof = [0xff; PROOF_BYTES];
    assert_eq!(meet(&Arc::new(nobody), &victim).unwrap_err(), NoiseError::Author);
}

#[test]
fn a_record_opens_once_in_its_place_and_unchanged() {
    let (mut there, mut here) = meet(&own(1, u64::MAX), &own(2, u64::MAX)).unwrap();
    let records: Vec<BytesMut> = (0..3).map(|n| sealed(&mut there.sealer, &[n; 50])).collect();
    for at in 0..records[0].len() {
        let mut spoilt = records[0].clone();
        spoilt[at] ^= 1 << (at % 8);
        let mut plain = BytesMut::new();
        let opened = here.opener.open(&mut spoilt, &mut plain);
        assert!(matches!(opened, Err(_) | Ok(false)) && plain.is_empty(), "byte {at}");
    }
    let torn = records[0].len() - 1;
    assert_eq!(here.opener.open(&mut BytesMut::from(&records[0][..torn]), &mut BytesMut::new()), Ok(false));
    assert_eq!(opened(&mut here.opener, records[1].clone()), Err(NoiseError::Seal), "before its turn");
    assert_eq!(opened(&mut here.opener, records[0].clone()).unwrap(), &[0; 50][..]);
    assert_eq!(opened(&mut here.opener, records[0].clone()), Err(NoiseError::Seal), "again");
    assert_eq!(opened(&mut here.opener, sealed(&mut here.sealer, b"reflected")), Err(NoiseError::Seal));
    assert_eq!(opened(&mut here.opener, records[1].clone()).unwrap(), &[1; 50][..], "a fault changes nothing");
}

#[test]
fn a_record_that_holds_nothing_is_refused() {
    let (_there, mut here) = meet(&own(1, u64::MAX), &own(2, u64::MAX)).unwrap();
    for length in 0..=TAG_BYTES as u16 {
        let mut record = BytesMut::from(&length.to_be_bytes()[..]);
        record.extend_from_slice(&[0; TAG_BYTES]);
        assert_eq!(here.opener.open(&mut record, &mut BytesMut::new()), Err(NoiseError::Length));
    }
}

#[test]
fn a_length_allocates_nothing() {
    let (_there, mut here) = meet(&own(1, u64::MAX), &own(2, u64::MAX)).unwrap();
    let (mut record, mut plain) = (BytesMut::from(&[0xff, 0xff, 1, 2, 3][..]), BytesMut::new());
    let capacity = record.capacity();
    assert_eq!(here.opener.open(&mut record, &mut plain), Ok(false));
    assert_eq!((record.capacity(), plain.capacity()), (capacity, 0));
}

#[test]
fn keys_change_by_volume_in_both_directions() {
    const VOLUME: u64 = 1000;
    let (mut there, mut here) = meet(&own(1, VOLUME), &own(2, VOLUME)).unwrap();
    for n in 0..200_usize {
        let plain = vec![n as u8; 1 + n * 37 % 700];
        assert_eq!(opened(&mut here.opener, sealed(&mut there.sealer, &plain)).unwrap(), plain);
        if n % 3 == 0 {
            assert_eq!(opened(&mut there.opener, sealed(&mut here.sealer, &plain)).unwrap(), plain);
        }
    }
}

#[test]
fn after_the_volume_the_old_key_opens_nothing() {
    const VOLUME: u64 = 1000;
    let (mut there, mut here) = meet(&own(1, VOLUME), &own(2, u64::MAX)).unwrap();
    assert!(opened(&mut here.opener, sealed(&mut there.sealer, &[0; VOLUME as usize - 1])).is_ok());
    assert!(opened(&mut here.opener, sealed(&mut there.sealer, &[0; 1])).is_ok(), "the last under the first key");
    assert_eq!(opened(&mut here.opener, sealed(&mut there.sealer, &[0; 1])), Err(NoiseError::Seal));
}

#[test]
fn the_first_messages_remembered_are_bounded() {
    let mut met = SeenEphemerals::default();
    let key = |n: usize| std::array::from_fn(|at| n.to_le_bytes()[at % 8]);
    for n in 0..FIRST_MESSAGES_MAX + 10 {
        assert!(met.insert(key(n)));
        assert!(!met.insert(key(n)), "again");
    }
    assert_eq!((met.keys.len(), met.order.len()), (FIRST_MESSAGES_MAX, FIRST_MESSAGES_MAX));
    assert!(met.insert(key(0)), "long ago");
}
