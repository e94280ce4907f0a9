//! Which pages may connect: the browser's `Origin` against what the mount allows. Pages are not the only clients: a
//! request without the header is no browser's and passes.

use http::{HeaderMap, Uri, header};
use std::fmt;
use std::sync::Arc;

/// Which origins a mount accepts. Default: [`CheckOrigin::same_host`].
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

/// An entry that is no origin.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("check_origin entry {0:?} is no origin: expected \"//host\", \"scheme://host\" or \"scheme://host:port\"")]
pub struct OriginError(String);

/// As [`Display`](std::fmt::Display): `main` prints the error that it returns with `Debug`.
impl std::fmt::Debug for OriginError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl CheckOrigin {
    /// The origin's host must be the one that the request names as its own.
    pub fn same_host() -> Self {
        CheckOrigin(Check::SameHost)
    }

    /// Any origin: for public sockets, and those whose every connection carries a token.
    pub fn any() -> Self {
        CheckOrigin(Check::Any)
    }

    /// One of these: `//example.com` for any scheme and port, `//*.example.com` for it and everything below it,
    /// `https://example.com` and `https://example.com:8443` for just that.
    ///
    /// # Errors
    /// [`OriginError`] names the entry that is no origin.
    pub fn list<E: AsRef<str>>(entries: impl IntoIterator<Item = E>) -> Result<Self, OriginError> {
        let allowed: Result<Vec<_>, _> = entries.into_iter().map(|entry| Allowed::parse(entry.as_ref())).collect();
        Ok(CheckOrigin(Check::List(allowed?.into())))
    }

    /// Whatever the function says of the origin.
    pub fn function(check: impl Fn(&Uri) -> bool + Send + Sync + 'static) -> Self {
        CheckOrigin(Check::Function(Arc::new(check)))
    }

    /// Whether a request may connect. An origin that is no URI with a host (`null`, `file://`) passes only where any
    /// does.
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
    /// As Phoenix's `check_origin: true` and `false`.
    fn from(check: bool) -> Self {
        if check { CheckOrigin::same_host() } else { CheckOrigin::any() }
    }
}

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
    fn a_request_without_an_origin_is_no_page_and_passes() {
        assert!(CheckOrigin::list(["//example.com"]).unwrap().allows(&HeaderMap::new()));
    }

    #[test]
    fn by_default_the_origin_must_be_the_host_that_was_asked() {
        let check = CheckOrigin::default();
        assert!(allows(&check, "http://app.test:4000") && allows(&check, "https://app.test"));
        for other in ["http://evil.test", "http://app.test.evil.test", "null", "file://", ""] {
            assert!(!allows(&check, other), "{other:?}");
        }
    }

    #[test]
    fn a_list_compares_scheme_and_port_only_where_it_names_them() {
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
    fn a_list_may_be_written_with_capitals_but_browsers_send_none() {
        let check = CheckOrigin::list(["HTTPS://App.Test", "//*.Wild.test"]).unwrap();
        assert!(allows(&check, "https://app.test") && allows(&check, "http://a.wild.test"));
        assert!(!allows(&check, "https://APP.test"), "refused by Phoenix too");
    }

    #[test]
    fn an_entry_that_is_no_origin_is_named() {
        for entry in ["example.com", "//", "https//x", "//x:port"] {
            assert_eq!(CheckOrigin::list([entry]).unwrap_err(), OriginError(entry.to_owned()));
        }
    }

    #[test]
    fn a_function_sees_the_origin() {
        let check = CheckOrigin::function(|origin| origin.port_u16() == Some(7));
        assert!(allows(&check, "http://x.test:7") && !allows(&check, "http://x.test:8"));
    }
}
