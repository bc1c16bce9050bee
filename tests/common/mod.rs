//! Rooms of real processes, and functions that wait until a room keeps its promises.
//!
//! Every wait has a deadline, far beyond what a healthy room needs. The deadline ends a broken test; it does not
//! measure speed.

mod lock;
mod net;
mod node;
mod screen;

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub use lock::{Lock, write_key};
pub use net::Net;
pub use node::{Enter, Keyboard, Node, PROGRAM, Start};
pub use screen::{Chat, Shown};

/// Waits for this test's turn: tests run one at a time, because each needs both cores and undisturbed timings.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// This many seconds from now.
pub fn soon(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

/// Sleeps briefly between two looks at something that a test cannot await (a file, another process).
pub fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

/// Calls `f` again and again until it finds something. Fails with `what` if `f` finds nothing before `until`.
pub fn poll<T>(what: &str, until: Instant, mut f: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = f() {
            return found;
        }
        assert!(Instant::now() < until, "not in time: {what}");
        pause();
    }
}

/// Reads a number from this environment variable.
pub fn setting(name: &str) -> Option<u64> {
    Some(std::env::var(name).ok()?.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Pseudo-random numbers (splitmix64).
pub struct Rng(u64);

impl Rng {
    /// Starts from `PROOF_SEED`, or from a random seed if that is not set. Returns the seed too, so that a test can
    /// print it.
    pub fn new() -> (Self, u64) {
        let seed = setting("PROOF_SEED").unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            u64::try_from(now.as_nanos() & u128::from(u32::MAX)).unwrap()
        });
        (Self::from(seed), seed)
    }

    pub fn from(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws a number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Draws `k` different numbers below `n`.
    pub fn choose(&mut self, k: usize, n: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..n).collect();
        (0..k).map(|_| all.swap_remove(self.below(all.len()))).collect()
    }
}

/// Free ports on this machine in ascending order, which is ring order. They lie below the ports that the system gives
/// to outgoing connections, so that no redial takes the port of a node that is about to start again.
pub fn free_addrs(n: usize) -> Vec<SocketAddr> {
    static NEXT: OnceLock<AtomicU64> = OnceLock::new();
    const LOWEST: u64 = 10_000;
    let ephemeral = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    let ephemeral = ephemeral.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(32_768_u64);
    let span = ephemeral.checked_sub(LOWEST).filter(|span| *span > 1000).unwrap_or(20_000);
    let next = NEXT.get_or_init(|| AtomicU64::new(u64::from(std::process::id()) * 131));
    let mut addrs = BTreeSet::new();
    while addrs.len() < n {
        let port = LOWEST + next.fetch_add(1, Ordering::Relaxed) % span;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap()));
        if TcpListener::bind(addr).is_ok() {
            addrs.insert(addr);
        }
    }
    addrs.into_iter().collect()
}

/// Nodes, and the directory with their user's sockets.
pub struct Room {
    pub nodes: Vec<Node>,
    runtime: TempDir,
    key: Option<PathBuf>,
}

impl Room {
    pub fn empty() -> Self {
        Self::behind(Lock::usual())
    }

    /// A room without nodes; each node that starts in it later gets the key of this lock.
    pub fn behind(lock: Lock) -> Self {
        let runtime = tempfile::Builder::new().prefix("dcr-").tempdir().unwrap();
        let key = lock.key_in(runtime.path());
        Self { nodes: Vec::new(), runtime, key }
    }

    /// A settled room of `n` nodes in ring order; the node at place `first` creates it.
    pub fn of(n: usize, first: usize) -> Self {
        Self::of_behind(Lock::usual(), n, first)
    }

    /// Like [`of`](Self::of), behind this lock.
    pub fn of_behind(lock: Lock, n: usize, first: usize) -> Self {
        let mut room = Self::behind(lock);
        let addrs = free_addrs(n);
        let creator = room.start("n0", addrs[first], Enter::Create);
        poll("the first node leads", soon(20), || room.status_is(&creator, "leader"));
        let mut creator = Some(creator);
        for (i, addr) in addrs.iter().enumerate() {
            let node = if i == first {
                creator.take().unwrap()
            } else {
                room.start(&format!("n{}", (i + n - first) % n), *addr, Enter::Join(addrs[first]))
            };
            room.nodes.push(node);
        }
        settled(&room.all(), soon(60));
        room
    }

    pub fn start(&self, name: &str, addr: SocketAddr, enter: Enter) -> Node {
        self.start_in(name, addr, enter, None)
    }

    /// Like [`start`](Self::start), in this network namespace.
    pub fn start_in(&self, name: &str, addr: SocketAddr, enter: Enter, netns: Option<&str>) -> Node {
        let (runtime, key) = (self.runtime.path(), self.key.as_deref());
        Node::start(Start { name, addr, enter, runtime, netns, home: None, clock: None, key, lies: None })
    }

    /// Like [`start`](Self::start), with this key instead of the room's key, or with no key.
    pub fn start_with(&self, name: &str, addr: SocketAddr, enter: Enter, key: Option<&Path>) -> Node {
        let runtime = self.runtime.path();
        Node::start(Start { name, addr, enter, runtime, netns: None, home: None, clock: None, key, lies: None })
    }

    /// Like [`start`](Self::start), with a build of the program that lies; `how` names the lie.
    pub fn start_liar(&self, name: &str, addr: SocketAddr, enter: Enter, program: &Path, how: &str) -> Node {
        let (runtime, key, lies) = (self.runtime.path(), self.key.as_deref(), Some((program, how)));
        Node::start(Start { name, addr, enter, runtime, netns: None, home: None, clock: None, key, lies })
    }

    pub fn runtime(&self) -> &Path {
        self.runtime.path()
    }

    /// The file with the room's key, if it has one.
    pub fn key(&self) -> Option<&Path> {
        self.key.as_deref()
    }

    fn status_is(&self, node: &Node, role: &str) -> Option<()> {
        (node.status().ok()?["role"] == role).then_some(())
    }

    pub fn all(&self) -> Vec<&Node> {
        self.nodes.iter().collect()
    }

    /// All nodes except those at these places.
    pub fn except(&self, gone: &[usize]) -> Vec<&Node> {
        self.nodes.iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(_, node)| node).collect()
    }

    /// The place of the node with this address.
    pub fn place(&self, addr: SocketAddr) -> usize {
        self.nodes.iter().position(|node| node.addr == addr).expect("a node of this room")
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in &self.nodes {
                println!("{}", node.portrait());
            }
        }
    }
}

/// The facts on which the nodes of a settled room agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    pub leader: SocketAddr,
    pub epoch: Value,
}

/// Waits until exactly these nodes are one room: all follow one leader in one epoch, all show the same members, and
/// each node's next and prev stand in ring order.
pub fn settled(nodes: &[&Node], until: Instant) -> Agreed {
    loop {
        let complaint = match agree(nodes) {
            Ok(agreed) => return agreed,
            Err(complaint) => complaint,
        };
        assert!(Instant::now() < until, "not one room in time: {complaint}");
        pause();
    }
}

/// Checks once, without waiting, what [`settled`] waits for. Fails with the first condition that does not hold.
pub fn agree(nodes: &[&Node]) -> Result<Agreed, String> {
    let mut ring: Vec<SocketAddr> = nodes.iter().map(|node| node.addr).collect();
    ring.sort_unstable();
    let mut agreed: Option<Agreed> = None;
    for node in nodes {
        let status = node.status().map_err(|said| format!("{}: {said}", node.name))?;
        let fail = |what: &str| Err(format!("{} has {what}: {status}", node.name));
        let addr = |value: &Value| value.as_str().and_then(|text| text.parse::<SocketAddr>().ok());
        let Some(leader) = addr(&status["leader"]) else { return fail("no leader") };
        let role = if leader == node.addr { "leader" } else { "follower" };
        if status["role"] != role {
            return fail("another role");
        }
        let here = Agreed { leader, epoch: status["epoch"].clone() };
        if agreed.as_ref().is_some_and(|agreed| *agreed != here) {
            return fail("another epoch than the node before");
        }
        let members = status["members"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut members: Vec<SocketAddr> = members.iter().filter_map(|member| addr(&member["address"])).collect();
        members.sort_unstable();
        if members != ring {
            return fail("other members");
        }
        let at = ring.iter().position(|addr| *addr == node.addr).ok_or("not in its own ring")?;
        if addr(&status["next"]) != Some(ring[(at + 1) % ring.len()]) {
            return fail("another next");
        }
        if addr(&status["prev"]) != Some(ring[(at + ring.len() - 1) % ring.len()]) {
            return fail("another prev");
        }
        agreed = Some(here);
    }
    let agreed = agreed.ok_or("no nodes")?;
    if ring.binary_search(&agreed.leader).is_err() {
        return Err(format!("the leader {} is not one of them", agreed.leader));
    }
    Ok(agreed)
}

/// Like [`settled`]; also waits until all logs are equally long and no line waits for its place in the log.
pub fn quiet(nodes: &[&Node], until: Instant) -> Agreed {
    poll("equally long logs and nothing waiting", until, || {
        let agreed = settled(nodes, until);
        let ends: Option<BTreeSet<u64>> = nodes
            .iter()
            .map(|node| {
                let status = node.status().ok()?;
                (status["waiting"] == 0).then(|| status["log"]["last"].as_u64())?
            })
            .collect();
        (ends?.len() == 1).then_some(agreed)
    })
}

/// A thread that types numbered lines into a node until the test stops it or the node is gone.
pub struct Talker {
    pub tag: String,
    typed: Arc<Mutex<Vec<Instant>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Talker {
    /// Types `TAG 0`, `TAG 1` ... and pauses for `pace` after each line. The pause makes a load; the test waits for
    /// nothing with it.
    pub fn start(node: &Node, tag: &str, pace: Duration) -> Self {
        Self::spawn(node, tag, move |_, _| pace)
    }

    /// `wait` gets the talker's start time and the number of lines typed so far; it returns the pause before the next
    /// line.
    fn spawn(node: &Node, tag: &str, wait: impl Fn(Instant, u32) -> Duration + Send + 'static) -> Self {
        let (keyboard, typed, stop) = (node.keyboard(), Arc::default(), Arc::default());
        let thread = std::thread::spawn({
            let (tag, typed, stop) = (tag.to_owned(), Arc::clone(&typed), Arc::clone(&stop));
            move || talk(&keyboard, &tag, wait, &typed, &stop)
        });
        Self { tag: tag.into(), typed, stop, thread: Some(thread) }
    }

    /// Like [`start`](Self::start), but each line has a fixed moment: a late line does not delay the next line.
    pub fn steady(node: &Node, tag: &str, pace: Duration) -> Self {
        Self::spawn(node, tag, move |begun, n| pace.saturating_mul(n).saturating_sub(begun.elapsed()))
    }

    /// The number of lines that the talker has typed so far.
    pub fn count(&self) -> u64 {
        self.typed.lock().unwrap().len() as u64
    }

    /// A moment no later than the one at which the talker typed line `n`.
    pub fn typed_at(&self, n: u64) -> Instant {
        self.typed.lock().unwrap()[usize::try_from(n).unwrap()]
    }

    /// Whether the test has not stopped this talker yet.
    pub fn talks(&self) -> bool {
        self.thread.is_some()
    }

    /// Ends the talk; returns the number of lines that the talker typed.
    pub fn stop(&mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.count()
    }
}

fn talk(
    keyboard: &Keyboard,
    tag: &str,
    wait: impl Fn(Instant, u32) -> Duration,
    typed: &Mutex<Vec<Instant>>,
    stop: &AtomicBool,
) {
    let (begun, mut n) = (Instant::now(), 0_u32);
    while !stop.load(Ordering::Relaxed) {
        // The talker notes the time before it types, so that a test that sees a line always finds its time.
        typed.lock().unwrap().push(Instant::now());
        if keyboard.line(&format!("{tag} {n}")).is_err() {
            typed.lock().unwrap().pop();
            return;
        }
        n += 1;
        std::thread::sleep(wait(begun, n));
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Waits until each node shows the lines of each tag up to this count. The function looks only at the highest number;
/// [`check_log`] shows that no line is missing below it.
pub fn all_show(nodes: &[&Node], counts: &[(String, u64)], until: Instant) {
    for node in nodes {
        for (tag, count) in counts.iter().filter(|(_, count)| *count > 0) {
            node.wait(&format!("shows {tag} {}", count - 1), until, |shown| {
                shown.high.get(tag).is_some_and(|high| high + 1 >= *count).then_some(())
            });
        }
    }
}

/// Waits until the node's log holds the lines that its screen shows. Checks that both hold the same lines, that no line
/// stands twice, and that every talker's lines stand in order. Returns the log.
pub fn check_log(node: &Node, until: Instant) -> Vec<Chat> {
    let mut log = node.log_chats();
    while log.len() != node.screen.look(|shown| shown.chats.len()) && Instant::now() < until {
        pause();
        log = node.log_chats();
    }
    node.screen.look(|shown| {
        for (i, (logged, shown)) in log.iter().zip(&shown.chats).enumerate() {
            assert_eq!(logged, shown, "{}: log and screen differ at chat line {i}", node.name);
        }
        assert_eq!(log.len(), shown.chats.len(), "{}: log and screen differ in length", node.name);
    });
    let mut seen = HashMap::new();
    for chat in &log {
        if let Some(before) = seen.insert((chat.addr, chat.text.as_str()), chat.ts) {
            panic!("{}: {:?} stands twice, as {before} and as {}", node.name, chat.text, chat.ts);
        }
    }
    log
}

/// Checks that timestamps rise, and that the lines of each tag have no gap after the first one in the log.
pub fn check_order(name: &str, log: &[Chat]) {
    for pair in log.windows(2) {
        assert!(pair[0].ts < pair[1].ts, "{name}: timestamps do not rise: {pair:?}");
    }
    let mut last: HashMap<&str, u64> = HashMap::new();
    for (tag, n) in log.iter().filter_map(Chat::numbered) {
        if let Some(before) = last.insert(tag, n) {
            assert_eq!(n, before + 1, "{name}: {tag} {n} stands after {tag} {before}");
        }
    }
}

/// Checks that the log holds the lines of this tag from the first one on, and at least `count` of them.
pub fn check_whole(name: &str, log: &[Chat], tag: &str, count: u64) {
    let numbers: BTreeSet<u64> =
        log.iter().filter_map(Chat::numbered).filter(|(t, _)| *t == tag).map(|t| t.1).collect();
    for n in 0..count {
        assert!(numbers.contains(&n), "{name}: {tag} {n} is missing ({} of {count} there)", numbers.len());
    }
}

/// Checks that `log` is the end of `whole`: the node of `log` joined later.
pub fn check_suffix(name: &str, log: &[Chat], whole: &[Chat]) {
    assert!(log.len() <= whole.len(), "{name}: {} lines, {} in the whole log", log.len(), whole.len());
    let skipped = whole.len() - log.len();
    for (i, (here, there)) in log.iter().zip(&whole[skipped..]).enumerate() {
        assert_eq!(here, there, "{name}: line {i} of its log differs");
    }
}

/// Checks the logs of nodes that were in the room from the start: all logs are the same, in order, and hold each
/// talker's lines completely. Returns the log.
pub fn check_same(nodes: &[&Node], counts: &[(String, u64)], until: Instant) -> Vec<Chat> {
    let log = check_log(nodes[0], until);
    check_order(&nodes[0].name, &log);
    for (tag, count) in counts {
        check_whole(&nodes[0].name, &log, tag, *count);
    }
    for node in &nodes[1..] {
        let other = check_log(node, until);
        for (i, (a, b)) in log.iter().zip(&other).enumerate() {
            assert_eq!(a, b, "{} and {} differ at line {i}", nodes[0].name, node.name);
        }
        assert_eq!(log.len(), other.len(), "{} and {} differ in length", nodes[0].name, node.name);
    }
    log
}

/// Stops these talkers; returns each tag with its count.
pub fn hush(talkers: &mut [Talker]) -> Vec<(String, u64)> {
    talkers.iter_mut().map(|talker| (talker.tag.clone(), talker.stop())).collect()
}

/// The median and the largest of these times, in milliseconds.
pub fn median_worst(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    format!("median {:.1} ms, worst {:.1} ms", ms(times[times.len() / 2]), ms(times[times.len() - 1]))
}
