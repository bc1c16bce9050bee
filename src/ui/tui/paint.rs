//! Colours and how else things stand out: readable on light and on dark, and without any colours too.

use ratatui::style::{Color, Modifier, Style};

/// Of medium lightness, so that each can be read on black and on white; one is a person's for as long as its name is.
const OF_NAMES: [Color; 8] = [
    Color::Indexed(33),
    Color::Indexed(35),
    Color::Indexed(166),
    Color::Indexed(133),
    Color::Indexed(37),
    Color::Indexed(161),
    Color::Indexed(136),
    Color::Indexed(99),
];

/// How things look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    /// Not only bold, dim, underlined and reversed.
    pub colours: bool,
}

impl Paint {
    fn colour(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    /// A person's name.
    pub fn name(self, name: &str) -> Style {
        // FNV-1a: the same colour for a name in every run, whoever looks.
        let hash = name
            .chars()
            .flat_map(char::to_lowercase)
            .fold(0x811c_9dc5_u32, |hash, c| (hash ^ u32::from(c)).wrapping_mul(0x0100_0193));
        let colour = OF_NAMES[(hash >> 8) as usize % OF_NAMES.len()];
        self.colour(colour).add_modifier(Modifier::BOLD)
    }

    /// What stays in the background.
    pub fn dim(self) -> Style {
        if self.colours { Style::new().fg(Color::Indexed(244)) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    /// One's own name, said by another.
    pub fn mention(self) -> Style {
        self.colour(Color::Indexed(166)).add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }

    /// For one reader alone.
    pub fn private(self) -> Style {
        self.colour(Color::Indexed(133)).add_modifier(Modifier::ITALIC)
    }

    /// What was searched for.
    pub fn hit(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The lines above and below the messages.
    pub fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The title of a part of the screen.
    pub fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is well.
    pub fn good(self) -> Style {
        self.colour(Color::Indexed(35)).add_modifier(Modifier::BOLD)
    }

    /// What is not.
    pub fn bad(self) -> Style {
        self.colour(Color::Indexed(161)).add_modifier(Modifier::BOLD)
    }

    /// An election's token.
    pub fn token(self) -> Style {
        self.colour(Color::Indexed(166)).add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_colour_and_without_colours_there_is_none() {
        let (with, without) = (Paint { colours: true }, Paint { colours: false });
        assert_eq!(with.name("ann"), with.name("Ann"));
        assert!(with.name("ann").fg.is_some());
        for style in [without.name("ann"), without.dim(), without.mention(), without.private(), without.token()] {
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }
}
