//! Typists: who is typing, as the others were told.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::id::Id;
use crate::limits::Limits;
use crate::moment::Millis;

/// Those who type.
#[derive(Debug, Default)]
pub struct Typing(BTreeMap<Id, Typist>);

#[derive(Clone, Copy, Debug)]
struct Typist {
    /// When the others were last told.
    told: Millis,
    /// When it counts as having stopped, if it says nothing more.
    until: Millis,
}

/// What the others are told of somebody.
#[derive(Clone, Debug, Serialize)]
pub struct Notice<'a> {
    user_id: &'a Id,
    #[serde(rename = "isTyping")]
    typing: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<u64>,
}

impl<'a> Notice<'a> {
    /// Somebody types, for so many milliseconds unless it says so again; or does no more.
    pub const fn new(user_id: &'a Id, expires_in_ms: Option<u64>) -> Self {
        Self { user_id, typing: expires_in_ms.is_some(), expires_in_ms }
    }
}

impl Typing {
    /// Those of whom the others were told that they type, and until when, before the room was lost from memory.
    pub fn open<'a>(typists: impl Iterator<Item = (&'a Id, Millis)>, limits: &Limits) -> Self {
        let mut typing = Self::default();
        for (user, until) in typists {
            let told = Millis(until.0.saturating_sub(limits.typing_timeout));
            let typist = typing.0.entry(user.clone()).or_insert(Typist { told, until });
            (typist.told, typist.until) = (typist.told.max(told), typist.until.max(until));
        }
        typing
    }

    /// Somebody types. Says whether the others are to be told: not if they were just now.
    pub fn types(&mut self, user: &Id, now: Millis, limits: &Limits) -> bool {
        let until = now.plus(limits.typing_timeout);
        match self.0.get_mut(user) {
            Some(typist) if now < typist.told.plus(limits.typing_repeat) => {
                typist.until = until;
                false
            }
            Some(_) | None => {
                self.0.insert(user.clone(), Typist { told: now, until });
                true
            }
        }
    }

    /// Somebody has stopped. Says whether it had been typing.
    pub fn stops(&mut self, user: &Id) -> bool {
        self.0.remove(user).is_some()
    }

    /// Those who have said nothing for too long.
    pub fn silent(&self, now: Millis) -> Vec<Id> {
        self.0.iter().filter(|(_, typist)| typist.until <= now).map(|(user, _)| user.clone()).collect()
    }

    /// When somebody will have said nothing for too long.
    pub fn deadline(&self) -> Option<Millis> {
        self.0.values().map(|typist| typist.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Id {
        text.parse().unwrap()
    }

    #[test]
    fn who_goes_on_typing_is_told_of_now_and_then() {
        let (limits, mut typing, ana) = (Limits::default(), Typing::default(), id("ana"));
        let told: Vec<u64> =
            (0..10).map(|second| second * 1_000).filter(|now| typing.types(&ana, Millis(*now), &limits)).collect();
        assert_eq!(told, [0, 3_000, 6_000, 9_000]);
        assert_eq!(typing.deadline(), Some(Millis(15_000)));
    }

    #[test]
    fn silence_counts_from_the_last_word_even_if_that_was_not_passed_on() {
        let (limits, mut typing, ana) = (Limits::default(), Typing::default(), id("ana"));
        assert!(typing.types(&ana, Millis(0), &limits) && !typing.types(&ana, Millis(2_999), &limits));
        assert_eq!(typing.silent(Millis(8_998)), []);
        assert_eq!(typing.silent(Millis(8_999)), std::slice::from_ref(&ana));
        assert!(typing.stops(&ana) && !typing.stops(&ana));
        assert!(typing.types(&ana, Millis(9_000), &limits), "who begins again is told of at once");
    }

    #[test]
    fn after_a_sleep_the_latest_of_a_users_sockets_counts() {
        let (limits, ana) = (Limits::default(), id("ana"));
        let typists = [(&ana, Millis(7_000)), (&ana, Millis(9_000)), (&ana, Millis(8_000))];
        let mut typing = Typing::open(typists.into_iter(), &limits);
        assert_eq!(typing.deadline(), Some(Millis(9_000)));
        assert!(!typing.types(&ana, Millis(5_999), &limits) && typing.types(&ana, Millis(6_000), &limits));
    }
}
