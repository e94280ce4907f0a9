//! Masking: the XOR of a client's payload with its masking key (RFC 6455 §5.3).
//!
//! The decoder unmasks payloads in place as they arrive. [`encode::masked_frame`](crate::encode::masked_frame) masks
//! them. Invariant: the key is rotated so that its first byte belongs to the next payload byte, for payloads in pieces
//! of any size.

/// A masking key, rotated to the position in the payload.
///
/// ```
/// use bennu_websocket::Mask;
///
/// // RFC 6455 §5.7: a masked "Hello", in two pieces.
/// let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// let (head, tail) = payload.split_at_mut(2);
/// let mut mask = Mask::new([0x37, 0xfa, 0x21, 0x3d]);
/// mask.apply(head);
/// mask.apply(tail);
/// assert_eq!(&payload, b"Hello");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask {
    key: [u8; 4],
}

impl Mask {
    /// Creates a mask at the start of a payload.
    pub const fn new(key: [u8; 4]) -> Self {
        Mask { key }
    }

    /// Masks or unmasks the next bytes of the payload. Both are the same operation.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        // Each step XORs eight bytes with the key twice, both in native order, so no byte is swapped. The compiler uses
        // vector registers for the loop.
        let [a, b, c, d] = self.key;
        let wide_key = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (chunks, tail) = bytes.as_chunks_mut::<8>();
        for chunk in chunks {
            *chunk = (u64::from_ne_bytes(*chunk) ^ wide_key).to_ne_bytes();
        }
        for (byte, key) in tail.iter_mut().zip([a, b, c, d, a, b, c]) {
            *byte ^= key;
        }
        self.key.rotate_left(tail.len() % 4);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition of RFC 6455 §5.3: octet i is XORed with key octet i modulo 4.
    fn by_definition(key: [u8; 4], bytes: &[u8]) -> Vec<u8> {
        bytes.iter().enumerate().map(|(index, byte)| byte ^ key[index % 4]).collect()
    }

    proptest! {
        #[test]
        fn masking_in_pieces_of_any_size_equals_the_definition(
            key: [u8; 4],
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            cuts in proptest::collection::vec(0usize..30, 0..20),
        ) {
            let expected = by_definition(key, &bytes);
            let mut masked = bytes;
            let mut mask = Mask::new(key);
            let mut rest = masked.as_mut_slice();
            for cut in cuts {
                let (head, tail) = rest.split_at_mut(cut.min(rest.len()));
                mask.apply(head);
                rest = tail;
            }
            mask.apply(rest);
            prop_assert_eq!(masked, expected);
        }

        #[test]
        fn masking_twice_returns_the_payload(key: [u8; 4], bytes: Vec<u8>) {
            let mut masked = bytes.clone();
            Mask::new(key).apply(&mut masked);
            Mask::new(key).apply(&mut masked);
            prop_assert_eq!(masked, bytes);
        }
    }
}
