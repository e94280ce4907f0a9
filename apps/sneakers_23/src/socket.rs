//! The two sockets: `/product_socket` for shoppers, `/admin_socket` for the owner.

use crate::channel::{AdminStoreChannel, CartChannel, CartTrackerChannel, ProductChannel};
use crate::checkout::CartId;
use crate::store::{PRODUCT_SOCKETS, Store};
use app_service::web::SignedIn;
use bennu::SessionMap;
use bennu::prelude::*;
use serde::{Deserialize, Serialize};

/// The session's key of the shopper's cart id.
pub const CART_ID: &str = "cart_id";

/// `/product_socket`, for everybody. The session of the page decides which cart its client may join.
pub struct ProductSocket {
    /// The cart of the session; `None` for a client without a page's session.
    pub cart_id: Option<CartId>,
}

impl Socket for ProductSocket {
    type State = Store;

    async fn connect(request: Connect<Store>) -> Result<Self, Refusal> {
        Ok(ProductSocket { cart_id: request.info.session.as_ref().and_then(cart_id_of) })
    }

    fn id(&self) -> Option<String> {
        Some(PRODUCT_SOCKETS.to_owned())
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<ProductChannel>("product:{id}").channel::<CartChannel>("cart:{id}");
    }
}

/// Returns the cart id of a session, if it has one.
pub(crate) fn cart_id_of(session: &SessionMap) -> Option<CartId> {
    CartId::parse(session.get(CART_ID)?.as_str()?)
}

/// The owner, who signs in with the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner;

/// `/admin_socket`, for the owner.
pub struct AdminSocket(SignedIn<Owner>);

impl Socket for AdminSocket {
    type State = Store;

    async fn connect(request: Connect<Store>) -> Result<Self, Refusal> {
        SignedIn::connect(&request).map(AdminSocket)
    }

    fn id(&self) -> Option<String> {
        Some(self.0.socket_id())
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<CartTrackerChannel>("admin:cart_tracker").channel::<AdminStoreChannel>("admin:store");
    }
}
