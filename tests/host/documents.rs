//! The documents of the protocol against the code and the vectors.

use std::collections::BTreeSet;

use cidadao_realtime::code::{CloseCode, Reject};
use cidadao_realtime::limits::Limits;
use cidadao_realtime::route::Route;
use serde_json::json;

use crate::support::golden::{VECTORS, cases, client_types, excerpt, server_types, text, vectors};

const PROTOCOL: &str = include_str!("../../docs/protocol.md");
const ASYNCAPI: &str = include_str!("../../docs/asyncapi.yaml");
const OPENAPI: &str = include_str!("../../docs/openapi.yaml");

/// All texts in a field of that name, anywhere in all vectors.
fn named(field: &str) -> BTreeSet<String> {
    let all: String = VECTORS.map(|file| vectors(file).to_string()).concat();
    let begin = format!("\"{field}\":\"");
    all.split(&begin).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}

/// What a document must name in one form, and what it is.
fn assert_names(document: &str, all: impl IntoIterator<Item = String>, form: impl Fn(&str) -> String) {
    let missing: Vec<String> =
        all.into_iter().map(|name| form(&name)).filter(|name| !document.contains(name)).collect();
    assert_eq!(missing, Vec::<String>::new(), "missing in the document");
}

fn codes() -> impl Iterator<Item = String> {
    Reject::ALL.into_iter().map(|reject| reject.code().to_owned())
}

#[test]
fn the_protocol_names_every_type_code_and_route() {
    assert_names(PROTOCOL, codes().chain(named("code")), |code| format!("| `{code}` |"));
    assert_names(PROTOCOL, named("type").into_iter().chain(client_types()).chain(server_types()), |name| {
        format!("`{name}`")
    });
    for reject in Reject::ALL {
        let row = PROTOCOL.lines().find(|line| line.starts_with(&format!("| `{}` |", reject.code()))).unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let retry = if reject.retry() { "yes" } else { "no" };
        let close = CloseCode::from(reject).number();
        assert_eq!(cells[2..5], [reject.status().to_string(), close.to_string(), retry.to_owned()], "{row}");
    }
}

#[test]
fn the_protocol_lists_every_limit_with_its_default() {
    let limits = format!("{:?}", Limits::default());
    let limits = limits.trim_start_matches("Limits { ").trim_end_matches(" }").split(", ");
    let row = |limit: &str| limit.split_once(": ").map(|(name, value)| format!("| `{name}` | {value} |")).unwrap();
    assert_names(PROTOCOL, limits.map(row), str::to_owned);
}

#[test]
fn the_examples_of_the_protocol_are_vectors() {
    let all: String = VECTORS.map(|file| vectors(file).to_string()).concat();
    for block in PROTOCOL.split("```json\n").skip(1) {
        let (block, _) = block.split_once("```").unwrap();
        for line in block.lines() {
            assert!(all.contains(&json!(line).to_string()), "no vector: {line}");
        }
    }
}

#[test]
fn asyncapi_names_every_frame_and_code() {
    assert_names(ASYNCAPI, codes().chain(client_types()), |name| format!("- {name}\n"));
    assert_names(ASYNCAPI, server_types(), |name| format!("const: {name}\n"));
}

/// The operations of the document, each as method and path.
fn operations() -> Vec<(String, String)> {
    let paths = excerpt(OPENAPI, "\npaths:\n", "\ncomponents:\n");
    let mut path = "";
    let mut operations = Vec::new();
    for line in paths.lines() {
        if let Some(name) = line.strip_prefix("  /").and_then(|line| line.strip_suffix(':')) {
            path = name;
        } else if ["get", "head", "post", "put", "patch", "delete"]
            .iter()
            .any(|method| line == format!("    {method}:"))
        {
            operations.push((line.trim().trim_end_matches(':').to_uppercase(), format!("/{path}")));
        }
    }
    operations
}

fn fits(template: &str, path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len() && template.iter().zip(path).all(|(part, name)| part.starts_with('{') || *part == name)
}

#[test]
fn openapi_names_every_route_and_code_and_no_other() {
    let operations = operations();
    assert_names(OPENAPI, codes(), |code| format!("- {code}\n"));
    for (method, path) in &operations {
        assert!(Route::parse(method, &path.replace(['{', '}'], "")).is_ok(), "no such route: {method} {path}");
    }
    for case in cases("routes", "cases").iter().filter(|case| case.get("route").is_some()) {
        let known = |(method, template): &(String, String)| {
            method == text(case, "method") && fits(template, text(case, "path"))
        };
        assert!(operations.iter().any(known), "{case}");
    }
}
