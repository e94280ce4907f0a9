//! The fixture's sockets, as `conformance/README.md` specifies them.

use crate::channel::{Authenticated, Bench, CrashingJoin, Deny, Ping, Present, ReplyChannel, Slow, User, Wild};
use bennu::prelude::*;

/// The salt of every token.
pub(crate) const SALT: &str = "salt identifier";

/// Adds the channels that every mount has.
fn common<S: Socket>(router: &mut ChannelRouter<S>) {
    router
        .channel::<Ping>("ping")
        .channel::<Ping>("ping:*")
        .channel::<Bench>("bench:*")
        .channel::<Wild>("wild:*")
        .channel::<CrashingJoin>("crash:*")
        .channel::<Slow>("slow:*")
        .channel::<Deny>("deny:*")
        .channel::<ReplyChannel>("reply:*")
        .channel::<Present>("presence:*");
}

pub(crate) struct UserSocket {
    id: Option<String>,
}

impl Socket for UserSocket {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        Ok(UserSocket { id: request.params.get("id").map(|id| format!("user_socket:{id}")) })
    }

    fn id(&self) -> Option<String> {
        self.id.clone()
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        common(router);
    }
}

pub(crate) struct AuthSocket {
    user: String,
}

impl Socket for AuthSocket {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        let user = request.verify(SALT, request.param("token")?, Token::ONE_DAY)?;
        Ok(AuthSocket { user })
    }

    fn id(&self) -> Option<String> {
        Some(format!("auth_socket:{}", self.user))
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        common(router);
        router.channel::<User>("user:*");
    }
}

impl Authenticated for AuthSocket {
    fn user(&self) -> &str {
        &self.user
    }
}

pub(crate) struct AuthTokenSocket {
    user: String,
}

impl Socket for AuthTokenSocket {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        let user = request.verify(SALT, request.auth_token()?, Token::ONE_DAY)?;
        Ok(AuthTokenSocket { user })
    }

    fn id(&self) -> Option<String> {
        Some(format!("auth_token_socket:{}", self.user))
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        common(router);
        router.channel::<User>("user:*");
    }
}

impl Authenticated for AuthTokenSocket {
    fn user(&self) -> &str {
        &self.user
    }
}

pub(crate) struct RefusingSocket;

impl Socket for RefusingSocket {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        match request.params.get("plain") {
            Some(_) => Err(Refusal::plain()),
            None => Err(Refusal::because("rate_limit")),
        }
    }

    fn channels(_: &mut ChannelRouter<Self>) {}
}

/// Refuses every connection finally.
pub(crate) struct StoppingSocket;

impl Socket for StoppingSocket {
    type State = ();

    async fn connect(_: Connect) -> Result<Self, Refusal> {
        Err(Refusal::stop("banned"))
    }

    fn channels(_: &mut ChannelRouter<Self>) {}
}

pub(crate) struct CrashingSocket;

impl Socket for CrashingSocket {
    type State = ();

    async fn connect(_: Connect) -> Result<Self, Refusal> {
        panic!("this socket's connect always panics")
    }

    fn channels(_: &mut ChannelRouter<Self>) {}
}
