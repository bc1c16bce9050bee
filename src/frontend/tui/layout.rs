//! What stands where, for every size of a window.

use ratatui::layout::Rect;

/// Columns below which nothing stands beside the messages, ..
const SIDE_COLUMNS_MIN: u16 = 60;
/// .. and rows below which nothing does.
const SIDE_ROWS_MIN: u16 = 8;
/// Columns of what stands beside the messages, with the line before it: from, ..
const SIDE_MIN: u16 = 26;
/// .. to.
const SIDE_MAX: u16 = 40;
/// Rows without which the ring is not drawn beside the messages.
const RING_ROWS_MIN: u16 = 9;
/// Rows of the members beside the messages while others stand there too.
const MEMBERS_ROWS_MAX: u16 = 10;
/// The same for channels.
const CHANNELS_ROWS_MAX: u16 = 7;

/// Which parts of the screen the person wants to see. What finds no room is not shown all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panes {
    /// Who is here.
    pub members: bool,
    /// The channels.
    pub channels: bool,
    /// The ring.
    pub ring: RingPane,
}

/// Where the ring is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingPane {
    /// Nowhere.
    Hidden,
    /// Beside the messages.
    Side,
    /// In place of the messages.
    Large,
}

/// What stands where. An area may be empty; what is `None` is not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Areas {
    /// The channel and its topic.
    pub header: Rect,
    /// What was said.
    pub messages: Rect,
    /// All that stands beside it.
    pub side: Option<Rect>,
    /// Who is here.
    pub members: Option<Rect>,
    /// The channels.
    pub channels: Option<Rect>,
    /// The ring.
    pub ring: Option<Rect>,
    /// How the node is doing.
    pub status: Rect,
    /// What is typed.
    pub input: Rect,
}

impl Areas {
    /// For a window of so many columns and rows, an input of so many rows, and so many members and channels.
    pub fn of((columns, rows): (u16, u16), panes: Panes, input: u16, counts: (usize, usize)) -> Self {
        let input = input.clamp(1, (rows / 3).max(1)).min(rows);
        let status = u16::from(rows >= 2);
        let header = u16::from(rows >= 4);
        let body = Rect::new(0, header, columns, rows.saturating_sub(input + status + header));
        let mut areas = Self {
            header: Rect::new(0, 0, columns, header),
            messages: body,
            status: Rect::new(0, body.bottom(), columns, status),
            input: Rect::new(0, body.bottom() + status, columns, input),
            ..Self::default()
        };
        if columns >= SIDE_COLUMNS_MIN && body.height >= SIDE_ROWS_MIN {
            areas.beside(panes, counts);
        }
        if panes.ring == RingPane::Large {
            areas.ring = Some(areas.messages);
        }
        areas
    }

    fn beside(&mut self, panes: Panes, (members, channels): (usize, usize)) {
        let body = self.messages;
        let wide = (body.width / 4).clamp(SIDE_MIN, SIDE_MAX);
        // A title, a row for each, a blank row.
        let wanted = |rows: usize| u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(2);
        let ring = panes.ring == RingPane::Side;
        let alone = |others: bool, most: u16| if others { most } else { u16::MAX };
        let members =
            if panes.members { wanted(members).min(alone(ring || panes.channels, MEMBERS_ROWS_MAX)) } else { 0 };
        let channels =
            if panes.channels { wanted(channels).min(alone(ring || panes.members, CHANNELS_ROWS_MAX)) } else { 0 };
        // Members give way to the ring, as far as that helps.
        let others = channels + RING_ROWS_MIN;
        let members = if ring { members.min(body.height.saturating_sub(others).max(5)) } else { members };
        let members = members.min(body.height);
        let channels = channels.min(body.height - members);
        let left = body.height - members - channels;
        let ring = ring && left >= RING_ROWS_MIN;
        if members + channels == 0 && !ring {
            return;
        }
        let x = body.right() - wide + 1;
        let area = |y: u16, height: u16| (height > 0).then(|| Rect::new(x, body.y + y, wide - 1, height));
        self.messages.width = body.width - wide;
        self.side = Some(Rect::new(x - 1, body.y, wide, body.height));
        self.members = area(0, members);
        self.channels = area(members, channels);
        self.ring = area(members + channels, if ring { left } else { 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overlaps_or_leaves_the_window_whatever_its_size() {
        for columns in 0..140 {
            for rows in 0..60 {
                for (ring, members) in [(RingPane::Side, true), (RingPane::Large, false), (RingPane::Hidden, true)] {
                    let panes = Panes { members, channels: true, ring };
                    let areas = Areas::of((columns, rows), panes, rows % 7, (usize::from(rows % 13), 3));
                    let window = Rect::new(0, 0, columns, rows);
                    let side = [areas.members, areas.channels, areas.ring.filter(|_| ring == RingPane::Side)];
                    let all = [areas.header, areas.messages, areas.status, areas.input];
                    let all: Vec<Rect> =
                        all.into_iter().chain(side.into_iter().flatten()).filter(|a| !a.is_empty()).collect();
                    for (at, area) in all.iter().enumerate() {
                        assert_eq!(area.intersection(window), *area, "{columns}x{rows}");
                        assert!(all[at + 1..].iter().all(|other| !other.intersects(*area)), "{columns}x{rows}");
                    }
                }
            }
        }
    }
}
