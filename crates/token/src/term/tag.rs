//! The tags of the external term format: the first byte of a term, which selects its layout.
//!
//! Source: Erlang's ERTS User's Guide, chapter "External Term Format", whose names end in `_EXT`. The constants are the
//! tags that this crate reads or writes. [`describe_refused`] describes the others for error messages.

/// The version byte, the first byte of a term that is not part of another one.
pub(super) const VERSION: u8 = 131;

/// 8 bytes, IEEE 754, big-endian.
pub(super) const NEW_FLOAT: u8 = 70;
/// 1 byte, unsigned.
pub(super) const SMALL_INTEGER: u8 = 97;
/// 4 bytes, signed, big-endian.
pub(super) const INTEGER: u8 = 98;
/// Length in 2 bytes, Latin-1 text. Deprecated; OTP before 26 writes it.
pub(super) const ATOM: u8 = 100;
/// Arity in 1 byte, elements.
pub(super) const SMALL_TUPLE: u8 = 104;
/// Arity in 4 bytes, elements.
pub(super) const LARGE_TUPLE: u8 = 105;
/// The empty list, and the tail of every proper list.
pub(super) const NIL: u8 = 106;
/// Length in 2 bytes, then one byte for each element: a list of integers from 0 to 255.
pub(super) const STRING: u8 = 107;
/// Length in 4 bytes, elements, tail.
pub(super) const LIST: u8 = 108;
/// Length in 4 bytes, bytes.
pub(super) const BINARY: u8 = 109;
/// Length in 1 byte, sign (1 is negative), magnitude in little-endian bytes.
pub(super) const SMALL_BIG: u8 = 110;
/// Length in 4 bytes, sign, magnitude in little-endian bytes.
pub(super) const LARGE_BIG: u8 = 111;
/// Length in 1 byte, Latin-1 text. Deprecated.
pub(super) const SMALL_ATOM: u8 = 115;
/// Number of pairs in 4 bytes, then key, value, key, value.
pub(super) const MAP: u8 = 116;
/// Length in 2 bytes, UTF-8 text.
pub(super) const ATOM_UTF8: u8 = 118;
/// Length in 1 byte, UTF-8 text. OTP 26 and later write it.
pub(super) const SMALL_ATOM_UTF8: u8 = 119;

/// Returns the kind of term of a tag that is not accepted.
pub(super) fn describe_refused(tag: u8) -> &'static str {
    match tag {
        77 => "a bitstring",
        80 => "a compressed term",
        82 => "a reference into an atom cache",
        88 | 103 => "a pid",
        89 | 102 | 120 => "a port",
        90 | 101 | 114 => "a reference",
        99 => "a float as text",
        112 | 113 | 117 => "a function",
        121 => "a term local to one node",
        _ => "an unknown term",
    }
}
