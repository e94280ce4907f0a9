//! A test kit for sockets and channels: without a network, in virtual time, with one endpoint for each test.
//!
//! It corresponds to `Phoenix.ChannelTest`. A [`ChannelTest`] connects clients, a [`TestSocket`] joins topics by the
//! routes of its socket, a [`TestChannel`] pushes. Every arrival waits in the test's mailbox until an assertion takes
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
//! // In a test: #[tokio::test] async fn a_message_is_broadcast() {
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
//! **Time.** [`ChannelTest::new`] pauses the clock of the test's runtime, which is that of a plain `#[tokio::test]`.
//! From then on the clock advances only when every task waits, and then at once to the next timer: `sleep` takes no
//! real time, and neither does a `refute_` macro that waits 100 ms. A task in `spawn_blocking` stops the clock for as
//! long as it runs. A task that waits for the outside world (a database, a socket of the system) does not: the clock
//! then advances at once to the next timer, which is the timeout of your assertion. In a test with such a channel call
//! `tokio::time::resume()` after [`ChannelTest::new`]. Time is real again from then on, and the `assert_` macros wait 5 s by
//! default, since the outside world may be slow.
//!
//! **Isolation.** Each test has its own endpoint, PubSub and mailbox. [`capture_log`] and [`capture_metrics`] capture
//! one thread, which is one test. Tests run in parallel.
//!
//! **Order.** A mailbox contains the arrivals of all clients in the order of sending; one broadcast reaches its
//! subscribers in no particular order. An assertion takes the first matching arrival at any position. Where the order
//! matters, compare [`Mailbox::mailbox`].

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
mod push_ref;
mod socket;
mod test;
mod transport;

pub use arrival::Arrival;
pub use assertion::TIMEOUT;
pub use channel::TestChannel;
pub use expectation::Expected;
pub use join::Refused;
pub use log::{Log, capture_log};
pub use mailbox::{Mailbox, MailboxView};
pub use metrics::{Metrics, capture_metrics};
pub use push_ref::PushRef;
pub use socket::TestSocket;
pub use test::ChannelTest;

pub use bennu_channels::transport::NotConnected;

/// The functions and types in the expansion of the macros. Not a public API.
#[doc(hidden)]
pub mod __private {
    pub use crate::assertion::{assert, refute};
    pub use crate::expectation::{Selector, any, binds, equal, holds};
}
