//! A mail server of the test's own, and what it gets, refuses, and never gets to see.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lagan_notify::{Delivery, Encryption, LETTER, Mail, MailServer, PAUSES, Receiver, Target};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::support::{LONGEST, Scene, message, receiver};

/// A connection, encrypted or not.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// What was said to the server, a line each, and whether it was encrypted.
type Said = Arc<Mutex<Vec<(bool, String)>>>;

/// What it answers to a command in place of a yes.
#[derive(Clone, Copy)]
enum Instead {
    Answer(&'static str),
    /// Nothing, ever.
    Hang,
}

/// A server, and what it was told.
struct Smtp {
    port: u16,
    said: Said,
    /// How many letters it has, each with the names and passwords before it.
    letters: Arc<watch::Sender<Vec<String>>>,
    authority: Vec<u8>,
}

/// How it is set up.
#[derive(Clone, Default)]
struct Setup {
    tls: Option<TlsAcceptor>,
    implicit: bool,
    /// For each command, the next answers.
    instead: Arc<Mutex<VecDeque<(&'static str, Instead)>>>,
}

impl Smtp {
    async fn start(encryption: Encryption, instead: &[(&'static str, Instead)]) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let setup = Setup {
            tls: (encryption != Encryption::Off).then(|| acceptor(certificate.der().clone(), &key)),
            implicit: encryption == Encryption::Implicit,
            instead: Arc::new(Mutex::new(instead.iter().copied().collect())),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            said: Said::default(),
            letters: Arc::new(watch::Sender::new(Vec::new())),
            authority: authority.pem().into_bytes(),
        };
        let (said, letters) = (server.said.clone(), server.letters.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (setup, said, letters) = (setup.clone(), said.clone(), letters.clone());
                // It ends when somebody hangs up.
                tokio::spawn(async move { talk(Box::new(stream), &setup, &said, &letters).await });
            }
        });
        server
    }

    fn asked_by(&self, encryption: Encryption) -> MailServer {
        MailServer {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            encryption,
            authorities: Some(self.authority.clone()),
            login: Some(("lagan".to_owned(), "hunter2".into())),
        }
    }

    fn said(&self) -> Vec<(bool, String)> {
        self.said.lock().unwrap().clone()
    }

    /// Whether anybody said this, encrypted or not.
    fn heard(&self, word: &str) -> bool {
        self.said().iter().any(|(_, line)| line.starts_with(word))
    }

    fn letters(&self) -> Vec<String> {
        self.letters.borrow().clone()
    }
}

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A conversation (RFC 5321), until the other side ends it.
async fn talk(
    stream: Box<dyn Wire>,
    setup: &Setup,
    said: &Said,
    letters: &watch::Sender<Vec<String>>,
) -> Option<()> {
    let mut stream = stream;
    let mut encrypted = setup.implicit;
    if encrypted {
        stream = Box::new(setup.tls.as_ref()?.accept(stream).await.ok()?);
    }
    answer(&mut stream, setup, "greeting", "220 mail.example.com ESMTP").await?;
    loop {
        let line = until(&mut stream, b"\r\n").await?;
        said.lock().unwrap().push((encrypted, line.clone()));
        let verb = line.split(' ').next()?.to_ascii_uppercase();
        let offers = match (&setup.tls, encrypted) {
            (Some(_), false) => "250-mail.example.com\r\n250-8BITMIME\r\n250 STARTTLS",
            _ => "250-mail.example.com\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN",
        };
        match verb.as_str() {
            "EHLO" => answer(&mut stream, setup, "EHLO", offers).await?,
            "STARTTLS" => {
                answer(&mut stream, setup, "STARTTLS", "220 go ahead").await?;
                stream = Box::new(setup.tls.as_ref()?.accept(stream).await.ok()?);
                encrypted = true;
            }
            "AUTH" => answer(&mut stream, setup, "AUTH", "235 welcome").await?,
            "MAIL" => answer(&mut stream, setup, "MAIL", "250 ok").await?,
            "RCPT" => answer(&mut stream, setup, "RCPT", "250 ok").await?,
            "DATA" => {
                answer(&mut stream, setup, "DATA", "354 go ahead").await?;
                let letter = until(&mut stream, b"\r\n.\r\n").await?;
                letters.send_modify(|letters| letters.push(letter));
                answer(&mut stream, setup, "letter", "250 taken").await?;
            }
            "QUIT" => answer(&mut stream, setup, "QUIT", "221 bye").await?,
            _ => answer(&mut stream, setup, "", "502 what?").await?,
        }
    }
}

/// Says yes, or what it is to say instead.
async fn answer(stream: &mut Box<dyn Wire>, setup: &Setup, command: &str, yes: &str) -> Option<()> {
    let instead = {
        let mut instead = setup.instead.lock().unwrap();
        match instead.front() {
            Some((of, _)) if *of == command => instead.pop_front().map(|(_, instead)| instead),
            _ => None,
        }
    };
    let text = match instead {
        None => yes,
        Some(Instead::Answer(text)) => text,
        Some(Instead::Hang) => std::future::pending().await,
    };
    stream.write_all(format!("{text}\r\n").as_bytes()).await.ok()?;
    stream.flush().await.ok()
}

async fn until(stream: &mut Box<dyn Wire>, end: &[u8]) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end) {
        bytes.push(stream.read_u8().await.ok()?);
    }
    bytes.truncate(bytes.len() - end.len());
    String::from_utf8(bytes).ok()
}

fn mail(server: MailServer) -> Receiver {
    let mailbox = |text: &str| text.parse().unwrap();
    let to = vec![mailbox("ops@example.com"), mailbox("oncall@example.com")];
    receiver(
        "post",
        Target::Email(Mail::new(server, mailbox("lagan@example.com"), to).unwrap()),
    )
}

#[tokio::test]
async fn a_letter_goes_out_encrypted_and_so_does_the_password() {
    for encryption in [Encryption::Implicit, Encryption::StartTls] {
        let mut scene = Scene::new();
        let server = Smtp::start(encryption, &[]).await;
        let outbox = scene.open(vec![mail(server.asked_by(encryption))]);
        outbox.tell(&message(1));
        assert_eq!(scene.heard().await, ("post".to_owned(), Delivery::Sent));
        let said = server.said();
        let plain = STANDARD.encode("\0lagan\0hunter2");
        assert!(said.contains(&(true, format!("AUTH PLAIN {plain}"))), "{said:?}");
        assert!(
            said.iter()
                .any(|(_, line)| line.starts_with("MAIL FROM:<lagan@example.com>"))
        );
        for to in ["ops", "oncall"] {
            assert!(
                said.contains(&(true, format!("RCPT TO:<{to}@example.com>"))),
                "{said:?}"
            );
        }
        // What was said before the encryption tells nothing.
        let readable = said.iter().filter(|(encrypted, _)| !encrypted);
        for (_, line) in readable {
            assert!(line.starts_with("EHLO") || line == "STARTTLS", "{line}");
        }
        let letters = server.letters();
        assert_eq!(letters.len(), 1);
        assert!(
            letters[0].contains("Subject: Lagan: p failed <1>"),
            "{}",
            letters[0]
        );
        assert!(letters[0].contains("Message-ID: <01000000000000000000000001@example.com>"));
    }
}

#[tokio::test]
async fn a_server_that_does_not_encrypt_learns_nothing() {
    let mut scene = Scene::new();
    let server = Smtp::start(Encryption::Off, &[]).await;
    let outbox = scene.open(vec![mail(server.asked_by(Encryption::StartTls))]);
    outbox.tell(&message(1));
    assert_eq!(scene.heard().await.1, Delivery::Failed);
    let said = server.said();
    let innocent = |line: &str| line.starts_with("EHLO") || line == "QUIT";
    assert!(said.iter().all(|(_, line)| innocent(line)), "{said:?}");
}

#[tokio::test]
async fn a_server_that_cannot_prove_its_name_learns_nothing() {
    for encryption in [Encryption::Implicit, Encryption::StartTls] {
        let mut scene = Scene::new();
        let (server, another) = (
            Smtp::start(encryption, &[]).await,
            Smtp::start(encryption, &[]).await,
        );
        let mut asked = server.asked_by(encryption);
        asked.authorities = Some(another.authority.clone());
        let outbox = scene.open(vec![mail(asked)]);
        outbox.tell(&message(1));
        scene.pauses(LETTER).await;
        assert_eq!(scene.heard().await.1, Delivery::Failed);
        assert!(
            !server.heard("AUTH") && !server.heard("MAIL"),
            "{:?}",
            server.said()
        );
    }
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_tried_again_and_what_fails_in_passing_is() {
    for (refused, answer) in [
        ("AUTH", "535 5.7.8 no"),
        ("MAIL", "550 5.7.1 no"),
        ("RCPT", "550 5.1.1 nobody of that name"),
        ("letter", "554 5.6.0 no"),
    ] {
        let mut scene = Scene::new();
        let server = Smtp::start(Encryption::Off, &[(refused, Instead::Answer(answer))]).await;
        let outbox = scene.open(vec![mail(server.asked_by(Encryption::Off))]);
        outbox.tell(&message(1));
        assert_eq!(scene.heard().await.1, Delivery::Failed, "{refused}");
    }
    let mut scene = Scene::new();
    let later = [
        ("greeting", Instead::Answer("421 4.3.2 busy")),
        ("RCPT", Instead::Answer("451 4.7.1 greylisted")),
    ];
    let server = Smtp::start(Encryption::Off, &later).await;
    let outbox = scene.open(vec![mail(server.asked_by(Encryption::Off))]);
    outbox.tell(&message(1));
    scene.wait_for(PAUSES[0], LETTER).await;
    scene.wait_for(PAUSES[1], LETTER).await;
    assert_eq!(scene.heard().await.1, Delivery::Sent);
    assert_eq!(server.letters().len(), 1);
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_and_one_that_hangs_after_it_took_a_letter_has_it_once() {
    let mut scene = Scene::new();
    let hangs = [("greeting", Instead::Hang); 5];
    let server = Smtp::start(Encryption::Off, &hangs).await;
    let outbox = scene.open(vec![mail(server.asked_by(Encryption::Off))]);
    outbox.tell(&message(1));
    for _ in 0..PAUSES.len() {
        scene.wait_for(LETTER, LETTER).await;
        let pause = scene.next_wait().await;
        assert!(PAUSES.contains(&pause), "{pause:?}");
        scene.pass(pause);
    }
    scene.wait_for(LETTER, LETTER).await;
    assert_eq!(scene.heard().await.1, Delivery::Failed);
    assert_eq!(server.letters().len(), 0);

    let mut scene = Scene::new();
    let server = Smtp::start(Encryption::Off, &[("QUIT", Instead::Hang)]).await;
    let outbox = scene.open(vec![mail(server.asked_by(Encryption::Off))]);
    outbox.tell(&message(1));
    // For the letter, and then for the goodbye.
    assert_eq!(scene.next_wait().await, LETTER);
    let goodbye = scene.next_wait().await;
    assert!(goodbye < LETTER);
    scene.pass(goodbye);
    assert_eq!(scene.heard().await.1, Delivery::Sent);
    outbox.close(&*scene.clock, LONGEST).await;
    assert_eq!(server.letters().len(), 1);
}
