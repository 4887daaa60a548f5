//! JSON from outside: what it says, and how deep it nests.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
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

/// What stands under these names in an object, whatever it is; nothing if the text is no object. Of what stands there twice
/// the last counts, as for most readers of JSON.
pub(crate) fn pick<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Option<[Option<&'a RawValue>; N]> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let picked = reader.deserialize_map(Pick(names)).ok()?;
    reader.end().is_ok().then_some(picked)
}

struct Pick<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> Visitor<'de> for Pick<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut picked = [None; N];
        while let Some(place) = object.next_key_seed(Place(&self.0))? {
            match place.and_then(|place| picked.get_mut(place)) {
                Some(value) => *value = Some(object.next_value()?),
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(picked)
    }
}

/// A name's place among those that are wanted.
struct Place<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Place<'_> {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|wanted| *wanted == name))
    }
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

    #[test]
    fn what_is_picked_may_be_anything_and_the_last_counts() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        let text = format!(r#" {{"c":{deep},"\u0062":[1, 2],"a":null}} "#);
        let pick = |text| pick(text, ["a", "b"]).map(|picked| picked.map(|value| value.map_or("", RawValue::get)));
        assert_eq!(pick(&text), Some(["null", "[1, 2]"]));
        assert_eq!(pick(r#"{"a":1,"a":"2"}"#), Some([r#""2""#, ""]));
        assert_eq!(pick("{}"), Some(["", ""]));
        for text in ["", "[1]", "7", "null", "{", r#"{"a":1}}"#, r#"{"a":}"#, r#"{"a":1,}"#] {
            assert_eq!(pick(text), None, "{text}");
        }
    }
}
