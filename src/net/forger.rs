//! Makes a node lie, so that tests can show that other nodes notice. Exists only in builds with the feature `forger`,
//! which no other build has.
//!
//! `DIST_CHAT_FORGE=member:NAME:AUTHOR`: the node submits its lines in the name of this author.
//! `DIST_CHAT_FORGE=leader`: the node alters other authors' lines in its stream. Both change only lines that contain
//! the word [`TRUTH`], so that a room can form before.

use std::sync::{Arc, LazyLock};

use crate::ring::{AuthorId, Body, Entry, Frame, Line, Name, Text};

const TRUTH: &str = "truth";
const LIE: &str = "lie";

static LIES: LazyLock<Option<Lies>> = LazyLock::new(|| Lies::parse(&std::env::var("DIST_CHAT_FORGE").ok()?));

enum Lies {
    Member(Name, AuthorId),
    Leader,
}

impl Lies {
    fn parse(wanted: &str) -> Option<Self> {
        if wanted == "leader" {
            return Some(Self::Leader);
        }
        let (name, author) = wanted.strip_prefix("member:")?.split_once(':')?;
        Some(Self::Member(Name::parse(name).ok()?, AuthorId::parse(author)?))
    }
}

/// The forged frame to send instead of `frame`. `None`: `frame` is sent unchanged.
pub(super) fn lie(frame: &Frame) -> Option<Frame> {
    let mut frame = frame.clone();
    match (LIES.as_ref()?, &mut frame) {
        (Lies::Member(name, author), Frame::Submit(submit)) => submit.lines.iter_mut().for_each(|line| {
            if let Some(lie) = altered(line) {
                let mut lie = Line { name: name.clone(), ..lie };
                lie.id.author = *author;
                *line = Arc::new(lie);
            }
        }),
        (Lies::Leader, Frame::Entries(entries)) => entries.batch.entries.iter_mut().for_each(|entry| {
            if let Some(lie) = entry.line().and_then(altered) {
                *entry = Arc::new(Entry { body: Body::Line(Arc::new(lie)), ..Entry::clone(entry) });
            }
        }),
        (Lies::Member(..) | Lies::Leader, _) => return None,
    }
    Some(frame)
}

fn altered(line: &Line) -> Option<Line> {
    let said = line.text.as_str();
    let lie = said.contains(TRUTH).then(|| Text::parse(&said.replace(TRUTH, LIE)).ok())??;
    Some(Line { text: lie, ..line.clone() })
}
