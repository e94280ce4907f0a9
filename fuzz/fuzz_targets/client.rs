//! The libFuzzer binary of [`bennu_fuzz::client`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bennu_fuzz::client::client(data));
