//! The findings, for people and for scripts.

use std::fmt::Write as _;

use serde::Serialize;

use crate::failure::{Exit, Failure};
use crate::text;

/// The layers, in the order of the checks.
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

/// The result of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// The layer works.
    Ok,
    /// The layer fails, and the checks end here.
    Fail,
    /// The layer cannot be checked from here, or only in part.
    Unknown,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The checked layer.
    pub layer: Layer,
    /// The layer's result.
    pub state: CheckState,
    /// The finding in one line.
    pub what: String,
    /// Its meaning; may be empty.
    pub why: String,
    /// The advice; may be empty.
    #[serde(rename = "try")]
    pub hint: String,
}

impl Finding {
    /// A finding that the layer works.
    pub fn ok(layer: Layer, what: impl Into<String>) -> Self {
        Self { layer, state: CheckState::Ok, what: what.into(), why: String::new(), hint: String::new() }
    }

    /// A finding that the layer could not be checked.
    pub fn unknown(layer: Layer, what: impl Into<String>) -> Self {
        Self { state: CheckState::Unknown, ..Self::ok(layer, what) }
    }

    /// A finding that the layer fails.
    pub fn fail(layer: Layer, failure: Failure) -> Self {
        Self { layer, state: CheckState::Fail, what: failure.what, why: failure.why, hint: failure.hint }
    }

    /// The finding and the lines below it. Makes control characters in quoted foreign text visible.
    pub fn for_people(&self) -> String {
        let mark = match self.state {
            CheckState::Ok => "ok",
            CheckState::Fail => "FAIL",
            CheckState::Unknown => "--",
        };
        let mut said = format!("{mark:<4} {:<8} {}\n", self.layer.word(), text::visible(&self.what));
        for line in self.why.lines().chain(self.hint.lines()) {
            let _ = writeln!(said, "              {}", text::visible(line));
        }
        said
    }
}

/// All findings, as `--json` prints them. The keys are stable.
#[derive(Clone, Debug, Serialize)]
pub struct DoctorReport<'a> {
    /// The place that the user named.
    pub place: &'a str,
    /// No layer fails.
    pub ok: bool,
    /// The layer that fails.
    pub failed: Option<Layer>,
    /// The exit code.
    pub exit: u8,
    /// The findings, in order.
    pub layers: &'a [Finding],
}

impl<'a> DoctorReport<'a> {
    /// A report of these findings.
    pub fn new(place: &'a str, exit: Exit, layers: &'a [Finding]) -> Self {
        let failed = layers.iter().find(|found| found.state == CheckState::Fail).map(|found| found.layer);
        Self { place, ok: failed.is_none(), failed, exit: exit as u8, layers }
    }
}
