//! Every limit of the core, with its unit last in the name.

use crate::ring::types::rate::Rate;
use crate::ring::types::time::Span;

/// The protocol version of this program. It refuses peers of other versions.
pub const PROTOCOL_VERSION: u32 = 4;

/// The most characters of a name.
pub const NAME_CHARS_MAX: usize = 32;
/// The most characters of a channel's name.
pub const CHANNEL_CHARS_MAX: usize = 32;
/// The most channels, beside the lobby, whose lines are counted. Beyond them the channel that was silent longest is
/// forgotten.
pub const CHANNELS_MAX: usize = 256;
/// The most characters of a channel's topic.
pub const TOPIC_CHARS_MAX: usize = 200;
/// The most characters of the reason why a user is away.
pub const AWAY_CHARS_MAX: usize = 200;
/// The most bytes of a reaction.
pub const EMOJI_BYTES_MAX: usize = 32;
/// The most bytes of a line's text.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// The most bytes of an encrypted private message: its text and the overhead of the encryption.
pub const PM_BYTES_MAX: usize = TEXT_BYTES_MAX + 128;
/// The most private messages that a node has sent and has no outcome for.
pub const PMS_SENT_MAX: usize = 64;
/// How many of the newest private messages a node remembers as read. It shows each of them once.
pub const PMS_READ_MAX: usize = 1024;
/// How long a node sends a private message again until its reader answers. Then it reports to its author that the
/// outcome is unknown.
pub const PM_WAIT: Span = Span::ms(5_000);
/// Interval between two attempts to send a private message to the same leader.
pub const PM_RESEND: Span = Span::ms(500);
/// Interval between two reports of private messages that do not decrypt.
pub const PM_REPORT_PAUSE: Span = Span::ms(60_000);
/// The private messages of one author that a node relays or opens: 20 a second, 200 at once, and their bytes.
pub const PM_RATE: Rate = Rate { lines: 20, lines_burst: 200, bytes: 128 * 1024, bytes_burst: 4 * 1024 * 1024 };
/// How long a node waits for its leader's report on all members.
pub const HEALTH_QUERY_WAIT: Span = Span::ms(500);
/// How long that report is used before the node asks the leader again.
pub const HEALTH_QUERY_GOOD: Span = Span::ms(500);
/// Interval between two such queries of one follower that a leader answers.
pub const HEALTH_QUERY_PAUSE: Span = Span::ms(250);
/// How long a leader with a known gap steps down for a leader without one, regardless of their followers.
pub const INCOMPLETE_YIELDS_FOR: Span = Span::ms(60_000);
/// Members that are lost within this time count as lost together.
pub const CUT_OFF_WITHIN: Span = Span::ms(10_000);
/// The most bytes of one frame on the wire, with its line feed. A batch fits even if every byte is escaped (`\u0001`).
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// The most bytes of text in one batch of entries or lines, as [`Entry::weight`](crate::ring::Entry::weight) counts
/// them.
pub const BATCH_BYTES_MAX: usize = 128 * 1024;
/// The most lines that an author signs together: a run.
pub const RUN_LINES_MAX: usize = 256;
/// The most bytes of a run, as [`Line::weight`](crate::ring::Line::weight) counts them.
pub const RUN_BYTES_MAX: usize = BATCH_BYTES_MAX / 2;
/// The most bytes of a room's key on the wire.
pub const SECRET_BYTES_MAX: usize = 256;
/// The most frames with lines that a leader drops of a follower after telling it to wait. They may have been on their
/// way.
pub const SLOWED_FRAMES_MAX: u32 = 2 * OUTBOX_LINES_MAX as u32;
/// The most authors that a node counts at once. It counts three kinds for each: own lines, rebased lines, and private
/// messages.
pub const BUCKETS_MAX: usize = 3 * BOOK_NODES_MAX;
/// The most authors that one run blocks as forgers.
pub const BLOCKED_PEERS_MAX: usize = 256;
/// The most characters of the reason that an evicted user sees.
pub const EVICTION_REASON_CHARS_MAX: usize = 200;
/// The most authors that may moderate a room.
pub const MODERATORS_MAX: usize = 64;
/// The most banned authors of a room. Beyond them nobody can be banned.
pub const BANS_MAX: usize = 1024;
/// The most entries or lines in one batch.
pub const BATCH_ENTRIES_MAX: usize = 1024;
/// The most bytes that are sent to one follower and not acknowledged.
pub const WINDOW_BYTES_MAX: usize = 1024 * 1024;
/// The most bytes of the newest entries that the core keeps in memory. It reads older ones from the store.
pub const RECENT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most entries that the core keeps in memory.
pub const RECENT_ENTRIES_MAX: usize = 64 * 1024;
/// The most own lines that are not yet in the node's log.
pub const OUTBOX_LINES_MAX: usize = 4096;
/// The most bytes of own lines that are not yet in the node's log.
pub const OUTBOX_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The greatest weight of one of these lines, with its act and its share of a signature.
pub const OUTBOX_LINE_BYTES_MAX: usize =
    TEXT_BYTES_MAX + LINE_OVERHEAD_BYTES + LINE_EXTRA_BYTES_MAX + SEAL_OVERHEAD_BYTES;
/// The most line ids in one offer of lines that a cut has removed.
pub const OFFER_LINES_MAX: usize = 512;
/// The most epochs in one list of epoch bounds.
pub const EPOCH_BOUNDS_MAX: usize = 256;
/// The most nodes in the address book, and the most members of a room.
pub const BOOK_NODES_MAX: usize = 2048;
/// The most members that a log may name at once, whatever leader wrote it. An honest leader admits at most
/// [`BOOK_NODES_MAX`].
pub const MEMBERS_MAX: usize = 2 * BOOK_NODES_MAX;
/// The most connections of the core.
pub const CONNS_MAX: usize = 4096;
/// The most of these that the core has dialled, so that addresses named by others leave places for peers that come.
pub const DIALLED_MAX: usize = BOOK_NODES_MAX;
/// The most connections that other members relay.
pub const RELAYS_MAX: usize = 256;
/// The most of these that peers have opened over one connection.
pub const RELAYS_OVER_ONE_MAX: usize = 64;
/// The most frames that wait for one connection to open.
pub const DIAL_FRAMES_MAX: usize = 64;
/// The most joiners that wait for a winner to finish its rebase.
pub const WAITING_JOINS_MAX: usize = BOOK_NODES_MAX;
/// The most marks of own lines without an acknowledgement. Beyond them the last mark stands for several lines.
pub const UNSENT_MARKS_MAX: usize = 64;
/// The largest number of any kind in a frame or a file: every JSON reader holds it exactly.
pub const NUMBER_MAX: u64 = (1 << 53) - 1;
/// How far one author's peers may push the node's clock or its rounds in one run, beyond the room's own steps. A peer
/// that goes further loses its link.
pub const JUMP_MAX: u64 = 1 << 32;
/// The most authors with a remembered budget.
pub const PUSHERS_MAX: usize = 1024;
/// How far a line or an entry may move the clock for free: one tick for its author and one for its leader.
pub const TICKS_PER_LINE: u64 = 2;
/// How far all submitted lines together may push a leader's clock in one run. Far below [`JUMP_MAX`], so that a
/// follower never holds an honest leader responsible for submitted timestamps.
pub const SUBMITTED_PUSH_MAX: u64 = 1 << 24;
/// How many of the newest lines a newcomer sees by default.
pub const BACKLOG_LINES: u32 = 1000;
/// The most of the newest lines that a newcomer may ask for.
pub const BACKLOG_LINES_MAX: u32 = 10_000;
/// The most bytes of the newest lines that a newcomer sees.
pub const BACKLOG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The flat rate in bytes for everything in a line except its text.
pub(crate) const LINE_OVERHEAD_BYTES: usize = 160;
/// The flat rate in bytes for an act on a member or on another line: two authors and a name.
pub(crate) const ACT_OVERHEAD_BYTES: usize = 2 * 32 + 4 * NAME_CHARS_MAX;
/// The most bytes of an act and a channel together. The list of moderators counts separately.
pub(crate) const LINE_EXTRA_BYTES_MAX: usize = ACT_OVERHEAD_BYTES + 4 * CHANNEL_CHARS_MAX;
/// The flat rate in bytes for the signature of a run.
pub(crate) const SEAL_OVERHEAD_BYTES: usize = 160;
