//! A room defends itself: members put others out, by lines in the log like any other.

use std::sync::Arc;

use super::Node;
use super::phase::Phase;
use crate::ring::log::entry::{Act, Entry, Line, Member, Subject};
use crate::ring::log::rules::Effect;
use crate::ring::log::seal::seal;
use crate::ring::types::id::{Index, Name, Text};
use crate::ring::types::proof::AuthorId;
use crate::ring::wire::frame::{Frame, Refusal, Verdict};
use crate::ring::{Event, Order, Saying, Stop, Unable, Verb};

/// Digits of an author's id that are enough to mean it, where only one begins with them.
pub(super) const AUTHOR_DIGITS_MIN: usize = 8;

impl Node {
    /// Somebody wants something done to another.
    pub(super) fn on_order(&mut self, order: Order) {
        let Order { verb, whom, text } = order;
        self.on_act(text, |node| {
            let Some(subject) = node.subject(verb, &whom) else {
                node.event(Event::Unable(Unable::Nobody(whom)));
                return None;
            };
            Some(match verb {
                Verb::Kick => Act::Kick(subject),
                Verb::Ban => Act::Ban(subject),
                Verb::Unban => Act::Unban(subject),
            })
        });
    }

    /// A line that is to do something, if it can be said and I may say it.
    pub(super) fn on_act(&mut self, text: Text, act: impl FnOnce(&mut Self) -> Option<Act>) {
        if self.outbox_room() == 0 || self.is_spent() {
            return self.event(Event::NotTaken(text));
        }
        if !self.log.summary().rules.may(self.session.author) {
            return self.event(Event::Unable(Unable::NotModerator));
        }
        if let Some(act) = act(self) {
            let line = self.line(Saying { text, channel: None, act: Some(act) });
            self.submit(vec![line]);
        }
    }

    /// The first line of a room that only some may moderate: those, and who founds it.
    pub(super) fn found_moderated(&mut self) {
        let (Some(room), 0) = (self.room, self.log.summary().lines) else { return };
        if self.moderators.is_empty() {
            return;
        }
        let mut authors = std::mem::take(&mut self.moderators);
        authors.push(self.session.author);
        authors.sort_unstable();
        authors.dedup();
        let names: Vec<String> = authors.iter().map(AuthorId::short).collect();
        let Ok(text) = Text::parse(&format!("/moderators {}", names.join(","))) else { return };
        let act = Some(Act::Moderators(authors));
        let mut lines = [self.line(Saying { text, channel: None, act })];
        seal(room, &mut lines, &*self.hand.0);
        self.order(lines.into_iter().map(Arc::new).collect());
    }

    /// Whom a name or an author's id means: a member, one that was lost, or one that is banned.
    fn subject(&self, verb: Verb, whom: &str) -> Option<Subject> {
        let summary = self.log.summary();
        let folded = whom.to_lowercase();
        let mut here = summary.view.members().map(|member| (&member.name, member.author)).chain(summary.view.lost());
        let mut banned = summary.rules.all_banned().filter_map(|(author, ban)| Some((ban.name.as_ref()?, author)));
        let called = |(name, _): &(&Name, AuthorId)| name.folded() == folded;
        let named = match verb {
            Verb::Kick | Verb::Ban => here.find(called),
            Verb::Unban => banned.find(called),
        };
        if let Some((name, author)) = named {
            return Some(Subject { author, name: Some(name.clone()) });
        }
        if !folded.bytes().all(|digit| digit.is_ascii_hexdigit()) || folded.len() < AUTHOR_DIGITS_MIN {
            return None;
        }
        let known = summary.watermarks.keys().map(|key| key.author);
        let known = known.chain(summary.rules.all_banned().map(|(author, _)| author));
        let known = known.chain(summary.view.members().map(|member| member.author));
        let mut meant: Vec<AuthorId> = known.filter(|author| author.to_string().starts_with(&folded)).collect();
        meant.extend(AuthorId::parse(&folded));
        meant.sort_unstable();
        meant.dedup();
        match meant[..] {
            [author] => {
                let name = summary.view.members().find(|member| member.author == author).map(|m| m.name.clone());
                Some(Subject { author, name })
            }
            _ => None,
        }
    }

    /// What a line is going to do, and to whom: asked before it stands.
    pub(super) fn effect_of(&self, line: &Line) -> Option<(Effect, Vec<Member>)> {
        line.act.as_ref()?;
        let summary = self.log.summary();
        let effect = summary.rules.effect(line, summary.lines == 0);
        let concerned = match &effect {
            Effect::Out { subject, .. } => {
                summary.view.members().filter(|member| member.author == subject.author).cloned().collect()
            }
            _ => Vec::new(),
        };
        Some((effect, concerned))
    }

    /// A line that does something has got its place.
    pub(super) fn take_effect(&mut self, entry: &Entry, effect: Effect, concerned: Vec<Member>) {
        let Some(line) = entry.line() else { return };
        let news = entry.index > self.show_after;
        let by = line.name.clone();
        match effect {
            Effect::Out { subject, banned } => {
                self.ring_changed = true;
                for member in &concerned {
                    self.book.set_left(member.uid, true);
                    if news {
                        self.event(Event::Out { member: member.clone(), by: by.clone(), banned });
                    }
                }
                self.put_out(entry.index, &subject, banned, &Verdict::of(line));
            }
            Effect::NotAllowed if news => self.event(Event::NotAllowed { by }),
            Effect::Rekeyed(key) => {
                if news {
                    self.event(Event::Rekeyed { by, key });
                }
                self.ask_for_key();
            }
            Effect::None | Effect::NotAllowed | Effect::Back(_) | Effect::Moderated => {}
        }
    }

    fn put_out(&mut self, index: Index, subject: &Subject, banned: bool, verdict: &Verdict) {
        let refusal = match banned {
            true => Refusal::Banned(verdict.clone()),
            false => Refusal::Kicked(verdict.clone()),
        };
        if subject.author == self.session.author {
            // What stood there when I came (again) is past.
            if index > self.judged_after {
                self.sentence = Some(refusal);
            }
            return;
        }
        // Its leader says why. What else leads there is closed too: whoever is put out comes in by a door, or not at all.
        let says = banned || matches!(self.phase, Phase::Leading(_));
        for conn in self.links.to_authors(|author| author == subject.author) {
            if says {
                self.send(conn, Frame::Refuse(refusal.clone()));
            }
            self.close(conn);
        }
        let view = &self.log.summary().view;
        if let Phase::Leading(leading) = &mut self.phase {
            leading.absent.retain(|&uid, _| view.contains(uid));
        }
    }

    /// I was put out: I go; a leader hands the room over first.
    pub(super) fn serve_sentence(&mut self) {
        if self.sentence.is_none() || self.leaving.is_some() {
            return;
        }
        match &self.phase {
            Phase::Leading(_) => self.on_leave(),
            Phase::Gone => {}
            _ => {
                if let Some(refusal) = self.sentence.take() {
                    self.stop(Stop::Refused(refusal));
                }
            }
        }
    }
}
