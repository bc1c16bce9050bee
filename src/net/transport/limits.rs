//! Every bound of the network, with its unit last in the name.

use std::time::Duration;

use crate::ring::limits::{BACKLOG_BYTES_MAX, FRAME_BYTES_MAX, WINDOW_BYTES_MAX};

/// Commands that wait for the driver, on each of its two channels.
pub const COMMANDS_MAX: usize = 256;
/// Questions how all are doing that wait for the same answer.
pub const HEALTH_QUERIES_MAX: usize = 64;
/// Batches of notices that wait for the frontend.
pub const NOTICE_BATCHES_MAX: usize = 64;
/// Between two notices about links to one IP address, or about strangers at one.
pub const NOTICE_PAUSE: Duration = Duration::from_secs(60);
/// IP addresses that are remembered for [`NOTICE_PAUSE`]; while there are more, others are not reported.
pub const NOTICE_PEERS_MAX: usize = 256;
/// Characters of foreign text in a notice.
pub const NOTICE_CHARS_MAX: usize = 160;

/// What readers, diallers and the door have handed over and the driver has not taken.
pub const ARRIVALS_MAX: usize = 1024;
/// Frames that the driver steps before it sends what came of them.
pub const TURN_FRAMES_MAX: usize = 512;
/// Commands that the driver takes before it sends what came of them.
pub const TURN_COMMANDS_MAX: usize = 256;

/// How long members that have not got the room's new key yet are let in with the one before.
pub const REKEY_GRACE: Duration = Duration::from_secs(60);
/// Keys that may become the room's, of which the log has not said so.
pub const KEYS_OFFERED_MAX: usize = 8;
/// Keys that wait for whoever keeps them.
pub const KEYS_CHANGED_MAX: usize = 4;

/// Bytes asked of a quiet socket in one read.
pub const READ_BYTES_MIN: usize = 4 * 1024;
/// Bytes asked of a busy socket in one read.
pub const READ_BYTES_MAX: usize = 128 * 1024;
/// Frames that a reader hands over at once.
pub const HANDOVER_FRAMES_MAX: usize = 256;
/// Bytes, as on the wire, of frames that were decoded from one connection and not yet taken by the driver.
pub const READ_CONN_BYTES_MAX: usize = 4 * FRAME_BYTES_MAX;
/// The least that one hand-over counts for in [`READ_CONN_BYTES_MAX`]: a peer of many small frames has no more than
/// 8 hand-overs in the driver's queue, so that others wait a few milliseconds for their turn.
pub const HANDOVER_BYTES_MIN: usize = READ_CONN_BYTES_MAX / 8;
/// Bytes, as on the wire, of frames that were decoded and not yet taken by the driver, all connections together.
pub const READ_TOTAL_BYTES_MAX: usize = 32 * FRAME_BYTES_MAX;

/// Bytes that wait to be written to one connection; a peer that lets more pile up loses it. Holds a backlog and a
/// window whose every byte is escaped (`\u0001`), and a frame or two of what else a node says.
pub const WRITE_BYTES_MAX: usize = 6 * (BACKLOG_BYTES_MAX + WINDOW_BYTES_MAX) + 2 * FRAME_BYTES_MAX;
/// Frames that wait to be written to one connection.
pub const WRITE_FRAMES_MAX: usize = 64 * 1024;
/// Frames that go out in one write.
pub const WRITE_FRAMES: usize = 64;
/// A frame shorter than this is copied out of the buffer in which frames are encoded; a longer one takes it along.
pub const COPY_BYTES_MAX: usize = 16 * 1024;
/// Bytes that the driver writes itself at the end of a turn when nothing else waits for that connection: less work than
/// waking the writer. More is the writer's, on another core, while the driver goes on.
pub const DIRECT_BYTES_MAX: usize = 8 * 1024;
/// Frames that are sealed in a row before what they cost is counted as written.
pub const SEAL_FRAMES: usize = 1024;
/// Bytes sealed in one direction of a link, after which that direction has a new key.
pub const REKEY_BYTES: u64 = 1024 * 1024 * 1024;
/// From the core's wish to close a connection until it is cut, flushed or not.
pub const FLUSH: Duration = Duration::from_millis(500);
/// TCP_USER_TIMEOUT, in times of [`Timing::silence`](crate::ring::Timing::silence): the core gives a silent peer up
/// first; this catches what it does not watch.
pub const USER_TIMEOUT_SILENCES: u64 = 4;

/// Connections that were accepted and have not sent their hello; with more, the oldest is dropped.
pub const UNGREETED_MAX: usize = 512;
/// The same from one IP address. A whole room on one machine may redial at the same moment.
pub const UNGREETED_PER_IP_MAX: usize = 256;
/// Bytes that somebody at the door may say before it is let in: its handshake, if the room has a key, and its hello.
pub const HELLO_BYTES_MAX: usize = 4 * 1024;
/// How long a hello may take, in times of [`Timing::connect`](crate::ring::Timing::connect).
pub const HELLO_CONNECTS: u64 = 2;
/// Strangers whose handshakes are computed at the same time, a fraction of a millisecond each; others wait their turn,
/// so that a flood of them leaves the other processors to the room.
pub const HANDSHAKES_MAX: usize = 1;
/// First messages of handshakes that the door remembers, by their 32 random bytes: one that is repeated was recorded.
pub const FIRST_MESSAGES_MAX: usize = 4096;
/// The first pause after a failed accept; it doubles up to [`ACCEPT_PAUSE_MAX`].
pub const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest pause after a failed accept.
pub const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);
