//! The secrets of an application, newest first, and a cache of the keys derived from them.
//!
//! All clones of a [`Secret`](crate::Secret) share one keyring. A key derivation takes 200 times as long as the check
//! of a token (0.15 ms and 0.7 µs), so the keys in use are cached, as in Phoenix (`Plug.Crypto.Keys`).
//!
//! Invariants: a keyring has at least one secret, and its secrets never change. The lock is held for a lookup or an
//! insertion, never during a derivation: two threads that miss the same key both derive it, with the same result. The
//! cache has at most [`CAPACITY`] keys, and evicts the least recently used one.

use std::sync::Arc;

use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::key::{Key, KeyOptions};

/// The maximum of cached keys. An application has few salts, one constant for each purpose. With more salts, such as
/// salts built from data, each use costs a derivation, and memory stays bounded.
const CAPACITY: usize = 64;

pub(crate) struct Keyring {
    bases: Vec<Zeroizing<String>>,
    /// The most recently used key first. The search is linear: 64 short comparisons cost less than the hash of one
    /// salt, and a lookup allocates nothing.
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
        Self::with_bases(vec![newest])
    }

    /// Returns a keyring that also has `old`, as its oldest secret. Its cache is empty.
    pub(crate) fn with_older(&self, old: Zeroizing<String>) -> Self {
        let mut bases = self.bases.clone();
        bases.push(old);
        Self::with_bases(bases)
    }

    fn with_bases(bases: Vec<Zeroizing<String>>) -> Self {
        Self { bases, cache: Mutex::new(Vec::new()) }
    }

    /// The number of secrets.
    pub(crate) fn len(&self) -> usize {
        self.bases.len()
    }

    /// Returns the key for new tokens.
    pub(crate) fn newest(&self, salt: &str, options: KeyOptions) -> Arc<Key> {
        self.key(0, salt, options)
    }

    /// Returns the keys of all secrets, newest first. The iterator derives each key when it reaches it.
    pub(crate) fn keys<'k>(&'k self, salt: &'k str, options: KeyOptions) -> impl Iterator<Item = Arc<Key>> + 'k {
        (0..self.bases.len()).map(move |base| self.key(base, salt, options))
    }

    fn key(&self, base: usize, salt: &str, options: KeyOptions) -> Arc<Key> {
        if let Some(key) = self.cached(base, salt, options) {
            return key;
        }
        let key = Arc::new(options.derive(self.bases[base].as_bytes(), salt));
        self.insert(CachedKey { base, salt: salt.into(), options, key: Arc::clone(&key) });
        key
    }

    fn cached(&self, base: usize, salt: &str, options: KeyOptions) -> Option<Arc<Key>> {
        let mut cache = self.cache.lock();
        let found = cache
            .iter()
            .position(|cached| cached.base == base && cached.options == options && *cached.salt == *salt)?;
        cache[..=found].rotate_right(1);
        Some(Arc::clone(&cache[0].key))
    }

    fn insert(&self, key: CachedKey) {
        let mut cache = self.cache.lock();
        // Another thread may have inserted the same key meanwhile. The duplicate is evicted in time.
        cache.truncate(CAPACITY - 1);
        cache.insert(0, key);
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
    fn the_cache_is_bounded_and_evicts_the_least_recently_used_key() {
        let ring = ring();
        let kept = ring.newest("kept", quick());
        for number in 0..CAPACITY * 2 {
            ring.newest(&number.to_string(), quick());
            ring.newest("kept", quick());
        }
        assert_eq!(ring.cache.lock().len(), CAPACITY);
        assert!(Arc::ptr_eq(&kept, &ring.newest("kept", quick())));
        assert!(ring.cached(0, "0", quick()).is_none());
    }
}
