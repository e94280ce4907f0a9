//! What the tests share: a server in this process, the program itself as another process, and a client that holds
//! them to a dialogue.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code)]

pub(crate) mod broker;
pub(crate) mod client;
pub(crate) mod kit;
pub(crate) mod page;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod server;

use std::time::Duration;

/// After this, what is waited for is not going to come. A busy machine may need a while.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
