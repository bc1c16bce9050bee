#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

#[test]
fn a_place_is_a_host_and_perhaps_a_port() {
    for (place, host, port) in [
        ("10.0.0.5", "10.0.0.5", PORT_DEFAULT),
        ("10.0.0.5:7", "10.0.0.5", 7),
        ("::1", "::1", PORT_DEFAULT),
        ("[::1]:7", "::1", 7),
        ("ann.example", "ann.example", PORT_DEFAULT),
        ("ann.example:7", "ann.example", 7),
    ] {
        assert_eq!(host_and_port(place).unwrap(), (host.to_owned(), port), "{place}");
    }
    for wrong in ["", ":7", "ann:", "ann:0", "ann:x", "ann:65536"] {
        assert_eq!(host_and_port(wrong).unwrap_err().exit, Exit::Usage, "{wrong}");
    }
}

#[test]
fn silence_and_no_route_are_told_apart() {
    let there = "10.0.0.5:2428".parse().unwrap();
    let of = |kind: io::ErrorKind| unconnected(&there, &kind.into());
    assert_eq!(of(io::ErrorKind::HostUnreachable).0, Layer::Route);
    let (layer, failure) = of(io::ErrorKind::TimedOut);
    assert_eq!((layer, failure.exit), (Layer::Tcp, Exit::Unreachable));
    assert!(failure.why.contains("a firewall drops"), "{failure}");
    assert!(of(io::ErrorKind::ConnectionRefused).1.why.contains("nothing listens there"));
}

#[test]
fn what_fails_is_told_with_what_to_try() {
    let (layer, failure) = room_key(salt::SaltAnswer::Generated, None).unwrap_err();
    let said = Finding::fail(layer, failure).for_people();
    assert_eq!(
        said,
        "FAIL key      the room has a key, and this program was given none\n              only who knows the key is let in, \
         and nothing is said in clear\n              ask a member for the key file or an invite; try `--key-file FILE`\n"
    );
    assert!(HELP.lines().count() <= 24 && HELP.lines().all(|line| line.chars().count() < 80), "{HELP}");
}
