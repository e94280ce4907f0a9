//! Trackers on the nodes of one program, in virtual time.

mod calls;
mod cluster;
mod diffs;
mod support;
