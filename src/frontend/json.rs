//! `--json`: a program and the node exchange one JSON object a line.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::pipe::{self, InputLine};
use crate::failure::complain;
use crate::feed::stdout;
use crate::present::values::{Request, Update, Versioned};
use crate::ring::limits::TEXT_BYTES_MAX;
use crate::text;

/// Bytes collected for one write while more objects are ready.
const WRITE_BYTES: usize = 64 * 1024;
/// Longest request in bytes: the longest text, with every character escaped.
pub const ASKED_BYTES_MAX: usize = 6 * TEXT_BYTES_MAX + 4096;

/// Appends the object and a line end. Characters that a terminal could act on are escaped, which JSON readers undo.
pub fn push(told: &Update, out: &mut String) {
    // Numbers and strings always have a JSON form.
    if let Ok(json) = serde_json::to_string(&Versioned::of(told)) {
        text::push_escaped(out, &json);
        out.push('\n');
    }
}

/// Writes objects until the channel closes; `written` counts the writes.
///
/// # Errors
/// The output takes no more, for instance because its reader is gone.
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

/// Parses the request in this line.
///
/// # Errors
/// Why the line is no request, as a text for users.
pub fn read(line: &str) -> Result<Request, String> {
    let asked: Versioned<Request> = serde_json::from_str(line).map_err(|error| {
        // The program knows its line; serde's own line number, always 1, would only confuse.
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

/// Reads requests until the input ends or the receiver is gone. Reports a line that is no request, on standard error
/// and through `answers`, and goes on with the next one.
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
            // The send fails only where the program no longer reads; then the node finds out by its writes.
            let _ = answers.blocking_send(Update::Note { text: text::visible(&wrong).into_owned() });
        }
        true
    })
}

/// The complaint about an object longer than [`ASKED_BYTES_MAX`].
pub fn too_long(bytes: u64) -> String {
    format!("has {bytes} bytes: at most {ASKED_BYTES_MAX} are allowed")
}
