//! What sockets and channels promise, over a transport that is a queue. Time is paused: nothing here waits for a clock.
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
