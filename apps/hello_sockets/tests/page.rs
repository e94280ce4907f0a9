//! The pages and their assets over HTTP, as a browser requests them.

mod support;

use hello_sockets::UserTracker;
use std::net::SocketAddr;
use std::path::Path;
use support::server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Response {
    status: u16,
    headers: String,
    body: String,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

async fn get(address: SocketAddr, path: &str) -> Response {
    get_with(address, path, "accept: */*").await
}

/// Like [`get`], with a header. A compressed body becomes a text of the same number of characters as it has bytes.
async fn get_with(address: SocketAddr, path: &str, header: &str) -> Response {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{header}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    let response = match String::from_utf8(response) {
        Ok(text) => text,
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(),
    };
    let (headers, body) = response.split_once("\r\n\r\n").unwrap();
    let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
    Response { status, headers: headers.to_owned(), body: body.to_owned() }
}

/// Returns the content of the page's `<meta>` element of this name.
fn meta<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!(r#"<meta name="{name}" content=""#)).unwrap();
    rest.split_once('"').unwrap().0
}

#[tokio::test]
async fn the_page_has_a_token_for_user_1_and_no_cache_may_store_it() {
    let server = Server::start().await;
    let page = get(server.address, "/").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(page.header("cache-control"), Some("no-store, must-revalidate"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'self';"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert!(!page.body.contains("{{"), "a placeholder is left");
    assert_eq!(meta(&page.body, "user-id"), "1");
    let token = meta(&page.body, "auth-token");
    let day = std::time::Duration::from_secs(86_400);
    assert_eq!(server.endpoint.verify::<u64>("salt identifier", token, day), Ok(1));
}

#[tokio::test]
async fn the_page_of_presences_has_a_token_for_user_1_or_for_the_requested_user() {
    let server = Server::start().await;
    let day = std::time::Duration::from_secs(86_400);
    for (path, user) in [("/tracked", 1), ("/tracked?user=7", 7)] {
        let page = get(server.address, path).await;
        assert_eq!((page.status, page.header("cache-control")), (200, Some("no-store, must-revalidate")), "{path}");
        assert_eq!(meta(&page.body, "user-id"), user.to_string());
        assert_eq!(server.endpoint.verify::<u64>("salt identifier", meta(&page.body, "auth-token"), day), Ok(user));
        assert!(page.body.contains("at <code>nonode@nohost</code>") && page.body.contains("stay for 30 s"));
    }
    assert_eq!(get(server.address, "/tracked?user=nobody").await.status, 400);
}

#[tokio::test]
async fn scripts_and_styles_are_served_under_assets_and_revalidated_each_time() {
    let server = Server::start().await;
    for (path, media_type) in [("/assets/app.js", "text/javascript"), ("/assets/app.css", "text/css")] {
        let asset = get(server.address, path).await;
        assert_eq!((asset.status, asset.header("content-type")), (200, Some(media_type)), "{path}");
        assert_eq!(asset.header("cache-control"), Some("no-cache"));
        assert_eq!(asset.header("x-content-type-options"), Some("nosniff"));
        assert!(asset.header("last-modified").is_some());
    }
}

#[tokio::test]
async fn pages_and_files_are_compressed_and_sockets_are_not() {
    let server = Server::start().await;
    for path in ["/", "/tracked", "/assets/app.js", "/assets/plain.css", "/assets/page.js"] {
        let plain = get(server.address, path).await;
        assert_eq!(plain.header("content-encoding"), None, "{path}");
        let compressed = get_with(server.address, path, "accept-encoding: gzip, br").await;
        assert_eq!((compressed.status, compressed.header("content-encoding")), (200, Some("br")), "{path}");
        let (bytes, all) = (compressed.body.chars().count(), plain.body.len());
        assert!(bytes * 2 < all, "{path}: {bytes} of {all} bytes");
    }
    let poll = get_with(server.address, "/socket/longpoll?vsn=2.0.0", "accept-encoding: gzip, br").await;
    assert_eq!((poll.status, poll.header("content-encoding")), (200, None));
}

#[tokio::test]
async fn the_official_client_is_served_from_npms_directory_even_if_it_is_installed_later() {
    let assets = tempfile::tempdir().unwrap();
    let server = Server::start_with(assets.path()).await;
    assert_eq!(get(server.address, "/assets/phoenix.mjs").await.status, 404);
    let directory = assets.path().join("node_modules/phoenix/priv/static");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("phoenix.mjs"), "export class Socket {}").unwrap();
    let client = get(server.address, "/assets/phoenix.mjs").await;
    assert_eq!((client.status, client.header("content-type")), (200, Some("application/javascript")));
    assert_eq!(client.body, "export class Socket {}");
}

#[tokio::test]
async fn no_other_path_is_served() {
    let server = Server::start().await;
    for path in [
        "/nothing",
        "/assets/",
        "/assets/nothing.js",
        "/assets/index.html",
        "/assets/layout.html",
        "/assets/package.json",
        "/assets/node_modules/phoenix/package.json",
        "/assets/..%2fCargo.toml",
        "/assets/../Cargo.toml",
        "/socket",
    ] {
        assert_eq!(get(server.address, path).await.status, 404, "{path}");
    }
}

#[test]
fn the_allocator_of_the_operations_page_is_the_one_of_this_program() {
    let page = include_str!("../../../docs/operations.md");
    let listing = page.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a listing");
    assert!(include_str!("../src/main.rs").contains(listing), "{listing}");
}

#[tokio::test]
async fn the_error_for_a_missing_directory_names_it() {
    let endpoint = bennu::Endpoint::new(bennu::token::Secret::new("a secret of enough length").unwrap());
    let error = hello_sockets::app(&endpoint, UserTracker::start(&endpoint, None), Path::new("/nowhere"))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("could not read the page's files in /nowhere: "), "{error}");
}
