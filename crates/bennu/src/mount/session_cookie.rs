//! The session of a page, which a socket reads from a signed cookie if the client also sends the session's CSRF token.
//!
//! The application writes the cookie with its pages; [`super::mounted_socket`] reads it before `connect`. A browser
//! sends cookies with every WebSocket handshake, even if the page of another site started it, so the cookie alone
//! proves nothing. The script of the application's own page must send the CSRF token in the parameter `_csrf_token`;
//! other sites cannot read that token. Source: `Phoenix.Socket.Transport.connect_info/3`.

use axum::http::{HeaderMap, HeaderValue, header};
use bennu_channels::token::{MaxAge, Secret, Token, TokenError};
use serde_json::{Map, Value};

/// The connection parameter in which a client sends the CSRF token of its session: `_csrf_token`, as in Phoenix. The
/// token has the same key in the session itself.
pub const CSRF_PARAM: &str = "_csrf_token";

/// A session: the JSON object that an application stores in a [`SessionCookie`].
pub type SessionMap = Map<String, Value>;

/// A signed cookie that carries the session of a page.
///
/// The handler of a page creates the session, and the socket reads it with [`Mount::session`](crate::Mount::session):
///
/// ```
/// use bennu::{CSRF_PARAM, SessionCookie, SessionMap};
///
/// # let secret = bennu::token::Secret::new("a secret of at least twenty bytes")?;
/// let cookie = SessionCookie::new("_app_key", "signing salt");
/// let mut session = SessionMap::new();
/// session.insert("user_id".into(), 7.into());
/// let csrf_token = SessionCookie::csrf_token(&mut session)?;     // goes into the page
/// let set_cookie = cookie.header(&secret, &session)?;            // the header `Set-Cookie` of the response
/// assert_eq!(session[CSRF_PARAM], csrf_token);
///
/// # let mut headers = axum::http::HeaderMap::new();
/// # headers.insert("cookie", set_cookie.to_str()?.split(';').next().unwrap().parse()?);
/// assert_eq!(cookie.read(&secret, &headers), Some(session));     // `headers` of the next request
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SessionCookie {
    name: String,
    salt: String,
}

impl SessionCookie {
    /// Creates a cookie of that name, signed with that salt.
    pub fn new(name: impl Into<String>, salt: impl Into<String>) -> Self {
        SessionCookie { name: name.into(), salt: salt.into() }
    }

    /// Returns the CSRF token of a session; creates it first if the session has none.
    ///
    /// # Errors
    /// [`getrandom::Error`] if the system cannot provide random bytes.
    pub fn csrf_token(session: &mut SessionMap) -> Result<String, getrandom::Error> {
        use base64::Engine;
        if let Some(Value::String(token)) = session.get(CSRF_PARAM) {
            return Ok(token.clone());
        }
        let mut bytes = [0; 18];
        getrandom::fill(&mut bytes)?;
        let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        session.insert(CSRF_PARAM.to_owned(), token.clone().into());
        Ok(token)
    }

    /// Returns the value of `Set-Cookie` for a session: signed, `HttpOnly`, `SameSite=Lax`, for the whole site.
    ///
    /// # Errors
    /// [`TokenError`] if the session is too large to be signed.
    pub fn header(&self, secret: &Secret, session: &SessionMap) -> Result<HeaderValue, TokenError> {
        let signed = Token::new(secret, &self.salt).no_expiry().sign(session)?;
        let text = format!("{}={signed}; Path=/; HttpOnly; SameSite=Lax", self.name);
        HeaderValue::from_str(&text).map_err(|_| TokenError::Invalid)
    }

    /// Returns the session in the cookie of a request, without a check of the CSRF token: for ordinary pages. `None` if
    /// the cookie is missing or its signature does not match.
    pub fn read(&self, secret: &Secret, headers: &HeaderMap) -> Option<SessionMap> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let (_, signed) = pairs.find(|(name, _)| *name == self.name)?;
        Token::new(secret, &self.salt).verify_within(signed, MaxAge::Infinity).ok()
    }

    /// Returns whether `csrf_token` is the CSRF token of a session, for the form of a page. The time does not depend on
    /// the position of a difference. A session without a token accepts none.
    pub fn accepts(session: &SessionMap, csrf_token: &str) -> bool {
        let own = session.get(CSRF_PARAM).and_then(Value::as_str);
        own.is_some_and(|own| equals_in_constant_time(own.as_bytes(), csrf_token.as_bytes()))
    }

    /// Returns the session of a request if `csrf` equals the CSRF token of the session.
    pub(crate) fn read_guarded(&self, secret: &Secret, headers: &HeaderMap, csrf: Option<&str>) -> Option<SessionMap> {
        self.read(secret, headers).filter(|session| csrf.is_some_and(|csrf| SessionCookie::accepts(session, csrf)))
    }
}

/// Compares two byte strings in a time that does not depend on the position of their first difference.
fn equals_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(cookie: &SessionCookie, secret: &Secret, session: &SessionMap) -> HeaderMap {
        let set = cookie.header(secret, session).unwrap();
        let sent = set.to_str().unwrap().split(';').next().unwrap().to_owned();
        [(header::COOKIE, HeaderValue::from_str(&format!("other=1; {sent}")).unwrap())].into_iter().collect()
    }

    #[test]
    fn a_session_is_read_only_with_its_own_csrf_token() {
        let secret = Secret::new("a secret of at least twenty bytes").unwrap();
        let cookie = SessionCookie::new("_app", "salt");
        let mut session = SessionMap::new();
        session.insert("user_id".to_owned(), 7.into());
        let token = SessionCookie::csrf_token(&mut session).unwrap();
        assert_eq!(SessionCookie::csrf_token(&mut session).unwrap(), token, "the token stays the same");
        let headers = request(&cookie, &secret, &session);
        assert_eq!(cookie.read_guarded(&secret, &headers, Some(&token)), Some(session.clone()));
        assert_eq!(cookie.read_guarded(&secret, &headers, Some("guessed")), None);
        assert_eq!(cookie.read_guarded(&secret, &headers, None), None);
        assert!(SessionCookie::accepts(&session, &token) && !SessionCookie::accepts(&session, "guessed"));
        assert!(!SessionCookie::accepts(&SessionMap::new(), ""), "a session without a token accepts none");
        let other = Secret::new("another secret of twenty bytes").unwrap();
        assert_eq!(cookie.read_guarded(&other, &headers, Some(&token)), None, "signed with another secret");
    }
}
