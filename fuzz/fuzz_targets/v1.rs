//! The libFuzzer binary of [`bennu_fuzz::serializer::v1`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bennu_fuzz::serializer::v1(data));
