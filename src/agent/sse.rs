//! An event stream (`text/event-stream`, as the HTML standard has it), read as its bytes come.
//!
//! Most crates that read one are adapters of asynchronous streams. Two are not, `sse-core` (0.2) and `sse-parse` (0.1):
//! both are new, and each is several times what is needed here, with dependencies of its own.

use std::mem;

const BOM: &[u8] = "\u{feff}".as_bytes();

/// One event. `id` and `retry` serve to connect again, which nobody does in the middle of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its `event`, or else `message`.
    pub name: String,
    /// Its lines of `data`.
    pub data: String,
}

/// A line or an event is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// What has come of a stream, and is no event yet.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    /// The line that has not ended. Characters are only made of whole events, since a piece may end inside one.
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    begun: bool,
    after_cr: bool,
    failed: bool,
}

impl Decoder {
    /// A stream of which an event may have so many bytes, and so may a line of it.
    pub fn new(limit: usize) -> Self {
        let (line, name, data) = (Vec::new(), Vec::new(), Vec::new());
        Self { limit, line, name, data, begun: false, after_cr: false, failed: false }
    }

    /// Takes the next bytes, cut anywhere, and adds the events that are whole now. What has failed once fails for ever.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), TooLong> {
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
            events.extend(self.take(piece)?);
        }
        Ok(())
    }

    /// Takes a part of one line, with its end if it has come.
    fn take(&mut self, piece: &[u8]) -> Result<Option<Event>, TooLong> {
        let (end, text) = match piece.split_last() {
            Some((end @ (b'\r' | b'\n'), text)) => (Some(*end), text),
            Some(_) | None => (None, piece),
        };
        let rest_of_crlf = mem::replace(&mut self.after_cr, end == Some(b'\r')) && piece == b"\n";
        if rest_of_crlf {
            return Ok(None);
        }
        self.extend_line(text)?;
        Ok(end.and_then(|_| self.end_line()))
    }

    fn extend_line(&mut self, text: &[u8]) -> Result<(), TooLong> {
        let held = self.line.len() + self.name.len() + self.data.len();
        self.failed |= text.len() > self.limit.saturating_sub(held);
        if self.failed {
            return Err(TooLong);
        }
        self.line.extend_from_slice(text);
        Ok(())
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = mem::take(&mut self.line);
        let first = !mem::replace(&mut self.begun, true);
        let line = line.strip_prefix(BOM).filter(|_| first).unwrap_or(&line);
        if line.is_empty() {
            return self.end_event();
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (field, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        self.set(field, value.strip_prefix(b" ").unwrap_or(value));
        None
    }

    /// Comments have no name.
    fn set(&mut self, field: &[u8], value: &[u8]) {
        match field {
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => self.name = value.to_vec(),
            _ => {}
        }
    }

    /// The event that an empty line ends, unless it has no data.
    fn end_event(&mut self) -> Option<Event> {
        let (name, mut data) = (mem::take(&mut self.name), mem::take(&mut self.data));
        data.pop()?;
        let name = if name.is_empty() { b"message" } else { &*name };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(Event { name: text(name), data: text(&data) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]], limit: usize) -> (Vec<Event>, Result<(), TooLong>) {
        let (mut decoder, mut events) = (Decoder::new(limit), Vec::new());
        let outcome = pieces.iter().try_for_each(|piece| decoder.push(piece, &mut events));
        (events, outcome)
    }

    /// The events of a stream as (name, data), however it is cut in two, or into single bytes.
    fn events(stream: &[u8]) -> Vec<(String, String)> {
        let (whole, outcome) = decode(&[stream], 1_000);
        assert_eq!(outcome, Ok(()));
        for place in 0..=stream.len() {
            let (before, after) = stream.split_at(place);
            assert_eq!(decode(&[before, b"", after], 1_000).0, whole, "cut at {place}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(decode(&bytes, 1_000).0, whole, "byte by byte");
        whole.into_iter().map(|event| (event.name, event.data)).collect()
    }

    fn data(stream: &str) -> Vec<String> {
        events(stream.as_bytes()).into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn an_event_is_what_stands_before_an_empty_line() {
        assert_eq!(data("data: a\n\ndata: b\n\n"), ["a", "b"]);
        assert_eq!(data("\n\n\ndata: a\n\n\n\ndata: b\n\n"), ["a", "b"]);
        assert_eq!(data("data: a\n\ndata: b\n"), ["a"], "an unfinished event is none");
        assert_eq!(data("data: a\n\ndata: b"), ["a"]);
    }

    #[test]
    fn lines_end_with_cr_lf_or_both() {
        assert_eq!(data("data: a\r\rdata: b\r\n\r\ndata: c\n\ndata: d\r\n\n"), ["a", "b", "c", "d"]);
        assert_eq!(data("data: a\r\ndata: b\r\ndata: c\n\r"), ["a\nb\nc"]);
        assert_eq!(data("data: a\r\n\r"), ["a"], "the event is there before the LF is");
        assert_eq!(data("data: a\n\r\ndata: b\r\n\r\n"), ["a", "b"]);
    }

    #[test]
    fn lines_of_data_are_joined() {
        assert_eq!(data("data: a\ndata: b\n\n"), ["a\nb"]);
        assert_eq!(data("data\ndata\n\n"), ["\n"]);
        assert_eq!(data("data\n\n"), [""]);
        assert_eq!(data("data: a\n: a comment\nretry: 5\ndata: b\n\n"), ["a\nb"]);
    }

    #[test]
    fn one_space_after_the_colon_is_not_of_the_value() {
        assert_eq!(data("data:a\n\ndata: a\n\ndata:  a\n\ndata:\ta\n\ndata: a:b\n\n"), ["a", "a", " a", "\ta", "a:b"]);
    }

    #[test]
    fn what_is_no_field_of_the_standard_is_passed_over() {
        assert_eq!(
            data(":\n\n: data: a\n\nid: 7\nretry: 5\n\ndatum: a\n\nDATA: a\n\n data: a\n\ndata : a\n\n").len(),
            0
        );
    }

    #[test]
    fn an_event_may_have_a_name_of_its_own() {
        let named = |name: &str, data: &str| (name.to_owned(), data.to_owned());
        assert_eq!(events(b"event: a\nevent: b\ndata: 1\n\ndata: 2\n\n"), [named("b", "1"), named("message", "2")]);
        assert_eq!(events(b"event: lost\n\ndata: 1\n\n"), [named("message", "1")]);
        assert_eq!(events(b"data: 1\nevent: a\nevent\n\n"), [named("message", "1")]);
    }

    #[test]
    fn a_byte_order_mark_is_dropped_at_the_start_alone() {
        assert_eq!(data("\u{feff}data: a\n\ndata: b\n\n"), ["a", "b"]);
        assert_eq!(data("\u{feff}\ndata: a\n\n"), ["a"]);
        assert_eq!(data("\u{feff}\u{feff}data: a\n\ndata: b\n\n"), ["b"]);
        assert_eq!(data("data: a\n\n\u{feff}data: b\n\n"), ["a"]);
        assert_eq!(data("data: \u{feff}a\n\n"), ["\u{feff}a"]);
    }

    #[test]
    fn what_is_not_utf_8_is_replaced_as_the_standard_says() {
        assert_eq!(data("data: ação 🇧🇷\n\n"), ["ação 🇧🇷"]);
        let replaced: [(&[u8], &str); 5] = [
            (b"data: \xff!\n\n", "\u{fffd}!"),
            (b"data: \xf0\x9f\x87\n\n", "\u{fffd}"),
            (b"data: \xf0\x9f\ndata: \x87\n\n", "\u{fffd}\n\u{fffd}"),
            (b"data: \xed\xa0\x80\n\n", "\u{fffd}\u{fffd}\u{fffd}"),
            (b"data: \xc0\xaf\n\n", "\u{fffd}\u{fffd}"),
        ];
        for (stream, text) in replaced {
            assert_eq!(events(stream), [("message".to_owned(), text.to_owned())], "{stream:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_an_error_however_it_comes() {
        for (stream, fits) in [
            ("data: 7890\n\n", 10),
            ("data: 7890\n\ndata: 7890\n\n", 10),
            (": 34567890\ndata: 7890\n\n", 10),
            ("data: 7890\ndata\n\n", 10),
            ("event: 8\ndata: 89\n\n", 9),
            ("data\ndata\ndata\ndata\n\n", 7),
            ("datum7890", 9),
        ] {
            let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            for pieces in [&[stream.as_bytes()][..], &bytes] {
                assert_eq!(decode(pieces, fits).1, Ok(()), "{stream:?} in {}", pieces.len());
                assert_eq!(decode(pieces, fits - 1).1, Err(TooLong), "{stream:?} in {}", pieces.len());
            }
        }
    }

    #[test]
    fn what_came_before_something_too_long_is_not_lost_and_nothing_comes_after_it() {
        let (mut decoder, mut events) = (Decoder::new(8), Vec::new());
        assert_eq!(decoder.push(b"data: a\n\ndata: endless", &mut events), Err(TooLong));
        assert_eq!(decoder.push(b"\n\ndata: b\n\n", &mut events), Err(TooLong));
        assert_eq!(events.iter().map(|event| &*event.data).collect::<Vec<_>>(), ["a"]);
    }
}
