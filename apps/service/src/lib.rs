//! What every application around Bennu needs to run.

pub mod supervisor;
