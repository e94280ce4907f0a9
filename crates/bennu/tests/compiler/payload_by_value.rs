//! A serializable value that is sent by value.
use bennu::prelude::*;
use serde::Serialize;

#[derive(Serialize)]
struct Bid {
    amount: u64,
}

fn bid(amount: u64) -> Handled {
    reply_ok(Bid { amount })
}

fn main() {}
