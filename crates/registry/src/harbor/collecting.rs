//! Harbor's garbage collection: when it is due, which there were, and starting one.

use http::StatusCode;
use http::header::LOCATION;
use lagan_model::{RegistryError, RequestKind, Time, json};
use serde::Deserialize;
use serde_json::json;

use super::HarborRegistry;
use super::api::read;
use super::examine::{Asked, of_system};
use super::wire::nullable;
use crate::token::Scope;

/// When garbage is collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionSchedule {
    /// `Hourly`, `Daily`, `Weekly`, `Custom`.
    pub kind: String,
    /// Its cron expression of six fields, the seconds first, in UTC.
    pub cron: String,
    /// When it is due next, where Harbor tells.
    pub next: Option<Time>,
    /// Whether it takes artifacts without a tag as well, however new; `None` where its parameters cannot be read.
    pub delete_untagged: Option<bool>,
    /// Whether it only counts and takes nothing; `None` where its parameters cannot be read.
    pub dry_run: Option<bool>,
}

/// One collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionRun {
    /// Its number. Later ones have greater numbers.
    pub id: i64,
    /// `Pending`, `Running`, `Success`, `Error`, `Stopped`, or a word that is not known.
    pub status: String,
    /// When it was started.
    pub started: Option<Time>,
    /// Whether it takes artifacts without a tag as well.
    pub delete_untagged: Option<bool>,
    /// Whether it only counts and takes nothing.
    pub dry_run: Option<bool>,
}

impl CollectionRun {
    /// Whether it is at work or waits for its turn. A word that is not known counts as open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.status.as_str(), "Success" | "Error" | "Stopped")
    }

    /// Whether it may take something, or has. What is not known to be a dry run is none.
    #[must_use]
    pub fn takes(&self) -> bool {
        self.dry_run != Some(true)
    }
}

/// A collection, or the schedule of them, which Harbor writes in the same form.
#[derive(Debug, Deserialize)]
struct Collection {
    #[serde(default, deserialize_with = "nullable")]
    id: i64,
    #[serde(default, deserialize_with = "nullable")]
    job_status: String,
    creation_time: Option<String>,
    schedule: Option<Schedule>,
    /// A document in a text.
    job_parameters: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Schedule {
    #[serde(rename = "type", default, deserialize_with = "nullable")]
    kind: String,
    #[serde(default, deserialize_with = "nullable")]
    cron: String,
    next_scheduled_time: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Parameters {
    #[serde(default, deserialize_with = "nullable")]
    delete_untagged: bool,
    #[serde(default, deserialize_with = "nullable")]
    dry_run: bool,
}

impl Collection {
    /// Without parameters all of them are off; what cannot be read is not known.
    fn parameters(&self) -> Option<Parameters> {
        match self.job_parameters.as_deref() {
            None | Some("") => Some(Parameters::default()),
            Some(text) => json::read(text.as_bytes()).ok(),
        }
    }

    fn run(self) -> CollectionRun {
        let parameters = self.parameters();
        CollectionRun {
            id: self.id,
            delete_untagged: parameters.as_ref().map(|parameters| parameters.delete_untagged),
            dry_run: parameters.map(|parameters| parameters.dry_run),
            started: self.creation_time.as_deref().and_then(time),
            status: self.job_status,
        }
    }
}

impl HarborRegistry {
    /// When garbage is collected by Harbor's own schedule; `None` where that is not scheduled. It takes
    /// `garbage-collection:read` of the system.
    ///
    /// # Errors
    ///
    /// Where that is refused, or the answer cannot be read.
    pub async fn collection_schedule(&self) -> Asked<Option<CollectionSchedule>> {
        let request = self
            .api()
            .request(RequestKind::Collections, "system/gc/schedule", &[]);
        let answer = self.oci.client().get(&request, &Scope::Nothing).await?;
        if answer.status != StatusCode::OK {
            let permission = of_system("garbage-collection", "read");
            return Err(self.api().refused(&request, &answer, permission));
        }
        // Nothing at all is how Harbor says that nothing is scheduled.
        if answer.body.trim_ascii().is_empty() {
            return Ok(None);
        }
        let collection: Collection = read(&request, &answer)?;
        let parameters = collection.parameters();
        let schedule = collection.schedule.filter(|schedule| {
            !matches!(schedule.kind.as_str(), "" | "None" | "Manual") || !schedule.cron.is_empty()
        });
        Ok(schedule.map(|schedule| CollectionSchedule {
            next: schedule.next_scheduled_time.as_deref().and_then(time),
            kind: schedule.kind,
            cron: schedule.cron,
            delete_untagged: parameters.as_ref().map(|parameters| parameters.delete_untagged),
            dry_run: parameters.map(|parameters| parameters.dry_run),
        }))
    }

    /// The latest twenty collections, the newest first. It takes `garbage-collection:list` of the system.
    ///
    /// # Errors
    ///
    /// Where that is refused, or the answer cannot be read.
    pub async fn latest_collections(&self) -> Asked<Vec<CollectionRun>> {
        let query = [
            ("page", "1".to_owned()),
            ("page_size", "20".to_owned()),
            ("sort", "-id".to_owned()),
        ];
        let request = self.api().request(RequestKind::Collections, "system/gc", &query);
        let permission = of_system("garbage-collection", "list");
        let rows: Option<Vec<Collection>> = self.api().one(&request, permission).await?;
        let mut runs: Vec<_> = rows
            .unwrap_or_default()
            .into_iter()
            .map(Collection::run)
            .collect();
        runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        Ok(runs)
    }

    /// Has Harbor collect its garbage now, once, and says under which number, where Harbor does. It is sent once, and
    /// never again: whether an answer that was lost was a yes, only [`latest_collections`](Self::latest_collections)
    /// tells. Harbor takes it also while another collection runs, and lets it wait; who calls looks before. It takes
    /// `garbage-collection:create` of the system.
    ///
    /// # Errors
    ///
    /// As the changes of [`RegistryWrite`](lagan_model::RegistryWrite).
    pub async fn start_collection(&self, delete_untagged: bool) -> Result<Option<i64>, RegistryError> {
        // Releases differ in what they add to the parameters; all of them want that there are some.
        let body = json!({
            "schedule": { "type": "Manual" },
            "parameters": { "delete_untagged": delete_untagged, "dry_run": false },
        });
        let permission = of_system("garbage-collection", "create");
        let (request, answer) = self
            .post(RequestKind::Collections, "system/gc/schedule", &body)
            .await?;
        match answer.status {
            StatusCode::CREATED | StatusCode::OK | StatusCode::ACCEPTED => {
                let location = answer.header(&LOCATION).unwrap_or_default();
                let id = location.rsplit('/').next().and_then(|id| id.parse().ok());
                Ok(id.filter(|id| *id > 0))
            }
            _ => Err(self.not_changed(&request, &answer, permission)),
        }
    }
}

/// A time; the year 1 is how Harbor writes that there is none.
fn time(text: &str) -> Option<Time> {
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    (time.timestamp() > 0).then_some(time)
}
