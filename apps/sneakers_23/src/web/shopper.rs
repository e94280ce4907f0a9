//! The shopper of a page: the id of the cart, which is in the session, and the cart, which has a cookie of its own.
//!
//! [`begin`] runs before every page, and gives a new visitor's session a random cart id. Handlers take a [`Shopper`] as an
//! argument. The sockets read the cart id from the same session.

use crate::checkout::{Cart, CartId, Carts};
use crate::socket::{CART_ID, cart_id_of};
use crate::store::Store;
use app_service::web::{Problem, Visitor};
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

/// The cookie of the cart, which scripts read and write too, and its age in seconds.
const CART_COOKIE: &str = "cart";
const CART_MAX_AGE_S: u64 = 7 * 86_400;

/// A visitor with a cart.
pub(super) struct Shopper {
    pub(super) cart_id: CartId,
    pub(super) cart: Cart,
    csrf_token: String,
}

/// The part of a shopper's page that does not depend on its content.
pub(super) struct Shell {
    pub(super) csrf_token: String,
    pub(super) cart_id: String,
    pub(super) cart_count: usize,
    /// The page's name in the presence of the shopper.
    pub(super) page: &'static str,
}

/// Gives the session of a visitor a cart id, unless it has one.
pub(super) async fn begin(visitor: Visitor, mut request: Request, next: Next) -> Result<Response, Problem> {
    if cart_id_of(visitor.session()).is_some() {
        return Ok(next.run(request).await);
    }
    let cart_id = CartId::random().map_err(|error| Problem::internal(&error))?;
    let visitor = visitor.with(CART_ID, cart_id.as_str());
    request.extensions_mut().insert(visitor.clone());
    let mut response = next.run(request).await;
    // A handler that changes the session has changed the one with the cart id.
    response.extensions_mut().get_or_insert(visitor);
    Ok(response)
}

impl FromRequestParts<Store> for Shopper {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, store: &Store) -> Result<Self, Problem> {
        let visitor = Visitor::from_request_parts(parts, store).await?;
        let cart_id = cart_id_of(visitor.session());
        let cart_id =
            cart_id.ok_or_else(|| Problem::internal(&"a page without a cart id takes a shopper as its argument"))?;
        Ok(Shopper {
            cart_id,
            cart: cart_of(&store.carts, &parts.headers),
            csrf_token: visitor.csrf_token().to_owned(),
        })
    }
}

impl Shopper {
    /// Returns the shell of a page of this shopper.
    pub(super) fn shell(&self, page: &'static str) -> Shell {
        Shell {
            csrf_token: self.csrf_token.clone(),
            cart_id: self.cart_id.as_str().to_owned(),
            cart_count: self.cart.items().len(),
            page,
        }
    }
}

/// Returns the cart in the cookie of a request; an empty one without a valid cookie.
fn cart_of(carts: &Carts, headers: &HeaderMap) -> Cart {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    carts.restore(pairs.find(|(name, _)| *name == CART_COOKIE).map(|(_, serialized)| serialized))
}

/// Returns the header `Set-Cookie` of a cart.
pub(super) fn set_cart_cookie(carts: &Carts, cart: &Cart) -> [(header::HeaderName, HeaderValue); 1] {
    let text = format!("{CART_COOKIE}={}; Path=/; Max-Age={CART_MAX_AGE_S}; SameSite=Lax", carts.serialize(cart));
    [(header::SET_COOKIE, HeaderValue::try_from(text).expect("a signed text has only characters of base64 and dots"))]
}
