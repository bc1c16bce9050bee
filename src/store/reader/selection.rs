//! Which lines a reader wants.

use crate::ring::{Channel, Lamport, Name, WallMs};

/// Selects lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The earliest moment.
    pub since: Option<Moment>,
    /// The latest moment.
    pub until: Option<Moment>,
    /// Only lines under this name; case does not matter.
    pub from: Option<Name>,
    /// Only lines in this channel; `Some(None)`: the lobby.
    pub channel: Option<Option<Channel>>,
    /// Only lines with all of these words, separated by white space. A word matches as a prefix (`deploy` finds
    /// `deployed`); case and accents do not matter. The index knows no words in emoji, signs and scripts without spaces
    /// between words (Chinese, Japanese, Thai ...); these match anywhere in a line.
    pub words: Option<String>,
    /// Only the newest so many of them.
    pub newest: Option<usize>,
}

/// A moment in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// By the clock of the leader that sequenced the line.
    Wall(WallMs),
    /// By the Lamport timestamp.
    Stamp(Lamport),
}

impl Selection {
    /// The range of wall-clock times in which a batch may hold a selected line.
    pub(super) fn walls(&self) -> (i64, i64) {
        let wall = |moment: Option<Moment>, or: i64| match moment {
            Some(Moment::Wall(wall)) => i64::try_from(wall.0).unwrap_or(i64::MAX),
            Some(Moment::Stamp(_)) | None => or,
        };
        (wall(self.since, 0), wall(self.until, i64::MAX))
    }
}
