//! The origin check: compares the `Origin` header of a browser with the origins that a mount allows.
//!
//! [`super::mounted_socket`] calls [`CheckOrigin::allows`] for each request of both transports. A request without the
//! header does not come from a page and passes.

use http::{HeaderMap, Uri, header};
use std::fmt;
use std::sync::Arc;

/// The origins that a mount accepts. Default [`CheckOrigin::same_host`]. A request without the header `Origin` comes
/// from a client that is not a browser, and passes every check.
///
/// ```
/// use bennu::CheckOrigin;
///
/// let same_host = CheckOrigin::same_host();
/// let listed = CheckOrigin::list(["https://example.com", "//*.example.org", "http://localhost:4000"])?;
/// let computed = CheckOrigin::function(|origin| origin.host().is_some_and(|host| host.ends_with(".example.net")));
/// let public = CheckOrigin::any();
/// # Ok::<(), bennu::error::OriginError>(())
/// ```
#[derive(Clone)]
pub struct CheckOrigin(Check);

#[derive(Clone)]
enum Check {
    SameHost,
    Any,
    List(Arc<[Allowed]>),
    Function(Arc<dyn Fn(&Uri) -> bool + Send + Sync>),
}

/// One entry of a list: `//example.com`, `https://example.com:8443`, `//*.example.com`.
struct Allowed {
    scheme: Option<String>,
    host: String,
    port: Option<u16>,
}

/// The error of a [`CheckOrigin::list`] entry that is not an origin.
///
/// ```
/// let error = bennu::CheckOrigin::list(["example.com"]).unwrap_err();
/// assert!(error.to_string().starts_with("check_origin entry \"example.com\" is not an origin"));
/// ```
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("check_origin entry {0:?} is not an origin; write \"//host\", \"scheme://host\" or \"scheme://host:port\"")]
pub struct OriginError(String);

impl CheckOrigin {
    /// Accepts an origin whose host equals the host in the request's `Host` header.
    pub fn same_host() -> Self {
        CheckOrigin(Check::SameHost)
    }

    /// Accepts every origin: for public sockets, and for sockets whose every client sends a token.
    pub fn any() -> Self {
        CheckOrigin(Check::Any)
    }

    /// Accepts the listed origins. `//example.com` matches any scheme and port, `//*.example.com` matches that host and
    /// all its subdomains, `https://example.com` and `https://example.com:8443` match only themselves. Letter case in
    /// an entry makes no difference.
    ///
    /// # Errors
    /// [`OriginError`] with the first entry that is not an origin.
    pub fn list<E: AsRef<str>>(entries: impl IntoIterator<Item = E>) -> Result<Self, OriginError> {
        let allowed: Result<Vec<_>, _> = entries.into_iter().map(|entry| Allowed::parse(entry.as_ref())).collect();
        Ok(CheckOrigin(Check::List(allowed?.into())))
    }

    /// Accepts an origin if the function returns `true` for it.
    pub fn function(check: impl Fn(&Uri) -> bool + Send + Sync + 'static) -> Self {
        CheckOrigin(Check::Function(Arc::new(check)))
    }

    /// Returns whether a request may connect. An origin that is not a URI with a host (`null`, `file://`) passes only
    /// [`CheckOrigin::any`].
    pub(crate) fn allows(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        if let Check::Any = self.0 {
            return true;
        }
        let Some(origin) = origin.to_str().ok().and_then(|text| text.parse::<Uri>().ok()) else { return false };
        let (Some(scheme), Some(host)) = (origin.scheme_str(), origin.host()) else { return false };
        match &self.0 {
            Check::Any => true,
            Check::SameHost => own_host(headers).is_some_and(|own| own.eq_ignore_ascii_case(host)),
            Check::List(list) => list.iter().any(|allowed| allowed.matches(scheme, host, origin.port_u16())),
            Check::Function(check) => check(&origin),
        }
    }
}

impl Default for CheckOrigin {
    fn default() -> Self {
        CheckOrigin::same_host()
    }
}

impl From<bool> for CheckOrigin {
    /// Converts Phoenix's `check_origin: true` and `check_origin: false`.
    fn from(check: bool) -> Self {
        if check { CheckOrigin::same_host() } else { CheckOrigin::any() }
    }
}

/// Returns the host in the request's `Host` header.
fn own_host(headers: &HeaderMap) -> Option<String> {
    let authority: http::uri::Authority = headers.get(header::HOST)?.to_str().ok()?.parse().ok()?;
    Some(authority.host().to_owned())
}

impl Allowed {
    fn parse(entry: &str) -> Result<Self, OriginError> {
        let fail = || OriginError(entry.to_owned());
        let (scheme, rest) = entry.split_once("//").ok_or_else(fail)?;
        let scheme = match scheme {
            "" => None,
            _ => Some(scheme.strip_suffix(':').ok_or_else(fail)?.to_ascii_lowercase()),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().map_err(|_| fail())?)),
            _ => (rest, None),
        };
        if host.is_empty() || host.contains(['/', '?', '#']) {
            return Err(fail());
        }
        Ok(Allowed { scheme, host: host.to_ascii_lowercase(), port })
    }

    fn matches(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let default = |scheme: &str| match scheme {
            "https" | "wss" => Some(443),
            "http" | "ws" => Some(80),
            _ => None,
        };
        let scheme_matches = self.scheme.as_deref().is_none_or(|allowed| allowed == scheme);
        let port_matches = match (self.port, &self.scheme) {
            (Some(allowed), _) => port.or_else(|| default(scheme)) == Some(allowed),
            (None, Some(allowed)) => port.is_none() || port == default(allowed),
            (None, None) => true,
        };
        let host_matches = match self.host.strip_prefix("*.") {
            Some(parent) => host == parent || host.strip_suffix(parent).is_some_and(|below| below.ends_with('.')),
            None => host == self.host,
        };
        scheme_matches && port_matches && host_matches
    }
}

/// Formats the error as [`Display`](fmt::Display) does, because `main` prints its error with `Debug`.
impl fmt::Debug for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for CheckOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Check::SameHost => "CheckOrigin::same_host",
            Check::Any => "CheckOrigin::any",
            Check::List(_) => "CheckOrigin::list",
            Check::Function(_) => "CheckOrigin::function",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(check: &CheckOrigin, origin: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "app.test:4000".parse().unwrap());
        headers.insert(header::ORIGIN, origin.parse().unwrap());
        check.allows(&headers)
    }

    #[test]
    fn a_request_without_an_origin_passes() {
        assert!(CheckOrigin::list(["//example.com"]).unwrap().allows(&HeaderMap::new()));
    }

    #[test]
    fn by_default_the_host_of_the_origin_must_equal_the_host_of_the_request() {
        let check = CheckOrigin::default();
        assert!(allows(&check, "http://app.test:4000") && allows(&check, "https://app.test"));
        for other in ["http://evil.test", "http://app.test.evil.test", "null", "file://", ""] {
            assert!(!allows(&check, other), "{other:?}");
        }
    }

    #[test]
    fn a_list_entry_compares_scheme_and_port_only_if_it_has_them() {
        let check = CheckOrigin::list(["//a.test", "https://b.test", "http://c.test:8080", "//*.d.test"]).unwrap();
        for good in [
            "http://a.test",
            "https://a.test:8443",
            "https://b.test",
            "https://b.test:443",
            "http://c.test:8080",
            "http://d.test",
            "http://x.d.test",
            "http://y.x.d.test:1",
        ] {
            assert!(allows(&check, good), "{good}");
        }
        for bad in
            ["http://b.test", "https://b.test:444", "http://c.test", "http://xd.test", "http://sub.a.test", "null"]
        {
            assert!(!allows(&check, bad), "{bad}");
        }
    }

    #[test]
    fn a_list_entry_may_contain_capitals_but_an_origin_may_not() {
        let check = CheckOrigin::list(["HTTPS://App.Test", "//*.Wild.test"]).unwrap();
        assert!(allows(&check, "https://app.test") && allows(&check, "http://a.wild.test"));
        assert!(!allows(&check, "https://APP.test"), "refused by Phoenix too");
    }

    #[test]
    fn an_error_contains_the_entry_that_is_not_an_origin() {
        for entry in ["example.com", "//", "https//x", "//x:port"] {
            assert_eq!(CheckOrigin::list([entry]).unwrap_err(), OriginError(entry.to_owned()));
        }
    }

    #[test]
    fn a_function_receives_the_origin() {
        let check = CheckOrigin::function(|origin| origin.port_u16() == Some(7));
        assert!(allows(&check, "http://x.test:7") && !allows(&check, "http://x.test:8"));
    }
}
