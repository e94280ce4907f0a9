//! The visitor of a page: a session in a signed cookie, and the CSRF token of its forms.
//!
//! [`begin`] runs before every page. A handler that changes the session returns the changed [`Visitor`] as a part of its
//! response, which sets the cookie.

use super::problem::Problem;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponseParts, Response, ResponseParts};
use bennu::token::Secret;
use bennu::{CSRF_PARAM, SessionCookie, SessionMap};
use serde_json::Value;
use std::convert::Infallible;

/// A visitor, with the session of its browser. A handler takes it as an argument, and returns it to change the session:
///
/// ```
/// use app_service::web::Visitor;
/// use axum::response::{IntoResponse, Redirect};
///
/// async fn choose_blue(visitor: Visitor) -> impl IntoResponse {
///     (visitor.with("colour", "blue"), Redirect::to("/"))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Visitor {
    session: SessionMap,
    csrf_token: String,
}

impl Visitor {
    fn new() -> Result<Self, Problem> {
        Visitor { session: SessionMap::new(), csrf_token: String::new() }.renewed()
    }

    /// Returns the visitor of a session; `None` when the session has no CSRF token.
    fn read(session: SessionMap) -> Option<Self> {
        let csrf_token = session.get(CSRF_PARAM)?.as_str()?.to_owned();
        Some(Visitor { session, csrf_token })
    }

    /// Returns the session.
    pub fn session(&self) -> &SessionMap {
        &self.session
    }

    /// Returns the CSRF token, which each form sends in the field `_csrf_token`, and each socket as a parameter of that
    /// name.
    pub fn csrf_token(&self) -> &str {
        &self.csrf_token
    }

    /// Returns whether a form's CSRF token is that of this session.
    pub fn accepts(&self, csrf_token: &str) -> bool {
        SessionCookie::accepts(&self.session, csrf_token)
    }

    /// Returns the visitor with another value in its session.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.session.insert(key.to_owned(), value.into());
        self
    }

    /// Returns the visitor without a value of its session.
    pub fn without(mut self, key: &str) -> Self {
        self.session.remove(key);
        self
    }

    /// Returns the visitor with a new CSRF token, so that a token from before a change of user is of no use.
    pub(super) fn renewed(mut self) -> Result<Self, Problem> {
        self.session.remove(CSRF_PARAM);
        self.csrf_token = SessionCookie::csrf_token(&mut self.session).map_err(|error| Problem::internal(&error))?;
        Ok(self)
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let visitor = parts.extensions.get().cloned();
        visitor.ok_or_else(|| Problem::internal(&"a route outside of `web::pages` takes a visitor as its argument"))
    }
}

impl IntoResponseParts for Visitor {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Infallible> {
        response.extensions_mut().insert(self);
        Ok(response)
    }
}

/// The cookie in which browsers keep the sessions, and its secret.
#[derive(Debug, Clone)]
pub struct Visitors {
    cookie: SessionCookie,
    secret: Secret,
}

impl Visitors {
    /// Creates the visitors of a cookie, which the secret of the endpoint signs.
    pub fn new(cookie: SessionCookie, secret: Secret) -> Self {
        Visitors { cookie, secret }
    }
}

/// Gives each request its visitor, and the browser the cookie of a session that is new or was changed.
pub(super) async fn begin(
    State(visitors): State<Visitors>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let known = visitors.cookie.read(&visitors.secret, request.headers()).and_then(Visitor::read);
    let (visitor, is_new) = match known {
        Some(visitor) => (visitor, false),
        None => (Visitor::new()?, true),
    };
    request.extensions_mut().insert(visitor.clone());
    let mut response = next.run(request).await;
    let changed = response.extensions_mut().remove::<Visitor>();
    if let Some(visitor) = changed.or(is_new.then_some(visitor)) {
        let cookie = visitors.cookie.header(&visitors.secret, &visitor.session);
        response.headers_mut().append(header::SET_COOKIE, cookie.map_err(|error| Problem::internal(&error))?);
    }
    Ok(response)
}
