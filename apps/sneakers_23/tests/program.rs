//! The store from the command line: commands to the running server, its start, and its end.

mod support;

use sneakers_23::catalog::{Cents, ItemId, ProductId};
use sneakers_23::checkout::ledger;
use std::time::Duration;
use support::program::{FEW, Shop, until};
use support::shopper::Shopper;
use support::{assert_ledger, snapshot};
use test_postgres::Postgres;
use test_program::{Program, Signal};

/// The tasks of a node, and its connections.
const TASKS: &str = "endpoint, announcer, committer, dashboard, database, inventory, replication, resolver, sell-out";

/// The time between two batches of the sell-out.
const SELL_OUT_EVERY: Duration = Duration::from_millis(250);

async fn running() -> (Shop, Program) {
    let shop = Shop::sqlite().await.stocked(FEW).await;
    let server = shop.start().await;
    (shop, server)
}

/// Runs a command to the server that fails, and returns the error without the program's name.
async fn error(shop: &Shop, server: &Program, line: &str) -> String {
    let line = shop.login.fail(server.port, &line.split(' ').collect::<Vec<_>>()).await;
    line.strip_prefix("sneakers_23: ").expect("an error begins with the program's name").to_owned()
}

/// Logs in as the owner, and returns the status.
async fn log_in(server: &Program, password: &str) -> u16 {
    let mut owner = Shopper::arrive(server.address()).await;
    owner.get("/admin").await;
    let reply = owner.post("/admin/login", &[("password", password)]).await.unwrap();
    match reply.status {
        303 => owner.get("/admin").await.meta("admin-token").map_or(0, |_| 303),
        status => status,
    }
}

fn printed_password(server: &Program) -> &str {
    let [line] = &server.printed[..] else { panic!("{:?} is not one line", server.printed) };
    line.strip_prefix("The owner's password for /admin is ").unwrap()
}

#[tokio::test]
async fn a_release_a_restock_and_a_price_change_the_stock_and_the_pages_of_the_running_server() {
    let (shop, server) = running().await;
    let mut shopper = shop.shopper(&server).await;
    assert!(!shopper.get("/").await.body.contains(r#"data-item-id="1""#), "no size is shown before the release");
    assert_eq!(shop.command(&server, "release 1").await, "ok");
    assert_eq!(shop.command(&server, "restock 3 500").await, "ok");
    assert_eq!(shop.command(&server, "price 1 9950").await, "ok");
    let stock = shop.command(&server, "stock").await;
    assert!(stock.starts_with("product 1  Shift Runner, $99.50, released\n"), "{stock}");
    assert!(stock.contains("\n  item  3  size    7    504 left      0 sold  high\n"), "{stock}");
    assert!(stock.contains("\nproduct 2  Beta Court, $140.00, coming soon\n"), "{stock}");
    let page = shopper.get("/").await.body;
    assert!(page.contains(r#"data-item-id="3" data-stock="high""#) && page.contains(r#"data-price="9950""#), "{page}");
}

#[tokio::test]
async fn a_second_release_changes_nothing() {
    let (shop, server) = running().await;
    assert_eq!(shop.command(&server, "release 1").await, "ok");
    let stock = shop.command(&server, "stock").await;
    assert_eq!(shop.command(&server, "release 1").await, "ok");
    assert_eq!(shop.command(&server, "stock").await, stock);
}

#[tokio::test]
async fn the_sell_out_buys_until_no_released_pair_is_left_and_the_orders_are_in_the_ledger() {
    let (shop, server) = running().await;
    assert_eq!(shop.command(&server, "orders").await, "0 orders, $0.00");
    assert_eq!(shop.command(&server, "release 1").await, "ok");
    assert_eq!(shop.command(&server, "sell-out").await, "ok");
    until("every pair is sold", async || shop.command(&server, "orders").await.starts_with("52 orders, ")).await;
    let orders = shop.command(&server, "orders").await;
    assert_eq!(orders.lines().next(), Some("52 orders, $6240.00"));
    assert_eq!(orders.lines().count(), 21, "the newest 20 are listed: {orders}");
    assert!(orders.lines().skip(1).all(|order| order.contains("   $120.00  Shift Runner ")), "{orders}");
    let stock = shop.command(&server, "stock").await;
    assert_eq!(stock.matches("     0 left      4 sold  out").count(), 13, "{stock}");
    assert_eq!(stock.matches("     4 left      0 sold  low").count(), 13, "product 2 is not released: {stock}");
    assert_ledger(&shop.database).await;
    let nothing = "there is nothing to sell out: no released product has a pair left";
    assert_eq!(error(&shop, &server, "sell-out").await, nothing);
}

#[tokio::test]
async fn a_stopped_sell_out_leaves_the_other_pairs() {
    let shop = Shop::sqlite().await.stocked(1_000).await;
    let server = shop.start().await;
    shop.command(&server, "release 2").await;
    shop.command(&server, "sell-out").await;
    until("pairs are sold", async || !shop.command(&server, "orders").await.starts_with("0 orders")).await;
    assert_eq!(shop.command(&server, "stop-sell-out").await, "ok");
    // The batch of this moment is the last one, so that two counts on both sides of the next batches are equal.
    let count = async || ledger::totals(&shop.database).await.unwrap().0;
    let mut orders = count().await;
    until("nothing more is sold", async || {
        tokio::time::sleep(3 * SELL_OUT_EVERY).await;
        std::mem::replace(&mut orders, count().await) == orders
    })
    .await;
    assert!((200..13_000).contains(&orders), "{orders} orders");
    assert_ledger(&shop.database).await;
}

#[tokio::test]
async fn an_order_is_listed_with_its_number_and_the_names_of_its_items() {
    let (shop, server) = running().await;
    shop.command(&server, "release 1").await;
    shop.command(&server, "release 2").await;
    let order = shop.shopper(&server).await.buy(&[ItemId(8), ItemId(14)]).await;
    let number = order.attribute("data-number").expect("the page has the order's number");
    let expected = format!("1 orders, $260.00\n{number}    $260.00  Shift Runner 9.5, Beta Court 6");
    assert_eq!(shop.command(&server, "orders").await, expected);
}

#[tokio::test]
async fn a_reset_of_the_database_under_a_running_server_is_on_its_pages_within_seconds() {
    let (shop, server) = running().await;
    shop.command(&server, "release 1").await;
    let mut shopper = shop.shopper(&server).await;
    shopper.buy(&[ItemId(1)]).await;
    let output = shop.login.output(0, &["seed"], "").await;
    assert_eq!(output.status.code(), Some(2), "a reset deletes all orders, so it must be asked for: {output:?}");
    assert_eq!(shop.login.run(0, &["seed", "--reset"]).await, "ok");
    until("the server has the new stock", async || {
        shop.command(&server, "stock").await.contains("Shift Runner, $120.00, coming soon")
    })
    .await;
    assert!(!shopper.get("/").await.body.contains(r#"data-item-id="1""#));
    assert_eq!(shop.command(&server, "orders").await, "0 orders, $0.00");
    assert_eq!(shop.command(&server, "release 1").await, "ok");
    let item = snapshot(&shop.database).await.items().find(|item| item.available > 0).unwrap().id;
    shop.shopper(&server).await.buy(&[item]).await;
    assert_ledger(&shop.database).await;
}

#[tokio::test]
async fn every_killed_task_comes_back_and_the_store_goes_on() {
    let (shop, server) = running().await;
    shop.command(&server, "release 1").await;
    let unknown = error(&shop, &server, "kill nonsense").await;
    assert_eq!(unknown, format!("there is no task \"nonsense\": there are {TASKS}"));
    let mut shopper = shop.shopper(&server).await;
    for (task, price) in TASKS.split(", ").zip(12_100..) {
        let answer = shop.command(&server, &format!("kill {task}")).await;
        let expected = match task {
            "endpoint" => "closed all connections of shoppers".to_owned(),
            task => format!("killed {task}"),
        };
        assert_eq!(answer, expected);
        let price = Cents(price);
        assert_eq!(shop.command(&server, &format!("price 1 {}", price.0)).await, "ok", "after {task} was killed");
        let order = shopper.buy(&[ItemId(1 + price.0 % 12_100)]).await;
        assert!(order.body.contains(&format!(r#"data-total="{}""#, price.0)), "after {task} was killed: {order:?}");
    }
    let count = TASKS.split(", ").count() as i64;
    assert_eq!(ledger::totals(&shop.database).await.unwrap().0, count);
    assert_ledger(&shop.database).await;
}

#[tokio::test]
async fn the_printed_password_is_the_owners() {
    let (_shop, server) = running().await;
    assert_eq!(log_in(&server, printed_password(&server)).await, 303);
    assert_eq!(log_in(&server, "not the password").await, 401);
    assert!(!server.log().contains(printed_password(&server)), "the log has no password");
}

#[tokio::test]
async fn a_hashed_password_of_the_environment_is_the_owners_and_none_is_printed() {
    let shop = Shop::sqlite().await;
    let hash = shop.login.run_with_input(0, &["hash-password"], "correct horse battery\n").await;
    let server = Program::start_with(&shop.login, 0, &[("ADMIN_PASSWORD_HASH", &hash)]).await;
    assert_eq!(server.printed, [""; 0]);
    assert_eq!(log_in(&server, "correct horse battery").await, 303);
    assert_eq!(log_in(&server, "correct horse").await, 401);
}

#[tokio::test]
async fn wrong_input_is_an_error_of_one_line_with_the_value_and_the_limit() {
    let (shop, server) = running().await;
    for (line, expected) in [
        ("release 3", "there is no product 3"),
        ("release 0", "there is no product 0"),
        ("release -1", "there is no product -1"),
        ("restock 27 1", "there is no item 27"),
        ("restock 1 0", "0 is not a number of pairs to add: it must be from 1 to 10000"),
        ("restock 1 -5", "-5 is not a number of pairs to add: it must be from 1 to 10000"),
        ("restock 1 10001", "10001 is not a number of pairs to add: it must be from 1 to 10000"),
        ("price 1 0", "0 is not a price in cents: it must be from 1 to 1000000"),
        ("price 1 1000001", "1000001 is not a price in cents: it must be from 1 to 1000000"),
        ("price 9223372036854775807 1", "there is no product 9223372036854775807"),
        ("sell-out", "there is nothing to sell out: no released product has a pair left"),
    ] {
        assert_eq!(error(&shop, &server, line).await, expected, "{line}");
    }
    assert_eq!(snapshot(&shop.database).await.items().map(|item| item.stocked).sum::<i64>(), 26 * FEW);
}

#[tokio::test]
async fn a_command_line_that_cannot_be_parsed_ends_with_code_2_and_a_usage() {
    let shop = Shop::sqlite().await;
    for (line, expected) in [
        ("release", "<PRODUCT>"),
        ("release one", "invalid value 'one' for '<PRODUCT>'"),
        ("restock 1 9223372036854775808", "invalid value '9223372036854775808' for '<AMOUNT>'"),
        ("relaese 1", "unrecognized subcommand 'relaese'"),
        ("price 1 9.50", "invalid value '9.50' for '<CENTS>'"),
        ("--port 99999 stock", "99999 is not in 0..=65535"),
    ] {
        let output = shop.login.output(0, &line.split(' ').collect::<Vec<_>>(), "").await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{line}: {text}");
        assert!(text.contains(expected), "{line}: {text}");
    }
}

#[tokio::test]
async fn a_command_without_a_server_names_the_command_that_starts_one() {
    let shop = Shop::sqlite().await;
    let line = shop.login.fail(4000, &["stock"]).await;
    assert_eq!(line, "sneakers_23: no server answers on port 4000: start it with bin/run");
    let line = shop.login.fail(4567, &["release", "1"]).await;
    assert_eq!(line, "sneakers_23: no server answers on port 4567: start it with PORT=4567 bin/run");
}

#[tokio::test]
async fn a_password_that_is_too_short_has_no_hash() {
    let shop = Shop::sqlite().await;
    for (input, count) in [("short\n", 5), ("", 0)] {
        let output = shop.login.output(0, &["hash-password"], input).await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let expected = format!("sneakers_23: a password of {count} characters is too short: it must have at least 8\n");
        assert_eq!((output.status.code(), text), (Some(1), expected));
    }
}

#[tokio::test]
async fn an_environment_that_cannot_be_used_is_an_error_of_one_line() {
    let shop = Shop::sqlite().await;
    for (variable, value, expected) in [
        ("DATABASE_URL", "mysql://localhost/store", "begins neither with sqlite:// nor with postgres://"),
        ("DATABASE_URL", "sqlite:///nowhere/store.db", "could not open the database: "),
        ("DATABASE_URL", "postgres://owner:secret@127.0.0.1:1/store", "could not open the database: "),
        ("ADMIN_PASSWORD_HASH", "correct horse", "ADMIN_PASSWORD_HASH"),
        ("SECRET_KEY_BASE", "too short", "it must have at least 20"),
        ("ASSETS", "/nowhere", "could not read the pages' files in /nowhere: "),
        ("HOST", "localhost", "could not use HOST: \"localhost\" is not an IP address"),
        ("CLUSTER", "redis://localhost", "NODE must name this node"),
    ] {
        let line = shop.login.fail_to_start(variable, value).await;
        assert!(line.starts_with("sneakers_23: ") && line.contains(expected), "{variable}={value}: {line}");
        assert!(!line.contains("secret@"), "the error has a password: {line}");
    }
}

#[tokio::test]
async fn the_error_for_a_port_in_use_contains_a_command_with_another_port() {
    let (shop, server) = running().await;
    let next = server.port + 1;
    let expected = format!("sneakers_23: port {} is in use: choose another with PORT={next} bin/run", server.port);
    assert_eq!(shop.login.fail(server.port, &[]).await, expected);
}

#[tokio::test]
async fn without_a_database_url_the_store_is_a_file_in_the_working_directory_that_a_restart_keeps() {
    let shop = Shop::sqlite().await;
    let file = shop.login.directory().join("sneakers_23.db");
    let variables = [("DATABASE_URL", "sqlite://sneakers_23.db")];
    let mut server = Program::start_with(&shop.login, test_program::free_port(), &variables).await;
    assert!(file.exists());
    shop.command(&server, "release 1").await;
    let stock = shop.command(&server, "stock").await;
    let mut shopper = shop.shopper(&server).await;
    let cart = shopper.get("/").await.meta("cart-id");
    server.signal(Signal::TERM);
    assert_eq!(server.line().await.unwrap(), "Draining 0 connections (Ctrl-C again ends at once)");
    assert_eq!(server.ended().await, Some(0));
    let again = Program::start_with(&shop.login, server.port, &variables).await;
    assert_eq!(shop.command(&again, "stock").await, stock);
    assert_eq!(shopper.get("/").await.meta("cart-id"), cart, "the session's secret is in the database");
}

#[tokio::test]
async fn the_commands_are_the_same_with_postgres() {
    let postgres = match Postgres::shared().await {
        Ok(postgres) => postgres,
        Err(missing) => return support::skip("the commands with PostgreSQL", &missing),
    };
    let shop = Shop::postgres(postgres).await.stocked(FEW).await;
    let server = shop.start().await;
    assert_eq!(shop.command(&server, "release 1").await, "ok");
    assert_eq!(shop.command(&server, "restock 1 2").await, "ok");
    assert_eq!(shop.command(&server, "price 1 100").await, "ok");
    shop.command(&server, "sell-out").await;
    until("every pair is sold", async || shop.command(&server, "orders").await.starts_with("54 orders, $54.00")).await;
    assert_eq!(snapshot(&shop.database).await.items_of(ProductId(1)).map(|item| item.available).sum::<i64>(), 0);
    assert_ledger(&shop.database).await;
    assert_eq!(shop.login.run(0, &["seed", "--reset"]).await, "ok");
    until("the server has the new stock", async || {
        shop.command(&server, "stock").await.contains("Shift Runner, $120.00, coming soon")
    })
    .await;
}
