//! What the rooms cost, counted in the tests' own build alone: `GET /fault/meter` answers it, and counts from 0 again.

use std::cell::RefCell;

use serde::Serialize;

/// What the platform puts on its bill.
#[derive(Default, Serialize)]
pub(super) struct Tally {
    /// Rows that statements read.
    rows_read: usize,
    /// Rows that they wrote; an alarm that is set is one too.
    rows_written: usize,
    /// Requests that objects got, alarms that woke them among them.
    requests: usize,
    /// Frames that came from sockets.
    frames_in: usize,
}

thread_local! {
    /// One for all objects of the isolate, which in tests are all there are.
    static TALLY: RefCell<Tally> = const { RefCell::new(Tally { rows_read: 0, rows_written: 0, requests: 0, frames_in: 0 }) };
}

/// Counts the rows of one statement.
pub(super) fn rows(read: usize, written: usize) {
    TALLY.with_borrow_mut(|tally| {
        tally.rows_read += read;
        tally.rows_written += written;
    });
}

/// Counts an alarm that is set.
pub(super) fn alarm() {
    rows(0, 1);
}

/// Counts a request.
pub(super) fn request() {
    TALLY.with_borrow_mut(|tally| tally.requests += 1);
}

/// Counts a frame.
pub(super) fn frame() {
    TALLY.with_borrow_mut(|tally| tally.frames_in += 1);
}

/// What was counted since this was last asked.
pub(super) fn take() -> Tally {
    TALLY.take()
}
