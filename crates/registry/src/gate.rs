//! Places for requests under way, as many as the [`Window`] has room for.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::window::{Ticket, Window};

/// Lets requests through in the order in which they come.
pub(crate) struct Gate {
    places: Semaphore,
    state: Mutex<State>,
}

struct State {
    window: Window,
    /// How many places there are, taken ones included; those in excess of the window go when they are given back.
    places: usize,
    /// Nobody is let through before this.
    closed_until: Option<Instant>,
}

impl Gate {
    /// A gate that never lets more than `bound` requests be under way.
    #[cfg(test)]
    fn new(bound: usize) -> Self {
        Self::of(Window::new(bound))
    }

    /// A gate with as many places as the window has.
    pub(crate) fn of(window: Window) -> Self {
        let places = window.size();
        Self {
            places: Semaphore::new(places),
            state: Mutex::new(State {
                window,
                places,
                closed_until: None,
            }),
        }
    }

    /// A place, once there is one. `None` only if the gate were gone.
    pub(crate) async fn enter(&self) -> Option<Place<'_>> {
        let permit = self.places.acquire().await.ok()?;
        let mut place = Place {
            gate: self,
            permit: Some(permit),
            ticket: None,
            sent: Instant::now(),
        };
        loop {
            let closed_until = self.state().closed_until;
            match closed_until {
                Some(until) if Instant::now() < until => tokio::time::sleep_until(until).await,
                _ => break,
            }
        }
        place.sent = Instant::now();
        let full = self.places.available_permits() == 0;
        place.ticket = Some(self.state().window.sent(full));
        Some(place)
    }

    /// How many requests may be under way at once.
    pub(crate) fn size(&self) -> usize {
        self.state().window.size()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the window the places that it has grown by, or takes those that nobody holds.
    fn fit(&self, state: &mut State) {
        let size = state.window.size();
        if size > state.places {
            self.places.add_permits(size - state.places);
            state.places = size;
        } else if size < state.places {
            state.places -= self.places.forget_permits(state.places - size);
        }
    }
}

/// One request under way. Dropped without a word, it was given up.
pub(crate) struct Place<'a> {
    gate: &'a Gate,
    permit: Option<SemaphorePermit<'a>>,
    ticket: Option<Ticket>,
    sent: Instant,
}

impl Place<'_> {
    /// The registry answered. Only what it does itself is `measured`.
    pub(crate) fn answered(mut self, measured: bool) {
        let Some(ticket) = self.ticket.take() else { return };
        let mut state = self.gate.state();
        if measured {
            state.window.answered(ticket, self.sent.elapsed());
        } else {
            state.window.abandoned(ticket);
        }
    }

    /// The registry refused for lack of capacity, or did not answer in time. Where it asked for a pause, nobody asks
    /// before that, unless it is only a larger window than usual that it refused.
    pub(crate) fn refused(mut self, asked: Option<Duration>) {
        let Some(ticket) = self.ticket.take() else { return };
        let mut state = self.gate.state();
        let concerns_everybody = state.window.refused(ticket);
        if concerns_everybody && let Some(pause) = asked {
            let until = Instant::now().checked_add(pause);
            state.closed_until = state.closed_until.max(until);
        }
        tracing::debug!(
            window = state.window.size(),
            "the registry refused for lack of capacity"
        );
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        if let Some(ticket) = self.ticket.take() {
            state.window.abandoned(ticket);
        }
        if state.places > state.window.size() {
            state.places -= 1;
            if let Some(permit) = self.permit.take() {
                permit.forget();
            }
        }
        self.gate.fit(&mut state);
        // Given back before anybody else sees the state: what is available and what is counted agree.
        drop(self.permit.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(gate: &Gate) -> usize {
        gate.places.available_permits()
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_shrinks_takes_its_places_as_they_come_back() {
        let gate = Gate::new(8);
        let mut places = Vec::new();
        for _ in 0..8 {
            places.push(gate.enter().await.unwrap());
        }
        assert_eq!(free(&gate), 0);
        places.pop().unwrap().refused(None);
        for left in (4..7).rev() {
            assert_eq!(
                free(&gate),
                0,
                "{left} are still under way, which the window has no room for"
            );
            places.pop();
        }
        assert_eq!(places.len(), 4);
        places.clear();
        assert_eq!(free(&gate), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_grows_lets_more_through() {
        let gate = Gate::new(16);
        // The last of eight fills the window, so each round has one that is measured.
        for _ in 0..12 {
            let mut places = Vec::new();
            for _ in 0..8 {
                places.push(gate.enter().await.unwrap());
            }
            tokio::time::advance(Duration::from_millis(20)).await;
            places.into_iter().for_each(|place| place.answered(true));
        }
        assert_eq!(free(&gate), 16);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_the_registry_asks_for_holds_everybody_back() {
        let gate = Gate::new(8);
        gate.enter().await.unwrap().refused(Some(Duration::from_secs(7)));
        let before = Instant::now();
        let place = gate.enter().await.unwrap();
        assert_eq!(before.elapsed().as_secs(), 7);
        place.answered(true);
        gate.enter().await.unwrap().answered(true);
        assert_eq!(before.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_or_asking_takes_no_place_along() {
        let gate = Gate::new(1);
        let place = gate.enter().await.unwrap();
        let waited = tokio::time::timeout(Duration::from_secs(1), gate.enter()).await;
        assert!(waited.is_err());
        drop(place);
        assert_eq!(free(&gate), 1);
        drop(gate.enter().await);
        assert_eq!(free(&gate), 1);
    }
}
