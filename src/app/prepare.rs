//! Everything that a run needs before its node starts: settings, address, key, room and files.

use std::path::PathBuf;

use super::keys::{self, Keyed};
use super::member::Signals;
use super::place::{self, NodePlace};
use super::returning;
use crate::failure::{Failure, complain};
use crate::identity::Identity;
use crate::key::{KeyMark, RoomKey};
use crate::ring::{self, RoomId, SessionId};
use crate::settings::{Chat, StartMode};
use crate::store::Opened;

/// The result of the preparation. No later stage takes these decisions again.
pub(super) struct Prepared {
    /// The settings, completed with values from the files.
    pub(super) chat: Chat,
    /// The listener, this node's address and its contacts.
    pub(super) place: NodePlace,
    /// The room's key; `None`: the room is open.
    pub(super) key: Option<RoomKey>,
    /// The file that gets the key once the key has let the node in.
    pub(super) keep: Option<PathBuf>,
    /// A remark for the owner of a node in an open room, if others can reach it.
    pub(super) open_remark: Option<String>,
    /// The id of this run.
    pub(super) session: SessionId,
    /// How the node begins.
    pub(super) start: ring::Start,
    /// The run creates a room.
    pub(super) creates: bool,
    /// The history and the identity.
    pub(super) opened: Opened,
}

/// A random number from the system.
///
/// # Errors
/// The system gives none.
pub(super) fn random() -> anyhow::Result<u64> {
    getrandom::u64().map_err(|error| anyhow::anyhow!("no random numbers: {error}"))
}

/// Takes each decision once, in this order: settings, invite, files of earlier runs, address, key, room, history.
///
/// # Errors
/// A setting is invalid, or a resource is not available.
pub(super) async fn prepare(mut chat: Chat, signals: &mut Signals) -> Result<Prepared, Failure> {
    returning::check_directory(&chat)?;
    keys::accept_invite(&mut chat, signals).await?;
    let remembered = returning::remembered(&chat)?;
    returning::fill_in(&mut chat, remembered.as_ref())?;
    let place = place::take(&chat)?;
    if let Some(remark) = &place.remark {
        complain(format_args!("dist-chat: {remark}"));
    }
    let port = place.listens.port();
    let Keyed { key, keep } = keys::take(&chat, remembered.as_ref(), &place.contacts, port, signals).await?;
    let open_remark = keys::open_remark(key.as_ref(), place.listens);
    let joins = matches!(chat.start, StartMode::Join(_));
    if let Some(remark) = open_remark.as_ref().filter(|_| !joins) {
        complain(format_args!("dist-chat: {remark}"));
    }
    let session = SessionId(random()?);
    let reached = (&place.contacts[..], key.as_ref());
    let (room, start) = returning::begin(&chat, remembered.as_ref(), reached, RoomId(random()?)).await;
    let creates = chat.start == StartMode::Create && room.is_none();
    if !creates && !chat.moderators.is_empty() {
        complain(
            "dist-chat: the moderators of this room were named when it was created; \
             --moderators changes nothing (try --new)",
        );
    }
    let about_room = (room, key.as_ref().map(KeyMark::of));
    let opened = returning::open(&chat, port, about_room, place.uid, (Identity::fresh()?, session))?;
    if let Some(aside) = &opened.aside {
        complain(format_args!("dist-chat: {}", returning::aside_text(aside)));
    }
    Ok(Prepared { chat, place, key, keep, open_remark, session, start, creates, opened })
}
