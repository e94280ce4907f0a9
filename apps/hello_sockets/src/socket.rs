//! The three sockets: their authentication, and the routes from topics to channels.

use crate::channel::{
    AuthChannel, DedupeChannel, PingChannel, RecurringChannel, StatsChannel, TrackedChannel, WildcardChannel,
};
use crate::tracker::UserTracker;
use bennu::prelude::*;
use bennu_telemetry::increment;

/// The salt of every token of this application; tokens with another salt are rejected.
pub(crate) const SALT: &str = "salt identifier";

/// `/socket`, without authentication.
pub struct UserSocket;

impl Socket for UserSocket {
    type State = ();

    async fn connect(_request: Connect) -> Result<Self, Refusal> {
        Ok(UserSocket)
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router
            .channel::<PingChannel>("ping")
            .channel::<PingChannel>("ping:*")
            .channel::<WildcardChannel>("wild:*")
            .channel::<DedupeChannel>("dupe");
    }
}

/// `/auth_socket`, for users with a token.
pub struct AuthSocket {
    /// The user that the token was signed for.
    pub user_id: u64,
}

impl Socket for AuthSocket {
    type State = UserTracker;

    async fn connect(request: Connect<UserTracker>) -> Result<Self, Refusal> {
        let user_id = user_id(&request).inspect_err(|refusal| tracing::error!(%refusal, "AuthSocket connect error"))?;
        Ok(AuthSocket { user_id })
    }

    fn id(&self) -> Option<String> {
        Some(format!("auth_socket:{}", self.user_id))
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router
            .channel::<PingChannel>("ping")
            .channel::<TrackedChannel>("tracked")
            .channel::<AuthChannel>("user:*")
            .channel::<RecurringChannel>("recurring");
    }
}

fn user_id(request: &Connect<UserTracker>) -> Result<u64, Refusal> {
    Ok(request.verify(SALT, request.param("token")?, Token::ONE_DAY)?)
}

/// `/stats_socket`, without authentication and with measurements.
pub struct StatsSocket;

impl Socket for StatsSocket {
    type State = ();

    async fn connect(_request: Connect) -> Result<Self, Refusal> {
        increment("socket_connect", 1, &[("status", "success"), ("socket", "StatsSocket")]);
        Ok(StatsSocket)
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<StatsChannel>("*");
    }
}
