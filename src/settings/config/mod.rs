//! The configuration file: its path, its values, and the line of each value.
//!
//! Its keys are the long names of the flags of `dist-chat`. The kinds and limits of the values come from the command
//! line's own definitions, so a new flag is a key without a change here. The file holds no secret: the program refuses
//! a key or an invite in it, as on the command line.

mod place;
mod read;
mod show;

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command};

pub use place::{ConfigPath, in_home, place, shown};
pub use read::read;
pub use show::show;

/// The longest configuration file, in bytes.
pub const CONFIG_BYTES_MAX: u64 = 64 * 1024;

/// Flags that request an action. In a file they would act at every start, so they are no keys.
const ONCE: [&str; 8] = ["leader", "new", "ask-key", "moderators", "json", "config", "help", "version"];

/// The parsed file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its path; `None`: there is no file, and no value is set.
    pub path: Option<PathBuf>,
    settings: Vec<Setting>,
}

/// One key and its values, in the command line's form.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    key: String,
    /// The line, counted from 1.
    line: usize,
    values: Vec<String>,
}

impl ConfigFile {
    /// The line, counted from 1, and the values of this key, which is the long name of a flag.
    pub fn get(&self, key: &str) -> Option<(usize, &[String])> {
        let setting = self.settings.iter().find(|setting| setting.key == key)?;
        Some((setting.line, &setting.values))
    }

    /// The command with the file's values as defaults, also for its subcommands with the same flags.
    pub fn under(&self, command: Command) -> Command {
        let command = command.mut_args(|arg| match arg.get_long().and_then(|long| self.get(long)) {
            Some((_, values)) => {
                let values = values.to_vec();
                arg.default_values(values)
            }
            None => arg,
        });
        command.mut_subcommands(|sub| self.under(sub))
    }
}

/// The flags of a command that may be keys of the file.
pub fn keys(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| arg.get_long().is_some_and(|long| !ONCE.contains(&long)))
}

/// The kind of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueKind {
    Switch,
    Number,
    Text,
}

impl ValueKind {
    fn of(arg: &Arg) -> Self {
        use std::any::TypeId;
        if matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse) {
            return Self::Switch;
        }
        let id = arg.get_value_parser().type_id();
        let numbers = [TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>(), TypeId::of::<usize>()];
        match numbers.into_iter().any(|number| id == number) {
            true => Self::Number,
            false => Self::Text,
        }
    }

    /// The name of the kind, for messages.
    fn wanted(self) -> &'static str {
        match self {
            Self::Switch => "true or false",
            Self::Number => "a number in decimal digits",
            Self::Text => "a text in quotes",
        }
    }
}

/// Whether the flag may appear several times.
fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

#[cfg(test)]
mod tests;
