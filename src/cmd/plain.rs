//! Prints a line in the form of a pipe.

use std::fmt::Write as _;

use crate::present::values::FeedLine;
use crate::text;

/// Appends `> NAME(IP:PORT)[TS]: text`. A command in the line is written as the user typed it.
pub fn push(line: &FeedLine, out: &mut String) {
    let _ = write!(out, "> {}({})[{}]: ", line.name, line.address, line.ts);
    text::push_visible(out, line.typed.as_deref().unwrap_or(&line.text));
    out.push('\n');
}
