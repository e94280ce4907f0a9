//! The table of all long-poll sessions of this node, for all mounts of an endpoint together.
//!
//! [`super::service`] opens and finds sessions here, and [`super::relay`] finds them for other nodes. The table spawns
//! one task for each session, which waits for the session's end. Invariant: this task alone removes the session from
//! the table, for every way in which a session can end.

use super::quota::{SessionPermit, SessionQuota};
use super::session::Session;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bennu_channels::protocol::Serializer;
use bennu_channels::transport::Connected;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// See the module.
#[derive(Default)]
pub(crate) struct SessionTable {
    open: Mutex<HashMap<String, Arc<Session>>>,
    pub(crate) quota: Arc<SessionQuota>,
}

impl SessionTable {
    /// Opens a session and returns its id. The session ends when its client sends no request for `idle`.
    pub(crate) fn open(
        self: &Arc<Self>,
        permit: SessionPermit,
        connected: Connected,
        serializer: Serializer,
        idle: Duration,
    ) -> String {
        let id = random_id();
        let session = Session::open(connected, serializer, permit);
        self.open.lock().insert(id.clone(), session.clone());
        tokio::spawn(remove_at_end(session, idle, Arc::downgrade(self), id.clone()));
        id
    }

    /// Returns the session with this id, unless it has ended.
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

/// Waits until a session has ended and removes it from the table.
async fn remove_at_end(session: Arc<Session>, idle: Duration, table: Weak<SessionTable>, id: String) {
    session.ended(idle).await;
    if let Some(table) = table.upgrade() {
        table.remove(&id);
    }
}

fn random_id() -> String {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}
