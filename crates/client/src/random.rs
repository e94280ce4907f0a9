//! Random bytes of the system, read 2 KiB at a time: the mask of a frame needs no system call of its own.
//!
//! RFC 6455 §5.3 requires unpredictable masks; so each byte of a thread's pool is used once.

use std::cell::RefCell;

const POOL_BYTES: usize = 2048;

struct Pool {
    bytes: [u8; POOL_BYTES],
    used: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL_BYTES], used: POOL_BYTES }) };
}

/// Returns bytes that no earlier call has returned.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    POOL.with_borrow_mut(|pool| {
        let mut taken = [0; N];
        if pool.used + N > POOL_BYTES {
            getrandom::fill(&mut pool.bytes).expect("the system has random bytes");
            pool.used = 0;
        }
        taken.copy_from_slice(&pool.bytes[pool.used..pool.used + N]);
        pool.used += N;
        taken
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn no_bytes_are_returned_twice() {
        let distinct: HashSet<[u8; 16]> = (0..1000).map(|_| super::bytes()).collect();
        assert_eq!(distinct.len(), 1000);
    }
}
