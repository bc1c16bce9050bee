//! The beginning of a run, and its end.

use std::collections::BTreeSet;

use super::Node;
use super::phase::{Knock, Phase, Seek};
use crate::ring::types::id::{RoomId, Uid};
use crate::ring::{Output, Record, Start, Stop};

impl Node {
    pub(super) fn begin(&mut self) {
        self.beat = self.now.mono + self.timing.heartbeat;
        let members: Vec<Uid> = self.log.summary().view.uids().collect();
        members.into_iter().for_each(|uid| self.meet(uid));
        match self.start.clone() {
            Start::Found(room) => {
                self.enter_room(room);
                self.crown(1, BTreeSet::new(), None, false);
            }
            Start::Join(contacts) => self.knock(contacts.into_iter().map(Uid).collect()),
            Start::Reopen | Start::Return => self.reopen(),
        }
    }

    pub(super) fn enter_room(&mut self, room: RoomId) {
        if self.room != Some(room) {
            self.room = Some(room);
            self.save(Record::Room(room));
        }
    }

    pub(super) fn reopen(&mut self) {
        let seek = Seek { reopening: true, ..Seek::default() };
        self.set_phase(Phase::Waiting { seek, until: self.now.mono });
        self.ask_all();
    }

    pub(super) fn stop(&mut self, stop: Stop) {
        let stop = self.sentence.take().map_or(stop, Stop::Refused);
        self.set_phase(Phase::Gone);
        self.leaving = None;
        self.out.push(Output::Stop(stop));
    }

    fn knock(&mut self, contacts: Vec<Uid>) {
        let knock = Knock {
            contacts,
            at: 0,
            conn: None,
            sign: self.now.mono,
            retry: Some(self.now.mono),
            unreached: BTreeSet::new(),
            answered: false,
        };
        self.set_phase(Phase::Knocking(knock));
        self.on_knock_deadline();
    }
}
