//! The bars above and below the messages: the channel, and the state of the node in plain words.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::frontend::tui::cells::{bar, safe};
use crate::frontend::tui::model::Model;
use crate::frontend::tui::model::ring::name_of;
use crate::present::report::RoleWord;
use crate::present::values::FeedState;

/// Draws the channel and its topic.
pub fn header(model: &Model, buffer: &mut Buffer, area: Rect) {
    let topic = model.topic().map_or_else(String::new, |topic| format!("  {}", safe(topic)));
    bar(buffer, area, &format!(" #{}{topic}", safe(model.channels.shown())), "F1 help ", model.paint().bar());
}

/// Draws the state of the node.
pub fn line(model: &Model, buffer: &mut Buffer, area: Rect) {
    let text = match (&model.bye, &model.room.state) {
        (Some(bye), _) => format!(" {}", safe(bye)),
        (None, _) if model.leaving => " leaving: what was typed is still handed on (^C again: at once)".to_owned(),
        (None, Some(state)) => state_text(model, state),
        (None, None) => match &model.room.hello {
            Some(hello) => format!(" {}({})  on the way in", safe(hello.name.as_str()), hello.address),
            None => " on the way in".to_owned(),
        },
    };
    let room = model.room.state.as_ref().and_then(|state| state.room).or_else(|| model.room.hello.as_ref()?.room);
    let right = room.map_or_else(String::new, |room| format!("room {room} "));
    bar(buffer, area, &text, &right, model.paint().bar());
}

fn state_text(model: &Model, state: &FeedState) -> String {
    let mut parts = vec![format!(" {}({})", safe(state.name.as_str()), state.address)];
    parts.push(match state.role {
        RoleWord::Joining => "on the way in".to_owned(),
        _ if is_cut_off(state) => "cut off: nobody answers".to_owned(),
        RoleWord::Electing => "no leader: looking for one".to_owned(),
        RoleWord::Leader => "leads".to_owned(),
        RoleWord::Follower => match model.room.ring.leader(state) {
            Some(leader) => {
                let name = name_of(state, leader).map_or_else(|| leader.to_string(), |name| safe(name.as_str()));
                format!("{name} leads")
            }
            None => "no leader: looking for one".to_owned(),
        },
    });
    if model.composer.waiting() > 0 {
        parts.push(format!("{} waiting", model.composer.waiting()));
    }
    parts.push(match state.members.len() {
        1 => "alone".to_owned(),
        members => format!("{members} here"),
    });
    parts.push(format!("{} entries", state.last));
    parts.join("  ")
}

/// Whether there are links to other members and none of them is up.
fn is_cut_off(state: &FeedState) -> bool {
    let mut links = state.members.iter().filter_map(|member| member.link).peekable();
    links.peek().is_some() && links.all(|link| !link.up)
}
