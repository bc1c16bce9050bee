//! Turns updates from the node into lines of text.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::present::format::{PeerLabel, away_text, waiting_text};
use crate::present::paint::{Paint, mentions};
use crate::present::values::{FeedLine, FeedPm, FeedPosition, FeedReactions, LineKind, ReactionCount, Update};
use crate::ring::LOBBY;
use crate::settings::Bell;
use crate::text::visible;

/// Shortest time between two reports of the reactions to one line.
const REACTIONS_EVERY: Duration = Duration::from_secs(1);
/// Most lines whose reactions wait to be reported; beyond that the oldest report goes out early.
const REACTIONS_LINES_MAX: usize = 256;

/// Turns updates into lines, and remembers what that needs.
#[derive(Debug)]
pub struct Renderer {
    /// The node's name and the current channel, once known.
    here: Option<FeedPosition>,
    paint: Paint,
    bell: Bell,
    /// Shows log-only events, too.
    verbose: bool,
    log: Option<String>,
    liked: BTreeMap<u64, Liked>,
    /// Old lines have been shown, and no new one yet.
    past: bool,
}

/// When the reactions to a line are reported.
#[derive(Debug)]
struct Liked {
    told: Instant,
    waits: Option<FeedReactions>,
}

impl Renderer {
    /// A renderer that has shown nothing.
    pub fn new(paint: Paint, bell: Bell, verbose: bool) -> Self {
        Self { here: None, paint, bell, verbose, log: None, liked: BTreeMap::new(), past: false }
    }

    /// `> NAME(IP:PORT): `, with the channel where it is not the lobby.
    pub fn prompt(&self) -> String {
        let Some(FeedPosition { name, address, channel, unread }) = &self.here else { return "> ".to_owned() };
        let channel = if self.is_here(LOBBY) { String::new() } else { format!(" #{}", visible(channel)) };
        let unread = if *unread == 0 { String::new() } else { format!(" ({unread} unread)") };
        format!("> {}{channel}{unread}: ", PeerLabel(name, *address))
    }

    /// Whether this is the current channel.
    fn is_here(&self, channel: &str) -> bool {
        self.here.as_ref().map_or(LOBBY, |here| &here.channel) == channel
    }

    /// The node's name; empty while unknown.
    fn name(&self) -> &str {
        self.here.as_ref().map_or("", |here| here.name.as_str())
    }

    /// Appends the lines of an update. Returns whether the bell rings.
    pub fn push(&mut self, out: &mut String, told: &Update, now: Instant) -> bool {
        match told {
            Update::Hello(hello) => self.log.clone_from(&hello.log),
            Update::Here(here) => self.here = Some(here.clone()),
            Update::Line(line) => {
                self.past |= line.past;
                return self.line(out, line);
            }
            Update::Private(private) => return self.private(out, private),
            Update::Reactions(reactions) => self.reactions(out, reactions, now),
            Update::Event(event) if event.notable || self.verbose => note(out, &event.text),
            Update::Listing { heading, lines } => {
                note(out, heading);
                lines.iter().for_each(|line| push(out, &visible(line)));
            }
            Update::Event(_) | Update::Sent(_) | Update::State(_) | Update::Clear => {}
            Update::Note { text } => note(out, text),
            Update::Waiting { lines: 0 } => note(out, "ordered: none of your lines waits any more"),
            Update::Waiting { lines } => note(out, &waiting_text(*lines)),
            Update::Missed { lines } => {
                self.past = true;
                note(out, &lines.map_or_else(|| "while you were away".to_owned(), |lines| away_text(lines, lines)));
            }
            Update::CaughtUp if std::mem::take(&mut self.past) => note(out, "now"),
            Update::CaughtUp => {}
            Update::LeftOut { lines } => {
                let (lines, are) =
                    if *lines == 1 { ("1 line".to_owned(), "it is") } else { (format!("{lines} lines"), "they are") };
                let log = self.log.as_ref().map(|log| format!("; {are} in {log}")).unwrap_or_default();
                note(out, &format!("{lines} not shown here{log}"));
            }
            Update::Bye { text } => note(out, text),
        }
        false
    }

    fn line(&self, out: &mut String, line: &FeedLine) -> bool {
        let name = line.name.as_str();
        let text = visible(&line.text);
        let there = if self.is_here(&line.channel) { String::new() } else { format!("#{} ", line.channel) };
        let there = self.paint.faint(&visible(&there));
        let who = self.paint.name(&PeerLabel(&line.name, line.address).to_string(), name);
        let short = self.paint.name(name, name);
        let mine = line.own || line.past;
        let words = if mine { text.clone().into_owned() } else { self.paint.mentions(&text, self.name()) };
        let liked = match &line.reactions[..] {
            [] => String::new(),
            counts => self.paint.faint(&format!("  ({})", totals(counts))),
        };
        let ts = line.ts;
        match line.kind {
            LineKind::Say | LineKind::Moderate => push(out, &format!("{there}> {who}[{ts}]: {words}{liked}")),
            LineKind::Me => push(out, &format!("{there}* {short} {words}{liked}")),
            LineKind::Reply => {
                let to = line.to.map_or_else(String::new, |to| format!(" to [{to}]"));
                push(out, &format!("{there}> {who}[{ts}]{to}: {words}{liked}"));
            }
            // Other updates show their effect: the totals, and the new name if it is free.
            LineKind::React | LineKind::Nick => return false,
            LineKind::Topic => note(out, &format!("#{}: {name} has set the topic: {text}", visible(&line.channel))),
            LineKind::Away if line.text.is_empty() => note(out, &format!("{name} is here again")),
            LineKind::Away => note(out, &format!("{name} is away: {text}")),
        }
        !mine && self.rings(|| is_said(line.kind) && !mentions(&line.text, self.name()).is_empty())
    }

    fn rings(&self, meant: impl FnOnce() -> bool) -> bool {
        match self.bell {
            Bell::Off => false,
            Bell::Mention => meant(),
            Bell::All => true,
        }
    }

    fn private(&self, out: &mut String, private: &FeedPm) -> bool {
        let FeedPm { from, to, text, own } = private;
        let (other, way) = if *own { (to, "you to ") } else { (from, "") };
        let other = self.paint.name(other.as_str(), other.as_str());
        let only = if *own { "" } else { " to you alone" };
        push(out, &format!("@ {way}{other}{only}: {}", visible(text)));
        !own && self.rings(|| true)
    }

    fn reactions(&mut self, out: &mut String, reactions: &FeedReactions, now: Instant) {
        if let Some(liked) = self.liked.get_mut(&reactions.ts)
            && now < liked.told + REACTIONS_EVERY
        {
            liked.waits = Some(reactions.clone());
            return;
        }
        if self.liked.len() == REACTIONS_LINES_MAX
            && let Some((_, Liked { told: _, waits: Some(waits) })) = self.liked.pop_first()
        {
            self.liking(out, &waits);
        }
        self.liking(out, reactions);
        self.liked.insert(reactions.ts, Liked { told: now, waits: None });
    }

    fn liking(&self, out: &mut String, reactions: &FeedReactions) {
        let FeedReactions { ts, name, text, reactions } = reactions;
        let text = visible(text);
        match &reactions[..] {
            [] => note(out, &format!("{name}[{ts}] \"{text}\": nobody likes it any more")),
            counts => note(out, &format!("{name}[{ts}] \"{text}\": {}", totals(counts))),
        }
    }

    /// Appends an own line that waits for a leader.
    pub fn waits(&self, out: &mut String, text: &str) {
        push(out, &self.paint.faint(&format!("… {} (waits)", visible(text))));
    }

    /// Appends the reports of reactions that are due.
    pub fn tick(&mut self, out: &mut String, now: Instant) {
        let mut liked = std::mem::take(&mut self.liked);
        liked.retain(|_, liked| {
            if now < liked.told + REACTIONS_EVERY {
                return true;
            }
            let Some(waits) = liked.waits.take() else { return false };
            self.liking(out, &waits);
            liked.told = now;
            true
        });
        self.liked = liked;
    }

    /// The latest time for the next [`tick`](Self::tick).
    pub fn deadline(&self) -> Option<Instant> {
        self.liked.values().filter(|liked| liked.waits.is_some()).map(|liked| liked.told + REACTIONS_EVERY).min()
    }
}

const fn is_said(kind: LineKind) -> bool {
    match kind {
        LineKind::Say | LineKind::Me | LineKind::Reply => true,
        LineKind::React | LineKind::Nick | LineKind::Topic | LineKind::Away | LineKind::Moderate => false,
    }
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// Appends a note: `/// text ///`.
pub fn note(out: &mut String, text: &str) {
    push(out, &format!("/// {} ///", visible(text)));
}

fn totals(counts: &[ReactionCount]) -> String {
    let one = |ReactionCount { with, count }: &ReactionCount| match count {
        1 => visible(with).into_owned(),
        count => format!("{} {count}", visible(with)),
    };
    counts.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use crate::ring::{AuthorId, Name, SessionId};

    fn said(name: &str, text: &str) -> FeedLine {
        FeedLine {
            index: 1,
            ts: 7,
            time: String::new(),
            name: Name::parse(name).unwrap(),
            address: "10.0.0.5:2428".parse().unwrap(),
            author: AuthorId::of_bits(1),
            session: SessionId(1),
            n: 1,
            channel: LOBBY.to_owned(),
            kind: LineKind::Say,
            text: text.to_owned(),
            typed: None,
            to: None,
            own: false,
            past: false,
            reactions: Vec::new(),
        }
    }

    fn here(channel: &str) -> Update {
        Update::Here(FeedPosition {
            name: Name::parse("ann").unwrap(),
            address: "10.0.0.1:2428".parse().unwrap(),
            channel: channel.to_owned(),
            unread: 0,
        })
    }

    fn shown(paint: Paint, told: &Update) -> (String, bool) {
        let mut renderer = Renderer::new(paint, Bell::Mention, false);
        let mut out = String::new();
        renderer.push(&mut out, &here(LOBBY), Instant::now());
        let rings = renderer.push(&mut out, told, Instant::now());
        (out, rings)
    }

    fn plain(line: FeedLine) -> String {
        shown(Paint::Plain, &Update::Line(Box::new(line))).0
    }

    #[test]
    fn lines_have_forms_of_their_own() {
        assert_eq!(plain(said("bob", "hi\x1b[2J")), "> bob(10.0.0.5:2428)[7]: hi\\x1b[2J\n");
        let kind = |kind| FeedLine { kind, ..said("bob", "tea") };
        assert_eq!(plain(kind(LineKind::Me)), "* bob tea\n");
        assert_eq!(plain(FeedLine { to: Some(3), ..kind(LineKind::Reply) }), "> bob(10.0.0.5:2428)[7] to [3]: tea\n");
        assert_eq!(plain(kind(LineKind::Topic)), "/// #lobby: bob has set the topic: tea ///\n");
        assert_eq!(plain(kind(LineKind::Nick)), "");
        assert_eq!(plain(kind(LineKind::Away)), "/// bob is away: tea ///\n");
        assert_eq!(plain(FeedLine { kind: LineKind::Away, ..said("bob", "") }), "/// bob is here again ///\n");
        assert_eq!(plain(kind(LineKind::React)), "");
        let there = FeedLine { channel: "dev".to_owned(), ..said("bob", "x") };
        assert_eq!(plain(there), "#dev > bob(10.0.0.5:2428)[7]: x\n");
        let count = |with: &str, count| ReactionCount { with: with.to_owned(), count };
        let liked = FeedLine { reactions: vec![count("👍", 2), count("🎉", 1)], ..said("bob", "x") };
        assert_eq!(plain(liked), "> bob(10.0.0.5:2428)[7]: x  (👍 2, 🎉)\n");
    }

    #[test]
    fn now_parts_what_was_before_from_what_comes_and_nothing_from_that() {
        let after = |told: Option<Update>| {
            let mut renderer = Renderer::new(Paint::Plain, Bell::Off, false);
            if let Some(told) = told {
                renderer.push(&mut String::new(), &told, Instant::now());
            }
            let mut out = String::new();
            renderer.push(&mut out, &Update::CaughtUp, Instant::now());
            out
        };
        assert_eq!(after(None), "");
        assert_eq!(after(Some(Update::Line(Box::new(FeedLine { past: true, ..said("bob", "x") })))), "/// now ///\n");
        assert_eq!(after(Some(Update::Missed { lines: Some(1) })), "/// now ///\n");
    }

    #[test]
    fn the_prompt_says_where_one_is() {
        let mut renderer = Renderer::new(Paint::Plain, Bell::Off, false);
        let mut out = String::new();
        assert_eq!(renderer.prompt(), "> ");
        renderer.push(&mut out, &here(LOBBY), Instant::now());
        assert_eq!(renderer.prompt(), "> ann(10.0.0.1:2428): ");
        renderer.push(&mut out, &here("dev"), Instant::now());
        assert_eq!(renderer.prompt(), "> ann(10.0.0.1:2428) #dev: ");
        assert_eq!(out, "");
    }

    #[test]
    fn a_mention_stands_out_and_rings() {
        let told = |line| shown(Paint::Many, &Update::Line(Box::new(line)));
        let (line, rings) = told(said("bob", "hi Ann"));
        assert!(line.ends_with("[7]: hi \x1b[1;7mAnn\x1b[0m\n") && rings, "{line:?}");
        assert!(!told(said("bob", "hi anna")).1);
        for quiet in [FeedLine { own: true, ..said("ann", "ann") }, FeedLine { past: true, ..said("bob", "ann") }] {
            let (line, rings) = told(quiet);
            assert!(!line.contains("\x1b[1;7m") && !rings, "{line:?}");
        }
        let private = FeedPm {
            from: Name::parse("bob").unwrap(),
            to: Name::parse("ann").unwrap(),
            text: "psst".to_owned(),
            own: false,
        };
        let told = Update::Private(private.clone());
        assert_eq!(shown(Paint::Plain, &told), ("@ bob to you alone: psst\n".to_owned(), true));
        let own = Update::Private(FeedPm { own: true, from: private.to, to: private.from, text: private.text });
        assert_eq!(shown(Paint::Plain, &own), ("@ you to bob: psst\n".to_owned(), false));
    }

    #[test]
    fn a_flood_of_reactions_is_told_once_a_second() {
        let mut renderer = Renderer::new(Paint::Plain, Bell::Off, false);
        let reactions = |count| {
            Update::Reactions(FeedReactions {
                ts: 7,
                name: Name::parse("bob").unwrap(),
                text: "tea".to_owned(),
                reactions: vec![ReactionCount { with: "👍".to_owned(), count }],
            })
        };
        let start = Instant::now();
        let mut out = String::new();
        for n in 1..100 {
            renderer.push(&mut out, &reactions(n), start + Duration::from_millis(n));
        }
        assert_eq!(out, "/// bob[7] \"tea\": 👍 ///\n");
        let deadline = renderer.deadline().unwrap();
        assert_eq!(deadline, start + Duration::from_millis(1) + REACTIONS_EVERY);
        out.clear();
        renderer.tick(&mut out, deadline);
        assert_eq!(out, "/// bob[7] \"tea\": 👍 99 ///\n");
        assert_eq!(renderer.deadline(), None);
        renderer.tick(&mut out, deadline + REACTIONS_EVERY);
        assert!(renderer.liked.is_empty());
    }
}
