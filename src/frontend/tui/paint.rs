//! Colours and how else things stand out: readable on light and on dark, and without any colours too.

use ratatui::style::{Color, Modifier, Style};

use crate::present::paint::Paint as Colours;

/// How things look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TuiStyle {
    /// In which colours, besides bold, dim, underlined and reversed.
    pub colours: Colours,
}

impl TuiStyle {
    /// One of the sixteen colours that every terminal has, or of the 256 that most have.
    fn colour(self, of_sixteen: u8, of_many: u8) -> Style {
        match self.colours {
            Colours::Plain => Style::new(),
            Colours::Sixteen => Style::new().fg(Color::Indexed(of_sixteen)),
            Colours::Many => Style::new().fg(Color::Indexed(of_many)),
        }
    }

    /// A person's name: the same colour for as long as it is its name, whoever looks.
    pub fn name(self, name: &str) -> Style {
        let style =
            self.colours.colour_of(name).map_or_else(Style::new, |colour| Style::new().fg(Color::Indexed(colour)));
        style.add_modifier(Modifier::BOLD)
    }

    /// What stays in the background.
    pub fn dim(self) -> Style {
        match self.colours {
            Colours::Plain | Colours::Sixteen => Style::new().add_modifier(Modifier::DIM),
            Colours::Many => Style::new().fg(Color::Indexed(244)),
        }
    }

    /// One's own name, said by another.
    pub fn mention(self) -> Style {
        self.colour(1, 166).add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }

    /// For one reader alone.
    pub fn private(self) -> Style {
        self.colour(5, 97).add_modifier(Modifier::ITALIC)
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
        self.colour(2, 65).add_modifier(Modifier::BOLD)
    }

    /// What is not.
    pub fn bad(self) -> Style {
        self.colour(1, 160).add_modifier(Modifier::BOLD)
    }

    /// An election's token.
    pub fn token(self) -> Style {
        self.colour(1, 166).add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_colour_and_without_colours_there_is_none() {
        let (with, without) = (TuiStyle { colours: Colours::Many }, TuiStyle { colours: Colours::Plain });
        assert_eq!(with.name("ann"), with.name("Ann"));
        assert!(with.name("ann").fg.is_some());
        for style in [without.name("ann"), without.dim(), without.mention(), without.private(), without.token()] {
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }
}
