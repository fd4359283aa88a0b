#![no_main]
#[path = "../imports.rs"]
#[allow(dead_code)]
mod imports;

libfuzzer_sys::fuzz_target!(|data: &[u8]| imports::otpauth(data));
