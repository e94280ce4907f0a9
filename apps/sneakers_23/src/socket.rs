//! The two sockets: `/product_socket` for shoppers, `/admin_socket` for the owner.

use crate::channel::{AdminStoreChannel, CartChannel, CartTrackerChannel, ProductChannel};
use crate::checkout::CartId;
use crate::database::now_ms;
use crate::store::{PRODUCT_SOCKETS, Store};
use bennu::SessionMap;
use bennu::prelude::*;
use std::time::Duration;

/// The session's key of the shopper's cart id.
pub const CART_ID: &str = "cart_id";

/// The session's keys of the owner's login: its id, and the time at which it ends in milliseconds since 1970.
pub const LOGIN: &str = "admin_login";
/// See [`LOGIN`].
pub const ADMIN_UNTIL: &str = "admin_until";

/// The purpose of the token for `/admin_socket`, whose value is the id of the owner's login.
pub const ADMIN_SALT: &str = "sneakers_23 admin socket";

/// The age at which the owner's login ends.
pub const ADMIN_MAX_AGE: Duration = Duration::from_secs(12 * 3600);

/// `/product_socket`, for everybody. The session of the page decides which cart its client may join.
pub struct ProductSocket {
    /// The cart of the session; `None` for a client without a page's session.
    pub cart_id: Option<CartId>,
}

impl Socket for ProductSocket {
    type State = Store;

    async fn connect(request: Connect<Store>) -> Result<Self, Refusal> {
        let session = request.info.session.as_ref();
        let cart_id = session.and_then(|session| CartId::parse(session.get(CART_ID)?.as_str()?));
        Ok(ProductSocket { cart_id })
    }

    fn id(&self) -> Option<String> {
        Some(PRODUCT_SOCKETS.to_owned())
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<ProductChannel>("product:{id}").channel::<CartChannel>("cart:{id}");
    }
}

/// Returns the id of the owner's login in a session, if there is one that has not ended.
pub fn login_of(session: &SessionMap) -> Option<&str> {
    let until = session.get(ADMIN_UNTIL)?.as_i64()?;
    session.get(LOGIN)?.as_str().filter(|_| now_ms() < until)
}

/// `/admin_socket`, for the owner.
pub struct AdminSocket {
    login: String,
}

impl AdminSocket {
    /// Returns the socket id of a login, with which a logout closes its connections.
    pub fn id_of(login: &str) -> String {
        format!("admin_socket:{login}")
    }
}

impl Socket for AdminSocket {
    type State = Store;

    async fn connect(request: Connect<Store>) -> Result<Self, Refusal> {
        let login: String = request.verify(ADMIN_SALT, request.param("token")?, ADMIN_MAX_AGE)?;
        // A page that stays open after a logout keeps its token, and connects again. Its session has no login any more.
        match request.info.session.as_ref().and_then(login_of) {
            Some(current) if current == login => Ok(AdminSocket { login }),
            _ => Err(Refusal::because("the session has another login or none")),
        }
    }

    fn id(&self) -> Option<String> {
        Some(AdminSocket::id_of(&self.login))
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<CartTrackerChannel>("admin:cart_tracker").channel::<AdminStoreChannel>("admin:store");
    }
}
