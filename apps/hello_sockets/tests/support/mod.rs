//! Code that the tests share: a server in this process, the program as a process of its own, and a client that plays
//! dialogues with them.

// Each test file is a program of its own and uses a part of this module.
#![allow(dead_code)]

pub(crate) mod broker;
pub(crate) mod client;
pub(crate) mod kit;
pub(crate) mod page;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod server;

use std::time::Duration;

/// The time limit of each wait, for a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
