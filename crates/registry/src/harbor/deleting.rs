//! Deleting: each tag by the digest that it is on, then the artifact that has none left.
//!
//! Harbor deletes an artifact with whatever tags are on it at that moment, and a tag only if it is on the artifact that
//! the request names. So tags are taken off one by one, each a compare-and-delete; then the artifact is looked at again,
//! and goes only if it has none. A tag that somebody puts there meanwhile saves it. What was taken off is put back
//! wherever the artifact stays.
//!
//! Tags, accessories and rules are asked for where Harbor fails rather than answers as if there were none.

use std::collections::BTreeSet;

use http::StatusCode;
use lagan_model::journal::{DeleteIntent, RecordedDelete, UntagIntent};
use lagan_model::{
    Accessory, Deletion, Digest, Failure, Immutable, Reference, RegistryError, RegistryRead as _,
    RepositoryName, RequestKind, Tag,
};

use super::HarborRegistry;
use super::api::Permission;
use super::name::Name;
use super::putting::Made;
use super::rules::Rules;
use super::{rights, wire};
use crate::action::Action;
use crate::problem;
use crate::token::Scope;
use crate::transport::{Answer, Redirects, Request};

/// What came of sending a deletion.
enum Sent {
    Done,
    /// Harbor has no such thing.
    NotFound,
    /// Harbor keeps it, and says why (412).
    Kept(String),
    /// Not what was asked for, or nobody knows.
    Failed(RegistryError),
}

/// A tag that was taken off and is not back.
struct Lost<'t> {
    tag: &'t Tag,
    error: RegistryError,
    /// Whether its artifact may be there.
    is_there: bool,
}

impl HarborRegistry {
    /// Deletes an artifact, if it has the tags that are on record and no others, and takes nothing along that is not.
    pub(super) async fn delete_artifact(&self, recorded: &RecordedDelete) -> Result<Deletion, RegistryError> {
        let name = Name::of(&recorded.intent().repository)?;
        self.not_a_cache(&recorded.intent().repository).await?;
        let _place = self.lanes.enter(name.project).await?;
        let intent = recorded.intent();
        let needs = match intent.tags.is_empty() {
            true => rights::DELETE,
            false => rights::DELETE_WITH_TAGS,
        };
        let request = self.deletion(&artifact_path(name, &intent.digest)).line();
        self.check_rights(name, needs, &request).await?;
        let done = self.delete_now(recorded, name).await;
        done.inspect_err(|error| self.lanes.ended(name.project, error))
    }

    async fn delete_now(&self, recorded: &RecordedDelete, name: Name<'_>) -> Result<Deletion, RegistryError> {
        let intent = recorded.intent();
        let Some(tags) = self.tags_on(name, &intent.digest).await? else {
            return Ok(Deletion::NotFound);
        };
        let known: BTreeSet<&Tag> = intent.tags.iter().collect();
        let now: BTreeSet<&Tag> = tags.iter().map(|(tag, _)| tag).collect();
        if let Some(tag) = known.symmetric_difference(&now).next() {
            let what = if now.contains(tag) {
                "is on"
            } else {
                "is no longer on"
            };
            return Ok(left(format!("the tag {tag} {what} {}", intent.digest)));
        }
        if let Some(why) = self.why_immutable(name, &tags).await? {
            return Ok(left(why));
        }
        // Nothing is taken off for nothing.
        if !intent.tags.is_empty()
            && let Some(why) = self.takes_more(recorded, name).await?
        {
            return Ok(left(why));
        }
        let mut taken = Vec::new();
        for tag in &intent.tags {
            let end = match self.send_untag(name, &intent.digest, tag).await {
                Sent::Done => None,
                Sent::NotFound => Some(self.lost_tag(intent, tag).await),
                Sent::Kept(why) => Some(Ok(why)),
                // The answer may have been lost alone.
                Sent::Failed(error) => match self.tags_on(name, &intent.digest).await {
                    Ok(Some(now)) if !now.iter().any(|(other, _)| other == tag) && !is_refusal(&error) => {
                        None
                    }
                    _ => Some(Err(error)),
                },
            };
            match end {
                None => taken.push(tag),
                Some(end) => return self.go_back(intent, name, &taken, end).await,
            }
        }
        // Something may have been attached while tags were taken off.
        match self.takes_more(recorded, name).await {
            Ok(None) => {}
            Ok(Some(why)) => return self.go_back(intent, name, &taken, Ok(why)).await,
            Err(error) => return self.go_back(intent, name, &taken, Err(error)).await,
        }
        let rest = match self.tags_on(name, &intent.digest).await {
            Ok(Some(rest)) => rest,
            // Somebody else was faster; the tags were ours.
            Ok(None) if !taken.is_empty() => return Ok(Deletion::Accepted),
            Ok(None) => return Ok(Deletion::NotFound),
            Err(error) => return self.go_back(intent, name, &taken, Err(error)).await,
        };
        if let Some((tag, _)) = rest.first() {
            let why = format!("the tag {tag} was put on {} meanwhile", intent.digest);
            return self.go_back(intent, name, &taken, Ok(why)).await;
        }
        match self.send_delete(name, &intent.digest).await {
            Sent::Done => Ok(Deletion::Accepted),
            Sent::NotFound if taken.is_empty() => Ok(Deletion::NotFound),
            Sent::NotFound => Ok(Deletion::Accepted),
            Sent::Kept(why) => self.go_back(intent, name, &taken, Ok(why)).await,
            Sent::Failed(error) => self.go_back(intent, name, &taken, Err(error)).await,
        }
    }

    /// What a 404 to a tag's own deletion says, right after it was seen. What stands between may send a request twice, and
    /// hand on the second answer: a tag that is nowhere may have been taken off by this.
    async fn lost_tag(&self, intent: &DeleteIntent, tag: &Tag) -> Result<String, RegistryError> {
        let reference = Reference::Tag(tag.clone());
        match self.oci.resolve(&intent.repository, &reference).await? {
            Some(head) if head.digest != intent.digest => {
                Ok(format!("the tag {tag} is no longer on {}", intent.digest))
            }
            _ => {
                let request = format!("DELETE {}:{tag}", intent.repository);
                let detail = "the registry answered that the tag is not there, and had just listed it";
                Err(RegistryError::new(Failure::Server, request, detail))
            }
        }
    }

    /// Puts the tags back that were taken off an artifact which stays, and says why it does.
    async fn go_back(
        &self,
        intent: &DeleteIntent,
        name: Name<'_>,
        taken: &[&Tag],
        end: Result<String, RegistryError>,
    ) -> Result<Deletion, RegistryError> {
        let Err(Lost { tag, error, is_there }) = self.put_back(name, &intent.digest, taken).await else {
            return end.map(left);
        };
        let why = match &end {
            Ok(why) => why.clone(),
            Err(error) => error.to_string(),
        };
        let detail =
            format!("the tag {tag} was taken off, and could not be put back ({error}), after: {why}");
        let request = format!("POST {}@{}", intent.repository, intent.digest);
        if is_there {
            // The next artifact would lose its tags in the same way.
            self.lanes
                .close(name.project, end.as_ref().err().unwrap_or(&error));
        }
        // Whether all of it is there is to be looked at: what is missing counts as deleted.
        Err(RegistryError::new(Failure::Server, request, detail))
    }

    /// Puts tags back, every one that can be.
    async fn put_back<'t>(&self, name: Name<'_>, digest: &Digest, taken: &[&'t Tag]) -> Result<(), Lost<'t>> {
        let mut missing = taken.to_vec();
        let mut failed = None;
        // An answer says little: what is there is looked at, and what is not sent once more.
        for _ in 0..2 {
            let Some(first) = missing.first().copied() else {
                return Ok(());
            };
            let mut elsewhere = Vec::new();
            for tag in &missing {
                match self.send_tag(name, digest, tag).await {
                    Ok(Made::Done) => {}
                    Ok(Made::Elsewhere(_)) => elsewhere.push(*tag),
                    Err(error) => failed = Some((*tag, error)),
                }
            }
            let lost = |failed: Option<(&'t Tag, RegistryError)>, error, is_there| {
                let (tag, error) = failed.unwrap_or((first, error));
                Err(Lost { tag, error, is_there })
            };
            let there = match self.tags_on(name, digest).await {
                Ok(Some(there)) => there,
                // The deletion happened, whatever its answer was.
                Ok(None) => return lost(failed, unseen(digest), false),
                Err(error) => return lost(failed, error, true),
            };
            let is_there = |tag: &Tag| there.iter().any(|(other, _)| other == tag);
            missing.retain(|tag| !is_there(tag) && !elsewhere.contains(tag));
        }
        let Some(first) = missing.first().copied() else {
            return Ok(());
        };
        let failed = failed.filter(|(tag, _)| missing.contains(tag));
        let (tag, error) = failed.unwrap_or_else(|| (first, unseen(digest)));
        Err(Lost {
            tag,
            error,
            is_there: true,
        })
    }

    /// Takes one of several tags off, if it is on this artifact.
    pub(super) async fn delete_tag(&self, intent: &UntagIntent) -> Result<Deletion, RegistryError> {
        let name = Name::of(&intent.repository)?;
        self.not_a_cache(&intent.repository).await?;
        let _place = self.lanes.enter(name.project).await?;
        let path = tag_path(name, &intent.digest, &intent.tag);
        let request = self.deletion(&path).line();
        self.check_rights(name, rights::UNTAG, &request).await?;
        let done = self.delete_tag_now(intent, name).await;
        done.inspect_err(|error| self.lanes.ended(name.project, error))
    }

    async fn delete_tag_now(&self, intent: &UntagIntent, name: Name<'_>) -> Result<Deletion, RegistryError> {
        let (tag, digest) = (&intent.tag, &intent.digest);
        let Some(tags) = self.tags_on(name, digest).await? else {
            return Ok(Deletion::NotFound);
        };
        let Some(own) = tags.iter().find(|(other, _)| other == tag) else {
            return Ok(left(format!("the tag {tag} is no longer on {digest}")));
        };
        if tags.len() == 1 {
            return Ok(left(format!("no other tag is on {digest} any more")));
        }
        if let Some(why) = self.why_immutable(name, std::slice::from_ref(own)).await? {
            return Ok(left(why));
        }
        match self.send_untag(name, digest, tag).await {
            Sent::Done => Ok(Deletion::Accepted),
            Sent::NotFound => Ok(left(format!("the tag {tag} is no longer on {digest}"))),
            Sent::Kept(why) => Ok(left(why)),
            Sent::Failed(error) => Err(error),
        }
    }

    /// The tags on an artifact, and whether Harbor marks each as immutable; `None` where there is no such artifact.
    pub(super) async fn tags_on(
        &self,
        name: Name<'_>,
        digest: &Digest,
    ) -> Result<Option<Vec<(Tag, bool)>>, RegistryError> {
        let path = format!("{}/artifacts/{digest}/tags", name.path());
        let rows: Vec<wire::TagRow> = match self
            .api()
            .by_number(
                RequestKind::Artifacts,
                &path,
                &[("with_immutable_status", "true")],
                None,
                Permission::new("tag", "list", name.project),
            )
            .await
        {
            Ok(rows) => rows,
            Err(error) if error.failure() == Failure::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let read = |row: wire::TagRow| match row.name.parse() {
            Ok(tag) => Ok((tag, row.immutable)),
            Err(error) => {
                let request = self.api().request(RequestKind::Artifacts, &path, &[]);
                let what = problem::quoted(&row.name);
                Err(problem::malformed(&request, format!("{what} is no tag: {error}")))
            }
        };
        rows.into_iter().map(read).collect::<Result<_, _>>().map(Some)
    }

    /// What is attached to an artifact; `None` where there is no such artifact.
    pub(super) async fn attached_to(
        &self,
        name: Name<'_>,
        digest: &Digest,
    ) -> Result<Option<Vec<Accessory>>, RegistryError> {
        let path = format!("{}/artifacts/{digest}/accessories", name.path());
        let rows: Vec<wire::AccessoryRow> = match self
            .api()
            .by_number(
                RequestKind::Artifacts,
                &path,
                &[],
                None,
                Permission::new("accessory", "list", name.project),
            )
            .await
        {
            Ok(rows) => rows,
            Err(error) if error.failure() == Failure::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let read = |row: wire::AccessoryRow| match row.digest.parse() {
            Ok(digest) => Ok(Accessory {
                digest,
                kind: row.kind,
            }),
            Err(error) => {
                let request = self.api().request(RequestKind::Artifacts, &path, &[]);
                let what = problem::quoted(&row.digest);
                Err(problem::malformed(
                    &request,
                    format!("{what} is no digest: {error}"),
                ))
            }
        };
        rows.into_iter().map(read).collect::<Result<_, _>>().map(Some)
    }

    pub(super) async fn read_accessories(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<Option<Vec<Accessory>>, RegistryError> {
        let name = Name::of(repository)?;
        match self.attached_to(name, subject).await? {
            Some(accessories) => Ok(Some(accessories)),
            None => {
                let request = format!("GET {repository}@{subject}");
                Err(RegistryError::new(
                    Failure::NotFound,
                    request,
                    "there is no such artifact",
                ))
            }
        }
    }

    /// Why one of these tags may not be deleted, by its mark or by the project's rules as they are now.
    async fn why_immutable(
        &self,
        name: Name<'_>,
        tags: &[(Tag, bool)],
    ) -> Result<Option<String>, RegistryError> {
        if tags.is_empty() {
            return Ok(None);
        }
        let rules = Rules::new(self.read_rules(name.project).await?);
        let mut rules = rules.of_repository(name.rest);
        let why = tags.iter().find_map(|(tag, marked)| {
            Some(match rules.why_immutable(tag.as_str(), *marked)? {
                Immutable::Marked | Immutable::Rule => format!("the tag {tag} is immutable"),
                Immutable::Unknown => {
                    format!("whether the tag {tag} is immutable cannot be told from the project's rules")
                }
            })
        });
        Ok(why)
    }

    async fn send_untag(&self, name: Name<'_>, digest: &Digest, tag: &Tag) -> Sent {
        let path = tag_path(name, digest, tag);
        self.send(&path, Permission::new("tag", "delete", name.project))
            .await
    }

    async fn send_delete(&self, name: Name<'_>, digest: &Digest) -> Sent {
        let path = artifact_path(name, digest);
        self.send(&path, Permission::new("artifact", "delete", name.project))
            .await
    }

    fn deletion(&self, path: &str) -> Request {
        Request {
            redirects: Redirects::Never,
            action: Action::Delete,
            ..self.api().request(RequestKind::Delete, path, &[])
        }
    }

    async fn send(&self, path: &str, permission: Permission<'_>) -> Sent {
        let request = self.deletion(path);
        let answer = match self.api().client.get(&request, &Scope::Nothing).await {
            Ok(answer) => answer,
            Err(error) => return Sent::Failed(error),
        };
        match answer.status {
            StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => Sent::Done,
            StatusCode::NOT_FOUND if problem::envelope(&answer).is_some() => Sent::NotFound,
            StatusCode::PRECONDITION_FAILED => Sent::Kept(problem::describe(&answer)),
            _ => Sent::Failed(self.not_changed(&request, &answer, permission)),
        }
    }

    /// What an answer that is not the one hoped for says about a change: that it was not made, or nothing.
    pub(super) fn not_changed(
        &self,
        request: &Request,
        answer: &Answer,
        permission: Permission<'_>,
    ) -> RegistryError {
        let error = self.api().refused(request, answer, permission);
        let failure = match answer.status.as_u16() {
            401 | 403 | 405 | 408 | 429 | 501 => return error,
            // Somebody in between may have passed it on.
            503 => Failure::Server,
            400..=499 => Failure::Refused,
            _ => return error,
        };
        let detail = format!("{} ({permission})", problem::describe(answer));
        let error = RegistryError::new(failure, request.line(), detail);
        match answer.status {
            StatusCode::NOT_FOUND => {
                error.with_hint("this is not Harbor's own answer: look at what stands in front of it")
            }
            _ => error,
        }
    }
}

fn artifact_path(name: Name<'_>, digest: &Digest) -> String {
    format!("{}/artifacts/{digest}", name.path())
}

fn tag_path(name: Name<'_>, digest: &Digest, tag: &Tag) -> String {
    format!("{}/artifacts/{digest}/tags/{tag}", name.path())
}

fn unseen(digest: &Digest) -> RegistryError {
    let detail = "Harbor accepted it, and does not show it";
    RegistryError::new(Failure::Server, format!("POST {digest}"), detail)
}

fn left(detail: String) -> Deletion {
    Deletion::Left { detail }
}

/// Whether a change was certainly not made.
fn is_refusal(error: &RegistryError) -> bool {
    matches!(
        error.failure(),
        Failure::Unauthorized
            | Failure::Denied
            | Failure::Unsupported
            | Failure::Refused
            | Failure::Overloaded
    )
}
