//! Real nodes that can be struck and healed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::disk::Disk;
use crate::harness::{
    Agreed, Enter, Lock, Net, Node, Start, Talker, agree, all_show, free_addrs, pause, settled, soon,
};
use crate::plan::Back;

/// Space for one node's files, and for as much again.
const DISK_MEBIBYTES: u32 = 16;

/// One life of a node: from its start to its end.
pub struct Run {
    pub node: Node,
    pub talker: Talker,
    /// Its files were there for the next run, or it lives.
    pub kept: bool,
    /// Its disk was full for a while.
    pub blind: bool,
    /// It was told to leave.
    pub left: bool,
}

impl Run {
    /// Waits until everything has been read that a node which has ended had shown.
    fn read_out(&self) {
        self.node.wait("has closed its standard output", soon(5), |shown| shown.closed.then_some(()));
    }

    /// It has told its owner who it is in which room: after that its files know that room.
    fn entered(&self) -> bool {
        self.entered_at().is_some()
    }

    /// When it has.
    pub fn entered_at(&self) -> Option<Instant> {
        let told = |(_, line): &&(Instant, String)| line.starts_with("/// you are ");
        self.node.screen.look(|shown| shown.events.iter().find(told).map(|(at, _)| *at))
    }
}

/// Where a node is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Up,
    Frozen,
    Dead,
}

/// An address, a directory, and who lives there.
pub struct Place {
    pub name: String,
    pub addr: SocketAddr,
    home: PathBuf,
    clock: PathBuf,
    pub state: State,
    /// The last is the one that lives.
    pub runs: Vec<Run>,
}

impl Place {
    pub fn run(&self) -> &Run {
        self.runs.last().unwrap()
    }

    pub fn node(&self) -> &Node {
        &self.run().node
    }

    /// What a dead node's owner was told, with space on its disk and before somebody took its files, they must know.
    fn check_memory(&self) {
        let run = self.run();
        let forgotten = run.entered() && run.kept && !run.blind && self.remembers() != Some(true);
        assert!(!forgotten, "{} was in a room that its files do not know", self.name);
    }

    /// Whether its files know a room. `None`: they cannot be read, while their disk is full.
    ///
    /// Asked of the files: who has entered a room while its disk was full has told its owner, and no file.
    fn remembers(&self) -> Option<bool> {
        let peeked = dist_chat::store::peek(&dist_chat::store::file_in(&self.home, self.addr.port()));
        peeked.ok().map(|peeked| peeked.is_some_and(|peeked| !peeked.rooms.is_empty()))
    }
}

/// A directory that goes away with a scenario that went well.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        match std::thread::panicking() {
            true => println!("kept: {}", self.0.display()),
            false => drop(std::fs::remove_dir_all(&self.0)),
        }
    }
}

/// The nodes and what lies between them. Everything ends with it: the nodes first.
pub struct World {
    pub places: Vec<Place>,
    pub pace: Duration,
    net: Option<Net>,
    disk: Option<(usize, Disk)>,
    /// The library that lies about the time.
    liar: Option<PathBuf>,
    /// What is lost on its way from one to another, in a hundred packets, by the fault that does it.
    losses: BTreeMap<usize, Vec<(usize, usize, u8)>>,
    /// Lines typed by hand, by tag: so many.
    pub by_hand: BTreeMap<String, u64>,
    /// What cannot be done here, and why.
    pub left_out: BTreeSet<String>,
    runtime: TempDir,
    /// The file with the room's key, if it has one.
    key: Option<PathBuf>,
    scratch: Scratch,
}

impl World {
    /// A settled, talking room of `n`, and a place for one more; the node at `small` has a small disk. `name`: of the
    /// directory that is kept when something goes wrong.
    pub fn new(name: &str, n: usize, small: Option<usize>, pace: Duration) -> Self {
        let tag = std::env::var("NET_TAG").unwrap_or_else(|_| "faults".into());
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{tag}-{name}"));
        let _ = std::fs::remove_dir_all(&scratch);
        std::fs::create_dir_all(&scratch).unwrap();
        let scratch = Scratch(scratch);
        let mut left_out = BTreeSet::new();
        let net = Net::new(n + 1, n).map_err(|why| left_out.insert(format!("cuts and loss: {why}"))).ok();
        if net.as_ref().is_some_and(|net| !net.filters) {
            left_out.insert("loss: no nft".into());
        }
        let liar = liar();
        if liar.is_none() {
            left_out.insert("clocks: no libfaketime".into());
        }
        let addrs = match &net {
            Some(net) => (0..=n).map(|i| net.addr(i)).collect(),
            None => free_addrs(n + 1),
        };
        let places = addrs.into_iter().enumerate().map(|(i, addr)| Place {
            name: format!("n{i}"),
            addr,
            home: scratch.0.join(format!("n{i}")),
            clock: scratch.0.join(format!("n{i}.clock")),
            state: State::Dead,
            runs: Vec::new(),
        });
        let runtime = tempfile::Builder::new().prefix("dcr-").tempdir().unwrap();
        let key = Lock::usual().key_in(runtime.path());
        let mut world = Self {
            places: places.collect(),
            pace,
            net,
            disk: None,
            liar,
            losses: BTreeMap::new(),
            by_hand: BTreeMap::new(),
            left_out,
            runtime,
            key,
            scratch,
        };
        for i in 0..=n {
            std::fs::create_dir_all(&world.places[i].home).unwrap();
            world.set_clock(i, 0);
        }
        if let Some(small) = small {
            match Disk::mount(&world.places[small].home, DISK_MEBIBYTES) {
                Ok(disk) => world.disk = Some((small, disk)),
                Err(why) => drop(world.left_out.insert(format!("full disks: {why}"))),
            }
        }
        world.launch(0, Enter::Create);
        settled(&world.nodes(), soon(20));
        for i in 1..n {
            world.launch(i, Enter::Join(world.places[0].addr));
        }
        world.settle(soon(60));
        world
    }

    /// The nodes of all places that have been lived in.
    pub fn nodes(&self) -> Vec<&Node> {
        self.at(&self.every())
    }

    /// The nodes at these places.
    pub fn at(&self, places: &[usize]) -> Vec<&Node> {
        places.iter().map(|place| self.places[*place].node()).collect()
    }

    /// The tags and counts of the talkers that still talk at these places.
    pub fn typed(&self, places: &[usize], more: u64) -> Vec<(String, u64)> {
        let talkers = places.iter().map(|place| &self.places[*place].run().talker);
        talkers.map(|talker| (talker.tag.clone(), talker.count() + more)).collect()
    }

    /// All places that have been lived in.
    pub fn every(&self) -> Vec<usize> {
        (0..self.places.len()).filter(|place| !self.places[*place].runs.is_empty()).collect()
    }

    /// Types numbered lines by hand, which everybody will be asked for.
    pub fn type_by_hand(&mut self, i: usize, tag: &str, lines: u64) {
        for n in 0..lines {
            self.places[i].node().say(&format!("{tag} {n}"));
        }
        self.by_hand.insert(tag.into(), lines);
    }

    /// Ends all talk; returns when everybody was shown everything that was still being typed by those who live.
    pub fn hush(&mut self) {
        let mut counts = Vec::new();
        for i in self.every() {
            let talker = &mut self.places[i].runs.last_mut().unwrap().talker;
            if talker.talks() {
                counts.push((talker.tag.clone(), talker.stop()));
            }
        }
        all_show(&self.nodes(), &counts, soon(30));
    }

    pub fn is(&self, place: usize, state: State) -> bool {
        self.places[place].state == state
    }

    pub fn living(&self) -> Vec<usize> {
        self.every().into_iter().filter(|place| self.is(*place, State::Up)).collect()
    }

    pub fn has_net(&self) -> bool {
        self.net.is_some()
    }

    pub fn has_filters(&self) -> bool {
        self.net.as_ref().is_some_and(|net| net.filters)
    }

    pub fn has_disk(&self) -> bool {
        self.disk.is_some()
    }

    pub fn has_liar(&self) -> bool {
        self.liar.is_some()
    }

    /// Starts a node and lets it talk.
    pub fn launch(&mut self, i: usize, enter: Enter) {
        let place = &mut self.places[i];
        let run = place.runs.len();
        let stderr = self.scratch.0.join(format!("n{i}.{run}.stderr"));
        let node = Node::start(Start {
            name: &place.name,
            addr: place.addr,
            enter,
            runtime: self.runtime.path(),
            netns: self.net.as_ref().map(|net| net.name(i)),
            home: Some((&place.home, &stderr)),
            clock: self.liar.as_deref().map(|liar| (liar, place.clock.as_path())),
            key: self.key.as_deref(),
            lies: None,
        });
        let talker = Talker::start(&node, &format!("m{i}-{run}"), self.pace);
        place.runs.push(Run { node, talker, kept: true, blind: false, left: false });
        place.state = State::Up;
        if self.disk.as_ref().is_some_and(|(small, disk)| *small == i && disk.is_full()) {
            self.blind(i);
        }
    }

    /// Brings a dead node back, if it must join through whoever lives, even if that one is still at a door itself.
    /// Nothing happens if it could only join, and nobody lives.
    pub fn back(&mut self, i: usize, back: Back) {
        let contact = self.living().first().copied();
        self.back_through(i, back, contact);
    }

    fn back_through(&mut self, i: usize, back: Back, contact: Option<usize>) {
        if !self.is(i, State::Dead) {
            return;
        }
        self.places[i].run().read_out();
        self.places[i].check_memory();
        let contact = contact.map(|place| Enter::Join(self.places[place].addr));
        let enter = match (self.places[i].remembers(), back, contact) {
            (Some(true), Back::Reopening, _) => Enter::Create,
            (Some(true), Back::Alone, _) | (Some(true), Back::Joining, None) => Enter::Return,
            (Some(true), Back::Joining, Some(join)) | (Some(false) | None, _, Some(join)) => join,
            // The room is gone with the last of its files: whoever comes first opens another.
            (Some(false), _, None) if self.is_forgotten() => Enter::Create,
            (Some(false) | None, _, None) => return,
        };
        self.launch(i, enter);
    }

    /// Nobody is in the room or at its door, and no files know it.
    fn is_forgotten(&self) -> bool {
        self.every().into_iter().all(|i| self.is(i, State::Dead) && self.places[i].remembers() == Some(false))
    }

    /// Ends a node's process; returns whether it lived.
    pub fn kill(&mut self, i: usize) -> bool {
        if self.is(i, State::Dead) {
            return false;
        }
        self.places[i].node().kill();
        self.places[i].runs.last_mut().unwrap().left = false;
        self.buried(i);
        true
    }

    /// Ends all their processes, one right after the other.
    pub fn kill_all(&mut self, places: &[usize]) -> usize {
        let dying: Vec<usize> = places.iter().copied().filter(|i| !self.is(*i, State::Dead)).collect();
        for i in &dying {
            self.places[*i].node().signal(Signal::KILL);
        }
        dying.iter().filter(|i| self.kill(**i)).count()
    }

    /// Lets a node leave; it has some seconds, then it is killed. Returns whether it lived.
    pub fn leave(&mut self, i: usize) -> bool {
        if !self.is(i, State::Up) {
            return false;
        }
        let run = self.places[i].runs.last_mut().unwrap();
        run.talker.stop();
        run.left = run.node.keyboard().line("//exit").is_ok();
        true
    }

    /// Waits for a node that was told to leave.
    pub fn left(&mut self, i: usize) {
        if !self.is(i, State::Dead) && self.places[i].run().left {
            self.thaw(i);
            let _ = self.places[i].node().ended(soon(20));
            self.notice(i);
        }
    }

    fn buried(&mut self, i: usize) {
        let place = &mut self.places[i];
        place.state = State::Dead;
        place.runs.last_mut().unwrap().talker.stop();
    }

    /// Takes a dead node's files.
    pub fn strip(&mut self, i: usize) {
        let place = &mut self.places[i];
        assert_eq!(place.state, State::Dead);
        for file in std::fs::read_dir(&place.home).unwrap() {
            let path = file.unwrap().path();
            if path.file_name().is_none_or(|name| name != Disk::FILLER) {
                std::fs::remove_file(path).unwrap();
            }
        }
        for run in &mut place.runs {
            run.kept = false;
        }
    }

    pub fn freeze(&mut self, i: usize) -> bool {
        let freezes = self.is(i, State::Up) && self.places[i].node().alive() && !self.places[i].run().left;
        if freezes {
            self.places[i].node().freeze();
            self.places[i].state = State::Frozen;
        }
        freezes
    }

    pub fn thaw(&mut self, i: usize) {
        if self.is(i, State::Frozen) {
            self.places[i].node().thaw();
            self.places[i].state = State::Up;
        }
    }

    /// From now on this many packets in a hundred are lost on these ways, besides what other faults take; none: it
    /// ends.
    pub fn lose(&mut self, fault: usize, ways: Vec<(usize, usize, u8)>) {
        let Some(net) = &self.net else { return };
        let before = self.losses.remove(&fault).unwrap_or_default();
        let touched: BTreeSet<usize> = before.iter().chain(&ways).map(|(_, to, _)| *to).collect();
        if !net.filters {
            for (from, to, _) in before {
                net.route(from, to);
            }
        }
        self.losses.insert(fault, ways);
        let all: BTreeSet<(usize, usize, u8)> = self.losses.values().flatten().copied().collect();
        for to in touched {
            // One rule for each way and fault: what is left after one is thinned by the next.
            let here: Vec<(usize, u8)> = all.iter().filter(|way| way.1 == to).map(|way| (way.0, way.2)).collect();
            match net.filters {
                true => net.filter(to, &here).unwrap(),
                false => here.iter().for_each(|(from, _)| net.unroute(*from, to)),
            }
        }
    }

    /// Fills the small disk; returns whose it is.
    pub fn fill(&mut self) -> Option<usize> {
        let (small, disk) = self.disk.as_ref()?;
        let small = *small;
        disk.fill();
        self.blind(small);
        Some(small)
    }

    fn blind(&mut self, i: usize) {
        if let Some(run) = self.places[i].runs.last_mut() {
            run.blind = true;
        }
    }

    pub fn free(&self) {
        if let Some((_, disk)) = &self.disk {
            disk.free();
        }
    }

    /// Moves a node's clock this many seconds away from the true time.
    pub fn set_clock(&self, i: usize, seconds: i64) {
        let file = &self.places[i].clock;
        let new = file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// Who leads, as far as somebody who lives knows.
    pub fn leader(&self) -> Option<usize> {
        let mut known = self.living().into_iter().filter_map(|i| {
            let status = self.places[i].node().status().ok()?;
            let leader: SocketAddr = status["leader"].as_str()?.parse().ok()?;
            self.places.iter().position(|place| place.addr == leader)
        });
        known.next()
    }

    /// Waits until all are one room again. Who gave up at a door, which is allowed while doors do not answer, comes
    /// back; nobody else may have ended.
    pub fn settle(&mut self, until: Instant) -> Agreed {
        loop {
            self.revive();
            let complaint = match agree(&self.nodes()) {
                Ok(agreed) => return agreed,
                Err(complaint) => complaint,
            };
            assert!(Instant::now() < until, "not one room in time: {complaint}");
            pause();
        }
    }

    /// Brings back whoever is dead. Who must join is told of somebody who is in the room, and waits until there is one:
    /// who only know each other find nobody, and give up.
    pub fn revive(&mut self) {
        for i in self.every() {
            self.notice(i);
            if self.is(i, State::Dead) {
                let contact = self.living().into_iter().find(|place| self.places[*place].run().entered());
                self.back_through(i, Back::Alone, contact);
            }
        }
    }

    /// Notices that a node has ended: it was told to leave, or found nobody, or was refused, or had no space to begin
    /// with.
    pub fn notice(&mut self, i: usize) {
        if self.is(i, State::Up) && !self.places[i].node().alive() {
            let code = self.places[i].node().ended(soon(5)).code();
            self.places[i].run().read_out();
            let run = self.places[i].runs.last_mut().unwrap();
            let fine = match code {
                Some(0 | 7) => run.left,
                Some(4 | 5) => !run.left || !run.entered(),
                // With a full disk nobody can begin, and who leaves says what its files lack.
                Some(6) if run.left => {
                    run.blind && run.node.stderr().contains("of the history could not be written here")
                }
                Some(6) => run.blind && run.node.screen.look(|shown| shown.chats.is_empty()),
                _ => false,
            };
            assert!(fine, "n{i} ended by itself with {code:?}: {}", run.node.stderr());
            // Who was never in the room has kept nothing for it.
            run.left &= run.entered();
            self.buried(i);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in self.nodes() {
                println!("{}", node.portrait());
            }
        }
    }
}

/// libfaketime, where Debian puts it.
fn liar() -> Option<PathBuf> {
    let dirs = std::fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let mut places = dirs.map(|dir| dir.join("faketime/libfaketimeMT.so.1"));
    places.find(|path| path.exists())
}
