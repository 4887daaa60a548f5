//! JSON from outside: what it says, and how deep it nests.

use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::code::{Refusal, Reject};

/// Reads an object. What is JSON, but not the object that is wanted, is refused as `invalid`.
pub(crate) fn object<'a, T: Deserialize<'a>>(text: &'a str, invalid: Reject) -> Result<T, Refusal> {
    // A derived reader would take an array for its fields in their order.
    if !text.trim_ascii_start().starts_with('{') {
        read::<&RawValue>(text, invalid)?;
        return Err(invalid.into());
    }
    read(text, invalid)
}

/// Reads any JSON.
pub(crate) fn read<'a, T: Deserialize<'a>>(text: &'a str, invalid: Reject) -> Result<T, Refusal> {
    serde_json::from_str(text).map_err(|error| {
        let reject = match error.classify() {
            Category::Data => invalid,
            Category::Eof | Category::Io | Category::Syntax => Reject::InvalidJson,
        };
        reject.because(error.to_string())
    })
}

/// How deep the brackets of a JSON text nest. Unparsed `data` is passed on as it is, so the parser does not count.
pub(crate) fn depth(text: &str) -> usize {
    let (mut deepest, mut depth, mut quoted, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Pair {
        a: u8,
    }

    #[test]
    fn only_an_object_is_an_object() {
        let read =
            |text| object::<Pair>(text, Reject::InvalidFrame).map(|pair| pair.a).map_err(|refusal| refusal.reject);
        assert_eq!(read(r#" {"a":1}"#), Ok(1));
        for text in ["[1]", "1", "null", r#""{}""#, "{}", r#"{"a":"1"}"#] {
            assert_eq!(read(text), Err(Reject::InvalidFrame), "{text}");
        }
        for text in ["", "[1", "{", "a", r#"{"a":1}}"#] {
            assert_eq!(read(text), Err(Reject::InvalidJson), "{text}");
        }
    }
}
