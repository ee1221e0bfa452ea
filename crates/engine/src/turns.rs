//! Giving way in long work that waits for nothing.

use std::future::poll_fn;
use std::task::Poll;

/// How many steps are made at a stretch: of the journal's records, some milliseconds.
const AT_A_STRETCH: u32 = 64;

/// Counts the steps of a long work, and lets others have their turn now and then: what beats beside it goes on beating.
#[derive(Debug, Default)]
pub(crate) struct Turns(u32);

impl Turns {
    /// Another step.
    pub(crate) async fn next(&mut self) {
        self.0 += 1;
        if self.0 < AT_A_STRETCH {
            return;
        }
        self.0 = 0;
        let mut gave_way = false;
        poll_fn(|context| {
            if std::mem::replace(&mut gave_way, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}
