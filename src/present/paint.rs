//! Colours, for who wants them: names by their letters, what is meant for oneself so that it stands out.

use std::fmt::Write as _;

/// Whether, and in how many colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paint {
    /// No escape at all.
    #[default]
    Plain,
    /// The sixteen that every terminal has.
    Sixteen,
    /// The 256 that most have.
    Many,
}

/// Of the first sixteen: red, green, magenta and cyan. What is left is black, white, or, as yellow and blue, hard to
/// read on one of them.
const SIXTEEN: [u8; 4] = [1, 2, 5, 6];
/// Of the 256 those of middling brightness: each stands out from white and from black by a contrast of 3.5 at least (a
/// test computes it), so that nobody has to say which the background is. No background is ever set.
const MANY: [u8; 14] = [26, 31, 32, 62, 64, 65, 94, 97, 98, 128, 131, 132, 160, 166];

impl Paint {
    /// What fits, as the environment says: nothing with `NO_COLOR` set to something, or on a terminal that can do
    /// nothing.
    pub fn of(no_color: Option<&str>, term: Option<&str>) -> Self {
        let term = term.unwrap_or("dumb");
        let old = ["linux", "ansi", "cons25", "screen", "vt1", "vt2", "xterm-16color"];
        match () {
            () if no_color.is_some_and(|value| !value.is_empty()) || term == "dumb" || term.is_empty() => Self::Plain,
            () if term.contains("256") => Self::Many,
            () if old.iter().any(|old| term.starts_with(old)) => Self::Sixteen,
            () => Self::Many,
        }
    }

    /// `words` in the colour of `name`.
    pub fn name(self, words: &str, name: &str) -> String {
        match self {
            Self::Plain => words.to_owned(),
            Self::Sixteen => format!("\x1b[3{}m{words}\x1b[0m", pick(&SIXTEEN, name)),
            Self::Many => format!("\x1b[38;5;{}m{words}\x1b[0m", pick(&MANY, name)),
        }
    }

    /// The number of a name's colour, among as many as there are.
    pub fn colour_of(self, name: &str) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Sixteen => Some(pick(&SIXTEEN, name)),
            Self::Many => Some(pick(&MANY, name)),
        }
    }

    /// `words` less important.
    pub fn faint(self, words: &str) -> String {
        match self {
            Self::Sixteen | Self::Many if !words.is_empty() => format!("\x1b[2m{words}\x1b[0m"),
            Self::Plain | Self::Sixteen | Self::Many => words.to_owned(),
        }
    }

    /// `text` with every mention of `name` standing out.
    pub fn mentions(self, text: &str, name: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = 0;
        if self != Self::Plain {
            for (from, to) in mentions(text, name) {
                let _ = write!(out, "{}\x1b[1;7m{}\x1b[0m", &text[rest..from], &text[from..to]);
                rest = to;
            }
        }
        out.push_str(&text[rest..]);
        out
    }
}

/// Always the same for the same name, upper and lower case alike, in every run and on every machine (FNV-1a).
fn pick(palette: &[u8], name: &str) -> u8 {
    let hash = name
        .to_lowercase()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    // Its low bits alone hardly depend on the last letter.
    palette[((hash >> 32) ^ hash) as usize % palette.len()]
}

/// Where `text` has `name` as a word of its own, upper and lower case alike: from byte, to byte.
pub fn mentions(text: &str, name: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut before = None;
    let mut free_from = 0;
    for (from, c) in text.char_indices() {
        let starts = from >= free_from && !before.is_some_and(belongs);
        before = Some(c);
        if !starts {
            continue;
        }
        if let Some(length) = begins_with(&text[from..], name)
            && ends_here(&text[from + length..])
        {
            found.push((from, from + length));
            free_from = from + length;
        }
    }
    found
}

/// Whether `c` before or after a name makes another name of it.
fn belongs(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

/// A full stop or a hyphen ends a sentence, unless a name goes on behind it.
fn ends_here(rest: &str) -> bool {
    let mut chars = rest.chars();
    match chars.next() {
        None => true,
        Some('.' | '-') => !chars.next().is_some_and(char::is_alphanumeric),
        Some(c) => !belongs(c) && !is_mark(c),
    }
}

/// A mark changes the letter before it.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// How many bytes at the beginning of `text` are `name`.
fn begins_with(text: &str, name: &str) -> Option<usize> {
    let mut wanted = name.chars().flat_map(char::to_lowercase).peekable();
    wanted.peek()?;
    for (at, c) in text.char_indices() {
        if wanted.peek().is_none() {
            return Some(at);
        }
        if !c.to_lowercase().all(|low| wanted.next() == Some(low)) {
            return None;
        }
    }
    wanted.peek().is_none().then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of one of the 256 colours, as the Web's guidelines define it.
    fn luminance(colour: u8) -> f64 {
        let steps = [0u8, 95, 135, 175, 215, 255];
        let place = usize::from(colour - 16);
        let linear = |value: u8| {
            let part = f64::from(value) / 255.0;
            if part <= 0.03928 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(steps[place / 36]) + 0.7152 * linear(steps[place / 6 % 6]) + 0.0722 * linear(steps[place % 6])
    }

    #[test]
    fn every_colour_is_readable_on_black_and_on_white() {
        for colour in MANY {
            let light = luminance(colour);
            let (on_black, on_white) = ((light + 0.05) / 0.05, 1.05 / (light + 0.05));
            assert!(on_black >= 3.5 && on_white >= 3.5, "{colour}: {on_black:.2} on black, {on_white:.2} on white");
        }
    }

    #[test]
    fn names_have_colours_of_their_own() {
        let names = ["ann", "bob", "carol", "dörte", "eve", "frank", "grace", "heidi"];
        let mut used: Vec<u8> = names.iter().map(|name| pick(&MANY, name)).collect();
        used.sort_unstable();
        used.dedup();
        assert!(used.len() >= 5, "{used:?}");
        assert_eq!(Paint::Many.name("Ann", "Ann"), Paint::Many.name("Ann", "ann"));
    }

    #[test]
    fn no_colour_where_none_is_wanted() {
        assert_eq!(Paint::of(Some("1"), Some("xterm-256color")), Paint::Plain);
        assert_eq!(Paint::of(Some(""), Some("xterm-256color")), Paint::Many);
        assert_eq!(Paint::of(None, Some("dumb")), Paint::Plain);
        assert_eq!(Paint::of(None, None), Paint::Plain);
        assert_eq!(Paint::of(None, Some("linux")), Paint::Sixteen);
        assert_eq!(Paint::of(None, Some("screen-256color")), Paint::Many);
        assert_eq!(Paint::of(None, Some("xterm-kitty")), Paint::Many);
        for text in [Paint::Plain.name("ann", "ann"), Paint::Plain.faint("ann"), Paint::Plain.mentions("ann", "ann")] {
            assert_eq!(text, "ann");
        }
    }

    #[test]
    fn mentions_are_whole_words() {
        for (text, count) in [
            ("ann", 1),
            ("Ann: hello, ANN!", 2),
            ("(ann) @ann ann's ann.", 4),
            ("anna joann ann-2 x-ann ann_ ann.b", 0),
            ("ann- ann, anna", 2),
            ("ann漢", 0),
            ("ann\u{301}", 0),
            ("", 0),
        ] {
            assert_eq!(mentions(text, "ann").len(), count, "{text}");
        }
        assert_eq!(mentions("hallo DÖRTE", "dörte"), [(6, 12)]);
        assert_eq!(mentions("漢字 hi", "漢字"), [(0, 6)]);
        assert_eq!(mentions("İ x", "i"), []);
        assert_eq!(Paint::Many.mentions("hi ann!", "ann"), "hi \x1b[1;7mann\x1b[0m!");
    }
}
