//! The text that a node has written to its standard output, and functions that wait for it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

/// A chat line as a user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    pub ts: u64,
    pub name: String,
    pub addr: SocketAddr,
    pub text: String,
}

impl Chat {
    /// Reads `> NAME(IP:PORT)[TS]: text`.
    pub fn from_screen(line: &str) -> Option<Self> {
        let (head, text) = line.strip_prefix("> ")?.split_once("]: ")?;
        let (head, ts) = head.rsplit_once('[')?;
        Self::new(head, ts, text)
    }

    /// Reads `TS: NAME(IP:PORT): text`.
    pub fn from_log(line: &str) -> Option<Self> {
        let (ts, rest) = line.split_once(": ")?;
        let (head, text) = rest.split_once("): ")?;
        Self::new(&format!("{head})"), ts, text)
    }

    fn new(head: &str, ts: &str, text: &str) -> Option<Self> {
        let (name, addr) = head.strip_suffix(')')?.split_once('(')?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return None;
        }
        Some(Self { ts: ts.parse().ok()?, name: name.into(), addr: addr.parse().ok()?, text: text.into() })
    }

    /// The tag and the number, if a [`Talker`](super::Talker) typed this line.
    pub fn numbered(&self) -> Option<(&str, u64)> {
        Self::number(&self.text)
    }

    /// Like [`numbered`](Self::numbered), for the text of a line.
    pub fn number(text: &str) -> Option<(&str, u64)> {
        let mut words = text.split(' ');
        Some((words.next()?, words.next()?.parse().ok()?))
    }
}

/// Everything that the node has shown so far.
#[derive(Default)]
pub struct Shown {
    pub chats: Vec<Chat>,
    /// The time at which the test read each of `chats`.
    pub at: Vec<Instant>,
    /// Every other line, with the time at which the test read it.
    pub events: Vec<(Instant, String)>,
    /// For each talker's tag, the highest number that the node has shown.
    pub high: HashMap<String, u64>,
    /// For each text, the time at which the node first showed it.
    pub first: HashMap<String, Instant>,
    /// Whether the program has closed its standard output.
    pub closed: bool,
}

/// The shared state of the thread that reads a node's output and the threads that wait for that output.
#[derive(Default)]
pub struct Screen {
    shown: Mutex<Shown>,
    changed: Condvar,
}

impl Screen {
    pub fn read(out: impl Read + Send + 'static) -> Arc<Self> {
        let screen = Arc::new(Self::default());
        let writer = Arc::clone(&screen);
        std::thread::spawn(move || {
            for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
                writer.push(String::from_utf8_lossy(&line).into_owned());
            }
            writer.shown.lock().unwrap().closed = true;
            writer.changed.notify_all();
        });
        screen
    }

    fn push(&self, line: String) {
        let now = Instant::now();
        let mut shown = self.shown.lock().unwrap();
        match Chat::from_screen(&line) {
            Some(chat) => {
                if let Some((tag, n)) = chat.numbered() {
                    let high = shown.high.entry(tag.to_owned()).or_insert(n);
                    *high = n.max(*high);
                }
                shown.first.entry(chat.text.clone()).or_insert(now);
                shown.chats.push(chat);
                shown.at.push(now);
            }
            None => shown.events.push((now, line)),
        }
        self.changed.notify_all();
    }

    /// Calls `f` with everything that the node has shown so far.
    pub fn look<T>(&self, f: impl FnOnce(&Shown) -> T) -> T {
        f(&self.shown.lock().unwrap())
    }

    /// Waits until `f` finds something; `None` if `f` finds nothing before `until`.
    pub fn wait<T>(&self, until: Instant, mut f: impl FnMut(&Shown) -> Option<T>) -> Option<T> {
        let mut shown = self.shown.lock().unwrap();
        loop {
            if let Some(found) = f(&shown) {
                return Some(found);
            }
            let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            shown = self.changed.wait_timeout(shown, left).unwrap().0;
        }
    }
}
