//! Connection parameters: a JSON object, encoded as a query.

use bennu_channels::Params;
use serde_json::Value;

/// Encodes an object as `phoenix.js` does: a nested field becomes `key[field]=value`, and null is omitted.
#[track_caller]
pub(crate) fn query(params: &Value) -> Params {
    assert!(params.is_object(), "the connection parameters are not an object such as json!({{}}): {params}");
    let mut pairs = Vec::new();
    collect(None, params, &mut pairs);
    pairs.into_iter().collect()
}

fn collect(key: Option<&str>, value: &Value, pairs: &mut Vec<(String, String)>) {
    let nested = |name: &str| key.map_or_else(|| name.to_owned(), |key| format!("{key}[{name}]"));
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| collect(Some(&nested(name)), value, pairs)),
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                collect(Some(&nested(&at.to_string())), value, pairs);
            }
        }
        Value::Null => {}
        Value::String(text) => pairs.push((key.unwrap_or_default().to_owned(), text.clone())),
        Value::Bool(_) | Value::Number(_) => pairs.push((key.unwrap_or_default().to_owned(), value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_is_encoded_as_the_pairs_of_a_client() {
        let params = query(&json!({ "token": "a b", "page": 2, "none": null, "user": { "tags": ["x", true] } }));
        let mut pairs: Vec<_> = params.iter().collect();
        pairs.sort();
        assert_eq!(pairs, [("page", "2"), ("token", "a b"), ("user[tags][0]", "x"), ("user[tags][1]", "true")]);
    }

    #[test]
    #[should_panic(expected = "the connection parameters are not an object such as json!({}): [1]")]
    fn another_value_than_an_object_is_rejected() {
        query(&json!([1]));
    }
}
