//! The session of the page in the socket: a signed cookie, readable only by clients that know its CSRF token.
//!
//! Browsers send cookies with every WebSocket handshake, whichever page started it. So the cookie alone proves nothing:
//! the page's own script must repeat the session's CSRF token as the parameter `_csrf_token`, which other sites cannot
//! read. Source: `Phoenix.Socket.Transport.connect_info/3`.

use axum::http::{HeaderMap, HeaderValue, header};
use bennu_channels::token::{MaxAge, Secret, Token, TokenError};
use serde_json::{Map, Value};

/// The parameter in which a client repeats the token.
pub const CSRF_PARAM: &str = "_csrf_token";

/// A session: what the application stores in the cookie.
pub type SessionMap = Map<String, Value>;

/// The cookie that carries the session.
///
/// ```
/// # use bennu::{SessionCookie, token::Secret};
/// # let secret = Secret::new("a secret of at least twenty bytes")?;
/// let cookie = SessionCookie::new("_app_key", "signing salt");
/// let mut session = serde_json::Map::new();
/// session.insert("user_id".into(), 7.into());
/// let csrf_token = SessionCookie::csrf_token(&mut session)?;     // goes into the page
/// let set_cookie = cookie.header(&secret, &session)?;             // goes into the response
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SessionCookie {
    name: String,
    salt: String,
}

impl SessionCookie {
    /// A cookie by that name, signed with that salt.
    pub fn new(name: impl Into<String>, salt: impl Into<String>) -> Self {
        SessionCookie { name: name.into(), salt: salt.into() }
    }

    /// The session's CSRF token; makes one first if it has none.
    ///
    /// # Errors
    /// When the system gives no random bytes.
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

    /// The `Set-Cookie` value for a session: signed, `HttpOnly`, `SameSite=Lax`, for the whole site.
    ///
    /// # Errors
    /// [`TokenError`] when the session is too large to be signed.
    pub fn header(&self, secret: &Secret, session: &SessionMap) -> Result<HeaderValue, TokenError> {
        let signed = Token::new(secret, &self.salt).no_expiry().sign(session)?;
        let text = format!("{}={signed}; Path=/; HttpOnly; SameSite=Lax", self.name);
        HeaderValue::from_str(&text).map_err(|_| TokenError::Invalid)
    }

    /// The session of a request, without the guard: for ordinary pages.
    pub fn read(&self, secret: &Secret, headers: &HeaderMap) -> Option<SessionMap> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let (_, signed) = pairs.find(|(name, _)| *name == self.name)?;
        Token::new(secret, &self.salt).verify_within(signed, MaxAge::Infinity).ok()
    }

    /// The session of a request whose CSRF token is the session's own.
    pub(crate) fn read_guarded(&self, secret: &Secret, headers: &HeaderMap, csrf: Option<&str>) -> Option<SessionMap> {
        let session = self.read(secret, headers)?;
        let expected = session.get(CSRF_PARAM)?.as_str()?;
        same(expected.as_bytes(), csrf?.as_bytes()).then_some(session)
    }
}

/// Compares in a time that does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
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
        assert_eq!(SessionCookie::csrf_token(&mut session).unwrap(), token, "it stays the same");
        let headers = request(&cookie, &secret, &session);
        assert_eq!(cookie.read_guarded(&secret, &headers, Some(&token)), Some(session.clone()));
        assert_eq!(cookie.read_guarded(&secret, &headers, Some("guessed")), None);
        assert_eq!(cookie.read_guarded(&secret, &headers, None), None);
        let other = Secret::new("another secret of twenty bytes").unwrap();
        assert_eq!(cookie.read_guarded(&other, &headers, Some(&token)), None, "signed by someone else");
    }
}
