//! Who is here: the users that have joined `tracked`, on all nodes of the cluster.
//!
//! The state of `/auth_socket`, started with the server, so that it knows other nodes' users before its first client
//! comes. `channel/tracked` tracks with it, and `page` shows how long a node that died is still listed.

use bennu::{Endpoint, Presence, PresenceOptions};
use std::time::Duration;

/// After this long without a word of it, a node's users are gone: the tracker's own default, which forgives the loss of
/// one sign of life.
const DOWN_AFTER: Duration = Duration::from_secs(30);

/// The shortest that it can be set to. The periods follow from it; shorter ones would drop a node for being busy.
pub(crate) const LEAST_DOWN_AFTER: Duration = Duration::from_secs(1);

/// The presence of all who have joined `tracked`. Cloning is cheap and shares it.
#[derive(Debug, Clone)]
pub struct UserTracker {
    pub(crate) presence: Presence,
    pub(crate) down_after: Duration,
}

impl UserTracker {
    /// Starts the tracker of an endpoint; once for each. `down_after` is how long a silent node is shown: by default
    /// 30 s, and at least 1 s.
    pub fn start(endpoint: &Endpoint, down_after: Option<Duration>) -> Self {
        let down_after = down_after.unwrap_or(DOWN_AFTER).max(LEAST_DOWN_AFTER);
        let presence = Presence::start(endpoint, "tracked", options(down_after), ());
        UserTracker { presence: presence.expect("periods that are made for each other agree"), down_after }
    }
}

/// The tracker's defaults, but sooner where a node shall be missed sooner: a node that lives says so every ten periods, so
/// twenty leave room for one sign that is lost.
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
    fn by_default_the_periods_are_the_trackers_own() {
        assert_eq!(options(DOWN_AFTER), PresenceOptions::default());
    }

    #[tokio::test]
    async fn every_time_that_can_be_chosen_has_periods_that_agree() {
        for down_after in [Duration::ZERO, LEAST_DOWN_AFTER, Duration::from_secs(7), Duration::from_secs(86_400)] {
            let endpoint = Endpoint::new(bennu::token::Secret::new("a secret of enough length").unwrap());
            let started = UserTracker::start(&endpoint, Some(down_after));
            assert_eq!(started.down_after, down_after.max(LEAST_DOWN_AFTER));
        }
    }
}
