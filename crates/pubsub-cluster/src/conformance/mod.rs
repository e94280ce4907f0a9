//! The suite of the adapters between nodes. The tests of an adapter at a broker call [`crate::suite!`]; the tests of an
//! adapter without a broker call [`crate::common_suite!`].
//!
//! [`process`] owns the servers, [`node`] the nodes with their metrics, and [`log`] their log. The laws are in [`law`],
//! and for brokers in [`broker_law`] and, with the feature `tls`, in `tls_law`. When a server is not installed, its
//! tests are skipped and a line on standard error reports it.

pub mod broker_law;
pub mod law;
pub mod log;
pub mod metric;
pub mod node;
pub mod process;
#[cfg(feature = "tls")]
pub mod tls_law;

use crate::Subject;
use bennu_pubsub::PubSub;
use process::{Process, Program};

/// A kind of server, and the adapter for it.
pub trait Server: Program {
    /// Returns the arguments with which it listens on a port of 127.0.0.1 and stores nothing. With credentials, it
    /// accepts no other user and password.
    fn arguments(port: u16, credentials: Option<(&str, &str)>) -> Vec<String>;

    /// Starts a node of the adapter. `credentials` is `user:password`.
    fn join(port: u16, credentials: Option<&str>, cluster: &str, name: &str, queue_bytes: usize) -> PubSub;

    /// Returns the bytes that a foreign client sends on a new connection to publish on a subject of the cluster
    /// `bennu`.
    fn foreign_publish(subject: Subject<'_>, payload: &[u8]) -> Vec<u8>;

    /// The server's answer to a wrong password.
    const WRONG_PASSWORD: &'static str;
}

/// The place at which the nodes of a cluster meet: a server, or each other.
pub trait MeetingPoint: Sized + 'static {
    /// Its name.
    const NAME: &'static str;

    /// Sets up a new meeting point. `None`, with a line on standard error, when a required program is not installed.
    fn set_up() -> Option<Self>;

    /// Starts a node that meets the others there.
    fn join(&self, cluster: &str, name: &str, queue_bytes: usize) -> PubSub;
}

impl<S: Server> MeetingPoint for Process<S> {
    const NAME: &'static str = <S as Program>::NAME;

    fn set_up() -> Option<Self> {
        Process::start(None)
    }

    fn join(&self, cluster: &str, name: &str, queue_bytes: usize) -> PubSub {
        S::join(self.port(), None, cluster, name, queue_bytes)
    }
}

/// Makes a test of every law for an adapter at a broker: `bennu_pubsub_cluster::suite!(RedisServer)`.
#[macro_export]
macro_rules! suite {
    ($server:ty) => {
        $crate::common_suite! { $crate::conformance::process::Process<$server> }
        $crate::suite! { @two_threads $server:
            messages_past_the_limit_are_dropped_while_the_server_is_stopped_and_the_rest_arrive_in_order
            garbage_is_counted_and_dropped_and_a_later_version_is_read
            a_silent_node_has_left
            nodes_at_a_server_do_not_connect_to_each_other
        }
        $crate::suite! { @one_thread $server:
            a_killed_server_is_reported_once_and_subscriptions_are_restored_when_it_is_back
            a_silent_server_is_disconnected_and_connected_again
            a_wrong_password_is_reported_once_and_retried
            a_node_that_starts_before_its_server_joins_when_the_server_is_up
        }
    };
    (@two_threads $server:ty: $($law:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $law() {
            $crate::conformance::broker_law::$law::<$server>().await;
        }
    )*};
    // The log is captured on one thread.
    (@one_thread $server:ty: $($law:ident)*) => {$(
        #[tokio::test]
        async fn $law() {
            $crate::conformance::broker_law::$law::<$server>().await;
        }
    )*};
}

/// Makes a test of every law for an adapter at a broker with TLS: `bennu_pubsub_cluster::tls_suite!(RedisServer)`.
#[cfg(feature = "tls")]
#[macro_export]
macro_rules! tls_suite {
    ($server:ty) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn messages_travel_over_tls_in_order() {
            $crate::conformance::tls_law::messages_travel_over_tls_in_order::<$server>().await;
        }

        // The log is captured on one thread.
        #[tokio::test]
        async fn an_untrusted_certificate_is_reported() {
            $crate::conformance::tls_law::an_untrusted_certificate_is_reported::<$server>().await;
        }
    };
}

/// Makes a test of every law of any adapter: `bennu_pubsub_cluster::common_suite!(Mesh)`.
#[macro_export]
macro_rules! common_suite {
    ($place:ty) => {
        $crate::common_suite! { @laws $place:
            the_adapter_keeps_its_contract
            a_node_that_starts_again_under_its_name_has_left_and_joined
            order_is_kept_beside_a_flood
            a_node_receives_its_interest_and_almost_nothing_else
            interest_that_flaps_ends_up_right
            a_slow_subscriber_delays_no_other_subscriber
            clusters_at_one_meeting_point_receive_only_their_own_messages
            a_message_too_large_is_an_error_and_a_topic_may_contain_any_character
            messages_published_before_leaving_arrive
        }
    };
    (@laws $place:ty: $($law:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $law() {
            $crate::conformance::law::$law::<$place>().await;
        }
    )*};
}
