//! Every bound there is, with its unit, its default and what it protects.

/// A day, in milliseconds.
pub const DAY: u64 = 24 * 3600 * 1_000;

/// The bounds of one worker.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one frame, in either direction, and of one POST body: 1 MiB.
    ///
    /// Above it common clients hang up by themselves (Python's `websockets` refuses larger frames by default), and a
    /// row of the log may hold 2 MB at most.
    pub message_bytes: u64,
    /// Messages in one POST: 1,000. They are one transaction, and the room does nothing else meanwhile.
    pub messages_per_post: usize,
    /// Brackets within brackets in one POST: 64. Parsers of clients recurse.
    pub json_depth: usize,
    /// Messages that a room's log keeps at least, unless they are too old or too large: 10,000. Of 300 bytes each, with
    /// 50 for the row, that is 3.5 MB, $0.0007 a month at $0.20 a GB.
    pub log_messages: u64,
    /// Milliseconds for which it keeps them: 604,800,000, a week, as long as [`Self::offline_ttl`].
    pub log_age: u64,
    /// Bytes of frames that it keeps at most, give or take two segments: 64 MiB, of the 10 GB that an object may store.
    pub log_bytes: u64,
    /// Messages in one segment of the log: 512. A new one costs 5 rows written, and dropping it none, where deleting
    /// its messages would cost one each: so 1 message costs 1.01 rows.
    pub segment_messages: u64,
    /// Bytes in one segment: 4 MiB.
    pub segment_bytes: u64,
    /// Milliseconds for which the id of a message is remembered at least: 86,400,000, a day.
    pub id_memory: u64,
    /// Ids that are remembered at most, beyond those in the log: 1,000,000, some 30 MB while the room is awake. A room in
    /// which more is published within [`Self::id_memory`] forgets the oldest earlier.
    pub remembered_ids: u64,
    /// Milliseconds for which a user who has gone is owed what is published: 604,800,000, a week.
    pub offline_ttl: u64,
    /// Messages that a client that confirms may leave unconfirmed: 1,000.
    pub unacked_messages: u64,
    /// Bytes of them: 1 MiB. The runtime buffers what a slow client does not take, without bound and without a sign.
    pub unacked_bytes: u64,
    /// Characters of one message of a chat: 1,000, as many as the backend's agents take.
    pub chat_chars: u64,
    /// Bytes of what an agent is to know beside a question: 64 KiB. It is stored with the question, in one row.
    pub context_bytes: usize,
    /// Bytes of one answer, as JSON: 256 KiB, some 60,000 tokens, or about half of [`Self::message_bytes`] if that is less.
    /// It is kept in memory and goes as one message.
    pub answer_bytes: u64,
    /// Bytes of an agent's stream: 8 MiB, at some 300 for a token, of which 4 are text. It is kept until it ends.
    pub agent_bytes: usize,
    /// Milliseconds between two parts of an answer that is being said: 40. A room whose sockets take longer to reach waits
    /// four times as long as that takes.
    pub answer_pause: u64,
    /// Milliseconds for which an agent may say nothing at all: 30,000.
    pub agent_silence: u64,
    /// Milliseconds that an answer may take: 300,000.
    pub answer_time: u64,
    /// Answers that may be under way in one chat at once: 1, so that questions are answered in their order.
    pub answers_at_once: u64,
    /// Questions that may wait for an answer in one chat, those under way among them: 16.
    pub questions: usize,
    /// Messages of a chat that an agent is told, if it does not remember them by itself: 40.
    pub recalled_messages: usize,
    /// Bytes of them: 64 KiB.
    pub recalled_bytes: usize,
    /// Messages in one page that makes up for what was missed: 100.
    pub page_messages: usize,
    /// Bytes after which such a page ends: 64 KiB. The first message always goes.
    pub page_bytes: usize,
    /// Pages that a room sends in one turn: 16, so that who comes back holds up nobody else.
    pub pages_per_turn: usize,
    /// Microseconds that the runtime takes to send one frame to one socket: 20, as measured. A room's window is as long
    /// as a flush of it takes.
    pub send_micros: u64,
    /// Milliseconds that a message may wait to be sent with others: 100.
    pub batch_window: u64,
    /// Frames that one connection may send a second, in the long run: 20. Pings that the runtime answers do not count.
    pub messages_per_second: u64,
    /// Frames that it may send at once after a pause: 200, enough to subscribe to all rooms that it may follow.
    pub message_burst: u64,
    /// Bytes that it may send a second, in the long run: 128 KiB.
    pub bytes_per_second: u64,
    /// Bytes that it may send at once after a pause: 2 MiB, twice the largest frame.
    pub byte_burst: u64,
    /// Frames over these rates that are refused within a minute before the connection is closed: 100.
    pub patience: u64,
    /// Sockets in one room: 32,768, as many as the runtime lets one object hold.
    pub sockets_per_room: u64,
    /// Connections that one user may have, in all rooms together: 10.
    pub connections_per_user: usize,
    /// Milliseconds for which a ticket is good: 30,000, enough to open a socket with it.
    pub ticket_lifetime: u64,
    /// Tickets that one user may have unused: 100.
    pub tickets_per_user: u64,
    /// Milliseconds without a sign of life after which a connection is closed that has pinged before: 60,000, two of the
    /// pings that clients send every 30 s.
    pub silence: u64,
    /// Milliseconds between two looks for silent connections while nothing else wakes the room: 300,000. Each costs a
    /// row written and a request.
    pub sweep_interval: u64,
    /// Milliseconds before its token's end at which a client is told: 30,000.
    pub expiry_warning: u64,
    /// Milliseconds for which a user is still present whose last socket has closed: 10,000, enough to load a page anew or
    /// to change networks.
    pub presence_grace: u64,
    /// Bytes of the state that a socket shows with its user: 1,024. It sleeps with the socket, whose 16 KiB hold more.
    pub presence_state_bytes: u64,
    /// Users that presence names: 200. Beyond them it counts, since each of so many would be told of so many.
    pub presence_users: usize,
    /// Milliseconds in which changes of presence come together: 1,000. Above 2,500 watchers it grows with their number,
    /// so that telling them takes a twentieth of a room's time.
    pub presence_window: u64,
    /// Sockets that a room can welcome back a second, when all of them were dropped: 500, half of what one object takes.
    pub reconnects_per_second: usize,
    /// Rooms that one connection may follow: 100.
    pub subscriptions_per_connection: usize,
    /// Users that a chat session remembers as its participants: 1,000. Beyond them none can be invited.
    pub participants_per_session: u64,
    /// Bytes of one file: 25 MiB. Until it has arrived, its parts are in the room's storage.
    pub file_bytes: u64,
    /// Bytes of a file's name: 255, as in common file systems.
    pub file_name_bytes: usize,
    /// Files in one chat: 1,000, those on their way among them.
    pub files_per_room: u64,
    /// Bytes of them all: 1 GiB, at $0.015 a month.
    pub file_bytes_per_room: u64,
    /// Uploads that one connection may have under way: 3.
    pub uploads_per_connection: usize,
    /// Uploads under way in one chat, of connections that are open: 10.
    pub uploads_per_room: usize,
    /// Uploads that wait for their sender to come back, give or take those of one moment: 10. The one that has waited
    /// longest gives way to a new one.
    pub uploads_waiting: usize,
    /// Milliseconds after its last byte for which an unfinished upload can go on: 86,400,000, a day.
    pub upload_ttl: u64,
    /// Bytes of an upload that may be on their way, beyond what has been confirmed: 1 MiB.
    pub upload_window_bytes: u64,
    /// Bytes of a file in one frame: 256 KiB. Each frame is a row of at most 2 MB, and a commit.
    pub upload_frame_bytes: usize,
    /// Bytes of a file from which on a frame does not count as too fast: 32 KiB. Smaller ones, but the last, count as any
    /// frame does: each is a row.
    pub upload_brisk_bytes: usize,
    /// Milliseconds within which a file that comes over HTTP has to be here: 3,600,000, an hour. 25 MiB take 7 KB a second.
    pub put_time: u64,
    /// Files that may be on their way to one chat over HTTP: 1,000. Each is a row; one that breaks off counts for
    /// [`Self::put_patience`].
    pub puts_per_room: usize,
    /// Attempts to put a complete upload where files are kept, before its sender has to ask again: 6, over half a minute.
    pub store_attempts: u32,
    /// Messages that one call to a follower carries at most: 100.
    pub messages_per_delivery: usize,
    /// Bytes of messages after which a call to a follower ends: 1 MiB. The first message always goes.
    pub delivery_bytes: usize,
    /// Milliseconds within which it is not said again that a user types: 3,000.
    pub typing_repeat: u64,
    /// Milliseconds of silence after which a user types no more: 6,000, two repeats.
    pub typing_timeout: u64,
}

impl Default for Limits {
    #[expect(clippy::too_many_lines, reason = "a line for each bound")]
    fn default() -> Self {
        Self {
            message_bytes: 1 << 20,
            messages_per_post: 1_000,
            json_depth: 64,
            log_messages: 10_000,
            log_age: 7 * DAY,
            log_bytes: 64 << 20,
            segment_messages: 512,
            segment_bytes: 4 << 20,
            id_memory: DAY,
            remembered_ids: 1_000_000,
            offline_ttl: 7 * DAY,
            unacked_messages: 1_000,
            unacked_bytes: 1 << 20,
            chat_chars: 1_000,
            context_bytes: 64 << 10,
            answer_bytes: 256 << 10,
            agent_bytes: 8 << 20,
            answer_pause: 40,
            agent_silence: 30_000,
            answer_time: 300_000,
            answers_at_once: 1,
            questions: 16,
            recalled_messages: 40,
            recalled_bytes: 64 << 10,
            page_messages: 100,
            page_bytes: 64 << 10,
            pages_per_turn: 16,
            send_micros: 20,
            batch_window: 100,
            messages_per_second: 20,
            message_burst: 200,
            bytes_per_second: 128 << 10,
            byte_burst: 2 << 20,
            patience: 100,
            sockets_per_room: 32_768,
            connections_per_user: 10,
            ticket_lifetime: 30_000,
            tickets_per_user: 100,
            silence: 60_000,
            sweep_interval: 300_000,
            expiry_warning: 30_000,
            presence_grace: 10_000,
            presence_state_bytes: 1 << 10,
            presence_users: 200,
            presence_window: 1_000,
            reconnects_per_second: 500,
            subscriptions_per_connection: 100,
            participants_per_session: 1_000,
            file_bytes: 25 << 20,
            file_name_bytes: 255,
            files_per_room: 1_000,
            file_bytes_per_room: 1 << 30,
            uploads_per_connection: 3,
            uploads_per_room: 10,
            uploads_waiting: 10,
            upload_ttl: DAY,
            upload_window_bytes: 1 << 20,
            upload_frame_bytes: 256 << 10,
            upload_brisk_bytes: 32 << 10,
            put_time: 3_600_000,
            puts_per_room: 1_000,
            store_attempts: 6,
            messages_per_delivery: 100,
            delivery_bytes: 1 << 20,
            typing_repeat: 3_000,
            typing_timeout: 6_000,
        }
    }
}

impl Limits {
    /// Milliseconds between two parts of an answer, when so many answers go to so many sockets: they take a quarter of the
    /// room's time at most.
    pub fn answer_pause(&self, sockets: usize, answers: usize) -> u64 {
        let micros = (sockets.saturating_mul(answers) as u64).saturating_mul(self.send_micros);
        (4 * (micros / 1_000)).max(self.answer_pause)
    }

    /// Milliseconds after which nobody can be putting a file any more that was to come: its bytes are refused after
    /// [`Self::put_time`], and where files are kept has as long again to be done with them.
    pub const fn put_patience(&self) -> u64 {
        self.put_time.saturating_mul(2)
    }

    /// The milliseconds over which the sockets of a room should spread their return: a deploy drops them all at once.
    pub fn reconnect_within(&self, sockets: usize) -> u64 {
        let millis = sockets.saturating_mul(1_000) / self.reconnects_per_second.max(1);
        millis.max(1_000) as u64
    }
}
