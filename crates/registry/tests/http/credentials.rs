//! Where credentials come from, and that they are read anew.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, io};

use axum::response::Response;
use lagan_model::RegistryRead as _;
use lagan_registry::{ConnectError, CredentialSource, DockerConfig, OciRegistry, Settings, SettingsError};
use tempfile::TempDir;

use crate::support::{Seen, Server, app, json, refused, respond};

/// `ci:s3cret` and `ci:changed`, as basic authentication sends them.
const BASIC: &str = "Basic Y2k6czNjcmV0";
const CHANGED: &str = "Basic Y2k6Y2hhbmdlZA==";
const TAGS: &str = r#"{"name":"team/app","tags":["a"]}"#;

fn accepting(seen: &Seen, authorization: &str) -> Response {
    match (seen.authorization(), seen.path.as_str()) {
        (Some(given), "/v2/") if given == authorization => json(200, "{}"),
        (Some(given), _) if given == authorization => json(200, TAGS),
        _ => respond(401, &[("www-authenticate", "Basic realm=\"x\"")], ""),
    }
}

/// What is logged.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn docker(server: &Server, config: DockerConfig) -> Settings {
    let mut settings = server.settings();
    settings.credentials = Some(CredentialSource::Docker(config));
    settings
}

/// A docker configuration that is about this server.
fn config(folder: &TempDir, server: &Server, json: &str) -> DockerConfig {
    let host = server.url.trim_start_matches("http://");
    let path = folder.path().join("config.json");
    fs::write(&path, json.replace("HOST", host)).unwrap();
    DockerConfig::new(path, vec![folder.path().to_owned()])
}

/// Writes `docker-credential-test`, a shell script.
fn helper(folder: &TempDir, script: &str) {
    let path = folder.path().join("docker-credential-test");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

async fn refusal(settings: Settings) -> String {
    match OciRegistry::connect(settings).await {
        Err(ConnectError::Settings(error @ SettingsError::Credentials(_))) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_form_of_a_docker_configuration_is_read() {
    let server = Server::start(|seen| accepting(seen, BASIC)).await;
    for content in [
        r#"{"auths":{"HOST":{"auth":"Y2k6czNjcmV0"}}}"#,
        r#"{"auths":{"http://HOST/v1/":{"auth":"Y2k6czNjcmV0"}},"HttpHeaders":{"x":"y"}}"#,
        r#"{"auths":{"other":{"auth":"!"},"HOST":{"username":"ci","password":"s3cret"}}}"#,
        r#"{"auths":{"HOST":{}},"credHelpers":{"HOST":"test"}}"#,
        r#"{"auths":{"HOST":{}},"credsStore":"test"}"#,
        r#"{"auths":{"HOST":{"auth":"d3Jvbmc6d3Jvbmc="}},"credsStore":"none","credHelpers":{"HOST":"test"}}"#,
    ] {
        let folder = TempDir::new().unwrap();
        helper(
            &folder,
            r#"echo '{"ServerURL":"x","Username":"ci","Secret":"s3cret"}'"#,
        );
        let registry = OciRegistry::connect(docker(&server, config(&folder, &server, content))).await;
        assert_eq!(
            registry.unwrap().list_tags(&app()).await.unwrap().len(),
            1,
            "{content}"
        );
    }
}

#[tokio::test]
async fn a_mounted_kubernetes_secret_is_a_folder() {
    let server = Server::start(|seen| accepting(seen, BASIC)).await;
    let folder = TempDir::new().unwrap();
    let written = config(&folder, &server, r#"{"auths":{"HOST":{"auth":"Y2k6czNjcmV0"}}}"#);
    for name in ["config.json", ".dockerconfigjson"] {
        fs::rename(folder.path().join("config.json"), folder.path().join(name)).unwrap();
        let mut settings = written.clone();
        settings.path = folder.path().to_owned();
        OciRegistry::connect(docker(&server, settings)).await.unwrap();
    }
}

#[tokio::test]
async fn a_helper_gets_the_server_on_its_input_and_nothing_of_our_environment() {
    let server = Server::start(|seen| accepting(seen, BASIC)).await;
    let folder = TempDir::new().unwrap();
    let script = format!(
        "PATH=/usr/bin:/bin\n{{ cat; echo; echo \"$1\"; env; }} > {}/seen\n\
         echo '{{\"Username\":\"ci\",\"Secret\":\"s3cret\"}}'",
        folder.path().display()
    );
    helper(&folder, &script);
    let mut config = config(&folder, &server, r#"{"credsStore":"test"}"#);
    config.home = Some("/home/of/the/test".into());
    OciRegistry::connect(docker(&server, config)).await.unwrap();
    let seen = fs::read_to_string(folder.path().join("seen")).unwrap();
    let host = server.url.trim_start_matches("http://");
    assert!(seen.starts_with(&format!("{host}\nget\n")), "{seen}");
    assert!(seen.contains("HOME=/home/of/the/test"), "{seen}");
    assert!(!seen.contains("CARGO"), "{seen}");
}

#[tokio::test]
async fn what_a_helper_does_wrong_is_told_and_nothing_is_asked_of_the_registry() {
    let server = Server::start(|seen| accepting(seen, BASIC)).await;
    for (script, expected) in [
        ("echo hunter2; exit 1", "failed for"),
        (
            "echo 'credentials not found in native keychain'; exit 1",
            "holds no credentials for",
        ),
        ("echo hunter2", "did not answer with a user name"),
        (
            r#"echo '{"Username":"","Secret":"hunter2"}'"#,
            "did not answer with a user name",
        ),
        (
            r#"echo '{"Username":"ci","Secret":""}'"#,
            "did not answer with a user name",
        ),
        (
            "while :; do echo hunter2hunter2hunter2hunter2; done",
            "said more than 65536 bytes",
        ),
        ("while :; do :; done", "did not answer within"),
    ] {
        let folder = TempDir::new().unwrap();
        helper(&folder, script);
        let mut config = config(&folder, &server, r#"{"credsStore":"test"}"#);
        if expected.contains("within") {
            config.helper_timeout = Duration::from_millis(50);
        }
        let text = refusal(docker(&server, config)).await;
        assert!(text.contains(expected), "{script}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(server.whole_log().is_empty());
}

#[tokio::test]
async fn helpers_are_run_from_absolute_folders_by_a_plain_name_only() {
    let server = Server::start(|seen| accepting(seen, BASIC)).await;
    let folder = TempDir::new().unwrap();
    for name in ["missing", "../test", "test;true", ""] {
        let content = format!(r#"{{"credHelpers":{{"HOST":"{name}"}}}}"#);
        let text = refusal(docker(&server, config(&folder, &server, &content))).await;
        assert!(text.contains("helper"), "{text}");
    }
    helper(&folder, r#"echo '{"Username":"ci","Secret":"s3cret"}'"#);
    let mut relative = config(&folder, &server, r#"{"credsStore":"test"}"#);
    relative.helper_folders = vec![Path::new("src").to_owned(), "".into()];
    let text = refusal(docker(&server, relative)).await;
    assert!(text.contains("in none of the folders"), "{text}");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_is_an_error_and_never_nobody() {
    let server = Server::start(|seen| accepting(seen, BASIC)).await;
    let folder = TempDir::new().unwrap();
    for (content, expected) in [
        ("", "not a docker configuration"),
        ("true", "not a docker configuration"),
        (
            r#"{"auths":{"HOST":{"auth":hunter2}}}"#,
            "not a docker configuration",
        ),
        (r#"{"auths":{"HOST":{"auth":"hunter2!"}}}"#, "not base64"),
        (r#"{"auths":{"HOST":{"auth":"aHVudGVyMg=="}}}"#, "no colon"),
        (r#"{"auths":{"HOST":{"auth":"OmEK"}}}"#, "must not be empty"),
        (
            r#"{"auths":{"HOST.evil":{"auth":"Y2k6czNjcmV0"}}}"#,
            "holds no credentials for 127.0.0.1",
        ),
        (
            r#"{"auths":{"evil/HOST":{"auth":"Y2k6czNjcmV0"}}}"#,
            "holds no credentials for 127.0.0.1",
        ),
        ("{}", "holds no credentials for 127.0.0.1"),
    ] {
        let text = refusal(docker(&server, config(&folder, &server, content))).await;
        assert!(text.contains(expected), "{content}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    let huge = " ".repeat(2 * 1024 * 1024);
    let text = refusal(docker(&server, config(&folder, &server, &huge))).await;
    assert!(text.contains("larger than 1 MiB"), "{text}");
    let missing = DockerConfig::new(folder.path().join("missing.json"), Vec::new());
    let text = refusal(docker(&server, missing)).await;
    assert!(text.contains("failed to read"), "{text}");
    assert!(server.whole_log().is_empty());
}

/// A pipe that nobody writes to.
#[tokio::test]
async fn a_configuration_that_is_a_pipe_is_an_error_and_not_waited_for() {
    let server = Server::start(|seen| accepting(seen, BASIC)).await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.json");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let config = DockerConfig::new(path.clone(), Vec::new());
    let asked = tokio::time::timeout(Duration::from_secs(20), refusal(docker(&server, config))).await;
    if asked.is_err() {
        // Whoever waits there is let go.
        drop(fs::OpenOptions::new().read(true).write(true).open(&path));
    }
    let text = asked.expect("it is not waited for");
    assert!(text.contains("it is not a regular file"), "{text}");
    assert!(server.whole_log().is_empty());
}

#[tokio::test]
async fn a_helper_that_takes_longer_than_the_run_may_is_not_waited_for() {
    let server = Server::start(|seen| accepting(seen, BASIC)).await;
    let folder = TempDir::new().unwrap();
    helper(&folder, "exec /bin/sleep 60");
    let mut config = config(&folder, &server, r#"{"credsStore":"test"}"#);
    config.helper_timeout = Duration::from_secs(20);
    let mut settings = docker(&server, config);
    settings.timeouts.run = Duration::from_millis(50);
    match OciRegistry::connect(settings).await {
        Err(lagan_registry::ConnectError::Registry(error)) => {
            assert_eq!(error.failure(), lagan_model::Failure::TimeIsUp);
        }
        other => panic!("{other:?}"),
    }
    assert!(server.whole_log().is_empty());
}

#[tokio::test]
async fn a_helper_that_nobody_waits_for_any_longer_is_killed() {
    let server = Server::start(|seen| accepting(seen, BASIC)).await;
    let folder = TempDir::new().unwrap();
    let noted = folder.path().join("pid");
    helper(
        &folder,
        &format!("echo $$ > {}; exec /bin/sleep 600", noted.display()),
    );
    let mut config = config(&folder, &server, r#"{"credsStore":"test"}"#);
    config.helper_timeout = Duration::from_secs(60);
    let a_moment = || tokio::time::sleep(Duration::from_millis(1));
    let started = async {
        loop {
            match fs::read_to_string(&noted) {
                Ok(pid) if pid.ends_with('\n') => return pid.trim().to_owned(),
                _ => a_moment().await,
            }
        }
    };
    let pid = tokio::select! {
        ended = OciRegistry::connect(docker(&server, config)) => panic!("{ended:?}"),
        pid = started => pid,
    };
    let gone = async {
        // Dead, and perhaps not yet buried.
        while fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
            a_moment().await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(20), gone).await;
    assert!(gone.is_ok(), "it is still there");
}

#[tokio::test]
async fn a_password_file_is_read_anew_when_it_changes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("password");
    fs::write(&path, "s3cret\n").unwrap();
    let good = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&good);
    let server =
        Server::start(move |seen| accepting(seen, [BASIC, CHANGED][now.load(Ordering::SeqCst)])).await;
    let mut settings = server.settings();
    settings.credentials = Some(CredentialSource::PasswordFile {
        username: "ci".to_owned(),
        path: path.clone(),
    });
    let registry = OciRegistry::connect(settings).await.unwrap();
    registry.list_tags(&app()).await.unwrap();
    good.store(1, Ordering::SeqCst);
    fs::write(&path, "changed\r\n").unwrap();
    registry.list_tags(&app()).await.unwrap();
    let log = server.log();
    assert_eq!(
        log.len(),
        2,
        "the change was seen before the password was refused"
    );

    // A file that is gone stops the run: nobody goes on as somebody else.
    fs::remove_file(&path).unwrap();
    let error = registry.list_tags(&app()).await.unwrap_err();
    assert!(error.failure().concerns_the_whole_registry(), "{error}");
    assert_eq!(server.log().len(), 2);
}

#[tokio::test]
async fn a_helper_is_asked_again_when_what_it_gave_is_refused() {
    let folder = TempDir::new().unwrap();
    let answer = folder.path().join("answer");
    fs::write(&answer, r#"{"Username":"ci","Secret":"s3cret"}"#).unwrap();
    helper(&folder, &format!("/bin/cat {}", answer.display()));
    let good = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&good);
    let server =
        Server::start(move |seen| accepting(seen, [BASIC, CHANGED][now.load(Ordering::SeqCst)])).await;
    let config = config(&folder, &server, r#"{"credsStore":"test"}"#);
    let registry = OciRegistry::connect(docker(&server, config)).await.unwrap();
    good.store(1, Ordering::SeqCst);
    fs::write(&answer, r#"{"Username":"ci","Secret":"changed"}"#).unwrap();
    let repository = app();
    let asked = (0..5).map(|_| registry.list_tags(&repository));
    for tags in futures_util::future::join_all(asked).await {
        tags.unwrap();
    }
}

/// Amazon's registry, whose passwords end after twelve hours.
#[tokio::test]
async fn a_password_that_has_ended_is_asked_for_again_also_where_that_is_told_by_a_403() {
    let expired =
        r#"{"errors":[{"code":"DENIED","message":"Your Authorization Token has expired. Please log in"}]}"#;
    for (says, asked) in [
        (expired, 2),
        (r#"{"errors":[{"code":"DENIED","message":"no"}]}"#, 1),
    ] {
        let folder = TempDir::new().unwrap();
        let answer = folder.path().join("answer");
        let said = folder.path().join("said");
        fs::write(&answer, r#"{"Username":"ci","Secret":"s3cret"}"#).unwrap();
        helper(
            &folder,
            &format!("echo >> {}; /bin/cat {}", said.display(), answer.display()),
        );
        let server = Server::start(move |seen| match (seen.authorization(), seen.path.as_str()) {
            (None, _) => respond(401, &[("www-authenticate", "Basic realm=\"x\"")], ""),
            (Some(_), "/v2/") => json(200, "{}"),
            (Some(CHANGED), _) => json(200, TAGS),
            _ => json(403, says),
        })
        .await;
        let config = config(&folder, &server, r#"{"credsStore":"test"}"#);
        let registry = OciRegistry::connect(docker(&server, config)).await.unwrap();
        fs::write(&answer, r#"{"Username":"ci","Secret":"changed"}"#).unwrap();
        assert_eq!(registry.list_tags(&app()).await.is_ok(), asked == 2, "{says}");
        assert_eq!(
            fs::read_to_string(&said).unwrap().len(),
            asked,
            "the helper, {says}"
        );
        assert_eq!(server.log().len(), asked, "the registry, {says}");
    }
}

#[tokio::test]
async fn an_identity_token_is_posted_to_the_token_service_and_goes_nowhere_else() {
    for content in [
        r#"{"auths":{"HOST":{"identitytoken":"id&token"}}}"#,
        r#"{"credsStore":"test"}"#,
    ] {
        let server = Server::start(|seen| match (seen.path.as_str(), seen.authorization()) {
            ("/token", None) if seen.header("content-type") == Some("application/x-www-form-urlencoded") => {
                json(200, r#"{"access_token":"t","expires_in":300}"#)
            }
            ("/token", _) => refused(401, "UNAUTHORIZED"),
            ("/v2/", Some("Bearer t")) => json(200, "{}"),
            (_, Some("Bearer t")) => json(200, TAGS),
            _ => {
                let realm = format!("Bearer realm=\"{}/token\",service=\"s\"", seen.server);
                respond(401, &[("www-authenticate", &realm)], "")
            }
        })
        .await;
        let folder = TempDir::new().unwrap();
        helper(&folder, r#"echo '{"Username":"<token>","Secret":"id&token"}'"#);
        let registry = OciRegistry::connect(docker(&server, config(&folder, &server, content))).await;
        registry.unwrap().list_tags(&app()).await.unwrap();
        let asked: Vec<_> = server
            .log()
            .into_iter()
            .filter(|seen| seen.path == "/token")
            .collect();
        assert_eq!(asked.len(), 2);
        assert!(
            asked.iter().all(|seen| seen.query.is_empty()),
            "the form is in the URL"
        );
        assert_eq!(
            asked[1].body,
            "grant_type=refresh_token&client_id=lagan&refresh_token=id%26token&service=s\
             &scope=repository%3Ateam%2Fapp%3Apull"
        );
    }
}

/// What is shown to nobody is a part, and looks like everything.
#[tokio::test]
async fn a_password_that_became_an_identity_token_is_an_error_and_nobody_goes_on_without_either() {
    let server = Server::start(|seen| match (seen.path.as_str(), seen.authorization()) {
        ("/v2/", None) => respond(401, &[("www-authenticate", "Basic realm=\"x\"")], ""),
        (_, None) => json(200, r#"{"tags":[]}"#),
        _ => accepting(seen, BASIC),
    })
    .await;
    let folder = TempDir::new().unwrap();
    let password = r#"{"auths":{"HOST":{"auth":"Y2k6czNjcmV0"}}}"#;
    let settings = docker(&server, config(&folder, &server, password));
    let registry = OciRegistry::connect(settings).await.unwrap();
    assert_eq!(registry.list_tags(&app()).await.unwrap().len(), 1);
    config(
        &folder,
        &server,
        r#"{"auths":{"HOST":{"identitytoken":"hunter2"}}}"#,
    );
    let error = registry.list_tags(&app()).await.unwrap_err();
    assert!(error.failure().concerns_the_whole_registry(), "{error}");
    assert!(error.to_string().contains("no longer a password"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert_eq!(server.log().len(), 1);
    // Put back, it goes on.
    config(&folder, &server, password);
    assert_eq!(registry.list_tags(&app()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_identity_token_that_the_registry_has_no_use_for_is_told_and_used_as_soon_as_it_has() {
    let server = Server::registry(|seen| match (seen.path.as_str(), seen.authorization()) {
        ("/token", None) => json(200, r#"{"access_token":"t"}"#),
        ("/v2/team/app/tags/list", Some("Bearer t")) => json(200, TAGS),
        ("/v2/team/app/tags/list", _) => {
            let realm = format!("Bearer realm=\"{}/token\",service=\"s\"", seen.server);
            respond(401, &[("www-authenticate", &realm)], "")
        }
        _ => json(200, r#"{"tags":["public"]}"#),
    })
    .await;
    let folder = TempDir::new().unwrap();
    for (content, warned) in [
        (r#"{"auths":{"HOST":{"identitytoken":"hunter2"}}}"#, true),
        (r#"{"auths":{"HOST":{"auth":"Y2k6czNjcmV0"}}}"#, false),
    ] {
        let said = Said::default();
        let writer = said.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || writer.clone())
            .finish();
        let _listening = tracing::subscriber::set_default(subscriber);
        let settings = docker(&server, config(&folder, &server, content));
        let registry = OciRegistry::connect(settings).await.unwrap();
        let said = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
        assert_eq!(said.contains("identity token"), warned, "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        if warned {
            let public = registry.list_tags(&"team/public".parse().unwrap()).await;
            assert_eq!(public.unwrap().len(), 1);
            assert_eq!(registry.list_tags(&app()).await.unwrap().len(), 1);
        }
    }
    let log = server.log();
    let asked: Vec<_> = log.iter().filter(|seen| seen.path == "/token").collect();
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].body.contains("refresh_token=hunter2"),
        "{}",
        asked[0].body
    );
}

#[tokio::test]
async fn keys_for_teams_are_used_where_there_is_one_and_not_guessed_where_there_are_several() {
    let server = Server::start(|seen| accepting(seen, BASIC)).await;
    let folder = TempDir::new().unwrap();
    let right = r#"{"auth":"Y2k6czNjcmV0"}"#;
    let wrong = r#"{"auth":"d3Jvbmc6d3Jvbmc="}"#;
    for content in [
        format!(r#"{{"auths":{{"HOST/team":{right}}}}}"#),
        format!(r#"{{"auths":{{"HOST/a":{wrong},"HOST":{right},"HOST/b":{wrong}}}}}"#),
    ] {
        let registry = OciRegistry::connect(docker(&server, config(&folder, &server, &content))).await;
        assert!(registry.is_ok(), "{content}: {registry:?}");
    }
    let several = format!(r#"{{"auths":{{"HOST/a":{right},"HOST/b":{right}}}}}"#);
    let before = server.whole_log().len();
    let text = refusal(docker(&server, config(&folder, &server, &several))).await;
    assert!(text.contains("several keys for parts of 127.0.0.1"), "{text}");
    assert_eq!(server.whole_log().len(), before);
}

/// Kubernetes writes a new folder and swaps the link to it; the name of the file stays the same.
#[tokio::test]
async fn a_mounted_secret_that_is_swapped_is_read_anew() {
    let folder = TempDir::new().unwrap();
    let good = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&good);
    let server =
        Server::start(move |seen| accepting(seen, [BASIC, CHANGED][now.load(Ordering::SeqCst)])).await;
    let host = server.url.trim_start_matches("http://");
    for (version, auth) in [("v1", "Y2k6czNjcmV0"), ("v2", "Y2k6Y2hhbmdlZA==")] {
        fs::create_dir(folder.path().join(version)).unwrap();
        let content = format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}"}}}}}}"#);
        fs::write(folder.path().join(version).join(".dockerconfigjson"), content).unwrap();
    }
    let link = |version: &str| {
        let new = folder.path().join("..data_tmp");
        std::os::unix::fs::symlink(version, &new).unwrap();
        fs::rename(new, folder.path().join("..data")).unwrap();
    };
    link("v1");
    let name = folder.path().join(".dockerconfigjson");
    std::os::unix::fs::symlink("..data/.dockerconfigjson", name).unwrap();
    let config = DockerConfig::new(folder.path().to_owned(), Vec::new());
    let registry = OciRegistry::connect(docker(&server, config)).await.unwrap();
    registry.list_tags(&app()).await.unwrap();
    link("v2");
    good.store(1, Ordering::SeqCst);
    let before = server.log().len();
    registry.list_tags(&app()).await.unwrap();
    assert_eq!(
        server.log().len(),
        before + 1,
        "the change was seen before it was refused"
    );
}
