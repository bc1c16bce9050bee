//! A leader's loss is one line on a terminal, which says who leads now. Whoever reads a pipe, and the log, has its
//! steps.

use crate::net::Notice;
use crate::ring::{Event, Uid};

/// What a screen is told of a leader's loss.
#[derive(Debug, Default)]
pub struct FailoverNotice {
    /// The event at hand is said by the one line.
    said: bool,
    /// Who was told of as gone, until the log has lost it.
    gone: Option<Uid>,
}

impl FailoverNotice {
    /// This event is told now, and then that one.
    pub fn hear(&mut self, event: &Event, next: Option<&Notice>) {
        self.said = match (event, next) {
            (Event::Leader(now), Some(Notice::Event(Event::FailedOver { epoch, .. }))) => now == epoch,
            (Event::Left { member, lost: true }, _) => self.gone.take_if(|gone| *gone == member.uid).is_some(),
            _ => false,
        };
        match event {
            Event::FailedOver { lost, .. } => self.gone = Some(*lost),
            // It is back before it was taken for lost.
            Event::Joined(member) => drop(self.gone.take_if(|gone| *gone == member.uid)),
            _ => {}
        }
    }

    /// Whether the event that was heard last is shown, if it is for people at all: on a terminal, or in a pipe.
    pub fn shows(&self, event: &Event, terminal: bool) -> bool {
        match event {
            Event::FailedOver { .. } => terminal,
            _ => !(terminal && self.said),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use crate::ring::{AuthorId, Epoch, Member, Name, Nonce, Span};

    fn events() -> Vec<Event> {
        let (ann, bob) = ("10.0.0.5:1".parse().unwrap(), "10.0.0.6:1".parse().unwrap());
        let epoch = Epoch { round: 2, leader: bob, nonce: Nonce(1) };
        let member = Member { uid: ann, name: Name::parse("ann").unwrap(), author: AuthorId::of_bits(1) };
        let lost = Event::Left { member: member.clone(), lost: true };
        let succeeded = Event::FailedOver { lost: ann, lost_name: None, epoch, name: None, took: Span(9) };
        vec![Event::Leader(epoch), succeeded, lost.clone(), Event::Joined(member), lost, Event::Leader(epoch)]
    }

    fn shown(terminal: bool) -> Vec<bool> {
        let (mut failover_notice, events) = (FailoverNotice::default(), events());
        let shown = (0..events.len()).map(|at| {
            let next = events.get(at + 1).cloned().map(Notice::Event);
            failover_notice.hear(&events[at], next.as_ref());
            failover_notice.shows(&events[at], terminal)
        });
        shown.collect()
    }

    #[test]
    fn a_leaders_loss_is_one_line_on_a_terminal_and_its_steps_elsewhere() {
        assert_eq!(shown(true), [false, true, false, true, true, true]);
        assert_eq!(shown(false), [true, false, true, true, true, true]);
    }
}
