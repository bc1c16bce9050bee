#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use super::*;
use crate::cmd::chat::{HELP, JOIN_HELP};
use crate::cmd::page;
use crate::key::RoomKey;
use crate::ring::Rate;
use crate::settings::{Advertise, COMMANDS, Contact, KeyFrom, PORT_DEFAULT, StartMode};

fn parse_words(words: &str) -> Result<CliRequest, CliExit> {
    // The tests must not read the configuration of the user who runs them.
    parse_in(std::iter::once("dist-chat").chain(words.split_whitespace()).map(OsString::from), |_| {
        config::ConfigPath::Nowhere
    })
}

fn chat_of(words: &str) -> Chat {
    match parse_words(words) {
        Ok(CliRequest::Chat(chat)) => chat,
        other => panic!("{words}: {other:?}"),
    }
}

fn contact(host: &str, port: u16) -> Contact {
    Contact { host: host.to_owned(), port }
}

#[test]
fn a_room_is_created() {
    let chat = chat_of("-l -a 10.0.0.5 -p 5001 -n ann");
    assert_eq!(chat.start, StartMode::Create);
    assert_eq!((chat.address, chat.port), (Some([10, 0, 0, 5].into()), 5001));
    assert_eq!((chat.name.as_str(), chat.rename), ("ann", false));
    assert_eq!(chat_of("-l -n ann").port, PORT_DEFAULT);
}

#[test]
fn the_full_screen_is_asked_for() {
    assert!(chat_of("-l -n ann --tui").tui && !chat_of("-l -n ann").tui);
}

#[test]
fn neighbours_are_whole_tokens() {
    let one = StartMode::Join(vec![contact("10.0.0.5", 5001)]);
    assert_eq!(chat_of("-n ann -na 10.0.0.5 -np 5001").start, one);
    assert_eq!(chat_of("-n=ann -na=10.0.0.5 -np=5001").start, one);
    assert_eq!(chat_of("--name ann --neighbor-address 10.0.0.5 --neighbor-port 5001").start, one);
    assert_eq!(chat_of("-n ann -na 10.0.0.5:5001").start, one);
    assert_eq!(chat_of("-na host").start, StartMode::Join(vec![contact("host", PORT_DEFAULT)]));
    assert_eq!(chat_of("-na ::1 -np 7").start, StartMode::Join(vec![contact("::1", 7)]));
    assert_eq!(chat_of("-na [::1]:8").start, StartMode::Join(vec![contact("::1", 8)]));
}

#[test]
fn neighbours_may_be_several() {
    let both = vec![contact("a", 1), contact("b", 2), contact("c", 2)];
    assert_eq!(chat_of("-na a -np 1 -na b -np 2 -na c").start, StartMode::Join(both));
}

#[test]
fn glued_names_are_refused() {
    for words in ["-na10.0.0.5", "-nann", "-l -npeter", "-l -n= ", "-na= ", "-na a:b", "-na x -np 0", "-l -n a/b"] {
        assert!(parse_words(words).is_err(), "{words}");
    }
}

#[test]
fn one_of_the_two_commands_is_needed() {
    assert_eq!(chat_of("-n ann").start, StartMode::Resume);
    for (words, what) in
        [("-n ann --ephemeral", "start a room"), ("-l -na 10.0.0.5", "contradict"), ("--new -na x", "--new")]
    {
        match parse_words(words) {
            Err(CliExit::Failure(failure)) => {
                assert_eq!(failure.exit, Exit::Usage);
                assert!(failure.what.contains(what), "{failure}");
            }
            other => panic!("{words}: {other:?}"),
        }
    }
}

#[test]
fn status_has_flags_of_its_own() {
    let query = status::StatusArgs { address: Some([127, 0, 0, 1].into()), port: 5001, json: true };
    assert!(matches!(parse_words("status -a 127.0.0.1 -p 5001 --json"), Ok(CliRequest::Status(q)) if q == query));
}

#[test]
fn history_has_flags_of_its_own() {
    let Ok(CliRequest::History(args)) = parse_words("history -p 5001 -n 20 --grep -x --since 2h --json") else {
        panic!()
    };
    assert_eq!((args.port, args.lines, args.json), (5001, Some(20), true));
    assert_eq!((args.grep.as_deref(), args.since.as_deref()), (Some("-x"), Some("2h")));
    for words in ["history -n x", "history ann", "history --from"] {
        assert!(matches!(parse_words(words), Err(CliExit::Failure(failure)) if failure.exit == Exit::Usage), "{words}");
    }
    assert_eq!(parse_words("history --help").unwrap_err(), CliExit::Print(history::HELP.to_owned()));
}

#[test]
fn programs_that_speak_through_a_node_have_flags_of_their_own() {
    let Ok(CliRequest::Send(args)) = parse_words("send -m -x -m y --channel ops --wait -a ::1 -p 5001") else {
        panic!()
    };
    assert_eq!((args.messages, args.channel.as_deref(), args.wait), (vec!["-x".into(), "y".into()], Some("ops"), true));
    assert_eq!((args.which.port, args.which.address), (5001, Some(std::net::Ipv6Addr::LOCALHOST.into())));
    let Ok(CliRequest::Send(args)) = parse_words("send -") else { panic!() };
    assert_eq!((args.input, args.which.port, args.which.data_dir), (vec!["-".to_owned()], PORT_DEFAULT, None));
    let Ok(CliRequest::Tail(args)) = parse_words("tail -fn 0 --json --data-dir d") else { panic!() };
    assert_eq!((args.follow, args.lines, args.json, args.which.data_dir), (true, Some(0), true, Some("d".into())));
    assert!(matches!(parse_words("attach --json"), Ok(CliRequest::Attach(args)) if args.json));
    for words in ["send x", "send -m x -", "tail -n 5 --since 1h", "tail -n 100001", "attach x", "-l attach"] {
        assert!(matches!(parse_words(words), Err(CliExit::Failure(failure)) if failure.exit == Exit::Usage), "{words}");
    }
    for (words, help) in [("send --help", send::HELP), ("tail --help", tail::HELP), ("attach --help", attach::HELP)] {
        assert_eq!(parse_words(words).unwrap_err(), CliExit::Print(help.to_owned()));
    }
}

#[test]
fn advertised_addresses() {
    let of = |text: &str| text.parse::<Advertise>();
    assert_eq!(of("1.2.3.4:5").unwrap(), Advertise { ip: [1, 2, 3, 4].into(), port: Some(5) });
    assert_eq!(of("::1").unwrap().port, None);
    for bad in ["0.0.0.0", "::", "1.2.3.4:0", "host", "1.2.3.4:"] {
        assert!(of(bad).is_err(), "{bad}");
    }
}

#[test]
fn help_fits_a_screen_and_names_every_flag() {
    assert!(HELP.starts_with(COMMANDS));
    assert!(HELP.lines().count() <= 24, "{} lines", HELP.lines().count());
    assert!(HELP.lines().all(|line| line.chars().count() < 80));
    for arg in line::command().get_arguments() {
        let long = arg.get_long().unwrap();
        assert!(HELP.contains(&format!("--{long}")), "{long}");
    }
}

#[test]
fn a_key_comes_from_a_file_or_a_person() {
    assert_eq!(chat_of("-l").key, KeyFrom::Unsaid);
    assert_eq!(chat_of("-l --key-file room.key").key, KeyFrom::File("room.key".into()));
    assert_eq!(chat_of("-na x --ask-key").key, KeyFrom::Asked);
    assert!(parse_words("-l --ask-key --key-file room.key").is_err());
}

#[test]
fn joining_with_an_invite_has_a_members_flags() {
    let chat = chat_of("join token.txt -p 5001 -n ann -a 10.0.0.5 --daemon");
    assert_eq!((chat.key, chat.start), (KeyFrom::Invite(Some("token.txt".into())), StartMode::Join(Vec::new())));
    assert_eq!((chat.port, chat.name.as_str(), chat.daemon), (5001, "ann", true));
    assert_eq!(chat_of("join").key, KeyFrom::Invite(None));
    for words in ["join -l", "join -na x", "join a b", "join --key-file f", "-l join"] {
        assert!(parse_words(words).is_err(), "{words}");
    }
    assert!(JOIN_HELP.lines().count() <= 24 && JOIN_HELP.lines().all(|line| line.chars().count() < 80));
}

#[test]
fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
    let key = crate::key::generated::fresh().unwrap();
    let kept = RoomKey::new([7; 32], None).kept();
    let token = crate::key::invite::Invite { addresses: vec![([10, 0, 0, 5], 2428).into()], key: None }.token();
    for secret in [&*key, &*key.to_uppercase(), &*kept, &*token, "dcinvite7damaged"] {
        for words in ["", "join ", "--key-file ", "--key-file=", "-n ", "key ", "-l --key=", "--nonsense="] {
            let Err(CliExit::Failure(failure)) = parse_words(&format!("{words}{secret}")) else { panic!("{words}") };
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.what.contains("never an argument"), "{failure}");
            assert!(!failure.to_string().contains(secret), "{failure}");
        }
    }
    let Err(CliExit::Failure(failure)) = parse_words("-l --key hush-hush-hush") else { panic!() };
    assert!(!failure.to_string().contains("hush"), "{failure}");
}

#[test]
fn a_secret_in_the_environment_is_refused() {
    let refused_with = |set: &str, value: &str| line::refuse_secrets(&[], &[(set.to_owned(), value.to_owned())]);
    let refused = |set: &str| refused_with(set, "/home/ann/room.key");
    for set in ["DIST_CHAT_KEY", "DIST_CHAT_PASSPHRASE", "DIST_CHAT_INVITE"] {
        assert!(refused(set).unwrap_err().hint.contains("DIST_CHAT_KEY_FILE"), "{set}");
    }
    assert_eq!(refused("DIST_CHAT_KEY_FILE"), Ok(()));
    let key = crate::key::generated::fresh().unwrap();
    for set in ["DIST_CHAT_KEY_FILE", "DIST_CHAT_NAME", "DIST_CHAT_DATA_DIR"] {
        let failure = refused_with(set, &key).unwrap_err();
        assert!(failure.what.contains(set) && !failure.to_string().contains(&**key), "{failure}");
    }
    assert_eq!(refused_with("EDITOR", &key), Ok(()));
}

#[test]
fn who_moderates_is_said_with_dash_l() {
    let author = "ab".repeat(32);
    let chat = chat_of(&format!("-l -n ann --moderators {author},{}", "cd".repeat(32)));
    assert_eq!(chat.moderators.len(), 2);
    assert_eq!(chat.moderators[0].to_string(), author);
    for words in [format!("-na 10.0.0.5 --moderators {author}"), "-l --moderators bob".to_owned()] {
        assert!(parse_words(&words).is_err(), "{words}");
    }
    assert_eq!(chat_of("-l -n ann").rate, Rate::DEFAULT);
    assert_eq!(chat_of("-l -n ann --rate-limit 0").rate.lines, 0);
}

#[test]
fn every_command_has_a_help_and_a_page() {
    let command = line::command();
    let mut told: Vec<&str> = command.get_subcommands().map(|sub| sub.get_name()).collect();
    told.push("");
    told.sort_unstable();
    let mut paged: Vec<&str> = man::PAGES.iter().map(|page| page.command).collect();
    let mut helped: Vec<&str> =
        man::PAGES.iter().filter(|page| !page.help.is_empty()).map(|page| page.command).collect();
    paged.sort_unstable();
    helped.sort_unstable();
    assert_eq!((&paged, &helped), (&told, &told));
    for page in man::PAGES {
        assert!(!page.says.is_empty() && !page.usage.is_empty() && page.exits.contains(&"0"), "{}", page.command);
        assert!(page.exits.iter().all(|exit| page::EXITS.iter().any(|(code, _)| code == exit)), "{}", page.command);
    }
}
