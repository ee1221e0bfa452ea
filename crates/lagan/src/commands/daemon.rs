//! `lagan daemon`: a configuration's policies, run by themselves.

use std::path::Path;
use std::sync::Arc;

use lagan_model::Clock as _;
use tokio::sync::mpsc;

use crate::admin::Admin;
use crate::cli::DaemonArgs;
use crate::daemon::{Daemon, Happening, Heartbeat, MOST_ORDERS, Options, Service, changes, signals};
use crate::exit::{Exit, Failure};
use crate::metrics::Metrics;
use crate::notifying::Notifying;
use crate::running::SystemClock;
use crate::settings;

/// How much a daemon may be told while it has something else in hand.
const EVENTS: usize = 16;

pub(crate) fn run(
    config: Option<&Path>,
    state_dir: Option<&Path>,
    arguments: &DaemonArgs,
) -> Result<Exit, Failure> {
    let Some(config) = settings::config_path(config) else {
        return Err(Failure::usage("no configuration was found")
            .with_hint("name it, as in `lagan daemon --config lagan.yaml`, or write ./lagan.yaml"));
    };
    let metrics = Arc::new(Metrics::new(|| SystemClock.now()));
    let options = Options {
        config: config.clone(),
        state: state_dir.map(Path::to_owned),
        listen: arguments.listen,
        keep: arguments.keep_runs.get(),
        // A length of time is positive.
        stop_within: arguments.stop_within.delta().to_std().unwrap_or_default(),
        metrics: Arc::clone(&metrics),
    };
    super::block_on(async {
        let (events, received) = mpsc::channel(EVENTS);
        let signals = signals(events.clone())?;
        let service = Service::new();
        let notifying = Notifying::new(SystemClock, Arc::clone(&metrics) as _);
        let tell = |happening: &Happening| {
            happening.log();
            let changes = metrics.happened(happening);
            notifying.happened(happening, &changes);
            service.tell(happening);
        };
        let daemon = Daemon::open(options, SystemClock, tell).await?;
        // Until its socket is gone: the next daemon would put its own there.
        let owner = daemon.owner();
        let (orders, placed) = mpsc::channel(MOST_ORDERS);
        let board = daemon.board();
        let listen = arguments.listen.or(board.read().config.admin.listen);
        let admin = Admin::start(daemon.state(), listen, board, orders, Arc::clone(&metrics))?;
        if let Some(address) = admin.address() {
            tracing::info!("the admin API is at http://{address}");
        }
        let daemon = daemon.taking(placed);
        let watcher = changes(&config, events.clone());
        if let Err(error) = &watcher {
            tracing::warn!("changes of the configuration are not seen, SIGHUP reads it again: {error}");
        }
        let heartbeat = Heartbeat::start(events).await?;
        let exit = daemon.run(received).await;
        // Whoever waits for a run has been told by now. Signals are heard meanwhile.
        if tokio::task::spawn_blocking(move || admin.stop()).await.is_err() {
            tracing::error!("the admin API did not stop as it should");
        }
        drop(owner);
        notifying.close().await;
        heartbeat.stop().await;
        signals.abort();
        Ok(exit)
    })
}
