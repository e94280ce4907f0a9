//! Fuzz targets: functions that accept any bytes, and panic only when an invariant is violated.
//!
//! Each target is a plain function. The binaries of the fuzzer (`fuzz_targets/`) and a test (`tests/smoke.rs`) call it.

pub mod client;
pub mod serializer;
pub mod websocket;
