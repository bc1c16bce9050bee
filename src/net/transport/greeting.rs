//! The exchange before a link is ready, at both ends: bytes in, bytes out.
//!
//! [`Greeting`] is the listener's end. All bytes of a stranger go through [`Greeting::step`]. It stores only the state
//! of the handshake, and reads at most [`HELLO_BYTES_MAX`].

use std::sync::Arc;

use bytes::{Buf as _, BytesMut};

use super::keyring::Keys;
use super::limits::HELLO_BYTES_MAX;
use super::noise::{FIRST_BYTES, Fault, Initiator, LENGTH_BYTES, Own, Responder, SECOND_BYTES, Session, THIRD_BYTES};
use super::preamble::{LINE_BYTES_MAX, Word};
use crate::key::RoomKey;
use crate::ring::{Frame, Hello, Refusal};

/// A peer that has not said hello yet.
#[derive(Debug)]
pub struct Greeting {
    own: Arc<Own>,
    keys: Keys,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The peer has sent nothing yet.
    Silent,
    /// The peer has announced a handshake.
    Announced,
    /// The peer knows the key, or replays the bytes of a peer that knows it.
    Answered(Box<Responder>),
    /// The peer has proved the key and its author.
    Proven(Box<Session>, BytesMut),
    Over,
}

/// What the listener does next with a peer.
#[derive(Debug)]
pub enum Step {
    /// Read more.
    Wait,
    /// Send this and go on.
    Answer(Vec<u8>),
    /// Let the peer in.
    Greeted(Box<Greeted>),
    /// Refuse the peer: send `word`, if it is not empty, and close.
    TurnedAway {
        /// The last bytes to send.
        word: Vec<u8>,
        /// The fault, if there was one.
        why: Option<String>,
    },
}

/// A peer that has said hello. The bytes that are left came behind the hello. With a session they are still encrypted.
#[derive(Debug)]
pub struct Greeted {
    /// The peer's hello. With a session, it names the author that the peer has proved.
    pub hello: Frame,
    /// The encryption of what follows; `None`: the room has no key.
    pub session: Option<Session>,
    /// The decrypted bytes behind the hello.
    pub plain: BytesMut,
}

impl Greeting {
    /// A new peer of a room with these keys.
    pub fn new(own: Arc<Own>, keys: Keys) -> Self {
        Self { own, keys, stage: Stage::Silent }
    }

    /// Takes as much as it can of the bytes that have arrived.
    pub fn step(&mut self, bytes: &mut BytesMut) -> Step {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let step = match stage {
            Stage::Silent => self.first_line(bytes),
            Stage::Announced => self.first_message(bytes),
            Stage::Answered(responder) => self.third_message(responder, bytes),
            Stage::Proven(session, plain) => self.hello(session, plain, bytes),
            Stage::Over => Ok(None),
        };
        match step {
            Ok(step) => step.unwrap_or(Step::Wait),
            Err(step) => step,
        }
    }

    /// Reads the first line: a handshake, a question or a hello. An error ends the greeting, here and below.
    fn first_line(&mut self, bytes: &mut BytesMut) -> Result<Option<Step>, Step> {
        let Some(line) = take_line(bytes).map_err(|()| away("its first line is too long"))? else {
            self.stage = Stage::Silent;
            return Ok(None);
        };
        let Some((version, word)) = Word::parse(&line) else {
            return self.first_frame(&line, bytes).map(|greeted| Some(Step::Greeted(Box::new(greeted))));
        };
        let Some(current) = &self.keys.current else {
            return Err(match word {
                Word::Version => told_off(&Word::Version, format!("speaks version {version} of the protocol")),
                Word::AskSalt => Step::TurnedAway { word: Word::Open.line(), why: None },
                Word::Keyed => told_off(&Word::Open, "has a room key, and this room has none".to_owned()),
                Word::Salt(_) | Word::Open | Word::WrongKey => away("its first line is an answer"),
            });
        };
        match word {
            Word::Keyed => {
                self.stage = Stage::Announced;
                self.first_message(bytes)
            }
            Word::AskSalt => Err(Step::TurnedAway { word: Word::Salt(current.salt()).line(), why: None }),
            Word::Version => Err(told_off(&Word::Version, format!("speaks version {version} of the protocol"))),
            Word::Salt(_) | Word::Open | Word::WrongKey => Err(away("its first line is an answer")),
        }
    }

    /// Reads the hello of a peer that does not encrypt.
    fn first_frame(&self, line: &[u8], bytes: &mut BytesMut) -> Result<Greeted, Step> {
        if self.keys.current.is_some() {
            let mut word = Vec::new();
            if !line.starts_with(b"{") {
                return Err(away("knows neither the room's key nor the protocol"));
            }
            Frame::Refuse(Refusal::KeyNeeded).encode(&mut word);
            return Err(Step::TurnedAway { word, why: Some("has no room key, and this room has one".to_owned()) });
        }
        Ok(Greeted { hello: decode_hello(line)?.0, session: None, plain: bytes.split() })
    }

    fn first_message(&mut self, bytes: &mut BytesMut) -> Result<Option<Step>, Step> {
        let Some(message) = take_message(bytes, FIRST_BYTES).map_err(broken)? else {
            self.stage = Stage::Announced;
            return Ok(None);
        };
        match Responder::begin(&self.own, self.keys.all(), &message) {
            Ok((responder, answer)) => {
                self.stage = Stage::Answered(Box::new(responder));
                Ok(Some(Step::Answer(answer)))
            }
            Err(Fault::Seal) => Err(told_off(&Word::WrongKey, "has another room key".to_owned())),
            Err(fault) => Err(broken(fault)),
        }
    }

    fn third_message(&mut self, responder: Box<Responder>, bytes: &mut BytesMut) -> Result<Option<Step>, Step> {
        let Some(message) = take_message(bytes, THIRD_BYTES).map_err(broken)? else {
            self.stage = Stage::Answered(responder);
            return Ok(None);
        };
        let session = responder.finish(&message).map_err(broken)?;
        self.hello(Box::new(session), BytesMut::new(), bytes)
    }

    fn hello(
        &mut self,
        mut session: Box<Session>,
        mut plain: BytesMut,
        bytes: &mut BytesMut,
    ) -> Result<Option<Step>, Step> {
        loop {
            if let Some(line) = take_line(&mut plain).map_err(|()| away("its first line is too long"))? {
                let (hello, author) = decode_hello(&line)?;
                if author != session.author {
                    return Err(away(SPEAKS_FOR_ANOTHER));
                }
                return Ok(Some(Step::Greeted(Box::new(Greeted { hello, session: Some(*session), plain }))));
            }
            if !session.opener.open(bytes, &mut plain).map_err(broken)? {
                self.stage = Stage::Proven(session, plain);
                return Ok(None);
            }
        }
    }
}

/// The fault of a hello that names another author than the one the link has proved.
pub(in crate::net) const SPEAKS_FOR_ANOTHER: &str = "says hello for an author that it has not proved to be";

fn away(why: &str) -> Step {
    Step::TurnedAway { word: Vec::new(), why: Some(why.to_owned()) }
}

fn broken(fault: Fault) -> Step {
    away(&fault.to_string())
}

fn told_off(word: &Word, why: String) -> Step {
    Step::TurnedAway { word: word.line(), why: Some(why) }
}

fn decode_hello(line: &[u8]) -> Result<(Frame, crate::ring::AuthorId), Step> {
    match Frame::decode(line) {
        Ok(Frame::Hello(hello)) => {
            let Hello { author, .. } = hello;
            Ok((Frame::Hello(hello), author))
        }
        Ok(_) => Err(away("its first frame is no hello")),
        Err(error) => Err(away(&error.to_string())),
    }
}

/// Takes the first line, with its line feed. An error: it is longer than a hello may be.
fn take_line(bytes: &mut BytesMut) -> Result<Option<BytesMut>, ()> {
    let looked_at = bytes.len().min(HELLO_BYTES_MAX);
    match memchr::memchr(b'\n', &bytes[..looked_at]) {
        Some(at) => Ok(Some(bytes.split_to(at + 1))),
        None if looked_at == HELLO_BYTES_MAX => Err(()),
        None => Ok(None),
    }
}

/// Takes the first message, without its length. The message must be this long.
fn take_message(bytes: &mut BytesMut, len: usize) -> Result<Option<BytesMut>, Fault> {
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    if usize::from(u16::from_be_bytes(*length)) != len {
        return Err(Fault::Length);
    }
    if bytes.len() < LENGTH_BYTES + len {
        return Ok(None);
    }
    bytes.advance(LENGTH_BYTES);
    Ok(Some(bytes.split_to(len)))
}

/// The dialler's end of a greeting in a room with a key.
#[derive(Debug)]
pub struct Calling(Initiator);

/// Why a listener does not let this end in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shut {
    /// The listener refuses, and says why.
    Refused(Refusal),
    /// The listener's answer is malformed.
    Broken(String),
}

impl Calling {
    /// Begins a handshake. Returns the first bytes to send.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn begin(own: &Arc<Own>, key: &RoomKey) -> Result<(Self, Vec<u8>), Shut> {
        let (initiator, bytes) = Initiator::begin(own, key).map_err(shut)?;
        Ok((Self(initiator), bytes))
    }

    /// Whether the whole answer has arrived, or the bytes cannot become an answer.
    pub fn answered(bytes: &[u8]) -> bool {
        // The length of a message begins with a zero byte.
        match bytes.first() {
            None => false,
            Some(0) => bytes.len() >= LENGTH_BYTES + SECOND_BYTES,
            Some(_) => bytes.len() >= LINE_BYTES_MAX || memchr::memchr(b'\n', bytes).is_some(),
        }
    }

    /// Takes the whole answer. Returns the session and the last bytes to send.
    ///
    /// # Errors
    /// The answer is a refusal, or it was not made for this end and its key.
    pub fn finish(self, bytes: &mut BytesMut) -> Result<(Session, Vec<u8>), Shut> {
        if bytes.first() == Some(&0) {
            let message = take_message(bytes, SECOND_BYTES).map_err(shut)?.unwrap_or_default();
            return self.0.finish(&message).map_err(shut);
        }
        let looked_at = bytes.len().min(LINE_BYTES_MAX);
        let line = memchr::memchr(b'\n', &bytes[..looked_at]).map(|at| bytes.split_to(at + 1));
        let refusal =
            line.and_then(|line| Word::parse(&line)).and_then(|(version, word)| Word::refusal(version, &word));
        Err(refusal.map_or_else(|| Shut::Broken("does not speak as a dist-chat does".to_owned()), Shut::Refused))
    }
}

fn shut(fault: Fault) -> Shut {
    match fault {
        Fault::Reflected => Shut::Refused(Refusal::SameAddress),
        Fault::Length | Fault::Seal | Fault::Repeated | Fault::Author | Fault::Unable => {
            Shut::Broken(fault.to_string())
        }
    }
}

#[cfg(test)]
mod tests;
