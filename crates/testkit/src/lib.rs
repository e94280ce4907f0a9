//! Tests of sockets and channels: without a network, in virtual time, each with an endpoint of its own.
//!
//! What `Phoenix.ChannelTest` is to Phoenix. A [`ChannelTest`] makes clients, a [`TestSocket`] joins topics by the routes
//! of its socket, a [`TestChannel`] pushes; everything that arrives waits in the test's mailbox until an assertion takes
//! it:
//!
//! ```
//! use bennu_channels::prelude::*;
//! use bennu_testkit::prelude::*;
//!
//! struct RoomChannel;
//!
//! impl<S: Socket> Channel<S> for RoomChannel {
//!     async fn join(_topic: &str, _params: Payload, _ctx: &mut Context<S, Self>) -> Joined<Self> {
//!         accept(RoomChannel)
//!     }
//!
//!     async fn handle_in(&mut self, event: &str, payload: Payload, ctx: &mut Context<S, Self>) -> Handled {
//!         ctx.broadcast("said", payload)?;
//!         reply_ok(json!({ "event": event }))
//!     }
//! }
//!
//! struct UserSocket;
//!
//! impl Socket for UserSocket {
//!     type State = ();
//!
//!     async fn connect(_request: Connect) -> Result<Self, Refusal> {
//!         Ok(UserSocket)
//!     }
//!     fn channels(router: &mut ChannelRouter<Self>) {
//!         router.channel::<RoomChannel>("room:*");
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // In a test: #[tokio::test] async fn what_is_said_is_broadcast() {
//! let test = ChannelTest::new();
//! let socket = test.connect::<UserSocket>(json!({})).await.unwrap();
//! let channel = socket.subscribe_and_join("room:lobby", json!({})).await.unwrap();
//!
//! let reference = channel.push("say", json!({ "text": "hi" }));
//! assert_reply!(reference, ok, json!({ "event": "say" }));
//! assert_push!(channel, "said", json!({ "text": "hi" }));
//! assert_broadcast!(channel, "said", json!({ "text": "hi" }));
//! refute_push!(channel);
//! # }
//! ```
//!
//! **Time.** Making a [`ChannelTest`] stops the clock of the test's runtime, which is that of a plain `#[tokio::test]`.
//! From there on the clock only moves when every task waits, and then at once to the next timer: `sleep` takes no time,
//! and a `refute_` that waits 100 ms neither. A task in `spawn_blocking` keeps the clock from moving for as long as it
//! runs. What waits for the world outside (a database, a socket of the system) does not: the clock then runs to the next
//! timer at once, which is the end of your assertion's patience. In a test with such a channel call
//! `tokio::time::resume()` after [`ChannelTest::new`], and time is real again.
//!
//! **Nothing is shared.** Each test has its endpoint, its PubSub and its mailbox, and [`capture_log`] and
//! [`capture_metrics`] see one thread, which is one test. Tests run in parallel as any others do.
//!
//! **Order.** A mailbox has what arrived in the order in which it was sent, across all clients; one broadcast reaches its
//! subscribers in no particular order. Assertions take the first that fits, wherever it stands. Where the order matters,
//! compare [`Inbox::mailbox`].

mod arrival;
mod assertion;
mod channel;
mod clock;
mod connect;
mod expectation;
mod failure;
mod join;
mod log;
mod macros;
mod mailbox;
mod metrics;
mod params;
pub mod prelude;
mod reply;
mod socket;
mod test;
mod transport;

pub use arrival::Arrival;
pub use assertion::TIMEOUT;
pub use channel::TestChannel;
pub use expectation::Expected;
pub use join::Refused;
pub use log::{Log, capture_log};
pub use mailbox::{Inbox, View};
pub use metrics::{Metrics, capture_metrics};
pub use reply::PushRef;
pub use socket::TestSocket;
pub use test::ChannelTest;

/// What the macros expand to; not to be used otherwise.
#[doc(hidden)]
pub mod __private {
    pub use crate::assertion::{assert, refute};
    pub use crate::expectation::{Wanted, any, binds, equal, holds};
}
