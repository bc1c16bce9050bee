//! What was found, for people and for scripts.

use std::fmt::Write as _;

use serde::Serialize;

use crate::failure::{Exit, Failure};
use crate::text;

/// What is looked at, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The host's name has an address.
    Host,
    /// A network leads there.
    Route,
    /// Something listens.
    Tcp,
    /// It is a dist-chat.
    Answer,
    /// It speaks this version of the protocol.
    Version,
    /// This program has the room's key.
    Key,
    /// It is in a room that takes members.
    Room,
    /// The name is free.
    Name,
}

impl Layer {
    fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Route => "route",
            Self::Tcp => "TCP",
            Self::Answer => "answer",
            Self::Version => "version",
            Self::Key => "key",
            Self::Room => "room",
            Self::Name => "name",
        }
    }
}

/// What became of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is as it should be.
    Ok,
    /// Here it ends.
    Fail,
    /// It cannot be known from here, or only in part.
    Unknown,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Of this layer.
    pub layer: Layer,
    /// What became of it.
    pub state: State,
    /// What was found.
    pub what: String,
    /// What it means; may be empty.
    pub why: String,
    /// What to try; may be empty.
    #[serde(rename = "try")]
    pub hint: String,
}

impl Finding {
    /// It is well.
    pub fn ok(layer: Layer, what: impl Into<String>) -> Self {
        Self { layer, state: State::Ok, what: what.into(), why: String::new(), hint: String::new() }
    }

    /// Nobody knows.
    pub fn unknown(layer: Layer, what: impl Into<String>) -> Self {
        Self { state: State::Unknown, ..Self::ok(layer, what) }
    }

    /// It is not.
    pub fn fail(layer: Layer, failure: Failure) -> Self {
        Self { layer, state: State::Fail, what: failure.what, why: failure.why, hint: failure.hint }
    }

    /// The line, and those below it. Parts may quote foreign text: it is made visible here.
    pub fn for_people(&self) -> String {
        let mark = match self.state {
            State::Ok => "ok",
            State::Fail => "FAIL",
            State::Unknown => "--",
        };
        let mut said = format!("{mark:<4} {:<8} {}\n", self.layer.word(), text::visible(&self.what));
        for line in self.why.lines().chain(self.hint.lines()) {
            let _ = writeln!(said, "              {}", text::visible(line));
        }
        said
    }
}

/// All that was found, as `--json` prints it. The keys are stable.
#[derive(Clone, Debug, Serialize)]
pub struct Report<'a> {
    /// What was asked for.
    pub place: &'a str,
    /// No layer fails.
    pub ok: bool,
    /// The layer that does.
    pub failed: Option<Layer>,
    /// The exit code.
    pub exit: u8,
    /// What was found, in order.
    pub layers: &'a [Finding],
}

impl<'a> Report<'a> {
    /// Of these findings.
    pub fn new(place: &'a str, exit: Exit, layers: &'a [Finding]) -> Self {
        let failed = layers.iter().find(|found| found.state == State::Fail).map(|found| found.layer);
        Self { place, ok: failed.is_none(), failed, exit: exit as u8, layers }
    }
}
