//! Where a client connects to: the mount's URL, and the request targets that come of it.

use crate::{ConnectError, Params};
use std::fmt::Write;

/// A parsed URL of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// `wss` or `https`.
    pub(crate) secure: bool,
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// For the `Host` header: with a port unless it is the scheme's own.
    pub(crate) authority: String,
    /// Without a slash at its end.
    path: String,
    /// Params that stand in the URL itself.
    query: String,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, ConnectError> {
        let fail = |reason| ConnectError::Url { url: url.to_owned(), reason };
        let uri: http::Uri = url.parse().map_err(|_| fail("it cannot be read"))?;
        let (secure, default_port) = match uri.scheme_str() {
            Some("ws" | "http") => (false, 80),
            Some("wss" | "https") => (true, 443),
            Some(_) => return Err(fail("the scheme must be ws, wss, http or https")),
            None => return Err(fail("it must begin with ws://, wss://, http:// or https://")),
        };
        if secure && !cfg!(feature = "tls") {
            return Err(fail("TLS is not built in: the feature `tls` of bennu-client"));
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| fail("it names no host"))?;
        let port = uri.port_u16().unwrap_or(default_port);
        Ok(Address {
            secure,
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            authority: if port == default_port { host.to_owned() } else { format!("{host}:{port}") },
            path: uri.path().trim_end_matches('/').to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
        })
    }

    /// The target of a request that opens a connection: `/socket/websocket?vsn=2.0.0&...`.
    pub(crate) fn open(&self, transport: &str, params: &Params) -> String {
        let mut target = self.target(transport);
        if !self.query.is_empty() {
            let _ = write!(target, "&{}", self.query);
        }
        for (key, value) in params.iter() {
            target.push('&');
            encode(key, &mut target);
            target.push('=');
            encode(value, &mut target);
        }
        target
    }

    /// The target of a request within a long-poll session.
    pub(crate) fn resume(&self, token: &str) -> String {
        let mut target = self.target("longpoll");
        target.push_str("&token=");
        encode(token, &mut target);
        target
    }

    fn target(&self, transport: &str) -> String {
        format!("{}/{transport}?vsn=2.0.0", self.path)
    }
}

/// Percent-encodes what may not stand in a query for itself (RFC 3986 §2.3).
fn encode(text: &str, output: &mut String) {
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
        let params = Params::from([("token", "a+b c"), ("é", "&=")]);
        for url in ["ws://localhost:4000/socket", "http://localhost:4000/socket/"] {
            let target = address(url).open("websocket", &params);
            assert_eq!(target, "/socket/websocket?vsn=2.0.0&token=a%2Bb%20c&%C3%A9=%26%3D");
            assert_eq!(address(url).resume("x=="), "/socket/longpoll?vsn=2.0.0&token=x%3D%3D");
        }
        assert_eq!(address("ws://h/s?a=1").open("longpoll", &Params::default()), "/s/longpoll?vsn=2.0.0&a=1");
    }

    #[test]
    fn the_port_is_the_schemes_own_unless_it_is_said() {
        let plain = address("ws://example.com/socket");
        assert_eq!((plain.port, plain.authority.as_str(), plain.secure), (80, "example.com", false));
        let chosen = address("ws://[::1]:4000/socket");
        assert_eq!((chosen.port, chosen.authority.as_str(), chosen.host.as_str()), (4000, "[::1]:4000", "::1"));
    }

    #[test]
    fn what_is_no_url_of_a_socket_is_refused_with_a_reason() {
        for (url, reason) in [
            ("localhost:4000/socket", "scheme"),
            ("/socket", "must begin with"),
            ("ftp://host/socket", "must be ws"),
            ("ws://", "cannot be read"),
            ("ws://a b/", "cannot be read"),
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.contains(reason) || error.contains("cannot be read"), "{error}");
            assert!(error.starts_with(&format!("{url:?}")), "{error}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_secure_scheme_has_the_port_of_https() {
        let secure = address("wss://example.com/socket");
        assert_eq!((secure.port, secure.authority.as_str(), secure.secure), (443, "example.com", true));
    }
}
