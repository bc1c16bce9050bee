//! Private messages: `Noise_X_25519_AESGCM_SHA256` (noiseprotocol.org, revision 34), one encrypted message for one
//! reader.
//!
//! Both static keys are the X25519 forms of the two authors' Ed25519 keys. So the encryption proves the author to the
//! reader, but the reader can prove nothing to others: the reader could have made the message, too. The room, both
//! authors and the message's number are the prologue. A message that is moved to another place does not decrypt.

use std::fmt;

use snow::Builder;
use zeroize::Zeroizing;

use crate::identity::{Identity, exchange_key};
use crate::ring::limits::PM_BYTES_MAX;
use crate::ring::{AuthorId, Ciphertext, Member, OutgoingPm, PmId, PmProof, PrivateMessage, RoomId, Text};

const PATTERN: &str = "Noise_X_25519_AESGCM_SHA256";
const PURPOSE: &[u8] = b"dist-chat whisper 1\0";
/// Bytes of the token that stands before the text in the plaintext.
const TOKEN_BYTES: usize = 16;

/// Encrypts and decrypts this node's private messages.
pub(super) struct PmCrypto {
    secret: Zeroizing<[u8; 32]>,
    author: AuthorId,
}

impl fmt::Debug for PmCrypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PmCrypto({:?})", self.author)
    }
}

impl PmCrypto {
    pub(super) fn new(identity: &Identity) -> Self {
        Self { secret: identity.exchange_secret(), author: identity.author() }
    }

    /// Encrypts this text for this member. `None`: the member's author id is not a valid key.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(super) fn seal(&self, room: RoomId, to: Member, text: Text) -> anyhow::Result<Option<OutgoingPm>> {
        let words = Zeroizing::new(String::from(text).into_bytes());
        let Some(theirs) = exchange_key(to.author) else { return Ok(None) };
        let (mut id, mut token) = ([0; 8], [0; TOKEN_BYTES]);
        for bytes in [&mut id[..], &mut token[..]] {
            getrandom::fill(bytes).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        }
        let id = PmId(u64::from_be_bytes(id));
        // Allocates all bytes at once: a vector that grows leaves a copy behind that nothing wipes.
        let mut plain = Zeroizing::new(Vec::with_capacity(TOKEN_BYTES + words.len()));
        plain.extend_from_slice(&token);
        plain.extend_from_slice(&words);
        let prologue = prologue(room, id, self.author, to.author);
        let mut ciphertext = vec![0; PM_BYTES_MAX];
        let written = builder()
            .and_then(|builder| builder.local_private_key(&*self.secret))
            .and_then(|builder| builder.remote_public_key(&theirs))
            .and_then(|builder| builder.prologue(&prologue))
            .and_then(Builder::build_initiator)
            .and_then(|mut state| state.write_message(&plain, &mut ciphertext));
        ciphertext.truncate(written.map_err(|error| anyhow::anyhow!("cannot seal: {error:?}"))?);
        let token = PmProof(token);
        Ok(Ciphertext::new(ciphertext).map(|ciphertext| OutgoingPm { id, to, ciphertext, token }))
    }

    /// Decrypts a message for this node's author. `None`: it was altered, it is for another author, or it does not hold
    /// a line.
    pub(super) fn open(&self, room: RoomId, pm: &PrivateMessage) -> Option<(PmProof, Text)> {
        let theirs = exchange_key(pm.from)?;
        let prologue = prologue(room, pm.id, pm.from, self.author);
        let ciphertext = pm.ciphertext.bytes();
        let mut plain = Zeroizing::new(vec![0; ciphertext.len()]);
        let mut state = builder()
            .and_then(|builder| builder.local_private_key(&*self.secret))
            .and_then(|builder| builder.prologue(&prologue))
            .and_then(Builder::build_responder)
            .ok()?;
        let length = state.read_message(ciphertext, &mut plain).ok()?;
        if state.get_remote_static() != Some(&theirs[..]) {
            return None;
        }
        let (token, words) = plain.get(..length)?.split_first_chunk::<TOKEN_BYTES>()?;
        let text = Text::parse(str::from_utf8(words).ok()?).ok()?;
        Some((PmProof(*token), text))
    }
}

fn builder<'b>() -> Result<Builder<'b>, snow::Error> {
    Ok(Builder::new(PATTERN.parse()?))
}

fn prologue(room: RoomId, id: PmId, from: AuthorId, to: AuthorId) -> Vec<u8> {
    [PURPOSE, &room.0.to_be_bytes(), &from.0, &to.0, &id.0.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::ring::Name;
    use crate::ring::limits::TEXT_BYTES_MAX;

    fn ends() -> (PmCrypto, PmCrypto, PmCrypto) {
        let end = |seed| PmCrypto::new(&Identity::of_seed([seed; 32]));
        (end(1), end(2), end(3))
    }

    fn member(of: &PmCrypto) -> Member {
        Member { uid: "10.0.0.6:2428".parse().unwrap(), name: Name::parse("bob").unwrap(), author: of.author }
    }

    fn said(from: &PmCrypto, to: &PmCrypto, text: &str) -> (PrivateMessage, PmProof) {
        let said = from.seal(RoomId(7), member(to), Text::parse(text).unwrap()).unwrap().unwrap();
        (PrivateMessage { id: said.id, from: from.author, to: to.author, ciphertext: said.ciphertext }, said.token)
    }

    #[test]
    fn only_its_reader_opens_it_and_knows_whose_it_is() {
        let (ann, bob, eve) = ends();
        for text in ["hello", &"x".repeat(TEXT_BYTES_MAX)] {
            let (pm, token) = said(&ann, &bob, text);
            assert_eq!(bob.open(RoomId(7), &pm), Some((token, Text::parse(text).unwrap())));
            assert_eq!(eve.open(RoomId(7), &pm), None);
            assert_eq!(ann.open(RoomId(7), &pm), None);
            assert!(memchr::memmem::find(pm.ciphertext.bytes(), text.as_bytes()).is_none());
        }
    }

    #[test]
    fn what_was_sealed_for_another_place_or_under_another_name_does_not_open() {
        let (ann, bob, eve) = ends();
        let (pm, _) = said(&ann, &bob, "hello");
        assert_eq!(bob.open(RoomId(8), &pm), None);
        assert_eq!(bob.open(RoomId(7), &PrivateMessage { id: PmId(!pm.id.0), ..pm.clone() }), None);
        assert_eq!(bob.open(RoomId(7), &PrivateMessage { from: eve.author, ..pm.clone() }), None);
        let (forged, _) = said(&eve, &bob, "hello");
        assert_eq!(bob.open(RoomId(7), &PrivateMessage { from: ann.author, ..forged }), None, "eve speaks as ann");
        for at in 0..pm.ciphertext.bytes().len() {
            let mut flipped = pm.ciphertext.bytes().to_vec();
            flipped[at] ^= 1;
            let flipped = PrivateMessage { ciphertext: Ciphertext::new(flipped).unwrap(), ..pm.clone() };
            assert_eq!(bob.open(RoomId(7), &flipped), None, "byte {at}");
        }
        for bytes in [Vec::new(), vec![0; 95], vec![0; 96]] {
            assert_eq!(
                bob.open(RoomId(7), &PrivateMessage { ciphertext: Ciphertext::new(bytes).unwrap(), ..pm.clone() }),
                None
            );
        }
    }

    #[test]
    fn an_author_that_is_no_key_is_told_nothing() {
        let (ann, bob, _) = ends();
        let nobody = |author| Member { author, ..member(&bob) };
        for author in [AuthorId([0; 32]), AuthorId(std::array::from_fn(|at| u8::from(at == 0))), AuthorId([2; 32])] {
            let ciphertext = ann.seal(RoomId(7), nobody(author), Text::parse("hello").unwrap()).unwrap();
            assert_eq!(ciphertext, None, "{author}");
        }
    }
}
