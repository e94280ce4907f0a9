//! Erlang's external term format, to and from serde types.
//!
//! What Elixir's `:erlang.term_to_binary/1` writes and `:erlang.binary_to_term/1` reads, as far as plain data goes.
//! Tokens hold their values in it; [`Token`](crate::Token) is the one caller here, and both functions are public
//! for whoever has to read such bytes elsewhere.
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
//! | Rust | Elixir | why |
//! |---|---|---|
//! | `i8` to `i128`, `u8` to `u128` | integer | |
//! | `f32`, `f64` | float | NaN and the infinities are refused: Erlang has none |
//! | `bool`, `()`, `None` | `true` or `false`, `nil`, `nil` | `Some(x)` is `x` |
//! | `str`, `String`, `char` | binary | Elixir's strings |
//! | bytes (`serde_bytes`) | binary | |
//! | `Vec`, slice, any sequence | list | also `Vec<u8>`, which serde cannot tell from the others |
//! | tuple, array, tuple struct | tuple | arrays are tuples to serde |
//! | newtype struct | what it holds | |
//! | struct | map, field names as **atoms** | what `%{user_id: id}` matches; the names are few and fixed |
//! | `HashMap<String, _>`, any map | map, keys as they are, so string keys as **binaries** | keys are data, and data must never become atoms, which Erlang never frees |
//! | unit struct | `nil` | |
//! | enum `Unit` | `:Unit` | name it the Elixir way with `#[serde(rename_all = "snake_case")]` |
//! | enum `New(x)` | `{:New, x}` | like `{:ok, x}` |
//! | enum `Tuple(x, y)` | `{:Tuple, x, y}` | |
//! | enum `Struct { x }` | `{:Struct, %{x: x}}` | |
//!
//! A struct with `#[serde(flatten)]` is a map to serde, and gets binaries for keys.
//!
//! # Erlang to Rust
//!
//! | Elixir | Rust |
//! |---|---|
//! | integer up to 128 bits | any integer type that holds it; a float |
//! | larger integer | refused, [`TermError::IntegerTooLarge`] |
//! | float | `f64`, `f32` |
//! | binary | `String` if it is UTF-8; bytes; where a sequence is asked for, one of `u8` |
//! | `nil` | `None`, `()` |
//! | `true`, `false` | `bool` |
//! | any other atom | `String`, enum variant |
//! | map | struct, map; keys may be atoms or binaries alike, and for a map with `String` keys `nil`, `true` and `false` are text too |
//! | list, tuple | sequence, tuple, array; struct, field by field |
//! | list of small integers (charlist) | sequence of integers, bytes; never `String` |
//! | `:variant`, `"variant"`, `{:variant, ..}` | enum |
//! | improper list, pid, reference, port, function, bitstring, compressed term | refused |
//!
//! Types with a readable and a compact form (UUIDs, IP addresses, times) take the readable one both ways. An Elixir
//! struct is a map with one more key, `__struct__`, which serde ignores unless told otherwise.
//!
//! # Limits
//!
//! Bytes from outside never panic and never take memory that they do not pay for: a collection that claims more
//! elements than there are bytes is refused before anything is made of it, nothing is reserved on a claim, and
//! nesting ends at [`MAX_DEPTH`].
//!
//! # Why not the `eetf` crate
//!
//! It is a good codec between peers who trust each other, which is not this case. Its decoder (0.12.0) reserves
//! memory for the number of elements that five bytes claim (up to 2^32), follows nesting as deep as the stack goes,
//! inflates compressed terms without a limit, and reaches `unimplemented!()` on two tags. A token's bytes are
//! authenticated before they get here, but a service that shares the secret should not be able to bring this
//! one down either.

mod compound;
mod deserializer;
mod enumeration;
mod error;
mod integer;
mod reader;
mod serializer;
mod tag;
mod values;
mod writer;

use serde::{Deserialize, Serialize};

use deserializer::TermDeserializer;
use serializer::TermSerializer;

pub use error::TermError;
pub(crate) use reader::{Head, Reader};

/// How deep terms may be nested: 128 levels, as in `serde_json`, so that whatever that reads can be signed.
pub const MAX_DEPTH: usize = 128;

/// Writes a value as an Erlang term, version byte (131) included.
///
/// The bytes are those of `:erlang.term_to_binary/1` (OTP 26 and later) for the same term, but for the order of a
/// map's keys, which is the value's own.
///
/// # Errors
///
/// A [`TermError`] if the value has no such form: a float that is not finite, a name longer than
/// an atom may be, nesting beyond [`MAX_DEPTH`], or what its own `Serialize` reports.
pub fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, TermError> {
    let mut serializer = TermSerializer::default();
    value.serialize(&mut serializer)?;
    Ok(serializer.into_bytes())
}

/// Reads a value from the bytes of one Erlang term, version byte (131) included.
///
/// Memory and time are proportional to the number of bytes; limiting that is the caller's part.
///
/// # Errors
///
/// A [`TermError`] if the bytes are not one whole term, if the term is refused (see the module's table), or if it
/// is not what `T` asks for.
pub fn from_bytes<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, TermError> {
    let mut reader = Reader::new(bytes);
    reader.version()?;
    from_reader(reader)
}

/// Reads a value from a term without its version byte, which is how terms lie inside each other.
pub(crate) fn from_inner_bytes<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, TermError> {
    from_reader(Reader::new(bytes))
}

fn from_reader<'de, T: Deserialize<'de>>(reader: Reader<'de>) -> Result<T, TermError> {
    let mut deserializer = TermDeserializer::new(reader);
    let value = T::deserialize(&mut deserializer)?;
    deserializer.finish()?;
    Ok(value)
}
