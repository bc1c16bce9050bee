//! A line as it is shown in a pipe.

use std::fmt::Write as _;

use crate::text;
use crate::ui::feed::{Kind, Line};

/// Appends `> NAME(IP:PORT)[TS]: text`. What a line does beside being said is written as it is typed.
pub fn push(line: &Line, out: &mut String) {
    let _ = write!(out, "> {}({})[{}]: ", line.name, line.address, line.ts);
    let command = match line.kind {
        Kind::Say | Kind::Moderate => "",
        Kind::Me => "/me ",
        Kind::Reply => "/reply ",
        Kind::React => "/react ",
        Kind::Nick => "/nick ",
        Kind::Topic => "/topic ",
        Kind::Away => "/away ",
    };
    out.push_str(command);
    if let Some(to) = line.to.filter(|_| line.kind == Kind::Reply) {
        let _ = write!(out, "{to} ");
    }
    text::push_visible(out, &line.text);
    if let Some(to) = line.to.filter(|_| line.kind == Kind::React) {
        let _ = write!(out, " {to}");
    }
    out.push('\n');
}
