//! Erlang's external term format, to and from serde types.
//!
//! Elixir's `:erlang.term_to_binary/1` writes this format, and `:erlang.binary_to_term/1` reads it. The module supports
//! plain data. The payload of every token is such a term. [`to_bytes`] and [`from_bytes`] are public for applications
//! that exchange terms in other ways.
//!
//! ```
//! use bennu_token::term;
//!
//! #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
//! struct User { id: u64, name: String }
//!
//! # fn main() -> Result<(), term::TermError> {
//! let user = User { id: 7, name: "Blue".into() };
//! let bytes = term::to_bytes(&user)?;                 // %{id: 7, name: "Blue"}
//! assert_eq!(term::from_bytes::<User>(&bytes)?, user);
//! # Ok(())
//! # }
//! ```
//!
//! # Rust to Erlang
//!
//! | Rust | Elixir | note |
//! |---|---|---|
//! | `i8` to `i128`, `u8` to `u128` | integer | |
//! | `f32`, `f64` | float | NaN and the infinities are refused, because Erlang does not have them |
//! | `bool`, `()`, `None` | `true` or `false`, `nil`, `nil` | `Some(x)` is `x` |
//! | `str`, `String`, `char` | binary | Elixir's strings |
//! | bytes (`serde_bytes`) | binary | |
//! | `Vec`, slice, any sequence | list | also `Vec<u8>`, which is a sequence like any other to serde |
//! | tuple, array, tuple struct | tuple | arrays are tuples to serde |
//! | newtype struct | the term of its field | |
//! | struct | map, field names as **atoms** | `%{user_id: id}` matches it; the names are few and fixed |
//! | `HashMap<String, _>`, any map | map, each key as its own term, so string keys as **binaries** | keys are data, and data must never become atoms, which Erlang never frees |
//! | unit struct | `nil` | |
//! | enum `Unit` | `:Unit` | `#[serde(rename_all = "snake_case")]` gives it an Elixir name |
//! | enum `New(x)` | `{:New, x}` | like `{:ok, x}` |
//! | enum `Tuple(x, y)` | `{:Tuple, x, y}` | |
//! | enum `Struct { x }` | `{:Struct, %{x: x}}` | |
//!
//! A struct with `#[serde(flatten)]` is a map to serde, and its keys are binaries.
//!
//! # Erlang to Rust
//!
//! | Elixir | Rust |
//! |---|---|
//! | integer up to 128 bits | any integer type that can represent it; a float |
//! | larger integer | refused, [`TermError::IntegerTooLarge`] |
//! | float | `f64`, `f32` |
//! | binary | `String` if it is UTF-8; bytes; a sequence of `u8` |
//! | `nil` | `None`, `()` |
//! | `true`, `false` | `bool` |
//! | any other atom | `String`, enum variant |
//! | map | struct, map; a key can be an atom or a binary, and in a map with `String` keys the atoms `nil`, `true` and `false` are text too |
//! | list, tuple | sequence, tuple, array; struct, field by field |
//! | list of small integers (charlist) | sequence of integers, bytes; never `String` |
//! | `:variant`, `"variant"`, `{:variant, ..}` | enum |
//! | improper list, pid, reference, port, function, bitstring, compressed term | refused |
//!
//! Types with a readable and a compact form (UUIDs, IP addresses, times) use the readable form in both directions. An
//! Elixir struct is a map with one more key, `__struct__`, which serde ignores by default.
//!
//! # Limits
//!
//! The bytes of a peer never cause a panic, and never allocate more memory than their own length justifies. A
//! collection that announces more elements than there are bytes is refused. Nothing is reserved for an announced
//! length. Nesting is limited to [`MAX_DEPTH`].
//!
//! # Why not the `eetf` crate
//!
//! It is a good codec between peers that trust each other. Its decoder (0.12.0) reserves memory for the number of
//! elements that a header of five bytes announces (up to 2^32), recurses as deep as the input nests, inflates
//! compressed terms without a limit, and reaches `unimplemented!()` on two tags. A token's bytes are authenticated
//! before they are decoded, but another service that shares the secret must not be able to crash this one either.

mod compound;
mod deserializer;
mod error;
mod integer;
mod reader;
mod serializer;
mod tag;
mod variant;
mod writer;

use serde::{Deserialize, Serialize};

use deserializer::TermDeserializer;
use serializer::TermSerializer;

pub use error::TermError;
pub(crate) use reader::{Head, Reader};

/// The maximum nesting of a term: 128 levels, as in `serde_json`, so every value from `serde_json` can be signed.
pub const MAX_DEPTH: usize = 128;

/// Writes a value as an Erlang term, with the version byte (131).
///
/// The bytes are those of `:erlang.term_to_binary/1` (OTP 26 and later) for the same term. Only the order of a map's
/// keys can differ: it is that of the value.
///
/// # Errors
///
/// Returns [`TermError`] for a float that is not finite, a name that is too long for an atom, nesting beyond
/// [`MAX_DEPTH`], and every error of the value's own `Serialize`.
pub fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, TermError> {
    let mut serializer = TermSerializer::default();
    value.serialize(&mut serializer)?;
    Ok(serializer.into_bytes())
}

/// Reads a value from the bytes of one Erlang term, with the version byte (131).
///
/// Memory and time are proportional to the number of bytes, which the caller must limit.
///
/// # Errors
///
/// Returns [`TermError`] if the bytes are not one complete term, if the term is refused (see the module's table), or if
/// it does not have the form of a `T`.
pub fn from_bytes<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, TermError> {
    let mut reader = Reader::new(bytes);
    reader.version()?;
    from_reader(reader)
}

/// Reads a value from a term without its version byte, such as an element of another term.
pub(crate) fn from_inner_bytes<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, TermError> {
    from_reader(Reader::new(bytes))
}

fn from_reader<'de, T: Deserialize<'de>>(reader: Reader<'de>) -> Result<T, TermError> {
    let mut deserializer = TermDeserializer::new(reader);
    let value = T::deserialize(&mut deserializer)?;
    deserializer.finish()?;
    Ok(value)
}
