//! `?` on an error that cannot be kept: that of a lock.
use bennu::prelude::*;
use std::sync::Mutex;

fn count(counter: &Mutex<u64>) -> Handled {
    *counter.lock()? += 1;
    noreply()
}

fn main() {}
