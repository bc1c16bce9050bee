//! Reads the file and reports its mistakes.

use std::fs::{File as Opened, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use clap::builder::{OsStr, Resettable};
use clap::{Arg, Command, ValueHint};
use rustix::fs::OFlags;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{CONFIG_BYTES_MAX, ConfigFile, ConfigPath, ONCE, Setting, ValueKind, in_home, is_list, keys, shown};
use crate::failure::{Exit, Failure};
use crate::key;
use crate::ring::Name;

/// Keys that a user may try for a secret.
const SECRETS: [&str; 7] = ["key", "room-key", "passphrase", "password", "secret", "invite", "token"];
/// A word counts as a misspelt key if at least this share of its letters matches, in percent.
const LIKENESS_PERCENT: f64 = 60.0;

/// Reads the file; returns an empty one if none exists and none was named. `command`: the definitions of the keys.
///
/// # Errors
/// The file cannot be read, or one of its lines is wrong.
pub fn read(place: &ConfigPath, command: &Command) -> Result<ConfigFile, Failure> {
    let (path, named) = match place {
        ConfigPath::Nowhere => return Ok(ConfigFile::default()),
        ConfigPath::Usual(path) => (path, false),
        ConfigPath::Named(path) => (path, true),
    };
    let (text, foreign) = match contents(path) {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !named => return Ok(ConfigFile::default()),
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::NotFound => "there is no such file".to_owned(),
                _ => error.to_string(),
            };
            return Err(Failure::new(
                Exit::Files,
                format!("cannot read the configuration in {}", shown(path)),
                why,
                "try another --config FILE; an empty DIST_CHAT_CONFIG means that there is none",
            ));
        }
    };
    let source = ConfigText { path, text: &text, foreign };
    let table = DeTable::parse(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let hint = "a line is `key = value`, with quotes around a text: `name = \"ann\"`";
        source.wrong(at, "is not TOML", error.message(), hint)
    })?;
    let mut settings = Vec::new();
    for (key, value) in table.get_ref() {
        settings.push(source.setting(key, value, command)?);
    }
    settings.sort_by_key(|setting| setting.line);
    Ok(ConfigFile { path: Some(path.clone()), settings })
}

/// The text of a file, and the reason why other users can write it, if they can.
fn contents(path: &Path) -> io::Result<(String, Option<String>)> {
    // Without this flag, opening a pipe without a writer would block.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file: Opened = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > CONFIG_BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {CONFIG_BYTES_MAX} bytes")));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((text, foreign(&meta))),
        Err(_) => Err(io::Error::other("it is not UTF-8")),
    }
}

fn foreign(meta: &Metadata) -> Option<String> {
    let owner = meta.uid();
    if owner != rustix::process::geteuid().as_raw() && owner != 0 {
        return Some("it belongs to another user".to_owned());
    }
    (meta.mode() & 0o022 != 0).then(|| format!("its mode is {:04o}", meta.mode() & 0o7777))
}

struct ConfigText<'a> {
    path: &'a Path,
    text: &'a str,
    /// The reason why other users can write the file, if they can.
    foreign: Option<String>,
}

impl ConfigText<'_> {
    /// The line of a byte, counted from 1.
    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    /// A mistake at this byte: names the file and the line, and says what is wrong, why, and what to try.
    fn wrong(&self, at: usize, what: &str, why: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, format!("{}:{} {what}", shown(self.path), self.line(at)), why, hint)
    }

    fn setting(
        &self,
        key: &Spanned<toml::de::DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        command: &Command,
    ) -> Result<Setting, Failure> {
        let (at, key) = (key.span().start, key.get_ref().as_ref());
        if SECRETS.contains(&key) || is_secret(key) {
            return Err(self.secret(at));
        }
        let Some(arg) = keys(command).find(|arg| arg.get_long() == Some(key)) else {
            return Err(self.unknown(at, key, command));
        };
        let values = self.values(value, key, arg)?;
        if key == "key-file"
            && let Some(why) = &self.foreign
        {
            return Err(self.wrong(
                at,
                "names a key's file, and others can write here",
                format!("{why}: they could have another key taken for the room's"),
                format!("try `chmod go-w {}`, or a file of yours", shown(self.path)),
            ));
        }
        Ok(Setting { key: key.to_owned(), line: self.line(at), values })
    }

    fn secret(&self, at: usize) -> Failure {
        self.wrong(
            at,
            "is no place for a key",
            "a configuration is copied, shown and kept in repositories",
            "try `key-file = \"FILE\"` with a file of mode 0600, and take that line out",
        )
    }

    fn unknown(&self, at: usize, key: &str, command: &Command) -> Failure {
        if ONCE.contains(&key) && command.get_arguments().any(|arg| arg.get_long() == Some(key)) {
            return self.wrong(
                at,
                &format!("sets `{key}`, which is no setting"),
                "it says what is to be done now, and would be done at every start",
                format!("try --{key} on the command line"),
            );
        }
        let named: Vec<&str> = keys(command).filter_map(Arg::get_long).collect();
        let hint = match nearest(key, &named) {
            Some(near) => format!("try `{near}`"),
            None => format!("there are: {}", named.join(", ")),
        };
        self.wrong(
            at,
            &format!("has an unknown key, `{key}`"),
            "the keys are the long names of the flags of `dist-chat`",
            hint,
        )
    }

    fn values(&self, value: &Spanned<DeValue<'_>>, key: &str, arg: &Arg) -> Result<Vec<String>, Failure> {
        match value.get_ref() {
            DeValue::Array(items) if is_list(arg) => {
                items.iter().map(|item| self.value(item.get_ref(), item.span().start, key, arg)).collect()
            }
            one => Ok(vec![self.value(one, value.span().start, key, arg)?]),
        }
    }

    fn value(&self, value: &DeValue<'_>, at: usize, key: &str, arg: &Arg) -> Result<String, Failure> {
        let kind = ValueKind::of(arg);
        let text = match (kind, value) {
            (ValueKind::Switch, DeValue::Boolean(on)) => on.to_string(),
            (ValueKind::Number, DeValue::Integer(number)) if number.radix() == 10 => number.as_str().to_owned(),
            (ValueKind::Text, DeValue::String(text)) => text.as_ref().to_owned(),
            (_, other) => {
                let list = if is_list(arg) { ", or a list of such," } else { "" };
                return Err(self.wrong(
                    at,
                    &format!("gives `{key}` the wrong kind of value"),
                    format!("{}{list} is needed, and there is {}", kind.wanted(), article(other)),
                    format!("try `{key} = {}`", example(kind, arg)),
                ));
            }
        };
        if is_secret(&text) {
            return Err(self.secret(at));
        }
        if let Some(why) = mistake(arg, key, &text) {
            let hint = format!("try `{key} = {}`", example(kind, arg));
            return Err(self.wrong(at, &format!("gives `{key}` a value that it cannot have, `{text}`"), why, hint));
        }
        Ok(match arg.get_value_hint() {
            ValueHint::FilePath | ValueHint::DirPath | ValueHint::AnyPath => self.resolved(&text),
            _ => text,
        })
    }

    /// Resolves a path of the file: `~/` is the home directory, and relative paths start in the file's directory.
    fn resolved(&self, text: &str) -> String {
        let path = in_home(text).unwrap_or_else(|| self.path.parent().unwrap_or(Path::new("")).join(text));
        path.to_string_lossy().into_owned()
    }
}

fn is_secret(text: &str) -> bool {
    key::is_secret(text) || key::invite::is_one(text)
}

fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// An example value for this key.
fn example(kind: ValueKind, arg: &Arg) -> String {
    let possible = arg.get_possible_values();
    match (kind, arg.get_default_values().first(), possible.first()) {
        (ValueKind::Switch, ..) => "true".to_owned(),
        (ValueKind::Number, Some(default), _) => default.to_string_lossy().into_owned(),
        (ValueKind::Number, None, _) => "2428".to_owned(),
        (ValueKind::Text, _, Some(value)) => format!("\"{}\"", value.get_name()),
        (ValueKind::Text, ..) => match arg.get_long() {
            Some("name") => "\"ann\"".to_owned(),
            Some("address" | "advertise" | "neighbor-address") => "\"10.0.0.5\"".to_owned(),
            _ => format!("\"{}\"", arg.get_value_names().and_then(|names| names.first()).map_or("TEXT", |name| name)),
        },
    }
}

/// The command line's complaint about this value, if there is one.
fn mistake(arg: &Arg, key: &str, text: &str) -> Option<String> {
    if key == "name" {
        return Name::parse(text).err().map(|error| error.to_string());
    }
    let alone = arg.clone().env(Resettable::<OsStr>::Reset).default_value(Resettable::<OsStr>::Reset);
    let command = Command::new("config").no_binary_name(true).disable_help_flag(true).arg(alone);
    if ValueKind::of(arg) == ValueKind::Switch {
        return None;
    }
    let said = command.try_get_matches_from([format!("--{key}={text}")]).err()?.to_string();
    let first = said.lines().next().unwrap_or_default();
    let possible = said.lines().map(str::trim).find(|line| line.starts_with("[possible values"));
    let why = first.split_once("': ").map(|(_, why)| why).or(possible);
    Some(why.unwrap_or(first.trim_start_matches("error: ")).trim_matches(['[', ']']).to_owned())
}

/// The word that the user probably meant.
fn nearest<'a>(word: &str, among: &[&'a str]) -> Option<&'a str> {
    let word = word.replace('_', "-").to_lowercase();
    let likeness = |other: &str| strsim::normalized_damerau_levenshtein(&word, other);
    let best = among.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) * 100.0 >= LIKENESS_PERCENT).then_some(best)
}
