//! The beginning of a run, and its end.

use std::collections::BTreeSet;

use super::Node;
use super::phase::{Bootstrap, LeaderSearch, Phase};
use crate::ring::types::id::{RoomId, Uid};
use crate::ring::{Output, Record, Start, Stop};

impl Node {
    pub(super) fn begin(&mut self) {
        self.agenda.heartbeat_at(self.now.mono + self.settings.timing.heartbeat);
        let members: Vec<Uid> = self.log.state().view.uids().collect();
        members.into_iter().for_each(|uid| self.learn_peer(uid));
        match self.settings.start.clone() {
            Start::Create(room) => {
                self.enter_room(room);
                self.begin_term(1, BTreeSet::new(), None, false);
            }
            Start::Join(contacts) => self.bootstrap(contacts.into_iter().map(Uid).collect()),
            Start::Reopen | Start::Resume => self.reopen(),
        }
    }

    pub(super) fn enter_room(&mut self, room: RoomId) {
        if self.room != Some(room) {
            self.room = Some(room);
            self.save(Record::Room(room));
        }
    }

    pub(super) fn reopen(&mut self) {
        let search = LeaderSearch { reopening: true, ..LeaderSearch::default() };
        self.set_phase(Phase::PollBackoff { search, until: self.now.mono });
        self.poll_all();
    }

    pub(super) fn stop(&mut self, stop: Stop) {
        let stop = self.moderation.take_eviction().map_or(stop, Stop::Refused);
        self.set_phase(Phase::Stopped);
        self.agenda.stop();
        self.out.push(Output::Stop(stop));
    }

    fn bootstrap(&mut self, contacts: Vec<Uid>) {
        let bootstrap = Bootstrap {
            contacts,
            at: 0,
            conn: None,
            sign: self.now.mono,
            retry: Some(self.now.mono),
            unreached: BTreeSet::new(),
            answered: false,
        };
        self.set_phase(Phase::Bootstrapping(bootstrap));
        self.on_bootstrap_deadline();
    }
}
