//! Windows above everything else: the help, and the question before a long paste.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::frontend::tui::cells::{put, safe, shortened, width};
use crate::frontend::tui::help::HELP;
use crate::frontend::tui::model::Model;

/// Draws the help, from line `top` on.
pub fn help(model: &Model, buffer: &mut Buffer, top: u16) {
    let whole = usize::from(buffer.area.height) >= HELP.len() + 2;
    let top = if whole { 0 } else { usize::from(top) };
    popup(model, buffer, "keys", HELP.iter().skip(top).map(|line| (*line).to_owned()).collect());
}

/// Draws the question whether to send the pasted lines.
pub fn ask(model: &Model, buffer: &mut Buffer, lines: &[String]) {
    let mut shown = vec![format!("{} lines were pasted. Send each of them?", lines.len()), String::new()];
    shown.extend(lines.iter().take(3).map(|line| shortened(&format!("  {}", safe(line)), 60)));
    if lines.len() > 3 {
        shown.push("  …".to_owned());
    }
    shown.extend([String::new(), "y  send      n  forget them".to_owned()]);
    popup(model, buffer, "paste", shown);
}

fn popup(model: &Model, buffer: &mut Buffer, name: &str, lines: Vec<String>) {
    let window = buffer.area;
    let wide = lines.iter().map(|line| width(line)).max().unwrap_or(0) + 4;
    let wide = u16::try_from(wide).unwrap_or(u16::MAX).min(window.width);
    let high = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(window.height);
    if wide < 5 || high < 3 {
        return;
    }
    let (x, y) = (window.x + (window.width - wide) / 2, window.y + (window.height - high) / 2);
    let area = Rect::new(x, y, wide, high);
    let paint = model.paint();
    let inner = usize::from(wide - 4);
    let head = shortened(&format!(" {name} "), inner);
    let rule = "─".repeat(usize::from(wide - 3).saturating_sub(width(&head)));
    let edge = |text: String| Line::from(Span::styled(text, paint.dim()));
    put(buffer, (x, y), &edge(format!("┌─{head}{rule}┐")), wide);
    for (y, line) in (area.top() + 1..area.bottom() - 1).zip(lines.into_iter().chain(std::iter::repeat(String::new())))
    {
        let line = shortened(&line, inner);
        let gap = " ".repeat(inner - width(&line));
        let row = Line::from(vec![
            Span::styled("│ ", paint.dim()),
            Span::raw(line),
            Span::raw(gap),
            Span::styled(" │", paint.dim()),
        ]);
        // Nothing below the window shows through, and no wide letter is cut in two.
        if let Some(before) = x.checked_sub(1).and_then(|before| buffer.cell_mut((before, y)))
            && width(before.symbol()) > 1
        {
            before.reset();
        }
        buffer.set_style(Rect::new(x, y, wide, 1), ratatui::style::Style::reset());
        put(buffer, (x, y), &row, wide);
    }
    put(buffer, (x, area.bottom() - 1), &edge(format!("└{}┘", "─".repeat(usize::from(wide - 2)))), wide);
}
