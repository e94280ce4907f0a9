//! A cluster of shards on a faulty network in virtual time: random runs by seed, and any sequence of events.

mod cluster;
mod model;
mod rule;
mod simulation;
