//! The session of a visitor, and the cookie of the cart.
//!
//! [`begin`] runs before every page: it reads the session from its signed cookie, or makes one with a random cart id and
//! CSRF token. Handlers take the [`Session`] as an argument, forms check its CSRF token, and the sockets read its cart id.
//! The login of the owner is part of the session.

use super::problem::Problem;
use crate::checkout::{Cart, CartId, Carts};
use crate::database::now_ms;
use crate::socket::{ADMIN_MAX_AGE, ADMIN_UNTIL, CART_ID, LOGIN, login_of};
use crate::store::Store;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bennu::{CSRF_PARAM, SessionCookie, SessionMap};

/// The cookie of the cart, which scripts read and write too, and its age in seconds.
const CART_COOKIE: &str = "cart";
const CART_MAX_AGE_S: u64 = 7 * 86_400;

/// The session of the visitor.
#[derive(Debug, Clone)]
pub(super) struct Session {
    map: SessionMap,
    cart_id: CartId,
    csrf_token: String,
}

/// Gives each request its session, and the browser the cookie of a new one.
pub(super) async fn begin(State(store): State<Store>, mut request: Request, next: Next) -> Result<Response, Problem> {
    let known = store.session.read(store.endpoint.secret(), request.headers()).and_then(Session::read);
    let Some(session) = known else {
        let session = Session::random().map_err(|error| Problem::internal(&error))?;
        let set_cookie = session.set_cookie(&store)?;
        request.extensions_mut().insert(session);
        let mut response = next.run(request).await;
        response.headers_mut().append(header::SET_COOKIE, set_cookie);
        return Ok(response);
    };
    request.extensions_mut().insert(session);
    Ok(next.run(request).await)
}

impl FromRequestParts<Store> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Store) -> Result<Self, Problem> {
        let session = parts.extensions.get().cloned();
        session.ok_or_else(|| Problem::internal(&"a route without a session takes one as its argument"))
    }
}

impl Session {
    fn random() -> Result<Self, getrandom::Error> {
        let cart_id = CartId::random()?;
        let mut map = SessionMap::new();
        map.insert(CART_ID.to_owned(), cart_id.as_str().into());
        let csrf_token = SessionCookie::csrf_token(&mut map)?;
        Ok(Session { map, cart_id, csrf_token })
    }

    /// Returns the session of a cookie; `None` when it is not one of this version of the store.
    fn read(map: SessionMap) -> Option<Self> {
        let cart_id = CartId::parse(map.get(CART_ID)?.as_str()?)?;
        let csrf_token = map.get(CSRF_PARAM)?.as_str()?.to_owned();
        Some(Session { map, cart_id, csrf_token })
    }

    pub(super) fn cart_id(&self) -> &CartId {
        &self.cart_id
    }

    pub(super) fn csrf_token(&self) -> &str {
        &self.csrf_token
    }

    /// Returns whether a token is that of this session.
    pub(super) fn accepts(&self, csrf_token: &str) -> bool {
        SessionCookie::accepts(&self.map, csrf_token)
    }

    /// Returns the id of the owner's login, if there is one that has not ended.
    pub(super) fn login(&self) -> Option<&str> {
        login_of(&self.map)
    }

    /// Returns this session with a login of the owner. Its CSRF token is a new one, so that a token from before is of no
    /// use.
    pub(super) fn logged_in(mut self) -> Result<Self, getrandom::Error> {
        let mut id = [0; 18];
        getrandom::fill(&mut id)?;
        let until = now_ms().saturating_add_unsigned(ADMIN_MAX_AGE.as_millis() as u64);
        self.map.insert(LOGIN.to_owned(), URL_SAFE_NO_PAD.encode(id).into());
        self.map.insert(ADMIN_UNTIL.to_owned(), until.into());
        self.with_new_csrf_token()
    }

    /// Returns this session without the owner's login.
    pub(super) fn logged_out(mut self) -> Result<Self, getrandom::Error> {
        self.map.remove(LOGIN);
        self.map.remove(ADMIN_UNTIL);
        self.with_new_csrf_token()
    }

    fn with_new_csrf_token(mut self) -> Result<Self, getrandom::Error> {
        self.map.remove(CSRF_PARAM);
        self.csrf_token = SessionCookie::csrf_token(&mut self.map)?;
        Ok(self)
    }

    /// Returns the header `Set-Cookie` of this session.
    pub(super) fn set_cookie(&self, store: &Store) -> Result<HeaderValue, Problem> {
        store.session.header(store.endpoint.secret(), &self.map).map_err(|error| Problem::internal(&error))
    }
}

/// Returns the cart in the cookie of a request; an empty one without a valid cookie.
pub(super) fn cart_of(carts: &Carts, headers: &HeaderMap) -> Cart {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    carts.restore(pairs.find(|(name, _)| *name == CART_COOKIE).map(|(_, serialized)| serialized))
}

/// Returns the header `Set-Cookie` of a cart.
pub(super) fn set_cart_cookie(carts: &Carts, cart: &Cart) -> [(header::HeaderName, HeaderValue); 1] {
    let text = format!("{CART_COOKIE}={}; Path=/; Max-Age={CART_MAX_AGE_S}; SameSite=Lax", carts.serialize(cart));
    [(header::SET_COOKIE, HeaderValue::try_from(text).expect("a signed text has only characters of base64 and dots"))]
}
