//! A disk that fails, as whoever asks sees it.

use std::fs;

use reqwest::StatusCode;
use serde_json::Value;

use super::{Asked, Scene};
use crate::daemon::{Event, Happening, Record};
use crate::exit::Exit;

impl Asked {
    /// Whether it is ready, and what is wrong with the state directory.
    async fn store(&self) -> (bool, Value) {
        let answer = self.get("/readyz").send().await.unwrap();
        let status = answer.status();
        let ready: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let is_ready = ready["ready"].as_bool().unwrap();
        assert_eq!(is_ready, status == StatusCode::OK, "{ready}");
        (is_ready, ready["store"].clone())
    }

    async fn after_an_hour(&mut self, scene: &Scene) -> Record {
        scene.clock.pass(60);
        self.events.send(Event::Beat).await.unwrap();
        self.told(|happening| match happening {
            Happening::Ended(record) => Some((**record).clone()),
            _ => None,
        })
        .await
    }
}

#[tokio::test]
async fn while_a_journal_that_failed_is_open_the_daemon_is_not_ready_and_says_why() {
    let scene = Scene::new().await;
    scene
        .asked(async |daemon| {
            // Somebody reads it meanwhile.
            let reads =
                crate::state::open(&scene.state()).unwrap_or_else(|failure| panic!("{}", failure.text()));
            assert_eq!(daemon.store().await, (true, Value::Null));
            let folders = fs::read_dir(scene.state()).unwrap();
            let folders = folders.map(|folder| folder.unwrap().path().join("store/blobs"));
            let store: Vec<_> = folders.filter(|folder| folder.is_dir()).collect();
            assert_eq!(store.len(), 1, "{store:?}");
            fs::remove_dir_all(&store[0]).unwrap();
            assert_eq!(daemon.after_an_hour(&scene).await.exit, Exit::Unexpected);
            assert_eq!(scene.tags(), 6);
            let (is_ready, store) = daemon.store().await;
            assert!(!is_ready);
            assert!(
                store.as_str().unwrap().starts_with("the journal failed to write"),
                "{store}"
            );
            let first = daemon.get("/").send().await.unwrap().text().await.unwrap();
            assert!(first.contains("The journal failed to write"), "{first}");

            drop(reads);
            assert_eq!(daemon.store().await, (true, Value::Null));
            assert_eq!(daemon.after_an_hour(&scene).await.exit, Exit::Done);
            assert_eq!(scene.tags(), 2);
        })
        .await;
}

#[tokio::test]
async fn while_the_daemon_cannot_write_its_own_files_it_is_not_ready_and_says_which() {
    let scene = Scene::new().await;
    scene.configure("dry-run");
    scene
        .asked(async |daemon| {
            daemon.after_an_hour(&scene).await;
            assert_eq!(daemon.store().await, (true, Value::Null));
            // No file can take the place of a folder.
            let schedule = scene.state().join("daemon/schedule.json");
            fs::remove_file(&schedule).unwrap();
            fs::create_dir(&schedule).unwrap();
            assert_eq!(
                daemon.after_an_hour(&scene).await.exit,
                Exit::Done,
                "what it was to do, it did"
            );
            let (is_ready, store) = daemon.store().await;
            assert!(!is_ready);
            assert!(
                store.as_str().unwrap().contains("when policies were run last"),
                "{store}"
            );
            fs::remove_dir(&schedule).unwrap();
            // Nothing is due: it is tried again all the same.
            daemon.events.send(Event::Beat).await.unwrap();
            while daemon.store().await != (true, Value::Null) {
                tokio::task::yield_now().await;
            }
        })
        .await;
}
