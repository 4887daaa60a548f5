//! What somebody was told, as tests compare it.

use cidadao_realtime::code::Reject;
use cidadao_realtime::id::ConnId;
use cidadao_realtime::room::Failure;
use serde_json::Value;

use super::world::World;

/// The places from `first` to `last`.
pub(crate) fn all(first: u64, last: u64) -> Vec<u64> {
    (first..=last).collect()
}

/// Where the frame says that the messages begin, and whether something was made up for.
pub(crate) fn start(frame: &Value) -> (u64, Option<bool>) {
    let data = &frame["data"];
    assert_eq!(data["epoch"].as_str().map(str::len), Some(16), "{frame}");
    (data["seq"].as_u64().unwrap(), data.get("recovered").map(|recovered| recovered.as_bool().unwrap()))
}

/// What `subscribed` said, each time.
pub(crate) fn told(world: &mut World, conn: ConnId) -> Vec<(u64, Option<bool>)> {
    world.frames(conn).iter().filter(|frame| frame["type"] == "subscribed").map(start).collect()
}

/// Frames, with those of a batch one by one.
pub(crate) fn single(frames: Vec<Value>) -> Vec<Value> {
    let split = |frame: Value| match frame["messages"].as_array() {
        Some(messages) => messages.clone(),
        None => vec![frame],
    };
    frames.into_iter().flat_map(split).collect()
}

/// What the frames of that type say.
pub(crate) fn of_type(frames: &[Value], kind: &str) -> Vec<Value> {
    frames.iter().filter(|frame| frame["type"] == kind).map(|frame| frame["data"].clone()).collect()
}

/// What the frames of that type say that came since this was last asked.
pub(crate) fn data(world: &mut World, conn: ConnId, kind: &str) -> Vec<Value> {
    of_type(&world.frames(conn), kind)
}

/// The codes of the errors that came since this was last asked.
pub(crate) fn errors(world: &mut World, conn: ConnId) -> Vec<String> {
    let errors = of_type(&single(world.frames(conn)), "error");
    errors.iter().map(|data| data["code"].as_str().unwrap().to_owned()).collect()
}

/// Why something was refused.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Failure>) -> Reject {
    match result {
        Err(Failure::Refused(refusal)) => refusal.reject,
        other => panic!("{other:?}"),
    }
}
