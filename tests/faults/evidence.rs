//! What a world leaves behind to be judged.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

use crate::harness::{Chat, Node, pause, soon};
use crate::world::{Run, World};

/// One life of a node, as its owner saw it.
pub struct Seen {
    pub name: String,
    /// What its lines begin with.
    pub tag: String,
    /// Before each of its lines was typed.
    pub typed: Vec<Instant>,
    /// What it was shown, and when.
    pub shown: Vec<(Instant, Chat)>,
    /// It has not ended.
    pub lives: bool,
    /// Its files were there for the next run, or it lives.
    pub kept: bool,
    /// Its disk was full for a while.
    pub blind: bool,
    /// It ended as asked.
    pub left: bool,
}

/// The chat lines of one chat log.
pub struct Log {
    pub name: String,
    pub chats: Vec<Chat>,
    /// Its owner was in the room since.
    pub since: Option<Instant>,
}

/// Everything that can be looked at from outside.
pub struct Evidence {
    /// `history --json` of each node.
    pub histories: Vec<(String, Vec<Value>)>,
    pub runs: Vec<Seen>,
    pub logs: Vec<Log>,
    /// Lines typed by hand, by tag, by somebody who lives or comes back: so many.
    pub by_hand: BTreeMap<String, u64>,
}

impl Evidence {
    /// From a world whose talkers are silent and whose nodes are one quiet room.
    pub fn of(world: &World) -> Self {
        let nodes = world.nodes();
        let histories = histories(&nodes);
        let end = histories[0].1.iter().rev().find_map(|entry| entry["text"].as_str());
        let (mut runs, mut logs) = (Vec::new(), Vec::new());
        for place in world.every().into_iter().map(|place| &world.places[place]) {
            for (i, run) in place.runs.iter().enumerate() {
                let shown = run.node.screen.look(|shown| shown.at.iter().copied().zip(shown.chats.clone()).collect());
                runs.push(Seen {
                    name: place.name.clone(),
                    tag: run.talker.tag.clone(),
                    typed: (0..run.talker.count()).map(|n| run.talker.typed_at(n)).collect(),
                    shown,
                    lives: i + 1 == place.runs.len(),
                    kept: run.kept,
                    blind: run.blind,
                    left: run.left,
                });
            }
            let since = place.runs.iter().filter(|run| run.kept).find_map(Run::entered_at);
            logs.push(Log { name: place.name.clone(), chats: log(place.node(), end), since });
        }
        Self { histories, runs, logs, by_hand: world.by_hand.clone() }
    }
}

fn history(node: &Node) -> Vec<Value> {
    node.history().unwrap_or_else(|said| panic!("{}: history: {said}", node.name))
}

/// Their histories, once they are the same, or when they have had time enough: a newcomer's log streams in behind its
/// back, and a disk that was full takes what is missing a while later.
fn histories(nodes: &[&Node]) -> Vec<(String, Vec<Value>)> {
    let until = soon(20);
    loop {
        let all: Vec<_> = nodes.iter().map(|node| (node.name.clone(), history(node))).collect();
        if all.iter().all(|(_, history)| *history == all[0].1) || Instant::now() > until {
            return all;
        }
        pause();
    }
}

/// The chat log, once it holds this line, or when it has had time enough: a disk that was full takes what is missing a
/// while later.
fn log(node: &Node, end: Option<&str>) -> Vec<Chat> {
    let until = soon(20);
    loop {
        let log = node.log_chats();
        if end.is_none_or(|end| log.iter().any(|chat| chat.text == end)) || Instant::now() > until {
            return log;
        }
        pause();
    }
}
