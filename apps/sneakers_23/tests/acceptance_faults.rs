//! The book's chapter 8 in the browser: the Back button, a stopped server, a database that is down, and killed tasks. The
//! page is right after each of them.

mod support;

use sneakers_23::catalog::{ItemId, ProductId};
use sneakers_23::inventory::shelf;
use std::net::SocketAddr;
use std::time::Duration;
use support::browser::{
    add, cart_has, is_coming_soon, is_live, mark, open_live, shows_level, shows_sizes, was_not_reloaded, with_browser,
};
use support::program::{FEW, Pair, Shop};
use support::{assert_ledger, skip};
use test_postgres::Postgres;
use test_program::{Login, Program, Signal, free_port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

/// The times for which the server is stopped, in seconds.
const STOPS_S: [u64; 3] = [1, 5, 30];

#[tokio::test]
async fn back_to_the_store_shows_what_was_released_and_sold_out_meanwhile() {
    with_browser("back to the store", async |browser| {
        let shop = Shop::sqlite().await.stocked(FEW).await;
        let server = shop.start().await;
        let page = open_live(&browser, &server.url("/")).await;
        is_coming_soon(&page, 1).await;
        shop.command(&server, "release 1").await;
        shows_sizes(&page, 1).await;

        page.goto(&server.url("/elsewhere")).await;
        page.shows("#problem[data-status='404']").await;
        page.back().await;
        shows_sizes(&page, 1).await;
        is_coming_soon(&page, 2).await;

        page.script(
            "addEventListener('pageshow', (e) => { document.documentElement.dataset.p = e.persisted }); done()",
        )
        .await;
        page.goto("about:blank").await;
        shop.command(&server, "release 2").await;
        shop.command(&server, "sell-out").await;
        page.back().await;
        shows_sizes(&page, 2).await;
        page.shows("#product-2[data-state='sold-out']").await;
        is_live(&page).await;
        assert_ledger(&shop.database).await;
    })
    .await;
}

#[tokio::test]
async fn a_page_that_the_browser_has_kept_is_right_as_soon_as_it_is_shown_again() {
    with_browser("a kept page", async |browser| {
        let shop = Shop::sqlite().await.stocked(FEW).await;
        let server = shop.start().await;
        let port = keeping_proxy(server.address()).await;
        let page = open_live(&browser, &format!("http://localhost:{port}/")).await;
        mark(&page).await;
        page.goto("about:blank").await;
        shop.command(&server, "release 1").await;
        shop.command(&server, "price 2 9900").await;
        page.back().await;
        shows_sizes(&page, 1).await;
        page.shows("#product-2 [data-price='9900']").await;
        is_live(&page).await;
        was_not_reloaded(&page).await;
        add(&page, 1).await;
        cart_has(&page, &[1]).await;
    })
    .await;
}

/// Starts a proxy to the store that lets browsers keep its pages, as some do although the store forbids it. Returns its
/// port. It ends with the test's runtime.
async fn keeping_proxy(server: SocketAddr) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = TcpStream::connect(server).await?;
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                    (client.split(), server.split());
                let requests = tokio::io::copy(&mut from_client, &mut to_server);
                let responses = async {
                    let mut buffer = vec![0; 1 << 16];
                    loop {
                        let count = from_server.read(&mut buffer).await?;
                        if count == 0 {
                            return to_client.shutdown().await;
                        }
                        // The head of a response arrives as one, and both texts have one length.
                        let head = &mut buffer[..count];
                        let (old, new) = (b"no-store, must-revalidate", b"no-cache, must-revalidate");
                        if let Some(at) = head.windows(old.len()).position(|text| text == old) {
                            head[at..at + new.len()].copy_from_slice(new);
                        }
                        to_client.write_all(&buffer[..count]).await?;
                    }
                };
                tokio::try_join!(requests, responses)
            });
        }
    });
    port
}

#[tokio::test]
async fn a_page_is_right_after_its_server_was_stopped_for_1_5_and_30_seconds() {
    with_browser("a stopped server", async |browser| {
        let mut stores = Vec::new();
        for seconds in STOPS_S {
            let shop = Shop::sqlite().await.stocked(FEW).await;
            // The pages of the three servers have one host and so one session.
            let secret = [("SECRET_KEY_BASE", "the secret of three servers with one browser")];
            let server = Program::start_with(&shop.login, free_port(), &secret).await;
            shop.command(&server, "restock 3 200").await;
            let page = open_live(&browser, &server.url("/")).await;
            is_coming_soon(&page, 1).await;
            mark(&page).await;
            stores.push((seconds, shop, server, page));
        }
        let stopped_at = Instant::now();
        for (seconds, _, server, _) in &mut stores {
            // A server that ends in order, and one that is killed.
            server.signal(if *seconds == 5 { Signal::KILL } else { Signal::TERM });
            server.ended().await;
        }
        for (seconds, shop, server, page) in &mut stores {
            page.shows(":root[data-link='lost'] #state[data-state='retry']").await;
            let bar = page.text(".link-bar").await;
            assert!(bar.starts_with("Connection lost at ") && bar.contains("Figures as of "), "{bar}");
            // The page misses the messages of this time.
            shelf::release(&shop.database, ProductId(2)).await.unwrap();
            shelf::restock(&shop.database, ItemId(14), 200).await.unwrap();

            sleep_until(stopped_at + Duration::from_secs(*seconds)).await;
            let secret = [("SECRET_KEY_BASE", "the secret of three servers with one browser")];
            *server = Program::start_with(&shop.login, server.port, &secret).await;
            is_live(page).await;
            shows_sizes(page, 2).await;
            shows_level(page, 14, "medium").await;
            page.shows(":root:not([data-link]) .link-bar:empty").await;
            shop.command(server, "release 1").await;
            shows_sizes(page, 1).await;
            shows_level(page, 3, "medium").await;
            add(page, 3).await;
            cart_has(page, &[3]).await;
            was_not_reloaded(page).await;
            page.click(".line button.remove").await;
            cart_has(page, &[]).await;
        }
    })
    .await;
}

#[tokio::test]
async fn without_its_database_the_store_shows_its_pages_and_refuses_a_release_in_words() {
    const TEST: &str = "a database that is down";
    let mut postgres = match Postgres::builder().fsync(false).start().await {
        Ok(postgres) => postgres,
        Err(missing) => return skip(TEST, &missing),
    };
    with_browser(TEST, async |browser| {
        let shop = Shop::postgres(&postgres).await.stocked(FEW).await;
        let server = shop.start().await;
        shop.command(&server, "release 2").await;
        let page = open_live(&browser, &server.url("/")).await;
        is_coming_soon(&page, 1).await;
        add(&page, 14).await;
        cart_has(&page, &[14]).await;

        postgres.stop().await;
        for _ in 0..3 {
            page.goto(&server.url("/")).await;
            is_coming_soon(&page, 1).await;
            shows_sizes(&page, 2).await;
            is_live(&page).await;
            cart_has(&page, &[14]).await;
        }
        add(&page, 15).await;
        cart_has(&page, &[14, 15]).await;
        page.goto(&server.url("/checkout")).await;
        page.shows("#checkout-lines [data-item-id='14']").await;
        page.goto(&server.url("/")).await;
        let refused = shop.login.fail(server.port, &["release", "1"]).await;
        assert!(refused.starts_with("sneakers_23: the database does not answer, try again: "), "{refused}");
        is_coming_soon(&page, 1).await;
        let start = start_error(&shop.login).await;
        assert!(start.starts_with("sneakers_23: could not open the database: "), "{start}");

        is_live(&page).await;
        mark(&page).await;
        postgres.start_again().await;
        shop.command(&server, "release 1").await;
        shows_sizes(&page, 1).await;
        cart_has(&page, &[14, 15]).await;
        was_not_reloaded(&page).await;
        assert_ledger(&shop.database).await;
    })
    .await;
}

/// Starts another server of the same store, which fails, and returns the line of its error.
async fn start_error(login: &Login) -> String {
    login.fail_to_start("NODE", "b@localhost").await
}

#[tokio::test]
async fn killed_tasks_come_back_and_the_pages_of_both_nodes_stay_right() {
    const TEST: &str = "killed tasks";
    let postgres = match Postgres::shared().await {
        Ok(postgres) => postgres,
        Err(missing) => return skip(TEST, &missing),
    };
    with_browser(TEST, async |browser| {
        let pair = Pair::start(Shop::postgres(postgres).await.stocked(100).await).await;
        let pages =
            [open_live(&browser, &pair.nodes[0].url("/")).await, open_live(&browser, &pair.nodes[1].url("/")).await];
        for page in &pages {
            is_coming_soon(page, 1).await;
            mark(page).await;
        }
        let tasks = ["inventory", "replication", "committer", "database", "announcer", "resolver", "dashboard"];
        for task in tasks {
            pair.command(0, &format!("kill {task}")).await;
        }
        pair.command(1, "release 1").await;
        for page in &pages {
            shows_sizes(page, 1).await;
            shows_level(page, 1, "low").await;
        }
        // One after the other, each with a change on the other node and one on its own.
        for (task, item) in tasks.into_iter().zip(1..) {
            pair.command(0, &format!("kill {task}")).await;
            for (node, amount, level) in [(1, 100, "medium"), (0, 400, "high")] {
                pair.command(node, &format!("restock {item} {amount}")).await;
                for page in &pages {
                    shows_level(page, item, level).await;
                }
            }
        }
        pair.command(0, "kill endpoint").await;
        pair.command(0, "release 2").await;
        for page in &pages {
            shows_sizes(page, 2).await;
            is_live(page).await;
            was_not_reloaded(page).await;
        }
        add(&pages[0], 14).await;
        for page in &pages {
            cart_has(page, &[14]).await;
        }
        assert_ledger(&pair.shop.database).await;
    })
    .await;
}
