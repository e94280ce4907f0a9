//! Every page in each phase, from a phone to a projector, in light, dark and forced colours: axe-core and the layout find
//! no fault, the controls are as large as a thumb, and pictures are made in `target/screenshots/training_center`.

mod support;

use bennu_testkit::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;
use support::hall::Hall;
use support::network::Network;
use support::pages::{
    TITLE, WORKOUT, end, is_live, is_well_made, looks_well, participant, start, tap, tile_is, with_browser,
    with_browsers,
};
use test_browser::{Device, Page};
use training_center::session::{Phase, TrainingSession};

/// A phone of the width that most phones have.
const PHONE: (&str, Device) = ("phone", Device { has_touch: true, ..Device::new(390, 844) });
const SMALL_PHONE: (&str, Device) = ("small-phone", Device::PHONE);
const TABLET: (&str, Device) = ("tablet", Device::TABLET);
const DESK: (&str, Device) = ("desk", Device::DESK);
const PROJECTOR: (&str, Device) = ("projector", Device::new(1920, 1080));

const NAMES: [&str; 60] = [
    "Amber",
    "Anthracite",
    "Apricot",
    "Aquamarine",
    "Azur délavé",
    "Burnt sienna of dusk",
    "Beige",
    "Blue",
    "Bordeaux",
    "Bronze",
    "Brown",
    "Bluish grey",
    "Carmine",
    "Cerise",
    "Charcoal",
    "Chocolate",
    "Cobalt",
    "Copper",
    "Coral",
    "Cream",
    "Crimson",
    "Cyan",
    "Ebony",
    "Emerald",
    "Fuchsia",
    "Gold",
    "Green",
    "Grey",
    "Hazel",
    "Indigo",
    "Ivory",
    "Jade",
    "Khaki",
    "Lavender",
    "Lemon",
    "Lilac",
    "Lime",
    "Magenta",
    "Mahogany",
    "Maroon",
    "Mint of the far northern hills",
    "Mauve",
    "Navy",
    "Ochre",
    "Olive",
    "Orange",
    "Peach",
    "Pearl",
    "Pink",
    "Plum",
    "Purple",
    "Red",
    "Rosé",
    "Ruby",
    "Rust",
    "Salmon",
    "Scarlet",
    "Silver",
    "Teal",
    "Violet",
];

/// A workout with twelve exercises.
const LONG_WORKOUT: [&str; 12] = [
    "20 squats",
    "10 push-ups",
    "Plank, 45 seconds",
    "12 lunges a side",
    "Row, 250 m",
    "15 kettlebell swings",
    "30 mountain climbers",
    "10 burpees",
    "Side plank, 30 seconds a side",
    "20 sit-ups",
    "Jump rope, 1 minute",
    "Stretch & breathe",
];

fn session(workout: &[&str], phase: Phase) -> TrainingSession {
    TrainingSession { phase, ..TrainingSession::new(TITLE, &workout.join("\n")).unwrap() }
}

/// Adds people, each of whom has done another part of the workout.
fn with_people(mut session: TrainingSession, names: &[&str]) -> TrainingSession {
    for (n, name) in names.iter().enumerate() {
        let count = (n * 5 + 3) % (session.workout.len() + 1);
        let done: BTreeSet<_> = session.workout.iter().take(count).cloned().collect();
        session.people.insert((*name).to_owned(), done);
    }
    session
}

#[tokio::test]
async fn the_pages_of_a_participant_are_well_made_in_every_phase() {
    with_browsers("a participant's pages", async |[at_desk, phone]| {
        let hall = Hall::open().await;
        let devices = [PHONE, SMALL_PHONE, DESK];
        hall.create(&session(&WORKOUT, Phase::Waiting)).await;
        let page = phone.open(&hall.url("/sessions/1")).await;
        page.shows("#name").await;
        is_well_made(&page, "sign-in", &devices).await;
        page.emulate(PHONE.1).await;
        page.close().await;
        let network = Network::to(hall.address).await;
        let page = participant(&phone, &network.url("/sessions/1"), "Blue").await;
        is_well_made(&page, "waiting", &devices).await;

        let desk = hall.trainers_page(&at_desk).await;
        desk.goto(&hall.url("/trainer/sessions/1")).await;
        start(&desk).await;
        for exercise in &WORKOUT[..3] {
            page.emulate(PHONE.1).await;
            tap(&page, exercise).await;
            tile_is(&page, exercise, "done").await;
        }
        is_well_made(&page, "running", &devices).await;
        network.cut();
        page.shows(":root[data-link='lost']").await;
        page.emulate(PHONE.1).await;
        tap(&page, WORKOUT[4]).await;
        tap(&page, WORKOUT[0]).await;
        page.shows("#unsent[data-count='2']").await;
        looks_well(&page, "unsent", &devices).await;
        network.repair();
        tile_is(&page, WORKOUT[0], "open").await;
        // The attempts to connect failed.
        page.console_errors().await;
        end(&desk).await;
        page.shows(".status[data-phase='ended']").await;
        is_well_made(&page, "ended", &devices).await;

        let many = with_people(session(&LONG_WORKOUT, Phase::Running), &["Blue", "Green"]);
        let id = hall.create(&many).await;
        page.goto(&hall.url(&format!("/sessions/{id}"))).await;
        is_live(&page).await;
        page.shows(".tile").await;
        is_well_made(&page, "running-long", &devices).await;
        page.goto(&hall.url("/")).await;
        page.shows(".session").await;
        is_well_made(&page, "home", &devices).await;
        page.goto(&hall.url("/elsewhere")).await;
        page.shows("#problem[data-status='404']").await;
        // The missing page itself is an error in the console.
        page.console_errors().await;
        is_well_made(&page, "problem", &devices).await;
    })
    .await;
}

#[tokio::test]
async fn the_pages_of_the_trainer_are_well_made_in_every_phase() {
    with_browser("the trainer's pages", async |browser| {
        let hall = Hall::open().await;
        let devices = [PHONE, TABLET, DESK];
        let page = browser.open(&hall.url("/trainer")).await;
        page.fill("#password", "not the password").await;
        page.click("form[action='/trainer/sign_in'] button").await;
        page.shows("#password-error").await;
        page.console_errors().await;
        is_well_made(&page, "trainer-sign-in", &devices).await;
        page.close().await;

        let page = hall.trainers_page(&browser).await;
        is_well_made(&page, "trainer-home-empty", &devices).await;
        hall.create(&with_people(session(&WORKOUT, Phase::Ended), &NAMES[..14])).await;
        let id = hall.create(&session(&WORKOUT, Phase::Waiting)).await;
        page.goto(&hall.url("/trainer")).await;
        is_well_made(&page, "trainer-home", &devices).await;
        page.goto(&hall.url(&format!("/trainer/sessions/{id}"))).await;
        is_live(&page).await;
        is_well_made(&page, "trainer-waiting-empty", &devices).await;

        let mut people = Vec::new();
        for name in &NAMES[..8] {
            people.push(hall.participant(id, name).await);
        }
        page.shows("#online[data-online='8']").await;
        is_well_made(&page, "trainer-waiting", &devices).await;
        start(&page).await;
        for (n, person) in people.iter().enumerate() {
            for exercise in WORKOUT.iter().take((n * 5 + 2) % 7) {
                person.push("complete_exercise", json!({ "name": exercise }));
            }
        }
        for person in people.split_off(6) {
            person.close().await;
        }
        page.shows("#online[data-online='6']").await;
        page.shows("tr[data-person='Burnt sienna of dusk'] [data-done='true']").await;
        is_well_made(&page, "trainer-running", &devices).await;
        page.emulate(PHONE.1).await;
        page.click("#end").await;
        page.shows("#confirm-end:popover-open").await;
        is_well_made(&page, "trainer-confirm", &devices).await;
        page.click("#confirm").await;
        page.shows("#grid [data-phase='ended']").await;
        is_live(&page).await;
        is_well_made(&page, "trainer-ended", &devices).await;
        let many = with_people(session(&LONG_WORKOUT, Phase::Running), &NAMES);
        let id = hall.create(&many).await;
        page.goto(&hall.url(&format!("/trainer/sessions/{id}"))).await;
        is_live(&page).await;
        is_well_made(&page, "trainer-long", &devices).await;
    })
    .await;
}

#[tokio::test]
async fn the_projector_shows_60_people_and_12_exercises_without_scrolling() {
    with_browser("the projector", async |browser| {
        let hall = Hall::open().await;
        let page = hall.trainers_page(&browser).await;
        let devices = [PROJECTOR, DESK];
        let id = hall.create(&session(&WORKOUT, Phase::Waiting)).await;
        let mut people = Vec::new();
        for name in &NAMES[..5] {
            people.push(hall.participant(id, name).await);
        }
        show(&page, &hall.url(&format!("/trainer/sessions/{id}?view=projector"))).await;
        page.shows("#online[data-online='5']").await;
        is_well_made(&page, "projector-waiting", &devices).await;
        for (count, workout) in [(12, &WORKOUT[..]), (24, &WORKOUT[..]), (60, &LONG_WORKOUT[..])] {
            let id = hall.create(&with_people(session(workout, Phase::Running), &NAMES[..count])).await;
            for name in NAMES[..count].iter().filter(|name| !name.starts_with('F')) {
                people.push(hall.participant(id, name).await);
            }
            show(&page, &hall.url(&format!("/trainer/sessions/{id}?view=projector"))).await;
            page.shows(&format!(".board[data-people='{count}']")).await;
            is_well_made(&page, &format!("projector-{count}"), &devices).await;
            page.emulate(PROJECTOR.1).await;
            assert_eq!(hidden_people(&page).await, [""; 0], "{count} people");
        }
        let ended = hall.create(&with_people(session(&WORKOUT, Phase::Ended), &NAMES[..24])).await;
        show(&page, &hall.url(&format!("/trainer/sessions/{ended}?view=projector"))).await;
        is_well_made(&page, "projector-ended", &devices).await;
        assert!(!page.shows_within(Duration::ZERO, ".gym-top").await);
    })
    .await;
}

async fn show(page: &Page, url: &str) {
    page.goto(url).await;
    is_live(page).await;
}

/// Returns the people whose rows are not in the window as a whole.
async fn hidden_people(page: &Page) -> Vec<String> {
    let script = "const inside = ({ left, top, right, bottom }) => left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
        done([...document.querySelectorAll('[data-person]')].filter((row) => !inside(row.getBoundingClientRect()))
            .map((row) => row.dataset.person))";
    serde_json::from_value(page.script(script).await).unwrap()
}
