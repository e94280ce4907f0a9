//! The contract of the kit: its assertions, its clock, and the texts of its failures.
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
