//! However an agent's answer is cut on its way, and whatever is in it, the same is read of it, and no more than may be.

use cidadao_realtime::agent::sse::{self, Decoder};
use cidadao_realtime::agent::{Agent, Event, Protocol, Reader};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const EVENT_BYTES: usize = 20_000;

const BACKEND: &str = concat!(
    "\u{feff}: hello\r\n\r\n",
    "data: {\"type\":\"start\",\"session_id\":\"s\"}\n\n",
    "data: {\"type\":\"detecting\",\"message\":\"Só um instante…\"}\r\n\r\n",
    "data: {\"type\":\"agent_selected\",\r\ndata:\"agent_id\":\"zumbi\",\"agent_name\":\"Zumbi dos Palmares\"}\r\n\r\n",
    "data: {\"type\":\"chunk\",\"content\":\"Licitação \"}\r\r",
    "event: chunk\ndata: {\"content\":\"nº 7 🇧🇷\"}\n\n",
    "data: {\"type\":\"complete\",\"suggested_actions\":[\"ver_ação\"]}\n\n",
    "data: {\"type\":\"chunk\",\"content\":\"too late\"}\n\n",
);

const OPENAI: &str = concat!(
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"Licitação \"},\"finish_reason\":null}]}\n\n",
    ": keep-alive\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"nº 7 🇧🇷\"},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
);

/// What is read of an answer that comes in these pieces and then ends.
fn read<'a>(protocol: Protocol, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut reader = Reader::new(protocol, EVENT_BYTES);
    let mut events: Vec<Event> = pieces.into_iter().flat_map(|piece| reader.push(piece)).collect();
    events.extend(reader.end());
    events
}

fn text(events: &[Event]) -> String {
    events.iter().filter_map(|event| if let Event::Text { text, .. } = event { Some(&**text) } else { None }).collect()
}

/// The pieces between these places, counted around.
fn cut<'a>(stream: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (stream.len() + 1)).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places.windows(2).map(|ends| &stream[ends[0]..ends[1]]).collect()
}

/// The standard as it is written: all of the stream at hand, made text first, then cut into lines.
fn interpret(stream: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
    let (mut events, mut name, mut data) = (Vec::new(), String::new(), String::new());
    let ended = text.rsplit_once('\n').map_or("", |(ended, _)| ended);
    for line in ended.split('\n').filter(|_| text.contains('\n')) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => {
                let name = Some(std::mem::take(&mut name)).filter(|name| !name.is_empty());
                let data = std::mem::take(&mut data);
                let data = data.strip_suffix('\n').map(str::to_owned);
                events.extend(data.map(|data| (name.unwrap_or_else(|| "message".to_owned()), data)));
            }
            "data" => data = data + value + "\n",
            "event" => name = value.to_owned(),
            _ => {}
        }
    }
    events
}

#[test]
fn an_answer_is_the_same_wherever_it_is_cut() {
    for (protocol, stream) in [(Protocol::Backend, BACKEND.as_bytes()), (Protocol::OpenAi, OPENAI.as_bytes())] {
        let whole = read(protocol, [stream]);
        assert_eq!(text(&whole), "Licitação nº 7 🇧🇷");
        assert!(matches!(whole.last(), Some(Event::Done { .. })), "{whole:?}");
        assert_eq!(read(protocol, stream.chunks(1)), whole, "byte by byte");
        for place in 0..=stream.len() {
            assert_eq!(read(protocol, cut(stream, &[place])), whole, "{protocol:?} cut at {place}");
        }
    }
}

#[test]
fn an_answer_that_ends_anywhere_earlier_broke_off() {
    // Without the line that ends the last event, the rest of it is there and does not count.
    for (protocol, stream, complete) in [
        (Protocol::Backend, BACKEND, BACKEND.find("data: {\"type\":\"chunk\",\"content\":\"too late").unwrap()),
        (Protocol::OpenAi, OPENAI, OPENAI.len()),
    ] {
        for place in 0..=stream.len() {
            let events = read(protocol, [&stream.as_bytes()[..place]]);
            let done = matches!(events.last(), Some(Event::Done { .. }));
            assert_eq!(done, place >= complete, "{protocol:?} ended at {place}");
            assert_eq!(events.iter().filter(|event| event.is_last()).count(), 1, "{events:?}");
        }
    }
}

#[test]
fn an_endless_answer_of_small_events_is_read_as_it_comes() {
    let chunk = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let mut reader = Reader::new(Protocol::OpenAi, 64);
    for _ in 0..10_000 {
        assert_eq!(text(&reader.push(chunk)), "a");
    }
}

/// Pieces of streams, whole and broken, that mean something where they meet.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        ":",
        " ",
        "data",
        "data:",
        "data: ",
        "event: ",
        "event",
        "id: 7\n",
        "retry: 5\n",
        "\u{feff}",
        "ã",
        "🇧🇷",
        "[DONE]",
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        "null",
        "\"type\":",
        "\"chunk\"",
        "\"content\":",
        "\"error\":",
        "\"message\":\"x\"",
        "\"choices\":[",
        "\"delta\":{",
        "data: {\"type\":\"complete\",\"a\":[1,{\"b\":null}]}\n\n",
        "data: {\"type\":\"chunk\",\"content\":\"ã\"}\n\n",
        "data: {\"type\":\"thinking\",\"message\":\"…\"}\r\n\r\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"ã\"},\"finish_reason\":\"stop\"}]}\n\n",
    ]);
    let long = (prop::sample::select(vec!["agent_id", "agent_name", "message", "content", "more"]), 0..12_000_usize);
    let long = long.prop_map(|(field, length)| {
        let kind = ["agent_selected", "error", "chunk", "complete"][length % 4];
        let value = "ã".repeat(length);
        format!("data: {{\"type\":\"{kind}\",\"{field}\":\"{value}\"}}\n\n").into_bytes()
    });
    prop_oneof![
        12 => known.prop_map(|text| text.as_bytes().to_vec()),
        3 => prop::collection::vec(any::<u8>(), 0..6),
        2 => long,
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(fragment(), 0..40).prop_map(|fragments| fragments.concat())
}

fn assert_bounded(event: &Event) {
    let within = |text: &Option<String>, chars: usize| text.as_ref().is_none_or(|text| text.chars().count() <= chars);
    let known = |Agent { id, name }: &Agent| within(id, 128) && within(name, 128);
    assert!(
        match event {
            Event::Done { extra, agent } => serde_json::to_string(extra).unwrap().len() <= 16 << 10 && known(agent),
            Event::Failed(message) => (1..=500).contains(&message.chars().count()),
            Event::Stage { message, agent, .. } => within(message, 500) && known(agent),
            // A byte that is no text is replaced by a character of three.
            Event::Text { text, agent } => (1..=3 * EVENT_BYTES).contains(&text.len()) && known(agent),
        },
        "{event:?}"
    );
}

/// The same cases every time. `PROPTEST_RNG_SEED=$RANDOM PROPTEST_CASES=100000 cargo test --test host agent::` looks
/// further.
fn cases() -> ProptestConfig {
    let (rng_seed, failure_persistence) = (RngSeed::Fixed(7), None);
    ProptestConfig { cases: 500, rng_seed, failure_persistence, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_stream_is_read_as_the_standard_says_however_it_is_cut(
        stream in stream(), places in prop::collection::vec(any::<usize>(), 0..20)
    ) {
        let (mut decoder, mut events) = (Decoder::new(usize::MAX), Vec::new());
        for piece in cut(&stream, &places) {
            decoder.push(piece, &mut events).unwrap();
        }
        let events: Vec<_> = events.into_iter().map(|sse::Event { name, data }| (name, data)).collect();
        prop_assert_eq!(events, interpret(&stream));
    }

    #[test]
    fn whatever_an_agent_sends_is_bounded_ends_once_and_is_the_same_however_it_is_cut(
        stream in stream(), places in prop::collection::vec(any::<usize>(), 0..20)
    ) {
        for protocol in [Protocol::Backend, Protocol::OpenAi] {
            let events = read(protocol, [&*stream]);
            events.iter().for_each(assert_bounded);
            let ends: Vec<usize> = (0..events.len()).filter(|place| events[*place].is_last()).collect();
            prop_assert_eq!(ends, vec![events.len() - 1]);
            prop_assert_eq!(read(protocol, cut(&stream, &places)), &*events);
            prop_assert_eq!(read(protocol, stream.chunks(1)), events);
        }
    }
}
