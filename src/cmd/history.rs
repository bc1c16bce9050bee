//! `dist-chat history`: prints the history from the file of a node that may or may not run.

use std::io;
use std::path::PathBuf;

use jiff::Zoned;

use super::page::ManualPage;
use crate::failure::{Exit, Failure, cannot_write};
use crate::history::when::{self, Edge};
use crate::history::{self, HistoryFormat, HistoryOut};
use crate::present::history_lines::{Json, Plain};
use crate::ring::Name;
use crate::settings::PORT_DEFAULT;
use crate::store::{self, ReadOutcome, Selection};

/// The text of `history --help`. It fits a terminal of 24 lines and 80 columns.
pub const HELP: &str = "  dist-chat history [-p PORT] [--data-dir DIR]  all that was said, oldest first
  dist-chat history -n 20 --grep deploy         the newest 20 with this word

  -p, --port PORT      the node's port, while it runs or later  [2428]
      --data-dir DIR   where its chat_PORT.db lives  [.]
      --since WHEN     not before this
      --until WHEN     not after this: 14:30 is up to 14:30:59.999
      --from NAME      only what NAME said; upper and lower case alike
      --channel NAME   only what was said there
      --grep TEXT      only lines with all these words; each may go on
                       (deploy finds Deployed); emoji, Chinese: anywhere
  -n, --lines N        only the newest N of them
      --json           one JSON object a line

WHEN is one of: 120 (a timestamp, as in [120]), 14:30 (today), 2026-11-20,
\"2026-11-20 14:30:05\", 2026-11-20T14:30:05+01:00, 2h, \"10 min\", \"3 days\"
(so long ago).

Times are by the ordering leader's clock, in your zone (or TZ=UTC).
Exit: 0 also where nothing was found, 2 usage, 4 no such file, 6 file unusable
";

/// The manual page of `dist-chat history`.
pub(crate) const PAGE: ManualPage = ManualPage {
    command: "history",
    usage: &[
        "dist-chat history [-p PORT] [--data-dir DIR] [--since WHEN] [--until WHEN] [--from NAME] [--grep TEXT] [-n N] [--json]",
    ],
    says: &[
        "Prints what was said, oldest first, out of the file of a node that runs or has run. WHEN is a timestamp (120), a \
         time of today (14:30), a date, both, or a span back from now (2h, \"3 days\").",
    ],
    examples: &[("The newest 20 lines with a word.", "dist-chat history -n 20 --grep deploy")],
    exits: &["0", "2", "4", "6"],
    help: HELP,
};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct HistoryArgs {
    /// The node's port, while it runs or later
    #[arg(short, long, env = "DIST_CHAT_PORT", value_name = "PORT", default_value_t = PORT_DEFAULT)]
    pub port: u16,
    /// Where its chat_PORT.db lives
    #[arg(long, env = "DIST_CHAT_DATA_DIR", value_name = "DIR", default_value = ".", value_hint = clap::ValueHint::DirPath)]
    pub data_dir: PathBuf,
    /// Not before this moment: a timestamp, a time, a date, or so long ago (2h)
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Not after this moment; 14:30 is up to 14:30:59.999
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Only what was said under this name, upper and lower case alike
    #[arg(long, value_name = "NAME")]
    pub from: Option<String>,
    /// Only what was said in this channel
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,
    /// Only lines with all these words, each of which may go on
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub grep: Option<String>,
    /// Only the newest so many
    #[arg(short = 'n', long, value_name = "N")]
    pub lines: Option<usize>,
    /// As JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

/// Prints the selected lines. If the reader closes standard output, the command ends without an error.
///
/// # Errors
/// The options are invalid, or there is no file to read.
pub fn run(args: &HistoryArgs) -> Result<(), Failure> {
    let wanted = selection(args, &Zoned::now())?;
    let path = store::file_in(&args.data_dir, args.port);
    let Some(reader) = history::open(&path)? else { return Ok(()) };
    let tally = reader.tally().map_err(|error| history::unusable(&path, &error))?;
    let format = match args.json {
        true => HistoryFormat::Json(Json::default()),
        false => HistoryFormat::Plain(Plain::default()),
    };
    let out = io::stdout().lock();
    let mut out = HistoryOut::new(tally, format, out);
    let answer = reader.select(&wanted, |entry| out.take(entry));
    // Lines that were found before an error are still written.
    let (failed, counted) = out.finish();
    match failed {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        Some(error) => return Err(cannot_write(&error)),
        None => {}
    }
    let answer = match counted {
        Ok(true) => answer,
        Ok(false) => Ok(ReadOutcome::Cut),
        Err(error) => Err(error),
    };
    history::judge(answer, &path)
}

fn selection(args: &HistoryArgs, now: &Zoned) -> Result<Selection, Failure> {
    let moment = |text: &Option<String>, edge: Edge| {
        text.as_ref().map(|text| when::parse(text, edge, now).ok_or_else(|| history::no_moment(text, edge))).transpose()
    };
    let name = |text: &String| {
        Name::parse(text).map_err(|error| {
            Failure::new(Exit::Usage, format!("`{text}` cannot be a name"), error.to_string(), "try `--from ann`")
        })
    };
    Ok(Selection {
        since: moment(&args.since, Edge::Since)?,
        until: moment(&args.until, Edge::Until)?,
        from: args.from.as_ref().map(name).transpose()?,
        channel: args.channel.as_deref().map(history::channel).transpose()?,
        words: args.grep.clone(),
        newest: args.lines,
    })
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
