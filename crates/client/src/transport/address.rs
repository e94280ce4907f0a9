//! The address of a server's mount: the parsed URL, and the request targets of the transports.

use crate::{ConnectError, ConnectParams};
use http::HeaderMap;
use std::fmt::Write;

/// A parsed URL of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// The scheme is `wss` or `https`.
    pub(crate) secure: bool,
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of the `Host` header: without the port when it is the scheme's default.
    pub(crate) authority: String,
    /// Without a trailing slash.
    path: String,
    /// The query of the URL itself.
    query: String,
    /// The headers that every request carries.
    pub(crate) headers: HeaderMap,
}

impl Address {
    /// Parses the URL of a mount.
    ///
    /// # Errors
    /// [`ConnectError::Url`].
    pub(crate) fn parse(url: &str) -> Result<Self, ConnectError> {
        let fail = |reason| ConnectError::Url { url: url.to_owned(), reason };
        let uri: http::Uri = url.parse().map_err(|_| fail("it is not a valid URI"))?;
        let (secure, default_port) = match uri.scheme_str() {
            Some("ws" | "http") => (false, 80),
            Some("wss" | "https") => (true, 443),
            Some(_) => return Err(fail("the scheme must be ws, wss, http or https")),
            None => return Err(fail("it must begin with ws://, wss://, http:// or https://")),
        };
        if secure && !cfg!(feature = "tls") {
            return Err(fail("TLS is not compiled in, enable the feature `tls` of bennu-client"));
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| fail("it has no host"))?;
        let port = uri.port_u16().unwrap_or(default_port);
        Ok(Address {
            secure,
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            authority: if port == default_port { host.to_owned() } else { format!("{host}:{port}") },
            path: uri.path().trim_end_matches('/').to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            headers: HeaderMap::new(),
        })
    }

    pub(crate) fn with_headers(self, headers: HeaderMap) -> Self {
        Address { headers, ..self }
    }

    /// Returns the target of a request that opens a connection: `/socket/websocket?vsn=2.0.0&...`.
    pub(crate) fn connect_target(&self, transport: &str, params: &ConnectParams) -> String {
        let mut target = self.target(transport);
        if !self.query.is_empty() {
            let _ = write!(target, "&{}", self.query);
        }
        for (key, value) in params.iter() {
            target.push('&');
            percent_encode(key, &mut target);
            target.push('=');
            percent_encode(value, &mut target);
        }
        target
    }

    /// Returns the target of a request within a long-poll session.
    pub(crate) fn session_target(&self, token: &str) -> String {
        let mut target = self.target("longpoll");
        target.push_str("&token=");
        percent_encode(token, &mut target);
        target
    }

    fn target(&self, transport: &str) -> String {
        format!("{}/{transport}?vsn=2.0.0", self.path)
    }
}

/// Percent-encodes all bytes but the unreserved characters of RFC 3986 §2.3.
fn percent_encode(text: &str, output: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => output.push(char::from(byte)),
            _ => {
                let _ = write!(output, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        Address::parse(url).unwrap()
    }

    #[test]
    fn a_mount_has_a_target_for_each_transport() {
        let params = ConnectParams::from([("token", "a+b c"), ("é", "&=")]);
        for url in ["ws://localhost:4000/socket", "http://localhost:4000/socket/"] {
            let target = address(url).connect_target("websocket", &params);
            assert_eq!(target, "/socket/websocket?vsn=2.0.0&token=a%2Bb%20c&%C3%A9=%26%3D");
            assert_eq!(address(url).session_target("x=="), "/socket/longpoll?vsn=2.0.0&token=x%3D%3D");
        }
        assert_eq!(
            address("ws://h/s?a=1").connect_target("longpoll", &ConnectParams::default()),
            "/s/longpoll?vsn=2.0.0&a=1"
        );
    }

    #[test]
    fn a_url_without_a_port_has_the_default_port_of_its_scheme() {
        let plain = address("ws://example.com/socket");
        assert_eq!((plain.port, plain.authority.as_str(), plain.secure), (80, "example.com", false));
        let chosen = address("ws://[::1]:4000/socket");
        assert_eq!((chosen.port, chosen.authority.as_str(), chosen.host.as_str()), (4000, "[::1]:4000", "::1"));
    }

    #[test]
    fn a_url_that_is_not_a_sockets_is_rejected_with_a_reason() {
        for (url, reason) in [
            ("localhost:4000/socket", "scheme"),
            ("/socket", "must begin with"),
            ("ftp://host/socket", "must be ws"),
            ("ws://", "not a valid URI"),
            ("ws://a b/", "not a valid URI"),
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.contains(reason) || error.contains("not a valid URI"), "{error}");
            assert!(error.starts_with(&format!("{url:?}")), "{error}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_secure_scheme_has_the_default_port_of_https() {
        let secure = address("wss://example.com/socket");
        assert_eq!((secure.port, secure.authority.as_str(), secure.secure), (443, "example.com", true));
    }
}
