//! The program from the command line, on two nodes, and while its database is down.

mod support;

use bennu::prelude::json;
use bennu_client::ClientChannel;
use serde_json::Value;
use std::time::Duration;
use support::guest::Guest;
use support::program::{Gym, TRAINING_CENTER, printed_password};
use test_browser::skip;
use test_postgres::Postgres;
use test_program::{Login, Program, Signal, free_port};
use tokio::time::timeout;

/// The time limit of each wait, for a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for an event whose payload is as `is_expected` requires.
async fn until(channel: &mut ClientChannel, event: &str, is_expected: impl Fn(&Value) -> bool) {
    let arrives = async {
        loop {
            let message = channel.next().await.expect("the channel stays joined");
            if message.event == event && is_expected(&message.payload.parse().unwrap()) {
                return;
            }
        }
    };
    timeout(DEADLINE, arrives).await.unwrap_or_else(|_| panic!("no {event} as expected"));
}

/// Completes an exercise. Returns the status of the reply, and the reason of an error.
async fn push(tiles: &ClientChannel, exercise: &str) -> (String, String) {
    let reply = tiles.push("complete_exercise", json!({ "name": exercise })).await.unwrap();
    let response: Value = reply.payload.parse().unwrap();
    (reply.status.as_str().to_owned(), response["reason"].as_str().unwrap_or_default().to_owned())
}

fn html_has(text: &str) -> impl Fn(&Value) -> bool {
    move |payload| payload["html"].as_str().unwrap().contains(text)
}

#[tokio::test]
async fn a_start_prints_the_trainers_password_unless_its_hash_is_given() {
    let login = Login::new(TRAINING_CENTER);
    let hash = login.run_with_input(0, &["hash-password"], "a good password\n").await;
    let gym = Gym::start_by(login.with("TRAINER_PASSWORD_HASH", hash.trim())).await;
    assert!(gym.server.printed.is_empty(), "{:?}", gym.server.printed);
    let mut trainer = Guest::trainer(gym.server.address(), "a good password").await;
    trainer.get("/trainer").await.assert(200, "name=\"workout\"");
    let short = gym.login.output(0, &["hash-password"], "short\n").await;
    let error = String::from_utf8(short.stderr).unwrap();
    assert_eq!(error, "training_center: a password of 5 characters is too short: it must have at least 8\n");
    assert!(gym.login.fail_to_start("TRAINER_PASSWORD_HASH", "a good password").await.contains("hash-password"));
}

#[tokio::test]
async fn a_session_and_a_sign_in_outlive_a_restart() {
    let mut gym = Gym::start().await;
    let mut trainer = gym.trainer_of_a_session().await;
    gym.server.signal(Signal::TERM);
    assert_eq!(gym.server.ended().await, Some(0));
    gym.start_again().await;
    trainer.node = gym.server.address();
    trainer.get("/trainer/sessions/1").await.assert(200, "Tuesday");
}

#[tokio::test]
async fn kill_names_the_tasks_that_there_are_and_those_that_it_has_killed() {
    let gym = Gym::start().await;
    let unknown = gym.login.fail(gym.server.port, &["kill", "session 1"]).await;
    assert_eq!(unknown, "training_center: there is no task \"session 1\": there are database");
    let mut trainer = gym.trainer_of_a_session().await;
    trainer.get("/trainer/sessions/1").await;
    assert_eq!(gym.command(&["kill", "session 1"]).await.trim(), "killed session 1");
    trainer.get("/trainer/sessions/1").await.assert(200, "Tuesday");
}

#[tokio::test]
async fn public_url_is_the_address_of_the_qr_code() {
    let gym = Gym::start_by(Login::new(TRAINING_CENTER).with("PUBLIC_URL", "https://gym.example/")).await;
    let page = gym.trainer_of_a_session().await.get("/trainer/sessions/1").await;
    page.assert(200, ">https://gym.example/sessions/1<");
    assert!(!page.body.contains("HOST=0.0.0.0"));
    for (url, error) in [
        ("gym.example", "\"gym.example\" is not an address: it must begin with http:// or https://"),
        ("", "\"\" is not an address"),
    ] {
        let login = Login::new(TRAINING_CENTER).with("PUBLIC_URL", url);
        let output = login.output(0, &[], "").await;
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && text.contains(error), "{text}");
    }
}

#[tokio::test]
async fn a_trainer_on_one_node_sees_and_starts_the_people_of_the_other() {
    let login = Login::new(TRAINING_CENTER);
    let [a, b] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let clusters = [format!("zenoh://{a}"), format!("zenoh://{b}?connect={a}")];
    let one = Program::start_with(&login, 0, &[("NODE", "a@localhost"), ("CLUSTER", &clusters[0])]).await;
    let two = Program::start_with(&login, 0, &[("NODE", "b@localhost"), ("CLUSTER", &clusters[1])]).await;

    let mut trainer = Guest::trainer(one.address(), printed_password(&one)).await;
    trainer.post("/trainer/sessions", &[("title", "Tuesday"), ("workout", "Squats\nPlank")]).await;
    let socket = trainer.client("/trainer/sessions/1").await.connect().await.unwrap();
    let mut grid = socket.join("training_session:1", json!({})).await.unwrap();
    let mut blue = Guest::participant(two.address(), "Blue").await;
    let phone = blue.client("/sessions/1").await.connect().await.unwrap();
    let mut tiles = phone.join("training_session:1", json!({})).await.unwrap();
    until(&mut tiles, "participant_status", html_has("Squats")).await;
    until(&mut grid, "presence_diff", |diff| diff["joins"]["Blue"].is_object()).await;

    trainer.post("/trainer/sessions/1", &[("change", "start")]).await;
    until(&mut tiles, "training_session_started", |_| true).await;
    until(&mut tiles, "participant_status", html_has("data-exercise=\"Plank\"")).await;
    assert_eq!(push(&tiles, "Plank").await.0, "ok");
    until(&mut grid, "status_updated", html_has("data-done=\"true\"")).await;
    // One user of both nodes, since the database has their secret.
    blue.node = one.address();
    blue.get("/sessions/1").await.assert(200, "data-state=\"done\"");

    phone.disconnect().await;
    until(&mut grid, "presence_diff", |diff| diff["leaves"]["Blue"].is_object()).await;
}

#[tokio::test]
async fn without_its_database_a_node_shows_what_was_confirmed_and_refuses_changes_in_words() {
    let mut postgres = match Postgres::builder().fsync(false).start().await {
        Ok(postgres) => postgres,
        Err(missing) => return skip("a database that is down", &missing),
    };
    let gym = Gym::start_by(Login::new(TRAINING_CENTER).with("DATABASE_URL", &postgres.create_database().await)).await;
    let mut trainer = gym.trainer_of_a_session().await;
    trainer.post("/trainer/sessions/1", &[("change", "start")]).await;
    let mut blue = Guest::participant(gym.server.address(), "Blue").await;
    let phone = blue.client("/sessions/1").await.connect().await.unwrap();
    let tiles = phone.join("training_session:1", json!({})).await.unwrap();
    assert_eq!(push(&tiles, "Squats").await.0, "ok");

    postgres.stop().await;
    blue.get("/sessions/1").await.assert(200, "data-exercise=\"Squats\" data-state=\"done\"");
    trainer.get("/trainer/sessions/1").await.assert(200, "data-person=\"Blue\"");
    let refused = ("error".to_owned(), "the database does not answer: try again in a moment".to_owned());
    assert_eq!(push(&tiles, "Plank").await, refused);
    trainer.post("/trainer/sessions/1", &[("change", "end")]).await.assert(503, "The database does not answer");
    assert!(tiles.is_joined());

    postgres.start_again().await;
    assert_eq!(push(&tiles, "Plank").await.0, "ok");
    blue.get("/sessions/1").await.assert(200, "data-exercise=\"Plank\" data-state=\"done\"");
}
