//! What is said before a link is one, at both ends: bytes in, bytes out.
//!
//! The door's end ([`Greeting`]) is where strangers are met: whatever they send goes through [`Greeting::step`], which
//! keeps nothing but a handshake's state, and looks at no more than [`HELLO_BYTES_MAX`].

use std::sync::Arc;

use bytes::{Buf as _, BytesMut};

use super::keyring::Keys;
use super::limits::HELLO_BYTES_MAX;
use super::noise::{FIRST_BYTES, Fault, Initiator, LENGTH_BYTES, Own, Responder, SECOND_BYTES, Session, THIRD_BYTES};
use super::preamble::{LINE_BYTES_MAX, Word};
use crate::key::RoomKey;
use crate::ring::{Frame, Hello, Refusal};

/// Somebody at the door, until it has said hello.
#[derive(Debug)]
pub struct Greeting {
    own: Arc<Own>,
    keys: Keys,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Nothing yet.
    Silent,
    /// It has announced a handshake.
    Announced,
    /// It has shown that it knows the key, or what somebody has said who does.
    Answered(Box<Responder>),
    /// It has proved the key and its author.
    Proven(Box<Session>, BytesMut),
    Over,
}

/// What is to be done about somebody at the door.
#[derive(Debug)]
pub enum Step {
    /// Read more.
    Wait,
    /// Say this and go on.
    Answer(Vec<u8>),
    /// It is let in.
    Greeted(Box<Greeted>),
    /// It is not: say this, if anything, and close.
    TurnedAway {
        /// The last word.
        word: Vec<u8>,
        /// What was wrong, if anything was.
        why: Option<String>,
    },
}

/// Somebody that has said hello. What is left of the bytes came behind the hello, sealed if there is a session.
#[derive(Debug)]
pub struct Greeted {
    /// Who it says that it is; with a session, of the author that it has proved.
    pub hello: Frame,
    /// The way to seal and open what follows; none in an open room.
    pub session: Option<Session>,
    /// What was opened behind the hello.
    pub plain: BytesMut,
}

impl Greeting {
    /// Somebody new at the door of a room with these keys.
    pub fn new(own: Arc<Own>, keys: Keys) -> Self {
        Self { own, keys, stage: Stage::Silent }
    }

    /// Takes what it can of what has arrived.
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

    /// What it wants. An error is the end, here and below.
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

    /// It speaks in clear from the start.
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

/// What is said of a hello that names another author than the link has proved.
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

/// The line at the front, its line feed included; an error: it is longer than a hello may be.
fn take_line(bytes: &mut BytesMut) -> Result<Option<BytesMut>, ()> {
    let looked_at = bytes.len().min(HELLO_BYTES_MAX);
    match memchr::memchr(b'\n', &bytes[..looked_at]) {
        Some(at) => Ok(Some(bytes.split_to(at + 1))),
        None if looked_at == HELLO_BYTES_MAX => Err(()),
        None => Ok(None),
    }
}

/// The message at the front, which must be this long, without its length.
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

/// The end that has dialled a keyed room's door.
#[derive(Debug)]
pub struct Calling(Initiator);

/// Why a door does not let this end in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shut {
    /// It says so, and why.
    Refused(Refusal),
    /// What it says is wrong.
    Broken(String),
}

impl Calling {
    /// Begins; the bytes are to be said.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn begin(own: &Arc<Own>, key: &RoomKey) -> Result<(Self, Vec<u8>), Shut> {
        let (initiator, bytes) = Initiator::begin(own, key).map_err(shut)?;
        Ok((Self(initiator), bytes))
    }

    /// Whether the answer has arrived as a whole, or can be none.
    pub fn answered(bytes: &[u8]) -> bool {
        // A message's length begins with a zero.
        match bytes.first() {
            None => false,
            Some(0) => bytes.len() >= LENGTH_BYTES + SECOND_BYTES,
            Some(_) => bytes.len() >= LINE_BYTES_MAX || memchr::memchr(b'\n', bytes).is_some(),
        }
    }

    /// Takes the answer, which has arrived as a whole; the bytes are to be said.
    ///
    /// # Errors
    /// It is a refusal, or it was not made for this end with its key.
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
