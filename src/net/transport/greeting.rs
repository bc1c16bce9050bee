//! The exchange before a link is ready, at both ends: bytes in, bytes out.
//!
//! [`GreetingServer`] is the listener's end. All bytes of a stranger go through [`GreetingServer::step`]. It stores
//! only the state of the handshake, and reads at most [`HELLO_BYTES_MAX`].

use std::sync::Arc;

use bytes::{Buf as _, BytesMut};

use super::keyring::Keys;
use super::limits::HELLO_BYTES_MAX;
use super::noise::{
    FIRST_BYTES, Initiator, LENGTH_BYTES, LocalKeys, NoiseError, Responder, SECOND_BYTES, SecureSession, THIRD_BYTES,
};
use super::preamble::{LINE_BYTES_MAX, PreambleLine};
use crate::key::RoomKey;
use crate::ring::{Frame, Hello, Refusal};

/// A peer that has not said hello yet.
#[derive(Debug)]
pub struct GreetingServer {
    own: Arc<LocalKeys>,
    keys: Keys,
    stage: GreetingStage,
}

#[derive(Debug)]
enum GreetingStage {
    /// The peer has sent nothing yet.
    Silent,
    /// The peer has announced a handshake.
    Announced,
    /// The peer knows the key, or replays the bytes of a peer that knows it.
    Answered(Box<Responder>),
    /// The peer has proved the key and its author.
    Proven(Box<SecureSession>, BytesMut),
    Over,
}

/// What the listener does next with a peer.
#[derive(Debug)]
pub enum GreetingStep {
    /// Read more.
    Wait,
    /// Send this and go on.
    Answer(Vec<u8>),
    /// Let the peer in.
    Greeted(Box<GreetedPeer>),
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
pub struct GreetedPeer {
    /// The peer's hello. With a session, it names the author that the peer has proved.
    pub hello: Frame,
    /// The encryption of what follows; `None`: the room has no key.
    pub session: Option<SecureSession>,
    /// The decrypted bytes behind the hello.
    pub plain: BytesMut,
}

impl GreetingServer {
    /// A new peer of a room with these keys.
    pub fn new(own: Arc<LocalKeys>, keys: Keys) -> Self {
        Self { own, keys, stage: GreetingStage::Silent }
    }

    /// Takes as much as it can of the bytes that have arrived.
    pub fn step(&mut self, bytes: &mut BytesMut) -> GreetingStep {
        let stage = std::mem::replace(&mut self.stage, GreetingStage::Over);
        let step = match stage {
            GreetingStage::Silent => self.first_line(bytes),
            GreetingStage::Announced => self.first_message(bytes),
            GreetingStage::Answered(responder) => self.third_message(responder, bytes),
            GreetingStage::Proven(session, plain) => self.hello(session, plain, bytes),
            GreetingStage::Over => Ok(None),
        };
        match step {
            Ok(step) => step.unwrap_or(GreetingStep::Wait),
            Err(step) => step,
        }
    }

    /// Reads the first line: a handshake, a question or a hello. An error ends the greeting, here and below.
    fn first_line(&mut self, bytes: &mut BytesMut) -> Result<Option<GreetingStep>, GreetingStep> {
        let Some(line) = take_line(bytes).map_err(|()| away("its first line is too long"))? else {
            self.stage = GreetingStage::Silent;
            return Ok(None);
        };
        let Some((version, word)) = PreambleLine::parse(&line) else {
            return self.first_frame(&line, bytes).map(|greeted| Some(GreetingStep::Greeted(Box::new(greeted))));
        };
        let Some(current) = &self.keys.current else {
            return Err(match word {
                PreambleLine::Version => {
                    told_off(&PreambleLine::Version, format!("speaks version {version} of the protocol"))
                }
                PreambleLine::AskSalt => GreetingStep::TurnedAway { word: PreambleLine::Open.line(), why: None },
                PreambleLine::Keyed => {
                    told_off(&PreambleLine::Open, "has a room key, and this room has none".to_owned())
                }
                PreambleLine::Salt(_) | PreambleLine::Open | PreambleLine::WrongKey => {
                    away("its first line is an answer")
                }
            });
        };
        match word {
            PreambleLine::Keyed => {
                self.stage = GreetingStage::Announced;
                self.first_message(bytes)
            }
            PreambleLine::AskSalt => {
                Err(GreetingStep::TurnedAway { word: PreambleLine::Salt(current.salt()).line(), why: None })
            }
            PreambleLine::Version => {
                Err(told_off(&PreambleLine::Version, format!("speaks version {version} of the protocol")))
            }
            PreambleLine::Salt(_) | PreambleLine::Open | PreambleLine::WrongKey => {
                Err(away("its first line is an answer"))
            }
        }
    }

    /// Reads the hello of a peer that does not encrypt.
    fn first_frame(&self, line: &[u8], bytes: &mut BytesMut) -> Result<GreetedPeer, GreetingStep> {
        if self.keys.current.is_some() {
            let mut word = Vec::new();
            if !line.starts_with(b"{") {
                return Err(away("knows neither the room's key nor the protocol"));
            }
            Frame::Refuse(Refusal::KeyNeeded).encode(&mut word);
            return Err(GreetingStep::TurnedAway {
                word,
                why: Some("has no room key, and this room has one".to_owned()),
            });
        }
        Ok(GreetedPeer { hello: decode_hello(line)?.0, session: None, plain: bytes.split() })
    }

    fn first_message(&mut self, bytes: &mut BytesMut) -> Result<Option<GreetingStep>, GreetingStep> {
        let Some(message) = take_message(bytes, FIRST_BYTES).map_err(broken)? else {
            self.stage = GreetingStage::Announced;
            return Ok(None);
        };
        match Responder::begin(&self.own, self.keys.all(), &message) {
            Ok((responder, answer)) => {
                self.stage = GreetingStage::Answered(Box::new(responder));
                Ok(Some(GreetingStep::Answer(answer)))
            }
            Err(NoiseError::Seal) => Err(told_off(&PreambleLine::WrongKey, "has another room key".to_owned())),
            Err(fault) => Err(broken(fault)),
        }
    }

    fn third_message(
        &mut self,
        responder: Box<Responder>,
        bytes: &mut BytesMut,
    ) -> Result<Option<GreetingStep>, GreetingStep> {
        let Some(message) = take_message(bytes, THIRD_BYTES).map_err(broken)? else {
            self.stage = GreetingStage::Answered(responder);
            return Ok(None);
        };
        let session = responder.finish(&message).map_err(broken)?;
        self.hello(Box::new(session), BytesMut::new(), bytes)
    }

    fn hello(
        &mut self,
        mut session: Box<SecureSession>,
        mut plain: BytesMut,
        bytes: &mut BytesMut,
    ) -> Result<Option<GreetingStep>, GreetingStep> {
        loop {
            if let Some(line) = take_line(&mut plain).map_err(|()| away("its first line is too long"))? {
                let (hello, author) = decode_hello(&line)?;
                if author != session.author {
                    return Err(away(SPEAKS_FOR_ANOTHER));
                }
                return Ok(Some(GreetingStep::Greeted(Box::new(GreetedPeer {
                    hello,
                    session: Some(*session),
                    plain,
                }))));
            }
            if !session.opener.open(bytes, &mut plain).map_err(broken)? {
                self.stage = GreetingStage::Proven(session, plain);
                return Ok(None);
            }
        }
    }
}

/// The fault of a hello that names another author than the one the link has proved.
pub(in crate::net) const SPEAKS_FOR_ANOTHER: &str = "says hello for an author that it has not proved to be";

fn away(why: &str) -> GreetingStep {
    GreetingStep::TurnedAway { word: Vec::new(), why: Some(why.to_owned()) }
}

fn broken(fault: NoiseError) -> GreetingStep {
    away(&fault.to_string())
}

fn told_off(word: &PreambleLine, why: String) -> GreetingStep {
    GreetingStep::TurnedAway { word: word.line(), why: Some(why) }
}

fn decode_hello(line: &[u8]) -> Result<(Frame, crate::ring::AuthorId), GreetingStep> {
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
fn take_message(bytes: &mut BytesMut, len: usize) -> Result<Option<BytesMut>, NoiseError> {
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    if usize::from(u16::from_be_bytes(*length)) != len {
        return Err(NoiseError::Length);
    }
    if bytes.len() < LENGTH_BYTES + len {
        return Ok(None);
    }
    bytes.advance(LENGTH_BYTES);
    Ok(Some(bytes.split_to(len)))
}

/// The dialler's end of a greeting in a room with a key.
#[derive(Debug)]
pub struct GreetingClient(Initiator);

/// Why a listener does not let this end in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GreetingError {
    /// The listener refuses, and says why.
    Refused(Refusal),
    /// The listener's answer is malformed.
    Broken(String),
}

impl GreetingClient {
    /// Begins a handshake. Returns the first bytes to send.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn begin(own: &Arc<LocalKeys>, key: &RoomKey) -> Result<(Self, Vec<u8>), GreetingError> {
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
    pub fn finish(self, bytes: &mut BytesMut) -> Result<(SecureSession, Vec<u8>), GreetingError> {
        if bytes.first() == Some(&0) {
            let message = take_message(bytes, SECOND_BYTES).map_err(shut)?.unwrap_or_default();
            return self.0.finish(&message).map_err(shut);
        }
        let looked_at = bytes.len().min(LINE_BYTES_MAX);
        let line = memchr::memchr(b'\n', &bytes[..looked_at]).map(|at| bytes.split_to(at + 1));
        let refusal = line
            .and_then(|line| PreambleLine::parse(&line))
            .and_then(|(version, word)| PreambleLine::refusal(version, &word));
        Err(refusal.map_or_else(
            || GreetingError::Broken("does not speak as a dist-chat does".to_owned()),
            GreetingError::Refused,
        ))
    }
}

fn shut(fault: NoiseError) -> GreetingError {
    match fault {
        NoiseError::Reflected => GreetingError::Refused(Refusal::SameAddress),
        NoiseError::Length | NoiseError::Seal | NoiseError::Repeated | NoiseError::Author | NoiseError::Unable => {
            GreetingError::Broken(fault.to_string())
        }
    }
}

#[cfg(test)]
mod tests;
