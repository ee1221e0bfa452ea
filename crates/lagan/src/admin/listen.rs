//! Where requests come in: the socket of the state directory, and an address.
//!
//! Nobody can hold a place for long by saying nothing: headers, bodies and answers have their time, and connections are
//! counted.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tower_service::Service as _;

use super::caller::Way;
use super::hooks::Rate;
use crate::exit::{Exit, Failure};

/// How many connections there are at a time, of each kind.
const CONNECTIONS: usize = 64;

/// How long others are waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For the headers of a request, and for the next request of a connection.
    pub(super) headers: Duration,
    /// For the body of a request.
    pub(super) body: Duration,
    /// For whoever reads an answer to read on.
    pub(super) reading: Duration,
    /// For what is being answered when the server stops.
    pub(super) stopping: Duration,
    /// With registries that tell much.
    pub(super) hooks: Rate,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            headers: Duration::from_secs(10),
            body: Duration::from_secs(10),
            reading: Duration::from_secs(30),
            stopping: Duration::from_secs(5),
            hooks: Rate::default(),
        }
    }
}

/// How much of a request's headers is read, in bytes.
const LONGEST_HEADERS: usize = 32 * 1024;

/// What is listened on.
pub(super) struct Doors {
    socket: StdUnixListener,
    path: PathBuf,
    /// Which file it is: device and number.
    file: (u64, u64),
    /// Whose state directory it is.
    owner: u32,
    tcp: Option<(StdTcpListener, SocketAddr)>,
}

impl Doors {
    /// Opens them.
    pub(super) fn open(path: &Path, listen: Option<SocketAddr>) -> Result<Self, Failure> {
        let tcp = listen.map(bind).transpose()?;
        let failed = |doing: &str, error: io::Error| {
            let context = format!("failed to {doing} the socket {}", path.display());
            let failure = Failure::new(Exit::Usage, anyhow::Error::new(error).context(context));
            match path.as_os_str().len() {
                108.. => failure.with_hint("the name of a socket has less than 108 bytes: a state directory with a shorter name would do"),
                _ => failure,
            }
        };
        make_way(path)?;
        let socket = StdUnixListener::bind(path).map_err(|error| failed("listen on", error))?;
        // Nobody else enters the folder either.
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(path, private).map_err(|error| failed("close to others", error))?;
        socket
            .set_nonblocking(true)
            .map_err(|error| failed("listen on", error))?;
        let there = fs::metadata(path).map_err(|error| failed("look at", error))?;
        Ok(Self {
            socket,
            path: path.to_owned(),
            file: (there.dev(), there.ino()),
            owner: there.uid(),
            tcp,
        })
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().map(|(_, address)| *address)
    }

    /// Answers until it is told to stop, and closes them.
    pub(super) async fn serve(self, router: Router, patience: Patience, mut stopped: watch::Receiver<bool>) {
        let Self {
            socket,
            path,
            file,
            owner,
            tcp,
        } = self;
        let mut doors = JoinSet::new();
        match UnixListener::from_std(socket) {
            Ok(socket) => {
                let (router, stopped) = (router.clone(), stopped.clone());
                doors.spawn(async move {
                    by_socket(
                        socket,
                        owner,
                        Service {
                            router,
                            patience,
                            stopped,
                        },
                    )
                    .await
                });
            }
            Err(error) => tracing::error!("nobody is answered on the socket: {error}"),
        }
        if let Some((listener, address)) = tcp {
            match TcpListener::from_std(listener) {
                Ok(listener) => {
                    let stopped = stopped.clone();
                    doors.spawn(async move {
                        by_tcp(
                            listener,
                            address,
                            Service {
                                router,
                                patience,
                                stopped,
                            },
                        )
                        .await
                    });
                }
                Err(error) => tracing::error!("nobody is answered on {address}: {error}"),
            }
        }
        // An error means that nobody is left to tell it.
        _ = stopped.wait_for(|stopped| *stopped).await;
        let closed = async { while doors.join_next().await.is_some() {} };
        _ = tokio::time::timeout(patience.stopping, closed).await;
        // One that stays is replaced by the next daemon, and one of somebody else is left alone.
        if fs::symlink_metadata(&path).is_ok_and(|there| (there.dev(), there.ino()) == file) {
            _ = fs::remove_file(path);
        }
    }
}

/// Removes a socket that nobody listens on any more.
fn make_way(path: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let context = format!("failed to replace the socket {}", path.display());
        Failure::new(Exit::Usage, anyhow::Error::new(error).context(context))
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(there) => {
            use std::os::unix::fs::FileTypeExt as _;
            if !there.file_type().is_socket() {
                return Err(Failure::usage(format!("{} is no socket", path.display()))
                    .with_hint("move it away: the daemon listens there"));
            }
        }
    }
    match StdUnixStream::connect(path) {
        Ok(_) => Err(
            Failure::usage(format!("another process listens on {}", path.display()))
                .with_hint("give each daemon a state directory of its own"),
        ),
        Err(_) => fs::remove_file(path).map_err(failed),
    }
}

fn bind(address: SocketAddr) -> Result<(StdTcpListener, SocketAddr), Failure> {
    let bound = || -> io::Result<_> {
        let listener = StdTcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound().map_err(|error| {
        let taken = error.kind() == io::ErrorKind::AddrInUse;
        let context = format!("failed to listen on {address}");
        let failure = Failure::new(Exit::Usage, anyhow::Error::new(error).context(context));
        match taken {
            true => failure
                .with_hint("another program has this port: give another with --listen or `admin.listen`"),
            false => failure,
        }
    })
}

/// What every connection gets.
#[derive(Clone)]
struct Service {
    router: Router,
    patience: Patience,
    stopped: watch::Receiver<bool>,
}

async fn by_socket(listener: UnixListener, owner: u32, service: Service) {
    let mut stopped = service.stopped.clone();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        while connections.try_join_next().is_some() {}
        let peer = accepted.and_then(|(stream, _)| Ok((stream.peer_cred()?.uid(), stream)));
        match peer {
            Ok((uid, stream)) => {
                let way = Way::Socket {
                    uid,
                    trusted: uid == owner || uid == 0,
                };
                let service = service.clone();
                connections.spawn(async move {
                    answer(stream, way, service).await;
                    drop(place);
                });
            }
            Err(error) => rest(&error).await,
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn by_tcp(listener: TcpListener, address: SocketAddr, service: Service) {
    let mut stopped = service.stopped.clone();
    let way = Way::Tcp {
        loopback: address.ip().is_loopback(),
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                // Small answers must not wait for the acknowledgement of the one before.
                _ = stream.set_nodelay(true);
                let service = service.clone();
                connections.spawn(async move {
                    answer(stream, way, service).await;
                    drop(place);
                });
            }
            Err(error) => rest(&error).await,
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Out of file descriptors, for the most part: others will be closed soon.
async fn rest(error: &io::Error) {
    tracing::debug!("a connection was not accepted: {error}");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Answers what comes over one connection.
async fn answer(stream: impl AsyncRead + AsyncWrite + Send + 'static, way: Way, service: Service) {
    let Service {
        router,
        patience,
        mut stopped,
    } = service;
    let service = service_fn(move |request: Request<Incoming>| {
        let mut router = router.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(way);
        async move {
            let answer: Result<_, Infallible> = router.call(request).await;
            answer
        }
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(patience.reading));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(patience.headers)
            .max_buf_size(LONGEST_HEADERS)
            .serve_connection(TokioIo::new(Box::pin(stream)), service)
    );
    let stop = async {
        // An error means that nobody is left to tell it.
        _ = stopped.wait_for(|stopped| *stopped).await;
    };
    // What ends a connection is its peer's affair.
    tokio::select! {
        _ = &mut connection => return,
        () = stop => connection.as_mut().graceful_shutdown(),
    }
    _ = connection.await;
}
