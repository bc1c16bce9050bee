//! The terminal above a node that shows its lines as text, through a [`Screen`].

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use tokio::sync::watch;

use super::complete::Known;
use super::frontend::{Frontend, INPUTS_MAX, Input};
use super::render::Here;
use super::{Settings, tty};
use crate::ring::Uid;
use crate::ui::feed::Asked;
use crate::ui::herald::Place;
use crate::ui::pipe::Typed;
use crate::ui::screen::Screen;

/// What waits between the editor and the node, besides what each of them keeps.
const ASKED_MAX: usize = 1;

/// What the editor needs of the node.
pub struct Strings {
    /// The prompt's name.
    pub place: watch::Receiver<Place>,
    /// The prompt's address.
    pub uid: Uid,
    /// Where lines are shown.
    pub screen: Screen,
    /// Takes what is typed.
    pub typed: SyncSender<Typed>,
    /// Asks who is here; `None`: nobody knows any more.
    pub names: Box<dyn Fn() -> Option<Vec<String>> + Send>,
}

/// Edits lines until the person wants to leave, or nobody takes them any more.
///
/// # Errors
/// This terminal cannot do it: [`io::ErrorKind::Unsupported`].
pub fn edit(strings: Strings, settings: &Settings) -> io::Result<()> {
    if settings.dumb {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let Strings { mut place, uid, screen, typed, names } = strings;
    let (asked, asks) = sync_channel(ASKED_MAX);
    let (inputs, received) = sync_channel(INPUTS_MAX);
    let here =
        move |place: &Place| Input::Here(Here { who: place.clone().map(|(name, _)| (name, uid)), ..Here::default() });
    let frontend = Frontend::new(asked, settings)?;
    let _ = inputs.send(here(&place.borrow()));
    super::watch_terminal(&inputs)?;
    let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
    let told = inputs.clone();
    spawn("asked").spawn(move || take_all(&asks, typed, &*names, &told))?;
    let renamed = inputs.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    spawn("place").spawn(move || {
        let next = |place: &mut watch::Receiver<Place>| runtime.block_on(place.changed()).is_ok();
        while next(&mut place) && renamed.send(here(&place.borrow_and_update())).is_ok() {}
    })?;
    screen.print_above(Some(Box::new(move |text| {
        let (done, is_shown) = sync_channel(1);
        match inputs.send(Input::Text(text, done)) {
            Ok(()) => is_shown.recv().map_err(io::Error::other),
            // The editor has ended, the room not yet.
            Err(error) => match error.0 {
                Input::Text(text, _) => tty::write(text.as_bytes()),
                _other => Ok(()),
            },
        }
    })));
    frontend.live(&received).map(drop)
}

fn take_all(
    asks: &Receiver<Asked>,
    typed: SyncSender<Typed>,
    names: &dyn Fn() -> Option<Vec<String>>,
    inputs: &SyncSender<Input>,
) {
    for asked in asks {
        let goes_on = match asked {
            Asked::Type { line } | Asked::Say { text: line, channel: _, id: _ } => {
                typed.send(Typed::Line(line)).is_ok()
            }
            Asked::State => {
                names().is_none_or(|names| inputs.send(Input::Known(Known { names, channels: Vec::new() })).is_ok())
            }
            Asked::Leave => false,
        };
        if !goes_on {
            return;
        }
    }
}
