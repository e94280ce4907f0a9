//! The libFuzzer binary of [`bennu_fuzz::websocket`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bennu_fuzz::websocket::websocket(data));
