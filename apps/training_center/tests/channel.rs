//! `training_session:{id}`: what each role gets, sends and never sees.

mod support;

use bennu_testkit::prelude::*;
use serde_json::Value;
use std::time::Instant;
use support::node::Node;
use training_center::gym::topic;
use training_center::session::Command;
use training_center::user::User;

#[tokio::test]
async fn a_participant_gets_what_is_theirs_after_the_join_and_the_trainer_the_grid_with_the_presences() {
    let node = Node::open().await;
    let id = node.waiting().await;
    let blue = node.participant(id, "Blue").await;
    assert_push!(blue, "participant_status", |payload: Value| html(&payload).contains("Push-ups"));
    let trainer = node.trainer(id).await;
    assert_push!(trainer, "presence_state", |state: Value| state["Blue"]["metas"].as_array().unwrap().len() == 1);
    assert_push!(trainer, "status_updated", |payload: Value| is_online(&payload, "Blue"));
    refute_push!(blue, "presence_state");
    refute_push!(blue, "status_updated");
    refute_push!(trainer, "participant_status");
}

#[tokio::test]
async fn a_completed_exercise_is_confirmed_and_shown_to_its_participant_and_to_the_trainer_and_to_nobody_else() {
    let node = Node::open().await;
    let id = node.running().await;
    let (blue, green, trainer) =
        (node.participant(id, "Blue").await, node.participant(id, "Green").await, node.trainer(id).await);
    for channel in [&blue, &green] {
        assert_push!(channel, "participant_status");
    }
    assert_push!(trainer, "status_updated", |payload: Value| is_online(&payload, "Green"));

    let done = blue.push("complete_exercise", json!({ "name": "Plank" }));
    assert_reply!(done, ok, json!({}));
    assert_eq!(node.done(id, "Blue").await, ["Plank"]);
    assert_push!(blue, "participant_status", |payload: Value| tile(&payload, "Plank") == "done");
    assert_push!(trainer, "status_updated", |payload: Value| done_count(&payload, "Blue") == 1);

    let undone = blue.push("undo_exercise", json!({ "name": "Plank" }));
    assert_reply!(undone, ok, json!({}));
    assert_push!(blue, "participant_status", |payload: Value| tile(&payload, "Plank") == "open");
    assert_push!(trainer, "status_updated", |payload: Value| done_count(&payload, "Blue") == 0);
    refute_push!(green, "participant_status");
}

#[tokio::test]
async fn two_tabs_of_a_participant_show_the_same() {
    let node = Node::open().await;
    let id = node.running().await;
    let [one, two] = [node.participant(id, "Blue").await, node.participant(id, "Blue").await];
    assert_push!(two, "participant_status");
    one.push("complete_exercise", json!({ "name": "Squats" }));
    for tab in [&one, &two] {
        assert_push!(tab, "participant_status", |payload: Value| tile(&payload, "Squats") == "done");
    }
}

#[tokio::test]
async fn a_participant_is_online_until_the_last_tab_is_closed() {
    let node = Node::open().await;
    let id = node.waiting().await;
    let [one, two] = [node.participant(id, "Blue").await, node.participant(id, "Blue").await];
    let trainer = node.trainer(id).await;
    one.socket().close().await;
    assert_push!(trainer, "presence_diff", |diff: Value| diff["leaves"]["Blue"].is_object());
    assert_eq!(node.endpoint.presence().key_count(&topic(id)), 1);
    two.socket().close().await;
    assert_push!(trainer, "presence_diff", |diff: Value| diff["leaves"]["Blue"].is_object());
    assert_eq!(node.endpoint.presence().key_count(&topic(id)), 0);
    let again = node.trainer(id).await;
    assert_push!(again, "status_updated", |payload: Value| html(&payload).contains("Blue")
        && !is_online(&payload, "Blue"));
}

#[tokio::test]
async fn presence_diffs_reach_the_trainer_alone() {
    let node = Node::open().await;
    let id = node.waiting().await;
    let (blue, trainer) = (node.participant(id, "Blue").await, node.trainer(id).await);
    let _green = node.participant(id, "Green").await;
    assert_push!(trainer, "presence_diff", |diff: Value| diff["joins"]["Green"].is_object());
    refute_push!(blue, "presence_diff");
}

#[tokio::test]
async fn the_start_and_the_end_reach_participants_with_their_new_view_and_the_trainer_as_a_grid() {
    let node = Node::open().await;
    let id = node.waiting().await;
    let (blue, trainer) = (node.participant(id, "Blue").await, node.trainer(id).await);
    assert_push!(blue, "participant_status", |payload: Value| !html(&payload).contains("data-exercise"));
    assert_push!(trainer, "status_updated");
    for (command, event, phase) in
        [(Command::Start, "training_session_started", "running"), (Command::End, "training_session_ended", "ended")]
    {
        node.call(id, command).await.unwrap();
        node.endpoint.broadcast(&topic(id), event, json!({})).unwrap();
        assert_push!(blue, event, json!({}));
        assert_push!(blue, "participant_status", |payload: Value| html(&payload).contains("data-exercise")
            == (phase == "running"));
        assert_push!(trainer, "status_updated", |payload: Value| html(&payload)
            .contains(&format!("data-phase=\"{phase}\"")));
        refute_push!(trainer, event);
    }
}

#[tokio::test]
async fn another_workout_reaches_everybody() {
    let node = Node::open().await;
    let id = node.waiting().await;
    let (blue, trainer) = (node.participant(id, "Blue").await, node.trainer(id).await);
    node.call(id, Command::Edit(vec!["Rowing".to_owned()])).await.unwrap();
    node.endpoint.broadcast(&topic(id), "status_updated", json!({})).unwrap();
    assert_push!(blue, "participant_status", |payload: Value| html(&payload).contains("Rowing"));
    assert_push!(trainer, "status_updated", |payload: Value| html(&payload).contains("Rowing"));
}

#[tokio::test]
async fn what_cannot_be_done_is_answered_in_words_and_changes_nothing() {
    let node = Node::open().await;
    let id = node.waiting().await;
    let blue = node.participant(id, "Blue").await;
    let early = blue.push("complete_exercise", json!({ "name": "Plank" }));
    assert_reply!(early, error, json!({ "reason": "the session has not started yet" }));
    node.call(id, Command::Start).await.unwrap();
    let unknown = blue.push("complete_exercise", json!({ "name": "Jumping" }));
    let words = "Jumping is not an exercise of this workout, which has Squats, Push-ups, Plank";
    assert_reply!(unknown, error, json!({ "reason": words }));
    for payload in [json!({}), json!({ "name": 7 }), json!([]), json!("Plank")] {
        let invalid = blue.push("undo_exercise", payload);
        assert_reply!(invalid, error, |response: Value| response["reason"].is_string());
    }
    let trainer = node.trainer(id).await;
    let wrong = trainer.push("complete_exercise", json!({ "name": "Plank" }));
    assert_reply!(wrong, error, json!({ "reason": "only participants do exercises" }));
    node.call(id, Command::End).await.unwrap();
    let late = blue.push("complete_exercise", json!({ "name": "Plank" }));
    assert_reply!(late, error, json!({ "reason": "the session has ended" }));
    assert!(node.done(id, "Blue").await.is_empty());
}

#[tokio::test]
async fn the_role_of_a_client_is_never_taken_from_its_messages() {
    let node = Node::open().await;
    let id = node.running().await;
    let blue = node.participant(id, "Blue").await;
    assert_push!(blue, "participant_status");
    let forged = json!({ "name": "Plank", "role": "trainer", "user": "trainer", "participant": "Green" });
    let reference = blue.push("complete_exercise", forged);
    assert_reply!(reference, ok, json!({}));
    let people = node.call(id, Command::Look).await.unwrap().session.people.clone();
    assert_eq!(people.keys().collect::<Vec<_>>(), ["Blue"]);
    for event in ["status_updated", "training_session_started", "training_session_ended", "presence_diff"] {
        let stranger = node.participant(id, "Red").await;
        stranger.push(event, json!({}));
        assert_push!(stranger, "phx_error");
    }
}

#[tokio::test]
async fn a_session_that_does_not_exist_cannot_be_joined() {
    let node = Node::open().await;
    let id = node.waiting().await;
    for user in [User::Trainer, User::participant("Blue").unwrap()] {
        let socket =
            node.test.socket(training_center::socket::UserSocket { signed_in: support::node::signed_in(user) });
        for (part, reason) in [
            ("2", "there is no session 2"),
            ("-1", "there is no session -1"),
            ("01", "there is no such session"),
            ("+1", "there is no such session"),
            ("one", "there is no such session"),
            ("1.0", "there is no such session"),
            ("", "unmatched topic"),
        ] {
            let refused = socket.subscribe_and_join(&format!("training_session:{part}"), json!({})).await;
            let response: Value = refused.map(|_| ()).unwrap_err().response().parse().unwrap();
            assert_eq!(response, json!({ "reason": reason }), "{part}");
        }
    }
    assert!(node.call(id, Command::Look).await.unwrap().session.people.is_empty());
}

#[tokio::test]
async fn a_trainer_gets_the_last_state_of_a_burst_of_changes_and_at_most_a_grid_in_50_ms() {
    let node = Node::open().await;
    let id = node.running().await;
    let (blue, trainer) = (node.participant(id, "Blue").await, node.trainer(id).await);
    let since = Instant::now();
    for _ in 0..50 {
        for event in ["complete_exercise", "undo_exercise"] {
            blue.push(event, json!({ "name": "Plank" }));
        }
    }
    let last = blue.push("complete_exercise", json!({ "name": "Squats" }));
    assert_reply!(last, ok, json!({}));
    let arrived = trainer.mailbox();
    let is_grid = |arrival: &&Arrival| matches!(arrival, Arrival::Push { event, .. } if event == "status_updated");
    let grids = arrived.iter().filter(is_grid).count();
    // One after the join, and one that was due at the begin.
    let most = since.elapsed().as_millis() / 50 + 2;
    assert!(grids as u128 <= most, "{grids} grids, and the most are {most}");
    assert_push!(trainer, "status_updated", |payload: Value| exercises(&payload, "Blue") == ["Squats"]);
}

#[tokio::test]
async fn names_and_exercises_are_text_and_never_markup() {
    let node = Node::open().await;
    let id = node.waiting().await;
    node.call(id, Command::Edit(vec!["<i>Squats</i> & \"more\"".to_owned()])).await.unwrap();
    let blue = node.participant(id, "<script>alert(1)</script>").await;
    let trainer = node.trainer(id).await;
    for (channel, event) in [(&blue, "participant_status"), (&trainer, "status_updated")] {
        assert_push!(channel, event, |payload: Value| {
            !html(&payload).contains("<i>") && !html(&payload).contains("<script>") && html(&payload).contains("Squats")
        });
    }
}

fn html(payload: &Value) -> &str {
    payload["html"].as_str().unwrap()
}

/// Returns the attribute of the element that another attribute names, in the markup of a payload.
fn attribute<'a>(payload: &'a Value, element: &str, attribute: &str) -> &'a str {
    let html = html(payload);
    let start = html.find(element).unwrap_or_else(|| panic!("there is no {element} in {html}"));
    let tag = &html[html[..start].rfind('<').unwrap()..];
    let tag = &tag[..tag.find('>').unwrap()];
    let value = tag.split_once(&format!("{attribute}=\"")).unwrap_or_else(|| panic!("no {attribute} in {tag}")).1;
    value.split('"').next().unwrap()
}

/// Returns the state of a participant's tile.
fn tile<'a>(payload: &'a Value, exercise: &str) -> &'a str {
    attribute(payload, &format!("data-exercise=\"{exercise}\""), "data-state")
}

fn is_online(payload: &Value, name: &str) -> bool {
    html(payload).contains(&format!("data-person=\"{name}\""))
        && attribute(payload, &format!("data-person=\"{name}\""), "data-online") == "true"
}

/// Returns the markup of a person's row in the grid.
fn row<'a>(payload: &'a Value, name: &str) -> &'a str {
    let html = html(payload);
    let start = html.find(&format!("data-person=\"{name}\"")).unwrap_or_else(|| panic!("{name} is not in {html}"));
    &html[start..][..html[start..].find("</tr>").unwrap()]
}

fn done_count(payload: &Value, name: &str) -> usize {
    row(payload, name).matches("data-done=\"true\"").count()
}

/// Returns the exercises of the cells that are done in a person's row.
fn exercises(payload: &Value, name: &str) -> Vec<&'static str> {
    let cells: Vec<&str> = row(payload, name).split("data-done=").skip(1).collect();
    let done = ["Squats", "Push-ups", "Plank"].into_iter().zip(cells);
    done.filter(|(_, cell)| cell.starts_with("\"true")).map(|(exercise, _)| exercise).collect()
}
