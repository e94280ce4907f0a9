//! The secrets of an application, newest first, and the keys derived from them.
//!
//! Deriving a key costs 200 times what checking a token does (0.15 ms, 0.7 µs), so the keys in use are
//! remembered (Phoenix: `Plug.Crypto.Keys`). Shared by every clone of a [`Secret`](crate::Secret).
//!
//! Invariants: the ring has at least one secret, and never changes after it was made. The lock is held for a
//! look-up or an insertion, never while a key is derived: two threads that miss the same key both derive it, and
//! get the same. At most [`CAPACITY`] keys are remembered, the least recently used goes first.

use std::sync::Arc;

use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::key::{Key, KeyOptions};

/// Salts are an application's constants, one a purpose, and few. The limit is for the application that makes
/// salts of its data: it then pays for the derivation each time, and not with memory.
const CAPACITY: usize = 64;

pub(crate) struct Keyring {
    bases: Vec<Zeroizing<String>>,
    /// Most recently used first. A linear search: 64 short comparisons cost less than hashing one salt, and a
    /// look-up allocates nothing.
    cache: Mutex<Vec<CachedKey>>,
}

struct CachedKey {
    base: usize,
    salt: Box<str>,
    options: KeyOptions,
    key: Arc<Key>,
}

impl Keyring {
    pub(crate) fn new(newest: Zeroizing<String>) -> Self {
        Self::of(vec![newest])
    }

    /// A ring that also has `old`, as its oldest secret. It starts with no keys remembered.
    pub(crate) fn with_older(&self, old: Zeroizing<String>) -> Self {
        let mut bases = self.bases.clone();
        bases.push(old);
        Self::of(bases)
    }

    fn of(bases: Vec<Zeroizing<String>>) -> Self {
        Self { bases, cache: Mutex::new(Vec::new()) }
    }

    /// How many secrets there are.
    pub(crate) fn len(&self) -> usize {
        self.bases.len()
    }

    /// The key that new tokens are made with.
    pub(crate) fn newest(&self, salt: &str, options: KeyOptions) -> Arc<Key> {
        self.key(0, salt, options)
    }

    /// The keys that a token may have been made with, newest first, each derived only when it is asked for.
    pub(crate) fn keys<'k>(&'k self, salt: &'k str, options: KeyOptions) -> impl Iterator<Item = Arc<Key>> + 'k {
        (0..self.bases.len()).map(move |base| self.key(base, salt, options))
    }

    fn key(&self, base: usize, salt: &str, options: KeyOptions) -> Arc<Key> {
        if let Some(key) = self.recall(base, salt, options) {
            return key;
        }
        let key = Arc::new(options.derive(self.bases[base].as_bytes(), salt));
        self.remember(CachedKey { base, salt: salt.into(), options, key: Arc::clone(&key) });
        key
    }

    fn recall(&self, base: usize, salt: &str, options: KeyOptions) -> Option<Arc<Key>> {
        let mut cache = self.cache.lock();
        let found = cache
            .iter()
            .position(|cached| cached.base == base && cached.options == options && *cached.salt == *salt)?;
        cache[..=found].rotate_right(1);
        Some(Arc::clone(&cache[0].key))
    }

    fn remember(&self, fresh: CachedKey) {
        let mut cache = self.cache.lock();
        // Another thread may have derived the same key meanwhile; the duplicate ages out.
        cache.truncate(CAPACITY - 1);
        cache.insert(0, fresh);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> Keyring {
        Keyring::new(Zeroizing::new("a secret of enough bytes".to_owned()))
    }

    fn quick() -> KeyOptions {
        KeyOptions { iterations: 1, ..KeyOptions::default() }
    }

    #[test]
    fn a_key_is_derived_once_and_then_shared() {
        let ring = ring();
        let first = ring.newest("salt", quick());
        assert!(Arc::ptr_eq(&first, &ring.newest("salt", quick())));
    }

    #[test]
    fn another_salt_or_option_is_another_key() {
        let ring = ring();
        let key = ring.newest("salt", quick());
        assert_ne!(key, ring.newest("other", quick()));
        assert_ne!(key, ring.newest("salt", KeyOptions { iterations: 2, ..quick() }));
    }

    #[test]
    fn the_cache_is_bounded_and_forgets_the_least_recently_used() {
        let ring = ring();
        let kept = ring.newest("kept", quick());
        for number in 0..CAPACITY * 2 {
            ring.newest(&number.to_string(), quick());
            ring.newest("kept", quick());
        }
        assert_eq!(ring.cache.lock().len(), CAPACITY);
        assert!(Arc::ptr_eq(&kept, &ring.newest("kept", quick())));
        assert!(ring.recall(0, "0", quick()).is_none());
    }
}
