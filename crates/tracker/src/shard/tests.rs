//! A cluster of shards on a bad network, in virtual time: by seed, and by any sequence of events.

mod cluster;
mod model;
mod rule;
mod simulation;
