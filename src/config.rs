//! The worker's settings, read once by a pure function; a test ties them to wrangler.toml and the README.

use std::ops::RangeInclusive;

use crate::agent::address::Address;
use crate::auth::{self, Claims, Keys};
use crate::files::sniff;
use crate::limits::Limits;
use crate::moment::Millis;
use crate::origin::Origins;

/// One setting: its name, what it is when unset, and what it means.
pub struct Setting {
    /// The variable's or secret's name.
    pub name: &'static str,
    /// What holds when it is not set.
    pub default: &'static str,
    /// Whether it belongs into a secret and never into a file.
    pub secret: bool,
}

/// All settings.
pub const SETTINGS: [Setting; 25] = [
    Setting { name: "AGENT_CONCURRENCY", default: "1", secret: false },
    Setting { name: "AGENT_KIND", default: "backend", secret: false },
    Setting { name: "AGENT_MODEL", default: "gpt-4o-mini", secret: false },
    Setting { name: "AGENT_PROMPT", default: "none", secret: false },
    Setting { name: "AGENT_TIMEOUT_MS", default: "30000", secret: false },
    Setting { name: "AGENT_TOKEN", default: "none", secret: true },
    Setting { name: "AGENT_URL", default: "none: a demonstration answers", secret: false },
    Setting { name: "ALLOWED_ORIGINS", default: "empty: any origin", secret: false },
    Setting { name: "BATCH_WINDOW_MS", default: "100", secret: false },
    Setting { name: "CHAT_ACCESS", default: "owner", secret: false },
    Setting { name: "CHAT_MAX_CHARS", default: "1000", secret: false },
    Setting { name: "FILE_MAX_BYTES", default: "26214400", secret: false },
    Setting { name: "FILE_TYPES", default: "PDF, pictures, texts, ZIP and office files", secret: false },
    Setting { name: "JWT_SECRET_KEY", default: "none: every token is refused", secret: true },
    Setting { name: "LOG_MAX_AGE_SECONDS", default: "604800", secret: false },
    Setting { name: "LOG_MAX_BYTES", default: "67108864", secret: false },
    Setting { name: "LOG_MAX_MESSAGES", default: "10000", secret: false },
    Setting { name: "MAX_MESSAGE_BYTES", default: "1048576", secret: false },
    Setting { name: "MAX_SOCKETS_PER_ROOM", default: "32768", secret: false },
    Setting { name: "MAX_UNACKED", default: "1000", secret: false },
    Setting { name: "MAX_UNACKED_BYTES", default: "1048576", secret: false },
    Setting { name: "OFFLINE_TTL_SECONDS", default: "604800", secret: false },
    Setting { name: "PING_TIMEOUT_MS", default: "60000", secret: false },
    Setting { name: "REQUIRE_ROOM_GRANTS", default: "false", secret: false },
    Setting { name: "SWEEP_INTERVAL_MS", default: "300000", secret: false },
];

/// Milliseconds in a second: settings that end in `_SECONDS` are limits in milliseconds.
const SECOND: u64 = 1_000;

/// The settings that are numbers: what each sets, how many of the limit's units are one of its own, what it may be.
fn numbers(limits: &mut Limits) -> [(&'static str, &mut u64, u64, RangeInclusive<u64>); 15] {
    [
        ("AGENT_CONCURRENCY", &mut limits.answers_at_once, 1, 1..=16),
        ("AGENT_TIMEOUT_MS", &mut limits.agent_silence, 1, 1_000..=120_000),
        ("BATCH_WINDOW_MS", &mut limits.batch_window, 1, 0..=1_000),
        ("CHAT_MAX_CHARS", &mut limits.chat_chars, 1, 1..=100_000),
        ("FILE_MAX_BYTES", &mut limits.file_bytes, 1, 1..=104_857_600),
        ("LOG_MAX_AGE_SECONDS", &mut limits.log_age, SECOND, 3_600..=31_536_000),
        ("LOG_MAX_BYTES", &mut limits.log_bytes, 1, 1_048_576..=8_589_934_592),
        ("LOG_MAX_MESSAGES", &mut limits.log_messages, 1, 100..=1_000_000),
        ("MAX_MESSAGE_BYTES", &mut limits.message_bytes, 1, 1_024..=1_900_000),
        ("MAX_SOCKETS_PER_ROOM", &mut limits.sockets_per_room, 1, 1..=32_768),
        ("MAX_UNACKED", &mut limits.unacked_messages, 1, 1..=100_000),
        ("MAX_UNACKED_BYTES", &mut limits.unacked_bytes, 1, 1_024..=67_108_864),
        ("OFFLINE_TTL_SECONDS", &mut limits.offline_ttl, SECOND, 0..=31_536_000),
        ("PING_TIMEOUT_MS", &mut limits.silence, 1, 1_000..=86_400_000),
        ("SWEEP_INTERVAL_MS", &mut limits.sweep_interval, 1, 1_000..=86_400_000),
    ]
}

/// Who may come into a chat session that is somebody's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChatAccess {
    /// Its owner, whom the owner invited, whose token names it, and services.
    #[default]
    Owner,
    /// Whoever has a token that opens it.
    Open,
}

/// The types of files that are taken if nothing else is set: none that a browser would run.
const FILE_TYPES: [&str; 15] = [
    "application/json",
    "application/pdf",
    "application/vnd.oasis.opendocument.presentation",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/zip",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/csv",
    "text/plain",
];

/// The settings, parsed.
#[derive(Debug)]
pub struct Config {
    /// Who may come into a chat session.
    pub chat_access: ChatAccess,
    /// What tokens are verified with. Without it, all are refused.
    pub keys: Option<Keys>,
    /// Who answers in chats.
    pub agent: Address,
    /// Whether there is a place for files.
    pub files: bool,
    /// The media types of files that are taken.
    pub file_types: Vec<String>,
    /// The bounds.
    pub limits: Limits,
    /// Whose pages may come.
    pub origins: Origins,
    /// Whether a token that names no rooms opens none, rather than all.
    pub require_room_grants: bool,
    /// What is wrong with the settings, for the log and for health.
    pub problems: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            chat_access: ChatAccess::default(),
            keys: None,
            agent: Address::default(),
            files: false,
            file_types: FILE_TYPES.map(str::to_owned).to_vec(),
            limits: Limits::default(),
            origins: Origins::default(),
            require_room_grants: false,
            problems: Vec::new(),
        }
    }
}

impl Config {
    /// What a token says, if it is good now. One that names no rooms opens none where that is required.
    pub fn claims(&self, token: &str, now: Millis) -> Option<Claims> {
        let mut claims = auth::verify(token, self.keys.as_ref()?, now)?;
        if self.require_room_grants {
            claims.rooms.get_or_insert_default();
        }
        Some(claims)
    }

    /// Reads the settings through `lookup`. It never fails: what is wrong is said in `problems` and the safe value holds.
    pub fn parse(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let mut config = Self::default();
        config.keys = config.or_problem(Keys::parse(lookup("JWT_SECRET_KEY").as_deref()));
        config.read_numbers(&lookup);
        let agent = config.or_problem(Address::parse(&lookup));
        config.agent = agent.unwrap_or(Address::Nobody);
        if let Some(list) = lookup("FILE_TYPES") {
            config.read_file_types(&list);
        }
        config.read_origins(&lookup("ALLOWED_ORIGINS").unwrap_or_default());
        let access = [("owner", ChatAccess::Owner), ("open", ChatAccess::Open)];
        config.chat_access = config.one_of("CHAT_ACCESS", lookup("CHAT_ACCESS"), access, ChatAccess::Owner);
        let (name, either) = ("REQUIRE_ROOM_GRANTS", [("true", true), ("false", false)]);
        config.require_room_grants = lookup(name).is_some_and(|text| config.one_of(name, Some(text), either, true));
        config
    }

    fn or_problem<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn read_numbers(&mut self, lookup: impl Fn(&str) -> Option<String>) {
        for (name, limit, unit, range) in numbers(&mut self.limits) {
            let Some(text) = lookup(name) else { continue };
            match text.parse::<u64>() {
                Ok(number) if range.contains(&number) => *limit = number.saturating_mul(unit),
                _ => self.problems.push(format!(
                    "{name} must be {} to {}, not {text:?}: {} holds",
                    range.start(),
                    range.end(),
                    *limit / unit
                )),
            }
        }
    }

    fn read_file_types(&mut self, list: &str) {
        let types = list.split(',').map(|media_type| media_type.trim().to_ascii_lowercase());
        let types = types.filter(|media_type| !media_type.is_empty());
        let (known, unknown): (Vec<_>, Vec<_>) = types.partition(|media_type| sniff::is_known(media_type));
        self.file_types = known;
        let problem = |media_type| format!("FILE_TYPES: {media_type:?} cannot be told by its bytes: it is ignored");
        self.problems.extend(unknown.into_iter().map(problem));
    }

    fn read_origins(&mut self, list: &str) {
        let (origins, bad) = Origins::parse(list);
        self.origins = origins;
        self.problems.extend(bad.iter().map(|invalid| format!("ALLOWED_ORIGINS: {invalid}: it is ignored")));
    }

    /// What a setting says of two things; without it, or if it says something else, the safe one.
    fn one_of<T: Copy>(&mut self, name: &str, text: Option<String>, choices: [(&str, T); 2], safe: T) -> T {
        let Some(text) = text else { return safe };
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return *choice;
        }
        let [(one, _), (other, _)] = choices;
        self.problems.push(format!("{name} must be {one} or {other}, not {text:?}: {one} holds"));
        safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn parse(settings: &[(&str, &str)]) -> Config {
        Config::parse(|name| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_good_secret_is_all_it_takes() {
        let config = parse(&[("JWT_SECRET_KEY", SECRET)]);
        assert!(config.keys.is_some());
        assert_eq!(config.problems, Vec::<String>::new());
    }

    #[test]
    fn without_a_secret_nothing_verifies_and_the_reason_is_said() {
        for settings in [&[][..], &[("JWT_SECRET_KEY", "")], &[("JWT_SECRET_KEY", "test")]] {
            let config = parse(settings);
            assert!(config.keys.is_none());
            assert!(config.problems[0].contains("JWT_SECRET_KEY"), "{:?}", config.problems);
        }
    }

    #[test]
    fn the_reason_never_holds_the_secret() {
        let config = parse(&[("JWT_SECRET_KEY", "hunter2")]);
        assert!(!format!("{config:?}").contains("hunter2"));
        let config = parse(&[("JWT_SECRET_KEY", SECRET)]);
        assert!(!format!("{config:?}").contains(SECRET));
    }

    #[test]
    fn a_message_limit_that_storage_cannot_hold_is_refused() {
        let config = parse(&[("JWT_SECRET_KEY", SECRET), ("MAX_MESSAGE_BYTES", "2000")]);
        assert_eq!(config.limits.message_bytes, 2000);
        for bad in ["2MB", "0", "-1", "2000000"] {
            let config = parse(&[("JWT_SECRET_KEY", SECRET), ("MAX_MESSAGE_BYTES", bad)]);
            assert_eq!(config.limits.message_bytes, 1 << 20);
            assert!(config.problems[0].contains(bad));
        }
    }

    #[test]
    fn what_is_set_in_seconds_holds_in_milliseconds() {
        let config =
            parse(&[("LOG_MAX_AGE_SECONDS", "3600"), ("OFFLINE_TTL_SECONDS", "0"), ("LOG_MAX_BYTES", "8589934592")]);
        let Limits { log_age, offline_ttl, log_bytes, .. } = config.limits;
        assert_eq!((log_age, offline_ttl, log_bytes), (3_600_000, 0, 8 << 30));
        let config = parse(&[("JWT_SECRET_KEY", SECRET), ("LOG_MAX_AGE_SECONDS", "3599")]);
        assert_eq!(config.problems, ["LOG_MAX_AGE_SECONDS must be 3600 to 31536000, not \"3599\": 604800 holds"]);
    }

    #[test]
    fn every_number_may_be_what_it_is_by_default() {
        let mut limits = Limits::default();
        for (name, limit, unit, range) in numbers(&mut limits) {
            let setting = SETTINGS.iter().find(|setting| setting.name == name).unwrap();
            assert_eq!(setting.default, (*limit / unit).to_string(), "{name}");
            assert!(range.contains(&(*limit / unit)), "{name}");
        }
    }

    #[test]
    fn a_bad_origin_is_named_and_the_good_ones_hold() {
        let config = parse(&[("JWT_SECRET_KEY", SECRET), ("ALLOWED_ORIGINS", "https://cidadao.ai,cidadao.org")]);
        assert!(config.origins.allow(Some("https://cidadao.ai")));
        assert!(!config.origins.allow(Some("https://cidadao.org")));
        assert_eq!(config.problems.len(), 1);
        assert!(config.problems[0].contains("cidadao.org"), "{:?}", config.problems);
    }

    #[test]
    fn a_chat_is_its_owners_unless_it_is_said_to_be_open() {
        for (text, access, problems) in [
            ("owner", ChatAccess::Owner, 0),
            ("open", ChatAccess::Open, 0),
            ("Open", ChatAccess::Owner, 1),
            ("", ChatAccess::Owner, 1),
        ] {
            let config = parse(&[("JWT_SECRET_KEY", SECRET), ("CHAT_ACCESS", text)]);
            assert_eq!((config.chat_access, config.problems.len()), (access, problems), "{text:?}");
        }
        assert_eq!(parse(&[]).chat_access, ChatAccess::Owner);
    }

    #[test]
    fn a_type_that_cannot_be_told_is_named_and_the_others_hold() {
        let config = parse(&[("JWT_SECRET_KEY", SECRET), ("FILE_TYPES", "image/png, Text/Markdown,,audio/mpeg")]);
        assert_eq!(config.file_types, ["image/png", "text/markdown"]);
        assert_eq!(config.problems, ["FILE_TYPES: \"audio/mpeg\" cannot be told by its bytes: it is ignored"]);
        let default = Config::default().file_types;
        assert!(default.iter().all(|media_type| sniff::is_known(media_type)));
        assert!(!default.iter().any(|media_type| media_type == "text/html" || media_type.contains("svg")));
    }

    #[test]
    fn what_is_neither_true_nor_false_is_taken_for_the_safe_one() {
        for (text, required, problems) in [("true", true, 0), ("false", false, 0), ("True", true, 1), ("", true, 1)] {
            let config = parse(&[("JWT_SECRET_KEY", SECRET), ("REQUIRE_ROOM_GRANTS", text)]);
            assert_eq!((config.require_room_grants, config.problems.len()), (required, problems), "{text:?}");
        }
        assert!(!parse(&[]).require_room_grants);
    }
}
