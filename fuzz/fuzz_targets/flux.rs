//! See `skywatch_fuzz_targets`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skywatch_fuzz_targets::run("flux", bytes));
