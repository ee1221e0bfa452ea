//! What a Harbor is started with.

use std::time::Duration;

use super::account::Account;
use super::version::HarborVersion;
use crate::moment::Moment;

/// What a Harbor is started with; more is changed while it runs, by [`super::Harbor`].
#[derive(Debug, Clone)]
pub struct HarborOptions {
    /// Which release.
    pub version: HarborVersion,
    /// What its clock says: pushes, pulls and new tags get this time, robots and collections are judged by it. It stands
    /// still until [`super::Harbor::set_now`].
    pub now: Moment,
    /// Who has an account. Whoever has none is anonymous, and so is whoever gives a wrong password.
    pub accounts: Vec<Account>,
    /// Nothing is written: 403 `DENIED` for every method but GET, HEAD and OPTIONS, on `/v2` too.
    pub read_only: bool,
    /// How often the proxies in front decode a path before Harbor sees it. Harbor's own does once, so that a name with
    /// slashes has to be encoded twice (`a/b` as `a%252Fb`); 2 is one more proxy that does the same, and such names are
    /// lost; 0 is Harbor reached directly, where encoding once is enough as well.
    pub proxy_decodings: u8,
    /// How long a project's quota is refreshed after an artifact was deleted, in the runtime's time. The answer waits for
    /// it, and the project's next deletion too.
    pub quota_refresh: Duration,
    /// After how many further requests a pull is seen in `pull_time`: Harbor writes them down now and then.
    pub pulls_seen_after: u64,
    /// Begins the names of robots.
    pub robot_prefix: String,
}

impl HarborOptions {
    /// The name of the administrator that every new Harbor has.
    pub const ADMIN: &str = "admin";
    /// The password of [`HarborOptions::ADMIN`].
    pub const PASSWORD: &str = "Harbor12345";

    /// One more account.
    #[must_use]
    pub fn account(mut self, account: Account) -> Self {
        self.accounts.push(account);
        self
    }

    /// Another release.
    #[must_use]
    pub fn version(mut self, version: HarborVersion) -> Self {
        self.version = version;
        self
    }

    /// Another time.
    #[must_use]
    pub fn now(mut self, now: Moment) -> Self {
        self.now = now;
        self
    }
}

impl Default for HarborOptions {
    /// The newest release on 2026-07-01, empty, with [`HarborOptions::ADMIN`] alone.
    fn default() -> Self {
        Self {
            version: HarborVersion::default(),
            now: Moment::date(2026, 7, 1),
            accounts: vec![Account::admin(Self::ADMIN, Self::PASSWORD)],
            read_only: false,
            proxy_decodings: 1,
            quota_refresh: Duration::ZERO,
            pulls_seen_after: 0,
            robot_prefix: "robot$".to_owned(),
        }
    }
}
