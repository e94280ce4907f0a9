//! Where a node listens, and where it looks for others, read from one text. Pure.

use bennu_pubsub::ConnectError;
use bennu_pubsub_cluster::{Address, Scheme};

/// The adapter's name in logs, metrics and errors.
pub(crate) const NAME: &str = "zenoh";

/// Where nodes listen when no port is given: zenoh's own.
const PORT: u16 = 7447;

/// What a node is told of places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// Where this node listens.
    pub(crate) listen: String,
    /// Nodes that it connects to.
    pub(crate) connect: Vec<String>,
    /// Where others find it; empty for where it listens.
    pub(crate) advertise: Vec<String>,
}

impl Places {
    /// Reads `zenoh://HOST:PORT[?connect=HOST:PORT,…][&advertise=HOST:PORT,…]`.
    pub(crate) fn parse(url: &str) -> Result<Places, ConnectError> {
        let (listen, query) = url.split_once('?').map_or((url, ""), |(listen, query)| (listen, query));
        let mut places = Places { listen: place(listen)?, connect: Vec::new(), advertise: Vec::new() };
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let list = match name {
                "connect" => &mut places.connect,
                "advertise" => &mut places.advertise,
                _ => return Err(wrong(url, format!("{name:?} is no option, these are: connect, advertise"))),
            };
            if value.is_empty() {
                return Err(wrong(url, format!("{name} names no address: {name}=HOST:PORT,HOST:PORT")));
            }
            for address in value.split(',') {
                list.push(peer(address)?);
            }
        }
        Ok(places)
    }
}

/// Reads the address of a node: `HOST:PORT`, or `zenoh://HOST:PORT`.
pub(crate) fn peer(address: &str) -> Result<String, ConnectError> {
    if address.contains("://") { place(address) } else { place(&format!("{NAME}://{address}")) }
}

fn place(url: &str) -> Result<String, ConnectError> {
    let address = Address::parse(NAME, url, &[Scheme { name: NAME, secure: false }], PORT)?;
    if address.user.is_some() || address.password.is_some() {
        return Err(wrong(&address.to_string(), "nodes have no users and passwords".to_owned()));
    }
    Ok(address.to_string())
}

fn wrong(address: &str, reason: String) -> ConnectError {
    ConnectError::Address { adapter: NAME, address: address.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_where_a_node_listens_and_where_others_are() {
        let parse = |url| Places::parse(url).unwrap();
        let places = |listen: &str, connect: &[&str], advertise: &[&str]| Places {
            listen: listen.to_owned(),
            connect: connect.iter().map(ToString::to_string).collect(),
            advertise: advertise.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(parse("zenoh://127.0.0.1"), places("127.0.0.1:7447", &[], &[]));
        assert_eq!(parse("zenoh://[::1]:1?connect=a:2,[::2]"), places("[::1]:1", &["a:2", "[::2]:7447"], &[]));
        let all = "zenoh://0.0.0.0:7447?advertise=shop-a:7447&connect=zenoh://shop-b:1";
        assert_eq!(parse(all), places("0.0.0.0:7447", &["shop-b:1"], &["shop-a:7447"]));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |url| Places::parse(url).unwrap_err().to_string();
        let says = |what: &str, reason: &str| format!("{what:?} is no address for the zenoh adapter: {reason}");
        assert_eq!(error("nats://h:1"), says("nats://h:1", "it does not begin with zenoh://"));
        assert_eq!(error("zenoh://h?connect=b:many"), says("zenoh://b:many", "\"many\" is no port"));
        assert_eq!(
            error("zenoh://h?connect="),
            says("zenoh://h?connect=", "connect names no address: connect=HOST:PORT,HOST:PORT")
        );
        assert_eq!(
            error("zenoh://h?seed=b"),
            says("zenoh://h?seed=b", "\"seed\" is no option, these are: connect, advertise")
        );
        assert_eq!(error("zenoh://u:secret@h"), says("h:7447", "nodes have no users and passwords"));
        assert_eq!(peer("h/3").unwrap_err().to_string(), says("zenoh://h/3", "\"/3\" has no meaning here"));
    }
}
