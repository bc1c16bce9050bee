//! Every bound of the network, with its unit last in the name.

use std::time::Duration;

use crate::ring::limits::{BACKLOG_BYTES_MAX, FRAME_BYTES_MAX, WINDOW_BYTES_MAX};

/// Commands that wait for the driver, on each of its two channels.
pub const COMMANDS_MAX: usize = 256;
/// Health queries that wait for the same answer.
pub const HEALTH_QUERIES_MAX: usize = 64;
/// Batches of notices that wait for the frontend.
pub const NOTICE_BATCHES_MAX: usize = 64;
/// Time between two notices about links to one IP address, or about strangers at one.
pub const NOTICE_PAUSE: Duration = Duration::from_secs(60);
/// IP addresses that the node remembers for [`NOTICE_PAUSE`]. While this many are remembered, the node reports no
/// others.
pub const NOTICE_PEERS_MAX: usize = 256;
/// Characters of foreign text in a notice.
pub const NOTICE_CHARS_MAX: usize = 160;

/// Arrivals that readers, diallers and the listener have queued and the driver has not taken.
pub const ARRIVALS_MAX: usize = 1024;
/// Frames that the driver steps before it sends the output.
pub const TURN_FRAMES_MAX: usize = 512;
/// Commands that the driver takes before it sends the output.
pub const TURN_COMMANDS_MAX: usize = 256;

/// How long the node accepts the previous key from members that do not have the new key yet.
pub const REKEY_GRACE: Duration = Duration::from_secs(60);
/// Keys that may become the room's, while the log confirms none of them.
pub const KEYS_OFFERED_MAX: usize = 8;
/// Keys that wait for the task that stores them.
pub const KEYS_CHANGED_MAX: usize = 4;

/// Bytes that one read asks of a quiet socket.
pub const READ_BYTES_MIN: usize = 4 * 1024;
/// Bytes that one read asks of a busy socket.
pub const READ_BYTES_MAX: usize = 128 * 1024;
/// Frames that a reader hands over at once.
pub const HANDOVER_FRAMES_MAX: usize = 256;
/// Bytes on the wire of frames that were decoded from one connection and that the driver has not taken.
pub const READ_CONN_BYTES_MAX: usize = 4 * FRAME_BYTES_MAX;
/// The least cost of one hand-over in [`READ_CONN_BYTES_MAX`]. So a peer with many small frames has at most 8
/// hand-overs in the driver's queue, and other peers wait only a few milliseconds for their turn.
pub const HANDOVER_BYTES_MIN: usize = READ_CONN_BYTES_MAX / 8;
/// The same for all connections together.
pub const READ_TOTAL_BYTES_MAX: usize = 32 * FRAME_BYTES_MAX;

/// Bytes that wait to be written to one connection. A peer whose queue exceeds this loses its link. The limit holds a
/// backlog and a window whose every byte is escaped (`\u0001`), and two more frames.
pub const WRITE_BYTES_MAX: usize = 6 * (BACKLOG_BYTES_MAX + WINDOW_BYTES_MAX) + 2 * FRAME_BYTES_MAX;
/// Frames that wait to be written to one connection.
pub const WRITE_FRAMES_MAX: usize = 64 * 1024;
/// Frames that go out in one write.
pub const WRITE_FRAMES: usize = 64;
/// A shorter frame is copied out of the encoding buffer. A longer one takes the buffer along.
pub const COPY_BYTES_MAX: usize = 16 * 1024;
/// Bytes that the driver writes itself at the end of a turn, if nothing else waits for that connection. That costs less
/// than waking the writer. The writer takes more bytes, on another core, while the driver goes on.
pub const DIRECT_BYTES_MAX: usize = 8 * 1024;
/// Frames that the writer encrypts in a row before it counts their cost as written.
pub const SEAL_FRAMES: usize = 1024;
/// Encrypted bytes in one direction of a link after which that direction gets a new key.
pub const REKEY_BYTES: u64 = 1024 * 1024 * 1024;
/// Time from the core's request to close a connection until the link is cut, whether flushed or not.
pub const FLUSH: Duration = Duration::from_millis(500);
/// TCP_USER_TIMEOUT, in multiples of [`Timing::silence`](crate::ring::Timing::silence). The core gives a silent peer up
/// first. This timeout catches connections that the core does not watch.
pub const USER_TIMEOUT_SILENCES: u64 = 4;

/// Accepted connections that have not sent a hello. Beyond this, the listener drops the oldest.
pub const UNGREETED_MAX: usize = 512;
/// The same for one IP address. All members of a room on one machine may redial at the same moment.
pub const UNGREETED_PER_IP_MAX: usize = 256;
/// Bytes that a peer may send before it is let in: its hello and, if the room has a key, its handshake.
pub const HELLO_BYTES_MAX: usize = 4 * 1024;
/// How long a hello may take, in multiples of [`Timing::connect`](crate::ring::Timing::connect).
pub const HELLO_CONNECTS: u64 = 2;
/// Handshakes that the listener computes at the same time, each a fraction of a millisecond. Other strangers wait for
/// their turn, so that a flood of them leaves the other processors to the room.
pub const HANDSHAKES_MAX: usize = 1;
/// First messages of handshakes that the listener remembers by their 32 random bytes. A repeated one is a replay.
pub const FIRST_MESSAGES_MAX: usize = 4096;
/// The first pause after a failed accept; it doubles up to [`ACCEPT_PAUSE_MAX`].
pub const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest pause after a failed accept.
pub const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);
