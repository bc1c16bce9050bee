//! `--json`: one object a line, both ways.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::pipe::{self, InputLine};
use crate::failure::complain;
use crate::feed::stdout;
use crate::present::values::{Request, Update, Versioned};
use crate::ring::limits::TEXT_BYTES_MAX;
use crate::text;

/// Bytes that are gathered for one write, while more is ready.
const WRITE_BYTES: usize = 64 * 1024;
/// Bytes of an object that asks for something: a text of the greatest length, with every character of it escaped.
pub const ASKED_BYTES_MAX: usize = 6 * TEXT_BYTES_MAX + 4096;

/// Appends an object as a line, with what could harm a terminal escaped: it means the same.
pub fn push(told: &Update, out: &mut String) {
    // Numbers and strings always have a form in JSON.
    if let Ok(json) = serde_json::to_string(&Versioned::of(told)) {
        text::push_escaped(out, &json);
        out.push('\n');
    }
}

/// Writes what is told until there is no more; `written` counts the writes. A reader that has gone is an error.
///
/// # Errors
/// The output takes no more.
pub fn write(mut told: mpsc::Receiver<Update>, mut out: impl Write, written: &AtomicU64) -> io::Result<()> {
    let mut lines = String::new();
    while let Some(next) = told.blocking_recv() {
        push(&next, &mut lines);
        while lines.len() < WRITE_BYTES
            && let Ok(next) = told.try_recv()
        {
            push(&next, &mut lines);
        }
        stdout::write_all(&mut out, lines.as_bytes(), |_| {
            written.fetch_add(1, Ordering::Relaxed);
        })?;
        lines.clear();
    }
    Ok(())
}

/// An object of this line; what is wrong with it, if it is none.
///
/// # Errors
/// Why it is none, for people.
pub fn read(line: &str) -> Result<Request, String> {
    let asked: Versioned<Request> = serde_json::from_str(line).map_err(|error| {
        // An object is one line, and whoever complains knows which: the reader's own count of lines would only confuse.
        let said = error.to_string();
        match said.rsplit_once(" at line 1 column ") {
            Some((what, column)) => format!("{what} at column {column}"),
            None => said,
        }
    })?;
    match asked.v {
        crate::present::values::VERSION => Ok(asked.object),
        other => {
            Err(format!("version {other} of the objects is not known here, only {}", crate::present::values::VERSION))
        }
    }
}

/// Reads objects until the end, or until nobody takes them. What is none is complained of, to whoever reads `answers`
/// too, and the next one is read.
///
/// # Errors
/// The input cannot be read.
pub fn read_all(
    input: impl Read,
    asked: &mpsc::Sender<Request>,
    answers: Option<&mpsc::WeakSender<Update>>,
) -> io::Result<()> {
    let mut number = 0_u64;
    pipe::read_lines_to(ASKED_BYTES_MAX, input, |typed| {
        number += 1;
        let wrong = match typed {
            InputLine::Line(line) if line.trim().is_empty() => return true,
            InputLine::Line(line) => match read(&line) {
                Ok(one) => return asked.blocking_send(one).is_ok(),
                Err(why) => format!("is not understood: {why}"),
            },
            InputLine::TooLong { bytes } => too_long(bytes),
        };
        let wrong = format!("line {number} of standard input {wrong}");
        complain(format_args!("dist-chat: {}", text::visible(&wrong)));
        if let Some(answers) = answers.and_then(mpsc::WeakSender::upgrade) {
            // Where the reader has gone, the other end is told.
            let _ = answers.blocking_send(Update::Note { text: text::visible(&wrong).into_owned() });
        }
        true
    })
}

/// What is told of an object that is longer than [`ASKED_BYTES_MAX`].
pub fn too_long(bytes: u64) -> String {
    format!("has {bytes} bytes: at most {ASKED_BYTES_MAX} are allowed")
}
