//! What is answered to who asks for a file: which of its bytes, and under which headers. They are for keeping, never for
//! a browser to run.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::origin::Header;
use serde::{Deserialize, Serialize};

/// Where a file is that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Under this key.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Its media type.
    pub content_type: String,
    /// Its SHA-256.
    pub sha256: String,
}

/// What a name may hold in a header, as in RFC 8187.
const IN_A_HEADER: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What of a request decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions<'a> {
    /// The `If-None-Match` header.
    pub none_match: Option<&'a str>,
    /// The `If-Range` header.
    pub if_range: Option<&'a str>,
    /// The `Range` header.
    pub range: Option<&'a str>,
}

/// An answer, but for the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<Header>,
    /// Which bytes go with it: the first, and how many.
    pub bytes: Option<(u64, u64)>,
}

/// Decides over an answer.
pub fn answer(held: &Held, conditions: Conditions<'_>) -> Download {
    let tag = format!("\"{}\"", held.sha256);
    let mut headers = lasting(held, &tag);
    if conditions.none_match.is_some_and(|list| names(list, &tag)) {
        return Download { status: 304, headers, bytes: None };
    }
    let asked = conditions.range.filter(|_| conditions.if_range.is_none_or(|known| known.trim() == tag));
    let (status, bytes) = match asked.and_then(|range| parse(range, held.size)) {
        None => (200, (0, held.size)),
        Some(None) => {
            headers.push(("content-range", format!("bytes */{}", held.size)));
            return Download { status: 416, headers, bytes: None };
        }
        Some(Some((first, length))) => {
            let last = first.saturating_add(length).saturating_sub(1);
            headers.push(("content-range", format!("bytes {first}-{last}/{}", held.size)));
            (206, (first, length))
        }
    };
    headers.push(("content-type", held.content_type.clone()));
    headers.push(("content-length", bytes.1.to_string()));
    Download { status, headers, bytes: Some(bytes) }
}

fn lasting(held: &Held, tag: &str) -> Vec<Header> {
    let name = utf8_percent_encode(&held.name, IN_A_HEADER);
    let fixed = [
        ("content-disposition", format!("attachment; filename*=UTF-8''{name}")),
        ("x-content-type-options", "nosniff".to_owned()),
        ("content-security-policy", "sandbox".to_owned()),
        ("cache-control", "private".to_owned()),
        ("accept-ranges", "bytes".to_owned()),
        ("etag", tag.to_owned()),
        ("access-control-expose-headers", "accept-ranges, content-disposition, content-range, etag".to_owned()),
    ];
    fixed.to_vec()
}

/// Whether a list of tags names this one.
fn names(list: &str, tag: &str) -> bool {
    list.split(',').map(str::trim).any(|named| named == "*" || named.strip_prefix("W/").unwrap_or(named) == tag)
}

/// The one range that is asked for: the first byte, and how many. `None`: that is no range, and all is meant;
/// `Some(None)`: there are no such bytes. Several ranges are taken for none, as anybody may do.
fn parse(range: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = range.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let length = number(last)?.min(size);
        return Some((length > 0).then(|| (size.saturating_sub(length), length)));
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    let length = last.min(size.saturating_sub(1)).saturating_sub(first).saturating_add(1);
    Some((first < size).then_some((first, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Held {
        let [key, content_type, sha256] = ["k", "application/pdf", "ab"].map(str::to_owned);
        Held { key, name: "nota \"ção\".pdf".to_owned(), size: 1_000, content_type, sha256 }
    }

    fn header(download: &Download, name: &str) -> Option<String> {
        download.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn one_range_is_given_and_whatever_is_none_means_all() {
        for (range, status, bytes, content_range) in [
            ("bytes=0-0", 206, Some((0, 1)), Some("bytes 0-0/1000")),
            ("bytes=0-", 206, Some((0, 1_000)), Some("bytes 0-999/1000")),
            ("bytes=990-2000", 206, Some((990, 10)), Some("bytes 990-999/1000")),
            ("bytes=-10", 206, Some((990, 10)), Some("bytes 990-999/1000")),
            ("bytes=-5000", 206, Some((0, 1_000)), Some("bytes 0-999/1000")),
            ("bytes=999-99999999999999999999999", 206, Some((999, 1)), Some("bytes 999-999/1000")),
            ("bytes=1000-", 416, None, Some("bytes */1000")),
            ("bytes=-0", 416, None, Some("bytes */1000")),
            ("bytes=5-4", 200, Some((0, 1_000)), None),
            ("bytes=0-1,5-6", 200, Some((0, 1_000)), None),
            ("bytes=+1-2", 200, Some((0, 1_000)), None),
            ("bytes=-", 200, Some((0, 1_000)), None),
            ("bytes=", 200, Some((0, 1_000)), None),
            ("lines=1-2", 200, Some((0, 1_000)), None),
        ] {
            let download = answer(&held(), Conditions { range: Some(range), ..Conditions::default() });
            assert_eq!((download.status, download.bytes), (status, bytes), "{range}");
            assert_eq!(header(&download, "content-range").as_deref(), content_range, "{range}");
        }
    }

    #[test]
    fn who_has_it_is_not_sent_it_again() {
        for (list, status) in [("\"ab\"", 304), ("\"x\", W/\"ab\"", 304), ("*", 304), ("\"x\"", 200), ("ab", 200)] {
            let conditions = Conditions { none_match: Some(list), ..Conditions::default() };
            assert_eq!(answer(&held(), conditions).status, status, "{list}");
        }
        for (tag, status) in [("\"ab\"", 206), ("\"x\"", 200), ("W/\"ab\"", 200)] {
            let conditions = Conditions { if_range: Some(tag), range: Some("bytes=0-1"), none_match: None };
            assert_eq!(answer(&held(), conditions).status, status, "{tag}");
        }
    }

    #[test]
    fn no_answer_invites_a_browser_to_run_the_file() {
        for range in [None, Some("bytes=0-1"), Some("bytes=5000-")] {
            let download = answer(&held(), Conditions { range, ..Conditions::default() });
            let disposition = "attachment; filename*=UTF-8''nota%20%22%C3%A7%C3%A3o%22.pdf";
            assert_eq!(header(&download, "content-disposition").as_deref(), Some(disposition));
            assert_eq!(header(&download, "x-content-type-options").as_deref(), Some("nosniff"));
            assert_eq!(header(&download, "content-security-policy").as_deref(), Some("sandbox"));
        }
    }
}
