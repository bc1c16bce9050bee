//! The network between the hosts: links that delay, hold back or lose, and TCP-like connections over them.

use std::collections::VecDeque;
use std::sync::Arc;

use dist_chat::ring::ConnId;

/// One direction between two hosts.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Nothing passes.
    pub blocked: bool,
    /// The shortest way takes this many microseconds.
    pub delay: u64,
    /// Up to this many microseconds more, drawn for each item.
    pub jitter: u64,
}

/// What travels on a connection.
#[derive(Clone, Debug)]
pub enum Item {
    /// The dialler has opened it.
    Accepted,
    /// One frame as bytes.
    Frame(Arc<[u8]>),
    /// The other end is gone.
    Closed,
}

/// One end of a connection.
#[derive(Clone, Debug)]
pub struct End {
    /// Whose.
    pub slot: usize,
    /// In which run of the process there; zero while nobody has it.
    pub run: u32,
    /// As that process calls it.
    pub id: Option<ConnId>,
    /// The process holds it.
    pub open: bool,
}

/// One direction of a connection: first in, first out.
#[derive(Clone, Debug, Default)]
pub struct Dir {
    /// What is on its way, each with the instant of its arrival.
    pub queue: VecDeque<(u64, Item)>,
    /// The arrival of the last item sent: nothing overtakes it.
    pub last: u64,
}

/// A connection; the dialler's end and direction are number 0.
#[derive(Clone, Debug)]
pub struct Conn {
    /// Both ends.
    pub ends: [End; 2],
    /// Direction `d` leads from end `d`.
    pub dirs: [Dir; 2],
    /// When it was dialled.
    pub dialled: u64,
    /// The dialler knows that it is open.
    pub opened: bool,
    /// Reset in the middle: takes nothing more.
    pub broken: bool,
}

/// All links and connections.
#[derive(Debug)]
pub struct Net {
    hosts: usize,
    links: Vec<Link>,
    /// Every connection ever dialled.
    pub conns: Vec<Conn>,
}

impl Net {
    /// A network of so many hosts with all links alike.
    pub fn new(hosts: usize, delay: u64, jitter: u64) -> Self {
        Self { hosts, links: vec![Link { blocked: false, delay, jitter }; hosts * hosts], conns: Vec::new() }
    }

    /// The link from one host to another.
    pub fn link(&self, from: usize, to: usize) -> Link {
        self.links[from * self.hosts + to]
    }

    /// The same, to change it.
    pub fn link_mut(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.hosts + to]
    }

    /// Whether nothing passes in one direction.
    pub fn blocked(&self, from: usize, to: usize) -> bool {
        from != to && self.link(from, to).blocked
    }

    /// A new connection on its way to open.
    pub fn dial(&mut self, now: u64, from: (usize, u32, ConnId), to: usize) -> usize {
        let (slot, run, id) = from;
        self.conns.push(Conn {
            ends: [End { slot, run, id: Some(id), open: true }, End { slot: to, run: 0, id: None, open: false }],
            dirs: [Dir::default(), Dir::default()],
            dialled: now,
            opened: false,
            broken: false,
        });
        self.conns.len() - 1
    }
}
