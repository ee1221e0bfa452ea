//! Pushing a corpus to another registry.

use super::start;
use crate::{Auth, Corpus, CorpusOptions, Profile, PushError, SandboxOptions, User, push};

fn corpus() -> Corpus {
    Corpus::new(CorpusOptions {
        repositories: 10,
        tags: 20,
        ..CorpusOptions::default()
    })
}

#[tokio::test]
async fn what_was_pushed_is_what_would_be_served() {
    let (target, _) = start(SandboxOptions::default().profile(Profile::Distribution28)).await;
    let pushed = push(&corpus(), &target.url(), None).await.expect("a push");
    assert_eq!((pushed.repositories, pushed.tags), (10, 200));
    let mut manifests = 0;
    for content in corpus().repositories() {
        let name = content.repository();
        assert!(
            target
                .tags(name)
                .iter()
                .map(|(tag, digest)| (tag.as_str(), *digest))
                .eq(content.tags())
        );
        for expected in content.manifests() {
            let stored = target.manifest(name, &expected.digest).expect("a manifest");
            assert_eq!(
                (stored.bytes, stored.media_type),
                (expected.bytes.clone(), expected.media_type.clone())
            );
            manifests += 1;
        }
    }
    assert_eq!(pushed.manifests, manifests);
}

#[tokio::test]
async fn a_refused_push_says_what_was_refused() {
    let auth = Auth::Basic(vec![User::new("admin", "a")]);
    let (target, _) = start(SandboxOptions::default().auth(auth)).await;
    let refused = push(&corpus(), &target.url(), None).await;
    assert!(matches!(refused, Err(PushError::Refused { status, .. }) if status == 401));
    push(&corpus(), &target.url(), Some(("admin", "a")))
        .await
        .expect("a push");
    let encrypted = push(&corpus(), "https://127.0.0.1:1", None).await;
    assert!(matches!(encrypted, Err(PushError::NoAnswer { .. })));
}
