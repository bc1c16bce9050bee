//! A room defends itself: members put others out, by lines in the log like any other.

use std::sync::Arc;

use super::Node;
use super::phase::Phase;
use crate::ring::log::entry::{Act, Entry, Line, Member, Subject};
use crate::ring::log::rules::Effect;
use crate::ring::log::rules::EvictionReason;
use crate::ring::types::id::{Index, Name, Text};
use crate::ring::types::proof::AuthorId;
use crate::ring::wire::frame::{Frame, Refusal};
use crate::ring::{CommandError, Draft, Event, ModerationCommand, ModerationVerb, Stop};

/// Digits of an author's id that are enough to mean it, where only one begins with them.
pub(super) const AUTHOR_DIGITS_MIN: usize = 8;

impl Node {
    /// Somebody wants something done to another.
    pub(super) fn on_moderate(&mut self, order: ModerationCommand) {
        let ModerationCommand { verb, whom, text } = order;
        self.on_act(text, |node| {
            let Some(subject) = node.subject(verb, &whom) else {
                node.event(Event::CommandFailed(CommandError::UnknownMember(whom)));
                return None;
            };
            Some(match verb {
                ModerationVerb::Kick => Act::Kick(subject),
                ModerationVerb::Ban => Act::Ban(subject),
                ModerationVerb::Unban => Act::Unban(subject),
            })
        });
    }

    /// A line that is to do something, if it can be said and I may say it.
    pub(super) fn on_act(&mut self, text: Text, act: impl FnOnce(&mut Self) -> Option<Act>) {
        if self.outbox_room() == 0 || self.clocks.is_spent() {
            return self.event(Event::SubmitRejected(text));
        }
        if !self.log.state().rules.may(self.identity.session.author) {
            return self.event(Event::CommandFailed(CommandError::NotModerator));
        }
        if let Some(act) = act(self) {
            let line = self.line(Draft { text, channel: None, act: Some(act) });
            self.submit(vec![line]);
        }
    }

    /// The first line of a room that only some may moderate: those, and who founds it.
    pub(super) fn found_moderated(&mut self) {
        let (Some(room), 0) = (self.room, self.log.state().lines) else { return };
        let Some(authors) = self.moderation.take_moderators(self.identity.session.author) else { return };
        let names: Vec<String> = authors.iter().map(AuthorId::short).collect();
        let Ok(text) = Text::parse(&format!("/moderators {}", names.join(","))) else { return };
        let act = Some(Act::Moderators(authors));
        let mut lines = [self.line(Draft { text, channel: None, act })];
        self.identity.sign(room, &mut lines);
        self.sequence(lines.into_iter().map(Arc::new).collect());
    }

    /// Whom a name or an author's id means: a member, one that was lost, or one that is banned.
    fn subject(&self, verb: ModerationVerb, whom: &str) -> Option<Subject> {
        let log_state = self.log.state();
        let folded = whom.to_lowercase();
        let mut here =
            log_state.view.members().map(|member| (&member.name, member.author)).chain(log_state.view.lost());
        let mut banned = log_state.rules.all_banned().filter_map(|(author, ban)| Some((ban.name.as_ref()?, author)));
        let called = |(name, _): &(&Name, AuthorId)| name.folded() == folded;
        let named = match verb {
            ModerationVerb::Kick | ModerationVerb::Ban => here.find(called),
            ModerationVerb::Unban => banned.find(called),
        };
        if let Some((name, author)) = named {
            return Some(Subject { author, name: Some(name.clone()) });
        }
        if !folded.bytes().all(|digit| digit.is_ascii_hexdigit()) || folded.len() < AUTHOR_DIGITS_MIN {
            return None;
        }
        let known = log_state.watermarks.keys().map(|key| key.author);
        let known = known.chain(log_state.rules.all_banned().map(|(author, _)| author));
        let known = known.chain(log_state.view.members().map(|member| member.author));
        let mut meant: Vec<AuthorId> = known.filter(|author| author.to_string().starts_with(&folded)).collect();
        meant.extend(AuthorId::parse(&folded));
        meant.sort_unstable();
        meant.dedup();
        match meant[..] {
            [author] => {
                let name = log_state.view.members().find(|member| member.author == author).map(|m| m.name.clone());
                Some(Subject { author, name })
            }
            _ => None,
        }
    }

    /// What a line is going to do, and to whom: asked before it stands.
    pub(super) fn effect_of(&self, line: &Line) -> Option<(Effect, Vec<Member>)> {
        line.act.as_ref()?;
        let log_state = self.log.state();
        let effect = log_state.rules.effect(line, log_state.lines == 0);
        let concerned = match &effect {
            Effect::Evicted { subject, .. } => {
                log_state.view.members().filter(|member| member.author == subject.author).cloned().collect()
            }
            Effect::None | Effect::NotAllowed | Effect::Unbanned(_) | Effect::ModeratorsSet | Effect::Rekeyed(_) => {
                Vec::new()
            }
        };
        Some((effect, concerned))
    }

    /// A line that does something has got its place.
    pub(super) fn take_effect(&mut self, entry: &Entry, effect: Effect, concerned: Vec<Member>) {
        let Some(line) = entry.line() else { return };
        let news = self.display.is_news(entry.index);
        let by = line.name.clone();
        match effect {
            Effect::Evicted { subject, banned } => {
                self.agenda.ring_may_change();
                for member in &concerned {
                    self.book.set_left(member.uid, true);
                    if news {
                        self.event(Event::Evicted { member: member.clone(), by: by.clone(), banned });
                    }
                }
                self.evict(entry.index, &subject, banned, &EvictionReason::of(line));
            }
            Effect::NotAllowed if news => self.event(Event::NotAllowed { by }),
            Effect::Rekeyed(key) => {
                if news {
                    self.event(Event::Rekeyed { by, key });
                }
                self.ask_for_key();
            }
            Effect::None | Effect::NotAllowed | Effect::Unbanned(_) | Effect::ModeratorsSet => {}
        }
    }

    fn evict(&mut self, index: Index, subject: &Subject, banned: bool, verdict: &EvictionReason) {
        let refusal = match banned {
            true => Refusal::Banned(verdict.clone()),
            false => Refusal::Kicked(verdict.clone()),
        };
        if subject.author == self.identity.session.author {
            return self.moderation.evict(index, refusal);
        }
        // Its leader says why. What else leads there is closed too: whoever is put out comes in by a door, or not at
        // all.
        let says = banned || matches!(self.phase, Phase::Leading(_));
        for conn in self.links.to_authors(|author| author == subject.author) {
            if says {
                self.send(conn, Frame::Refuse(refusal.clone()));
            }
            self.close(conn);
        }
        let view = &self.log.state().view;
        if let Phase::Leading(leading) = &mut self.phase {
            leading.absent.retain(|&uid, _| view.contains(uid));
        }
    }

    /// I was put out: I go; a leader hands the room over first.
    pub(super) fn leave_if_evicted(&mut self) {
        if !self.moderation.is_evicted() || self.agenda.is_leaving() {
            return;
        }
        match &self.phase {
            Phase::Leading(_) => self.on_leave(),
            Phase::Stopped => {}
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Synchronizing(_)
            | Phase::Joining(_)
            | Phase::Following(_) => {
                if let Some(refusal) = self.moderation.take_eviction() {
                    self.stop(Stop::Refused(refusal));
                }
            }
        }
    }
}
