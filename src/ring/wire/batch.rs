//! The wire form of batches of entries and lines.
//!
//! Most lines of a batch come from few authors. So a table holds each speaker once, and each line names its place in
//! the table; the epoch stands once too. This saves a third of the bytes, and most of the work, in a busy room.
//!
//! ```json
//! {"epoch":{"r":1,"l":"10.0.0.5:2428","o":"5be0cd19137e2179"},
//!  "who":[{"a":"6a09e667f3bcc908","s":"bb67ae8584caa73b","by":"ann","at":"10.0.0.5:2428"}],
//!  "entries":[{"i":7,"l":12,"w":1700000000000,"f":0,"n":3,"t":10,"say":"hello"},
//!             {"i":8,"l":13,"w":1700000000001,"note":{"left":{"uid":"10.0.0.9:2428","lost":true}}}]}
//! ```

use std::sync::Arc;

use serde::de::Error;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ring::log::channel::Channel;
use crate::ring::log::entry::Batch;
use crate::ring::log::entry::RunSignature;
use crate::ring::log::entry::{Act, Body, Entry, Line, Note};
use crate::ring::types::id::{Epoch, Index, Lamport, LineId, Name, SessionId, StreamId, Text, Uid, WallMs};
use crate::ring::types::parse::{number, number_if_any};
use crate::ring::types::proof::AuthorId;
use crate::ring::wire::frame::Submit;

/// One speaker in the table of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Speaker {
    #[serde(rename = "a")]
    author: AuthorId,
    #[serde(rename = "s")]
    session: SessionId,
    #[serde(rename = "by")]
    name: Name,
    #[serde(rename = "at")]
    uid: Uid,
}

/// The table of a batch that is being written.
#[derive(Default)]
struct Speakers {
    table: Vec<Speaker>,
    /// For each line its place in the table.
    places: Vec<u32>,
}

impl Speakers {
    fn of<'a>(lines: impl Iterator<Item = &'a Line>) -> Self {
        let mut speakers = Self::default();
        let mut last = 0;
        for line in lines {
            if !speakers.table.get(last).is_some_and(|speaker| speaker.is_of(line)) {
                last = speakers.place(line);
            }
            speakers.places.push(u32::try_from(last).unwrap_or(u32::MAX));
        }
        speakers
    }

    fn place(&mut self, line: &Line) -> usize {
        let known = self.table.iter().position(|speaker| speaker.is_of(line));
        known.unwrap_or_else(|| {
            self.table.push(Speaker {
                author: line.id.author,
                session: line.id.session,
                name: line.name.clone(),
                uid: line.uid,
            });
            self.table.len() - 1
        })
    }
}

impl Speaker {
    fn is_of(&self, line: &Line) -> bool {
        self.session == line.id.session
            && self.author == line.id.author
            && self.uid == line.uid
            && self.name == line.name
    }

    fn line(&self, LineIn { f: _, n, t, say, channel, act, seal }: LineIn) -> Arc<Line> {
        let id = LineId { author: self.author, session: self.session, n };
        Arc::new(Line {
            id,
            lamport: t,
            name: self.name.clone(),
            uid: self.uid,
            text: say,
            channel,
            act,
            signature: seal,
        })
    }
}

// ---- entries

#[derive(Serialize)]
struct BatchOut<'a> {
    epoch: Option<Epoch>,
    who: &'a [Speaker],
    entries: EntriesOut<'a>,
}

struct EntriesOut<'a>(&'a [Arc<Entry>], &'a [u32]);

#[derive(Serialize)]
struct LineEntryOut<'a> {
    i: Index,
    l: Lamport,
    w: WallMs,
    f: u32,
    n: u64,
    t: Lamport,
    say: &'a Text,
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    channel: Option<&'a Channel>,
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    act: Option<&'a Act>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seal: Option<&'a RunSignature>,
}

#[derive(Serialize)]
struct NoteEntryOut<'a> {
    i: Index,
    l: Lamport,
    w: WallMs,
    note: &'a Note,
}

impl Serialize for EntriesOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
        let mut places = self.1.iter();
        for entry in self.0 {
            let (i, l, w) = (entry.index, entry.lamport, entry.wall);
            match &entry.body {
                Body::Line(line) => {
                    let f = places.next().copied().unwrap_or_default();
                    let (n, t, say) = (line.id.n, line.lamport, &line.text);
                    let (channel, act, seal) = (line.channel.as_ref(), line.act.as_ref(), line.signature.as_ref());
                    seq.serialize_element(&LineEntryOut { i, l, w, f, n, t, say, channel, act, seal })?;
                }
                Body::Note(note) => seq.serialize_element(&NoteEntryOut { i, l, w, note })?,
            }
        }
        seq.end()
    }
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let epoch = self.entries.first().map(|entry| entry.epoch);
        let speakers = Speakers::of(self.entries.iter().filter_map(|entry| entry.line()));
        let entries = EntriesOut(&self.entries, &speakers.places);
        BatchOut { epoch, who: &speakers.table, entries }.serialize(serializer)
    }
}

#[derive(Deserialize)]
struct BatchIn {
    epoch: Option<Epoch>,
    who: Vec<Speaker>,
    entries: Vec<EntryIn>,
}

/// A line's entry (`f`, `n`, `t`, `say`) or a note's (`note`).
#[derive(Deserialize)]
struct EntryIn {
    i: Index,
    l: Lamport,
    w: WallMs,
    f: Option<u32>,
    #[serde(default, deserialize_with = "number_if_any")]
    n: Option<u64>,
    t: Option<Lamport>,
    say: Option<Text>,
    #[serde(rename = "in")]
    channel: Option<Channel>,
    #[serde(rename = "do")]
    act: Option<Act>,
    seal: Option<RunSignature>,
    note: Option<Note>,
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let BatchIn { epoch, who, entries } = BatchIn::deserialize(deserializer)?;
        at_most(&who, entries.len())?;
        let mut batch = Vec::with_capacity(entries.len());
        for EntryIn { i, l, w, f, n, t, say, channel, act, seal, note } in entries {
            let epoch = epoch.ok_or_else(|| D::Error::custom("entries without an epoch"))?;
            let body = match (f, n, t, say, note) {
                (Some(f), Some(n), Some(t), Some(say), None) => {
                    Body::Line(speaker(&who, f)?.line(LineIn { f, n, t, say, channel, act, seal }))
                }
                (None, None, None, None, Some(note)) if channel.is_none() && act.is_none() && seal.is_none() => {
                    Body::Note(note)
                }
                _ => return Err(D::Error::custom("an entry that is neither a line nor a note")),
            };
            batch.push(Arc::new(Entry { epoch, index: i, lamport: l, wall: w, body }));
        }
        Ok(Self { entries: batch })
    }
}

/// Each speaker of a table must have a line.
fn at_most<E: Error>(who: &[Speaker], lines: usize) -> Result<(), E> {
    if who.len() <= lines { Ok(()) } else { Err(E::custom("more speakers than lines")) }
}

fn speaker<E: Error>(who: &[Speaker], place: u32) -> Result<&Speaker, E> {
    who.get(place as usize).ok_or_else(|| E::custom("a line of nobody"))
}

// ---- lines

#[derive(Serialize)]
struct SubmitOut<'a> {
    stream: StreamId,
    who: &'a [Speaker],
    lines: Vec<LineOut<'a>>,
}

#[derive(Serialize)]
struct LineOut<'a> {
    f: u32,
    n: u64,
    t: Lamport,
    say: &'a Text,
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    channel: Option<&'a Channel>,
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    act: Option<&'a Act>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seal: Option<&'a RunSignature>,
}

impl Serialize for Submit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let speakers = Speakers::of(self.lines.iter().map(|line| &**line));
        let lines = self.lines.iter().zip(&speakers.places);
        let lines = lines
            .map(|(line, &f)| LineOut {
                f,
                n: line.id.n,
                t: line.lamport,
                say: &line.text,
                channel: line.channel.as_ref(),
                act: line.act.as_ref(),
                seal: line.signature.as_ref(),
            })
            .collect();
        SubmitOut { stream: self.stream, who: &speakers.table, lines }.serialize(serializer)
    }
}

#[derive(Deserialize)]
struct SubmitIn {
    stream: StreamId,
    who: Vec<Speaker>,
    lines: Vec<LineIn>,
}

#[derive(Deserialize)]
struct LineIn {
    f: u32,
    #[serde(deserialize_with = "number")]
    n: u64,
    t: Lamport,
    say: Text,
    #[serde(rename = "in")]
    channel: Option<Channel>,
    #[serde(rename = "do")]
    act: Option<Act>,
    seal: Option<RunSignature>,
}

impl<'de> Deserialize<'de> for Submit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let SubmitIn { stream, who, lines } = SubmitIn::deserialize(deserializer)?;
        at_most(&who, lines.len())?;
        let lines = lines.into_iter().map(|line| Ok(speaker(&who, line.f)?.line(line)));
        Ok(Self { stream, lines: lines.collect::<Result<_, D::Error>>()? })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::ring::types::id::Nonce;
    use crate::ring::types::proof::Signature;
    use crate::ring::wire::frame::Frame;

    fn line(author: u64, n: u64, text: &str) -> Arc<Line> {
        Arc::new(Line {
            id: LineId { author: AuthorId::of_bits(author), session: SessionId(author), n },
            lamport: Lamport(n),
            name: Name::parse("ann").unwrap(),
            uid: "127.0.0.1:5001".parse().unwrap(),
            text: Text::parse(text).unwrap(),
            channel: None,
            act: None,
            signature: Some(RunSignature { of: 1, by: Signature([n as u8; 64]) }),
        })
    }

    fn there_and_back(frame: &Frame) -> (Frame, String) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        (Frame::decode(&bytes).unwrap(), String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_batch_of_lines_and_notes_comes_back_as_it_was() {
        let epoch = Epoch { round: 1, leader: "127.0.0.1:5001".parse().unwrap(), nonce: Nonce(7) };
        let bodies = [
            Body::Line(line(1, 1, "one")),
            Body::Note(Note::Left { uid: "[::1]:9".parse().unwrap(), lost: true }),
            Body::Line(line(2, 1, "\u{1}two \"quoted\"")),
            Body::Line(line(1, 2, "three")),
        ];
        let entries = (1u64..)
            .zip(bodies)
            .map(|(i, body)| Arc::new(Entry { epoch, index: Index(i), lamport: Lamport(i), wall: WallMs(i), body }));
        let frame = Frame::Pulled(Batch { entries: entries.collect() });
        let (back, json) = there_and_back(&frame);
        assert_eq!(back, frame);
        assert_eq!(json.matches("\"at\"").count(), 2, "each speaker stands once: {json}");
    }

    #[test]
    fn where_a_line_is_said_and_what_it_does_comes_back() {
        let to = line(1, 1, "one").id;
        let said = |channel: &str, act| {
            let plain = Line::clone(&line(2, 5, "two"));
            Arc::new(Line { channel: Channel::parse(channel).unwrap(), act, ..plain })
        };
        let react = Act::React { to, with: crate::ring::Emoji::like(), on: true };
        let lines = vec![said("ops", None), said("ops", Some(Act::Reply(to))), said("lobby", Some(react))];
        let frame = Frame::Submit(Submit { stream: StreamId(3), lines: lines.clone() });
        // Each of them ends a run of its own.
        let (back, json) = there_and_back(&frame);
        assert_eq!(back, frame);
        assert_eq!(json.matches(r#""in":"ops""#).count(), 2, "{json}");
        let epoch = Epoch { round: 1, leader: "127.0.0.1:5001".parse().unwrap(), nonce: Nonce(7) };
        let entries = (1u64..).zip(lines).map(|(i, line)| {
            let body = Body::Line(line);
            Arc::new(Entry { epoch, index: Index(i), lamport: Lamport(i), wall: WallMs(i), body })
        });
        let frame = Frame::Pulled(Batch { entries: entries.collect() });
        assert_eq!(there_and_back(&frame).0, frame);
    }

    #[test]
    fn submitted_lines_come_back_as_they_were() {
        let lines = vec![line(1, 1, "one"), line(2, 5, "two"), line(1, 2, "three")];
        let frame = Frame::Submit(Submit { stream: StreamId(3), lines });
        assert_eq!(there_and_back(&frame).0, frame);
    }

    #[test]
    fn a_line_of_nobody_and_an_entry_of_no_kind_are_refused() {
        for bad in [
            r#"{"submit":{"stream":1,"who":[],"lines":[{"f":0,"n":1,"t":1,"say":"x"}]}}"#,
            r#"{"pulled":{"epoch":null,"who":[],"entries":[{"i":1,"l":1,"w":1,"note":{"left":{"uid":"1.2.3.4:5","lost":true}}}]}}"#,
            r#"{"pulled":{"epoch":{"r":1,"l":"1.2.3.4:5","o":"0000000000000001"},"who":[],"entries":[{"i":1,"l":1,"w":1}]}}"#,
            r#"{"submit":{"stream":1,"who":[{"a":"0000000000000001","s":"0000000000000001","by":"n","at":"1.2.3.4:5"}],"lines":[]}}"#,
        ] {
            assert!(Frame::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
