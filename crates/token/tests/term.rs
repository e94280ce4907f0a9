//! The table of `bennu_token::term`, line by line, as the bytes of Erlang.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use bennu_token::term::{MAX_DEPTH, TermError, from_bytes, to_bytes};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize, Serializer};

/// Checks both directions.
#[track_caller]
fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, term: &[u8]) {
    let bytes = [&[131], term].concat();
    assert_eq!(to_bytes(&value).unwrap(), bytes);
    assert_eq!(from_bytes::<T>(&bytes).unwrap(), value);
}

/// Checks the direction from Erlang to Rust.
#[track_caller]
fn reads<T: DeserializeOwned + PartialEq + Debug>(term: &[u8], value: T) {
    assert_eq!(from_bytes::<T>(&[&[131], term].concat()).unwrap(), value);
}

#[track_caller]
fn refused<T: DeserializeOwned + Debug>(term: &[u8]) -> TermError {
    from_bytes::<T>(&[&[131], term].concat()).unwrap_err()
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename_all = "snake_case")]
enum Event {
    Closed,
    Open(u8),
    Move(u8, u8),
    Resize { width: u8 },
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct User {
    id: u8,
}

/// Bytes, serialized as by `serde_bytes`.
#[derive(PartialEq, Debug)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[test]
fn an_integer_has_the_encoding_of_erlang() {
    same(0_u8, &[97, 0]);
    same(255_i64, &[97, 255]);
    same(256_u16, &[98, 0, 0, 1, 0]);
    same(-1_i8, &[98, 255, 255, 255, 255]);
    same(i32::MAX, &[98, 127, 255, 255, 255]);
    same(i32::MIN, &[98, 128, 0, 0, 0]);
    same(1_u32 << 31, &[110, 4, 0, 0, 0, 0, 128]);
    same(-(1_i64 << 31) - 1, &[110, 4, 1, 1, 0, 0, 128]);
    same(u64::MAX, &[110, 8, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    same(u128::MAX, &[&[110, 16, 0][..], &[255; 16]].concat());
    same(i128::MIN, &[&[110, 16, 1][..], &[0; 15], &[128]].concat());
}

#[test]
fn an_integer_that_does_not_fit_is_refused_and_never_truncated() {
    assert!(matches!(refused::<u8>(&[98, 0, 0, 1, 0]), TermError::Custom(_)));
    assert!(matches!(refused::<u64>(&[98, 255, 255, 255, 255]), TermError::Custom(_)));
    let huge = [&[111, 0, 0, 0, 17, 0][..], &[1; 17]].concat();
    assert_eq!(refused::<u128>(&huge), TermError::IntegerTooLarge { bytes: 17 });
    assert_eq!(refused::<serde_json::Value>(&huge), TermError::IntegerTooLarge { bytes: 17 });
    reads(&[111, 0, 0, 0, 1, 0, 5], 5_u8);
}

#[test]
fn a_float_that_is_not_finite_is_refused() {
    same(1.5_f64, &[70, 63, 248, 0, 0, 0, 0, 0, 0]);
    same(1.5_f32, &[70, 63, 248, 0, 0, 0, 0, 0, 0]);
    reads(&[97, 3], 3.0_f64);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(to_bytes(&value), Err(TermError::NotFinite));
        let term = [&[70][..], &value.to_be_bytes()].concat();
        assert_eq!(refused::<f64>(&term), TermError::NotFinite);
    }
}

#[test]
fn text_and_bytes_are_binaries() {
    same("é".to_owned(), &[109, 0, 0, 0, 2, 0xC3, 0xA9]);
    same('é', &[109, 0, 0, 0, 2, 0xC3, 0xA9]);
    same(String::new(), &[109, 0, 0, 0, 0]);
    same(Bytes(vec![255, 0]), &[109, 0, 0, 0, 2, 255, 0]);
    reads(&[109, 0, 0, 0, 2, 255, 0], vec![255_u8, 0]);
    reads(&[109, 0, 0, 0, 2, 255, 0], [255_u8, 0]);
    reads(&[107, 0, 2, 1, 2], Bytes(vec![1, 2]));
    assert!(matches!(refused::<String>(&[109, 0, 0, 0, 1, 255]), TermError::Custom(_)));
    let bytes = to_bytes("borrowed").unwrap();
    assert_eq!(from_bytes::<&str>(&bytes), Ok("borrowed"));
}

#[test]
fn nil_true_and_false_have_their_own_types_and_other_atoms_are_text() {
    same((), &[119, 3, b'n', b'i', b'l']);
    same(None::<u8>, &[119, 3, b'n', b'i', b'l']);
    same(Some(5_u8), &[97, 5]);
    same(true, &[119, 4, b't', b'r', b'u', b'e']);
    reads(&[100, 0, 5, b'f', b'a', b'l', b's', b'e'], false);
    reads(&[115, 2, b'o', b'k'], "ok".to_owned());
    reads(&[118, 0, 2, b'o', b'k'], "ok".to_owned());
    assert!(matches!(refused::<String>(&[119, 3, b'n', b'i', b'l']), TermError::Custom(_)));
    assert!(matches!(refused::<String>(&[119, 4, b't', b'r', b'u', b'e']), TermError::Custom(_)));
}

#[test]
fn sequences_are_lists_and_those_of_bytes_are_packed() {
    same(Vec::<u64>::new(), &[106]);
    same(vec![1_u64, 2], &[107, 0, 2, 1, 2]);
    same(vec![1_u64, 256], &[108, 0, 0, 0, 2, 97, 1, 98, 0, 0, 1, 0, 106]);
    same(vec![97_u64, 256], &[108, 0, 0, 0, 2, 97, 97, 98, 0, 0, 1, 0, 106]);
    same(vec![Vec::<u8>::new(); 2], &[108, 0, 0, 0, 2, 106, 106, 106]);
    let longest = vec![7_u8; 65_535];
    assert_eq!(to_bytes(&longest).unwrap()[1], 107);
    let longer = vec![7_u8; 65_536];
    assert_eq!(to_bytes(&longer).unwrap()[1], 108);
    assert_eq!(from_bytes(&to_bytes(&longer).unwrap()), Ok(longer));
}

#[test]
fn tuples_and_arrays_are_tuples() {
    same((1_u8, "a".to_owned()), &[104, 2, 97, 1, 109, 0, 0, 0, 1, b'a']);
    same([1_u8, 2], &[104, 2, 97, 1, 97, 2]);
    let large = to_bytes(&Large).unwrap();
    assert_eq!(large[..6], [131, 105, 0, 0, 1, 0]);
    assert_eq!(from_bytes::<Vec<u8>>(&large).unwrap().len(), 256);
}

struct Large;

impl Serialize for Large {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeTuple;
        let mut tuple = serializer.serialize_tuple(256)?;
        for _ in 0..256 {
            tuple.serialize_element(&1)?;
        }
        tuple.end()
    }
}

#[test]
fn a_tuple_must_have_as_many_elements_as_the_type() {
    assert_eq!(refused::<(u8,)>(&[104, 2, 97, 1, 97, 2]), TermError::ElementsLeft(1));
    assert!(matches!(refused::<(u8, u8)>(&[104, 1, 97, 1]), TermError::Custom(_)));
    assert!(matches!(refused::<[u8; 3]>(&[109, 0, 0, 0, 2, 1, 1]), TermError::Custom(_)));
    assert!(matches!(refused::<[u8; 1]>(&[107, 0, 2, 1, 1]), TermError::Custom(_)));
}

#[test]
fn struct_fields_are_atoms_and_map_keys_are_data() {
    same(User { id: 7 }, &[116, 0, 0, 0, 1, 119, 2, b'i', b'd', 97, 7]);
    let string_keys = [116, 0, 0, 0, 1, 109, 0, 0, 0, 2, b'i', b'd', 97, 7];
    same(BTreeMap::from([("id".to_owned(), 7_u8)]), &string_keys);
    reads(&string_keys, User { id: 7 });
    reads(&[116, 0, 0, 0, 1, 119, 2, b'i', b'd', 97, 7], HashMap::from([("id".to_owned(), 7_u8)]));
    same(BTreeMap::from([(5_u8, true)]), &[116, 0, 0, 0, 1, 97, 5, 119, 4, b't', b'r', b'u', b'e']);
}

#[test]
fn any_atom_can_be_a_key() {
    let term = [116, 0, 0, 0, 1, 119, 3, b'n', b'i', b'l', 97, 7];
    reads(&term, HashMap::from([("nil".to_owned(), 7_u8)]));
    reads(&term, serde_json::json!({ "nil": 7 }));
}

#[test]
fn an_elixir_struct_is_read_like_a_map() {
    let term = [&[116, 0, 0, 0, 2, 119, 10][..], b"__struct__", &[119, 11], b"Elixir.User", &[119, 2], b"id", &[97, 7]]
        .concat();
    reads(&term, User { id: 7 });
}

#[test]
fn enums_are_atoms_or_tuples_that_start_with_one() {
    same(Event::Closed, &[&[119, 6][..], b"closed"].concat());
    same(Event::Open(5), &[&[104, 2, 119, 4][..], b"open", &[97, 5]].concat());
    same(Event::Move(1, 2), &[&[104, 3, 119, 4][..], b"move", &[97, 1, 97, 2]].concat());
    same(
        Event::Resize { width: 3 },
        &[&[104, 2, 119, 6][..], b"resize", &[116, 0, 0, 0, 1, 119, 5], b"width", &[97, 3]].concat(),
    );
    reads(&[&[109, 0, 0, 0, 6][..], b"closed"].concat(), Event::Closed);
    reads(&[&[104, 1, 119, 6][..], b"closed"].concat(), Event::Closed);
}

#[test]
fn an_enum_with_the_wrong_data_is_refused() {
    let closed_with_data = [&[104, 2, 119, 6][..], b"closed", &[97, 1]].concat();
    assert_eq!(refused::<Event>(&closed_with_data), TermError::ElementsLeft(1));
    for term in [
        [&[119, 4][..], b"open"].concat(),
        [&[104, 1, 119, 4][..], b"open"].concat(),
        [&[104, 2, 119, 4][..], b"move", &[97, 1]].concat(),
        [&[104, 4, 119, 4][..], b"move", &[97, 1, 97, 1, 97, 1]].concat(),
        [&[119, 4][..], b"nope"].concat(),
        vec![104, 0],
        vec![97, 1],
        vec![109, 0, 0, 0, 1, 255],
    ] {
        assert!(matches!(refused::<Event>(&term), TermError::Custom(_)), "{term:?}");
    }
}

#[test]
fn enums_nest_and_leave_the_depth_as_it_was() {
    let events = |n| (0..n).map(|n| Event::Resize { width: n }).chain([Event::Open(1)]);
    let value: Vec<Event> = events(200).collect();
    assert_eq!(from_bytes::<Vec<Event>>(&to_bytes(&value).unwrap()), Ok(value));
}

#[test]
fn a_term_that_is_not_plain_data_is_refused() {
    assert_eq!(refused::<IgnoredAny>(&[80, 0, 0, 0, 9]), TermError::Unsupported { tag: 80 });
    assert_eq!(refused::<IgnoredAny>(&[113]), TermError::Unsupported { tag: 113 });
    assert_eq!(refused::<Vec<u8>>(&[108, 0, 0, 0, 1, 97, 1, 97, 2]), TermError::ImproperList);
    assert_eq!(refused::<u8>(&[97, 1, 0]), TermError::TrailingBytes(1));
    assert_eq!(refused::<u8>(&[97]), TermError::Truncated { needed: 1, left: 0 });
    assert_eq!(from_bytes::<u8>(&[130, 97, 1]), Err(TermError::Version(130)));
    assert_eq!(from_bytes::<u8>(&[]), Err(TermError::Truncated { needed: 1, left: 0 }));
}

#[test]
fn nesting_has_the_same_limit_in_both_directions() {
    fn nested(levels: usize) -> serde_json::Value {
        (0..levels).fold(serde_json::json!("core"), |inner, _| serde_json::json!([inner]))
    }
    let deepest = nested(MAX_DEPTH);
    assert_eq!(from_bytes(&to_bytes(&deepest).unwrap()), Ok(deepest));
    assert_eq!(to_bytes(&nested(MAX_DEPTH + 1)), Err(TermError::TooDeep));

    let hostile = [&[131][..], &[104, 1].repeat(1_000_000), &[106]].concat();
    assert_eq!(from_bytes::<serde_json::Value>(&hostile), Err(TermError::TooDeep));
    assert!(from_bytes::<IgnoredAny>(&hostile).is_ok());
}

#[test]
fn a_name_too_long_for_an_atom_is_refused() {
    struct Long(&'static str);
    impl Serialize for Long {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_unit_variant("Long", 0, self.0)
        }
    }
    let name: &'static str = "é".repeat(255).leak();
    let bytes = to_bytes(&Long(name)).unwrap();
    assert_eq!(bytes[..4], [131, 118, 1, 254]);
    assert_eq!(from_bytes::<String>(&bytes).as_deref(), Ok(name));
    let name: &'static str = "x".repeat(256).leak();
    assert_eq!(to_bytes(&Long(name)), Err(TermError::AtomTooLong { length: 256, limit: 255 }));
}

#[test]
fn a_serialize_that_announces_a_wrong_length_is_an_error() {
    struct Miscounted;
    impl Serialize for Miscounted {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeTuple;
            serializer.serialize_tuple(2)?.end()
        }
    }
    assert_eq!(to_bytes(&Miscounted), Err(TermError::Arity { announced: 2, given: 0 }));
}
