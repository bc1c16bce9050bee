//! `--json`: one object a line, both ways.

use std::io::{self, Read, Write};

use tokio::sync::mpsc;

use super::feed::{Asked, Told, Versioned};
use super::pipe::{self, Typed};
use crate::failure::complain;
use crate::text;

/// Bytes that are gathered for one write, while more is ready.
const WRITE_BYTES: usize = 64 * 1024;

/// Appends an object as a line, with what could harm a terminal escaped: it means the same.
pub fn push(told: &Told, out: &mut String) {
    // Numbers and strings always have a form in JSON.
    if let Ok(json) = serde_json::to_string(&Versioned::of(told)) {
        text::push_escaped(out, &json);
        out.push('\n');
    }
}

/// Writes what is told until there is no more. A reader that has gone is an error.
///
/// # Errors
/// Nobody reads any more.
pub fn write(mut told: mpsc::Receiver<Told>, mut out: impl Write) -> io::Result<()> {
    let mut lines = String::new();
    while let Some(next) = told.blocking_recv() {
        push(&next, &mut lines);
        while lines.len() < WRITE_BYTES
            && let Ok(next) = told.try_recv()
        {
            push(&next, &mut lines);
        }
        out.write_all(lines.as_bytes())?;
        out.flush()?;
        lines.clear();
    }
    Ok(())
}

/// An object of this line; what is wrong with it, if it is none.
///
/// # Errors
/// Why it is none, for people.
pub fn read(line: &str) -> Result<Asked, String> {
    let asked: Versioned<Asked> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    match asked.v {
        super::feed::VERSION => Ok(asked.object),
        other => Err(format!("version {other} of the objects is not known here, only {}", super::feed::VERSION)),
    }
}

/// Reads objects until the end, or until nobody takes them. What is none is complained of, and the next one is read.
///
/// # Errors
/// The input cannot be read.
pub fn read_all(input: impl Read, asked: &mpsc::Sender<Asked>) -> io::Result<()> {
    let mut number = 0_u64;
    pipe::read_lines(input, |typed| {
        number += 1;
        match typed {
            Typed::Line(line) if line.trim().is_empty() => true,
            Typed::Line(line) => match read(&line) {
                Ok(one) => asked.blocking_send(one).is_ok(),
                Err(why) => {
                    complain(format_args!("dist-chat: line {number} of standard input is not understood: {why}"));
                    true
                }
            },
            Typed::TooLong { bytes } => {
                complain(format_args!(
                    "dist-chat: line {number} of standard input has {bytes} bytes: that is too long"
                ));
                true
            }
        }
    })
}
