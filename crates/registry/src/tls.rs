//! The HTTP client: which certificates it trusts, how it pools connections, and what it never does by itself.

use std::sync::Once;

use reqwest::{Certificate, Client, ClientBuilder, redirect, retry};

use crate::guard::Guard;
use crate::origin;
use crate::settings::{Settings, SettingsError};

/// Installs *ring* as the process's provider of cryptography, once; later calls do nothing.
///
/// The TLS stack panics where there is none, even for plain HTTP, so a binary calls this first.
pub fn install_crypto_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // An error means that the process has a provider already, which will do.
        if rustls::crypto::ring::default_provider()
            .install_default()
            .is_err()
        {
            tracing::debug!("another provider of cryptography is installed");
        }
    });
}

/// Builds the client for one registry.
///
/// Without certificates of the system the platform's verifier refuses to be made, even for plain HTTP (a
/// container image from scratch has none): then the compiled-in ones of Mozilla are trusted instead.
pub(crate) fn client(settings: &Settings, guard: &Guard) -> Result<Client, SettingsError> {
    build(settings, guard, false)
}

/// The same; its answers tell the certificate of whoever gave them.
pub(crate) fn client_that_tells(settings: &Settings, guard: &Guard) -> Result<Client, SettingsError> {
    build(settings, guard, true)
}

fn build(settings: &Settings, guard: &Guard, tells: bool) -> Result<Client, SettingsError> {
    install_crypto_provider();
    let extra = || -> Result<Vec<Certificate>, SettingsError> {
        let bundle = settings.ca.iter().flat_map(|ca| ca.certificates());
        bundle
            .map(|der| Certificate::from_der(der).map_err(SettingsError::Client))
            .collect()
    };
    let base = || Ok::<_, SettingsError>(base(settings, guard)?.tls_info(tells));
    match base()?.tls_certs_merge(extra()?).build() {
        Ok(client) => Ok(client),
        Err(error) => {
            tracing::debug!(%error, "the system's certificates cannot be used; trusting the compiled-in ones");
            let mut trusted = extra()?;
            trusted.extend(compiled_in()?);
            base()?
                .tls_certs_only(trusted)
                .build()
                .map_err(SettingsError::Client)
        }
    }
}

/// Mozilla's certificates.
fn compiled_in() -> Result<Vec<Certificate>, SettingsError> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    roots
        .map(|der| Certificate::from_der(der).map_err(SettingsError::Client))
        .collect()
}

fn base(settings: &Settings, guard: &Guard) -> Result<ClientBuilder, SettingsError> {
    let mut builder = Client::builder()
        .user_agent(concat!("lagan/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        .dns_resolver(guard.clone())
        // Every request is counted and retried in one place, which is not this one.
        .retry(retry::never())
        .connect_timeout(settings.timeouts.connect)
        .timeout(settings.timeouts.request)
        // Over HTTP/2 everything goes through one connection. One that died in silence would take every further
        // attempt with it, since a request that waits in vain does not close it.
        .http2_keep_alive_interval(settings.timeouts.request / 3)
        .http2_keep_alive_timeout(settings.timeouts.request / 3)
        .pool_max_idle_per_host(settings.max_concurrency.get());
    if let Some(certificate) = &settings.client_certificate {
        builder = builder.identity(certificate.identity()?);
    }
    Ok(if origin::is_loopback(settings.url.url()) {
        builder.no_proxy()
    } else {
        builder
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificates_that_are_compiled_in_are_those_of_the_world() {
        assert!(compiled_in().unwrap().len() > 100);
        let has = |name: &[u8]| {
            let mut roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
            roots.any(|der| der.windows(name.len()).any(|window| window == name))
        };
        assert!(has(b"ISRG Root X1") && has(b"DigiCert Global Root G2"));
    }
}
