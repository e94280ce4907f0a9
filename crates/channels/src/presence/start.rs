//! A further presence of an endpoint.

use super::{Presence, PresenceHandler, PresenceOptions};
use crate::endpoint::Endpoint;
use bennu_tracker::OptionsError;

impl Presence {
    /// Starts a presence of its own, beside [`Endpoint::presence`]. Those with one name, on all nodes, are one.
    ///
    /// # Errors
    /// [`OptionsError`] when options contradict each other.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start<H: PresenceHandler>(
        endpoint: &Endpoint,
        name: &str,
        options: PresenceOptions,
        handler: H,
    ) -> Result<Self, OptionsError> {
        let presence = Presence::start_on(endpoint.pubsub(), name, options, handler)?;
        endpoint.add_presence(&presence);
        Ok(presence)
    }
}
