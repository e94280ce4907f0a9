//! The key expressions of one cluster. Pure.
//!
//! `bennu/<cluster>/t/<topic>` carries the messages of a topic, `bennu/<cluster>/n/<node>` the messages to one node,
//! and `bennu/<cluster>/c` control messages. `bennu/<cluster>/l/<node>/<session>/<addresses>` is the liveliness token
//! of a node: Zenoh delivers it to the other nodes, and revokes it when the node leaves or is lost. Each name is one
//! [token](bennu_pubsub_cluster::token), so a topic can neither match another topic nor be a pattern.

use bennu_pubsub_cluster::Subject;
use bennu_pubsub_cluster::token::{self, Alphabet};

/// In a key expression, `/`, `*`, `$`, `#` and `?` have a meaning, and `@` at the beginning of a chunk.
const TOKEN: Alphabet = Alphabet { plain: b"-_:.+,~", digest_mark: b'S' };

/// The keys of a cluster.
pub(crate) struct Keys {
    prefix: String,
}

/// A connected node, as its liveliness token describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) node: String,
    /// Zenoh's id for this run of the node.
    pub(crate) session: String,
    /// The addresses at which other nodes can connect to it.
    pub(crate) addresses: Vec<String>,
}

impl Keys {
    pub(crate) fn new(cluster: &str) -> Self {
        Keys { prefix: format!("bennu/{}", TOKEN.encode(cluster)) }
    }

    /// Returns the key of a subject.
    pub(crate) fn for_subject(&self, subject: Subject<'_>) -> String {
        let prefix = &self.prefix;
        match subject {
            Subject::Topic(topic) => format!("{prefix}/t/{}", TOKEN.encode(topic)),
            Subject::Node(node) => format!("{prefix}/n/{}", TOKEN.encode(node)),
            Subject::Control => format!("{prefix}/c"),
        }
    }

    /// Returns the liveliness token of a node.
    pub(crate) fn liveliness(&self, peer: &Peer) -> String {
        let Peer { node, session, addresses } = peer;
        let [node, session, addresses] = [node, session, &addresses.join(",")].map(|name| TOKEN.encode(name));
        format!("{}/l/{node}/{session}/{addresses}", self.prefix)
    }

    /// Returns the key expression of all liveliness tokens.
    pub(crate) fn all_liveliness(&self) -> String {
        format!("{}/l/**", self.prefix)
    }

    /// Parses a key that [`Keys::liveliness`] returned here or on another node.
    pub(crate) fn parse_liveliness(&self, key: &str) -> Option<Peer> {
        let mut parts = key.strip_prefix(&self.prefix)?.strip_prefix("/l/")?.split('/').map(token::decode);
        let [node, session, addresses] = [parts.next()??, parts.next()??, parts.next()??];
        let addresses = addresses.split(',').filter(|address| !address.is_empty()).map(str::to_owned).collect();
        Some(Peer { node, session, addresses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zenoh::key_expr::KeyExpr;

    proptest! {
        #[test]
        fn every_name_is_one_chunk_that_matches_no_other_key(name in ".{0,600}", cluster in ".{0,10}") {
            let keys = Keys::new(&cluster);
            for subject in [Subject::Topic(&name), Subject::Node(&name)] {
                let key = keys.for_subject(subject);
                prop_assert_eq!(key.split('/').count(), 4);
                prop_assert!(!key.contains(['*', '$', '@', '#', '?']));
                prop_assert!(KeyExpr::new(key).is_ok());
            }
        }

        #[test]
        fn a_liveliness_token_is_parsed_as_it_was_encoded(node in ".{0,100}", session in "[0-9a-f]{1,32}") {
            let peer = Peer { node, session, addresses: vec!["[::1]:7447".into(), "shop:1".into()] };
            let keys = Keys::new("shop");
            let key = keys.liveliness(&peer);
            prop_assert!(KeyExpr::new(&*key).unwrap().intersects(&KeyExpr::new(keys.all_liveliness()).unwrap()));
            prop_assert_eq!(keys.parse_liveliness(&key), Some(peer));
            prop_assert_eq!(Keys::new("other").parse_liveliness(&key), None);
        }
    }

    #[test]
    fn chunks_of_a_later_version_are_skipped_and_other_keys_are_none() {
        let keys = Keys::new("shop");
        let read = |key| keys.parse_liveliness(key).map(|peer| peer.node);
        assert_eq!(read("bennu/shop/l/a/1/h:1/zone/b").as_deref(), Some("a"));
        assert_eq!(read("bennu/shop/l/a/1/=").as_deref(), Some("a"));
        assert_eq!(
            [read("bennu/shop/l/a/1"), read("bennu/shop/t/a/1/h"), read("bennu/shop/l/=S/1/h")],
            [None, None, None]
        );
    }
}
