//! The places of all panes, for every size of the window.

use ratatui::layout::Rect;

/// Columns that a window needs for a side pane.
const SIDE_COLUMNS_MIN: u16 = 60;
/// Rows that a window needs for a side pane.
const SIDE_ROWS_MIN: u16 = 8;
/// Least columns of the side, with the line before it.
const SIDE_MIN: u16 = 26;
/// Most columns of the side.
const SIDE_MAX: u16 = 40;
/// Rows that the ring needs at the side.
const RING_ROWS_MIN: u16 = 9;
/// Most rows of the members at the side, while there are other panes.
const MEMBERS_ROWS_MAX: u16 = 10;
/// Most rows of the channels at the side, while there are other panes.
const CHANNELS_ROWS_MAX: u16 = 7;

/// The panes that the user wants. A pane without enough room stays hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panes {
    /// The list of members.
    pub members: bool,
    /// The list of channels.
    pub channels: bool,
    /// The picture of the ring.
    pub ring: RingPane,
}

/// Where the screen shows the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingPane {
    /// Nowhere.
    Hidden,
    /// Beside the messages.
    Side,
    /// In place of the messages.
    Large,
}

/// The area of each pane. An area may be empty; `None`: the pane is hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Areas {
    /// The channel and its topic.
    pub header: Rect,
    /// The messages.
    pub messages: Rect,
    /// The whole side.
    pub side: Option<Rect>,
    /// The list of members.
    pub members: Option<Rect>,
    /// The list of channels.
    pub channels: Option<Rect>,
    /// The picture of the ring.
    pub ring: Option<Rect>,
    /// The state of the node.
    pub status: Rect,
    /// The input line.
    pub input: Rect,
}

impl Areas {
    /// The areas in a window of this size. `input`: rows of the input; `counts`: members and channels.
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
        // A title, one row each, and a blank row.
        let wanted = |rows: usize| u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(2);
        let ring = panes.ring == RingPane::Side;
        let alone = |others: bool, most: u16| if others { most } else { u16::MAX };
        let members =
            if panes.members { wanted(members).min(alone(ring || panes.channels, MEMBERS_ROWS_MAX)) } else { 0 };
        let channels =
            if panes.channels { wanted(channels).min(alone(ring || panes.members, CHANNELS_ROWS_MAX)) } else { 0 };
        // The members shrink for the ring, as far as that makes room.
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
