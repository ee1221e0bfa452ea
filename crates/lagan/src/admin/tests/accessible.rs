//! The pages as people have them who use a keyboard, a screen reader, a narrow window, or the dark.

use serde_json::{Value, json};

use super::browser::Browser;
use super::{ALL, Asked, READ, Scene};
use crate::daemon::{Event, Happening};

/// What finds out what is wrong with a page, in the browser.
const FINDS: &str = include_str!("accessible.js");

/// How often a page is opened until it shows what takes a moment.
const MANY: usize = 100;

const TAB: (&str, u16, &str) = ("Tab", 9, "");
const SPACE: (&str, u16, &str) = (" ", 32, " ");
const ENTER: (&str, u16, &str) = ("Enter", 13, "\r");

/// What a screen reader says nothing useful of without a name.
const NAMED: [&str; 12] = [
    "link",
    "button",
    "textbox",
    "searchbox",
    "combobox",
    "checkbox",
    "heading",
    "image",
    "region",
    "navigation",
    "columnheader",
    "rowheader",
];

/// Holds the page that is open to all that every page must do, and hands back what it does not. `is_page`: it is no report,
/// which is a file of its own.
async fn is_for_everybody(browser: &mut Browser, path: &str, is_page: bool) -> Vec<String> {
    browser.shown("light", 1280).await;
    browser.evaluate(FINDS).await;
    let mut wrong = browser.list("accessible.structure()").await;
    for (scheme, width) in [("light", 1280), ("dark", 1280), ("dark", 360), ("light", 360)] {
        browser.shown(scheme, width).await;
        let found = browser
            .list("[...accessible.contrasts(), ...accessible.widths()]")
            .await;
        wrong.extend(
            found
                .into_iter()
                .map(|found| format!("{scheme}, {width}: {found}")),
        );
    }
    browser.shown("light", 1280).await;
    let read = browser.heard_by_readers().await;
    for (role, _) in read
        .iter()
        .filter(|(role, name)| name.is_empty() && NAMED.contains(&role.as_str()))
    {
        wrong.push(format!("a {role} has no name: {read:?}"));
    }
    let landmarks: &[&str] = if is_page {
        &["banner", "navigation", "main"]
    } else {
        &["banner", "main"]
    };
    for landmark in landmarks {
        let many = read.iter().filter(|(role, _)| role == landmark).count();
        if many != 1 {
            wrong.push(format!("{many} of {landmark}: {read:?}"));
        }
    }
    wrong.extend(tabbed_through(browser).await);
    wrong
        .into_iter()
        .map(|found| format!("{path}: {found}"))
        .collect()
}

/// Comes by Tab to all that can be used, in its order, sees where it is, and comes out again.
async fn tabbed_through(browser: &mut Browser) -> Vec<String> {
    browser
        .evaluate("document.activeElement.blur(); getSelection().removeAllRanges(); scrollTo(0, 0)")
        .await;
    let stops = browser.list("accessible.stops()").await;
    let mut came_by = Vec::new();
    loop {
        browser.press(TAB).await;
        let at = browser.list("accessible.focused()").await;
        // Behind the last is the browser itself, or the first once more.
        let again = came_by.first().is_some_and(|first| at.contains(first));
        if at.is_empty() || again || came_by.len() > stops.len() {
            break;
        }
        came_by.extend(at);
    }
    let mut wrong = browser.list("accessible.wrong()").await;
    if came_by != stops {
        wrong.push(format!("Tab comes by\n{came_by:#?}\ninstead of\n{stops:#?}"));
    }
    wrong
}

/// A registry of which everything was deleted that a policy lets go, and the run's names among the runs and in the journal.
async fn deleted(daemon: &Asked) -> (String, String) {
    let applied = daemon.over("/api/v1/apply", &json!({})).await;
    let journal = daemon.json("/api/v1/journal").await;
    (
        applied["id"].as_str().unwrap().to_owned(),
        journal["runs"][0]["run"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn every_page_and_report_is_for_keyboards_screen_readers_narrow_windows_and_the_dark() {
    let scene = Scene::new().await;
    scene
        .asked(async |daemon| {
            let Some(mut browser) = Browser::start(scene.place.path()).await else {
                return;
            };
            let at = format!("http://{}", daemon.address);
            browser.open(&at).await;
            let mut wrong =
                is_for_everybody(&mut browser, "the overview before anything was done", true).await;

            let planned = daemon.over("/api/v1/plan", &json!({"all": true})).await;
            let planned = planned["id"].as_str().unwrap().to_owned();
            let (run, in_journal) = deleted(daemon).await;
            // The configuration that is refused stays on the overview.
            scene.file("lagan.yaml", "registries: [");
            daemon.events.send(Event::Reload).await.unwrap();
            daemon
                .told(|happening| matches!(happening, Happening::Refused { .. }).then_some(()))
                .await;
            let mut titles = Vec::new();
            for (path, shown, is_page) in [
                ("/".to_owned(), "Freed over time", true),
                ("/runs".to_owned(), "newest first", true),
                ("/runs?policy=&kind=plan".to_owned(), "1 shown", true),
                (format!("/runs/{run}"), "In the journal", true),
                ("/journal".to_owned(), "byte for byte", true),
                (format!("/journal/{in_journal}"), "Token with the right", true),
                ("/tag?registry=r&tag=team/app:1.0.0-rc.6".to_owned(), "kept", true),
                (
                    format!("/api/v1/runs/{planned}/report?format=html"),
                    "1.0.0-rc.1",
                    false,
                ),
                (
                    format!("/api/v1/runs/{run}/report?format=html"),
                    "1.0.0-rc.1",
                    false,
                ),
            ] {
                let mut text = Value::Null;
                // A page says so where something is being counted or read still.
                for _ in 0..MANY {
                    browser.open(&format!("{at}{path}")).await;
                    text = browser.evaluate("document.body.innerText").await;
                    if text.as_str().unwrap().contains(shown) {
                        break;
                    }
                }
                assert!(text.as_str().unwrap().contains(shown), "{path}: {text}");
                wrong.extend(is_for_everybody(&mut browser, &path, is_page).await);
                assert_eq!(browser.complaints, Vec::<String>::new(), "{path}");
                titles.push(browser.evaluate("document.title").await.to_string());
            }
            for path in ["/runs/01KAJ3E5Z0000000000000000A", "/tag?tag=team/app:nothing"] {
                browser.open(&format!("{at}{path}")).await;
                wrong.extend(is_for_everybody(&mut browser, path, true).await);
                titles.push(browser.evaluate("document.title").await.to_string());
            }
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
            // Which page it is, is said by its title first; of the runs it is one page with a filter and without.
            let many = titles.len();
            titles.sort();
            titles.dedup();
            assert_eq!(titles.len(), many - 1, "{titles:#?}");
            for url in &browser.asked {
                assert!(
                    url.starts_with(&at) || url == "about:blank",
                    "{url} was asked for"
                );
            }
            browser.end().await;
        })
        .await;
}

#[tokio::test]
async fn a_run_is_undone_by_keyboard_alone_and_never_without_a_token_and_a_yes() {
    let scene = Scene::new().await;
    scene
        .asked(async |daemon| {
            let Some(mut browser) = Browser::start(scene.place.path()).await else {
                return;
            };
            let (_, in_journal) = deleted(daemon).await;
            assert_eq!(scene.tags(), 2);
            let at = format!("http://{}", daemon.address);
            let page = format!("{at}/journal/{in_journal}");
            browser.open(&page).await;

            // To the content, and there to the token; what is sent without a yes stays where it is, and says why.
            browser.press(TAB).await;
            browser.press(ENTER).await;
            browser.press(TAB).await;
            let field = browser.evaluate("document.activeElement.name").await;
            assert_eq!(field, "token");
            browser.order("Input.insertText", json!({"text": READ})).await;
            browser.press(ENTER).await;
            let unconfirmed = "document.querySelector('[name=confirm]').matches(':invalid:focus')";
            assert_eq!(browser.evaluate(unconfirmed).await, true);
            assert_eq!(
                browser.evaluate("location.href.split('#')[0]").await,
                page.as_str()
            );

            // A token that may not is told so, above the form that is there again, without the token.
            browser.press(SPACE).await;
            browser.press(ENTER).await;
            browser.load().await;
            let refused = browser
                .evaluate("document.querySelector('[role=alert]').innerText")
                .await;
            assert!(refused.as_str().unwrap().contains("undo"), "{refused}");
            assert_eq!(
                browser
                    .evaluate("document.querySelector('[name=token]').value")
                    .await,
                ""
            );
            let again = is_for_everybody(&mut browser, "the form again", true).await;
            assert_eq!(again, [""; 0]);
            assert_eq!(scene.tags(), 2);

            browser
                .evaluate("document.querySelector('[name=token]').focus()")
                .await;
            browser.order("Input.insertText", json!({"text": ALL})).await;
            for key in [TAB, SPACE, TAB, TAB] {
                browser.press(key).await;
            }
            assert_eq!(
                browser.evaluate("document.activeElement.textContent").await,
                "Undo"
            );
            browser.press(ENTER).await;
            browser.load().await;
            let run = browser.evaluate("location.pathname").await;
            assert!(run.as_str().unwrap().starts_with("/runs/"), "{run}");
            loop {
                let text = browser.evaluate("document.body.innerText").await;
                if text.as_str().unwrap().contains("The report") {
                    break;
                }
                browser.open(&format!("{at}{}", run.as_str().unwrap())).await;
            }
            assert_eq!(scene.tags(), 6);
            let undone = is_for_everybody(&mut browser, "the run of the undo", true).await;
            assert_eq!(undone, [""; 0]);
            browser.end().await;
        })
        .await;
}
