//! The program from the command line, on two nodes, and while its database is down.

mod node;

use bennu::prelude::json;
use bennu_client::ClientChannel;
use node::visitor::{DEADLINE, Visitor};
use serde_json::Value;
use std::io::Write;
use test_postgres::Postgres;
use test_program::{App, Login, Program, Signal, free_port};
use tokio::time::timeout;

const TRAINING_CENTER: App = App {
    program: env!("CARGO_BIN_EXE_training_center"),
    package: "training_center",
    name: "Training Center",
    variables: &[],
};

/// Starts a node, and returns it with the trainer's password.
async fn start(login: &Login, variables: &[(&str, &str)]) -> (Program, String) {
    let node = Program::start_with(login, 0, variables).await;
    let line = node.printed.iter().find_map(|line| line.strip_prefix("The trainer's password for /trainer is "));
    let password = line.expect("the password is printed").to_owned();
    (node, password)
}

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
    let node = Program::start_with(&login, 0, &[("TRAINER_PASSWORD_HASH", hash.trim())]).await;
    assert!(node.printed.is_empty(), "{:?}", node.printed);
    let mut trainer = Visitor::trainer(node.address(), "a good password").await;
    trainer.get("/trainer").await.assert(200, "name=\"workout\"");
    let short = login.output(0, &["hash-password"], "short\n").await;
    let error = String::from_utf8(short.stderr).unwrap();
    assert_eq!(error, "training_center: a password of 5 characters is too short: it must have at least 8\n");
    assert!(login.fail_to_start("TRAINER_PASSWORD_HASH", "a good password").await.contains("hash-password"));
}

#[tokio::test]
async fn a_session_outlives_a_restart_and_the_pages_sign_in_too() {
    let login = Login::new(TRAINING_CENTER);
    let (mut node, password) = start(&login, &[]).await;
    let mut trainer = Visitor::trainer(node.address(), &password).await;
    trainer.post("/trainer/sessions", &[("title", "Tuesday"), ("workout", "Squats")]).await;
    node.signal(Signal::TERM);
    assert_eq!(node.ended().await, Some(0));
    let (node, _) = start(&login, &[]).await;
    trainer.node = node.address();
    trainer.get("/trainer/sessions/1").await.assert(200, "Tuesday");
}

#[tokio::test]
async fn kill_names_the_tasks_that_there_are_and_those_that_it_has_killed() {
    let login = Login::new(TRAINING_CENTER);
    let (node, password) = start(&login, &[]).await;
    let unknown = login.fail(node.port, &["kill", "session 1"]).await;
    assert_eq!(unknown, "training_center: there is no task \"session 1\": there are database");
    let mut trainer = Visitor::trainer(node.address(), &password).await;
    trainer.post("/trainer/sessions", &[("title", "Tuesday"), ("workout", "Squats")]).await;
    trainer.get("/trainer/sessions/1").await;
    assert_eq!(login.run(node.port, &["kill", "session 1"]).await.trim(), "killed session 1");
    trainer.get("/trainer/sessions/1").await.assert(200, "Tuesday");
}

#[tokio::test]
async fn public_url_is_the_address_of_the_qr_code() {
    let login = Login::new(TRAINING_CENTER).with("PUBLIC_URL", "https://gym.example/");
    let (node, password) = start(&login, &[]).await;
    let mut trainer = Visitor::trainer(node.address(), &password).await;
    trainer.post("/trainer/sessions", &[("title", "Tuesday"), ("workout", "Squats")]).await;
    let page = trainer.get("/trainer/sessions/1").await;
    page.assert(200, "https://gym.example/sessions/1");
    assert!(!page.body.contains("HOST=0.0.0.0"));
}

#[tokio::test]
async fn a_trainer_on_one_node_sees_and_starts_the_people_of_the_other() {
    let login = Login::new(TRAINING_CENTER);
    let url = format!("sqlite://{}", login.directory().join("gym.db").display());
    let login = login.with("DATABASE_URL", &url);
    let [a, b] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let clusters = [format!("zenoh://{a}"), format!("zenoh://{b}?connect={a}")];
    let (one, password) = start(&login, &[("NODE", "a@localhost"), ("CLUSTER", &clusters[0])]).await;
    let (two, _) = start(&login, &[("NODE", "b@localhost"), ("CLUSTER", &clusters[1])]).await;

    let mut trainer = Visitor::trainer(one.address(), &password).await;
    trainer.post("/trainer/sessions", &[("title", "Tuesday"), ("workout", "Squats\nPlank")]).await;
    let socket = trainer.socket("/trainer/sessions/1").await;
    let mut grid = socket.join("training_session:1", json!({})).await.unwrap();
    let mut blue = Visitor::participant(two.address(), "Blue").await;
    let phone = blue.socket("/sessions/1").await;
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
    drop(two);
}

#[tokio::test]
async fn without_its_database_a_node_shows_what_was_confirmed_and_refuses_changes_in_words() {
    let mut postgres = match Postgres::builder().fsync(false).start().await {
        Ok(postgres) => postgres,
        // Not `eprintln`, whose output libtest hides when a test passes.
        Err(missing) => {
            return std::io::stderr()
                .write_all(format!("SKIPPED a database that is down: {missing}\n").as_bytes())
                .unwrap();
        }
    };
    let login = Login::new(TRAINING_CENTER).with("DATABASE_URL", &postgres.create_database().await);
    let (server, password) = start(&login, &[]).await;
    let mut trainer = Visitor::trainer(server.address(), &password).await;
    trainer.post("/trainer/sessions", &[("title", "Tuesday"), ("workout", "Squats\nPlank")]).await;
    trainer.post("/trainer/sessions/1", &[("change", "start")]).await;
    let mut blue = Visitor::participant(server.address(), "Blue").await;
    let phone = blue.socket("/sessions/1").await;
    let tiles = phone.join("training_session:1", json!({})).await.unwrap();
    assert_eq!(push(&tiles, "Squats").await.0, "ok");

    postgres.stop().await;
    blue.get("/sessions/1").await.assert(200, "data-exercise=\"Squats\" data-state=\"done\"");
    trainer.get("/trainer/sessions/1").await.assert(200, "data-person=\"Blue\"");
    assert_eq!(
        push(&tiles, "Plank").await,
        ("error".to_owned(), "this could not be stored: try again in a moment".to_owned())
    );
    trainer.post("/trainer/sessions/1", &[("change", "end")]).await.assert(503, "This could not be stored");
    assert!(tiles.is_joined());

    postgres.start_again().await;
    assert_eq!(push(&tiles, "Plank").await.0, "ok");
    blue.get("/sessions/1").await.assert(200, "data-exercise=\"Plank\" data-state=\"done\"");
    drop(server);
}
