//! What is in `deploy/` fits the program and itself: arguments, paths, names, and the configuration that it carries.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use granit_parser::{Event, Parser};
use serde_json::{Map, Value};

use crate::support::{Place, run};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    yaml_of(&text(name))
}

/// One document; every scalar is text.
fn yaml_of(text: &str) -> Value {
    let (mut open, mut root): (Vec<(Value, Option<String>)>, _) = (Vec::new(), Value::Null);
    for event in Parser::new_from_str(text) {
        let (event, _) = event.unwrap_or_else(|error| panic!("{error}"));
        let done = match event {
            Event::Scalar(text, ..) => match open.last_mut() {
                Some((Value::Object(_), key @ None)) => {
                    *key = Some(text.into_owned());
                    continue;
                }
                _ => Value::String(text.into_owned()),
            },
            Event::SequenceStart(..) => {
                open.push((Value::Array(Vec::new()), None));
                continue;
            }
            Event::MappingStart(..) => {
                open.push((Value::Object(Map::new()), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().unwrap().0,
            _ => continue,
        };
        match open.last_mut() {
            None => root = done,
            Some((Value::Array(items), _)) => items.push(done),
            Some((Value::Object(fields), key)) => {
                let key = key.take().unwrap();
                assert!(fields.insert(key.clone(), done).is_none(), "{key} stands twice");
            }
            Some(_) => panic!("neither a list nor a mapping"),
        }
    }
    root
}

fn list(value: &Value) -> Vec<&str> {
    let items = value.as_array().unwrap_or_else(|| panic!("no list: {value}"));
    items.iter().map(|item| item.as_str().unwrap()).collect()
}

/// Seconds of `90s`, `90` or `30min`.
fn seconds(text: &str) -> u64 {
    match text.strip_suffix("min") {
        Some(minutes) => 60 * minutes.parse::<u64>().unwrap(),
        None => text.trim_end_matches('s').parse().unwrap(),
    }
}

/// Whether the program takes these arguments; and the value of one of them.
async fn takes<'a>(arguments: &[&'a str], named: &str) -> &'a str {
    let line: Vec<_> = arguments.iter().map(|argument| format!("'{argument}'")).collect();
    let help = run(&format!("{} --help", line.join(" "))).await.exits(0);
    assert!(help.stdout.contains("Usage:"), "{}", help.stdout);
    let at = arguments.iter().position(|argument| *argument == named);
    arguments[at.unwrap_or_else(|| panic!("{named} in {arguments:?}")) + 1]
}

/// The members of a key of a configuration, wherever it stands.
fn all<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key).and_then(Value::as_str));
            fields.values().for_each(|value| all(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|item| all(item, key, found)),
        _ => {}
    }
}

/// Runs a tool of this machine; `None`, said aloud, where there is none that does this.
fn tool(program: &str, arguments: &[&str], has: &[&str]) -> Option<Output> {
    let there = Command::new(program).args(has).output();
    if !there.is_ok_and(|there| there.status.success()) {
        eprintln!("SKIPPED: {program} {} (not on this machine)", has.join(" "));
        return None;
    }
    Some(Command::new(program).args(arguments).output().unwrap())
}

#[tokio::test]
async fn the_configuration_in_the_config_map_passes_check_and_its_paths_are_mounted() {
    let map = yaml("kubernetes/configmap.yaml");
    let place = Place::new();
    place.file("lagan.yaml", map["data"]["lagan.yaml"].as_str().unwrap());
    let checked = place.run("check --strict lagan.yaml").await.exits(0);
    assert!(checked.stdout.contains("no errors"), "{}", checked.stdout);

    let deployment = yaml("kubernetes/deployment.yaml");
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let mounted = |volume: &str| {
        let mounts = container["volumeMounts"].as_array().unwrap();
        let of = mounts.iter().find(|mount| mount["name"] == volume);
        of.unwrap_or_else(|| panic!("{volume} is not mounted"))["mountPath"]
            .as_str()
            .unwrap()
    };
    let arguments = list(&container["args"]);
    let config = takes(&arguments, "--config").await;
    assert_eq!(config, format!("{}/lagan.yaml", mounted("config")));
    assert!(arguments.contains(&"daemon"));

    let written = yaml_of(map["data"]["lagan.yaml"].as_str().unwrap());
    let state = written["state_dir"].as_str().unwrap();
    // The mount point itself is open to its group.
    assert_eq!(Path::new(state).parent(), Some(Path::new(mounted("state"))));
    let mut secrets = Vec::new();
    all(&written, "docker_config", &mut secrets);
    assert_eq!(secrets, [mounted("registry")]);
    assert_eq!(mounted("tmp"), "/tmp");
}

#[tokio::test]
async fn the_manifests_name_each_other_and_the_pod_is_restricted() {
    let kustomization = yaml("kubernetes/kustomization.yaml");
    let mut objects = Vec::new();
    for name in list(&kustomization["resources"]) {
        objects.push(yaml(&format!("kubernetes/{name}")));
    }
    let files = std::fs::read_dir(folder().join("kubernetes")).unwrap().count();
    assert_eq!(files, objects.len() + 1, "every file is a resource");
    let of = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
    let name = |kind: &str| of(kind)["metadata"]["name"].clone();
    for object in objects.iter().filter(|object| object["kind"] != "Namespace") {
        assert_eq!(object["metadata"]["namespace"], name("Namespace"), "{object}");
    }
    let deployment = of("Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    let volume = |name: &str| {
        let volumes = pod["volumes"].as_array().unwrap();
        volumes.iter().find(|volume| volume["name"] == name).unwrap()
    };
    assert_eq!(volume("config")["configMap"]["name"], name("ConfigMap"));
    assert_eq!(volume("registry")["secret"]["secretName"], name("Secret"));
    assert_eq!(
        volume("state")["persistentVolumeClaim"]["claimName"],
        name("PersistentVolumeClaim")
    );
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
    // Two of them would wait for each other's state directory.
    assert_eq!(deployment["spec"]["replicas"], "1");
    assert_eq!(deployment["spec"]["strategy"]["type"], "Recreate");

    let secret: Value =
        serde_json::from_str(of("Secret")["stringData"][".dockerconfigjson"].as_str().unwrap()).unwrap();
    assert_eq!(of("Secret")["type"], "kubernetes.io/dockerconfigjson");
    let config = of("ConfigMap")["data"]["lagan.yaml"].as_str().unwrap();
    for host in secret["auths"].as_object().unwrap().keys() {
        assert!(config.contains(&format!("https://{host}")), "{host}");
    }

    // What the standard `restricted` demands, and a root that nobody writes to.
    let level = &of("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
    assert_eq!(level, "restricted");
    assert_eq!(pod["securityContext"]["runAsNonRoot"], "true");
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(pod["securityContext"]["fsGroupChangePolicy"], "OnRootMismatch");
    let container = &pod["containers"][0]["securityContext"];
    assert_eq!(container["allowPrivilegeEscalation"], "false");
    assert_eq!(container["readOnlyRootFilesystem"], "true");
    assert_eq!(list(&container["capabilities"]["drop"]), ["ALL"]);
    assert!(!pod["containers"][0]["resources"]["limits"]["memory"].is_null());
    let user = pod["securityContext"]["runAsUser"].as_str().unwrap();
    assert!(text("Containerfile").contains(&format!("USER {user}:{user}\n")));
    let arguments = list(&pod["containers"][0]["args"]);
    let within = seconds(takes(&arguments, "--stop-within").await);
    assert!(seconds(pod["terminationGracePeriodSeconds"].as_str().unwrap()) > within);

    let path = folder().join("kubernetes");
    let arguments = ["kustomize", path.to_str().unwrap()];
    if let Some(built) = tool("kubectl", &arguments, &["version", "--client"]) {
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{said}");
        let built = String::from_utf8_lossy(&built.stdout);
        assert_eq!(built.matches("\nkind: ").count(), objects.len(), "{built}");
    }
}

#[tokio::test]
async fn the_compose_file_has_what_the_sidecar_example_names() {
    let compose = yaml("compose/compose.yaml");
    let lagan = &compose["services"]["lagan"];
    let arguments = list(&lagan["command"]);
    let config = takes(&arguments, "--config").await;
    let within = seconds(takes(&arguments, "--stop-within").await);
    assert!(seconds(lagan["stop_grace_period"].as_str().unwrap()) > within);
    let volumes: Vec<_> = list(&lagan["volumes"])
        .into_iter()
        .map(|volume| volume.split(':').collect::<Vec<_>>())
        .collect();
    let inside = |outside: &str| volumes.iter().find(|volume| volume[0] == outside).unwrap()[1];
    assert_eq!(config, format!("{}/lagan.yaml", inside("./config")));
    let sidecar = yaml("../config/sidecar.yaml");
    let state = Path::new(sidecar["state_dir"].as_str().unwrap());
    assert_eq!(state.parent(), Some(Path::new(inside("state"))));
    assert!(compose["volumes"].get("state").is_some());
    let mut files = Vec::new();
    all(&sidecar, "password_file", &mut files);
    let secrets: Vec<_> = list(&lagan["secrets"]);
    assert_eq!(files, [format!("/run/secrets/{}", secrets[0])]);
    assert!(compose["secrets"].get(secrets[0]).is_some());
    assert_eq!(
        (&lagan["read_only"], list(&lagan["cap_drop"])),
        (&Value::from("true"), vec!["ALL"])
    );
    assert!(list(&lagan["tmpfs"])[0].starts_with("/tmp:"));
    let build = &lagan["build"];
    let context = folder().join("compose").join(build["context"].as_str().unwrap());
    assert!(context.join(build["dockerfile"].as_str().unwrap()).is_file());
    assert!(context.join("Cargo.lock").is_file());

    let path = folder().join("compose/compose.yaml");
    let arguments = ["compose", "--file", path.to_str().unwrap(), "config", "--quiet"];
    if let Some(read) = tool("docker", &arguments, &["compose", "version"]) {
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    }
}

#[test]
fn the_head_of_the_compose_file_makes_what_the_file_mounts() {
    let head: Vec<_> = text("compose/compose.yaml")
        .lines()
        .map_while(|line| line.strip_prefix('#').map(str::to_owned))
        .collect();
    let commands = head.iter().filter_map(|line| line.strip_prefix("     "));
    let (last, first): (Vec<_>, Vec<_>) =
        commands.partition(|command| command.starts_with("docker compose "));
    assert!(!last.is_empty());
    // A file is given away by root alone, and whoever runs this may be somebody else.
    let owner = "-o 65534 -g 65534 ";
    assert!(first.iter().any(|command| command.contains(owner)));
    let script: Vec<_> = first.iter().map(|command| command.replace(owner, "")).collect();

    let place = Place::new();
    let here = place.path().join("deploy/compose");
    std::fs::create_dir_all(&here).unwrap();
    std::fs::create_dir(place.path().join("config")).unwrap();
    let sidecar = folder().join("../config/sidecar.yaml");
    std::fs::copy(sidecar, place.path().join("config/sidecar.yaml")).unwrap();
    place.file("robot", "the secret of the robot account");
    let done = Command::new("sh")
        .args(["-ec", &script.join("\n")])
        .current_dir(&here)
        .stdin(std::fs::File::open(place.path().join("robot")).unwrap())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    let compose = yaml("compose/compose.yaml");
    let secret = here.join(compose["secrets"]["harbor"]["file"].as_str().unwrap());
    assert_eq!(
        std::fs::read_to_string(secret).unwrap(),
        "the secret of the robot account"
    );
    let volumes = list(&compose["services"]["lagan"]["volumes"]);
    let config = volumes
        .iter()
        .find_map(|volume| volume.strip_suffix(":/etc/lagan:ro"));
    assert!(here.join(config.unwrap()).join("lagan.yaml").is_file());
    // Neither is committed, nor goes into the image's build.
    for ignored in [".gitignore", ".dockerignore"] {
        let ignored = text(&format!("../{ignored}"));
        for made in ["config", "secrets"] {
            let path = format!("deploy/compose/{made}");
            assert!(
                ignored.lines().any(|line| line.trim_start_matches('/') == path),
                "{path}"
            );
        }
    }
}

#[test]
fn the_image_has_one_program_and_what_it_needs_to_run_without_a_root_to_write_to() {
    let lines: Vec<_> = text("Containerfile").lines().map(str::to_owned).collect();
    let at = |line: &str| {
        let found = lines.iter().position(|other| other == line);
        found.unwrap_or_else(|| panic!("no line {line:?}"))
    };
    assert!(at("FROM scratch") < at("USER 65534:65534"));
    assert!(lines.contains(&r#"ENTRYPOINT ["/lagan"]"#.to_owned()));
    assert!(
        lines
            .iter()
            .any(|line| line.contains("--profile dist --package lagan"))
    );
    let manifest = std::fs::read_to_string(folder().join("../Cargo.toml")).unwrap();
    assert!(manifest.contains("[profile.dist]"));
    let needed = ["/etc/ssl/certs", "/tmp", "/var/lib/lagan"];
    for path in needed {
        assert!(
            lines
                .iter()
                .any(|line| line.contains(&format!("/root-of-image{path}"))),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_units_are_what_systemd_takes_and_the_program_as_well() {
    let place = Place::new();
    for name in ["lagan.service", "lagan-plan.service", "lagan-plan.timer"] {
        let unit = text(&format!("systemd/{name}"));
        let value = |key: &str| {
            let line = unit
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{key}=")));
            line.unwrap_or_else(|| panic!("{name} has no {key}"))
        };
        if let Some(line) = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")) {
            let (program, arguments) = line.split_once(' ').unwrap();
            assert_eq!(program, "/usr/local/bin/lagan");
            let arguments: Vec<_> = arguments.split(' ').collect();
            assert_eq!(takes(&arguments, "--config").await, "/etc/lagan/lagan.yaml");
        }
        if name == "lagan.service" {
            let arguments: Vec<_> = value("ExecStart").split(' ').skip(1).collect();
            let within = seconds(takes(&arguments, "--stop-within").await);
            assert!(seconds(value("TimeoutStopSec")) > within);
            // Both wait as long for a journal that is built anew.
            let deployment = yaml("kubernetes/deployment.yaml");
            let probe = &deployment["spec"]["template"]["spec"]["containers"][0]["startupProbe"];
            let waits =
                ["periodSeconds", "failureThreshold"].map(|key| seconds(probe[key].as_str().unwrap()));
            assert_eq!(seconds(value("TimeoutStartSec")), waits[0] * waits[1]);
            assert!(waits[0] * waits[1] >= 1800);
            assert_eq!((value("Type"), value("StateDirectoryMode")), ("notify", "0700"));
            let watchdog = Duration::from_secs(seconds(value("WatchdogSec")));
            assert!(watchdog >= Duration::from_secs(30), "docs/daemon.md");
            let sidecar = yaml("../config/sidecar.yaml");
            let state = Path::new(sidecar["state_dir"].as_str().unwrap());
            assert!(state.starts_with(Path::new("/var/lib").join(value("StateDirectory"))));
        }
        let here = env!("CARGO_BIN_EXE_lagan");
        place.file(name, unit.replace("/usr/local/bin/lagan", here));
    }
    let has = ["--version"];
    for name in ["lagan.service", "lagan-plan.service", "lagan-plan.timer"] {
        let path = place.path().join(name);
        let path = path.to_str().unwrap();
        let Some(verified) = tool("systemd-analyze", &["verify", path], &has) else {
            return;
        };
        let said = String::from_utf8_lossy(&verified.stderr);
        let ours: Vec<_> = said.lines().filter(|line| line.contains("lagan")).collect();
        assert!(ours.is_empty(), "{ours:?}");
        if name == "lagan.service" {
            // Exposure of at most 2.0 of 10.
            let arguments = ["security", "--offline=yes", "--threshold=20", "--no-pager", path];
            if let Some(rated) = tool("systemd-analyze", &arguments, &has) {
                let said = String::from_utf8_lossy(&rated.stdout);
                assert!(
                    rated.status.success(),
                    "{}",
                    said.lines().last().unwrap_or_default()
                );
            }
        }
    }
}
