//! What arrives, and what ends: each frame goes to its chapter.

use super::Node;
use super::phase::{LeaderSearch, Phase};
use crate::ring::links::{CloseReason, ClosedConn};
use crate::ring::types::id::{ConnId, Uid};
use crate::ring::types::limits::BOOK_NODES_MAX;
use crate::ring::types::time::Time;
use crate::ring::wire::frame::{Frame, Hello, Refusal};
use crate::ring::{Event, Record, Stop};

impl Node {
    pub(super) fn on_frame(&mut self, conn: ConnId, frame: Frame) {
        if !self.links.contains(conn) {
            return;
        }
        self.links.heard(self.now.mono, conn, matches!(frame, Frame::Ping(_) | Frame::Pong(_)));
        let Some(peer) = self.links.peer(conn) else {
            return self.on_greeting(conn, frame);
        };
        let from = peer.uid;
        self.heard_from(conn, from);
        match frame {
            Frame::Hello(_) => self.protocol_violation(conn, "greets twice"),
            Frame::Refuse(refusal) => self.on_refused(conn, from, refusal),
            Frame::Ping(sent) => self.send(conn, Frame::Pong(sent)),
            Frame::Pong(sent) => self.links.echoed(self.now.mono, conn, Time(sent)),
            Frame::Adjacent(yes) => self.on_adjacent(conn, from, yes),
            Frame::NextIs(uid) => self.on_next_is(uid),
            Frame::Relay(relay) => self.on_relay(conn, from, relay),

            Frame::LeaderPoll => self.on_poll(conn, from),
            Frame::PollReply(answer) => self.on_poll_reply(conn, from, answer),

            Frame::Join(join) => self.on_join(conn, from, join),
            Frame::MoreEpochBounds => self.on_more_shape(conn),
            Frame::Accept(accept) => self.on_accept(conn, accept),
            Frame::Redirect(leader) => self.on_redirect(conn, leader),
            Frame::Wait => self.on_wait(conn),
            Frame::NoLeader => self.on_no_leader(conn),
            Frame::Backlog(backlog) => self.on_backlog(conn, backlog),
            Frame::Entries(entries) => self.on_entries(conn, entries),
            Frame::Ack(ack) => self.on_ack(conn, from, ack),
            Frame::StableIndex(stable_index) => self.on_stable_index(conn, stable_index),
            Frame::Offer(offer) => self.on_offer(conn, from, offer),
            Frame::Want(want) => self.on_want(conn, want),
            Frame::Submit(submit) => self.on_submitted(conn, from, submit),
            Frame::KeyRequest(key) => self.on_key_wanted(conn, key),
            Frame::Key(secret) => self.on_key(conn, secret),
            Frame::Throttle(slow) => self.on_throttle(conn, slow),
            Frame::Leave(stream) => self.on_left(conn, from, stream),

            Frame::Token(token) => self.on_token(conn, from, token),
            Frame::TokenAck { round, candidate } => self.on_token_ack(from, round, candidate),
            Frame::Swallowed { round, known, following } => self.on_swallowed(conn, round, known, following),
            Frame::Elected(elected) => self.on_elected(conn, elected),
            Frame::Fetch(epoch_bounds) => self.on_fetch(conn, &epoch_bounds),
            Frame::Common(common) => self.on_common(conn, common),
            Frame::Pull(after) => self.on_pull(conn, after),
            Frame::Pulled(batch) => self.on_pulled(conn, batch),

            Frame::MergeOffer(meet) => self.on_merge_offer(conn, from, meet),
            Frame::MergeAccepted(pair) => self.on_merge_accepted(conn, from, pair),
            Frame::StepDown(epoch) => self.on_step_down(conn, epoch),
            Frame::RivalLeader(epoch) => self.on_rival_leader(conn, from, epoch),
            Frame::Handover(round) => self.on_handover(conn, from, round),

            Frame::PrivateMessage(pm) => self.on_pm(conn, pm),
            Frame::PmReceipt(receipt) => self.on_receipt(conn, receipt),
            Frame::HealthQuery => self.on_peer_health_query(conn, from),
            Frame::HealthReply(reports) => self.on_health_reply(conn, reports),
        }
    }

    /// The first frame on a connection says who is there.
    fn on_greeting(&mut self, conn: ConnId, frame: Frame) {
        if let Frame::Refuse(refusal) = frame {
            let Some(uid) = self.links.uid(conn) else { return self.close(conn) };
            return self.on_refused(conn, uid, refusal);
        }
        let Frame::Hello(hello) = frame else {
            // A frame that was on its way to another of my connections' ends, or a peer that does not greet.
            return self.protocol_violation(conn, "speaks before it has greeted");
        };
        if !hello.version_fits() {
            return self.refuse(
                conn,
                Refusal::Version(crate::ring::types::limits::PROTOCOL_VERSION),
                "speaks another version",
            );
        }
        if hello.uid == self.identity.me {
            self.book.forget(self.identity.me);
            return self.refuse(conn, Refusal::SameAddress, "has my own address");
        }
        if let (Some(mine), Some(theirs)) = (self.room, hello.room)
            && mine != theirs
        {
            self.other_room(hello.uid);
            return self.refuse(conn, Refusal::Room(mine), "is of another room");
        }
        if let Some(refusal) = self.refusal_if_blocked(&hello) {
            return self.refuse(conn, refusal, "is shut out");
        }
        self.blocklist.free_address(hello.uid);
        let relayed = self.links.carried_by(conn).is_some();
        if relayed && self.links.uid(conn) != Some(hello.uid) {
            return self.protocol_violation(conn, "speaks for another");
        }
        let answers = !self.links.is_mine(conn);
        let Hello { uid, room, .. } = hello;
        if !self.links.greeted(self.now.mono, conn, hello) {
            return;
        }
        if answers {
            let hello = self.identity.hello(self.room);
            self.send(conn, Frame::Hello(hello));
        }
        if room.is_some() && room == self.room {
            self.learn_peer(uid);
            self.book.set_left(uid, false);
        }
        self.heard_from(conn, uid);
        self.on_link_up(conn, uid);
    }

    /// Closes a connection and says why.
    pub(super) fn refuse(&mut self, conn: ConnId, refusal: Refusal, why: &'static str) {
        self.event(Event::ProtocolViolation { conn, why });
        self.send(conn, Frame::Refuse(refusal));
        self.close(conn);
    }

    /// While I look for a leader, whoever speaks is alive.
    fn heard_from(&mut self, conn: ConnId, from: Uid) {
        if !self.is_roommate(conn) {
            return;
        }
        if let Some(search) = self.search_mut().filter(|search| search.heard.len() < BOOK_NODES_MAX) {
            search.heard.insert(from);
            search.gone.remove(&from);
        }
        if let Phase::Electing(electing) = &mut self.phase {
            electing.election.heard(from);
        }
    }

    /// The other end has said that it is in my room, or I have taken it in.
    pub(super) fn is_roommate(&self, conn: ConnId) -> bool {
        self.room.is_some() && self.links.peer(conn).is_some_and(|peer| peer.room == self.room)
    }

    pub(super) fn search_mut(&mut self) -> Option<&mut LeaderSearch> {
        match &mut self.phase {
            Phase::PollBackoff { search, .. } => Some(search),
            Phase::LeaderPoll { search, .. } => Some(search),
            Phase::Electing(electing) => Some(&mut electing.search),
            Phase::Joining(joining) => Some(&mut joining.search),
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::Synchronizing(_)
            | Phase::Following(_)
            | Phase::Leading(_)
            | Phase::Stopped => None,
        }
    }

    pub(super) fn search(&self) -> Option<&LeaderSearch> {
        match &self.phase {
            Phase::PollBackoff { search, .. } => Some(search),
            Phase::LeaderPoll { search, .. } => Some(search),
            Phase::Electing(electing) => Some(&electing.search),
            Phase::Joining(joining) => Some(&joining.search),
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::Synchronizing(_)
            | Phase::Following(_)
            | Phase::Leading(_)
            | Phase::Stopped => None,
        }
    }

    /// The other end will not have me.
    fn on_refused(&mut self, conn: ConnId, from: Uid, refusal: Refusal) {
        let mine = match &self.phase {
            Phase::Following(following) => following.conn == conn,
            Phase::Joining(joining) => joining.conn == conn,
            // Who comes back to a room is told so by any of its members.
            Phase::LeaderPoll { .. } => !self.display.has_entered(),
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::PollBackoff { .. }
            | Phase::Electing(_)
            | Phase::Synchronizing(_)
            | Phase::Leading(_)
            | Phase::Stopped => false,
        };
        let out = match refusal {
            Refusal::Kicked(_) | Refusal::Banned(_) => mine,
            // A mistake of an honest program, or of its disk: its owner should know.
            Refusal::Forger => mine && self.key.is_keyed(),
            Refusal::Version(_)
            | Refusal::Room(_)
            | Refusal::Name(_)
            | Refusal::Full
            | Refusal::SameAddress
            | Refusal::Protocol
            | Refusal::WrongKey
            | Refusal::NoKey
            | Refusal::KeyNeeded => false,
        };
        if out || self.is_bootstrap_conn(conn) && refusal != Refusal::Protocol {
            return self.stop(Stop::Refused(refusal));
        }
        if let (Refusal::WrongKey | Refusal::NoKey | Refusal::KeyNeeded, Some(search)) = (&refusal, self.search_mut()) {
            search.turned_away = Some(refusal.clone());
        }
        match refusal {
            Refusal::Room(_) => self.other_room(from),
            Refusal::KeyNeeded => {
                self.event(Event::ProtocolViolation { conn, why: "says that its room has a key" });
                if let Some(search) = self.search_mut().filter(|search| search.gone.len() < BOOK_NODES_MAX) {
                    search.gone.insert(from);
                }
            }
            Refusal::Version(_)
            | Refusal::Name(_)
            | Refusal::Full
            | Refusal::SameAddress
            | Refusal::Forger
            | Refusal::Kicked(_)
            | Refusal::Banned(_)
            | Refusal::Protocol
            | Refusal::WrongKey
            | Refusal::NoKey => {}
        }
        self.close(conn);
    }

    /// The same before there was a connection: who is there counts as nobody.
    pub(super) fn on_turned_away(&mut self, conn: ConnId, refusal: Refusal) {
        if self.is_bootstrap_conn(conn) {
            return self.stop(Stop::Refused(refusal));
        }
        if let Some(search) = self.search_mut() {
            search.turned_away = Some(refusal);
        }
        self.end(conn, CloseReason::Refused);
    }

    /// This connection leads to a contact that I ask to be let in.
    fn is_bootstrap_conn(&self, conn: ConnId) -> bool {
        match &self.phase {
            Phase::Bootstrapping(bootstrap) => bootstrap.conn == Some(conn),
            Phase::Joining(joining) => joining.conn == conn && joining.search.bootstrap.is_some(),
            Phase::NotStarted
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Synchronizing(_)
            | Phase::Following(_)
            | Phase::Leading(_)
            | Phase::Stopped => false,
        }
    }

    /// At this address there is another room: it is not a member's any more.
    fn other_room(&mut self, uid: Uid) {
        let known = self.book.forget(uid);
        if known {
            self.save(Record::ForgetPeer(uid));
        }
        // Whoever remembers my address is told of once in a while; it may be anybody.
        let strange = !known && !self.log.state().view.contains(uid);
        if !strange || self.agenda.may_tell_other_room(self.now.mono) {
            self.agenda.told_other_room(self.now.mono + self.settings.timing.probe_max);
            self.event(Event::OtherRoom(uid));
        }
        if let Some(search) = self.search_mut().filter(|search| search.gone.len() < BOOK_NODES_MAX) {
            search.gone.insert(uid);
        }
    }

    /// A connection has ended; everybody who relied on it is told.
    pub(super) fn on_end(&mut self, ended: ClosedConn) {
        self.agenda.deadline_moved();
        self.neighbour_ended(&ended);
        self.requests.on_conn_closed(ended.conn);
        if let Some(uid) = ended.uid {
            let gone = matches!(ended.how, CloseReason::Refused | CloseReason::Unreachable | CloseReason::Silent);
            if gone
                && self.links.up(uid).is_none()
                && let Some(search) = self.search_mut().filter(|search| search.gone.len() < BOOK_NODES_MAX)
            {
                search.gone.insert(uid);
            }
        }
        match &self.phase {
            Phase::Bootstrapping(bootstrap) if bootstrap.conn == Some(ended.conn) => self.contact_failed(),
            Phase::LeaderPoll { .. } => self.poll_ended(&ended),
            Phase::Electing(_) => self.elector_ended(&ended),
            Phase::Synchronizing(_) => self.fetch_ended(&ended),
            Phase::Joining(joining) if joining.conn == ended.conn => self.join_failed(&ended),
            Phase::Following(following) if following.conn == ended.conn => self.leader_ended(&ended),
            Phase::Leading(_) => self.follower_ended(&ended),
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::PollBackoff { .. }
            | Phase::Joining(_)
            | Phase::Following(_)
            | Phase::Stopped => {}
        }
    }
}
