//! Secrets of receivers that change while a daemon runs.

use super::*;

#[tokio::test]
async fn a_receiver_is_told_with_the_secret_that_its_file_has_by_then() {
    let scene = Scene::new().await;
    let (first, mut hears_first) = receiver().await;
    let (second, mut hears_second) = receiver().await;
    let place = scene.place.path();
    let secret = place.join("address");
    fs::write(&secret, &first).unwrap();
    scene.configure(&[("prereleases", "dry-run")]);
    let config = fs::read_to_string(place.join("lagan.yaml")).unwrap();
    let path = secret.display();
    scene.write(&format!(
        "notifications: {{ops: {{webhook: {{url_file: '{path}'}}, events: [plan_ready, reload_refused]}}}}\n{config}"
    ));
    let kind = async |hears: &mut mpsc::UnboundedReceiver<Value>| hears.recv().await.unwrap()["type"].clone();
    scene
        .told(async |daemon| {
            daemon.pass(30).await;
            assert_eq!(kind(&mut hears_first).await, "lagan.plan_ready.v1");
            // As a secret that is mounted is swapped: another file, under the same name.
            fs::write(place.join("other"), &second).unwrap();
            fs::rename(place.join("other"), &secret).unwrap();
            scene.write("registries: [");
            daemon.say(Event::Reload).await;
            assert_eq!(kind(&mut hears_second).await, "lagan.reload_refused.v1");
            // What cannot be an address, or is not there, is not taken.
            for text in [Some("no address"), None] {
                match text {
                    Some(text) => fs::write(&secret, text).unwrap(),
                    None => fs::remove_file(&secret).unwrap(),
                }
                scene.write(&format!("{text:?}: ["));
                daemon.say(Event::Reload).await;
                assert_eq!(kind(&mut hears_second).await, "lagan.reload_refused.v1");
            }
            fs::write(&secret, &first).unwrap();
            scene.write("policies: [");
            daemon.say(Event::Reload).await;
            assert_eq!(kind(&mut hears_first).await, "lagan.reload_refused.v1");
            assert!(hears_second.try_recv().is_err());
        })
        .await;
}

#[tokio::test]
async fn a_secret_from_a_pipe_is_read_once() {
    let scene = Scene::new().await;
    let (address, mut hears) = receiver().await;
    let place = scene.place.path();
    let pipe = place.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let written = {
        let (pipe, address) = (pipe.clone(), address.clone());
        thread::spawn(move || fs::write(pipe, address).unwrap())
    };
    scene.configure(&[("prereleases", "dry-run")]);
    let config = fs::read_to_string(place.join("lagan.yaml")).unwrap();
    let path = pipe.display();
    scene.write(&format!(
        "notifications: {{ops: {{webhook: {{url_file: '{path}'}}, events: all}}}}\n{config}"
    ));
    scene
        .told(async |daemon| {
            written.join().unwrap();
            daemon.pass(30).await;
            // Whoever read it again would wait for somebody to write.
            assert_eq!(hears.recv().await.unwrap()["type"], "lagan.plan_ready.v1");
        })
        .await;
}
