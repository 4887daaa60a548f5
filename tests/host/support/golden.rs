//! The golden vectors as data, and what the code holds, read from its text.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

/// The files.
pub(crate) const VECTORS: [&str; 7] =
    ["client-frames", "codes", "grants", "ids", "messages", "routes", "server-frames"];

pub(crate) fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(format!("{file}.json"))
}

pub(crate) fn vectors(file: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path(file)).unwrap()).expect(file)
}

pub(crate) fn cases(file: &str, list: &str) -> Vec<Value> {
    vectors(file)[list].as_array().expect(list).clone()
}

pub(crate) fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("no text {field} in {case}"))
}

/// The lines of a source between two marks: an enum cannot be asked for its variants, so they are read.
pub(crate) fn excerpt<'a>(source: &'a str, begin: &str, end: &str) -> &'a str {
    source.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).expect(begin).0
}

pub(crate) fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        snake.push_str(if letter.is_ascii_uppercase() && !snake.is_empty() { "_" } else { "" });
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

pub(crate) fn variants(source: &str, name: &str) -> BTreeSet<String> {
    let body = excerpt(source, &format!("pub enum {name}"), "\n}\n");
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let lines = lines.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    lines.map(|line| snake_case(line.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap())).collect()
}

/// Every `type` that the room knows of a client.
pub(crate) fn client_types() -> BTreeSet<String> {
    let arms = excerpt(include_str!("../../../src/protocol/client.rs"), "match envelope.kind.as_ref() {", "_ =>");
    let patterns = arms.lines().filter(|line| line.trim_start().starts_with('"')).map(|line| {
        let (patterns, _) = line.split_once("=>").unwrap();
        patterns.split('|').map(|pattern| pattern.trim().trim_matches('"').to_owned())
    });
    patterns.flatten().collect()
}

pub(crate) fn server_types() -> BTreeSet<String> {
    let mut types = variants(include_str!("../../../src/protocol/server.rs"), "ServerFrame<'a>");
    types.insert("batch".to_owned());
    types
}
