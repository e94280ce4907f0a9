//! Hashes that every node of a cluster computes alike, whatever its build: which shard a topic belongs to, and where a
//! replica's references begin. Neither resists somebody who looks for collisions; neither needs to.

/// FNV-1a over 64 bits, its bits mixed.
pub(crate) fn stable(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in *part {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        // Ends the part: "ab", "c" is not "a", "bc". No UTF-8 text contains the byte.
        hash = (hash ^ 0xff).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mix(hash)
}

/// A permutation of the 64-bit numbers that leaves no trace of their order: SplitMix64's finalizer.
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_that_hashed_otherwise_would_not_find_the_topics_of_another() {
        assert_eq!(stable(&[b"room:lobby"]) % 8, 6);
        assert_eq!(stable(&[b"user:1"]), 2_977_218_591_195_970_798);
        assert_ne!(stable(&[b"ab", b"c"]), stable(&[b"a", b"bc"]));
    }
}
