//! Signatures of webhooks, as Standard Webhooks has them: HMAC-SHA256 over identifier, time and body, in headers of
//! which libraries of many languages know the names.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac::{self, HMAC_SHA256, Key};
use secrecy::{ExposeSecret as _, SecretSlice};
use thiserror::Error;

/// In front of a key that is written in Base64.
const WRITTEN: &str = "whsec_";

/// The shortest key, in bytes: what is shorter can be guessed.
const SHORTEST: usize = 16;

/// What signs. `Debug` does not show it.
#[derive(Clone)]
pub struct SigningKey(Arc<SecretSlice<u8>>);

/// A key that cannot be used. It is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not what its prefix says.
    #[error("the secret begins with whsec_, and what follows is no Base64")]
    Base64,
    /// Too short.
    #[error("the secret is shorter than 16 bytes")]
    Short,
}

impl SigningKey {
    /// Reads a secret: `whsec_` and Base64, or its own bytes.
    ///
    /// # Errors
    ///
    /// When it is shorter than 16 bytes, or no Base64 where it says so.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        let bytes = match text.strip_prefix(WRITTEN) {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| KeyError::Base64)?,
            None => text.as_bytes().to_vec(),
        };
        if bytes.len() < SHORTEST {
            return Err(KeyError::Short);
        }
        Ok(Self(Arc::new(bytes.into())))
    }

    /// The value of `webhook-signature`.
    pub(crate) fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let mut signed = hmac::Context::with_key(&Key::new(HMAC_SHA256, self.0.expose_secret()));
        signed.update(format!("{id}.{seconds}.").as_bytes());
        signed.update(body);
        format!("v1,{}", STANDARD.encode(signed.sign()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    #[test]
    fn the_example_of_the_specification_is_signed_as_there() {
        let key = SigningKey::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = key.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_key_is_not_shown_and_a_short_one_is_refused() {
        let key = SigningKey::new("correct horse battery").unwrap();
        assert!(!format!("{key:?}").contains("horse"));
        assert_eq!(SigningKey::new("short").map(drop), Err(KeyError::Short));
        assert_eq!(SigningKey::new("whsec_!").map(drop), Err(KeyError::Base64));
        assert_eq!(SigningKey::new("whsec_c2hvcnQ=").map(drop), Err(KeyError::Short));
    }
}
