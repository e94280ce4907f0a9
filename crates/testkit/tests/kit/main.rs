//! What the kit promises to those who write tests with it: what holds, and what a failure says.
#![allow(missing_docs, unreachable_pub)]

mod broadcast;
mod client;
mod failure;
mod guide;
mod push;
mod reply;
mod state;
mod support;
mod time;
