//! A session in browsers: a trainer and people with phones, from the QR code to the result.

mod support;

use std::time::Duration;
use support::network::Network;
use support::pages::{
    WORKOUT, create_session, end, has_done, is_live, is_online, mark, participant, start, tab_to, tap, tile_is,
    was_not_reloaded, with_browsers,
};
use support::program::Gym;
use test_browser::{Browser, Key, Page};

/// A gym with a session that runs, the trainer's page, and Blue's behind a network of its own, with one exercise done.
async fn behind_a_network(at_desk: &Browser, phone: &Browser, done: usize) -> (Gym, Network, Page, Page) {
    let gym = Gym::start().await;
    let desk = gym.trainer(at_desk).await;
    create_session(&desk).await;
    let network = Network::to(gym.server.address()).await;
    let blue = participant(phone, &network.url("/sessions/1"), "Blue").await;
    start(&desk).await;
    tap(&blue, WORKOUT[done]).await;
    tile_is(&blue, WORKOUT[done], "done").await;
    has_done(&desk, "Blue", done, true).await;
    (gym, network, desk, blue)
}

/// Takes a phone out of its network.
async fn take_offline(phone: &Page, network: &Network) {
    phone.offline(true).await;
    network.cut();
    phone.shows(":root[data-link='lost']").await;
}

/// A gym with a session that runs, the trainer's page, and Blue's.
async fn running(at_desk: &Browser, phone: &Browser) -> (Gym, Page, Page) {
    let gym = Gym::start().await;
    let desk = gym.trainer(at_desk).await;
    create_session(&desk).await;
    let blue = participant(phone, &gym.server.url("/sessions/1"), "Blue").await;
    start(&desk).await;
    blue.shows(".tile").await;
    (gym, desk, blue)
}

#[tokio::test]
async fn a_trainer_and_two_people_go_through_a_session_together() {
    with_browsers("a session", async |[at_desk, phone_a, phone_b]| {
        let gym = Gym::start().await;
        let desk = at_desk.open(&gym.server.url("/trainer")).await;
        desk.fill("#password", "not the password").await;
        desk.click("form[action='/trainer/sign_in'] button").await;
        desk.shows("#password-error").await;
        assert_eq!(desk.text("#password-error").await, "This is not the password.");
        // The refusal has the status 401, which the browser logs.
        desk.console_errors().await;
        desk.close().await;

        let desk = gym.trainer(&at_desk).await;
        create_session(&desk).await;
        assert_eq!(desk.text(".empty").await, "Nobody is here yet: show the QR code.");
        desk.shows("#local").await;
        let url = desk.text("#url").await;
        let blue = participant(&phone_a, &url, "Blue").await;
        let green = participant(&phone_b, &url, "Green").await;
        for (page, name) in [(&blue, "Blue"), (&green, "Green")] {
            page.shows(".status[data-phase='waiting'] .plan li:nth-child(6)").await;
            is_online(&desk, name, true).await;
            mark(page).await;
        }
        desk.shows("#online[data-online='2']").await;
        assert_eq!(desk.text("#online").await, "2 of 2 online");

        start(&desk).await;
        mark(&desk).await;
        for page in [&blue, &green] {
            page.shows(".status[data-phase='running'] li:nth-child(6) .tile[aria-pressed='false']").await;
            page.shows("#announce:not(:empty)").await;
            was_not_reloaded(page).await;
        }

        tap(&blue, WORKOUT[0]).await;
        tile_is(&blue, WORKOUT[0], "done").await;
        tap(&blue, WORKOUT[5]).await;
        tap(&green, WORKOUT[2]).await;
        tile_is(&green, WORKOUT[2], "done").await;
        for (name, place) in [("Blue", 0), ("Blue", 5), ("Green", 2)] {
            has_done(&desk, name, place, true).await;
        }
        assert_eq!(blue.text("#progress").await, "2 of 6 done");
        tap(&blue, WORKOUT[0]).await;
        tile_is(&blue, WORKOUT[0], "open").await;
        has_done(&desk, "Blue", 0, false).await;
        assert_eq!(desk.text("tr[data-person='Blue'] .sum").await, "1 of 6");
        was_not_reloaded(&desk).await;

        end(&desk).await;
        for page in [&blue, &green] {
            page.shows(".status[data-phase='ended'] .result").await;
            assert_eq!(page.text(".result b").await, "1 of 6");
            was_not_reloaded(page).await;
        }
        has_done(&desk, "Blue", 5, true).await;
        has_done(&desk, "Green", 2, true).await;
        assert!(!desk.shows_within(Duration::ZERO, ".empty").await);
        for page in [&desk, &blue, &green] {
            assert_eq!(page.console_errors().await, [""; 0]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_phone_that_was_offline_sends_its_taps_when_it_comes_back() {
    with_browsers("a phone offline", async |[at_desk, phone]| {
        let (_gym, network, desk, blue) = behind_a_network(&at_desk, &phone, 0).await;
        mark(&blue).await;
        take_offline(&blue, &network).await;
        is_online(&desk, "Blue", false).await;
        assert_eq!(desk.text("#online").await, "0 of 1 online");
        // The last tap on a tile wins.
        for exercise in [WORKOUT[0], WORKOUT[1], WORKOUT[2], WORKOUT[1], WORKOUT[1]] {
            tap(&blue, exercise).await;
        }
        for (exercise, state) in [(WORKOUT[0], "open"), (WORKOUT[1], "done"), (WORKOUT[2], "done")] {
            blue.shows(&format!(".tile[data-exercise='{exercise}'][data-state='{state}'][data-unsent]")).await;
        }
        blue.shows("#unsent[data-count='3']").await;
        assert_eq!(blue.text("#progress").await, "2 of 6 done");
        has_done(&desk, "Blue", 0, true).await;
        has_done(&desk, "Blue", 1, false).await;

        network.repair();
        blue.offline(false).await;
        is_online(&desk, "Blue", true).await;
        for (place, state) in [(0, "open"), (1, "done"), (2, "done")] {
            tile_is(&blue, WORKOUT[place], state).await;
            has_done(&desk, "Blue", place, state == "done").await;
        }
        blue.shows("#unsent[data-count='0']").await;
        was_not_reloaded(&blue).await;
    })
    .await;
}

#[tokio::test]
async fn a_tap_that_comes_after_the_end_is_refused_in_words() {
    with_browsers("a late tap", async |[at_desk, phone]| {
        let (_gym, network, desk, blue) = behind_a_network(&at_desk, &phone, 3).await;
        take_offline(&blue, &network).await;
        tap(&blue, WORKOUT[4]).await;
        blue.shows("#unsent[data-count='1']").await;
        end(&desk).await;

        network.repair();
        blue.offline(false).await;
        blue.shows("#problem:not(:empty)").await;
        assert_eq!(blue.text("#problem").await, "“Row, 250 m” was not saved: the session has ended.");
        blue.shows(".status[data-phase='ended']").await;
        assert_eq!(blue.text(".result b").await, "1 of 6");
        has_done(&desk, "Blue", 3, true).await;
        has_done(&desk, "Blue", 4, false).await;
    })
    .await;
}

#[tokio::test]
async fn taps_that_were_not_sent_outlive_a_reload() {
    with_browsers("a reload", async |[at_desk, phone]| {
        let (gym, desk, blue) = running(&at_desk, &phone).await;
        // The messages of this document are lost on their way.
        blue.script("WebSocket.prototype.send = () => {}; done()").await;
        tap(&blue, WORKOUT[1]).await;
        tap(&blue, WORKOUT[4]).await;
        blue.shows("#unsent[data-count='2']").await;
        has_done(&desk, "Blue", 1, false).await;
        blue.goto(&gym.server.url("/sessions/1")).await;
        for place in [1, 4] {
            tile_is(&blue, WORKOUT[place], "done").await;
            has_done(&desk, "Blue", place, true).await;
        }
        blue.shows("#unsent[data-count='0']").await;
    })
    .await;
}

#[tokio::test]
async fn a_participant_in_two_tabs_is_online_until_both_are_closed() {
    with_browsers("two tabs", async |[at_desk, phone]| {
        let (gym, desk, first) = running(&at_desk, &phone).await;
        let second = phone.open(&gym.server.url("/sessions/1")).await;
        is_live(&second).await;
        desk.shows("tr[data-person='Blue'][data-tabs='2']").await;
        assert_eq!(desk.text("#online").await, "1 of 1 online");
        tap(&first, WORKOUT[0]).await;
        tile_is(&second, WORKOUT[0], "done").await;
        tap(&second, WORKOUT[0]).await;
        tile_is(&first, WORKOUT[0], "open").await;

        first.close().await;
        desk.shows("tr[data-person='Blue'][data-online='true'][data-tabs='1']").await;
        tap(&second, WORKOUT[2]).await;
        has_done(&desk, "Blue", 2, true).await;
        second.close().await;
        is_online(&desk, "Blue", false).await;
        assert_eq!(desk.text("tr[data-person='Blue'] .pill").await, "offline");
        has_done(&desk, "Blue", 2, true).await;
    })
    .await;
}

#[tokio::test]
async fn a_killed_task_of_the_session_loses_nothing_that_was_confirmed() {
    with_browsers("a killed task", async |[at_desk, phone]| {
        let (gym, desk, blue) = running(&at_desk, &phone).await;
        mark(&blue).await;
        mark(&desk).await;
        for (place, exercise) in WORKOUT.into_iter().enumerate() {
            tap(&blue, exercise).await;
            tile_is(&blue, exercise, "done").await;
            gym.command(&["kill", "session 1"]).await;
            has_done(&desk, "Blue", place, true).await;
        }
        tap(&blue, WORKOUT[0]).await;
        has_done(&desk, "Blue", 0, false).await;
        assert_eq!(desk.text("tr[data-person='Blue'] .sum").await, "5 of 6");
        was_not_reloaded(&blue).await;
        was_not_reloaded(&desk).await;
    })
    .await;
}

#[tokio::test]
async fn after_a_killed_server_was_started_again_the_pages_recover_and_the_taps_of_the_meantime_arrive() {
    with_browsers("a killed server", async |[at_desk, phone]| {
        let (mut gym, desk, blue) = running(&at_desk, &phone).await;
        mark(&blue).await;
        mark(&desk).await;
        for exercise in &WORKOUT[..2] {
            tap(&blue, exercise).await;
            tile_is(&blue, exercise, "done").await;
        }
        gym.kill().await;
        for page in [&blue, &desk] {
            page.shows(":root[data-link='lost'] #state[data-state='retry']").await;
        }
        tap(&blue, WORKOUT[3]).await;
        tap(&blue, WORKOUT[0]).await;
        blue.shows("#unsent[data-count='2']").await;

        gym.start_again().await;
        for page in [&blue, &desk] {
            page.shows(":root:not([data-link]) #state[data-state='open']").await;
        }
        is_online(&desk, "Blue", true).await;
        for (place, state) in [(0, "open"), (1, "done"), (3, "done")] {
            tile_is(&blue, WORKOUT[place], state).await;
            has_done(&desk, "Blue", place, state == "done").await;
        }
        blue.shows("#unsent[data-count='0']").await;
        end(&desk).await;
        blue.shows(".status[data-phase='ended']").await;
        assert_eq!(blue.text(".result b").await, "2 of 6");
        was_not_reloaded(&blue).await;
    })
    .await;
}

#[tokio::test]
async fn a_second_page_of_the_trainer_and_the_projector_follow_the_session() {
    with_browsers("two pages of the trainer", async |[at_desk, phone]| {
        let gym = Gym::start().await;
        let desk = gym.trainer(&at_desk).await;
        create_session(&desk).await;
        let second = at_desk.open(&gym.server.url("/trainer/sessions/1")).await;
        let projector = at_desk.open(&gym.server.url("/trainer/sessions/1?view=projector")).await;
        for page in [&second, &projector] {
            is_live(page).await;
            mark(page).await;
        }
        desk.fill("#workout", "Run\nJump & rest").await;
        desk.click("button[value='workout']").await;
        let blue = participant(&phone, &gym.server.url("/sessions/1"), "Blue").await;
        for page in [&second, &projector] {
            page.shows("thead [data-exercise='Jump & rest']").await;
            is_online(page, "Blue", true).await;
        }
        let workout = second.script("done(document.querySelector('#workout').value)").await;
        assert_eq!(workout, "Run\nJump & rest\n");

        start(&desk).await;
        for page in [&second, &projector] {
            page.shows("#grid [data-phase='running']").await;
        }
        assert_eq!(visible_controls(&second).await, ["projector", "end"]);
        tap(&blue, "Jump & rest").await;
        for page in [&second, &projector] {
            has_done(page, "Blue", 1, true).await;
            has_done(page, "Blue", 0, false).await;
        }
        end(&second).await;
        projector.shows("#grid [data-phase='ended']").await;
        desk.shows("#grid [data-phase='ended']").await;
        assert_eq!(visible_controls(&desk).await, ["projector"]);
        assert_eq!(visible_controls(&projector).await, [""; 0]);
        was_not_reloaded(&projector).await;
    })
    .await;
}

/// Returns the ids of the controls that the page shows.
async fn visible_controls(page: &Page) -> Vec<String> {
    let script = "done([...document.querySelectorAll('.controls .button')]
        .filter((button) => button.checkVisibility()).map((button) => button.id))";
    serde_json::from_value(page.script(script).await).unwrap()
}

#[tokio::test]
async fn the_keyboard_ticks_off_exercises_and_keeps_its_place() {
    with_browsers("the keyboard", async |[at_desk, phone]| {
        let (_gym, desk, blue) = running(&at_desk, &phone).await;
        let tile = format!(".tile[data-exercise='{}']", WORKOUT[1]);
        tab_to(&blue, &tile).await;
        blue.press(Key::Space).await;
        tile_is(&blue, WORKOUT[1], "done").await;
        has_done(&desk, "Blue", 1, true).await;
        // The server's drawing has come by now.
        blue.shows(&format!("{tile}[data-confirmed='done']:focus")).await;
        blue.press(Key::Tab).await;
        blue.press(Key::Enter).await;
        has_done(&desk, "Blue", 2, true).await;
        blue.shows(&format!(".tile[data-exercise='{}']:focus", WORKOUT[2])).await;
    })
    .await;
}
