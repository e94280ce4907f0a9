//! What every application around Bennu needs to run.

pub mod password;
pub mod supervisor;
