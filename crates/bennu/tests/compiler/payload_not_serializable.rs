//! A value that cannot be serialized.
use bennu::prelude::*;

struct Bid {
    _amount: u64,
}

fn bid(_amount: u64) -> Handled {
    reply_ok(&Bid { _amount })
}

fn main() {}
