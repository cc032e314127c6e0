//! Changes JSON so that most of it stays JSON; every fourth time, and where it is none, as libFuzzer does.

use dvms_solver::testing::mutate::mutated;

pub fn mutate(bytes: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let text = std::str::from_utf8(&bytes[..size]).ok().filter(|_| seed % 4 != 0);
    let Some(text) = text else { return libfuzzer_sys::fuzzer_mutate(bytes, size, most) };
    let text = mutated(text, seed.into());
    if text.len() > most.min(bytes.len()) {
        return libfuzzer_sys::fuzzer_mutate(bytes, size, most);
    }
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    text.len()
}
