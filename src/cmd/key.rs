//! `dist-chat key`: draws a new room key.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::page::ManualPage;
use crate::failure::Failure;
use crate::key::{file, generated};

/// The text of `key --help`.
pub const HELP: &str = "  dist-chat key room.key    a new key into a new file that only you can read
  dist-chat key             a new key on standard output

Then `dist-chat -l --key-file room.key` opens a room that nobody enters without
it, and `dist-chat invite` makes one word of the room's addresses and its key.
A shell's `dist-chat key > room.key` makes a file that others may be able to
read: it is refused until you `chmod 600` it.

A key has 160 random bits, and four digits that tell a slip of the finger. It
is read in upper and lower case alike, with its hyphens or without. It is never
an argument: process lists and shell histories are read by others.
Exit: 0, 6 there is such a file already, or it cannot be written
";

/// The manual page of `dist-chat key`.
pub(crate) const PAGE: ManualPage = ManualPage {
    command: "key",
    usage: &["dist-chat key [FILE]"],
    says: &[
        "Draws a key of 160 random bits into a new file that only you can read, or prints it. A room that is opened with it \
         is entered by nobody who has not got it, and all that its members say is encrypted.",
    ],
    examples: &[("A key, and a room behind it.", "dist-chat key room.key && dist-chat -l --key-file room.key")],
    exits: &["0", "6"],
    help: HELP,
};

/// Where a new key goes.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct KeyArgs {
    /// A file that is not there yet; standard output where none is named
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}

/// Draws a new key. Returns the text to print.
///
/// # Errors
/// The key cannot be written to the file that the user named.
pub fn run(args: &KeyArgs) -> Result<Zeroizing<String>, Failure> {
    let mut key = generated::fresh()?;
    match &args.file {
        Some(path) => {
            file::create(path, &key)?;
            Ok(Zeroizing::default())
        }
        None => {
            key.push('\n');
            Ok(key)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_a_screen() {
        assert!(HELP.lines().count() <= 24, "{} lines", HELP.lines().count());
        assert!(HELP.lines().all(|line| line.chars().count() < 80));
    }
}
