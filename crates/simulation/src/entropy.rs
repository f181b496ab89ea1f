//! The system's randomness, made repeatable in threads that ask for it.
//!
//! Hash tables of the standard library, `select!` of tokio and `rand` all begin with bytes of `getrandom`. This crate
//! defines that function for the programs it is linked into, which are tests: in a thread that called
//! [`seed_this_thread`] it gives numbers that follow from the seed, in every other what the system gives. A simulation
//! runs in a fresh thread, because what is drawn once a thread (the keys of hash tables) must be drawn anew.

use std::{cell::Cell, ffi::c_void};

use crate::random::next_mixed;

thread_local! {
    /// Without a destructor, so that it can be read at any time of a thread's life.
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From now on this thread's randomness follows from the seed.
pub fn seed_this_thread(seed: u64) {
    STATE.set(Some(seed));
}

/// What the standard library and the crate `getrandom` call for random bytes.
///
/// # Safety
/// As of getrandom(2): `buffer` is valid for writes of `len` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getrandom(buffer: *mut c_void, len: usize, flags: u32) -> isize {
    let Some(mut state) = STATE.get() else {
        // SAFETY: the caller's promise about the buffer is the one this call asks for.
        return unsafe { libc::syscall(libc::SYS_getrandom, buffer, len, flags) as isize };
    };
    let mut written = 0;
    while written < len {
        let bytes = next_mixed(&mut state).to_le_bytes();
        let count = bytes.len().min(len - written);
        // SAFETY: `written + count <= len`, so that this stays inside of the caller's buffer, and the source is on this
        // function's stack.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast::<u8>().add(written), count);
        }
        written += count;
    }
    STATE.set(Some(state));
    len as isize
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, hash::BuildHasher};

    use rand::RngCore;

    use super::*;

    /// What hash tables and `rand` make of this thread's entropy.
    fn taste(seed: Option<u64>) -> (u64, u64, Vec<u32>) {
        let thread = std::thread::spawn(move || {
            seed.into_iter().for_each(seed_this_thread);
            let order: HashSet<u32> = (0..64).collect();
            let hash = std::collections::hash_map::RandomState::new().hash_one("key");
            (hash, rand::rng().next_u64(), order.into_iter().collect())
        });
        thread.join().unwrap()
    }

    #[test]
    fn a_seeded_thread_repeats_itself_and_others_do_not() {
        assert_eq!(taste(Some(7)), taste(Some(7)));
        assert_ne!(taste(Some(7)), taste(Some(8)));
        assert_ne!(taste(None), taste(None));
    }
}
