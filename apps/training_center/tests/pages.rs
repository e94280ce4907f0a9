//! The pages over HTTP: the two ways to sign in, and what is the trainer's alone.

mod support;

use bennu::prelude::json;
use bennu_client::ConnectionState;
use std::time::Duration;
use support::guest::Guest;
use support::hall::Hall;
use test_program::visitor::Reply;
use tokio::time::timeout;
use training_center::gym::topic;
use training_center::session::{Command, Phase};
use training_center::store::SessionId;

/// The time limit of each wait, for a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

async fn phase(hall: &Hall, id: SessionId) -> Phase {
    hall.call(id, Command::Look).await.unwrap().session.phase
}

fn leads_to(page: &Reply, path: &str) {
    assert_eq!((page.status, page.header("location")), (303, Some(path)), "{page:?}");
}

#[tokio::test]
async fn a_participant_signs_in_by_name_and_goes_on_to_the_session_of_the_qr_code() {
    let hall = Hall::open().await;
    let id = hall.waiting().await;
    let mut phone = Guest::of(hall.address);
    let asked = phone.get(&format!("/sessions/{id}")).await;
    asked.assert(200, "name=\"name\"");
    assert_eq!(asked.meta("user-token"), None);
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
    let hall = Hall::open().await;
    let mut phone = Guest::of(hall.address);
    for (name, words) in [
        ("", "A name is missing."),
        ("  \t ", "A name is missing."),
        (&"x".repeat(41), "It has 41 characters, and a name has at most 40."),
        ("Blue\u{7}", "It has characters that cannot be shown."),
    ] {
        phone.post("/sign_in", &[("name", name)]).await.assert(400, words);
    }
    phone.post("/sign_in", &[]).await.assert(400, "The field &#34;name&#34; is missing.");
    assert_eq!(phone.get("/").await.meta("user-token"), None);
    leads_to(&phone.post("/sign_in", &[("name", &"é".repeat(40)), ("session", "//elsewhere.example")]).await, "/");
}

#[tokio::test]
async fn the_trainer_signs_in_with_the_password_alone() {
    let hall = Hall::open().await;
    let mut trainer = Guest::of(hall.address);
    trainer.get("/trainer").await.assert(200, "type=\"password\"");
    let wrong = trainer.post("/trainer/sign_in", &[("password", "letmein"), ("role", "trainer")]).await;
    wrong.assert(401, "This is not the password.");
    trainer.get("/trainer/sessions/1").await.assert(403, "Sign in as the trainer");
    leads_to(&trainer.post("/trainer/sign_in", &[("password", &hall.password)]).await, "/trainer");
    trainer.get("/trainer").await.assert(200, "name=\"workout\"");
    trainer.get("/").await.assert(200, "name=\"workout\"");
    for _ in 0..5 {
        trainer.post("/trainer/sign_in", &[("password", "letmein")]).await;
    }
    let limited = trainer.post("/trainer/sign_in", &[("password", &hall.password)]).await;
    limited.assert(429, "There were too many attempts");
    assert!(
        limited.header("retry-after").is_some_and(|seconds| seconds.parse::<u8>().is_ok_and(|seconds| seconds <= 60))
    );
}

#[tokio::test]
async fn pages_and_forms_of_the_trainer_are_the_trainers_alone() {
    let hall = Hall::open().await;
    let id = hall.waiting().await;
    for name in [None, Some("Trainer")] {
        let mut other = match name {
            None => Guest::of(hall.address),
            Some(name) => Guest::participant(hall.address, name).await,
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
    assert_eq!(phase(&hall, id).await, Phase::Waiting);
    assert_eq!(hall.store.latest().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_trainer_creates_edits_starts_and_ends_sessions() {
    let hall = Hall::open().await;
    let mut trainer = hall.trainer().await;
    let created = trainer.post("/trainer/sessions", &[("title", "Tuesday"), ("workout", "Squats\r\nPlank\r\n")]).await;
    leads_to(&created, "/trainer/sessions/1");
    let change = async |trainer: &mut Guest, fields: &[(&str, &str)]| trainer.post("/trainer/sessions/1", fields).await;
    leads_to(&change(&mut trainer, &[("change", "workout"), ("workout", "Rowing")]).await, "/trainer/sessions/1");
    trainer.get("/trainer/sessions/1").await.assert(200, "Rowing");
    for _ in 0..2 {
        leads_to(&change(&mut trainer, &[("change", "start")]).await, "/trainer/sessions/1");
        assert_eq!(phase(&hall, SessionId(1)).await, Phase::Running);
    }
    let late = change(&mut trainer, &[("change", "workout"), ("workout", "Plank")]).await;
    late.assert(409, "The workout can be changed only until the start.");
    for _ in 0..2 {
        leads_to(&change(&mut trainer, &[("change", "end")]).await, "/trainer/sessions/1");
        assert_eq!(phase(&hall, SessionId(1)).await, Phase::Ended);
    }
    change(&mut trainer, &[("change", "start")]).await.assert(409, "The session has ended.");

    trainer.post("/trainer/sessions", &[("title", "Never"), ("workout", "Plank")]).await;
    leads_to(&trainer.post("/trainer/sessions/2", &[("change", "end")]).await, "/trainer/sessions/2");
    assert_eq!(phase(&hall, SessionId(2)).await, Phase::Ended);
}

#[tokio::test]
async fn what_a_form_of_the_trainer_cannot_have_is_refused_in_words() {
    let hall = Hall::open().await;
    hall.waiting().await;
    let mut trainer = hall.trainer().await;
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
    let foreign = trainer.post_text("/trainer/sessions/1", "change=start&_csrf_token=guessed").await;
    foreign.assert(403, "This form is too old or came from another site.");
    assert_eq!(phase(&hall, SessionId(1)).await, Phase::Waiting);
}

#[tokio::test]
async fn a_start_and_an_end_by_form_reach_the_participants() {
    let hall = Hall::open().await;
    let id = hall.waiting().await;
    let mut trainer = hall.trainer().await;
    let mut blue = Guest::participant(hall.address, "Blue").await;
    let client = blue.client("/sessions/1").await.connect().await.unwrap();
    let mut channel = client.join(&topic(id), json!({})).await.unwrap();
    for (change, event) in [("start", "training_session_started"), ("end", "training_session_ended")] {
        trainer.post("/trainer/sessions/1", &[("change", change)]).await;
        let arrives = async { while channel.next().await.expect("the channel stays").event != event {} };
        timeout(DEADLINE, arrives).await.unwrap_or_else(|_| panic!("no {event}"));
    }
}

#[tokio::test]
async fn the_role_of_a_socket_is_that_of_the_signed_token_whatever_the_client_says() {
    let hall = Hall::open().await;
    let id = hall.waiting().await;
    let mut blue = Guest::participant(hall.address, "Blue").await;
    let forged = blue.client("/sessions/1").await.param("role", "trainer").param("name", "Trainer");
    let client = forged.connect().await.unwrap();
    let mut channel = client.join(&topic(id), json!({ "role": "trainer" })).await.unwrap();
    let first = timeout(DEADLINE, channel.next()).await.unwrap().unwrap();
    assert_eq!(first.event, "participant_status");

    let token = blue.get("/sessions/1").await.meta("user-token").unwrap();
    let trainers = hall.trainer().await.get("/trainer/sessions/1").await.meta("user-token").unwrap();
    let mut changed = token.clone();
    changed.replace_range(4..5, if token[4..5] == *"A" { "B" } else { "A" });
    let mut stranger = Guest::of(hall.address);
    stranger.get("/").await;
    for (refused, why) in [
        (blue.client_with(&trainers), "the trainer's token with a participant's session"),
        (blue.client_with(&changed), "a changed token"),
        (blue.client_with(""), "no token"),
        (stranger.client_with(&token), "a token without its session"),
    ] {
        assert!(refused.connect().await.is_err(), "{why}");
    }
}

#[tokio::test]
async fn a_sign_out_closes_the_sockets_of_its_pages_and_they_cannot_come_back() {
    let hall = Hall::open().await;
    let id = hall.waiting().await;
    let mut blue = Guest::participant(hall.address, "Blue").await;
    let token = blue.get("/sessions/1").await.meta("user-token").unwrap();
    let client = blue.client("/sessions/1").await.connect().await.unwrap();
    let _channel = client.join(&topic(id), json!({})).await.unwrap();
    let mut states = client.states();
    leads_to(&blue.post("/sign_out", &[]).await, "/");
    let closed = async { while matches!(states.next().await, ConnectionState::Connected { .. }) {} };
    timeout(DEADLINE, closed).await.expect("the connection is closed");

    // The page keeps its token, but its browser has another session.
    blue.get("/sessions/1").await.assert(200, "name=\"name\"");
    assert!(blue.client_with(&token).connect().await.is_err());
}

#[tokio::test]
async fn the_trainers_page_has_the_address_of_its_own_request_as_a_qr_code() {
    let hall = Hall::open().await;
    hall.waiting().await;
    let mut trainer = hall.trainer().await;
    for path in ["/trainer/sessions/1", "/trainer/sessions/1?view=projector"] {
        let page = trainer.get(path).await;
        let url = format!("http://{}/sessions/1", hall.address);
        page.assert(200, &url);
        let code = qrcode::QrCode::new(&url).unwrap();
        let drawn = code.render::<qrcode::render::svg::Color<'_>>().build();
        page.assert(200, &drawn[drawn.find("<path").unwrap()..drawn.find("</svg>").unwrap()]);
    }
    trainer.get("/trainer/sessions/1").await.assert(200, "HOST=0.0.0.0");
}
