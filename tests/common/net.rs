//! A real network: a namespace for each node, cables that a test can pull, and filters that lose packets.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Enter, Lock, Room, settled, soon};

/// A namespace for each node, and a cable from each to one of two bridges; the bridges have a namespace of their own.
pub struct Net {
    hub: String,
    names: Vec<String>,
    /// Whether this system's packet filter can drop a random share of the packets, and not only all of them.
    pub filters: bool,
}

impl Net {
    /// A network for `n` nodes, the first `left` of them at one bridge and the rest at the other. Fails with the reason
    /// where the system does not permit it.
    ///
    /// The names of the namespaces begin with `NET_TAG` if that variable is set. A script that sets it can remove the
    /// namespaces after this process was killed.
    pub fn new(n: usize, left: usize) -> Result<Self, String> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let tag = std::env::var("NET_TAG").unwrap_or_else(|_| format!("dcr{}", std::process::id()));
        let tag = format!("{tag}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut net = Self { hub: format!("{tag}hub"), names: Vec::new(), filters: false };
        let hub = net.hub.clone();
        ip(&format!("netns add {hub}"))?;
        for (bridge, cable, other) in [("left", "cable0", Some("cable1")), ("right", "cable1", None)] {
            ip(&format!("-n {hub} link add {bridge} type bridge"))?;
            if let Some(other) = other {
                ip(&format!("-n {hub} link add {cable} type veth peer name {other}"))?;
            }
            ip(&format!("-n {hub} link set {cable} master {bridge} up"))?;
            ip(&format!("-n {hub} link set {bridge} up"))?;
        }
        for i in 0..n {
            let (name, bridge) = (format!("{tag}n{i}"), if i < left { "left" } else { "right" });
            ip(&format!("netns add {name}"))?;
            net.names.push(name.clone());
            ip(&format!("-n {name} link add eth0 type veth peer name port{i} netns {hub}"))?;
            ip(&format!("-n {hub} link set port{i} master {bridge} up"))?;
            ip(&format!("-n {name} addr add {}/24 dev eth0", net.addr(i).ip()))?;
            ip(&format!("-n {name} link set lo up"))?;
            ip(&format!("-n {name} link set eth0 up"))?;
        }
        net.filters = (0..n).all(|to| net.filter(to, &[]).is_ok());
        Ok(net)
    }

    pub fn addr(&self, i: usize) -> SocketAddr {
        SocketAddr::from(([10, 77, 0, 1 + u8::try_from(i).unwrap()], 2428))
    }

    /// The namespace of this node.
    pub fn name(&self, i: usize) -> &str {
        &self.names[i]
    }

    /// A settled room of all nodes, created by the first.
    pub fn room(&self) -> Room {
        self.room_behind(Lock::usual())
    }

    /// Like [`room`](Self::room), behind this lock.
    pub fn room_behind(&self, lock: Lock) -> Room {
        let mut room = Room::behind(lock);
        for (i, name) in self.names.iter().enumerate() {
            let enter = if i == 0 { Enter::Create } else { Enter::Join(self.addr(0)) };
            let node = room.start_in(&format!("n{i}"), self.addr(i), enter, Some(name));
            room.nodes.push(node);
            if i == 0 {
                settled(&room.all(), soon(20));
            }
        }
        settled(&room.all(), soon(30));
        room
    }

    /// Drops every packet from one node to another; neither node gets an error.
    pub fn unroute(&self, from: usize, to: usize) {
        let to = self.addr(to).ip();
        ip(&format!("-n {} neigh replace {to} lladdr 02:00:00:00:00:01 nud permanent dev eth0", self.names[from]))
            .unwrap();
    }

    pub fn route(&self, from: usize, to: usize) {
        let to = self.addr(to).ip();
        ip(&format!("-n {} neigh del {to} dev eth0", self.names[from])).unwrap();
    }

    /// Drops packets on their way to node `to`: for each sender in `losses`, that percentage; for all other senders,
    /// none. Fails where the system has no packet filter.
    pub fn filter(&self, to: usize, losses: &[(usize, u8)]) -> Result<(), String> {
        let mut rules = "add table inet faults\n\
             add chain inet faults incoming { type filter hook input priority 0; policy accept; }\n\
             flush chain inet faults incoming\n"
            .to_owned();
        for (from, percent) in losses {
            let chance = if *percent < 100 { format!("numgen random mod 100 < {percent} ") } else { String::new() };
            rules += &format!("add rule inet faults incoming ip saddr {} {chance}drop\n", self.addr(*from).ip());
        }
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[to], "nft", "-f", "-"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("ip: {error}"))?;
        // The child may end before it reads its input; its output then gives the reason.
        let _ = child.stdin.take().unwrap().write_all(rules.as_bytes());
        let out = child.wait_with_output().map_err(|error| format!("nft: {error}"))?;
        if out.status.success() {
            return Ok(());
        }
        Err(format!("nft: {}", String::from_utf8_lossy(&out.stderr).trim()))
    }

    /// Pulls the cable between the bridges (`down`) or plugs it in (`up`).
    pub fn cable(&self, state: &str) {
        ip(&format!("-n {} link set cable0 {state}", self.hub)).unwrap();
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in self.names.iter().chain([&self.hub]) {
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

fn ip(args: &str) -> Result<(), String> {
    let out = Command::new("ip").args(args.split(' ')).output().map_err(|error| format!("ip: {error}"))?;
    if out.status.success() {
        return Ok(());
    }
    Err(format!("ip {args}: {}", String::from_utf8_lossy(&out.stderr).trim()))
}
