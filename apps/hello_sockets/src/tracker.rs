//! The tracker of the users on `tracked`, on all nodes of the cluster.
//!
//! It is the state of `/auth_socket`. `serve` starts it with the server, so that it lists other nodes' users before the
//! first client connects. `channel/tracked` tracks with it, and `page` shows the time until a dead node's users are
//! removed.

use app_service::cluster::MIN_DOWN_AFTER;
use bennu::Endpoint;
use bennu::presence::{Presence, PresenceOptions};
use std::time::Duration;

/// The silence after which a node is down and its users are removed: the tracker's own default, which tolerates the
/// loss of one heartbeat.
const DOWN_AFTER: Duration = Duration::from_secs(30);

/// The presence of all clients on `tracked`. Clones share it.
#[derive(Debug, Clone)]
pub struct UserTracker {
    pub(crate) presence: Presence,
    pub(crate) down_after: Duration,
}

impl UserTracker {
    /// Starts the tracker of an endpoint; at most once per endpoint. `down_after` is the silence after which a node is
    /// down: by default 30 s, and at least 1 s.
    pub fn start(endpoint: &Endpoint, down_after: Option<Duration>) -> Self {
        let down_after = down_after.unwrap_or(DOWN_AFTER).max(MIN_DOWN_AFTER);
        let presence = Presence::start(endpoint, "tracked", options(down_after), ());
        UserTracker { presence: presence.expect("the derived periods are consistent"), down_after }
    }
}

/// Returns the tracker's defaults with shorter periods for a shorter `down_after`. A node sends a heartbeat every ten
/// periods, so twenty periods tolerate one lost heartbeat.
fn options(down_after: Duration) -> PresenceOptions {
    let defaults = PresenceOptions::default();
    PresenceOptions {
        broadcast_period: defaults.broadcast_period.min(down_after / 20),
        down_period: down_after,
        permdown_period: defaults.permdown_period.max(down_after),
        ..defaults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_periods_are_the_trackers_own() {
        assert_eq!(options(DOWN_AFTER), PresenceOptions::default());
    }

    #[tokio::test]
    async fn every_down_after_has_consistent_periods() {
        for down_after in [Duration::ZERO, MIN_DOWN_AFTER, Duration::from_secs(7), Duration::from_secs(86_400)] {
            let endpoint = Endpoint::new(bennu::token::Secret::new("a secret of enough length").unwrap());
            let started = UserTracker::start(&endpoint, Some(down_after));
            assert_eq!(started.down_after, down_after.max(MIN_DOWN_AFTER));
        }
    }
}
