//! Every bound of the core, with its unit last in the name.

use crate::ring::types::rate::Rate;
use crate::ring::types::time::Span;

/// The version of the protocol that this program speaks; a peer with another is refused.
pub const PROTOCOL_VERSION: u32 = 4;

/// Characters of a name.
pub const NAME_CHARS_MAX: usize = 32;
/// Characters of a channel's name.
pub const CHANNEL_CHARS_MAX: usize = 32;
/// Channels beside the lobby whose lines are counted; of more the one that was silent for longest is forgotten.
pub const CHANNELS_MAX: usize = 256;
/// Characters of a channel's topic.
pub const TOPIC_CHARS_MAX: usize = 200;
/// Characters of why somebody is away.
pub const AWAY_CHARS_MAX: usize = 200;
/// Bytes of what is put to a line.
pub const EMOJI_BYTES_MAX: usize = 32;
/// Bytes of one line of text.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a message for one reader as it is sealed: its words, and what sealing adds.
pub const PM_BYTES_MAX: usize = TEXT_BYTES_MAX + 128;
/// Messages for one reader that a node has sent and knows nothing of yet.
pub const PMS_SENT_MAX: usize = 64;
/// The newest messages for one reader that a node remembers to have read: each is shown once.
pub const PMS_READ_MAX: usize = 1024;
/// How long a message for one reader is sent again until its reader has answered; then its author is told that nobody
/// knows.
pub const PM_WAIT: Span = Span::ms(5_000);
/// Between two times that it is sent to the same leader.
pub const PM_RESEND: Span = Span::ms(500);
/// Between two words about messages with a broken seal.
pub const PM_REPORT_PAUSE: Span = Span::ms(60_000);
/// What a node passes on or opens of one author's messages for one reader: 20 a second, 200 at once, and their bytes.
pub const PM_RATE: Rate = Rate { lines: 20, lines_burst: 200, bytes: 128 * 1024, bytes_burst: 4 * 1024 * 1024 };
/// How long a node waits for its leader's word on how all members are doing.
pub const HEALTH_QUERY_WAIT: Span = Span::ms(500);
/// How long that word is good for: the leader is asked again after it.
pub const HEALTH_QUERY_GOOD: Span = Span::ms(500);
/// Between two such questions that a leader answers to one follower.
pub const HEALTH_QUERY_PAUSE: Span = Span::ms(250);
/// For how long a leader that lacked entries when it began gives way to one that has them, whoever follows it.
pub const INCOMPLETE_YIELDS_FOR: Span = Span::ms(60_000);
/// Members that are lost within this time of each other have gone together.
pub const CUT_OFF_WITHIN: Span = Span::ms(10_000);
/// Bytes of one frame on the wire, its line feed included. Holds a batch whose every byte is escaped (`\u0001`).
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of text, as [`Entry::weight`](crate::ring::Entry::weight) counts them, in one batch of entries or lines.
pub const BATCH_BYTES_MAX: usize = 128 * 1024;
/// Lines that an author signs together: a run.
pub const RUN_LINES_MAX: usize = 256;
/// Bytes of a run, as [`Line::weight`](crate::ring::Line::weight) counts them.
pub const RUN_BYTES_MAX: usize = BATCH_BYTES_MAX / 2;
/// Bytes of a room's key on the wire.
pub const SECRET_BYTES_MAX: usize = 256;
/// Frames with lines of one follower that are dropped after it was told to wait, and may have been on their way.
pub const SLOWED_FRAMES_MAX: u32 = 2 * OUTBOX_LINES_MAX as u32;
/// Authors of whom something is counted at once, for each kind of thing anew: what they say, what they hand on, and
/// what they say to one reader.
pub const BUCKETS_MAX: usize = 3 * BOOK_NODES_MAX;
/// Authors that one run remembers as forgers.
pub const BLOCKED_PEERS_MAX: usize = 256;
/// Characters of what is told to somebody who was put out.
pub const EVICTION_REASON_CHARS_MAX: usize = 200;
/// Authors that may moderate a room.
pub const MODERATORS_MAX: usize = 64;
/// Authors that are banned from a room; while there are so many, nobody else can be.
pub const BANS_MAX: usize = 1024;
/// Entries or lines in one batch.
pub const BATCH_ENTRIES_MAX: usize = 1024;
/// Bytes sent to one follower and not acknowledged by it.
pub const WINDOW_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of the newest entries that the core keeps in memory; older ones are read from the store.
pub const RECENT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The newest entries that the core keeps in memory.
pub const RECENT_ENTRIES_MAX: usize = 64 * 1024;
/// My own lines that are not yet in my log: lines.
pub const OUTBOX_LINES_MAX: usize = 4096;
/// My own lines that are not yet in my log: bytes.
pub const OUTBOX_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most that one of them may weigh, what it does and its share of a signature included.
pub const OUTBOX_LINE_BYTES_MAX: usize =
    TEXT_BYTES_MAX + LINE_OVERHEAD_BYTES + LINE_EXTRA_BYTES_MAX + SEAL_OVERHEAD_BYTES;
/// Line ids in one offer of lines that came back from a cut.
pub const OFFER_LINES_MAX: usize = 512;
/// Epochs in one description of a log's shape.
pub const EPOCH_BOUNDS_MAX: usize = 256;
/// Nodes that the book remembers, and that a room can have.
pub const BOOK_NODES_MAX: usize = 2048;
/// Members that a log may name at once, whoever wrote it: more than any leader takes in, which counts to
/// [`BOOK_NODES_MAX`].
pub const MEMBERS_MAX: usize = 2 * BOOK_NODES_MAX;
/// Connections that the core keeps at once.
pub const CONNS_MAX: usize = 4096;
/// Of these, connections that it has dialled: what others name cannot take the room of those who come.
pub const DIALLED_MAX: usize = BOOK_NODES_MAX;
/// Connections that run through other members.
pub const RELAYS_MAX: usize = 256;
/// Of these, connections that others have opened over one connection.
pub const RELAYS_OVER_ONE_MAX: usize = 64;
/// Frames that wait for one connection to open.
pub const DIAL_FRAMES_MAX: usize = 64;
/// Joiners that wait for a winner to finish its rebase.
pub const WAITING_JOINS_MAX: usize = BOOK_NODES_MAX;
/// Marks of own lines that nobody has acknowledged; beyond, the last one stands for several.
pub const UNSENT_MARKS_MAX: usize = 64;
/// The largest number of any kind that a frame or a file may hold: every reader of JSON holds it exactly.
pub const NUMBER_MAX: u64 = (1 << 53) - 1;
/// How far one author's peers may push my clock or my rounds in one run, beyond what the room itself does; a peer that
/// goes further loses its link.
pub const JUMP_MAX: u64 = 1 << 32;
/// Authors of whom it is known how far they have pushed something.
pub const PUSHERS_MAX: usize = 1024;
/// How far a line or an entry may move the clock without pushing it: its author has typed, its leader has ordered.
pub const TICKS_PER_LINE: u64 = 2;
/// How far all submitted lines together may push a leader's clock in one run. Far below [`JUMP_MAX`]: who follows an
/// honest leader must never have to hold against it what others have submitted.
pub const SUBMITTED_PUSH_MAX: u64 = 1 << 24;
/// The newest lines that a newcomer is shown, where it does not say otherwise.
pub const BACKLOG_LINES: u32 = 1000;
/// The newest lines that a newcomer is shown at most.
pub const BACKLOG_LINES_MAX: u32 = 10_000;
/// Bytes of the newest lines that a newcomer is shown.
pub const BACKLOG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The flat rate in bytes for everything in a line but its text.
pub(crate) const LINE_OVERHEAD_BYTES: usize = 160;
/// The flat rate in bytes for an act on a member or on another line: two authors and a name.
pub(crate) const ACT_OVERHEAD_BYTES: usize = 2 * 32 + 4 * NAME_CHARS_MAX;
/// The most bytes of an act and a channel together. The list of moderators counts by itself.
pub(crate) const LINE_EXTRA_BYTES_MAX: usize = ACT_OVERHEAD_BYTES + 4 * CHANNEL_CHARS_MAX;
/// The flat rate in bytes for the signature of a run.
pub(crate) const SEAL_OVERHEAD_BYTES: usize = 160;
