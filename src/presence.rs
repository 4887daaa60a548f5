//! Who is in a room, for those who watch: who is here, what they were last told of it, what has changed since.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::id::{Id, fingerprint};
use crate::limits::Limits;
use crate::moment::Millis;

/// To tell all watchers takes so many times less than the pause before it, whatever their number.
const SHARE: u64 = 20;

/// Who is present, as a watcher sees it: by name where there are few, and else how many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Crowd {
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "listed")]
    users: Option<BTreeMap<Id, Option<String>>>,
}

/// A user, with the JSON that it shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown<'a> {
    user_id: &'a Id,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "verbatim")]
    state: Option<&'a str>,
}

/// What has changed from one crowd to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change<'a> {
    count: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    joined: Vec<Shown<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<&'a Id>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    updated: Vec<Shown<'a>>,
}

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum News<'a> {
    /// Everything.
    Snapshot(&'a Crowd),
    /// What is different from what it was told before.
    Change(Change<'a>),
}

impl Crowd {
    /// Users, each with the JSON object that it shows, if any.
    pub fn named(users: BTreeMap<Id, Option<String>>) -> Self {
        Self { count: users.len(), users: Some(users) }
    }

    /// So many users.
    pub const fn counted(count: usize) -> Self {
        Self { count, users: None }
    }

    /// A number by which a watcher's socket remembers what it was told.
    pub fn print(&self) -> u64 {
        fingerprint(&serde_json::to_string(self).unwrap_or_default())
    }

    /// What to tell a watcher that was told of `before`. Without names there is nothing but the whole.
    pub fn since<'a>(&'a self, before: &'a Self) -> News<'a> {
        let (Some(now), Some(then)) = (&self.users, &before.users) else { return News::Snapshot(self) };
        News::Change(Change {
            count: self.count,
            joined: now.iter().filter(|(user, _)| !then.contains_key(user)).map(shown).collect(),
            left: then.keys().filter(|user| !now.contains_key(user)).collect(),
            updated: now
                .iter()
                .filter(|(user, state)| then.get(user).is_some_and(|old| old != *state))
                .map(shown)
                .collect(),
        })
    }
}

fn shown<'a>((user_id, state): (&'a Id, &'a Option<String>)) -> Shown<'a> {
    Shown { user_id, state: state.as_deref() }
}

fn listed<S: Serializer>(users: &Option<BTreeMap<Id, Option<String>>>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(users.iter().flatten().map(shown))
}

fn verbatim<S: Serializer>(state: &Option<&str>, serializer: S) -> Result<S::Ok, S::Error> {
    let raw: Option<&RawValue> = state.and_then(|state| serde_json::from_str(state).ok());
    raw.serialize(serializer)
}

/// The users of a room that is watched. It is made anew of the room's sockets and members whenever the room is loaded.
#[derive(Debug)]
pub struct Presence {
    watchers: usize,
    /// How many sockets each user has here.
    here: BTreeMap<Id, usize>,
    /// Who has none any more, since when, and is present for a while all the same.
    gone: BTreeMap<Id, Millis>,
    /// What was last announced, and when.
    told: (Crowd, Millis),
    /// When something is to be announced.
    due: Option<Millis>,
}

impl Presence {
    /// The users of these sockets, each with whether it watches, and those who went not long ago.
    pub fn new<'a>(sockets: impl Iterator<Item = (&'a Id, bool)>, gone: Vec<(Id, Millis)>) -> Self {
        let told = (Crowd::default(), Millis(0));
        let gone = gone.into_iter().collect();
        let mut presence = Self { watchers: 0, here: BTreeMap::new(), gone, told, due: None };
        for (user, watches) in sockets {
            presence.came(user, watches);
        }
        presence
    }

    /// A socket of a user was opened. Says whether that makes a difference.
    pub fn came(&mut self, user: &Id, watches: bool) -> bool {
        self.watchers += usize::from(watches);
        let sockets = self.here.entry(user.clone()).or_default();
        *sockets += 1;
        *sockets == 1 && self.gone.remove(user).is_none()
    }

    /// A socket of a user has closed. Its user is gone if it was the last one.
    pub fn went(&mut self, user: &Id, watches: bool, now: Millis) {
        self.watchers = self.watchers.saturating_sub(usize::from(watches));
        let Some(sockets) = self.here.get_mut(user) else { return };
        *sockets = sockets.saturating_sub(1);
        if *sockets == 0 {
            self.here.remove(user);
            self.gone.insert(user.clone(), now);
        }
    }

    /// How many sockets want to be told.
    pub const fn watchers(&self) -> usize {
        self.watchers
    }

    /// How many users are present.
    pub fn count(&self) -> usize {
        self.here.len() + self.gone.len()
    }

    /// Who they are.
    pub fn users(&self) -> impl Iterator<Item = &Id> {
        self.here.keys().chain(self.gone.keys())
    }

    /// Something may be different: it is told together with what else happens until then.
    pub fn changed(&mut self, now: Millis, limits: &Limits) {
        let due = now.plus(self.window(limits));
        self.due.get_or_insert(due);
    }

    /// Something is different from what watchers were told, and has been for long.
    pub const fn overdue(&mut self, now: Millis) {
        self.due = Some(now);
    }

    /// Those who went too long ago are present no more.
    pub fn let_go(&mut self, now: Millis, limits: &Limits) {
        self.gone.retain(|_, went| now < went.plus(limits.presence_grace));
    }

    /// What was last announced.
    pub const fn told(&self) -> &Crowd {
        &self.told.0
    }

    /// Watchers have been told of this, whenever that was.
    pub fn known(&mut self, crowd: Crowd) {
        self.told.0 = crowd;
    }

    /// All watchers are told of this now. Returns what was announced before.
    pub fn announced(&mut self, crowd: Crowd, now: Millis) -> Crowd {
        self.due = None;
        std::mem::replace(&mut self.told, (crowd, now)).0
    }

    /// When something is to be announced: what has changed, or that somebody has been gone for too long.
    pub fn deadline(&self, limits: &Limits) -> Option<Millis> {
        let first = self.gone.values().min().map(|went| went.plus(limits.presence_grace));
        let leaves = first.map(|leaves| leaves.max(self.told.1.plus(self.window(limits))));
        self.due.into_iter().chain(leaves).min()
    }

    /// Milliseconds in which changes come together.
    fn window(&self, limits: &Limits) -> u64 {
        let millis = (self.watchers as u64).saturating_mul(limits.send_micros).saturating_mul(SHARE) / 1_000;
        millis.max(limits.presence_window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn id(text: &str) -> Id {
        text.parse().unwrap()
    }

    fn crowd(users: &[(&str, Option<&str>)]) -> Crowd {
        Crowd::named(users.iter().map(|(user, state)| (id(user), state.map(str::to_owned))).collect())
    }

    fn news(now: &Crowd, before: &Crowd) -> Value {
        serde_json::to_value(now.since(before)).unwrap()
    }

    fn presence(users: &[(&str, bool)]) -> Presence {
        let users: Vec<(Id, bool)> = users.iter().map(|(user, watches)| (id(user), *watches)).collect();
        Presence::new(users.iter().map(|(user, watches)| (user, *watches)), Vec::new())
    }

    #[test]
    fn a_change_names_who_joined_left_and_shows_something_else() {
        let before = crowd(&[("ana", Some("{}")), ("bia", None), ("caio", None), ("dora", Some("{}"))]);
        let after =
            crowd(&[("ana", Some(r#"{"a":1.10}"#)), ("caio", None), ("dora", None), ("eva", Some(r#"{"b":2}"#))]);
        assert_eq!(
            serde_json::to_string(&after.since(&before)).unwrap(),
            r#"{"count":4,"joined":[{"user_id":"eva","state":{"b":2}}],"left":["bia"],"updated":[{"user_id":"ana","state":{"a":1.10}},{"user_id":"dora"}]}"#
        );
        assert_eq!(news(&after, &after), json!({"count": 4}));
    }

    #[test]
    fn without_names_before_or_after_there_is_only_the_whole() {
        let (few, many) = (crowd(&[("ana", None)]), Crowd::counted(300));
        assert_eq!(news(&many, &few), json!({"count": 300}));
        assert_eq!(news(&many, &Crowd::counted(299)), json!({"count": 300}));
        assert_eq!(news(&few, &many), json!({"count": 1, "users": [{"user_id": "ana"}]}));
    }

    #[test]
    fn crowds_that_look_different_have_different_prints() {
        let crowds = [
            Crowd::counted(0),
            Crowd::counted(1),
            crowd(&[]),
            crowd(&[("ana", None)]),
            crowd(&[("bia", None)]),
            crowd(&[("ana", Some("{}"))]),
            crowd(&[("ana", Some(r#"{"a":1}"#))]),
            crowd(&[("ana", None), ("bia", None)]),
        ];
        for (place, one) in crowds.iter().enumerate() {
            assert_eq!(one.print(), one.clone().print());
            crowds.iter().skip(place + 1).for_each(|other| assert_ne!(one.print(), other.print(), "{one:?} {other:?}"));
        }
    }

    #[test]
    fn a_user_is_there_once_and_until_the_grace_after_its_last_socket() {
        let (limits, mut presence) = (Limits::default(), presence(&[("ana", true), ("bia", false), ("bia", false)]));
        assert_eq!((presence.count(), presence.watchers(), presence.deadline(&limits)), (2, 1, None));
        presence.went(&id("bia"), false, Millis(5_000));
        assert_eq!(presence.deadline(&limits), None, "another socket is open");
        presence.went(&id("bia"), false, Millis(6_000));
        assert_eq!((presence.count(), presence.deadline(&limits)), (2, Some(Millis(16_000))));
        presence.let_go(Millis(15_999), &limits);
        assert!(!presence.came(&id("bia"), false), "it has never been away");
        presence.went(&id("bia"), false, Millis(15_999));
        presence.let_go(Millis(25_999), &limits);
        assert_eq!((presence.count(), presence.deadline(&limits)), (1, None));
        assert!(presence.came(&id("bia"), true));
        assert_eq!(
            (presence.users().cloned().collect::<Vec<_>>(), presence.watchers()),
            (vec![id("ana"), id("bia")], 2)
        );
    }

    #[test]
    fn the_first_change_sets_the_time_for_all_and_who_leaves_waits_for_the_window_alone() {
        let (limits, mut presence) = (Limits::default(), presence(&[("ana", true), ("bia", false)]));
        presence.changed(Millis(1_000), &limits);
        presence.changed(Millis(1_900), &limits);
        assert_eq!(presence.deadline(&limits), Some(Millis(2_000)));
        presence.went(&id("bia"), false, Millis(2_000));
        presence.announced(Crowd::counted(2), Millis(11_500));
        assert_eq!(presence.deadline(&limits), Some(Millis(12_500)), "something has just been told");
    }

    #[test]
    fn the_more_there_are_to_be_told_the_longer_is_the_window() {
        let limits = Limits::default();
        for (watchers, millis) in [(1, 1_000), (2_500, 1_000), (32_768, 13_107)] {
            let mut presence = Presence { watchers, ..presence(&[]) };
            presence.changed(Millis(0), &limits);
            assert_eq!(presence.deadline(&limits), Some(Millis(millis)));
        }
    }
}
