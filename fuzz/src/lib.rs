//! Fuzz targets: functions that take any bytes and panic only when an invariant breaks.
//!
//! One module a target. They are plain functions, so that a fuzzer's binary and an ordinary test can
//! both call them.

pub mod websocket;
