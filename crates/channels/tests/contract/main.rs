//! What sockets and channels promise, over a transport that is a queue. Time is paused: nothing here waits for a clock.
#![allow(missing_docs, unreachable_pub)]

mod admission;
mod ending;
mod endpoint;
mod isolation;
mod joining;
mod messages;
mod presence;
mod pubsub;
mod support;
mod telemetry;
mod timers;
