//! What the trace says of each input and output, and what the hash takes of an input.

use dist_chat::ring::{ConnId, Frame, Input, Output, ReadReply, Record};

use super::World;
use super::trace::{Short, host};

impl World {
    pub(super) fn tell_input(&mut self, slot: usize, input: &Input) {
        if self.trace.is_none() {
            return;
        }
        let who = host(slot);
        let from = |id: &ConnId, world: &Self| world.peer(slot, *id);
        let line = match input {
            Input::Tick => return,
            Input::Frame(id, frame) => format!("{who} <- {} {}", from(id, self), json(frame)),
            Input::Dialled(id) => format!("{who} reached {}", from(id, self)),
            Input::DialFailed { conn, refused } => {
                format!("{who} could not dial {conn:?}: {}", if *refused { "refused" } else { "silence" })
            }
            Input::DialRejected(id, refusal) => format!("{who} was turned away on {id:?}: {refusal:?}"),
            Input::Accepted(id) => format!("{who} accepted {}", from(id, self)),
            Input::Forged(id, forged) => format!("{who} <- {} forged {forged:?}", from(id, self)),
            Input::Closed(id) => format!("{who} lost connection {id:?}"),
            Input::Read(id, found) => match found {
                ReadReply::Log(entries) => format!("{who} read {} entries ({id:?})", entries.len()),
                ReadReply::Pending(lines) => format!("{who} read {} pending ({id:?})", lines.len()),
            },
            Input::Persisted { .. } => format!("{who} has it on the medium"),
            Input::Cut(cut) => {
                format!("{who} has cut to {:?}, {} sessions wait", cut.log_state.tail, cut.pending.len())
            }
            Input::Submit(said) => {
                let words: Vec<&str> = said.iter().map(|draft| draft.text.as_str()).collect();
                format!("{who} types {}", words.join(" / "))
            }
            Input::Moderate(order) => format!("{who} orders {:?} {}", order.verb, order.whom),
            Input::KeyInstalled(key) => format!("{who} holds the key {key:?}"),
            Input::Rekey(key, _) => format!("{who} wants the key {key:?}"),
            Input::SendPm(outgoing) => format!("{who} whispers to {}", outgoing.to.name),
            Input::PmOpened { id, token, .. } => format!("{who} has opened {id}: {}", token.is_some()),
            Input::HealthQuery => format!("{who} asks how all are doing"),
            Input::Leave => format!("{who} wants to leave"),
        };
        self.tell(|short| short.text(&line));
    }

    pub(super) fn tell_output(&mut self, slot: usize, output: &Output) {
        if self.trace.is_none() {
            return;
        }
        let who = host(slot);
        let line = match output {
            Output::Save(record) => format!("{who}    saves {}", record_text(record)),
            Output::Sync => format!("{who}    syncs"),
            Output::Persist(_) => format!("{who}    syncs, and goes on"),
            Output::Read(id, wanted) => format!("{who}    reads {wanted:?} ({id:?})"),
            Output::Cut(keep) => format!("{who}    cuts after {}", keep.0),
            Output::Dial(id, address) => format!("{who}    dials {address} ({id:?})"),
            Output::Send(conns, frame) => {
                let to: Vec<String> = conns.iter().map(|&id| self.peer(slot, id)).collect();
                format!("{who} -> {} {}", to.join(" "), json(frame))
            }
            Output::GiveKey(id) => format!("{who}    gives {} the key", self.peer(slot, *id)),
            Output::OfferKey(ids) => format!("{who}    offers a key to {} others", ids.len()),
            Output::TakeKey(_) => format!("{who}    takes a key"),
            Output::OpenPm(from, _) => format!("{who}    opens what {} whispers", from.name),
            Output::HealthReply(survey) => format!("{who}    knows how {} are doing", survey.health.len()),
            Output::Close(id) => format!("{who}    closes {} ({id:?})", self.peer(slot, *id)),
            Output::Event(event) => format!("{who}    tells {event:?}"),
            Output::Stop(stop) => format!("{who}    stops: {stop:?}"),
        };
        self.tell(|short| short.text(&line));
    }

    /// The short name of a connection's other end.
    fn peer(&self, slot: usize, id: ConnId) -> String {
        let found = self.slots[slot].process.as_ref().and_then(|process| process.conns.get(&id));
        found.map_or_else(|| "?".into(), |&(conn, side)| host(self.net.conns[conn].ends[1 - side].slot))
    }
}

/// A frame as it travels.
fn json(frame: &Frame) -> String {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

fn record_text(record: &Record) -> String {
    match record {
        Record::Append(entries) => {
            let all: Vec<String> = entries
                .iter()
                .map(|entry| match entry.line() {
                    Some(line) => format!("{}@{} {:?}", entry.index.0, entry.epoch, line.text.as_str()),
                    None => format!("{}@{} {}", entry.index.0, entry.epoch, Short::note(&entry.body)),
                })
                .collect();
            format!("append {}", all.join(", "))
        }
        Record::Queue(lines) => {
            let all: Vec<String> = lines.iter().map(|line| format!("{} {:?}", line.id.n, line.text.as_str())).collect();
            format!("queue {}", all.join(", "))
        }
        Record::Room(_) | Record::Promise(_) | Record::LearnPeer(_) | Record::ForgetPeer(_) | Record::Shown(_) => {
            format!("{record:?}")
        }
    }
}

/// What the hash takes.
pub(super) fn input_kind(input: &Input) -> u64 {
    match input {
        Input::Tick => 1,
        Input::Dialled(_) => 2,
        Input::DialFailed { .. } => 3,
        Input::Accepted(_) => 4,
        Input::Frame(..) => 5,
        Input::Closed(_) => 6,
        Input::Read(..) => 7,
        Input::Cut(_) => 8,
        Input::Submit(_) => 9,
        Input::Leave => 10,
        Input::Persisted { .. } => 11,
        Input::Forged(..) => 12,
        Input::Moderate(_) => 13,
        Input::Rekey(..) => 14,
        Input::KeyInstalled(_) => 15,
        Input::DialRejected(..) => 15,
        Input::SendPm(_) => 16,
        Input::PmOpened { .. } => 17,
        Input::HealthQuery => 18,
    }
}
