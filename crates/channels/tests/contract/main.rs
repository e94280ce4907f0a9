//! The contract of sockets and channels, over a transport that is a queue. Time is paused: no test waits for a clock.
#![allow(missing_docs, unreachable_pub)]

mod admission;
mod ending;
mod endpoint;
mod isolation;
mod joined;
mod joining;
mod messages;
mod order;
mod presence;
mod pubsub;
mod state;
mod support;
mod tasks;
mod telemetry;
mod timers;
