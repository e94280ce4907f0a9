//! The suite that every adapter between nodes runs: one on a broker calls [`crate::suite!`] in its tests, one without
//! [`crate::common_suite!`].
//!
//! [`process`] owns the servers, [`node`] the nodes with their metrics and [`log`] what they log. What must hold is in
//! [`law`], and for brokers in [`server_law`] and, with the feature `tls`, in `tls_law`. A server that is not installed skips its tests, and says so.

pub mod law;
pub mod log;
pub mod metric;
pub mod node;
pub mod process;
pub mod server_law;
#[cfg(feature = "tls")]
pub mod tls_law;

use crate::Channel;
use bennu_pubsub::PubSub;
use process::{Process, Program};

/// A kind of server, and the adapter for it.
pub trait Server: Program {
    /// Its arguments, so that it listens on a port of 127.0.0.1 and keeps nothing; with a user's name and password it
    /// lets nobody else in.
    fn arguments(port: u16, credentials: Option<(&str, &str)>) -> Vec<String>;

    /// A node of the adapter. `credentials` is `user:password`.
    fn join(port: u16, credentials: Option<&str>, cluster: &str, name: &str, queue_bytes: usize) -> PubSub;

    /// What a stranger sends on a new connection to publish something on a channel of the cluster `bennu`.
    fn stranger(channel: Channel<'_>, payload: &[u8]) -> Vec<u8>;

    /// What the server says to somebody whose password is wrong.
    const WRONG_PASSWORD: &'static str;
}

/// Where the nodes of a cluster meet: at a server, or at each other.
pub trait Meeting: Sized + 'static {
    /// What it is called.
    const NAME: &'static str;

    /// A place of its own. `None`, and a line that says so, when what it needs is not installed.
    fn arrange() -> Option<Self>;

    /// A node that meets the others there.
    fn join(&self, cluster: &str, name: &str, queue_bytes: usize) -> PubSub;
}

impl<S: Server> Meeting for Process<S> {
    const NAME: &'static str = <S as Program>::NAME;

    fn arrange() -> Option<Self> {
        Process::start(None)
    }

    fn join(&self, cluster: &str, name: &str, queue_bytes: usize) -> PubSub {
        S::join(self.port(), None, cluster, name, queue_bytes)
    }
}

/// Makes a test of every law for an adapter on a broker: `bennu_pubsub_cluster::suite!(RedisServer)`.
#[macro_export]
macro_rules! suite {
    ($server:ty) => {
        $crate::common_suite! { $crate::conformance::process::Process<$server> }
        $crate::suite! { @two_threads $server:
            messages_past_the_bound_are_dropped_while_the_server_stands_still_and_the_rest_arrive_in_order
            garbage_is_counted_and_dropped_and_a_later_version_is_read
            a_node_that_falls_silent_has_left
            nodes_at_a_server_do_not_connect_to_each_other
        }
        $crate::suite! { @one_thread $server:
            a_killed_server_is_reported_once_and_everything_is_restored_when_it_is_back
            a_server_that_falls_silent_is_given_up_and_found_again
            a_wrong_password_is_reported_once_and_tried_again
            a_node_that_starts_before_its_server_joins_when_it_can
        }
    };
    (@two_threads $server:ty: $($law:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $law() {
            $crate::conformance::server_law::$law::<$server>().await;
        }
    )*};
    // What is logged is captured on one thread.
    (@one_thread $server:ty: $($law:ident)*) => {$(
        #[tokio::test]
        async fn $law() {
            $crate::conformance::server_law::$law::<$server>().await;
        }
    )*};
}

/// Makes a test of every law for an adapter on a broker that speaks TLS: `bennu_pubsub_cluster::tls_suite!(RedisServer)`.
#[cfg(feature = "tls")]
#[macro_export]
macro_rules! tls_suite {
    ($server:ty) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn messages_travel_over_tls_in_order() {
            $crate::conformance::tls_law::messages_travel_over_tls_in_order::<$server>().await;
        }

        // What is logged is captured on one thread.
        #[tokio::test]
        async fn a_certificate_that_is_not_trusted_is_reported() {
            $crate::conformance::tls_law::a_certificate_that_is_not_trusted_is_reported::<$server>().await;
        }
    };
}

/// Makes a test of every law that any adapter keeps: `bennu_pubsub_cluster::common_suite!(Mesh)`.
#[macro_export]
macro_rules! common_suite {
    ($meeting:ty) => {
        $crate::common_suite! { @laws $meeting:
            the_adapter_keeps_every_law
            a_node_that_starts_again_under_its_name_has_left_and_joined
            order_is_kept_beside_a_flood
            a_node_receives_what_it_wants_and_next_to_nothing_else
            interest_that_flaps_ends_up_right
            a_subscriber_that_does_not_read_holds_up_nobody
            clusters_that_meet_in_one_place_do_not_hear_each_other
            what_cannot_be_sent_is_an_error_and_a_topic_may_hold_anything
            what_was_published_before_leaving_arrives
        }
    };
    (@laws $meeting:ty: $($law:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $law() {
            $crate::conformance::law::$law::<$meeting>().await;
        }
    )*};
}
