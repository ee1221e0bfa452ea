//! Putting tags and labels back on an artifact that is there.

use bytes::Bytes;
use http::StatusCode;
use lagan_model::journal::RecordedRestore;
use lagan_model::{
    AttachmentForm, Digest, Failure, LabelScope, RegistryError, RegistryLabel, RegistryWrite as _,
    RepositoryName, RequestKind, Tag,
};
use serde_json::json;

use super::HarborRegistry;
use super::api::Permission;
use super::name::Name;
use super::wire;
use crate::action::Action;
use crate::problem;
use crate::token::Scope;
use crate::transport::{Answer, Redirects, Request};

/// What came of making a tag.
pub(super) enum Made {
    Done,
    /// There is one of that name.
    Elsewhere(RegistryError),
}

impl HarborRegistry {
    /// Makes a tag, which Harbor refuses where there is one of that name.
    pub(super) async fn make_tag(&self, restore: &RecordedRestore, tag: &Tag) -> Result<(), RegistryError> {
        let intent = restore.intent();
        // A signature becomes an accessory when it is pushed under its tag, and in no other way.
        if matches!(AttachmentForm::of(tag), Some((AttachmentForm::Signature, _))) {
            return self.oci.put_manifest(restore, Some(tag)).await;
        }
        if !intent.tags.contains(tag) {
            let request = format!("POST {}@{}", intent.repository, intent.digest);
            let detail = "not sent: the journal does not name this tag";
            return Err(RegistryError::new(Failure::Refused, request, detail));
        }
        let name = Name::of(&intent.repository)?;
        match self.send_tag(name, &intent.digest, tag).await? {
            Made::Done => Ok(()),
            Made::Elsewhere(error) => Err(error),
        }
    }

    pub(super) async fn send_tag(
        &self,
        name: Name<'_>,
        digest: &Digest,
        tag: &Tag,
    ) -> Result<Made, RegistryError> {
        let path = format!("{}/artifacts/{digest}/tags", name.path());
        let permission = Permission::new("tag", "create", name.project);
        let (request, answer) = self
            .post(RequestKind::Put, &path, &json!({ "name": tag.as_str() }))
            .await?;
        match answer.status {
            StatusCode::CREATED => Ok(Made::Done),
            StatusCode::CONFLICT if problem::envelope(&answer).is_some() => {
                Ok(Made::Elsewhere(self.not_changed(&request, &answer, permission)))
            }
            _ => Err(self.not_changed(&request, &answer, permission)),
        }
    }

    /// Those of these labels that an artifact does not show.
    pub(super) async fn labels_not_on(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        labels: &[RegistryLabel],
    ) -> Result<Vec<RegistryLabel>, RegistryError> {
        let there = self.read_artifact(Name::of(repository)?, digest).await?;
        let there = there.map(|listed| listed.record.kept_labels).unwrap_or_default();
        let lacking = labels.iter().filter(|label| !there.contains(label));
        Ok(lacking.cloned().collect())
    }

    /// Adds labels by their names; those that do not exist any more are given back.
    pub(super) async fn add_labels(
        &self,
        restore: &RecordedRestore,
        labels: &[RegistryLabel],
    ) -> Result<Vec<RegistryLabel>, RegistryError> {
        let intent = restore.intent();
        let name = Name::of(&intent.repository)?;
        let path = format!("{}/artifacts/{}/labels", name.path(), intent.digest);
        let permission = Permission::new("artifact-label", "create", name.project);
        let mut missing = Vec::new();
        for label in labels {
            let Some(id) = self.number_of(name, label).await? else {
                missing.push(label.clone());
                continue;
            };
            let (request, answer) = self.post(RequestKind::Put, &path, &json!({ "id": id })).await?;
            match answer.status {
                // It is on it already.
                StatusCode::OK | StatusCode::CREATED | StatusCode::CONFLICT => {}
                _ => return Err(self.not_changed(&request, &answer, permission)),
            }
        }
        Ok(missing)
    }

    /// The number of a label, which another one may have if it was deleted and made again.
    async fn number_of(&self, name: Name<'_>, label: &RegistryLabel) -> Result<Option<i64>, RegistryError> {
        let mut query = vec![("name", label.name.clone())];
        match label.scope {
            LabelScope::Global => query.push(("scope", "g".to_owned())),
            LabelScope::Project => {
                let project = self.seen_project(name.project).await?;
                query.push(("scope", "p".to_owned()));
                query.push(("project_id", project.id.to_string()));
            }
        }
        let query: Vec<_> = query.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let labels: Vec<wire::Label> = self
            .api()
            .by_number(
                RequestKind::Labels,
                "labels",
                &query,
                None,
                Permission::new("label", "list", name.project),
            )
            .await?;
        // What Harbor finds only has the name in it.
        Ok(labels
            .into_iter()
            .find(|found| found.name == label.name)
            .map(|found| found.id))
    }

    pub(super) async fn post(
        &self,
        kind: RequestKind,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<(Request, Answer), RegistryError> {
        let request = Request {
            redirects: Redirects::Never,
            action: Action::Create(Bytes::from(body.to_string())),
            ..self.api().request(kind, path, &[])
        };
        let answer = self.api().client.get(&request, &Scope::Nothing).await?;
        Ok((request, answer))
    }
}
