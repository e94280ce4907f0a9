//! libFuzzer's way into [`bennu_fuzz::v1`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bennu_fuzz::v1::v1(data));
