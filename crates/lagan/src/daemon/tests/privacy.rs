//! What is in the state directory is its owner's, and nobody else's.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;
use crate::bans::Pause;

/// Everything below a folder, and the folder, as far as others may do something with it.
fn open_to_others(path: &Path, found: &mut Vec<(PathBuf, u32)>, seen: &mut Vec<String>) {
    let metadata = fs::symlink_metadata(path).unwrap();
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        found.push((path.to_owned(), mode));
    }
    seen.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            open_to_others(&entry.unwrap().path(), found, seen);
        }
    }
}

#[tokio::test]
async fn what_a_daemon_writes_is_its_owners_alone() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "enforce")]);
    let path = scene.place.path().join("lagan.yaml");
    let config = fs::read_to_string(&path).unwrap();
    scene.write(&format!(
        "{config}    notice: 1d\n    rollout: {{stages: [100%], hold: 1d}}\n"
    ));
    let runs = scene.state().join("daemon/runs");
    drop(scene.open().await.map_err(|failure| failure.text()).unwrap());
    // As an older version had it.
    for folder in [&scene.state().join("daemon"), &runs] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    scene
        .told(async |daemon| {
            daemon.pass(30).await;
            assert_eq!(daemon.ended().await.error, None);
            let wanted = Wanted {
                save: true,
                ..Wanted::default()
            };
            let _told = daemon.order(Asked::Plan(wanted)).await;
            assert_eq!(daemon.ended().await.error, None);
            daemon.pass(2 * 24 * 60).await;
            assert_eq!(daemon.ended().await.error, None);
            Pause {
                since: None,
                until: None,
                why: None,
            }
            .write(&scene.state())
            .unwrap();
        })
        .await;
    assert!(scene.tags() < 6, "it deleted");
    let (mut open, mut seen) = (Vec::new(), Vec::new());
    open_to_others(&scene.state(), &mut open, &mut seen);
    assert_eq!(open, []);
    for name in [
        "run.json",
        "report.json",
        "report.html",
        "plan.json",
        "schedule.json",
        "lock",
        "announced",
        "rollout",
        "audit",
    ] {
        assert!(seen.iter().any(|found| found == name), "{name}: {seen:?}");
    }
}
