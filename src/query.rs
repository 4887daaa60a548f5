//! A URL's query: what stands after the question mark.

use crate::code::{Refusal, Reject};
use crate::history::{Anchor, Range};
use crate::id::{Cursor, Id, InvalidId, Seq};

/// A query, still as it is in the URL.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<'a>(pub &'a str);

impl Query<'_> {
    /// The first parameter of that name.
    pub fn get(self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.0.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// Whether a client says that it will confirm what it gets.
    pub fn acks(self) -> bool {
        self.says("acks")
    }

    /// Whether a client wants to know who else is there.
    pub fn presence(self) -> bool {
        self.says("presence")
    }

    fn says(self, name: &str) -> bool {
        matches!(self.get(name).as_deref(), Some("true" | "1"))
    }

    /// Which of the user's devices it is.
    pub fn device(self) -> Result<Option<Id>, Refusal> {
        let id = self.get("device").map(|text| text.parse());
        id.transpose().map_err(|invalid: InvalidId| Reject::InvalidId.because(invalid.0))
    }

    /// Where a connection is to go on.
    pub fn cursor(self) -> Result<Option<Cursor>, Refusal> {
        Cursor::parse(self.get("epoch").as_deref(), self.seq("since")?)
    }

    /// Which messages of a log are asked for.
    pub fn range(self) -> Result<Range, Refusal> {
        let from = match (self.seq("since")?, self.seq("before")?) {
            (None, None) => Anchor::Newest,
            (Some(seq), None) => Anchor::Since(seq),
            (None, Some(seq)) => Anchor::Before(seq),
            (Some(_), Some(_)) => return Err(bad("Ask for what comes `since` one message or `before` one, not both.")),
        };
        Ok(Range { from, limit: self.limit()? })
    }

    fn limit(self) -> Result<usize, Refusal> {
        match self.number("limit")? {
            None => Ok(Range::DEFAULT_LIMIT),
            Some(limit) => usize::try_from(limit)
                .ok()
                .filter(|limit| (1..=Range::MAX_LIMIT).contains(limit))
                .ok_or_else(|| bad(format!("`limit` is 1 to {}.", Range::MAX_LIMIT))),
        }
    }

    fn seq(self, name: &str) -> Result<Option<Seq>, Refusal> {
        Ok(self.number(name)?.map(Seq))
    }

    /// Digits and nothing else, where there is anything.
    fn number(self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten().filter(|number| *number <= Seq::MAX);
        number.map(Some).ok_or_else(|| bad(format!("`{name}` is a whole number up to {}.", Seq::MAX)))
    }
}

fn bad(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Reject::InvalidCursor.because(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Epoch;

    #[test]
    fn a_range_has_one_beginning_and_a_bound() {
        for (query, from, limit) in [
            ("", Anchor::Newest, 100),
            ("since=0", Anchor::Since(Seq(0)), 100),
            ("since=9007199254740991&limit=1000", Anchor::Since(Seq(Seq::MAX)), 1000),
            ("limit=1&before=7", Anchor::Before(Seq(7)), 1),
            ("since=007&since=x", Anchor::Since(Seq(7)), 100),
            ("Since=x&token=since", Anchor::Newest, 100),
        ] {
            assert_eq!(Query(query).range(), Ok(Range { from, limit }), "{query}");
        }
        for bad in [
            "since=1&before=2",
            "since=",
            "since=-1",
            "since=%2B1",
            "since=1.0",
            "since=0x1",
            "since=%EF%BC%91",
            "since=9007199254740992",
            "since=18446744073709551616",
            "before=x",
            "before=+1",
            "limit=0",
            "limit=1001",
            "limit=99999999999999999999",
            "limit=",
            "limit=ten",
        ] {
            let refusal = Query(bad).range().unwrap_err();
            assert_eq!(refusal.reject, Reject::InvalidCursor, "{bad}");
            assert!(refusal.message.len() > 10 && refusal.message.ends_with('.'), "{}", refusal.message);
        }
    }

    #[test]
    fn a_cursor_is_whole_or_not_there() {
        let cursor = Cursor { epoch: Epoch(0x00ab), seq: Seq(41) };
        assert_eq!(Query("since=41&epoch=00000000000000ab").cursor(), Ok(Some(cursor)));
        assert_eq!(Query("token=x").cursor(), Ok(None));
        for bad in [
            "since=41",
            "epoch=00000000000000ab",
            "epoch=ab&since=41",
            "epoch=&since=41",
            "epoch=00000000000000ab&since=x",
        ] {
            assert_eq!(Query(bad).cursor().unwrap_err().reject, Reject::InvalidCursor, "{bad}");
        }
    }

    #[test]
    fn a_device_has_an_id_and_confirms_if_it_says_so() {
        assert_eq!(Query("").device(), Ok(None));
        assert_eq!(Query("device=phone-1").device(), Ok(Some("phone-1".parse().unwrap())));
        for bad in ["device=", "device=a%20b", "device=%2F"] {
            assert_eq!(Query(bad).device().unwrap_err().reject, Reject::InvalidId, "{bad}");
        }
        for (query, acks) in [("acks=true", true), ("acks=1", true), ("acks=yes", false), ("acks", false), ("", false)]
        {
            assert_eq!(Query(query).acks(), acks, "{query}");
            assert_eq!(Query(&query.replace("acks", "presence")).presence(), acks, "{query}");
        }
    }
}
