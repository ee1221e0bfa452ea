//! HTTP/2, where the registry offers it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::Version;
use axum::response::Response;
use futures_util::future::join_all;
use lagan_model::RegistryRead as _;
use lagan_registry::{OciRegistry, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::authority::{Authority, Reached, SecureServer};
use crate::support::{app, json, refused, settings};

fn answer(reached: &Reached) -> Response {
    json(
        200,
        if reached.path == "/v2/" {
            "{}"
        } else {
            r#"{"tags":["a"]}"#
        },
    )
}

fn trusting(authority: &Authority, port: u16) -> Settings {
    let mut settings = settings(&format!("https://127.0.0.1:{port}"));
    settings.ca = Some(authority.bundle());
    settings
}

/// Less than the server allows: how far the window grows below it is a matter of how fast this machine is.
const BOUND: usize = 64;

#[tokio::test]
async fn many_requests_share_a_connection_and_no_limit_of_it_fails_any() {
    let authority = Authority::new();
    for streams in [1, 4, 200] {
        let server = SecureServer::start(&authority, "127.0.0.1", streams, answer).await;
        let mut settings = trusting(&authority, server.port);
        settings.max_concurrency = NonZeroUsize::new(BOUND).unwrap();
        let registry = OciRegistry::connect(settings).await.unwrap();
        let repository = app();
        for tags in join_all((0..500).map(|_| registry.list_tags(&repository))).await {
            assert_eq!(tags.unwrap().len(), 1);
        }
        let log = server.log();
        assert_eq!(log.len(), 501);
        assert!(log.iter().all(|reached| reached.version == Version::HTTP_2));
        assert_eq!(server.connections.load(Ordering::SeqCst), 1);
        let most = server.most.load(Ordering::SeqCst);
        assert!(most <= BOUND.min(streams as usize), "{most} of {streams}");
    }
}

/// The bound is one of requests, not of connections.
#[tokio::test]
async fn the_bound_holds_on_one_connection_as_well() {
    let authority = Authority::new();
    let server = SecureServer::start(&authority, "127.0.0.1", 200, answer).await;
    let mut three = trusting(&authority, server.port);
    three.max_concurrency = NonZeroUsize::new(3).unwrap();
    let registry = OciRegistry::connect(three).await.unwrap();
    let repository = app();
    for tags in join_all((0..200).map(|_| registry.list_tags(&repository))).await {
        tags.unwrap();
    }
    let most = server.most.load(Ordering::SeqCst);
    assert!((2..=3).contains(&most), "{most}");
}

#[tokio::test]
async fn refusals_for_lack_of_capacity_make_the_window_smaller_as_they_do_elsewhere() {
    let authority = Authority::new();
    let crowded = Arc::new(AtomicBool::new(true));
    let now = Arc::clone(&crowded);
    let server = SecureServer::start(&authority, "127.0.0.1", 200, move |reached| {
        match reached.path != "/v2/" && now.swap(false, Ordering::SeqCst) {
            true => refused(429, "TOOMANYREQUESTS"),
            false => answer(reached),
        }
    })
    .await;
    let registry = OciRegistry::connect(trusting(&authority, server.port))
        .await
        .unwrap();
    let repository = app();
    for tags in join_all((0..50).map(|_| registry.list_tags(&repository))).await {
        tags.unwrap();
    }
    assert_eq!(server.log().len(), 1 + 50 + 1);
    // Too few answers since for a larger window to be tried again.
    server.most.store(0, Ordering::SeqCst);
    for tags in join_all((0..12).map(|_| registry.list_tags(&repository))).await {
        tags.unwrap();
    }
    let most = server.most.load(Ordering::SeqCst);
    assert!((2..=8).contains(&most), "{most} of a window that was 16");
}

/// A relay whose first connection goes silent, in both directions, when told to.
async fn relay(to: u16, silent: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for number in 0.. {
            let (inner, _) = listener.accept().await.unwrap();
            let outer = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let (from_client, to_client) = inner.into_split();
            let (from_server, to_server) = outer.into_split();
            for (mut from, mut to) in [(from_client, to_server), (from_server, to_client)] {
                let silent = Arc::clone(&silent);
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(read @ 1..) = from.read(&mut buffer).await {
                        if number == 0 && silent.load(Ordering::SeqCst) {
                            // Neither closed nor read: as when a machine in between forgets the connection.
                            std::future::pending::<()>().await;
                        }
                        if to.write_all(&buffer[..read]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        }
    });
    port
}

#[tokio::test]
async fn a_connection_that_died_in_silence_is_given_up_and_not_every_request_on_it() {
    let authority = Authority::new();
    let server = SecureServer::start(&authority, "127.0.0.1", 200, answer).await;
    let silent = Arc::new(AtomicBool::new(false));
    let port = relay(server.port, Arc::clone(&silent)).await;
    let mut quick = trusting(&authority, port);
    quick.timeouts.request = Duration::from_millis(900);
    let registry = OciRegistry::connect(quick).await.unwrap();
    registry.list_tags(&app()).await.unwrap();
    silent.store(true, Ordering::SeqCst);
    registry.list_tags(&app()).await.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}
