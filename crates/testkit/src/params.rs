//! Parameters of a connection, written as an object and sent as a query.

use bennu_channels::Params;
use serde_json::Value;

/// What `phoenix.js` makes of an object: nested ones become `key[field]=value`, and null is left out.
#[track_caller]
pub(crate) fn query(params: &Value) -> Params {
    assert!(params.is_object(), "the parameters of a connection must be an object, as json!({{}}), not {params}");
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
    fn an_object_becomes_the_pairs_that_a_client_would_send() {
        let params = query(&json!({ "token": "a b", "page": 2, "none": null, "user": { "tags": ["x", true] } }));
        let mut pairs: Vec<_> = params.iter().collect();
        pairs.sort();
        assert_eq!(pairs, [("page", "2"), ("token", "a b"), ("user[tags][0]", "x"), ("user[tags][1]", "true")]);
    }

    #[test]
    #[should_panic(expected = "must be an object, as json!({}), not [1]")]
    fn what_is_no_object_is_refused() {
        query(&json!([1]));
    }
}
