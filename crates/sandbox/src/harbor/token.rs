//! Who may do what on `/v2`: Harbor takes basic credentials there as well as the tokens it gives.

use std::collections::HashMap;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use super::account::Who;
use super::state::{State, credentials, lock, who};
use super::tables::Tables;
use crate::auth::{Need, Refusal};

/// Who asked for a token, and the scopes that were granted.
pub(crate) struct Token {
    authenticated: bool,
    granted: Vec<(String, String)>,
}

impl State {
    /// Whether a request on `/v2` may go on. Whoever gives wrong credentials is anonymous, and what is public can be pulled.
    pub(crate) fn check(
        &self,
        need: &Need<'_>,
        header: Option<&str>,
        is_head: bool,
        origin: &str,
    ) -> Result<(), Refusal> {
        let tables = self.tables();
        let tokens = lock(&self.tokens);
        let token = header
            .and_then(|header| header.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .and_then(|(_, token)| tokens.get(token));
        let who = who(&tables, header, self.now());
        let allowed = match need {
            Need::Identity => match token {
                Some(token) => token.authenticated,
                None => who.is_known(),
            },
            Need::Catalog => who.may_in_system("catalog", "read"),
            Need::Repository { .. } if is_head && header.is_none() => false,
            Need::Repository {
                name,
                actions,
                mounted_from,
            } => {
                let may = |repository: &str, action: &str| match token {
                    Some(token) => token
                        .granted
                        .iter()
                        .any(|(named, granted)| named == repository && granted == action),
                    None => allows(&tables, who, repository, action),
                };
                // Whoever may push need not be allowed to pull.
                let pushes = actions.contains(&"push");
                let needed = actions.iter().filter(|action| !pushes || **action == "push");
                needed.into_iter().all(|action| may(name, action))
                    && mounted_from.is_none_or(|from| may(from, "pull"))
            }
        };
        if allowed {
            return Ok(());
        }
        Err(Refusal::Challenge(challenge(&tables, need, header, origin)))
    }

    /// Every token is invalid from now on.
    pub(crate) fn revoke_tokens(&self) {
        lock(&self.tokens).clear();
    }

    /// A token for what is asked and allowed, and its lifetime in seconds; `None` for credentials that are wrong.
    pub(crate) fn token(&self, scopes: &[String], header: Option<&str>) -> Option<(String, u64)> {
        let tables = self.tables();
        let who = who(&tables, header, self.now());
        if credentials(header).is_some() && !who.is_known() {
            return None;
        }
        let granted = scopes
            .iter()
            .flat_map(|scope| granted(&tables, who, scope))
            .collect();
        let mut tokens: MutexGuard<'_, HashMap<String, Token>> = lock(&self.tokens);
        let text = format!("harbor-token-{}", self.issued.fetch_add(1, Ordering::Relaxed));
        let token = Token {
            authenticated: who.is_known(),
            granted,
        };
        tokens.insert(text.clone(), token);
        Some((text, 1_800))
    }
}

fn allows(tables: &Tables, who: Who<'_>, repository: &str, action: &str) -> bool {
    let project = repository.split('/').next().and_then(|name| tables.project(name));
    project.is_some_and(|project| who.may(project, "repository", action))
}

fn granted(tables: &Tables, who: Who<'_>, scope: &str) -> Vec<(String, String)> {
    let Some((name, actions)) = scope
        .strip_prefix("repository:")
        .and_then(|rest| rest.rsplit_once(':'))
    else {
        return Vec::new();
    };
    actions
        .split(',')
        .filter(|action| allows(tables, who, name, action))
        .map(|action| (name.to_owned(), action.to_owned()))
        .collect()
}

/// Bearer for who sent nothing, Basic for who sent something; nothing at all where the project is not known.
fn challenge(tables: &Tables, need: &Need<'_>, header: Option<&str>, origin: &str) -> String {
    if let Need::Repository { name, .. } = need
        && name
            .split('/')
            .next()
            .and_then(|name| tables.project(name))
            .is_none()
    {
        return String::new();
    }
    if header.is_some() || matches!(need, Need::Catalog) {
        return "Basic realm=\"harbor\"".to_owned();
    }
    let mut text = format!("Bearer realm=\"{origin}/service/token\",service=\"harbor-registry\"");
    if let Need::Repository { name, actions, .. } = need {
        text.push_str(&format!(",scope=\"repository:{name}:{}\"", actions.join(",")));
    }
    text
}
