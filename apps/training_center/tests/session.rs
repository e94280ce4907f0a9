//! The rules of a training session, without a task and a database.

use proptest::prelude::*;
use training_center::session::{Command, MAX_PEOPLE, Phase, TrainingSession, parse_workout};

fn session() -> TrainingSession {
    TrainingSession::new("  Tuesday,   18:00 ", "Squats\n\n  Push-ups \r\nPlank\n").unwrap()
}

fn command(name: &str) -> Command {
    let (who, what) = ("Blue".to_owned(), "Squats".to_owned());
    match name {
        "edit" => Command::Edit(vec!["Rowing".to_owned()]),
        "start" => Command::Start,
        "end" => Command::End,
        "enter" => Command::Enter(who),
        "complete" => Command::Complete(who, what),
        "undo" => Command::Undo(who, what),
        other => panic!("there is no command {other}"),
    }
}

/// Applies commands that must succeed.
fn after(commands: &[&str]) -> TrainingSession {
    let mut session = session();
    for name in commands {
        session.apply(command(name)).unwrap();
    }
    session
}

/// Returns the reason why a session refuses a command.
fn refusal(mut session: TrainingSession, command: Command) -> String {
    let before = session.clone();
    let refused = session.apply(command).unwrap_err().to_string();
    assert_eq!(session, before, "a refused command changed the session");
    refused
}

#[test]
fn a_new_session_waits_and_has_its_workout_in_order_without_empty_lines_and_spaces() {
    let session = session();
    assert_eq!((session.title.as_str(), session.phase), ("Tuesday, 18:00", Phase::Waiting));
    assert_eq!(session.workout, ["Squats", "Push-ups", "Plank"]);
    assert!(session.people.is_empty());
}

#[test]
fn a_workout_has_1_to_20_exercises_of_60_characters_and_none_twice() {
    let refused = |text: &str| parse_workout(text).unwrap_err().to_string();
    assert_eq!(refused(" \n"), "a workout has 1 to 20 exercises, and this one has 0");
    let numbers = |count: usize| (1..=count).map(|number| number.to_string()).collect::<Vec<_>>().join("\n");
    assert_eq!(parse_workout(&numbers(20)).unwrap().len(), 20);
    assert_eq!(refused(&numbers(21)), "a workout has 1 to 20 exercises, and this one has 21");
    assert_eq!(parse_workout(&"é".repeat(60)).unwrap(), ["é".repeat(60)]);
    assert_eq!(refused(&"é".repeat(61)), format!("{}… is too long: the most are 60 characters", "é".repeat(60)));
    assert_eq!(refused("Squats\nPlank\n Squats"), "\"Squats\" is in the workout twice");
}

#[test]
fn a_session_needs_a_title_of_at_most_60_characters() {
    let refused = |title: &str| TrainingSession::new(title, "Squats").unwrap_err().to_string();
    assert_eq!(refused("  "), "a title is missing");
    assert_eq!(refused(&"x".repeat(61)), format!("{}… is too long: the most are 60 characters", "x".repeat(60)));
}

#[test]
fn the_workout_can_be_edited_until_the_start() {
    assert_eq!(after(&["edit"]).workout, ["Rowing"]);
    for commands in [&["start"][..], &["end"], &["start", "end"]] {
        let refused = refusal(after(commands), command("edit"));
        assert_eq!(refused, "the workout can be changed only until the start");
    }
}

#[test]
fn starting_twice_and_ending_one_that_never_started_are_safe_and_no_phase_comes_back() {
    assert_eq!(after(&["start", "start"]).phase, Phase::Running);
    assert_eq!(after(&["end"]).phase, Phase::Ended);
    assert_eq!(after(&["start", "end", "end"]).phase, Phase::Ended);
    assert_eq!(refusal(after(&["end"]), command("start")), "the session has ended");
}

#[test]
fn exercises_are_done_only_while_the_session_runs() {
    assert_eq!(refusal(after(&["enter"]), command("complete")), "the session has not started yet");
    assert!(after(&["enter", "start", "complete"]).people["Blue"].contains("Squats"));
    assert!(after(&["enter", "start", "complete", "undo"]).people["Blue"].is_empty());
    for late in ["complete", "undo"] {
        assert_eq!(refusal(after(&["enter", "start", "complete", "end"]), command(late)), "the session has ended");
    }
}

#[test]
fn an_unknown_exercise_is_named_with_those_that_there_are_and_cut_after_60_characters() {
    let complete = |exercise: String| Command::Complete("Blue".to_owned(), exercise);
    let refused = refusal(after(&["enter", "start"]), complete("Jumping".to_owned()));
    assert_eq!(refused, "Jumping is not an exercise of this workout, which has Squats, Push-ups, Plank");
    let refused = refusal(after(&["enter", "start"]), complete("x".repeat(1000)));
    assert!(refused.starts_with(&format!("{} is not", "x".repeat(60))), "{refused}");
}

#[test]
fn a_session_has_at_most_100_people_who_may_come_back() {
    let mut full = after(&["enter"]);
    for number in 1..MAX_PEOPLE {
        full.apply(Command::Enter(number.to_string())).unwrap();
    }
    assert_eq!(refusal(full.clone(), Command::Enter("One more".to_owned())), "the session is full: it has 100 people");
    full.apply(command("enter")).unwrap();
    full.apply(Command::End).unwrap();
    full.apply(command("enter")).unwrap();
    assert_eq!(refusal(full, Command::Enter("Too late".to_owned())), "the session has ended");
}

proptest! {
    /// A caller that got no answer sends its command again.
    #[test]
    fn a_command_that_is_applied_twice_has_the_result_of_once(
        names in prop::collection::vec(prop::sample::select(vec!["edit", "start", "end", "enter", "complete", "undo"]), 0..12),
    ) {
        let mut session = session();
        for name in names {
            let first = session.apply(command(name));
            let once = session.clone();
            let second = session.apply(command(name));
            prop_assert_eq!(&session, &once);
            prop_assert_eq!(first.is_ok(), second.is_ok());
        }
    }
}
