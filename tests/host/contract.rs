//! What several files say of the same thing is the same.

use std::collections::BTreeSet;

use cidadao_realtime::code::Reject;
use cidadao_realtime::config::SETTINGS;
use cidadao_realtime::limits::Limits;

const WRANGLER: &str = include_str!("../../wrangler.toml");
const README: &str = include_str!("../../README.md");
const ENTRY: &str = include_str!("../../src/edge/entry.js");

/// The first cells of a README table, from the rows that begin with a name in backquotes.
fn table(heading: &str) -> Vec<Vec<String>> {
    let section = README.split_once(heading).expect(heading).1;
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.split('|').map(|cell| cell.trim().replace('`', "")).filter(|cell| !cell.is_empty()).collect())
        .collect()
}

#[test]
fn the_readme_lists_exactly_the_settings_that_are_read() {
    let documented: Vec<(String, String)> =
        table("## Configuration").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let read: Vec<(String, String)> =
        SETTINGS.iter().map(|setting| (setting.name.to_owned(), setting.default.to_owned())).collect();
    assert_eq!(documented, read);
}

#[test]
fn the_readme_lists_exactly_the_codes_there_are() {
    let documented: BTreeSet<(String, String)> =
        table("## Errors").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let known: BTreeSet<(String, String)> =
        Reject::ALL.iter().map(|reject| (reject.code().to_owned(), reject.status().to_string())).collect();
    assert_eq!(documented, known);
}

#[test]
fn wrangler_binds_what_the_worker_asks_for_and_sets_nothing_else() {
    assert!(WRANGLER.contains("name = \"ROOMS\"\nclass_name = \"Room\""));
    assert!(WRANGLER.contains("[[r2_buckets]]\nbinding = \"FILES\""));
    assert!(WRANGLER.contains("new_sqlite_classes = [\"Room\"]"));
    assert!(ENTRY.contains("export class Room "));
    let vars = WRANGLER.split_once("[vars]").map_or("", |(_, vars)| vars.split("\n[").next().unwrap_or_default());
    for line in vars.lines().filter(|line| line.contains('=')) {
        let name = line.trim_start_matches("# ").split('=').next().unwrap_or_default().trim();
        let setting = SETTINGS.iter().find(|setting| setting.name == name);
        assert!(setting.is_some_and(|setting| !setting.secret), "{name}");
    }
    for secret in SETTINGS.iter().filter(|setting| setting.secret) {
        assert!(!WRANGLER.contains(secret.name), "{} belongs into a secret", secret.name);
    }
}

#[test]
fn the_entry_refuses_as_the_core_does() {
    let internal = Reject::Internal;
    assert!(ENTRY.contains(&format!(
        "code: \"{}\", message: \"{}\", retry: true",
        internal.code(),
        internal.meaning()
    )));
}

#[test]
fn a_largest_message_fits_a_row_of_the_log_and_a_default_python_client() {
    let limits = Limits::default();
    assert!(limits.message_bytes <= 1 << 20, "Python's websockets takes frames of 1 MiB unless told otherwise");
    assert!(limits.log_bytes <= 1 << 30, "a tenth of an object's 10 GB");
}
