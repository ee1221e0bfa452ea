//! One docker-registry, for as long as a test needs it.

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const BINARY: &str = "docker-registry";
const SKIP: &str = "LAGAN_SKIP_REAL_REGISTRY";

pub(crate) struct Server {
    /// Ends with the test, and the registry's storage with it.
    child: Child,
    folder: TempDir,
    pub(crate) url: String,
}

impl Server {
    /// Starts one that is open to everybody; `None` where such tests are to be skipped.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with("", true, false, "").await
    }

    /// Starts one that remembers which blobs it has, as most installations do: what a collection took, it says to have.
    pub(crate) async fn remembering() -> Option<Self> {
        Self::start_with("", true, true, "").await
    }

    /// Starts one that knows the users of a `htpasswd` file with these lines.
    pub(crate) async fn guarded(htpasswd: &str) -> Option<Self> {
        Self::start_with(htpasswd, true, false, "").await
    }

    /// Starts one that deletes nothing.
    pub(crate) async fn without_deletion() -> Option<Self> {
        Self::start_with("", false, false, "").await
    }

    /// Starts one that tells whoever listens there of all that happens in it, pulls among it.
    pub(crate) async fn telling(url: &str, secret: &str) -> Option<Self> {
        let notifications = format!(
            "notifications:\n  endpoints:\n    - name: test\n      url: {url}\n      \
             headers: {{Authorization: [Bearer {secret}]}}\n      timeout: 5s\n      threshold: 5\n      backoff: 1s\n"
        );
        Self::start_with("", true, false, &notifications).await
    }

    async fn start_with(htpasswd: &str, deletes: bool, remembers: bool, more: &str) -> Option<Self> {
        // In memory where that is possible: the registry waits for the disk with every upload, tests need not.
        let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        let cache = if remembers {
            "\n  cache: {blobdescriptor: inmemory}"
        } else {
            ""
        };
        let mut config = format!(
            "version: 0.1
log: {{level: info}}
storage:
  filesystem: {{rootdirectory: '{}'}}
  delete: {{enabled: {deletes}}}{cache}
http: {{addr: '127.0.0.1:0', secret: for-tests-only}}
{more}",
            folder.path().join("storage").display()
        );
        if !htpasswd.is_empty() {
            let path = folder.path().join("htpasswd");
            fs::write(&path, htpasswd).unwrap();
            let _ = writeln!(
                config,
                "auth: {{htpasswd: {{realm: tests, path: '{}'}}}}",
                path.display()
            );
        }
        fs::write(folder.path().join("config.yml"), config).unwrap();
        let (child, address) = launch(&folder).await?;
        Some(Self {
            child,
            folder,
            url: format!("http://{address}"),
        })
    }

    /// Ends it and starts it again at the same address: what it has in memory only, it forgets.
    pub(crate) async fn restart(&mut self) {
        self.child.kill().await.unwrap();
        let path = self.path("config.yml");
        let address = self.url.strip_prefix("http://").unwrap();
        let config = fs::read_to_string(&path).unwrap();
        fs::write(&path, config.replace("127.0.0.1:0", address)).unwrap();
        (self.child, _) = launch(&self.folder).await.unwrap();
    }

    /// Collects the garbage in its storage, and gives back what that said. The registry goes on running, as it does in
    /// places where nobody stops it for that.
    pub(crate) async fn collect_garbage(&self) -> String {
        let mut command = Command::new(BINARY);
        command.arg("garbage-collect").arg(self.path("config.yml"));
        let output = command.kill_on_drop(true).output().await.unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

/// Starts the registry of a folder, and tells where it listens; `None` where such tests are to be skipped.
async fn launch(folder: &TempDir) -> Option<(Child, String)> {
    let mut command = Command::new(BINARY);
    command
        .arg("serve")
        .arg(folder.path().join("config.yml"))
        .env_remove("REGISTRY_HTTP_ADDR")
        .current_dir(folder.path());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if std::env::var_os(SKIP).is_some_and(|skip| skip == "1") {
                eprintln!("skipped: {BINARY} is not installed, and {SKIP}=1");
                return None;
            }
            panic!("{BINARY} is not installed: `tests/run` installs it, and {SKIP}=1 skips these tests");
        }
        Err(error) => panic!("failed to start {BINARY}: {error}"),
    };
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let listening = async {
        let mut said = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, rest)) = line.split_once("listening on ") {
                let address: String = rest
                    .chars()
                    .take_while(|c| c.is_ascii_digit() || ".:".contains(*c))
                    .collect();
                return address;
            }
            said.push_str(&line);
            said.push('\n');
        }
        panic!("{BINARY} ended:\n{said}");
    };
    let address = tokio::time::timeout(Duration::from_secs(20), listening)
        .await
        .expect("it does not listen");
    // Nobody reads on for the test's sake, but a full pipe would stop the registry.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Some((child, address))
}
