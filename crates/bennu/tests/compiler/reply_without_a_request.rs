//! An answer where no client waits for one.
use bennu::prelude::*;

fn timer(found: Result<u64, String>) -> Flow {
    found.or_reply()?;
    noreply()
}

fn main() {}
