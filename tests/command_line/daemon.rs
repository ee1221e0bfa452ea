//! The daemon as a service manager runs it: signals, its protocol, files that change under it.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use lagan_sandbox::{Effect, Fault, Moment, RequestKind, Sandbox, SandboxOptions};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};

use crate::support::{Place, finish};

const LONGEST: Duration = Duration::from_secs(60);

fn configuration(sandbox: &Sandbox, cron: &str) -> String {
    format!(
        "registries: {{r: {{url: '{}'}}}}\npolicies:\n  p:\n    repositories: '**'\n    schedule: {{cron: '{cron}'}}\n    \
         rules: [{{select: {{channel: prerelease}}, keep: {{last: 2, by: version}}}}]\n",
        sandbox.url()
    )
}

/// A daemon, and the socket of its service manager.
pub(crate) struct Service {
    manager: UnixDatagram,
    child: Child,
}

impl Service {
    fn start(place: &Place, arguments: &str) -> Self {
        Self::begin(place, &format!("--state-dir state {arguments}"))
    }

    pub(crate) fn begin(place: &Place, arguments: &str) -> Self {
        let socket = place.path().join("notify.sock");
        let manager = UnixDatagram::bind(&socket).unwrap();
        let mut command = place.command(&format!("daemon {arguments}"));
        command
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "30000000")
            .env("LAGAN_LOG", "info");
        let child = command.spawn().unwrap();
        Self { manager, child }
    }

    /// Waits until it has said where its pages are. What it says at the same time is lost.
    pub(crate) async fn address(&mut self) -> String {
        let mut lines = BufReader::new(self.child.stderr.as_mut().unwrap()).lines();
        let said = async {
            loop {
                let line = lines.next_line().await.unwrap().expect("the daemon goes on");
                if let Some((_, address)) = line.split_once("the admin API is at ") {
                    return address.trim().to_owned();
                }
            }
        };
        tokio::time::timeout(LONGEST, said).await.unwrap()
    }

    /// Waits until the manager is told something that has this in it.
    pub(crate) async fn says(&self, what: &str) {
        let told = async {
            let mut buffer = [0; 1024];
            loop {
                let length = self.manager.recv(&mut buffer).await.unwrap();
                if String::from_utf8_lossy(&buffer[..length]).contains(what) {
                    return;
                }
            }
        };
        let told = tokio::time::timeout(LONGEST, told).await;
        assert!(told.is_ok(), "the daemon never says {what}");
    }

    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .await
            .unwrap();
        assert!(sent.success());
    }

    /// Waits until nothing of it is left, however it ended.
    async fn gone(mut self) {
        let gone = tokio::time::timeout(LONGEST, self.child.wait()).await;
        assert!(gone.expect("the daemon does not end").unwrap().code().is_none());
    }

    pub(crate) async fn ends(self, code: i32) -> String {
        let ended = tokio::time::timeout(LONGEST, self.child.wait_with_output()).await;
        let output = ended.expect("the daemon does not end").unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    }
}

#[tokio::test]
async fn a_daemon_tells_its_manager_that_it_is_ready_lives_reloads_and_stops() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let place = Place::new();
    place.file("lagan.yaml", configuration(&sandbox, "0 3 1 1 *"));
    let service = Service::start(&place, "");
    service.says("READY=1").await;
    service.says("WATCHDOG=1").await;
    place.file("lagan.yaml", "registries: [");
    service.says("refused").await;
    place.file("lagan.yaml", configuration(&sandbox, "0 3 2 1 *"));
    service.says("READY=1").await;
    service.signal("HUP").await;
    service.says("READY=1").await;
    service.signal("TERM").await;
    service.says("STOPPING=1").await;
    let said = service.ends(0).await;
    assert!(
        said.contains("ready: 1 policy with") && said.contains("stopping"),
        "{said}"
    );
    assert!(said.contains("lagan.yaml:1:"), "the error has its place: {said}");
}

#[tokio::test]
async fn a_run_that_was_killed_with_its_daemon_is_told_of_by_the_next_and_no_other() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    sandbox.put_image("team/app", &["1.0.0-rc.1"], Moment::date(2026, 1, 1));
    let hangs = sandbox
        .faults()
        .push(Fault::new(Effect::Hang).on(RequestKind::TagList));
    let place = Place::new();
    place.file("lagan.yaml", configuration(&sandbox, "* * * * * *"));
    let service = Service::start(&place, "");
    service.says("READY=1").await;
    let asked = async {
        while sandbox.faults().fired(hangs) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONGEST, asked).await.unwrap();
    service.signal("KILL").await;
    service.gone().await;
    place.file("lagan.yaml", configuration(&sandbox, "0 3 1 1 *"));
    for told in [true, false] {
        fs::remove_file(place.path().join("notify.sock")).unwrap();
        let service = Service::start(&place, "");
        service.says("READY=1").await;
        service.signal("TERM").await;
        let said = service.ends(0).await;
        assert_eq!(said.contains("p ended: failed (run "), told, "{said}");
        assert_eq!(
            said.contains("the daemon ended while it made this run"),
            told,
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_link_that_is_swapped_as_in_a_mounted_configmap_is_a_change() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    sandbox.put_image("team/app", &["1.0.0-rc.1"], Moment::date(2026, 1, 1));
    let place = Place::new();
    let mounted = place.path().join("mounted");
    for (folder, cron) in [("one", "0 3 1 1 *"), ("two", "* * * * * *")] {
        fs::create_dir_all(mounted.join(folder)).unwrap();
        fs::write(
            mounted.join(folder).join("lagan.yaml"),
            configuration(&sandbox, cron),
        )
        .unwrap();
    }
    symlink("one", mounted.join("..data")).unwrap();
    symlink("..data/lagan.yaml", mounted.join("lagan.yaml")).unwrap();
    let service = Service::start(&place, "--config mounted/lagan.yaml");
    service.says("READY=1").await;
    symlink("two", mounted.join("..data_tmp")).unwrap();
    fs::rename(mounted.join("..data_tmp"), mounted.join("..data")).unwrap();
    service.says("READY=1").await;
    // What is due every second is run, by the clock of this machine.
    let runs = place.path().join("state/daemon/runs");
    let report = || {
        let mut runs = fs::read_dir(&runs).unwrap();
        runs.any(|run| run.unwrap().path().join("report.json").is_file())
    };
    for _ in 0..60 {
        if report() {
            break;
        }
        service.says("WATCHDOG=1").await;
    }
    assert!(report());
    service.signal("INT").await;
    service.ends(0).await;
}

#[tokio::test]
async fn a_daemon_that_waits_leaves_the_state_directory_to_others_but_for_daemons() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let place = Place::new();
    place.file("lagan.yaml", configuration(&sandbox, "0 3 1 1 *"));
    let service = Service::start(&place, "");
    service.says("READY=1").await;
    place.run("journal list --state-dir state").await.exits(0);
    let second = place.run("daemon --state-dir state").await.exits(2);
    assert!(second.stderr.contains("another daemon"), "{}", second.stderr);
    service.signal("TERM").await;
    service.ends(0).await;
}

#[tokio::test]
async fn a_daemon_without_a_configuration_or_with_a_wrong_one_does_not_start() {
    let place = Place::new();
    let said = place.run("daemon").await.exits(2);
    assert!(
        said.stderr.contains("no configuration was found"),
        "{}",
        said.stderr
    );
    place.file(
        "lagan.yaml",
        "registries: {r: {url: 'http://127.0.0.1:1'}}\npolicies: {p: {repositories: a, rules: [{select: {tags: a}, keep: all}], schedule: {cron: '0 0 31 4 *', timezone: Mars}}}\n",
    );
    for arguments in ["daemon --state-dir state", "check lagan.yaml"] {
        let said = finish(place.command(arguments)).await.exits(2);
        assert!(said.stderr.contains("never fires"), "{}", said.stderr);
        assert!(said.stderr.contains("no time zone"), "{}", said.stderr);
    }
    assert!(!place.path().join("state").exists());
}
