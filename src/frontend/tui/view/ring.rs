//! Draws the ring: the members in their order, the links between them, and what travels along the links.

use std::f64::consts::{PI, TAU};
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;
use ratatui::widgets::canvas::{Canvas, Points};

use crate::frontend::tui::cells::{put, safe, shortened, title, width};
use crate::frontend::tui::model::Model;
use crate::frontend::tui::model::ring::RingPosition;
use crate::frontend::tui::paint::TuiStyle;
use crate::present::values::{FeedLink, FeedState};
use crate::ring::Uid;

/// Most cells of a name in the ring.
const NAME_CELLS_MAX: usize = 16;
/// Most members of a ring that is drawn as a circle.
const ROUND_MAX: usize = 6;
/// A token is drawn at this share of the radius, so that names stay readable.
const TOKEN_INWARDS: f64 = 0.72;

/// A point: column and row, from the window's corner.
type Point = (f64, f64);

/// The places of the ring on the screen.
struct Circle {
    middle: Point,
    radii: Point,
    count: usize,
}

impl Circle {
    /// The largest circle in `area` that leaves room for names of `names` cells.
    fn within(area: Rect, count: usize, names: usize) -> Self {
        let (wide, high) = (f64::from(area.width), f64::from(area.height));
        let names = f64::from(u16::try_from(names).unwrap_or(u16::MAX));
        // Cells are about twice as high as wide.
        let across = ((wide - names) / 2.0 - 1.0).clamp(1.0, (high * 1.6).max(1.0));
        let down = ((high - 1.0) / 2.0).max(0.0);
        // Few members form a circle as round as possible; many need all the room.
        let down = if count <= ROUND_MAX { down.min((across * 0.75).max(3.0)) } else { down };
        Self {
            middle: (f64::from(area.x) + (wide - 1.0) / 2.0, f64::from(area.y) + (high - 1.0) / 2.0),
            radii: (across, down),
            count: count.max(1),
        }
    }

    fn angle(&self, place: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a ring has far fewer members than that")]
        let share = place as f64 / self.count as f64;
        share * TAU - PI / 2.0
    }

    fn on(&self, angle: f64) -> Point {
        (self.middle.0 + self.radii.0 * angle.cos(), self.middle.1 + self.radii.1 * angle.sin())
    }

    fn place(&self, place: usize) -> Point {
        match self.count {
            1 => self.middle,
            _ => self.on(self.angle(place)),
        }
    }

    /// A point on the way between two places: along the ring between neighbours, straight between others. `way`: from 0
    /// to 1.
    fn between(&self, from: usize, to: usize, way: f64) -> Point {
        let step = TAU / f64::from(u32::try_from(self.count).unwrap_or(u32::MAX));
        if (from + 1) % self.count == to {
            self.on(self.angle(from) + step * way)
        } else if (to + 1) % self.count == from {
            self.on(self.angle(from) - step * way)
        } else {
            let (a, b) = (self.place(from), self.place(to));
            (a.0 + (b.0 - a.0) * way, a.1 + (b.1 - a.1) * way)
        }
    }

    fn inwards(&self, (x, y): Point) -> Point {
        (self.middle.0 + (x - self.middle.0) * TOKEN_INWARDS, self.middle.1 + (y - self.middle.1) * TOKEN_INWARDS)
    }
}

/// Draws the ring at the time `now`.
pub fn draw(model: &Model, buffer: &mut Buffer, area: Rect, now: Duration) {
    if area.is_empty() {
        return;
    }
    let paint = model.paint();
    title(buffer, area, "ring", paint.title());
    let cells = usize::from(area.width);
    let said = model.room.ring.said(now).into_iter();
    let said: Vec<Line<'static>> =
        said.map(|said| Line::from(Span::styled(shortened(&safe(&said), cells), paint.dim()))).collect();
    let Some(state) = &model.room.state else { return };
    let inner = Rect { y: area.y + 1, height: area.height.saturating_sub(3), ..area };
    if area.height >= 4 {
        for (y, row) in (inner.bottom()..area.bottom()).zip(&said) {
            put(buffer, (area.x, y), row, area.width);
        }
    }
    if inner.height < 3 || inner.width < 8 {
        return;
    }
    let places = model.room.ring.places(state, now);
    let longest = places.iter().map(|place| width(place.name.as_str())).max().unwrap_or(0).min(NAME_CELLS_MAX);
    // A mark, a space, and the brackets around the node's own name.
    let names = (longest + 4).min(usize::from(inner.width) / 2);
    let circle = Circle::within(inner, places.len(), names);
    if places.len() > 1 {
        links(buffer, inner, &circle, &places, state, paint);
    }
    let labels = labels(model, buffer, inner, &circle, &places, state, (names, now));
    passing(model, buffer, inner, (&circle, &places, &labels), state, now);
}

fn place_of(places: &[RingPosition], uid: Uid) -> Option<usize> {
    places.iter().position(|place| place.address == uid)
}

fn link_of(state: &FeedState, uid: Uid) -> Option<FeedLink> {
    state.members.iter().find(|member| member.address == uid)?.link
}

/// Draws this node's links as lines, and links between other nodes, whose state it does not know, as dots.
fn links(
    buffer: &mut Buffer,
    area: Rect,
    circle: &Circle,
    places: &[RingPosition],
    state: &FeedState,
    paint: TuiStyle,
) {
    let living: Vec<usize> = (0..places.len()).filter(|place| !places[*place].lost).collect();
    let mut ways: Vec<(usize, usize)> = living.iter().copied().zip(living.iter().copied().cycle().skip(1)).collect();
    ways.retain(|(from, to)| from != to);
    let own = place_of(places, state.address);
    for (place, other) in places.iter().enumerate() {
        let known = ways.iter().any(|way| own.is_some_and(|own| *way == (own, place) || *way == (place, own)));
        if let Some(own) = own.filter(|own| *own != place && !known)
            && link_of(state, other.address).is_some()
            && !other.lost
        {
            ways.push((own, place));
        }
    }
    let mut faint: Vec<Point> = Vec::new();
    let mut good: Vec<Point> = Vec::new();
    let mut bad: Vec<Point> = Vec::new();
    for (from, to) in ways {
        let other = match own {
            Some(own) if own == from => places.get(to),
            Some(own) if own == to => places.get(from),
            Some(_) | None => None,
        };
        let link = other.and_then(|other| link_of(state, other.address));
        let (dots, every): (&mut Vec<Point>, u32) = match link {
            Some(link) if link.up => (&mut good, 1),
            Some(_) => (&mut bad, 4),
            None => (&mut faint, 4),
        };
        let (a, b) = (circle.place(from), circle.place(to));
        // A dot is half a column wide and a quarter of a row high; the way along the ring is longer than the straight
        // one.
        let steps = ((a.0 - b.0).abs() * 2.0).max((a.1 - b.1).abs() * 4.0).max(8.0) * 2.0;
        let mut step = 0;
        while f64::from(step) < steps {
            dots.push(circle.between(from, to, f64::from(step) / steps));
            step += every;
        }
    }
    let (left, top) = (f64::from(area.x), f64::from(area.y));
    let (wide, high) = (f64::from(area.width), f64::from(area.height));
    // A place is in the middle of its cell; the canvas counts rows from the bottom.
    let turned = |points: &[Point]| -> Vec<Point> {
        points.iter().map(|(x, y)| (x - left + 0.5, high - (y - top + 0.5))).collect()
    };
    let (faint, good, bad) = (turned(&faint), turned(&good), turned(&bad));
    let colour = |style: Style| style.fg.unwrap_or(Color::Reset);
    Canvas::default()
        .marker(Marker::Braille)
        .x_bounds([0.0, wide])
        .y_bounds([0.0, high])
        .paint(|context| {
            context.draw(&Points { coords: &faint, color: colour(paint.dim()) });
            context.draw(&Points { coords: &bad, color: colour(paint.bad()) });
            context.draw(&Points { coords: &good, color: colour(paint.good()) });
        })
        .render(area, buffer);
}

/// The cell of a point.
fn cell((x, y): Point) -> (i32, i32) {
    #[expect(clippy::cast_possible_truncation, reason = "a window is small")]
    let rounded = (x.round() as i32, y.round() as i32);
    rounded
}

/// Draws `spans` around a point, within `area`. Returns the covered area.
fn centred(buffer: &mut Buffer, area: Rect, at: Point, spans: Vec<Span<'static>>) -> Option<Rect> {
    let line = Line::from(spans);
    let cells = u16::try_from(width(&line.to_string())).unwrap_or(u16::MAX).min(area.width);
    let (x, y) = cell(at);
    let (left, right) = (i32::from(area.left()), i32::from(area.right() - cells));
    let x = u16::try_from((x - i32::from(cells) / 2).clamp(left, right)).ok()?;
    let y = u16::try_from(y.clamp(i32::from(area.top()), i32::from(area.bottom()) - 1)).ok()?;
    put(buffer, (x, y), &line, cells);
    Some(Rect::new(x, y, cells, 1))
}

fn labels(
    model: &Model,
    buffer: &mut Buffer,
    area: Rect,
    circle: &Circle,
    places: &[RingPosition],
    state: &FeedState,
    (names, now): (usize, Duration),
) -> Vec<Rect> {
    let paint = model.paint();
    let leader = model.room.ring.new_leader(state, now);
    let mut taken: Vec<Rect> = Vec::new();
    for (at, place) in places.iter().enumerate() {
        let own = place.address == state.address;
        let away = state.members.iter().any(|member| member.address == place.address && member.away.is_some());
        let (mark, style) = match (place.lost, leader == Some(place.address), away) {
            (true, ..) => ("✗", paint.bad()),
            (false, true, _) => ("★", paint.good()),
            (false, false, true) => ("○", paint.dim()),
            (false, false, false) => ("●", Style::new()),
        };
        let mut of_name = if place.lost { paint.bad() } else { paint.name(place.name.as_str()) };
        if place.lost {
            of_name = of_name.add_modifier(Modifier::CROSSED_OUT);
        }
        let label = |cells: usize| {
            let name = safe(place.name.as_str());
            let name = if own { format!("[{}]", shortened(&name, cells.max(2) - 2)) } else { shortened(&name, cells) };
            vec![Span::styled(format!("{mark} "), style), Span::styled(name, of_name)]
        };
        let point = circle.place(at);
        // Names that would overlap are cut short; at last only the marks are left.
        let mut cells = names.saturating_sub(2);
        let spans = loop {
            let spans = if cells < 3 { vec![Span::styled(mark, style)] } else { label(cells) };
            let wide = u16::try_from(width(&Line::from(spans.clone()).to_string())).unwrap_or(area.width);
            let mut trial = Buffer::empty(area);
            let there = centred(&mut trial, area, point, spans.clone());
            let free = there.is_some_and(|there| {
                let room = Rect { x: there.x.saturating_sub(1), width: wide + 2, ..there };
                !taken.iter().any(|other| other.intersects(room))
            });
            if free || cells < 3 {
                break spans;
            }
            cells -= 1;
        };
        if let Some(there) = centred(buffer, area, point, spans) {
            taken.push(there);
        }
    }
    taken
}

/// Draws what moves: pulses on this node's links, and a token.
fn passing(
    model: &Model,
    buffer: &mut Buffer,
    area: Rect,
    (circle, places, labels): (&Circle, &[RingPosition], &[Rect]),
    state: &FeedState,
    now: Duration,
) {
    let paint = model.paint();
    let own = place_of(places, state.address);
    for (uid, way) in model.room.ring.pulses(now) {
        if let (Some(from), Some(to)) = (place_of(places, uid), own)
            && from != to
        {
            let at = circle.between(from, to, way);
            let (x, y) = cell(at);
            let drawn = u16::try_from(x).ok().zip(u16::try_from(y).ok()).filter(|at| area.contains((*at).into()));
            // A pulse is drawn between the names, so that they stay readable.
            if let Some(at) = drawn
                && buffer
                    .cell(at)
                    .is_some_and(|cell| matches!(cell.symbol().chars().next(), Some(' ' | '\u{2800}'..='\u{28ff}')))
            {
                put(buffer, at, &Line::from(Span::styled("•", paint.good())), 1);
            }
        }
    }
    if let Some((hop, way)) = model.room.ring.token(now)
        && let (Some(from), Some(to)) = (place_of(places, hop.from), place_of(places, hop.to))
    {
        let named = model.room.ring.name(hop.candidate);
        let name = named.map_or_else(|| hop.candidate.to_string(), |name| safe(name.as_str()));
        let spans = vec![Span::styled(format!("◆ {}", shortened(&name, NAME_CELLS_MAX)), paint.token())];
        let (x, y) = circle.inwards(circle.between(from, to, way));
        let inwards = if y < circle.middle.1 { 1.0 } else { -1.0 };
        // The token covers no name if another row is free.
        let free = [0.0, inwards, 2.0 * inwards].map(|rows| (x, y + rows)).into_iter().find(|at| {
            let mut trial = Buffer::empty(area);
            let there = centred(&mut trial, area, *at, spans.clone());
            there.is_some_and(|there| !labels.iter().any(|label| label.intersects(there)))
        });
        centred(buffer, area, free.unwrap_or((x, y)), spans);
    }
}
