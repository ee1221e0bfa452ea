//! Variables that stand for arguments, and secrets that nobody gets to see.

use lagan_sandbox::{Auth, Moment, Sandbox, SandboxOptions, User};

use crate::support::Place;

const PASSWORD: &str = "c0rrect horse";
/// `ci:c0rrect horse`, as basic authentication sends it.
const ENCODED: &str = "Y2k6YzBycmVjdCBob3JzZQ";

async fn guarded() -> Sandbox {
    let options = SandboxOptions::default().auth(Auth::Basic(vec![User::new("ci", PASSWORD)]));
    let sandbox = Sandbox::start(options).await.unwrap();
    sandbox.put_image("team/app", &["1.0.0-rc.1"], Moment::date(2026, 1, 1));
    sandbox.put_image("team/app", &["1.0.0-rc.2"], Moment::date(2026, 1, 2));
    sandbox
}

#[tokio::test]
async fn variables_stand_for_arguments() {
    let sandbox = guarded().await;
    let place = Place::new();
    place.file("password", format!("{PASSWORD}\r\n"));
    place.file(
        "p.yaml",
        "repositories: '**'\nrules: [{select: {channel: rc}, keep: {last: 1, by: version}}]\n",
    );
    let url = sandbox.url();
    let variables = [
        ("LAGAN_REGISTRY", url.as_str()),
        ("LAGAN_POLICY_FILE", "p.yaml"),
        ("LAGAN_USERNAME", "ci"),
        ("LAGAN_PASSWORD_FILE", "password"),
    ];
    let plan = place
        .run_with(&variables, "plan --format json")
        .await
        .exits(0)
        .json();
    assert_eq!(plan["totals"]["delete_tags"], 1);
    assert_eq!(plan["policies"][0]["name"], "p");
}

#[tokio::test]
async fn no_secret_is_ever_printed() {
    let sandbox = guarded().await;
    let place = Place::new();
    place.file("right", PASSWORD);
    place.file("wrong", format!("{PASSWORD} battery"));
    let line = "--select channel=rc --keep last=1,by=version";
    for (file, code) in [("right", 0), ("wrong", 1)] {
        let arguments = format!(
            "plan --registry {} {line} --username ci --password-file {file}",
            sandbox.url()
        );
        let run = place
            .run_with(&[("LAGAN_LOG", "trace")], &arguments)
            .await
            .exits(code);
        assert!(run.stderr.len() > 1000, "nothing was traced: {}", run.stderr);
        for secret in [PASSWORD, ENCODED] {
            assert!(!run.said().contains(secret), "{secret}\n{}", run.said());
        }
    }
}

#[tokio::test]
async fn a_password_comes_from_where_the_configuration_says() {
    let sandbox = guarded().await;
    let place = Place::new();
    place.file("right", PASSWORD);
    let configured = |secret: &str| {
        let text = format!(
            "registries: {{main: {{url: \"{}\", credentials: {{username: ci, {secret}}}}}}}
policies: {{p: {{repositories: '**', rules: [{{select: {{channel: rc}}, keep: {{last: 1, by: version}}}}]}}}}
",
            sandbox.url()
        );
        place.file("lagan.yaml", text);
    };
    configured("password_file: right");
    place.run("plan").await.exits(0);
    // The same registry by its URL is the same registry, however that is spelled.
    let spelled = sandbox.url().replace("http://127.0.0.1", "HTTP://127.0.0.1") + "/";
    let plan = place
        .run(&format!("plan --registry {spelled} --format json"))
        .await
        .exits(0)
        .json();
    assert_eq!(plan["registry"]["name"], "main");

    configured("password_env: THE_PASSWORD");
    place
        .run_with(&[("THE_PASSWORD", PASSWORD)], "plan")
        .await
        .exits(0);
    let requests = sandbox.log().counts().total();
    for variables in [&[][..], &[("THE_PASSWORD", "")]] {
        let refused = place.run_with(variables, "plan").await.exits(2);
        assert!(refused.stderr.contains("THE_PASSWORD"), "{}", refused.stderr);
    }
    assert_eq!(sandbox.log().counts().total(), requests);
    // What the arguments say goes before it.
    place
        .run("plan --username ci --password-file right")
        .await
        .exits(0);

    configured(&format!("password: {PASSWORD}"));
    let inline = place.run("plan").await.exits(2);
    assert!(inline.stderr.contains("password_file"), "{}", inline.stderr);
    assert!(!inline.said().contains(PASSWORD), "{}", inline.said());
}

#[tokio::test]
async fn a_password_may_come_through_a_pipe() {
    let sandbox = guarded().await;
    let place = Place::new();
    let pipe = place.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    // Opening it waits for who reads it.
    let written = std::thread::spawn(move || std::fs::write(pipe, format!("{PASSWORD}\n")));
    let line = "--select channel=rc --keep last=1,by=version --username ci --password-file pipe";
    place
        .run(&format!("plan --registry {} {line}", sandbox.url()))
        .await
        .exits(0);
    written.join().unwrap().unwrap();
}
