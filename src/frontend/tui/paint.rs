//! Colours and styles: readable on light and dark screens, and without colours.

use ratatui::style::{Color, Modifier, Style};

use crate::present::paint::Paint as Colours;

/// Makes styles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TuiStyle {
    /// The colours to use, besides bold, dim, underlined and reversed.
    pub colours: Colours,
}

impl TuiStyle {
    /// One of the 16 colours of every terminal, or of the 256 of most.
    fn colour(self, of_sixteen: u8, of_many: u8) -> Style {
        match self.colours {
            Colours::Plain => Style::new(),
            Colours::Sixteen => Style::new().fg(Color::Indexed(of_sixteen)),
            Colours::Many => Style::new().fg(Color::Indexed(of_many)),
        }
    }

    /// A user's name: its colour depends on the name alone, so all screens agree.
    pub fn name(self, name: &str) -> Style {
        let style =
            self.colours.colour_of(name).map_or_else(Style::new, |colour| Style::new().fg(Color::Indexed(colour)));
        style.add_modifier(Modifier::BOLD)
    }

    /// Less important text.
    pub fn dim(self) -> Style {
        match self.colours {
            Colours::Plain | Colours::Sixteen => Style::new().add_modifier(Modifier::DIM),
            Colours::Many => Style::new().fg(Color::Indexed(244)),
        }
    }

    /// The user's own name in another's line.
    pub fn mention(self) -> Style {
        self.colour(1, 166).add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }

    /// A private message.
    pub fn private(self) -> Style {
        self.colour(5, 97).add_modifier(Modifier::ITALIC)
    }

    /// A hit of the search.
    pub fn hit(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The bars above and below the messages.
    pub fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The title of a pane.
    pub fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// A good state.
    pub fn good(self) -> Style {
        self.colour(2, 65).add_modifier(Modifier::BOLD)
    }

    /// A bad state.
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
