//! What must hold once everything is healed: the simulator's invariants, seen from outside.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

use crate::harness::{Chat, Node, poll, soon};
use crate::tally::Tally;
use crate::world::{Run, World};

/// A line of the history.
struct Line {
    ts: u64,
    text: String,
}

/// Checks the world, whose talkers are silent and whose nodes are one quiet room; panics with what it found wrong.
pub fn check(world: &World, nobody_moves: bool, tally: &mut Tally) {
    let mut wrong = Wrong::default();
    let before = (tally.lost, tally.doubled, tally.diverged);
    let nodes = world.nodes();
    let whole = history(nodes[0]);
    for node in &nodes[1..] {
        let other = poll_same(node, &whole);
        for (i, (a, b)) in whole.iter().zip(&other).enumerate().filter(|(_, (a, b))| a != b) {
            tally.diverged += 1;
            wrong.say(|| format!("{} and {} differ at entry {i}: {a} and {b}", nodes[0].name, node.name));
        }
        if whole.len() != other.len() {
            tally.diverged += 1;
            wrong.say(|| format!("{} has {} entries, {} has {}", nodes[0].name, whole.len(), node.name, other.len()));
        }
    }
    check_shape(&whole, tally, &mut wrong);
    let lines: Vec<Line> = whole.iter().filter_map(line).collect();
    tally.ordered += lines.len() as u64;
    tally.elections += whole.last().and_then(round).unwrap_or(1).saturating_sub(1);

    let mut places: HashMap<&str, usize> = HashMap::new();
    for (i, line) in lines.iter().enumerate() {
        if places.insert(&line.text, i).is_some() {
            tally.doubled += 1;
            wrong.say(|| format!("{:?} stands twice in the history", line.text));
        }
    }
    check_authors(world, &lines, tally, &mut wrong);
    let owed = owed(world);
    tally.owed += owed.len() as u64;
    for text in owed.iter().filter(|text| !places.contains_key(text.as_str())) {
        tally.lost += 1;
        wrong.say(|| format!("{text:?} was acknowledged and is lost"));
    }
    for place in world.every().into_iter().map(|place| &world.places[place]) {
        for run in &place.runs {
            check_screen(run, &lines, &places, nobody_moves, tally, &mut wrong);
        }
        check_log(place.node(), place.runs.iter().all(|run| run.kept), &lines, &places, tally, &mut wrong);
    }
    let after = (tally.lost, tally.doubled, tally.diverged);
    assert!(wrong.0.is_empty() && before == after, "broken promises:\n  {}", wrong.0.join("\n  "));
}

/// The first complaints; more would say nothing new.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn say(&mut self, what: impl FnOnce() -> String) {
        if self.0.len() < 20 {
            self.0.push(what());
        }
    }
}

fn history(node: &Node) -> Vec<Value> {
    if !crate::world::stored() {
        // INTERIM
        return node.screen.look(|s| {
            s.chats
                .iter()
                .enumerate()
                .map(|(i, c)| serde_json::json!({"index": i, "ts": c.ts, "text": c.text, "epoch": {"round": 1}}))
                .collect()
        });
    }
    node.history().unwrap_or_else(|said| panic!("{}: history: {said}", node.name))
}

/// A node's history, once it is this one, or when it has had time enough: a newcomer's log streams in behind its back.
pub fn poll_same(node: &Node, whole: &[Value]) -> Vec<Value> {
    let until = soon(20);
    let mut last = history(node);
    while last != whole && std::time::Instant::now() < until {
        crate::harness::pause();
        last = history(node);
    }
    last
}

fn line(entry: &Value) -> Option<Line> {
    Some(Line { ts: entry["ts"].as_u64()?, text: entry["text"].as_str()?.to_owned() })
}

fn round(entry: &Value) -> Option<u64> {
    entry["epoch"]["round"].as_u64()
}

/// Indexes and timestamps rise, epochs do not fall.
fn check_shape(whole: &[Value], tally: &mut Tally, wrong: &mut Wrong) {
    for pair in whole.windows(2) {
        let rises = |key: &str| pair[0][key].as_u64() < pair[1][key].as_u64();
        if !rises("index") || !rises("ts") || round(&pair[0]) > round(&pair[1]) {
            tally.diverged += 1;
            wrong.say(|| format!("out of order: {} before {}", pair[0], pair[1]));
        }
    }
}

/// Every line was typed, and each author's lines stand in the order of their typing, none left out.
fn check_authors(world: &World, lines: &[Line], tally: &mut Tally, wrong: &mut Wrong) {
    let typed: HashMap<&str, u64> = world
        .places
        .iter()
        .flat_map(|place| &place.runs)
        .map(|run| (run.talker.tag.as_str(), run.talker.count()))
        .chain(world.by_hand.iter().map(|(tag, count)| (tag.as_str(), *count)))
        .collect();
    tally.typed += typed.values().sum::<u64>();
    let mut next: HashMap<&str, u64> = HashMap::new();
    let mut seen = HashSet::new();
    for line in lines.iter().filter(|line| seen.insert(line.text.as_str())) {
        let Some((tag, n)) = Chat::number(&line.text) else {
            wrong.say(|| format!("nobody typed {:?}", line.text));
            continue;
        };
        if typed.get(tag).is_none_or(|count| n >= *count) {
            wrong.say(|| format!("nobody typed {:?}", line.text));
        }
        let due = next.entry(tag).or_default();
        if n != *due {
            tally.diverged += 1;
            wrong.say(|| format!("{tag} {n} stands where {tag} {due} was due"));
        }
        *due = n + 1;
    }
}

/// What must be there: all that anybody was shown who still has its files, and all that was typed by those who live or
/// left as asked.
fn owed(world: &World) -> BTreeSet<String> {
    let by_hand = world.by_hand.iter().flat_map(|(tag, count)| (0..*count).map(move |n| format!("{tag} {n}")));
    let mut owed: BTreeSet<String> = by_hand.collect();
    for place in &world.places {
        for (i, run) in place.runs.iter().enumerate() {
            let lives = i + 1 == place.runs.len();
            // What was written to a full disk and nowhere else does not outlive its process.
            if run.kept && (lives || !run.blind) {
                run.node.screen.look(|shown| owed.extend(shown.chats.iter().map(|chat| chat.text.clone())));
            }
            if lives || (run.left && run.kept && !run.blind) {
                owed.extend((0..run.talker.count()).map(|n| format!("{} {n}", run.talker.tag)));
            }
        }
    }
    owed
}

/// Nothing was shown twice in one run; and what somebody had read stands before what it typed then.
fn check_screen(
    run: &Run,
    lines: &[Line],
    places: &HashMap<&str, usize>,
    nobody_moves: bool,
    tally: &mut Tally,
    wrong: &mut Wrong,
) {
    run.node.screen.look(|shown| {
        let mut seen = HashSet::new();
        for chat in &shown.chats {
            if !seen.insert(chat.text.as_str()) {
                tally.doubled += 1;
                wrong
                    .say(|| format!("{} was shown {:?} twice in its run {}", run.node.name, chat.text, run.talker.tag));
            }
            let Some(place) = places.get(chat.text.as_str()) else { continue };
            if lines[*place].ts != chat.ts {
                tally.moved += 1;
                if nobody_moves {
                    tally.diverged += 1;
                    wrong.say(|| format!("{}: {chat:?} has moved to {}", run.node.name, lines[*place].ts));
                }
            }
        }
        // The furthest place of anything read so far, line by line of what was typed.
        let (mut read, mut furthest) = (0, None);
        for n in 0..run.talker.count() {
            let typed_at = run.talker.typed_at(n);
            while shown.at.get(read).is_some_and(|at| *at <= typed_at) {
                furthest = furthest.max(places.get(shown.chats[read].text.as_str()).copied());
                read += 1;
            }
            let text = format!("{} {n}", run.talker.tag);
            if let (Some(mine), Some(furthest)) = (places.get(text.as_str()), furthest)
                && *mine < furthest
            {
                tally.diverged += 1;
                wrong.say(|| format!("{text:?} stands before {:?}, which its author had read", lines[furthest].text));
            }
        }
    });
}

/// No line stands twice in a chat log; counts what is not there. `whole`: the log begins with the room.
fn check_log(
    node: &Node,
    whole: bool,
    lines: &[Line],
    places: &HashMap<&str, usize>,
    tally: &mut Tally,
    wrong: &mut Wrong,
) {
    let end = lines.last().map(|line| line.text.as_str());
    let log = poll_log(node, end);
    let mut seen = BTreeMap::new();
    for chat in &log {
        if let Some(before) = seen.insert(chat.text.as_str(), chat.ts) {
            tally.doubled += 1;
            wrong.say(|| {
                format!("{}: {:?} stands twice in its chat log, as {before} and as {}", node.name, chat.text, chat.ts)
            });
        }
    }
    let from = match whole {
        true => 0,
        false => log.iter().filter_map(|chat| places.get(chat.text.as_str())).min().copied().unwrap_or(lines.len()),
    };
    tally.unlogged += lines[from..].iter().filter(|line| !seen.contains_key(line.text.as_str())).count() as u64;
}

/// The chat log, once it holds this line, or when it has had time enough.
fn poll_log(node: &Node, end: Option<&str>) -> Vec<Chat> {
    let until = soon(3);
    poll("the log", soon(10), || {
        let log = node.log_chats();
        let whole = end.is_none_or(|end| log.iter().any(|chat| chat.text == end));
        (whole || std::time::Instant::now() > until).then_some(log)
    })
}
