//! Where a broker is, read from a URL. Pure.
//!
//! Invariant: a password is never in an error or in a debugging text.

use bennu_pubsub::ConnectError;
use std::fmt;

/// A URL's scheme that an engine knows.
#[derive(Debug, Clone, Copy)]
pub struct Scheme {
    /// For example `rediss`.
    pub name: &'static str,
    /// Whether it asks for TLS.
    pub secure: bool,
}

/// `scheme://[[user][:password]@]host[:port][/]`. User and password may be percent-encoded; an IPv6 address stands in
/// brackets.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Whether the connection must be TLS.
    pub secure: bool,
    /// The part before the colon of what precedes the `@`.
    pub user: Option<String>,
    /// The part behind it.
    pub password: Option<String>,
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port, or the engine's own.
    pub port: u16,
}

impl Address {
    /// Reads a URL for the adapter of that name.
    ///
    /// # Errors
    /// [`ConnectError::Address`] says what is wrong, without user and password.
    pub fn parse(
        adapter: &'static str,
        url: &str,
        schemes: &[Scheme],
        default_port: u16,
    ) -> Result<Address, ConnectError> {
        Address::read(url, schemes, default_port).map_err(|reason| {
            let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
            let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
            let address = if scheme.is_empty() { place.to_owned() } else { format!("{scheme}://{place}") };
            ConnectError::Address { adapter, address, reason }
        })
    }

    fn read(url: &str, schemes: &[Scheme], default_port: u16) -> Result<Address, String> {
        let names = || schemes.iter().map(|scheme| format!("{}://", scheme.name)).collect::<Vec<_>>().join(" or ");
        let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("it does not begin with {}", names()))?;
        let known = schemes.iter().find(|known| known.name.eq_ignore_ascii_case(scheme));
        let secure = known.ok_or_else(|| format!("it does not begin with {}", names()))?.secure;
        let (credentials, place) = match rest.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, rest),
        };
        let place = place.strip_suffix('/').unwrap_or(place);
        if let Some(at) = place.find(['/', '?', '#']) {
            return Err(format!("{:?} has no meaning here", &place[at..]));
        }
        let (user, password) = match credentials.map(|credentials| credentials.split_once(':')) {
            None => (None, None),
            Some(None) => (credentials.map(decode).transpose()?, None),
            Some(Some((user, password))) => (Some(decode(user)?), Some(decode(password)?)),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(bracketed) => {
                let (host, behind) = bracketed.split_once(']').ok_or("the bracket is never closed")?;
                match behind.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if behind.is_empty() => (host, None),
                    None => return Err(format!("{behind:?} is no port")),
                }
            }
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() {
            return Err("there is no host".to_owned());
        }
        let port = match port {
            Some(port) => port.parse().map_err(|_| format!("{port:?} is no port"))?,
            None => default_port,
        };
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Address { secure, user: given(user), password: given(password), host: host.to_owned(), port })
    }
}

fn decode(text: &str) -> Result<String, String> {
    let wrong = || "user or password are not percent-encoded text".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let [high, low, behind @ ..] = rest else { return Err(wrong()) };
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return Err(wrong()) };
        bytes.push((high * 16 + low) as u8);
        rest = behind;
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self}, secure: {}, user: {:?})", self.secure, self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, String> {
        let schemes = [Scheme { name: "redis", secure: false }, Scheme { name: "rediss", secure: true }];
        Address::parse("redis", url, &schemes, 6379).map_err(|error| error.to_string())
    }

    fn parts(url: &str) -> (bool, Option<String>, Option<String>, String, u16) {
        let Address { secure, user, password, host, port } = parse(url).unwrap();
        (secure, user, password, host, port)
    }

    #[test]
    fn a_url_says_where_and_as_whom() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(parts("redis://localhost"), (false, None, None, "localhost".into(), 6379));
        assert_eq!(parts("REDISS://h:1/"), (true, None, None, "h".into(), 1));
        assert_eq!(parts("redis://:s3@h"), (false, None, text("s3"), "h".into(), 6379));
        assert_eq!(parts("redis://u:p%40%3a@[::1]:7"), (false, text("u"), text("p@:"), "::1".into(), 7));
        assert_eq!(parts("redis://token@[fe80::2]"), (false, text("token"), None, "fe80::2".into(), 6379));
        assert_eq!(parse("redis://u:p@[::1]:7").unwrap().to_string(), "[::1]:7");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        let error = |url| parse(url).unwrap_err();
        let says = |what: &str, reason: &str| format!("{what:?} is no address for the redis adapter: {reason}");
        let schemes = "it does not begin with redis:// or rediss://";
        assert_eq!(error("http://u:secret@h"), says("http://h", schemes));
        assert_eq!(error("u:secret@h:1"), says("h:1", schemes));
        assert_eq!(error("redis://u:secret@"), says("redis://", "there is no host"));
        assert_eq!(error("redis://h:many"), says("redis://h:many", "\"many\" is no port"));
        assert_eq!(error("redis://h/3"), says("redis://h/3", "\"/3\" has no meaning here"));
        assert_eq!(error("redis://[::1"), says("redis://[::1", "the bracket is never closed"));
        assert_eq!(error("redis://:%zz@h"), says("redis://h", "user or password are not percent-encoded text"));
        assert!(!format!("{:?}", parse("redis://u:secret@h").unwrap()).contains("secret"));
    }
}
