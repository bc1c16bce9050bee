#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::builder::FalseyValueParser;

use super::*;
use crate::failure::Exit;

fn command() -> Command {
    let text = |name: &'static str| Arg::new(name).long(name);
    let number = || clap::value_parser!(u16).range(1..);
    Command::new("dist-chat")
        .arg(text("name"))
        .arg(text("port").value_parser(number()).default_value("2428"))
        .arg(text("bell").value_parser(["off", "mention", "all"]))
        .arg(text("verbose").action(ArgAction::SetTrue).value_parser(FalseyValueParser::new()))
        .arg(text("leader").action(ArgAction::SetTrue))
        .arg(text("data-dir").value_hint(clap::ValueHint::DirPath).default_value("."))
        .arg(text("key-file").value_hint(clap::ValueHint::FilePath))
        .arg(text("neighbor-address").action(ArgAction::Append))
        .subcommand(Command::new("status").arg(text("port").value_parser(number()).default_value("2428")))
}

fn read_text(text: &str, mode: u32) -> Result<ConfigFile, crate::failure::Failure> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    read(&ConfigPath::Named(path), &command())
}

fn mistake(text: &str) -> String {
    let failure = read_text(text, 0o600).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage, "{failure}");
    failure.to_string()
}

#[test]
fn a_file_stands_under_the_command_line() {
    let file = read_text("# mine\nname = \"ann\"\nport = 5_000\nverbose = true\n", 0o644).unwrap();
    assert_eq!(file.get("port"), Some((3, &["5000".to_owned()][..])));
    let of = |words: &[&str]| file.under(command()).try_get_matches_from(words).unwrap();
    let matches = of(&["dist-chat"]);
    assert_eq!(matches.get_one::<String>("name").unwrap(), "ann");
    assert_eq!((*matches.get_one::<u16>("port").unwrap(), matches.get_flag("verbose")), (5000, true));
    assert_eq!(*of(&["dist-chat", "--port", "7"]).get_one::<u16>("port").unwrap(), 7);
    let matches = of(&["dist-chat", "status"]);
    assert_eq!(*matches.subcommand().unwrap().1.get_one::<u16>("port").unwrap(), 5000);
}

#[test]
fn a_list_is_one_text_or_several() {
    for (text, hosts) in [("\"a\"", &["a"][..]), ("[\"a\", \"b\"]", &["a", "b"]), ("[]", &[])] {
        let file = read_text(&format!("neighbor-address = {text}"), 0o600).unwrap();
        assert_eq!(file.get("neighbor-address").unwrap().1, hosts, "{text}");
    }
}

#[test]
fn a_path_begins_where_the_file_is() {
    let file = read_text("data-dir = \"chat\"\nkey-file = \"/etc/room.key\"", 0o600).unwrap();
    let dir = Path::new(&file.get("data-dir").unwrap().1[0]);
    assert_eq!(dir.parent(), file.path.as_deref().unwrap().parent());
    assert_eq!(file.get("key-file").unwrap().1, ["/etc/room.key"]);
}

#[test]
fn a_mistake_is_told_with_its_line_and_what_to_try() {
    for (text, parts) in [
        ("\nnmae = \"ann\"", &["config.toml:2 has an unknown key, `nmae`", "try `name`"][..]),
        ("data_dir = \".\"", &["try `data-dir`"]),
        ("zzz = 1", &["there are: name, port, bell, verbose, data-dir"]),
        ("[chat]\nname = \"ann\"", &["config.toml:1 has an unknown key, `chat`"]),
        ("leader = true", &["sets `leader`, which is no setting", "try --leader on the command line"]),
        ("name = 5", &["gives `name` the wrong kind of value", "a text in quotes is needed, and there is a number"]),
        ("verbose = \"yes\"", &["true or false is needed, and there is a text"]),
        ("port = \"5\"", &["a number in decimal digits is needed", "try `port = 2428`"]),
        ("port = 0x10", &["a number in decimal digits is needed"]),
        ("port = 65536", &["gives `port` a value that it cannot have, `65536`", "65536 is not in 1..=65535"]),
        ("name = \"a b\"", &["gives `name` a value that it cannot have", "a name is made of letters"]),
        ("bell = \"loud\"", &["possible values: off, mention, all", "try `bell = \"off\"`"]),
        ("neighbor-address = [\"a\",\n 2]", &["config.toml:2 gives `neighbor-address`", "or a list of such"]),
        ("name = \"ann", &["config.toml:1 is not TOML"]),
        ("name = \"ann\"\nname = \"bob\"", &["config.toml:2 is not TOML", "duplicate key"]),
    ] {
        let said = mistake(text);
        assert!(parts.iter().all(|part| said.contains(part)), "{text}: {said}");
    }
}

#[test]
fn a_secret_is_refused_and_not_repeated() {
    let drawn = crate::key::generated::fresh().unwrap();
    for text in [format!("key-file = \"{}\"", *drawn), format!("{} = 1", *drawn), "passphrase = \"hush\"".to_owned()] {
        let said = mistake(&text);
        assert!(said.contains("config.toml:1 is no place for a key"), "{said}");
        assert!(!said.contains(&**drawn) && !said.contains("hush"), "{said}");
    }
}

#[test]
fn a_key_file_is_not_taken_from_a_file_that_others_write() {
    let text = "key-file = \"room.key\"";
    assert!(read_text(text, 0o644).is_ok());
    for mode in [0o666, 0o664, 0o602] {
        let said = read_text(text, mode).unwrap_err().to_string();
        assert!(said.contains("others can write here") && said.contains("chmod go-w"), "{said}");
    }
    assert!(read_text("name = \"ann\"", 0o666).is_ok());
}

#[test]
fn only_a_file_that_was_named_must_be_there() {
    let none = PathBuf::from("/nonexistent/config.toml");
    assert_eq!(read(&ConfigPath::Usual(none.clone()), &command()), Ok(ConfigFile::default()));
    assert_eq!(read(&ConfigPath::Named(none), &command()).unwrap_err().exit, Exit::Files);
    assert_eq!(read(&ConfigPath::Nowhere, &command()), Ok(ConfigFile::default()));
    assert_eq!(read(&ConfigPath::Named("/dev".into()), &command()).unwrap_err().why, "it is no regular file");
    assert!(read_text(&"#".repeat(CONFIG_BYTES_MAX as usize + 1), 0o600).unwrap_err().why.contains("bytes"));
}

#[test]
fn the_file_is_where_the_desktop_has_its_like() {
    let with = |set: &[(&str, &str)], named: Option<&str>| {
        let set: Vec<_> = set.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let value = |name: &str| set.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone().into());
        place(named.map(Path::new), value)
    };
    let usual = |path: &str| ConfigPath::Usual(path.into());
    assert_eq!(with(&[("HOME", "/home/ann")], None), usual("/home/ann/.config/dist-chat/config.toml"));
    assert_eq!(with(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c")], None), usual("/c/dist-chat/config.toml"));
    assert_eq!(with(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "c")], None), usual("/h/.config/dist-chat/config.toml"));
    assert_eq!(with(&[], None), ConfigPath::Nowhere);
    assert_eq!(with(&[("HOME", "/h")], Some("")), ConfigPath::Nowhere);
    assert_eq!(with(&[("HOME", "/h")], Some("my.toml")), ConfigPath::Named("my.toml".into()));
}

#[test]
fn a_text_is_written_as_it_is_read() {
    for text in ["ann", "a\"b\\c", "\u{1}\u{7f}\n\t", "\u{00fc}\u{1f600}"] {
        let written = format!("name = {}", show::quoted(text));
        let table = toml::de::DeTable::parse(&written).unwrap();
        assert_eq!(table.get_ref().get("name").unwrap().get_ref().as_str(), Some(text), "{written}");
    }
}
