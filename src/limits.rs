//! Every bound there is, with its unit, its default and what it protects.

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
    /// Messages that a room's log keeps: 1,000. With [`Self::message_bytes`] it bounds the log at 1 GiB, a tenth of
    /// what one object may store.
    pub log_messages: u64,
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
    /// Sockets that a room can welcome back a second, when all of them were dropped: 500, half of what one object takes.
    pub reconnects_per_second: usize,
    /// Rooms that one connection may follow: 100.
    pub subscriptions_per_connection: usize,
    /// Messages that one call to a follower carries at most: 100.
    pub messages_per_delivery: usize,
    /// Characters of messages after which a call to a follower ends: 1,048,576. The first message always goes.
    pub delivery_chars: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 1 << 20,
            messages_per_post: 1_000,
            json_depth: 64,
            log_messages: 1_000,
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
            reconnects_per_second: 500,
            subscriptions_per_connection: 100,
            messages_per_delivery: 100,
            delivery_chars: 1 << 20,
        }
    }
}

impl Limits {
    /// The milliseconds over which the sockets of a room should spread their return: a deploy drops them all at once.
    pub fn reconnect_within(&self, sockets: usize) -> u64 {
        let millis = sockets.saturating_mul(1_000) / self.reconnects_per_second.max(1);
        millis.max(1_000) as u64
    }
}
