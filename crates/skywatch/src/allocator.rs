//! How the C library's allocator is told to behave.

/// Arenas that all threads share.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 2;

/// Lets threads share few arenas. By default glibc gives nearly every thread one, and memory that was freed in an
/// arena stays there: under many large requests a server took more than twice what it used. Called before there are
/// threads. See mallopt(3), `M_ARENA_MAX`.
#[cfg(target_env = "gnu")]
pub(crate) fn share_arenas() {
    // SAFETY: no other thread runs yet, and the parameter is one that mallopt(3) names.
    let accepted = unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS) };
    debug_assert_eq!(accepted, 1, "mallopt takes M_ARENA_MAX");
}

/// Other C libraries have no such arenas.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn share_arenas() {}
