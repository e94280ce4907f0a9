//! The two sockets: `/product_socket` for shoppers, `/admin_socket` for the owner.

use crate::channel::{AdminStoreChannel, CartChannel, CartTrackerChannel, ProductChannel};
use crate::checkout::CartId;
use crate::store::Store;
use bennu::prelude::*;
use std::time::Duration;

/// The session's key of the shopper's cart id.
pub const CART_ID: &str = "cart_id";

/// The purpose of the token for `/admin_socket`, whose value is the id of the owner's login.
pub const ADMIN_SALT: &str = "sneakers_23 admin socket";

/// The age at which the owner's login ends.
pub const ADMIN_MAX_AGE: Duration = Duration::from_secs(12 * 3600);

/// The socket id of all shoppers, with which all their connections are closed.
pub const PRODUCT_SOCKETS: &str = "product_socket";

/// `/product_socket`, for everybody. The session of the page decides which cart its client may join.
pub struct ProductSocket {
    /// The cart of the session; `None` for a client without a page's session.
    pub cart_id: Option<CartId>,
}

impl Socket for ProductSocket {
    type State = Store;

    async fn connect(request: Connect<Store>) -> Result<Self, Refusal> {
        let session = request.info.session.as_ref();
        let cart_id = session.and_then(|session| session.get(CART_ID)?.as_str()?.to_owned().try_into().ok());
        Ok(ProductSocket { cart_id })
    }

    fn id(&self) -> Option<String> {
        Some(PRODUCT_SOCKETS.to_owned())
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<ProductChannel>("product:{id}").channel::<CartChannel>("cart:{id}");
    }
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
        Ok(AdminSocket { login: request.verify(ADMIN_SALT, request.param("token")?, ADMIN_MAX_AGE)? })
    }

    fn id(&self) -> Option<String> {
        Some(AdminSocket::id_of(&self.login))
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<CartTrackerChannel>("admin:cart_tracker").channel::<AdminStoreChannel>("admin:store");
    }
}
