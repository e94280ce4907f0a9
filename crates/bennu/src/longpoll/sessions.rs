//! All long-poll sessions of this node, whichever mount they were opened at: the table that finds them, and the task that
//! ends each when its client has gone silent.
//!
//! Invariant: a session that has ended leaves the table by its own task, whoever ended it.

use super::places::{Place, Places};
use super::session::Session;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bennu_channels::Connected;
use bennu_channels::protocol::Serializer;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// See the module.
#[derive(Default)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<String, Arc<Session>>>,
    pub(crate) places: Arc<Places>,
}

impl Sessions {
    /// Opens a session, which ends when its client is not heard for `idle`, and says its id.
    pub(crate) fn open(
        self: &Arc<Self>,
        place: Place,
        connected: Connected,
        serializer: Serializer,
        idle: Duration,
    ) -> String {
        let id = random_id();
        let session = Session::open(connected, serializer, place);
        self.open.lock().insert(id.clone(), session.clone());
        tokio::spawn(see_to_its_end(session, idle, Arc::downgrade(self), id.clone()));
        id
    }

    /// The session with this id, unless it has ended.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Session>> {
        self.open.lock().get(id).cloned()
    }

    fn remove(&self, id: &str) {
        let mut open = self.open.lock();
        let session = open.remove(id);
        if open.len() * 4 < open.capacity() {
            open.shrink_to_fit();
        }
        drop(open);
        drop(session);
    }
}

async fn see_to_its_end(session: Arc<Session>, idle: Duration, sessions: Weak<Sessions>, id: String) {
    session.ended(idle).await;
    if let Some(sessions) = sessions.upgrade() {
        sessions.remove(&id);
    }
}

fn random_id() -> String {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}
