//! Turns the command line, the environment and the configuration into a request that can run.
//!
//! [`parse`] returns a [`CliRequest`]. The words and flags themselves are in `line`.

mod line;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command, FromArgMatches as _};

use crate::app;
use crate::cmd::{self, attach, bench, completions, doctor, history, invite, key, man, send, status, tail};
use crate::failure::{Exit, Failure, cannot_write, complain};
use crate::settings::{Chat, config};
use line::{CliCommand, CliLine};

/// The user's request.
#[derive(Clone, Debug)]
pub enum CliRequest {
    /// Run a member of a room.
    Chat(Chat),
    /// Print the state of a node that runs here.
    Status(status::StatusArgs),
    /// Print the history.
    History(history::HistoryArgs),
    /// Make a key.
    Key(key::KeyArgs),
    /// Make an invite to the room of a node that runs here.
    Invite(invite::InviteArgs),
    /// Submit lines through a node that runs here.
    Send(send::SendArgs),
    /// Print the newest lines, and those that follow.
    Tail(tail::TailArgs),
    /// Attach to a node that runs here.
    Attach(attach::AttachArgs),
    /// Find out why a member cannot be reached or joined.
    Doctor(doctor::DoctorArgs),
    /// Print this text: every setting, and where it comes from.
    Config(String),
    /// Print a completion script for a shell.
    Completions(completions::CompletionsArgs),
    /// Print or write pages of the manual.
    Man(man::ManArgs),
    /// Run the benchmark.
    Bench(bench::BenchArgs),
}

/// Why there is no request to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CliExit {
    /// The user asked for this text.
    Print(String),
    /// The command line is invalid.
    Failure(Failure),
}

/// Converts clap's error: either a text that the user asked for, or a mistake in the form of this program's mistakes.
fn quit(error: &clap::Error, command: &Command, args: &[OsString]) -> CliExit {
    let text = error.to_string();
    match error.kind() {
        // clap trims the start of the text.
        ErrorKind::DisplayHelp => {
            let own = man::PAGES.into_iter().map(|page| page.help).find(|help| text.trim() == help.trim());
            CliExit::Print(own.map_or(text, str::to_owned))
        }
        ErrorKind::DisplayVersion => CliExit::Print(text),
        _ => {
            let understood = command.clone().ignore_errors(true).try_get_matches_from(args).ok();
            let sub = understood.as_ref().and_then(ArgMatches::subcommand_name);
            let text = match variable(error, command, sub, args) {
                Some((flag, variable)) => text.replacen(&format!("for '{flag}'"), &format!("in {variable}"), 1),
                None => text,
            };
            CliExit::Failure(mistake(&text, sub))
        }
    }
}

/// The flag with an invalid value, and the environment variable that holds the value.
fn variable(error: &clap::Error, command: &Command, sub: Option<&str>, args: &[OsString]) -> Option<(String, String)> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    // Flags know their names only in a built command.
    let mut built = command.clone();
    built.build();
    let within = sub.map_or(Some(&built), |name| built.find_subcommand(name))?;
    let arg = within.get_arguments().find(|arg| arg.to_string() == *flag)?;
    let (id, variable) = (arg.get_id().clone(), arg.get_env()?.to_string_lossy().into_owned());
    // If the mistake stays without the variable, it is on the command line.
    let deaf = |command: Command| {
        let has_it = command.get_arguments().any(|arg| *arg.get_id() == id);
        if has_it { command.mut_arg(&id, |arg| arg.env(Resettable::Reset)) } else { command }
    };
    let mut command = deaf(command.clone());
    if let Some(name) = sub {
        command = command.mut_subcommand(name, deaf);
    }
    let again = command.try_get_matches_from(args).err().map(|again| again.to_string());
    (again != Some(error.to_string())).then(|| (flag.clone(), variable))
}

/// Converts a mistake that clap has found into this program's words.
fn mistake(rendered: &str, sub: Option<&str>) -> Failure {
    let said = rendered.split("\n\nUsage:").next().unwrap_or(rendered);
    let said = said.split("\n\nFor more information").next().unwrap_or(said).trim_start_matches("error: ");
    let (what, why) = said.split_once('\n').unwrap_or((said, ""));
    let why: Vec<&str> = why.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let hint = match sub {
        Some(sub) => format!("try `dist-chat {sub} --help`"),
        None => "try `dist-chat --help`".to_owned(),
    };
    Failure::new(Exit::Usage, what, why.join("\n"), hint)
}

impl From<Failure> for CliExit {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Reads the command line, the environment and the configuration. The first argument is the program's own name.
///
/// # Errors
/// [`CliExit`]: why there is nothing to run.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<CliRequest, CliExit> {
    parse_in(args, |named| config::place(named, |variable| std::env::var_os(variable)))
}

/// Does the work of [`parse`]. `place` chooses the configuration, given the file that the user named.
fn parse_in(
    args: impl IntoIterator<Item = OsString>,
    place: impl FnOnce(Option<&Path>) -> config::ConfigPath,
) -> Result<CliRequest, CliExit> {
    let args: Vec<OsString> = args.into_iter().collect();
    let variables: Vec<(String, String)> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    line::refuse_secrets(&args, &variables)?;
    let args = args.into_iter().map(line::whole_token).collect::<Result<Vec<_>, _>>()?;
    let command = line::command();
    // The first pass runs without the configuration: it finds out which file to read, and whether the request needs
    // one.
    let first = command.clone().try_get_matches_from(&args).map_err(|error| quit(&error, &command, &args))?;
    let (place, file) = match is_configured(&command, &first) {
        true => {
            let place = place(named(&first));
            let file = config::read(&place, &command)?;
            (place, file)
        }
        false => (config::ConfigPath::Nowhere, config::ConfigFile::default()),
    };
    let command = file.under(command);
    let parsed = command.clone().try_get_matches_from(&args);
    let mut matches = parsed.map_err(|error| quit(&error, &command, &args))?;
    let (way, key) = (line::way(&matches, &file)?, line::key_from(&matches, &file)?);
    if let Some(("config", matches)) = matches.subcommand() {
        return Ok(CliRequest::Config(cmd::config::run(&command, matches, (&place, &file))?));
    }
    let line = CliLine::from_arg_matches_mut(&mut matches).map_err(|error| quit(&error, &command, &args))?;
    match line.command {
        Some(CliCommand::Status(query)) => Ok(CliRequest::Status(query)),
        Some(CliCommand::History(args)) => Ok(CliRequest::History(args)),
        Some(CliCommand::Send(args)) => Ok(args.refuse_words().map(|()| CliRequest::Send(args))?),
        Some(CliCommand::Tail(args)) => Ok(CliRequest::Tail(args)),
        Some(CliCommand::Attach(args)) => Ok(CliRequest::Attach(args)),
        Some(CliCommand::Bench(args)) => Ok(CliRequest::Bench(args)),
        Some(CliCommand::Key(args)) => Ok(CliRequest::Key(args)),
        Some(CliCommand::Invite(args)) => Ok(CliRequest::Invite(args)),
        Some(CliCommand::Join(args)) => Ok(CliRequest::Chat(line::join(args)?)),
        Some(CliCommand::Doctor(args)) => Ok(CliRequest::Doctor(args)),
        Some(CliCommand::Completions(args)) => Ok(CliRequest::Completions(args)),
        Some(CliCommand::Man(args)) => Ok(CliRequest::Man(args)),
        // `config` was answered above, because that is where the other flags are added to it.
        Some(CliCommand::Config(_)) | None => Ok(CliRequest::Chat(line::chat(line, way, key)?)),
    }
}

/// The configuration file that the user named, before or behind the subcommand.
fn named(matches: &ArgMatches) -> Option<&Path> {
    let deeper = matches.subcommand().map(|(_, matches)| matches);
    deeper.unwrap_or(matches).get_one::<PathBuf>("config").map(PathBuf::as_path)
}

/// Whether the request has a flag that the configuration may set. Otherwise a mistake in the configuration does not
/// matter.
fn is_configured(command: &Command, matches: &ArgMatches) -> bool {
    let Some((name, _)) = matches.subcommand() else { return true };
    let keys: Vec<_> = config::keys(command).filter_map(|arg| arg.get_long()).collect();
    let has = |sub: &Command| sub.get_arguments().filter_map(|arg| arg.get_long()).any(|long| keys.contains(&long));
    command.find_subcommand(name).is_some_and(has)
}

/// Runs the program with these arguments. The first is the program's own name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let request = match parse(args) {
        Ok(request) => request,
        Err(CliExit::Print(text)) => return print(&text),
        Err(CliExit::Failure(failure)) => return fail(&failure),
    };
    let left = |()| Exit::Left.into();
    let outcome = match request {
        // The program does not touch standard output after a chat: a reader that takes nothing may still hold its lock.
        CliRequest::Chat(chat) => app::run(&chat).map(left),
        CliRequest::Attach(args) => attach::run(&args).map(left),
        CliRequest::Send(args) => send::run(&args).map(left),
        CliRequest::Tail(args) => tail::run(&args).map(left),
        CliRequest::Bench(args) => bench::run(args).map(left).map_err(Failure::from),
        CliRequest::History(args) => history::run(&args).map(left),
        CliRequest::Key(args) => key::run(&args).map(|key| print(&key)),
        CliRequest::Invite(args) => invite::run(&args).map(|invite| print(&invite)),
        CliRequest::Doctor(args) => doctor::run(&args),
        CliRequest::Config(text) => Ok(print(&text)),
        CliRequest::Completions(args) => Ok(print(&completions::run(&args, line::command()))),
        CliRequest::Man(args) => man::run(&args, &line::command()).map(|pages| print(&pages)),
        CliRequest::Status(args) => status::run(&args).map(|answer| print(&answer)),
    };
    outcome.unwrap_or_else(|failure| fail(&failure))
}

/// Prints a text. A closed standard output is not an error.
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(&cannot_write(&error)),
        Ok(()) | Err(_) => Exit::Left.into(),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    complain(failure);
    failure.exit.into()
}

#[cfg(test)]
mod tests;
