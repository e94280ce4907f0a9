//! libFuzzer's way into [`bennu_fuzz::v2`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bennu_fuzz::v2::v2(data));
