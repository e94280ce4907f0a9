//! The key expressions of one cluster. Pure.
//!
//! `bennu/<cluster>/t/<topic>` carries a topic's messages, `bennu/<cluster>/n/<node>` what is for one node,
//! `bennu/<cluster>/c` what nodes tell of addresses. `bennu/<cluster>/l/<node>/<session>/<addresses>` is the liveliness
//! token of a node that is there: zenoh shows it to the others, and takes it away when the node leaves or is lost. Each name
//! is one [token](bennu_pubsub_cluster::token), so a topic can neither reach another one nor be a pattern.

use bennu_pubsub_cluster::Channel;
use bennu_pubsub_cluster::token::{self, Alphabet};

/// Key expressions give a meaning to `/`, `*`, `$`, `#`, `?`, and to `@` at the beginning.
const TOKEN: Alphabet = Alphabet { plain: b"-_:.+,~", digest_mark: b'S' };

/// The keys of a cluster.
pub(crate) struct Keys {
    prefix: String,
}

/// A node that is there, as its liveliness token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Presence {
    pub(crate) node: String,
    /// zenoh's name for this run of it.
    pub(crate) session: String,
    /// Where it can be connected to.
    pub(crate) addresses: Vec<String>,
}

impl Keys {
    pub(crate) fn new(cluster: &str) -> Self {
        Keys { prefix: format!("bennu/{}", TOKEN.token(cluster)) }
    }

    /// What a channel's messages are published on.
    pub(crate) fn channel(&self, channel: Channel<'_>) -> String {
        let prefix = &self.prefix;
        match channel {
            Channel::Topic(topic) => format!("{prefix}/t/{}", TOKEN.token(topic)),
            Channel::Node(node) => format!("{prefix}/n/{}", TOKEN.token(node)),
            Channel::Control => format!("{prefix}/c"),
        }
    }

    /// The token of a node that is there.
    pub(crate) fn presence(&self, presence: &Presence) -> String {
        let Presence { node, session, addresses } = presence;
        let [node, session, addresses] = [node, session, &addresses.join(",")].map(|name| TOKEN.token(name));
        format!("{}/l/{node}/{session}/{addresses}", self.prefix)
    }

    /// All of them.
    pub(crate) fn presences(&self) -> String {
        format!("{}/l/**", self.prefix)
    }

    /// What [`Keys::presence`] wrote, here or on another node.
    pub(crate) fn read_presence(&self, key: &str) -> Option<Presence> {
        let mut parts = key.strip_prefix(&self.prefix)?.strip_prefix("/l/")?.split('/').map(token::read);
        let [node, session, addresses] = [parts.next()??, parts.next()??, parts.next()??];
        let addresses = addresses.split(',').filter(|address| !address.is_empty()).map(str::to_owned).collect();
        Some(Presence { node, session, addresses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zenoh::key_expr::KeyExpr;

    proptest! {
        #[test]
        fn every_name_is_one_chunk_that_matches_nothing_else(name in ".{0,600}", cluster in ".{0,10}") {
            let keys = Keys::new(&cluster);
            for channel in [Channel::Topic(&name), Channel::Node(&name)] {
                let key = keys.channel(channel);
                prop_assert_eq!(key.split('/').count(), 4);
                prop_assert!(!key.contains(['*', '$', '@', '#', '?']));
                prop_assert!(KeyExpr::new(key).is_ok());
            }
        }

        #[test]
        fn who_is_there_is_read_as_it_was_written(node in ".{0,100}", session in "[0-9a-f]{1,32}") {
            let presence = Presence { node, session, addresses: vec!["[::1]:7447".into(), "shop:1".into()] };
            let keys = Keys::new("shop");
            let key = keys.presence(&presence);
            prop_assert!(KeyExpr::new(&*key).unwrap().intersects(&KeyExpr::new(keys.presences()).unwrap()));
            prop_assert_eq!(keys.read_presence(&key), Some(presence));
            prop_assert_eq!(Keys::new("other").read_presence(&key), None);
        }
    }

    #[test]
    fn what_a_later_version_adds_is_skipped_and_what_is_no_presence_is_none() {
        let keys = Keys::new("shop");
        let read = |key| keys.read_presence(key).map(|presence| presence.node);
        assert_eq!(read("bennu/shop/l/a/1/h:1/zone/b").as_deref(), Some("a"));
        assert_eq!(read("bennu/shop/l/a/1/=").as_deref(), Some("a"));
        assert_eq!(
            [read("bennu/shop/l/a/1"), read("bennu/shop/t/a/1/h"), read("bennu/shop/l/=S/1/h")],
            [None, None, None]
        );
    }
}
