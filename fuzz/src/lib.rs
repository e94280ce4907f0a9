//! Fuzz targets: functions that take any bytes and panic only when an invariant breaks.
//!
//! One module a target. They are plain functions, so that a fuzzer's binary (`fuzz_targets/`) and an ordinary test
//! (`tests/smoke.rs`) can both call them.

mod answers;
pub mod client;
pub mod v1;
pub mod v2;
pub mod websocket;
