//! `dist-chat man`: prints the manual's pages and the handbook's list of commands, both made from the definitions of
//! commands and flags.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use tokio::signal::unix::{SignalKind, signal};

use super::page::{EXITS, ManualPage, Says};
use super::{attach, bench, chat, completions, config, doctor, history, invite, key, send, status, tail};
use crate::failure::{Exit, Failure};
use crate::feed::commands;
use crate::settings::config as settings_config;

/// The text of `man --help`.
pub const HELP: &str = "  dist-chat man              the manual of dist-chat
  dist-chat man status       ... of one of its commands
  dist-chat man --dir DIR    all of them into files: dist-chat.1 ...

On a terminal `man` shows the page; where there is none, --help is shown. In a
pipe it is the page's source: dist-chat man status | man -l -
It is made of the definitions of the flags, and so cannot be behind them.
Exit: 0, 2 no such command, 6 DIR cannot be written
";

/// The manual page of `dist-chat man`.
pub(crate) const PAGE: ManualPage = ManualPage {
    command: "man",
    usage: &["dist-chat man [COMMAND]", "dist-chat man --dir DIR"],
    says: &[
        "Shows a page of this manual, or writes all of them into a directory. On a terminal man(1) shows it; where there \
         is none, what --help says is shown. In a pipe it is the page's source, as `man -l -` reads it.",
    ],
    examples: &[("Reads a page.", "dist-chat man doctor"), ("Its source.", "dist-chat man doctor > doctor.1")],
    exits: &["0", "2", "6"],
    help: HELP,
};

/// Every page of the manual.
pub(crate) const PAGES: [&ManualPage; 14] = [
    &chat::PAGE,
    &chat::JOIN_PAGE,
    &status::PAGE,
    &send::PAGE,
    &tail::PAGE,
    &attach::PAGE,
    &history::PAGE,
    &key::PAGE,
    &invite::PAGE,
    &doctor::PAGE,
    &config::PAGE,
    &completions::PAGE,
    &PAGE,
    &bench::PAGE,
];

/// The program's files.
const FILES: &[(&str, &str)] = &[
    ("chat_PORT.log", "what was said and what has happened, one line each, in the data directory"),
    ("chat_PORT.db", "the history and the member's identity; chat_PORT.journal beside it while a node runs"),
    ("chat_PORT.key", "the room's key as an invite has brought it, mode 0600"),
    ("~/.config/dist-chat/config.toml", "settings; dist-chat-config(1) tells of it"),
];

/// The commands of a room and their meaning: the table that `/help` shows in a terminal.
fn room() -> Vec<(String, String)> {
    let does = |command: &commands::CommandHelp| match command.aliases {
        [] => command.does.to_owned(),
        aliases => format!("{} (also {})", command.does, aliases.join(", ")),
    };
    commands::COMMANDS.iter().map(|command| (command.usage(), does(command))).collect()
}

/// The arguments of `dist-chat man`.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct ManArgs {
    /// The command whose page is shown; dist-chat itself where none is named
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
    /// Write all pages into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command", value_hint = clap::ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
    /// The page of the handbook that lists every command, as reStructuredText
    #[arg(long, hide = true, conflicts_with_all = ["command", "dir"])]
    pub rst: bool,
}

/// Returns the text to print. Empty if the pages were written into a directory, or if `man` has shown the page on the
/// terminal.
///
/// # Errors
/// There is no such command, or the directory cannot be written.
pub fn run(args: &ManArgs, command: &Command) -> Result<String, Failure> {
    if args.rst {
        return Ok(handbook(command));
    }
    if let Some(dir) = &args.dir {
        return write_all(dir, command).map(|()| String::new()).map_err(|error| {
            let what = format!("cannot write the manual into {}", dir.display());
            Failure::new(Exit::Files, what, error.to_string(), "try another --dir DIR")
        });
    }
    let name = args.command.as_deref().unwrap_or_default();
    match PAGES.into_iter().find(|page| page.command == name) {
        Some(page) => {
            let source = troff(page, command).map_err(|error| Failure::from(anyhow::Error::new(error)))?;
            Ok(match io::stdout().is_terminal() {
                true if is_shown(&source) => String::new(),
                true => page.help.to_owned(),
                false => source,
            })
        }
        None => Err(Failure::new(
            Exit::Usage,
            format!("there is no page for `{name}`"),
            format!("there are: {}", names().join(", ")),
            "try `dist-chat man`",
        )),
    }
}

/// Runs `man` on this page until the user closes it. Returns whether it worked.
fn is_shown(source: &str) -> bool {
    // Ctrl-C is meant for the pager, and this program waits for the pager.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let _within = runtime.as_ref().map(|runtime| runtime.enter());
    let _caught = runtime.is_ok().then(|| signal(SignalKind::interrupt()));
    let show = || {
        let mut man = process::Command::new("man").args(["-l", "-"]).stdin(Stdio::piped()).spawn()?;
        if let Some(mut input) = man.stdin.take() {
            // A pager that does not read its input fails, and its exit status tells that.
            let _ = input.write_all(source.as_bytes());
        }
        man.wait()
    };
    show().is_ok_and(|ended| ended.success())
}

fn names() -> Vec<&'static str> {
    PAGES.iter().map(|page| page.command).filter(|name| !name.is_empty()).collect()
}

fn write_all(dir: &Path, all: &Command) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for page in PAGES {
        std::fs::write(dir.join(format!("{}.1", file_name(page))), troff(page, all)?)?;
    }
    Ok(())
}

/// The file name of a manual page, such as `dist-chat-status`.
fn file_name(page: &ManualPage) -> String {
    match page.command {
        "" => "dist-chat".to_owned(),
        name => format!("dist-chat-{name}"),
    }
}

/// A page's command, with the value names of its flags.
fn command_of(page: &ManualPage, all: &Command) -> Command {
    let mut all = all.clone().disable_help_subcommand(true);
    let keys: Vec<String> = settings_config::keys(&all).filter_map(Arg::get_long).map(str::to_owned).collect();
    all.build();
    let command = match page.command {
        "" => all,
        name => all.find_subcommand(name).cloned().unwrap_or_else(|| Command::new(name)),
    };
    let command = command.override_usage(page.usage.join("\n"));
    command.mut_args(|arg| {
        let key = arg.get_long().filter(|long| keys.iter().any(|key| key == long)).map(str::to_owned);
        match (key, arg.get_help().map(ToString::to_string)) {
            (Some(key), Some(help)) => arg.help(format!("{help}. In the configuration: {key}")),
            _ => arg,
        }
    })
}

/// The page in the format of `man`.
fn troff(page: &ManualPage, all: &Command) -> io::Result<String> {
    let title = file_name(page);
    let source = format!("dist-chat {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command_of(page, all)).title(title.to_uppercase()).source(source).manual("dist-chat");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    let mut roff = Roff::new();
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{title} - {}", about(page, all).to_lowercase()))]);
    roff.to_writer(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    let mut roff = Roff::new();
    roff.control("SH", ["DESCRIPTION"]);
    paragraphs(&mut roff, page.says);
    roff.to_writer(&mut text)?;
    man.render_options_section(&mut text)?;
    let mut roff = Roff::new();
    if page.command.is_empty() {
        roff.control("SH", ["COMMANDS"]);
        for other in PAGES.into_iter().filter(|other| !other.command.is_empty()) {
            roff.control("TP", []);
            roff.text([bold(file_name(other)), roman("(1)")]);
            roff.text([roman(about(other, all))]);
        }
        let room = room();
        let room: Vec<(&str, &str)> = room.iter().map(|(command, does)| (command.as_str(), does.as_str())).collect();
        listed(&mut roff, "IN THE ROOM", &room);
        listed(&mut roff, "FILES", FILES);
    }
    listed(&mut roff, "EXIT STATUS", &exits(page));
    if !page.examples.is_empty() {
        roff.control("SH", ["EXAMPLES"]);
        for (does, line) in page.examples {
            roff.control("TP", []);
            roff.text([bold(*line)]);
            roff.text([roman(*does)]);
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    let others: Vec<String> =
        PAGES.into_iter().map(file_name).filter(|other| *other != title).map(|other| format!("{other}(1)")).collect();
    roff.text([roman(others.join(", "))]);
    roff.to_writer(&mut text)?;
    String::from_utf8(text).map_err(io::Error::other)
}

fn about(page: &ManualPage, all: &Command) -> String {
    let command = command_of(page, all);
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn paragraphs(roff: &mut Roff, says: Says) {
    for (place, paragraph) in says.iter().enumerate() {
        if place > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(*paragraph)]);
    }
}

fn listed(roff: &mut Roff, title: &str, list: &[(&str, &str)]) {
    roff.control("SH", [title]);
    for (what, means) in list {
        roff.control("TP", []);
        roff.text([bold(*what)]);
        roff.text([roman(*means)]);
    }
}

/// The exit codes of a command, with their meaning.
fn exits(page: &ManualPage) -> Vec<(&'static str, &'static str)> {
    EXITS.iter().filter(|(code, _)| page.exits.contains(code)).copied().collect()
}

/// The text of `docs/commands.rst`.
fn handbook(all: &Command) -> String {
    let mut text = String::from(
        ".. Made by the program itself (dist-chat man --rst): REGENERATE=1 cargo test --test cli manual writes it again.\n\n\
         Every command\n=============\n\n\
         What ``--help`` says of each, and every flag with its environment variable and its key in the configuration\n\
         (``~/.config/dist-chat/config.toml``; see :doc:`using`). ``dist-chat man COMMAND`` says the same on a terminal.\n",
    );
    for page in PAGES {
        let command = command_of(page, all);
        let title = match page.command {
            "" => "dist-chat".to_owned(),
            name => format!("dist-chat {name}"),
        };
        let _ = write!(text, "\n{title}\n{}\n\n{}.\n\n", "-".repeat(title.len()), about(page, all));
        for paragraph in page.says {
            let _ = write!(text, "{}\n\n", wrapped(&literal(paragraph)));
        }
        text.push_str("::\n\n");
        for line in page.help.lines() {
            let _ = writeln!(text, "{}", format!("   {line}").trim_end());
        }
        flags(&mut text, &command, all);
        let codes: Vec<String> = exits(page).iter().map(|(code, means)| format!("{code} ({means})")).collect();
        let _ = write!(text, "\n{}\n", wrapped(&format!("Exit codes: {}.", codes.join(", "))));
    }
    text.push_str("\nIn the room\n-----------\n\nOn a terminal a line that begins with a slash is a command; ``/help`` lists them.\n\n");
    for (command, does) in room() {
        let _ = writeln!(text, "``{command}``\n   {}", literal(&does));
    }
    text
}

fn flags(text: &mut String, command: &Command, all: &Command) {
    let keys: Vec<String> = settings_config::keys(all).filter_map(Arg::get_long).map(str::to_owned).collect();
    let shown = |arg: &&Arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str());
    let all: Vec<&Arg> = command.get_arguments().filter(shown).collect();
    if all.is_empty() {
        return;
    }
    text.push_str("\n.. list-table::\n   :header-rows: 1\n   :widths: 26 44 18 12\n\n   * - argument\n     - meaning\n     - environment\n     - key\n");
    for arg in all {
        let value = arg.get_value_names().filter(|_| arg.get_action().takes_values()).map(|names| names.join(" "));
        let name = match (arg.get_long(), arg.get_short(), value) {
            (None, _, value) => value.unwrap_or_else(|| arg.get_id().to_string()),
            (Some(long), short, value) => {
                let short = short.map(|short| format!("-{short}, ")).unwrap_or_default();
                format!("{short}--{long}{}", value.map(|value| format!(" {value}")).unwrap_or_default())
            }
        };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let help = help.split_once(". In the configuration: ").map_or(&*help, |(help, _)| help);
        let default: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let default = match arg.get_action().takes_values() && !default.is_empty() {
            true => format!(" [default: {}]", default.join(", ")),
            false => String::new(),
        };
        let marked = |word: Option<String>| word.map(|word| format!(" ``{word}``")).unwrap_or_default();
        let env = marked(arg.get_env().map(|name| name.to_string_lossy().into_owned()));
        let key = marked(arg.get_long().filter(|long| keys.iter().any(|key| key == long)).map(str::to_owned));
        let _ = write!(text, "   * - ``{name}``\n     - {}{default}\n     -{env}\n     -{key}\n", literal(help));
    }
}

/// Characters in a line of the handbook, unless one word is longer.
const COLUMNS: usize = 120;

fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= COLUMNS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

/// Escapes a text so that it contains no markup.
fn literal(text: &str) -> String {
    text.replace('\\', "\\\\").replace('*', "\\*").replace('_', "\\_").replace('`', "\\`").replace('|', "\\|")
}
