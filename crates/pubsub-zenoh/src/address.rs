//! The addresses of one node, parsed from the text that the application gives. Pure.
//!
//! [`Zenoh::new`](crate::Zenoh::new) and the adapter's `connect` call it. [`Address`] of `bennu-pubsub-cluster` parses
//! each address; this module adds the options and refuses users and passwords.

use bennu_pubsub::ClusterError;
use bennu_pubsub_cluster::{Address, AddressOptions, Scheme, address_error};

/// The adapter's name in logs, metrics and errors.
pub(crate) const NAME: &str = "zenoh";

/// The port of an address without one: zenoh's own default.
const DEFAULT_PORT: u16 = 7447;

const SCHEMES: [Scheme; 1] = [Scheme { name: NAME, secure: false }];

/// The addresses of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// Where this node listens.
    pub(crate) listen: String,
    /// Nodes to which this node connects.
    pub(crate) connect: Vec<String>,
    /// Where other nodes reach this node; if empty, at the address where it listens.
    pub(crate) advertise: Vec<String>,
}

impl Addresses {
    /// Parses `zenoh://HOST:PORT[?connect=HOST:PORT,…][&advertise=HOST:PORT,…]`.
    pub(crate) fn parse(text: &str) -> Result<Addresses, ClusterError> {
        let (listen, options) = Address::parse_with_options(NAME, text, &SCHEMES, DEFAULT_PORT)?;
        let mut addresses = Addresses { listen: host_and_port(text, &listen)?, connect: vec![], advertise: vec![] };
        addresses.read_options(text, options)?;
        Ok(addresses)
    }

    fn read_options(&mut self, text: &str, options: AddressOptions) -> Result<(), ClusterError> {
        for (name, value) in options {
            let list = match name.as_str() {
                "connect" => &mut self.connect,
                "advertise" => &mut self.advertise,
                _ => {
                    // An address with a password may stand in the place of a name.
                    let name = name.rsplit('@').next().unwrap_or_default();
                    let reason = format!("{name:?} is not an option; the options are connect and advertise");
                    return Err(address_error(NAME, text, reason));
                }
            };
            if value.is_empty() {
                let reason = format!("{name} has no address; write {name}=HOST:PORT,HOST:PORT");
                return Err(address_error(NAME, text, reason));
            }
            for address in value.split(',') {
                list.push(parse_peer(address)?);
            }
        }
        Ok(())
    }
}

/// Parses the address of another node: `HOST:PORT`, or `zenoh://HOST:PORT`.
pub(crate) fn parse_peer(text: &str) -> Result<String, ClusterError> {
    let url = if text.contains("://") { text.to_owned() } else { format!("{NAME}://{text}") };
    host_and_port(&url, &Address::parse(NAME, &url, &SCHEMES, DEFAULT_PORT)?)
}

fn host_and_port(text: &str, address: &Address) -> Result<String, ClusterError> {
    if address.user.is_some() || address.password.is_some() {
        let reason = "nodes have neither users nor passwords; write zenoh://HOST:PORT".to_owned();
        return Err(address_error(NAME, text, reason));
    }
    Ok(address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(listen: &str, connect: &[&str], advertise: &[&str]) -> Addresses {
        let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Addresses { listen: listen.to_owned(), connect: owned(connect), advertise: owned(advertise) }
    }

    #[test]
    fn an_address_without_options_is_where_the_node_listens() {
        let parse = |text| Addresses::parse(text).unwrap();
        assert_eq!(parse("zenoh://127.0.0.1"), addresses("127.0.0.1:7447", &[], &[]));
        assert_eq!(parse("zenoh://0.0.0.0:0/"), addresses("0.0.0.0:0", &[], &[]));
        assert_eq!(parse("Zenoh://[::]?"), addresses("[::]:7447", &[], &[]));
    }

    #[test]
    fn options_are_lists_of_addresses_with_or_without_scheme_and_port() {
        let parse = |text| Addresses::parse(text).unwrap();
        assert_eq!(parse("zenoh://[::1]:1?connect=a:2,[::2]"), addresses("[::1]:1", &["a:2", "[::2]:7447"], &[]));
        let all = "zenoh://0.0.0.0:7447?advertise=shop-a:7447&connect=zenoh://shop-b:1";
        assert_eq!(parse(all), addresses("0.0.0.0:7447", &["shop-b:1"], &["shop-a:7447"]));
        let twice = "zenoh://h/?connect=a&&connect=b%3A2%2Cc";
        assert_eq!(parse(twice), addresses("h:7447", &["a:7447", "b:2", "c:7447"], &[]));
    }

    #[test]
    fn an_error_names_the_address_without_its_password_and_the_fix() {
        let error = |text| Addresses::parse(text).unwrap_err().to_string();
        let expected =
            |address: &str, reason: &str| format!("{address:?} is not an address of the zenoh adapter: {reason}");
        assert_eq!(error("nats://h:1"), expected("nats://h:1", "it does not begin with zenoh://"));
        let port = "the port is not a number up to 65535; write zenoh://HOST:PORT";
        assert_eq!(error("zenoh://h?connect=b:many"), expected("zenoh://b:many", port));
        assert_eq!(
            error("zenoh://h?connect="),
            expected("zenoh://h?connect=", "connect has no address; write connect=HOST:PORT,HOST:PORT")
        );
        assert_eq!(
            error("zenoh://h?seed=b"),
            expected("zenoh://h?seed=b", "\"seed\" is not an option; the options are connect and advertise")
        );
        let credentials = "nodes have neither users nor passwords; write zenoh://HOST:PORT";
        assert_eq!(error("zenoh://u:secret@h"), expected("zenoh://h", credentials));
        assert_eq!(error("zenoh://h?connect=u:secret@b"), expected("zenoh://b", credentials));
        assert_eq!(error("zenoh://h?connect=u:secret@b&seed=c"), expected("zenoh://b", credentials));
        let option = "\"b\" is not an option; the options are connect and advertise";
        assert_eq!(error("zenoh://h?u:secret@b"), expected("zenoh://b", option));
        let path = "a path has no meaning here; remove \"/3\"";
        assert_eq!(parse_peer("h/3").unwrap_err().to_string(), expected("zenoh://h/3", path));
        let options = "options have no meaning here; remove \"?connect=b\"";
        assert_eq!(parse_peer("h?connect=b").unwrap_err().to_string(), expected("zenoh://h?connect=b", options));
    }
}
