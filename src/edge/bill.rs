//! What the rooms cost, counted in the tests' own build alone: `GET /fault/meter` answers it, and counts from 0 again.

use std::cell::RefCell;

use serde::Serialize;

/// What the platform puts on its bill.
#[derive(Default, Serialize)]
pub(super) struct Bill {
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
    static BILL: RefCell<Bill> = const { RefCell::new(Bill { rows_read: 0, rows_written: 0, requests: 0, frames_in: 0 }) };
}

/// Counts the rows of one statement.
pub(super) fn rows(read: usize, written: usize) {
    BILL.with_borrow_mut(|bill| {
        bill.rows_read += read;
        bill.rows_written += written;
    });
}

/// Counts an alarm that is set.
pub(super) fn alarm() {
    rows(0, 1);
}

/// Counts a request.
pub(super) fn request() {
    BILL.with_borrow_mut(|bill| bill.requests += 1);
}

/// Counts a frame.
pub(super) fn frame() {
    BILL.with_borrow_mut(|bill| bill.frames_in += 1);
}

/// What was counted since this was last asked.
pub(super) fn take() -> Bill {
    BILL.take()
}
