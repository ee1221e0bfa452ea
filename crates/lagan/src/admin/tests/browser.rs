//! Headless Chromium, by its DevTools protocol: JSON over two pipes beside the usual three, a zero byte behind each message.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Chromium reads orders from descriptor 3 and answers on 4.
const WITH_PIPES: &str = "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";

/// A browser with one page. It ends with its value.
pub(super) struct Browser {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: Option<String>,
    last: u64,
    loaded: bool,
    /// What it complained about.
    pub(super) complaints: Vec<String>,
    /// All that it asked anybody for.
    pub(super) asked: Vec<String>,
}

impl Browser {
    /// `None` where Chromium is not installed.
    pub(super) async fn start(place: &Path) -> Option<Self> {
        let there = Command::new("chromium").arg("--version").output().await;
        if there.is_err() {
            eprintln!("skipped: chromium is not installed");
            return None;
        }
        let mut child = Command::new("sh")
            .args(["-c", WITH_PIPES, "chromium", "--headless", "--no-sandbox"])
            .args(["--disable-gpu", "--no-first-run", "--remote-debugging-pipe"])
            .args(["--disable-background-networking", "--disable-component-update"])
            .args(["--disable-quic", "--disable-sync", "--no-proxy-server"])
            .arg(format!("--user-data-dir={}", place.join("chromium").display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut browser = Self {
            orders: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
            session: None,
            last: 0,
            loaded: false,
            complaints: Vec::new(),
            asked: Vec::new(),
        };
        let page = browser
            .order("Target.createTarget", json!({"url": "about:blank"}))
            .await;
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let attached = browser.order("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network", "Accessibility"] {
            browser.order(&format!("{domain}.enable"), json!({})).await;
        }
        Some(browser)
    }

    /// Has something done, and waits for the answer.
    pub(super) async fn order(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut order = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            order["sessionId"] = session.as_str().into();
        }
        let mut order = order.to_string().into_bytes();
        order.push(0);
        self.orders.write_all(&order).await.unwrap();
        loop {
            let mut message = self.heard().await;
            if message["id"] == self.last {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
        }
    }

    async fn heard(&mut self) -> Value {
        let mut message = Vec::new();
        self.answers.read_until(0, &mut message).await.unwrap();
        assert_eq!(message.pop(), Some(0), "the browser ended");
        let message: Value = serde_json::from_slice(&message).unwrap();
        let of = &message["params"];
        match message["method"].as_str() {
            Some("Page.loadEventFired") => self.loaded = true,
            Some("Log.entryAdded") => self.complaints.push(of["entry"]["text"].to_string()),
            Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled") => {
                self.complaints.push(of.to_string());
            }
            Some("Network.requestWillBeSent") => {
                self.asked.push(of["request"]["url"].as_str().unwrap().to_owned());
            }
            _ => {}
        }
        message
    }

    pub(super) async fn open(&mut self, url: &str) {
        self.complaints.clear();
        self.loaded = false;
        let opened = self.order("Page.navigate", json!({"url": url})).await;
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
        self.load().await;
    }

    /// Waits until the page that was asked for last is there.
    pub(super) async fn load(&mut self) {
        while !self.loaded {
            self.heard().await;
        }
        self.loaded = false;
    }

    /// What an expression comes to in the page.
    pub(super) async fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true});
        let mut said = self.order("Runtime.evaluate", asked).await;
        assert!(said["exceptionDetails"].is_null(), "{expression}: {said}");
        said["result"]["value"].take()
    }

    /// What an expression lists in the page.
    pub(super) async fn list(&mut self, expression: &str) -> Vec<String> {
        let listed = self.evaluate(expression).await;
        serde_json::from_value(listed).unwrap()
    }

    /// Has the page shown to somebody who wants it light or dark, so many pixels wide.
    pub(super) async fn shown(&mut self, scheme: &str, width: u16) {
        // Colours that are on their way to others are none that anybody reads.
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.order("Emulation.setEmulatedMedia", json!({"features": features}))
            .await;
        let size = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false});
        self.order("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Presses a key, by its name and number, and by what it writes.
    pub(super) async fn press(&mut self, (key, code, text): (&str, u16, &str)) {
        for what in ["keyDown", "keyUp"] {
            let mut press = json!({"type": what, "key": key, "windowsVirtualKeyCode": code});
            if what == "keyDown" && !text.is_empty() {
                press["text"] = text.into();
            }
            self.order("Input.dispatchKeyEvent", press).await;
        }
    }

    /// What a screen reader is told of the page: roles and names, in order.
    pub(super) async fn heard_by_readers(&mut self) -> Vec<(String, String)> {
        let tree = self.order("Accessibility.getFullAXTree", json!({})).await;
        let nodes = tree["nodes"].as_array().unwrap().iter();
        let said = |value: &Value| value["value"].as_str().unwrap_or_default().trim().to_owned();
        nodes
            .filter(|node| node["ignored"] == false)
            .map(|node| (said(&node["role"]), said(&node["name"])))
            .collect()
    }

    pub(super) async fn end(mut self) {
        self.session = None;
        self.order("Browser.close", json!({})).await;
        assert!(self.child.wait().await.unwrap().success());
    }
}
