//! `status` asks a node for its state.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Ended, Node, program, run, run_args};

fn ask(dir: &Path, args: &[&str]) -> Ended {
    let args: Vec<&str> = ["status"].into_iter().chain(args.iter().copied()).collect();
    run(program(dir, &args), b"")
}

/// The number of the node's own lines that do not stand in the log yet.
pub fn waiting(node: &Node) -> u64 {
    let ended = ask(&node.dir.0, &["-p", &node.port.to_string(), "--json"]);
    serde_json::from_str::<Value>(&ended.out).ok().and_then(|report| report["waiting"].as_u64()).unwrap_or(0)
}

#[test]
fn the_json_has_stable_keys() {
    let mut ann = Node::found("ann");
    let ann_at = format!("127.0.0.1:{}", ann.port);
    let bob = Node::join("bob", &ann);
    ann.wait_for(" joined the ring ///");
    let ended = ask(&ann.dir.0, &["-a", "127.0.0.1", "-p", &ann.port.to_string(), "--json"]);
    assert_eq!((ended.code, ended.err.as_str(), ended.out.lines().count()), (0, "", 1));
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
    let mut expected =
        ["room", "name", "address", "role", "epoch", "leader", "next", "prev", "members", "log", "waiting"];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(report["name"], "ann");
    assert_eq!(report["address"], ann_at);
    assert_eq!(report["role"], "leader");
    assert_eq!(report["leader"], ann_at);
    assert_eq!(report["epoch"]["leader"], ann_at);
    assert_eq!(report["epoch"]["round"], 1);
    assert_eq!(report["members"].as_array().unwrap().len(), 2);
    assert_eq!(report["log"]["first"], 1);
    assert!(report["log"]["lamport"].as_u64() >= report["log"]["last"].as_u64());

    let report: Value = serde_json::from_str(&ask(&bob.dir.0, &["-p", &bob.port.to_string(), "--json"]).out).unwrap();
    assert_eq!((report["role"].as_str(), report["leader"].as_str()), (Some("follower"), Some(ann_at.as_str())));
    assert_eq!((report["next"].as_str(), report["prev"].as_str()), (Some(ann_at.as_str()), Some(ann_at.as_str())));
}

#[test]
fn people_get_words() {
    let ann = Node::found("ann");
    let ended = ask(&ann.dir.0, &["-p", &ann.port.to_string()]);
    assert_eq!(ended.code, 0);
    assert!(ended.out.starts_with(&format!("ann(127.0.0.1:{}), leader\nroom ", ann.port)), "{}", ended.out);
}

#[test]
fn no_node_there_is_an_error_of_its_own() {
    let ended = run_args(&["status", "-p", "1"]);
    assert_eq!((ended.code, ended.out.as_str()), (4, ""));
    assert!(ended.err.contains("no node runs with port 1"), "{}", ended.err);
    let ann = Node::found("ann");
    let ended = ask(&ann.dir.0, &["-p", "1", "--json"]);
    assert_eq!(ended.code, 4);
    assert!(ended.err.contains(&format!("try `dist-chat status -a 127.0.0.1 -p {}`", ann.port)), "{}", ended.err);
}

#[test]
fn a_dead_nodes_socket_is_replaced_and_a_clean_one_goes() {
    let ann = Node::found("ann");
    let port = ann.port.to_string();
    let socket = format!("dist-chat/127.0.0.1:{port}.sock");
    let mode = ann.dir.0.join("dist-chat").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    ann.signal(Signal::KILL);
    let (_, _, dir) = ann.wait();
    assert!(dir.0.join(&socket).exists());
    assert_eq!(ask(&dir.0, &["-p", &port]).code, 4);
    let again = program(&dir.0, &["-l", "-p", &port]);
    let again = Node::spawn(dir, again);
    assert_eq!(ask(&again.dir.0, &["-p", &port]).code, 0);
    let (code, _, dir) = again.leave();
    assert_eq!(code, 0);
    assert!(!dir.0.join(&socket).exists());
}

#[test]
fn a_node_that_is_stopped_is_said_to_give_no_answer_in_time() {
    let ann = Node::found("ann");
    ann.freeze();
    for command in [&["status"][..], &["tail", "-f"], &["send"], &["attach"]] {
        let ended = run(program(&ann.dir.0, &[command, &["-p", &ann.port.to_string()]].concat()), b"hello\n");
        let why = format!("\n  the one at 127.0.0.1:{} gives no answer within 3 s: it may be stopped\n", ann.port);
        assert!(ended.code == 4 && ended.err.contains(&why), "{command:?}: {}", ended.err);
    }
}
