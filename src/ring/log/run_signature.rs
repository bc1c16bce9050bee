//! Signatures: an author signs its lines, run by run.
//!
//! The lines that an author submits at one time are a *run*: up to [`RUN_LINES_MAX`] consecutive lines, the last of
//! which carries a [`RunSignature`] over all of them. A run is never torn: a frame carries whole runs, a log ends with
//! one, and a leader sequences one without a gap. So the receiver of a frame can check every line in it without any
//! earlier line. The leader decides a line's place (its index, its timestamp), and the author does not sign it. That
//! its number follows the last one of its session is checked against the log.

use std::fmt;

use crate::ring::log::channel::Channel;
use crate::ring::log::entry::{Act, Line, RunSignature, Subject};
use crate::ring::types::id::{LineId, Name, RoomId};
use crate::ring::types::limits::{RUN_BYTES_MAX, RUN_LINES_MAX};
use crate::ring::types::proof::{AuthorId, Signature};

/// Signs for the node's owner. The same message gets the same signature (as with Ed25519, RFC 8032), so a node remains
/// a function of its inputs.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The owner's signature of this message.
    fn sign(&self, message: &[u8]) -> Signature;
}

/// Lines that are no whole runs: one is torn, too long, or of several sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornRun;

/// Calls `take` with every run of these lines, in order, until it fails.
///
/// # Errors
/// The error of `take`, or [`TornRun`].
pub fn each_run<'a, E: From<TornRun>>(
    lines: impl Iterator<Item = &'a Line>,
    mut take: impl FnMut(&[&'a Line], &RunSignature) -> Result<(), E>,
) -> Result<(), E> {
    let mut run: Vec<&Line> = Vec::new();
    let mut bytes = 0;
    for line in lines {
        let follows =
            |before: &&Line| before.id.key() == line.id.key() && before.id.n.checked_add(1) == Some(line.id.n);
        bytes += line.weight();
        if !run.last().is_none_or(follows) || run.len() >= RUN_LINES_MAX || (bytes > RUN_BYTES_MAX && !run.is_empty()) {
            return Err(TornRun.into());
        }
        run.push(line);
        let Some(seal) = &line.signature else { continue };
        if usize::try_from(seal.of) != Ok(run.len()) {
            return Err(TornRun.into());
        }
        take(&run, seal)?;
        run.clear();
        bytes = 0;
    }
    if run.is_empty() { Ok(()) } else { Err(TornRun.into()) }
}

/// Signs consecutive lines, in as many runs as they need.
pub fn sign_runs(room: RoomId, lines: &mut [Line], signer: &dyn Signer) {
    let mut rest = lines;
    while !rest.is_empty() {
        let mut bytes = RunSignature::OVERHEAD;
        let fits = rest.iter().take(RUN_LINES_MAX).take_while(|line| {
            bytes += line.weight();
            bytes <= RUN_BYTES_MAX
        });
        let (run, after) = rest.split_at_mut(fits.count().max(1));
        let whole: Vec<&Line> = run.iter().collect();
        let by = signer.sign(&message(room, &whole));
        let of = u32::try_from(run.len()).unwrap_or(u32::MAX);
        if let Some(last) = run.last_mut() {
            last.signature = Some(RunSignature { of, by });
        }
        rest = after;
    }
}

/// How many of the first lines are whole runs.
pub fn whole_runs<'a>(lines: impl DoubleEndedIterator<Item = &'a Line> + ExactSizeIterator) -> usize {
    let all = lines.len();
    all - lines.rev().take_while(|line| line.signature.is_none()).count()
}

/// The bytes that an author signs for a run: the room, the lines, and everything in them except the timestamp, which a
/// cut may change. Numbers are big-endian; each value without a fixed length has its length before it. An act begins
/// with a byte that identifies it. The channel stands before the act, with a byte that identifies no act; the lobby is
/// left out. So lines that were signed before channels existed have the same bytes as then.
pub fn message(room: RoomId, run: &[&Line]) -> Vec<u8> {
    let mut message = Vec::with_capacity(128 + run.iter().map(|line| 64 + line.text.as_str().len()).sum::<usize>());
    message.extend_from_slice(b"dist-chat lines 1\0");
    message.extend_from_slice(&room.0.to_be_bytes());
    if let Some(first) = run.first() {
        message.extend_from_slice(&first.id.author.0);
        message.extend_from_slice(&first.id.session.0.to_be_bytes());
        message.extend_from_slice(&first.id.n.to_be_bytes());
    }
    push_count(&mut message, run.len());
    for line in run {
        push_text(&mut message, line.name.as_str());
        match line.uid.0.ip() {
            std::net::IpAddr::V4(ip) => message.extend_from_slice(&ip.to_ipv6_mapped().octets()),
            std::net::IpAddr::V6(ip) => message.extend_from_slice(&ip.octets()),
        }
        message.extend_from_slice(&line.uid.0.port().to_be_bytes());
        push_text(&mut message, line.text.as_str());
        push_channel(&mut message, line.channel.as_ref());
        push_act(&mut message, line.act.as_ref());
    }
    message
}

fn push_count(message: &mut Vec<u8>, count: usize) {
    message.extend_from_slice(&u64::try_from(count).unwrap_or(u64::MAX).to_be_bytes());
}

fn push_text(message: &mut Vec<u8>, text: &str) {
    push_count(message, text.len());
    message.extend_from_slice(text.as_bytes());
}

fn push_channel(message: &mut Vec<u8>, channel: Option<&Channel>) {
    if let Some(channel) = channel {
        message.push(255);
        push_text(message, channel.as_str());
    }
}

fn push_line(message: &mut Vec<u8>, LineId { author, session, n }: &LineId) {
    message.extend_from_slice(&author.0);
    message.extend_from_slice(&session.0.to_be_bytes());
    message.extend_from_slice(&n.to_be_bytes());
}

fn push_act(message: &mut Vec<u8>, act: Option<&Act>) {
    match act {
        None => message.push(0),
        Some(Act::Moderators(authors)) => {
            message.push(1);
            push_count(message, authors.len());
            authors.iter().for_each(|author| message.extend_from_slice(&author.0));
        }
        Some(Act::Kick(subject)) => push_subject(message, 2, subject),
        Some(Act::Ban(subject)) => push_subject(message, 3, subject),
        Some(Act::Unban(subject)) => push_subject(message, 4, subject),
        Some(Act::Rekey(key)) => {
            message.push(5);
            message.extend_from_slice(&key.0);
        }
        Some(Act::Me) => message.push(6),
        Some(Act::Reply(to)) => {
            message.push(7);
            push_line(message, to);
        }
        Some(Act::React { to, with, on }) => {
            message.push(8);
            push_line(message, to);
            push_text(message, with.as_str());
            message.push(u8::from(*on));
        }
        Some(Act::Nick(name)) => {
            message.push(9);
            push_text(message, name.as_str());
        }
        Some(Act::Topic) => message.push(10),
        Some(Act::Away) => message.push(11),
    }
}

fn push_subject(message: &mut Vec<u8>, kind: u8, Subject { author, name }: &Subject) {
    message.push(kind);
    message.extend_from_slice(&author.0);
    push_text(message, name.as_ref().map_or("", Name::as_str));
}

/// A forged line: the author that it names has not signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForgedLine {
    /// The author that the line names.
    pub author: AuthorId,
    /// The author's name; `None`: the runs are torn, so no signature can be checked.
    pub name: Option<Name>,
}

impl From<TornRun> for ForgedLine {
    fn from(_: TornRun) -> Self {
        Self { author: AuthorId::of_bits(0), name: None }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;
    use crate::ring::log::emoji::Emoji;
    use crate::ring::types::id::{Lamport, SessionId, Text};
    use crate::ring::types::proof::Digest;

    /// A fake signature: the message itself, shortened. Different messages have different signatures.
    #[derive(Debug)]
    struct Plain;

    impl Signer for Plain {
        fn sign(&self, message: &[u8]) -> Signature {
            let mut signature = [0_u8; 64];
            for (at, byte) in message.iter().enumerate() {
                signature[at % 64] = byte.wrapping_add(signature[at % 64].wrapping_mul(31));
            }
            Signature(signature)
        }
    }

    const ROOM: RoomId = RoomId(4);

    fn line(session: u64, n: u64, text: &str) -> Line {
        Line {
            id: LineId { author: AuthorId::of_bits(1), session: SessionId(session), n },
            lamport: Lamport(n),
            name: Name::parse("ann").unwrap(),
            uid: "10.0.0.5:2428".parse().unwrap(),
            text: Text::parse(text).unwrap(),
            channel: None,
            act: None,
            signature: None,
        }
    }

    fn sealed(lines: &mut [Line]) -> Vec<usize> {
        sign_runs(ROOM, lines, &Plain);
        let mut runs = Vec::new();
        let counted = each_run(lines.iter(), |run, _| {
            runs.push(run.len());
            Ok::<(), TornRun>(())
        });
        counted.unwrap();
        runs
    }

    fn torn(lines: &[Line]) -> bool {
        each_run(lines.iter(), |_, _| Ok::<(), TornRun>(())).is_err()
    }

    #[test]
    fn lines_are_sealed_in_as_few_runs_as_the_limits_allow() {
        let mut lines: Vec<Line> = (1..=600).map(|n| line(1, n, "hello")).collect();
        assert_eq!(sealed(&mut lines), [RUN_LINES_MAX, RUN_LINES_MAX, 600 - 2 * RUN_LINES_MAX]);
        let long = "x".repeat(crate::ring::types::limits::TEXT_BYTES_MAX);
        let mut lines: Vec<Line> = (1..=8).map(|n| line(1, n, &long)).collect();
        assert_eq!(sealed(&mut lines), [3, 3, 2], "a run has at most {RUN_BYTES_MAX} bytes");
        assert_eq!(sealed(&mut [line(1, 1, "alone")]), [1]);
        assert_eq!(sealed(&mut []), [0; 0]);
    }

    #[test]
    fn what_is_torn_long_or_of_two_sessions_is_no_run() {
        let mut lines: Vec<Line> = (1..=5).map(|n| line(1, n, "hello")).collect();
        sealed(&mut lines);
        assert!(!torn(&lines));
        assert!(torn(&lines[..4]), "its end is missing");
        assert!(torn(&lines[1..]), "its beginning is missing");
        let mut other = lines.clone();
        other[2].id.session = SessionId(2);
        assert!(torn(&other));
        let mut gap = lines.clone();
        gap[4].id.n = 9;
        assert!(torn(&gap));
        let mut many: Vec<Line> = (1..=RUN_LINES_MAX as u64 + 1).map(|n| line(1, n, "hello")).collect();
        let of = many.len() as u32;
        many.last_mut().unwrap().signature = Some(RunSignature { of, by: Signature([0; 64]) });
        assert!(torn(&many));
        assert_eq!(whole_runs(lines.iter()), 5);
        assert_eq!(whole_runs(lines[..4].iter()), 0);
        let mut two = lines.clone();
        two.push(line(1, 6, "next"));
        assert_eq!(whole_runs(two.iter()), 5);
    }

    #[test]
    fn every_part_of_a_line_but_its_timestamp_is_signed() {
        let who = Subject { author: AuthorId::of_bits(2), name: Some(Name::parse("bob").unwrap()) };
        let original = line(1, 1, "hello");
        let to = LineId { author: AuthorId::of_bits(2), session: SessionId(7), n: 1 };
        let like = Act::React { to, with: Emoji::like(), on: true };
        let acts = [
            Act::Me,
            Act::Reply(to),
            Act::Reply(LineId { author: AuthorId::of_bits(3), ..to }),
            Act::Reply(LineId { session: SessionId(8), ..to }),
            Act::Reply(LineId { n: 2, ..to }),
            like.clone(),
            Act::React { to, with: Emoji::like(), on: false },
            Act::React { to, with: Emoji::parse("🎉").unwrap(), on: true },
            Act::React { to: LineId { n: 2, ..to }, with: Emoji::like(), on: true },
            Act::Nick(Name::parse("anna").unwrap()),
            Act::Nick(Name::parse("anne").unwrap()),
            Act::Topic,
            Act::Away,
        ];
        let changes: [fn(&mut Line, &Subject); 15] = [
            |line, _| line.id.author = AuthorId::of_bits(9),
            |line, _| line.id.session = SessionId(9),
            |line, _| line.id.n = 9,
            |line, _| line.name = Name::unknown(),
            |line, _| line.uid = "10.0.0.5:2429".parse().unwrap(),
            |line, _| line.uid = "[::1]:2428".parse().unwrap(),
            |line, _| line.text = Text::parse("hullo").unwrap(),
            |line, who| line.act = Some(Act::Kick(who.clone())),
            |line, who| line.act = Some(Act::Ban(who.clone())),
            |line, who| line.act = Some(Act::Unban(Subject { name: None, ..who.clone() })),
            |line, _| line.act = Some(Act::Moderators(vec![AuthorId::of_bits(1)])),
            |line, _| line.act = Some(Act::Rekey(Digest([1; 32]))),
            |line, _| line.channel = Channel::parse("ops").unwrap(),
            |line, _| line.channel = Channel::parse("op").unwrap(),
            |line, _| (line.channel, line.act) = (Channel::parse("ops").unwrap(), Some(Act::Topic)),
        ];
        let mut messages = vec![message(ROOM, &[&original]), message(RoomId(5), &[&original])];
        for change in changes {
            let mut line = original.clone();
            change(&mut line, &who);
            messages.push(message(ROOM, &[&line]));
        }
        for act in acts {
            let line = Line { act: Some(act), ..original.clone() };
            messages.push(message(ROOM, &[&line]));
            messages.push(message(ROOM, &[&line, &original]));
        }
        let stamped = Line { lamport: Lamport(99), ..original };
        assert_eq!(message(ROOM, &[&stamped]), messages[0]);
        let count = messages.len();
        messages.sort();
        messages.dedup();
        assert_eq!(messages.len(), count, "no two say the same");
    }

    #[test]
    fn a_line_of_before_is_signed_as_before() {
        let said = line(1, 1, "hello");
        let mut before = b"dist-chat lines 1\0".to_vec();
        before.extend(ROOM.0.to_be_bytes());
        before.extend(said.id.author.0);
        before.extend([1_u64, 1, 1, 3].iter().flat_map(|number| number.to_be_bytes()));
        before.extend(b"ann");
        before.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 5, 0x09, 0x7c]);
        before.extend(5_u64.to_be_bytes());
        before.extend(b"hello\0");
        assert_eq!(message(ROOM, &[&said]), before);
    }
}
