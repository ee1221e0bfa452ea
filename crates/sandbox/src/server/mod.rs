//! The sandbox itself: a listening registry, and the handles by which a test steers it.

mod blobs;
mod connection;
mod damage;
mod handle;
mod listing;
mod manifests;
pub(crate) mod reply;
pub(crate) mod target;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(crate) use self::handle::Call;
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use self::connection::{Door, Scissors};
use crate::auth::Authority;
use crate::content::Corpus;
use crate::faults::Faults;
use crate::harbor;
use crate::log::AccessLog;
use crate::options::{Behaviour, SandboxOptions};
use crate::store::Store;

/// What every request sees.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) behaviour: Behaviour,
    /// `http://127.0.0.1:<port>`
    origin: String,
    authority: Authority,
    pub(crate) harbor: harbor::State,
    faults: Faults,
    log: AccessLog,
    uploads: blobs::Uploads,
    latency: Duration,
    places: Option<Semaphore>,
    stopped: watch::Receiver<bool>,
    any_deferred: AtomicBool,
    deferred: Mutex<Vec<Deferred>>,
}

/// A deletion that was answered and is still to be carried out.
struct Deferred {
    due: u64,
    repository: String,
    reference: String,
}

impl Shared {
    /// Waits for something, but not longer than the sandbox runs.
    pub(crate) async fn until_stopped(&self, wait: impl Future<Output = ()>) {
        let mut stopped = self.stopped.clone();
        let stop = std::pin::pin!(async move {
            // An error means that the sandbox is gone, which is a stop as well.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        });
        futures_util::future::select(stop, std::pin::pin!(wait)).await;
    }

    /// Whether tokens are given at this path.
    fn gives_tokens_at(&self, path: &str) -> bool {
        match self.harbor.enabled() {
            true => path == "/service/token",
            false => self.authority.gives_tokens_at(path),
        }
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    fn defer(&self, due: u64, repository: &str, reference: &str) {
        let deletion = Deferred {
            due,
            repository: repository.to_owned(),
            reference: reference.to_owned(),
        };
        self.deferred
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(deletion);
        self.any_deferred.store(true, Ordering::Release);
    }

    fn carry_out_what_is_due(&self, number: u64) {
        if !self.any_deferred.load(Ordering::Acquire) {
            return;
        }
        let mut deferred = self.deferred.lock().unwrap_or_else(PoisonError::into_inner);
        deferred.retain(|deletion| {
            let due = deletion.due <= number;
            if due {
                manifests::carry_out(&self.store, &deletion.repository, &deletion.reference);
            }
            !due
        });
        self.any_deferred.store(!deferred.is_empty(), Ordering::Release);
    }
}

/// A running registry. Dropping it stops it; [`Sandbox::shutdown`] also waits until it has.
pub struct Sandbox {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    served: JoinHandle<io::Result<()>>,
}

impl Sandbox {
    /// Listens on loopback and answers from now on, as a task of the current runtime.
    ///
    /// # Errors
    /// Where the port cannot be had.
    pub async fn start(options: SandboxOptions) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            store: Store::new(Corpus::new(options.corpus), options.cached_tables),
            behaviour: options.behaviour,
            origin: format!("http://{address}"),
            authority: Authority::new(options.auth, format!("http://{address}")),
            harbor: harbor::State::new(options.harbor),
            faults: Faults::default(),
            log: AccessLog::new(options.log_capacity),
            uploads: blobs::Uploads::default(),
            latency: options.latency,
            places: options.at_once.map(Semaphore::new),
            stopped: stopped.clone(),
            any_deferred: AtomicBool::new(false),
            deferred: Mutex::default(),
        });
        shared.harbor.learn_everything(&shared.store);
        for fault in options.faults {
            shared.faults.push(fault);
        }
        let service = Router::new()
            .fallback(handle::handle)
            .with_state(Arc::clone(&shared))
            .into_make_service_with_connect_info::<Scissors>();
        let mut signal = stopped;
        let serve = axum::serve(Door(listener), service).with_graceful_shutdown(async move {
            let _ = signal.wait_for(|stopped| *stopped).await;
        });
        let served = tokio::spawn(async move { serve.await });
        Ok(Self {
            shared,
            address,
            stop,
            served,
        })
    }

    /// `http://127.0.0.1:<port>`
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `127.0.0.1:<port>`, as references to images are written.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The generated content as it was before any write: the truth.
    #[must_use]
    pub fn corpus(&self) -> &Corpus {
        self.shared.store.corpus()
    }

    /// What goes wrong; can be changed at any time.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Which requests came.
    #[must_use]
    pub fn log(&self) -> &AccessLog {
        &self.shared.log
    }

    /// Makes every token that was given invalid.
    pub fn revoke_tokens(&self) {
        self.shared.authority.revoke();
        self.shared.harbor.revoke_tokens();
    }

    /// How many generated repositories were made, those made again among them.
    #[must_use]
    pub fn tables_built(&self) -> u64 {
        self.shared.store.tables_built()
    }

    /// Stops: idle connections close, requests that hang or wait are let go, others are finished.
    ///
    /// # Errors
    /// What serving failed with.
    pub async fn shutdown(self) -> io::Result<()> {
        let _ = self.stop.send(true);
        self.served
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
