//! What a running Harbor holds beside its tables: its clock, its switches, and the lanes in which a project's artifacts
//! are deleted one after another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;

use super::account::{Account, Who};
use super::options::HarborOptions;
use super::route::Route;
use super::sync::{self, Pushed};
use super::tables::Tables;
use crate::digest::Digest;
use crate::moment::Moment;
use crate::store::Store;

/// The Harbor of a sandbox; a sandbox that is none has one that answers nothing.
pub(crate) struct State {
    pub(super) options: HarborOptions,
    pub(super) enabled: bool,
    now: AtomicI64,
    pub(super) read_only: AtomicBool,
    tables: Mutex<Tables>,
    lanes: Mutex<HashMap<i64, Arc<Lane>>>,
    pub(super) tokens: Mutex<HashMap<String, super::token::Token>>,
    /// How many tokens were given: none is given twice, revoked ones neither.
    pub(super) issued: AtomicU64,
    pub(super) pulls: Mutex<Vec<super::pull::Pull>>,
    /// Blobs that were pushed or asked for, and when: a collection spares them for two hours.
    touched: Mutex<HashMap<Digest, Moment>>,
}

/// Where one project's deletions wait for each other.
#[derive(Default)]
pub(super) struct Lane {
    pub(super) gate: tokio::sync::Mutex<()>,
    inside: AtomicUsize,
    pub(super) most: AtomicUsize,
}

impl Lane {
    /// Counts a deletion in, until what is answered is dropped: also when its client goes away.
    pub(super) fn enter(&self) -> Place<'_> {
        let inside = self.inside.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(inside, Ordering::Relaxed);
        Place(self)
    }
}

/// A deletion at work, or waiting.
pub(super) struct Place<'a>(&'a Lane);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    pub(crate) fn new(options: Option<HarborOptions>) -> Self {
        let enabled = options.is_some();
        let options = options.unwrap_or_default();
        let mut tables = Tables::default();
        for account in &options.accounts {
            tables.add_account(account.clone(), options.now);
        }
        Self {
            enabled,
            now: AtomicI64::new(options.now.unix()),
            read_only: AtomicBool::new(options.read_only),
            tables: Mutex::new(tables),
            lanes: Mutex::default(),
            tokens: Mutex::default(),
            issued: AtomicU64::new(1),
            pulls: Mutex::default(),
            touched: Mutex::default(),
            options,
        }
    }

    /// Whether the sandbox is a Harbor.
    pub(crate) fn enabled(&self) -> bool {
        self.enabled
    }

    pub(super) fn now(&self) -> Moment {
        Moment::from_unix(self.now.load(Ordering::Relaxed))
    }

    pub(super) fn set_now(&self, now: Moment) {
        self.now.store(now.unix(), Ordering::Relaxed);
    }

    /// The tables, for this request alone. The content's own locks are taken inside this one, never around it.
    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        lock(&self.tables)
    }

    /// A blob was pushed or asked for.
    pub(crate) fn touch(&self, digest: Digest) {
        if self.enabled {
            lock(&self.touched).insert(digest, self.now());
        }
    }

    pub(super) fn touched(&self) -> MutexGuard<'_, HashMap<Digest, Moment>> {
        lock(&self.touched)
    }

    /// A path of the API, taken apart; `None` where there is no API or it is no path of it.
    pub(crate) fn route(&self, method: &Method, path: &str) -> Option<Route> {
        match self.enabled {
            true => Route::read(method, path, self.options.proxy_decodings, self.options.version),
            false => None,
        }
    }

    pub(super) fn lane(&self, project: i64) -> Arc<Lane> {
        Arc::clone(lock(&self.lanes).entry(project).or_default())
    }

    /// Learns what a repository holds now.
    pub(crate) fn changed(&self, store: &Store, repository: &str, pushed: Pushed) {
        if self.enabled {
            self.sync(&mut self.tables(), store, repository, pushed);
        }
    }

    pub(super) fn sync(&self, tables: &mut Tables, store: &Store, repository: &str, pushed: Pushed) {
        let now = self.now();
        store.read(repository, |view| {
            sync::repository(tables, view, repository, now, pushed);
        });
    }

    /// A repository is no longer there.
    pub(crate) fn forget(&self, repository: &str) {
        if self.enabled {
            let mut tables = self.tables();
            if let Some(id) = tables.repository(repository).map(|row| row.id) {
                tables.remove_repository(id);
            }
        }
    }

    /// Learns what every repository holds.
    pub(crate) fn learn_everything(&self, store: &Store) {
        if self.enabled {
            for name in store.names_after(None, false, usize::MAX).0 {
                self.changed(store, &name, Pushed::WhenBuilt);
            }
        }
    }
}

/// Who a header's basic credentials belong to: wrong ones are like none.
pub(super) fn who<'a>(tables: &'a Tables, header: Option<&str>, now: Moment) -> Who<'a> {
    credentials(header)
        .and_then(|(name, secret)| tables.account(&name, &secret, now))
        .map_or(Who::Anonymous, Who::Known)
}

/// Name and password of a header.
pub(super) fn credentials(header: Option<&str>) -> Option<(String, String)> {
    let (scheme, rest) = header?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (name, secret) = text.split_once(':')?;
    Some((name.to_owned(), secret.to_owned()))
}

/// A panic while a lock was held has failed its test already; others may go on.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The account of a robot or user by name, whatever its password.
pub(super) fn named<'a>(tables: &'a Tables, name: &str) -> Option<&'a Account> {
    let robots = tables.robots.values().map(|robot| &robot.account);
    tables
        .users
        .iter()
        .chain(robots)
        .find(|account| account.name == name)
}
