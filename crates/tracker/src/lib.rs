//! Who is where: presences of users at topics, on all nodes of a cluster.
//!
//! ```
//! use bennu_tracker::{Diff, DiffHandler, Options, Tracker};
//! use bennu_pubsub::PubSub;
//! use serde_json::json;
//!
//! struct Log;
//!
//! impl DiffHandler for Log {
//!     async fn handle_diff(&self, diff: Diff) {
//!         for topic in diff.topics {
//!             println!("{}: {} came, {} went", topic.topic, topic.joins.len(), topic.leaves.len());
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tracker = Tracker::start(&PubSub::local(), "app", Options::default(), Log)?;
//!
//! let phone = tracker.track("room:lobby", "user:1", &json!({ "device": "phone" }))?;
//! let laptop = tracker.track("room:lobby", "user:1", &json!({ "device": "laptop" }))?;
//! assert_eq!((tracker.count("room:lobby"), tracker.key_count("room:lobby")), (2, 1));
//!
//! phone.update(&json!({ "device": "phone", "typing": true }))?;
//! drop(laptop);
//! for presence in tracker.list("room:lobby").iter() {
//!     println!("{} {} {}", presence.key(), presence.reference(), presence.meta());
//! }
//!
//! tracker.leave().await; // before the process ends: gone at once on all nodes
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//!
//! - **Reads** are snapshots. They take constant time whatever the number of presences, hold no lock while they are
//!   read, and pass through no task. So do counts.
//! - **Here at once.** What this node tracks it lists on return. Other nodes list it when the period ends
//!   ([`Options::broadcast_period`]) and the message has arrived.
//! - **All nodes agree** in the end, whatever the network lost, repeated or reordered. After it has healed this takes
//!   at most `max_silent_periods + 6` periods, 24 s by default, and one round trip for each 256 KiB of what was missed;
//!   a node that starts asks at once. When all agree, a node sends one small message every `max_silent_periods`
//!   periods, and nothing else.
//! - **A node that is silent** for [`Options::down_period`] is down; its presences are hidden, and shown again when it
//!   is heard. One that restarts, or says goodbye, has none any more.
//! - **Diffs** of one shard come in order and give, applied one after another, what is listed.
//!
//! # How it is built
//!
//! ```text
//! Tracker ─► shard (pure) ─► state: own share, copies of others'   ─► messages over PubSub
//!    │          ├─► view: a roster for each topic, for readers
//!    └──────────┴─► pending diffs ─► DiffHandler
//! ```
//!
//! The state is a delta CRDT: see `share.rs` for the lattice, `state.rs` for what is done to it, `shard.rs` for how
//! nodes learn of each other's. Names and periods are those of `Phoenix.Tracker`.

mod cell;
mod diff;
mod dots;
mod handler;
mod hash;
mod history;
mod message;
mod meta;
mod options;
mod peer;
mod presence;
mod presences;
mod replica;
mod roster;
mod shard;
mod share;
mod state;
mod telemetry;
mod tracked;
mod tracker;
mod view;

pub use diff::{Diff, TopicDiff};
pub use handler::DiffHandler;
pub use meta::TrackError;
pub use options::{Options, OptionsError};
pub use presence::Presence;
pub use presences::Presences;
pub use replica::Reference;
pub use tracked::Tracked;
pub use tracker::{Tracker, WeakTracker};
