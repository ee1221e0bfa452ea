//! The admin API of a daemon: what it does can be seen, and asked for, over HTTP.
//!
//! It is served by a thread of its own, so that no answer waits for a run: what a daemon shows lies on its
//! [`Board`], what came of runs in its history, and the journal is read beside the run that writes it. What is asked for
//! becomes an [`Order`], which waits for its turn.
//!
//! Two ways lead in. Who reaches the socket in the state directory is its owner or root, and may do everything. Over
//! TCP only a token gives more than a look, and even that only where the daemon listens on loopback. Registries tell
//! what changes in them by either, with a secret of their own.

mod asking;
mod caller;
mod client;
mod hooks;
mod journal;
mod listen;
mod looking;
mod openapi;
mod pages;
mod problem;
mod refusals;
mod runs;
mod tokens;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use axum::Router;
use axum::http::Method;
use axum::middleware;
use axum::routing::{MethodRouter, get, post};
use tokio::sync::{Semaphore, mpsc, watch};

pub(crate) use self::client::{Answer, Client};
use self::hooks::Hooks;
use self::listen::{Doors, Patience};
use self::problem::Problem;
use self::refusals::Refusals;
use self::tokens::Tokens;
pub(crate) use self::tokens::{check as check_tokens, check_secret};
use crate::daemon::{Board, Order};
use crate::exit::{Exit, Failure};
use crate::metrics::Metrics;

/// The name of the socket in the state directory.
const SOCKET: &str = "lagan.sock";

/// What every request sees.
struct Desk {
    /// The state directory.
    state: PathBuf,
    board: Arc<Board>,
    orders: mpsc::Sender<Order>,
    metrics: Arc<Metrics>,
    tokens: Tokens,
    hooks: Hooks,
    refusals: Arc<Refusals>,
    patience: Patience,
    /// What pages show of the journal.
    freed: pages::Counted,
    /// The last runs of policies, as they were read.
    lasts: runs::Lasts,
    /// Held by whoever asks a registry about a tag.
    explaining: Semaphore,
}

/// A server that runs.
pub(crate) struct Admin {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
    address: Option<SocketAddr>,
}

impl Admin {
    /// Listens on the socket of a state directory, and on an address if there is one, and answers from now on.
    ///
    /// # Errors
    ///
    /// Where somebody else listens there, or the socket cannot be made.
    pub(crate) fn start(
        state: &Path,
        listen: Option<SocketAddr>,
        board: Arc<Board>,
        orders: mpsc::Sender<Order>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Failure> {
        Self::with(state, listen, board, orders, metrics, Patience::default())
    }

    fn with(
        state: &Path,
        listen: Option<SocketAddr>,
        board: Arc<Board>,
        orders: mpsc::Sender<Order>,
        metrics: Arc<Metrics>,
        patience: Patience,
    ) -> Result<Self, Failure> {
        let doors = Doors::open(&state.join(SOCKET), listen)?;
        let address = doors.address();
        let refusals = Arc::new(Refusals::new(state));
        let desk = Arc::new(Desk {
            state: state.to_owned(),
            board,
            orders,
            metrics,
            tokens: Tokens::default(),
            hooks: Hooks::new(patience.hooks),
            refusals: Arc::clone(&refusals),
            patience,
            freed: pages::Counted::default(),
            lasts: runs::Lasts::default(),
            explaining: Semaphore::new(1),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // What reads the journal, and what writes of refusals.
            .max_blocking_threads(4)
            .build()?;
        let (stop, stopped) = watch::channel(false);
        let serve = move || {
            runtime.block_on(doors.serve(router(desk), patience, stopped));
            refusals.close();
            // Whoever reads the journal or asks a registry for a page that nobody will get is not waited for.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new()
            .name("admin".to_owned())
            .spawn(serve)
            .map_err(|error| {
                let context = anyhow::Error::new(error).context("failed to start the admin API");
                Failure::new(Exit::Unexpected, context)
            })?;
        Ok(Self {
            stop,
            thread,
            address,
        })
    }

    /// Where it listens beside its socket.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Finishes what it is answering, unless that takes long, and stops. This waits for it: on a thread that may.
    pub(crate) fn stop(self) {
        _ = self.stop.send(true);
        // What went wrong in it, it has told.
        _ = self.thread.join();
    }
}

type Route = (Method, &'static str, MethodRouter<Arc<Desk>>);

/// Everything that can be asked. The document that describes it is held against this by a test.
fn routes() -> Vec<Route> {
    vec![
        (Method::GET, "/healthz", get(looking::health)),
        (Method::GET, "/readyz", get(looking::readiness)),
        (Method::GET, "/metrics", get(looking::metrics)),
        (Method::GET, "/api/v1/openapi.json", get(openapi::serve)),
        (Method::GET, "/api/v1/policies", get(looking::policies)),
        (Method::GET, "/api/v1/runs", get(runs::list)),
        (Method::GET, "/api/v1/runs/{id}", get(runs::one)),
        (Method::GET, "/api/v1/runs/{id}/report", get(runs::report)),
        (Method::GET, "/api/v1/plans", get(runs::plans)),
        (Method::GET, "/api/v1/plans/{id}", get(runs::plan)),
        (Method::GET, "/api/v1/journal", get(journal::list)),
        (Method::GET, "/api/v1/journal/{run}", get(journal::show)),
        (Method::POST, "/api/v1/plan", post(asking::plan)),
        (Method::POST, "/api/v1/apply", post(asking::apply)),
        (Method::POST, "/api/v1/undo", post(asking::undo)),
        (Method::POST, "/hooks/{registry}", post(hooks::take)),
    ]
}

fn router(desk: Arc<Desk>) -> Router {
    let mut router = Router::new();
    for (_, path, answer) in routes().into_iter().chain(pages::routes()) {
        router = router.route(path, answer);
    }
    router
        .fallback(async || Problem::no_such_place())
        .method_not_allowed_fallback(async || Problem::no_such_method())
        .layer(middleware::from_fn_with_state(Arc::clone(&desk), caller::admit))
        .with_state(desk)
}
