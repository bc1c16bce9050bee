//! Chooses the configuration file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The configuration file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigPath {
    /// No file.
    Nowhere,
    /// The default file, if it exists.
    Usual(PathBuf),
    /// This file, which must exist.
    Named(PathBuf),
}

/// `named`: the value of `--config` or `DIST_CHAT_CONFIG`; an empty value means no file. Otherwise the file is
/// `dist-chat/config.toml` in `$XDG_CONFIG_HOME`, or in `~/.config` if that is not set or not absolute (the
/// [specification](https://specifications.freedesktop.org/basedir-spec/latest/) ignores relative paths).
pub fn place(named: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> ConfigPath {
    match named {
        Some(path) if path.as_os_str().is_empty() => return ConfigPath::Nowhere,
        Some(path) => return ConfigPath::Named(path.to_owned()),
        None => {}
    }
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    match absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config"))) {
        Some(dir) => ConfigPath::Usual(dir.join("dist-chat").join("config.toml")),
        None => ConfigPath::Nowhere,
    }
}

/// Expands `~/`. `None`: the path has no `~/`, or there is no home directory.
pub fn in_home(text: &str) -> Option<PathBuf> {
    let rest = text.strip_prefix("~/")?;
    std::env::var_os("HOME").map(|home| PathBuf::from(home).join(rest))
}

/// A path for people: with `~` for the home directory.
pub fn shown(path: &Path) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute() && home.parent().is_some());
    match home.as_deref().and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}
