//! The pages over HTTP: the two ways to sign in, and what is the trainer's alone.

mod node;

use app_service::password::Password;
use app_service::supervisor::Supervisor;
use bennu::Endpoint;
use bennu::prelude::json;
use bennu::token::Secret;
use bennu_client::{Client, ConnectionState};
use node::visitor::{DEADLINE, Page, Visitor};
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::TcpListener;
use tokio::time::timeout;
use training_center::gym::{Gym, topic};
use training_center::session::{Command, Phase, TrainingSession};
use training_center::store::{SessionId, Store};

/// A node with its pages, served until the test's runtime ends.
struct Site {
    gym: Gym,
    address: SocketAddr,
    password: String,
}

impl Site {
    async fn open() -> Self {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let endpoint = Endpoint::new(Secret::new("a secret that only these tests have").unwrap());
        let (trainer, password) = Password::random().unwrap();
        let gym = Gym::new(endpoint, store, trainer, Supervisor::new());
        let app = training_center::app(&gym, &Path::new(env!("CARGO_MANIFEST_DIR")).join("assets")).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(bennu::serve(listener, app, &gym.endpoint).into_future());
        Site { gym, address, password }
    }

    async fn session(&self) -> SessionId {
        let session = TrainingSession::new("Tuesday, 18:00", "Squats\nPlank").unwrap();
        self.gym.store.create(&session).await.unwrap()
    }

    async fn trainer(&self) -> Visitor {
        Visitor::trainer(self.address, &self.password).await
    }

    async fn phase(&self, id: SessionId) -> Phase {
        self.gym.call(id, Command::Look).await.unwrap().session.phase
    }
}

fn leads_to(page: &Page, path: &str) {
    assert_eq!((page.status, page.header("location")), (303, Some(path)), "{page:?}");
}

#[tokio::test]
async fn a_participant_signs_in_by_name_and_goes_on_to_the_session_of_the_qr_code() {
    let site = Site::open().await;
    let id = site.session().await;
    let mut phone = Visitor::of(site.address);
    let asked = phone.get(&format!("/sessions/{id}")).await;
    asked.assert(200, "name=\"name\"");
    assert_eq!(asked.value("user-token"), None);
    let fields = [("name", "  Blue   Sky "), ("session", "1")];
    leads_to(&phone.post("/sign_in", &fields).await, "/sessions/1");
    let page = phone.get("/sessions/1").await;
    page.assert(200, "Tuesday, 18:00");
    page.assert(200, "Blue Sky");
    assert_eq!(page.header("cache-control"), Some("no-store, must-revalidate"));
    phone.get("/").await.assert(200, "href=\"/sessions/1\"");
}

#[tokio::test]
async fn a_name_that_cannot_be_used_is_refused_in_words() {
    let site = Site::open().await;
    let mut phone = Visitor::of(site.address);
    for (name, words) in [
        ("", "A name is missing."),
        ("  \t ", "A name is missing."),
        (&"x".repeat(41), "It has 41 characters, and a name has at most 40."),
        ("Blue\u{7}", "It has characters that cannot be shown."),
    ] {
        phone.post("/sign_in", &[("name", name)]).await.assert(400, words);
    }
    phone.post("/sign_in", &[]).await.assert(400, "The field &#34;name&#34; is missing.");
    assert_eq!(phone.get("/").await.value("user-token"), None);
    leads_to(&phone.post("/sign_in", &[("name", &"é".repeat(40)), ("session", "//elsewhere.example")]).await, "/");
}

#[tokio::test]
async fn the_trainer_signs_in_with_the_password_alone() {
    let site = Site::open().await;
    let mut trainer = Visitor::of(site.address);
    trainer.get("/trainer").await.assert(200, "type=\"password\"");
    let wrong = trainer.post("/trainer/sign_in", &[("password", "letmein"), ("role", "trainer")]).await;
    wrong.assert(401, "This is not the password.");
    trainer.get("/trainer/sessions/1").await.assert(403, "Sign in as the trainer");
    leads_to(&trainer.post("/trainer/sign_in", &[("password", &site.password)]).await, "/trainer");
    trainer.get("/trainer").await.assert(200, "name=\"workout\"");
    trainer.get("/").await.assert(200, "name=\"workout\"");
    for _ in 0..5 {
        trainer.post("/trainer/sign_in", &[("password", "letmein")]).await;
    }
    let limited = trainer.post("/trainer/sign_in", &[("password", &site.password)]).await;
    limited.assert(429, "There were too many attempts");
    assert!(
        limited.header("retry-after").is_some_and(|seconds| seconds.parse::<u8>().is_ok_and(|seconds| seconds <= 60))
    );
}

#[tokio::test]
async fn pages_and_forms_of_the_trainer_are_the_trainers_alone() {
    let site = Site::open().await;
    let id = site.session().await;
    for name in [None, Some("Trainer")] {
        let mut other = match name {
            None => Visitor::of(site.address),
            Some(name) => Visitor::participant(site.address, name).await,
        };
        for path in ["/trainer/sessions/1", "/trainer/sessions/1?view=projector", "/trainer/sessions/9"] {
            let page = other.get(path).await;
            page.assert(403, "Sign in as the trainer");
            assert!(!page.body.contains("Tuesday") && !page.body.contains("csrf"), "{page:?}");
        }
        other.get("/trainer").await.assert(200, "type=\"password\"");
        for (path, fields) in [
            ("/trainer/sessions", &[("title", "Mine"), ("workout", "Rest")][..]),
            ("/trainer/sessions/1", &[("change", "start")]),
            ("/trainer/sessions/1", &[("change", "end")]),
            ("/trainer/sessions/1", &[("change", "workout"), ("workout", "Rest")]),
        ] {
            other.post(path, fields).await.assert(403, "Sign in as the trainer");
        }
    }
    assert_eq!(site.phase(id).await, Phase::Waiting);
    assert_eq!(site.gym.store.latest().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_trainer_creates_edits_starts_and_ends_sessions() {
    let site = Site::open().await;
    let mut trainer = site.trainer().await;
    let created = trainer.post("/trainer/sessions", &[("title", "Tuesday"), ("workout", "Squats\r\nPlank\r\n")]).await;
    leads_to(&created, "/trainer/sessions/1");
    let change =
        async |trainer: &mut Visitor, fields: &[(&str, &str)]| trainer.post("/trainer/sessions/1", fields).await;
    leads_to(&change(&mut trainer, &[("change", "workout"), ("workout", "Rowing")]).await, "/trainer/sessions/1");
    trainer.get("/trainer/sessions/1").await.assert(200, "Rowing");
    for _ in 0..2 {
        leads_to(&change(&mut trainer, &[("change", "start")]).await, "/trainer/sessions/1");
        assert_eq!(site.phase(SessionId(1)).await, Phase::Running);
    }
    let late = change(&mut trainer, &[("change", "workout"), ("workout", "Plank")]).await;
    late.assert(409, "The workout can be changed only until the start.");
    for _ in 0..2 {
        leads_to(&change(&mut trainer, &[("change", "end")]).await, "/trainer/sessions/1");
        assert_eq!(site.phase(SessionId(1)).await, Phase::Ended);
    }
    change(&mut trainer, &[("change", "start")]).await.assert(409, "The session has ended.");

    trainer.post("/trainer/sessions", &[("title", "Never"), ("workout", "Plank")]).await;
    leads_to(&trainer.post("/trainer/sessions/2", &[("change", "end")]).await, "/trainer/sessions/2");
    assert_eq!(site.phase(SessionId(2)).await, Phase::Ended);
}

#[tokio::test]
async fn what_a_form_of_the_trainer_cannot_have_is_refused_in_words() {
    let site = Site::open().await;
    site.session().await;
    let mut trainer = site.trainer().await;
    let create = [("title", "Tuesday"), ("workout", "Plank\nPlank")];
    trainer.post("/trainer/sessions", &create).await.assert(409, "&#34;Plank&#34; is in the workout twice.");
    let unknown = trainer.post("/trainer/sessions/1", &[("change", "pause")]).await;
    unknown.assert(400, "&#34;pause&#34; is not a change of a session: there are start, end and workout.");
    trainer.post("/trainer/sessions/1", &[]).await.assert(400, "The field &#34;change&#34; is missing.");
    trainer.post("/trainer/sessions/9", &[("change", "start")]).await.assert(404, "There is no session 9.");
    for path in ["/trainer/sessions/one", "/sessions/one", "/sessions/99999999999999999999", "/elsewhere"] {
        trainer.get(path).await.assert(404, "There is no page here.");
    }
    trainer.get("/sessions/9").await.assert(404, "There is no session 9.");
    let foreign = trainer.post_exactly("/trainer/sessions/1", &[("change", "start"), ("_csrf_token", "guessed")]).await;
    foreign.assert(403, "This form is too old or came from another site.");
    assert_eq!(site.phase(SessionId(1)).await, Phase::Waiting);
}

#[tokio::test]
async fn a_start_and_an_end_by_form_reach_the_participants() {
    let site = Site::open().await;
    let id = site.session().await;
    let mut trainer = site.trainer().await;
    let mut blue = Visitor::participant(site.address, "Blue").await;
    let client = blue.socket("/sessions/1").await;
    let mut channel = client.join(&topic(id), json!({})).await.unwrap();
    for (change, event) in [("start", "training_session_started"), ("end", "training_session_ended")] {
        trainer.post("/trainer/sessions/1", &[("change", change)]).await;
        let arrives = async { while channel.next().await.expect("the channel stays").event != event {} };
        timeout(DEADLINE, arrives).await.unwrap_or_else(|_| panic!("no {event}"));
    }
}

#[tokio::test]
async fn the_role_of_a_socket_is_that_of_the_signed_token_whatever_the_client_says() {
    let site = Site::open().await;
    let id = site.session().await;
    let mut blue = Visitor::participant(site.address, "Blue").await;
    let page = blue.get("/sessions/1").await;
    let [token, csrf_token] = ["user-token", "csrf-token"].map(|name| page.value(name).unwrap());
    let builder = |token: &str| {
        Client::builder(format!("ws://{}/socket", site.address))
            .param("token", token)
            .param("_csrf_token", &csrf_token)
            .param("role", "trainer")
            .param("name", "Trainer")
    };
    let client = builder(&token).header("cookie", blue.cookie()).connect().await.unwrap();
    let mut channel = client.join(&topic(id), json!({ "role": "trainer" })).await.unwrap();
    let first = timeout(DEADLINE, channel.next()).await.unwrap().unwrap();
    assert_eq!(first.event, "participant_status");

    // The token of the trainer with the session of a participant, a changed token, and none of the sessions.
    let trainers = site.trainer().await.get("/trainer/sessions/1").await.value("user-token").unwrap();
    let mut changed = token.clone();
    changed.replace_range(4..5, if token[4..5] == *"A" { "B" } else { "A" });
    for refused in [
        builder(&trainers).header("cookie", blue.cookie()),
        builder(&changed).header("cookie", blue.cookie()),
        builder(""),
        builder(&token),
    ] {
        assert!(refused.connect().await.is_err());
    }
}

#[tokio::test]
async fn a_sign_out_closes_the_sockets_of_its_pages_and_they_cannot_come_back() {
    let site = Site::open().await;
    let id = site.session().await;
    let mut blue = Visitor::participant(site.address, "Blue").await;
    let token = blue.get("/sessions/1").await.value("user-token").unwrap();
    let client = blue.socket("/sessions/1").await;
    let _channel = client.join(&topic(id), json!({})).await.unwrap();
    let mut states = client.states();
    leads_to(&blue.post("/sign_out", &[]).await, "/");
    let closed = async { while matches!(states.next().await, ConnectionState::Connected { .. }) {} };
    timeout(DEADLINE, closed).await.expect("the connection is closed");

    // The page keeps its token, but its browser has another session.
    let page = blue.get("/sessions/1").await;
    page.assert(200, "name=\"name\"");
    let again = Client::builder(format!("ws://{}/socket", site.address))
        .param("token", token)
        .param("_csrf_token", page.value("csrf-token").unwrap())
        .header("cookie", blue.cookie());
    assert!(again.connect().await.is_err());
}

#[tokio::test]
async fn the_trainers_page_has_the_address_of_its_own_request_as_a_qr_code() {
    let site = Site::open().await;
    site.session().await;
    let mut trainer = site.trainer().await;
    for path in ["/trainer/sessions/1", "/trainer/sessions/1?view=projector"] {
        let page = trainer.get(path).await;
        let url = format!("http://{}/sessions/1", site.address);
        page.assert(200, &url);
        let code = qrcode::QrCode::new(&url).unwrap();
        let drawn = code.render::<qrcode::render::svg::Color<'_>>().build();
        page.assert(200, &drawn[drawn.find("<path").unwrap()..drawn.find("</svg>").unwrap()]);
    }
    trainer.get("/trainer/sessions/1").await.assert(200, "HOST=0.0.0.0");
}
