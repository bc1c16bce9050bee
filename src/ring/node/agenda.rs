//! What a node does next by itself: at the end of a step, with the next tick, or at a time.

use crate::ring::types::time::{Span, Time};

/// The node's own appointments, and what chapters leave for the end of the step.
#[derive(Clone, Debug, Hash)]
pub(super) struct Agenda {
    /// When the user asked the node to leave.
    leaving_since: Option<Time>,
    next_heartbeat: Time,
    next_probe: Time,
    /// From then on the node reports another node of another room.
    next_other_room: Time,
    /// Something leaves with the next tick.
    gathered: bool,
    ring_changed: bool,
    deadline_moved: bool,
    /// No deadline of the node is earlier.
    wake: Time,
}

impl Default for Agenda {
    /// Everything is due, for the node has not begun.
    fn default() -> Self {
        Self {
            leaving_since: None,
            next_heartbeat: Time(0),
            next_probe: Time(0),
            next_other_room: Time(0),
            gathered: false,
            ring_changed: false,
            deadline_moved: true,
            wake: Time(0),
        }
    }
}

impl Agenda {
    // ---- the end of the step, and the next tick

    /// Something waits that leaves with the next tick, together with what comes until then.
    pub(super) fn gather(&mut self) {
        self.gathered = true;
    }

    /// Whether something waits for this tick. Asked once.
    pub(super) fn take_gathered(&mut self) -> bool {
        std::mem::take(&mut self.gathered)
    }

    /// The node's neighbours may be others from now on: the end of the step links it to them.
    pub(super) fn ring_may_change(&mut self) {
        self.ring_changed = true;
    }

    /// Whether the neighbours may be others. Asked once.
    pub(super) fn take_ring_change(&mut self) -> bool {
        std::mem::take(&mut self.ring_changed)
    }

    /// A deadline may have come nearer: the end of the step computes the next one again.
    pub(super) fn deadline_moved(&mut self) {
        self.deadline_moved = true;
    }

    /// Whether a deadline may have come nearer. Asked once.
    pub(super) fn take_deadline_move(&mut self) -> bool {
        std::mem::take(&mut self.deadline_moved)
    }

    // ---- the next deadline

    /// The first of the node's deadlines.
    pub(super) fn wake_at(&mut self, wake: Time) {
        self.wake = wake;
    }

    /// Whether a deadline may have passed.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.wake <= now
    }

    /// When the node needs a tick; in the past: as soon as nothing else has arrived.
    pub(super) fn deadline(&self) -> Time {
        if self.gathered { Time(0) } else { self.wake }
    }

    // ---- appointments

    pub(super) fn heartbeat_at(&mut self, at: Time) {
        self.next_heartbeat = at;
    }

    pub(super) fn next_heartbeat(&self) -> Time {
        self.next_heartbeat
    }

    /// Whether a heartbeat is due. If so, the next one follows after `interval`.
    pub(super) fn take_heartbeat(&mut self, now: Time, interval: Span) -> bool {
        let due = self.next_heartbeat <= now;
        if due {
            self.next_heartbeat = now + interval;
        }
        due
    }

    /// Whether a follower may look for lost nodes again.
    pub(super) fn probe_is_due(&self, now: Time) -> bool {
        self.next_probe <= now
    }

    pub(super) fn probe_at(&mut self, at: Time) {
        self.next_probe = at;
    }

    /// Whether the node may report a node of another room. Every peer can claim to be one, so reports are rare.
    pub(super) fn may_tell_other_room(&self, now: Time) -> bool {
        self.next_other_room <= now
    }

    /// The node has reported a node of another room; it reports no other before `next`.
    pub(super) fn told_other_room(&mut self, next: Time) {
        self.next_other_room = next;
    }

    // ---- leaving

    /// The user wants to leave.
    pub(super) fn leave(&mut self, now: Time) {
        self.leaving_since = Some(now);
        self.deadline_moved();
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving_since.is_some()
    }

    /// When a node that leaves stops at the latest.
    pub(super) fn leave_by(&self, longest: Span) -> Option<Time> {
        self.leaving_since.map(|since| since + longest)
    }

    /// The node has stopped: it leaves no more.
    pub(super) fn stop(&mut self) {
        self.leaving_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name, what happens, and what to look at then.
    type Case = (&'static str, fn(&mut Agenda), fn(&mut Agenda) -> bool);

    #[test]
    fn what_chapters_leave_for_later_is_taken_once() {
        let mut agenda = Agenda::default();
        assert!(agenda.take_deadline_move(), "a new node computes its first deadline");
        let table: [Case; 4] = [
            ("gathered", Agenda::gather, Agenda::take_gathered),
            ("the ring", Agenda::ring_may_change, Agenda::take_ring_change),
            ("a deadline", Agenda::deadline_moved, Agenda::take_deadline_move),
            ("leaving", |agenda| agenda.leave(Time(1)), Agenda::take_deadline_move),
        ];
        for (case, leave, take) in table {
            assert!(!take(&mut agenda), "{case}: before");
            leave(&mut agenda);
            assert!(take(&mut agenda), "{case}: once");
            assert!(!take(&mut agenda), "{case}: twice");
        }
    }

    #[test]
    fn a_node_that_has_gathered_something_needs_a_tick_at_once() {
        let mut agenda = Agenda::default();
        agenda.wake_at(Time(5));
        assert_eq!(agenda.deadline(), Time(5));
        agenda.gather();
        assert_eq!(agenda.deadline(), Time(0));
        assert!(!agenda.is_due(Time(4)), "gathering moves no deadline");
        assert!(agenda.is_due(Time(5)));
    }

    #[test]
    fn a_late_heartbeat_is_followed_by_the_next_a_whole_interval_later() {
        let mut agenda = Agenda::default();
        agenda.heartbeat_at(Time(10));
        assert!(!agenda.take_heartbeat(Time(9), Span(10)));
        assert!(agenda.take_heartbeat(Time(13), Span(10)));
        assert_eq!(agenda.next_heartbeat(), Time(23));
    }

    #[test]
    fn a_node_leaves_within_the_longest_wait_until_it_has_stopped() {
        let mut agenda = Agenda::default();
        assert_eq!(agenda.leave_by(Span(5)), None);
        agenda.leave(Time(2));
        assert!(agenda.is_leaving());
        assert_eq!(agenda.leave_by(Span(5)), Some(Time(7)));
        agenda.stop();
        assert!(!agenda.is_leaving());
    }
}
