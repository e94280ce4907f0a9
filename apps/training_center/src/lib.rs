//! The gym's Training Center: a trainer runs a session, people tick off exercises on their phones, and the trainer sees
//! all of them live.
//!
//! [`session`] is one training session as a value, without I/O. [`gym`] runs a supervised task for each open session,
//! which stores every change in [`store`] before it confirms it. Above are the edges: [`channel`], with Presence and with
//! intercepts by role, behind [`socket`]; the pages in [`web`], drawn by [`view`]; and the command line in [`command`].
//! [`user`] has the two roles.

pub mod channel;
pub mod command;
pub mod gym;
pub mod session;
pub mod socket;
pub mod store;
pub mod user;
pub mod view;
pub mod web;

use anyhow::Context;
use axum::Router;
use bennu::SessionCookie;
use gym::Gym;
use socket::UserSocket;
use std::path::Path;

/// Returns the router of a node: its socket, and its pages with the files in the directory `assets`.
///
/// # Errors
/// When the socket cannot be mounted or `assets` cannot be read.
pub fn app(gym: &Gym, assets: &Path) -> anyhow::Result<Router> {
    let cookie = SessionCookie::new("_training_center", "training_center session");
    let socket = bennu::socket::<UserSocket>("/socket").with_state(gym.clone()).session(cookie.clone());
    let pages = web::routes(gym, cookie, assets).with_context(|| format!("could not read {}", assets.display()))?;
    Ok(socket.longpoll(true).router(&gym.endpoint)?.merge(pages))
}
