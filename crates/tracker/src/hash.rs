//! Hashes that are equal on all nodes of a cluster and in all builds.
//!
//! [`crate::Tracker`] chooses a topic's shard with them, a replica the start of its references. They do not resist an
//! attacker who searches for collisions; neither use needs that.

/// Returns the 64-bit FNV-1a hash of the parts, finished by [`mix`].
pub(crate) fn stable(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in *part {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        // Separates the parts: "ab", "c" differs from "a", "bc". No UTF-8 text contains this byte.
        hash = (hash ^ 0xff).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mix(hash)
}

/// Permutes the 64-bit numbers so that successive inputs give unrelated outputs: SplitMix64's finalizer.
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_computes_the_same_hashes() {
        assert_eq!(stable(&[b"room:lobby"]) % 8, 6);
        assert_eq!(stable(&[b"user:1"]), 2_977_218_591_195_970_798);
        assert_ne!(stable(&[b"ab", b"c"]), stable(&[b"a", b"bc"]));
    }
}
