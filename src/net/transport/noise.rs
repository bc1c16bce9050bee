//! `Noise_XXpsk0_25519_AESGCM_SHA256` (noiseprotocol.org, revision 34): two ends prove that they have the room's key
//! and who they are. Then they encrypt their frames.
//!
//! ```text
//!   -> psk, e                           48 bytes: nothing but that I have the key
//!   <- e, ee, s, es, author, signature  192 bytes
//!   -> s, se, author, signature         160 bytes
//! ```
//!
//! Every process draws a new static key (`s`), and its author's signature binds the key to the author. Bytes in, bytes
//! out: nothing here touches a socket.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::{Buf as _, BytesMut};
use snow::{Builder, HandshakeState, StatelessTransportState};
use zeroize::Zeroizing;

use super::limits::{FIRST_MESSAGES_MAX, REKEY_BYTES};
use super::preamble::PreambleLine;
use crate::identity::{Identity, verify};
use crate::key::{PSK_BYTES, RoomKey};
use crate::ring::{AuthorId, Signature, Signer as _};

const PATTERN: &str = "Noise_XXpsk0_25519_AESGCM_SHA256";
/// The prefix of what an author signs. The static key follows.
const BINDING: &[u8] = b"dist-chat static key 1\0";

const KEY_BYTES: usize = 32;
/// Bytes that encryption adds.
const TAG_BYTES: usize = 16;
const AUTHOR_BYTES: usize = 32;
/// Bytes of an author id and the author's signature of the static key.
const PROOF_BYTES: usize = AUTHOR_BYTES + 64;
/// Bytes of each handshake message. Each has exactly one valid length.
pub(in crate::net) const FIRST_BYTES: usize = KEY_BYTES + TAG_BYTES;
pub(in crate::net) const SECOND_BYTES: usize = KEY_BYTES + KEY_BYTES + TAG_BYTES + PROOF_BYTES + TAG_BYTES;
pub(in crate::net) const THIRD_BYTES: usize = KEY_BYTES + TAG_BYTES + PROOF_BYTES + TAG_BYTES;

/// Bytes of the length before each message and record, big-endian.
pub(in crate::net) const LENGTH_BYTES: usize = 2;
/// Plaintext bytes in one record: the most that Noise encrypts at once.
pub const RECORD_BYTES_MAX: usize = u16::MAX as usize - TAG_BYTES;

/// A fault in a peer's encrypted bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseError {
    /// The length is wrong.
    Length,
    /// The bytes were not encrypted for this place on this link, under a valid key.
    Seal,
    /// The peer has this process's own static key: it reflects this end's bytes.
    Reflected,
    /// The first message is a replay.
    Repeated,
    /// The author has not signed the peer's static key.
    Author,
    /// This end cannot encrypt: the system gives no random numbers, or 2^64 records were encrypted.
    Unable,
}

impl fmt::Display for NoiseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "sends a sealed part of a wrong length",
            Self::Seal => "sends what was not sealed for this link",
            Self::Reflected => "sends back what it is sent",
            Self::Repeated => "repeats what it has recorded",
            Self::Author => "speaks for an author that has not signed its key",
            Self::Unable => "cannot be answered: nothing can be sealed here",
        })
    }
}

/// This process's proof of identity.
pub struct LocalKeys {
    secret: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
    proof: [u8; PROOF_BYTES],
    author: AuthorId,
    rekey_bytes: u64,
    met: Mutex<SeenEphemerals>,
}

/// The ephemeral keys of the newest valid first messages.
#[derive(Default)]
struct SeenEphemerals {
    keys: BTreeSet<[u8; KEY_BYTES]>,
    order: VecDeque<[u8; KEY_BYTES]>,
}

impl SeenEphemerals {
    /// Remembers a key. `false`: the key is already known.
    fn insert(&mut self, key: [u8; KEY_BYTES]) -> bool {
        let new = self.keys.insert(key);
        if new {
            self.order.push_back(key);
        }
        if self.order.len() > FIRST_MESSAGES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        new
    }
}

impl LocalKeys {
    /// An identity with a new static key.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new(identity: &Identity) -> anyhow::Result<Self> {
        Self::rekeying(identity, REKEY_BYTES)
    }

    /// An identity with a new static key. Its links change their keys after this many bytes.
    pub(in crate::net) fn rekeying(identity: &Identity, rekey_bytes: u64) -> anyhow::Result<Self> {
        let pair = builder().and_then(|builder| builder.generate_keypair());
        let pair = pair.map_err(|error| anyhow::anyhow!("no static key: {error:?}"))?;
        let author = identity.author();
        let mut proof = [0; PROOF_BYTES];
        let (name, signature) = proof.split_at_mut(AUTHOR_BYTES);
        name.copy_from_slice(&author.0);
        signature.copy_from_slice(&identity.sign(&[BINDING, &pair.public].concat()).0);
        let (secret, met) = (Zeroizing::new(pair.private), Mutex::default());
        Ok(Self { secret, public: pair.public, proof, author, rekey_bytes, met })
    }

    /// The author of this process.
    pub fn author(&self) -> AuthorId {
        self.author
    }
}

impl fmt::Debug for LocalKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Own({:?})", self.author)
    }
}

fn builder<'b>() -> Result<Builder<'b>, snow::Error> {
    Ok(Builder::new(PATTERN.parse()?))
}

/// One end of a handshake, before its first message.
fn prepared<'b>(own: &'b LocalKeys, psk: &'b [u8; PSK_BYTES], prologue: &'b [u8]) -> Result<Builder<'b>, snow::Error> {
    builder()?.psk(0, psk)?.local_private_key(&own.secret)?.prologue(prologue)
}

/// The dialler's end, until the second message.
#[derive(Debug)]
pub(in crate::net) struct Initiator {
    own: Arc<LocalKeys>,
    state: HandshakeState,
}

impl Initiator {
    /// Begins a handshake. Returns the line in clear and the first message.
    pub(in crate::net) fn begin(own: &Arc<LocalKeys>, key: &RoomKey) -> Result<(Self, Vec<u8>), NoiseError> {
        let mut bytes = PreambleLine::Keyed.line();
        let state = prepared(own, key.psk(), &bytes).and_then(Builder::build_initiator);
        let mut state = state.map_err(|_| NoiseError::Unable)?;
        put_message::<FIRST_BYTES>(&mut state, &[], &mut bytes)?;
        Ok((Self { own: Arc::clone(own), state }, bytes))
    }

    /// Takes the second message. Returns the session and the third message.
    pub(in crate::net) fn finish(mut self, second: &[u8]) -> Result<(SecureSession, Vec<u8>), NoiseError> {
        let mut proof = [0; SECOND_BYTES];
        take_message::<SECOND_BYTES>(&mut self.state, second, &mut proof)?;
        let author = proven(&self.own, &self.state, &proof[..PROOF_BYTES])?;
        let mut bytes = Vec::new();
        put_message::<THIRD_BYTES>(&mut self.state, &self.own.proof, &mut bytes)?;
        Ok((SecureSession::new(self.state, author, self.own.rekey_bytes)?, bytes))
    }
}

/// The listener's end, between the second message and the third.
#[derive(Debug)]
pub(in crate::net) struct Responder {
    own: Arc<LocalKeys>,
    state: HandshakeState,
    /// The peer encrypted the first message with the room's previous key.
    late: bool,
}

impl Responder {
    /// Takes the first message. It must be new, and it must decrypt under one of the keys. Returns the second message.
    ///
    /// Costs little until the message has decrypted: nothing depends on the peer's key before that.
    pub(in crate::net) fn begin<'k>(
        own: &Arc<LocalKeys>,
        keys: impl Iterator<Item = &'k Arc<RoomKey>>,
        first: &[u8],
    ) -> Result<(Self, Vec<u8>), NoiseError> {
        let prologue = PreambleLine::Keyed.line();
        let mut fault = NoiseError::Seal;
        for (place, key) in keys.enumerate() {
            let state = prepared(own, key.psk(), &prologue).and_then(Builder::build_responder);
            let mut state = state.map_err(|_| NoiseError::Unable)?;
            match take_message::<FIRST_BYTES>(&mut state, first, &mut [0; FIRST_BYTES]) {
                Ok(()) => {
                    let ephemeral = first.first_chunk::<KEY_BYTES>().ok_or(NoiseError::Length)?;
                    if !own.met.lock().unwrap_or_else(PoisonError::into_inner).insert(*ephemeral) {
                        return Err(NoiseError::Repeated);
                    }
                    let mut bytes = Vec::new();
                    put_message::<SECOND_BYTES>(&mut state, &own.proof, &mut bytes)?;
                    return Ok((Self { own: Arc::clone(own), state, late: place > 0 }, bytes));
                }
                Err(why) => fault = why,
            }
        }
        Err(fault)
    }

    /// Takes the third message. From here on both ends have proved who they are.
    pub(in crate::net) fn finish(mut self, third: &[u8]) -> Result<SecureSession, NoiseError> {
        let mut proof = [0; THIRD_BYTES];
        take_message::<THIRD_BYTES>(&mut self.state, third, &mut proof)?;
        let author = proven(&self.own, &self.state, &proof[..PROOF_BYTES])?;
        let session = SecureSession::new(self.state, author, self.own.rekey_bytes)?;
        Ok(SecureSession { late: self.late, ..session })
    }
}

/// Appends the next message of a handshake with its length.
fn put_message<const BYTES: usize>(
    state: &mut HandshakeState,
    payload: &[u8],
    into: &mut Vec<u8>,
) -> Result<(), NoiseError> {
    let mut message = [0; BYTES];
    let len = state.write_message(payload, &mut message).map_err(|_| NoiseError::Unable)?;
    debug_assert_eq!(len, BYTES, "the pattern gives the length");
    into.extend_from_slice(&(BYTES as u16).to_be_bytes());
    into.extend_from_slice(&message);
    Ok(())
}

fn take_message<const BYTES: usize>(
    state: &mut HandshakeState,
    message: &[u8],
    payload: &mut [u8; BYTES],
) -> Result<(), NoiseError> {
    if message.len() != BYTES {
        return Err(NoiseError::Length);
    }
    state.read_message(message, payload).map(|_| ()).map_err(|_| NoiseError::Seal)
}

/// The author at the other end. The author must have signed the static key that the other end has proved to own.
fn proven(own: &LocalKeys, state: &HandshakeState, proof: &[u8]) -> Result<AuthorId, NoiseError> {
    let theirs = state.get_remote_static().ok_or(NoiseError::Seal)?;
    if theirs == own.public {
        return Err(NoiseError::Reflected);
    }
    let (author, signature) = proof.split_first_chunk::<AUTHOR_BYTES>().ok_or(NoiseError::Length)?;
    let (author, signature) = (AuthorId(*author), Signature(signature.try_into().map_err(|_| NoiseError::Author)?));
    match verify(author, &[BINDING, theirs].concat(), &signature) {
        true => Ok(author),
        false => Err(NoiseError::Author),
    }
}

/// The result of a handshake between two authenticated ends.
#[derive(Debug)]
pub struct SecureSession {
    /// The author at the other end.
    pub author: AuthorId,
    /// The other end used the room's previous key.
    pub late: bool,
    /// Encrypts what this end sends.
    pub sealer: Encryptor,
    /// Decrypts what the other end sends.
    pub opener: Decryptor,
}

/// The ciphers of both directions. Encryptor and decryptor only read it. It changes when the key of a direction does.
type Ciphers = Arc<RwLock<StatelessTransportState>>;

/// The count of one direction's encrypted records.
#[derive(Clone, Copy, Debug)]
struct NonceCounter {
    records: u64,
    /// Plaintext bytes under the present key.
    bytes: u64,
    rekey_bytes: u64,
}

impl NonceCounter {
    /// Counts a record. `true`: the direction's key changes after it; both ends compute the same.
    fn one_more(&mut self, bytes: usize) -> bool {
        self.records += 1;
        self.bytes += bytes as u64;
        let over = self.bytes >= self.rekey_bytes;
        if over {
            self.bytes = 0;
        }
        over
    }
}

/// Encrypts what this end sends.
#[derive(Debug)]
pub struct Encryptor {
    ciphers: Ciphers,
    count: NonceCounter,
}

/// Decrypts what the other end sends.
#[derive(Debug)]
pub struct Decryptor {
    ciphers: Ciphers,
    count: NonceCounter,
}

impl SecureSession {
    fn new(state: HandshakeState, author: AuthorId, rekey_bytes: u64) -> Result<Self, NoiseError> {
        let ciphers = state.into_stateless_transport_mode().map_err(|_| NoiseError::Unable)?;
        let ciphers = Arc::new(RwLock::new(ciphers));
        let count = NonceCounter { records: 0, bytes: 0, rekey_bytes };
        Ok(Self {
            author,
            late: false,
            sealer: Encryptor { ciphers: Arc::clone(&ciphers), count },
            opener: Decryptor { ciphers, count },
        })
    }
}

impl Encryptor {
    /// Bytes of a record that holds `plain` bytes.
    pub(in crate::net) const fn record_bytes(plain: usize) -> usize {
        LENGTH_BYTES + plain + TAG_BYTES
    }

    /// Whether nothing was encrypted yet.
    pub(in crate::net) fn is_new(&self) -> bool {
        self.count.records == 0
    }

    /// Appends a record that holds these bytes: at least one, at most [`RECORD_BYTES_MAX`].
    ///
    /// # Errors
    /// 2^64 records were encrypted.
    pub fn seal(&mut self, plain: &[u8], into: &mut Vec<u8>) -> Result<(), NoiseError> {
        debug_assert!((1..=RECORD_BYTES_MAX).contains(&plain.len()), "{} bytes in a record", plain.len());
        let start = into.len();
        into.resize(start + Self::record_bytes(plain.len()), 0);
        let (length, sealed) = into[start..].split_at_mut(LENGTH_BYTES);
        let bytes = {
            let ciphers = self.ciphers.read().unwrap_or_else(PoisonError::into_inner);
            ciphers.write_message(self.count.records, plain, sealed).map_err(|_| NoiseError::Unable)?
        };
        length.copy_from_slice(&u16::try_from(bytes).map_err(|_| NoiseError::Unable)?.to_be_bytes());
        if self.count.one_more(plain.len()) {
            self.ciphers.write().unwrap_or_else(PoisonError::into_inner).rekey_outgoing();
        }
        Ok(())
    }
}

impl Decryptor {
    /// Takes the first record of `sealed` and appends its plaintext to `into`. `false`: the record has not arrived
    /// completely.
    ///
    /// # Errors
    /// The record was not encrypted for this place on this link.
    pub fn open(&mut self, sealed: &mut BytesMut, into: &mut BytesMut) -> Result<bool, NoiseError> {
        let Some((length, rest)) = sealed.split_first_chunk::<LENGTH_BYTES>() else { return Ok(false) };
        let length = usize::from(u16::from_be_bytes(*length));
        // An empty record would cost work forever and never become a frame.
        if length <= TAG_BYTES {
            return Err(NoiseError::Length);
        }
        let Some(record) = rest.get(..length) else { return Ok(false) };
        let start = into.len();
        into.resize(start + length - TAG_BYTES, 0);
        let opened = {
            let ciphers = self.ciphers.read().unwrap_or_else(PoisonError::into_inner);
            ciphers.read_message(self.count.records, record, &mut into[start..])
        };
        if opened.is_err() {
            into.truncate(start);
            return Err(NoiseError::Seal);
        }
        if self.count.one_more(length - TAG_BYTES) {
            self.ciphers.write().unwrap_or_else(PoisonError::into_inner).rekey_incoming();
        }
        sealed.advance(LENGTH_BYTES + length);
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
