//! On whose behalf something is done.

use std::fs;

use serde::Serialize;

/// Who had something done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Who {
    /// Whoever ran a command.
    User(User),
    /// The daemon, because this policy was due.
    Schedule {
        /// The policy.
        policy: String,
    },
    /// The daemon by itself, as when its configuration changed.
    Daemon,
    /// Whoever asked the admin API.
    Api {
        /// What the token is called, which is no secret, or who is at the other end of the socket.
        name: String,
    },
}

impl Who {
    /// Whoever runs this process.
    #[must_use]
    pub fn user() -> Self {
        Self::User(User::current())
    }
}

/// A user of this machine. The number is what the system vouches for; the names help people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// The real user id of the process.
    pub uid: u32,
    /// What `/etc/passwd` calls it; a container has often none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who became root for this, as `sudo` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sudo: Option<String>,
}

impl User {
    /// Whoever runs this process.
    #[must_use]
    pub fn current() -> Self {
        let uid = rustix::process::getuid().as_raw();
        let known = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self {
            uid,
            name: named(&known, uid),
            // Only root is believed about it: others could set the variable to anything.
            sudo: (uid == 0).then(|| std::env::var("SUDO_USER").ok()).flatten(),
        }
    }
}

/// The name of a user in the format of passwd(5).
fn named(known: &str, uid: u32) -> Option<String> {
    known.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_as_the_system_names_him() {
        let known = "root:x:0:0::/root:/bin/sh\nbroken\n:x:7:7\nlagan:x:1000:1000::/:/x\n";
        assert_eq!(named(known, 1000).as_deref(), Some("lagan"));
        assert_eq!(named(known, 0).as_deref(), Some("root"));
        assert_eq!(named(known, 7), None);
        assert_eq!(named("", 0), None);
    }

    #[test]
    fn each_says_of_which_kind_he_is() {
        let json = |who: Who| serde_json::to_string(&who).unwrap();
        let user = User {
            uid: 1000,
            name: Some("lagan".to_owned()),
            sudo: None,
        };
        assert_eq!(
            json(Who::User(user)),
            r#"{"kind":"user","uid":1000,"name":"lagan"}"#
        );
        assert_eq!(json(Who::Daemon), r#"{"kind":"daemon"}"#);
        let token = Who::Api {
            name: "ci".to_owned(),
        };
        assert_eq!(json(token), r#"{"kind":"api","name":"ci"}"#);
    }
}
