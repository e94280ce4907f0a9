//! The files and the headers, as a browser requests them.

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::Html;
use axum::routing::get;
use bennu_page::{CONTENT_SECURITY_POLICY, Files, PAGE_JS, PERSONAL, PLAIN_CSS, shell};
use http_body_util::BodyExt;
use tokio::io::AsyncReadExt;
use tower::ServiceExt;

fn app() -> Router {
    let pages = Router::new()
        .route("/", get(async || Html("<!doctype html><title>A page that everybody may see</title>")))
        .route("/account", get(async || (PERSONAL, Html("a page with a token, and long enough to be compressed"))))
        .route("/framed", get(async || ([(header::REFERRER_POLICY, "no-referrer")], "a page with a header of its own")))
        .merge(Files::new().file("mark.svg", "<svg/>").routes("/assets"));
    shell(pages).route("/socket", get(async || "a frame of a socket, which is long enough to be compressed"))
}

/// Requests a path with one header, and returns the response's status, headers and body.
async fn request(app: Router, path: &str, name: header::HeaderName, value: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
    let request = Request::get(path).header(name, value).body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

#[tokio::test]
async fn a_page_has_the_security_headers_and_is_revalidated_and_a_personal_page_is_not_stored() {
    for (path, cache_control) in [("/", "no-cache"), ("/account", "no-store, must-revalidate")] {
        let (status, headers, _) = request(app(), path, header::ACCEPT, "text/html").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers[header::CACHE_CONTROL], cache_control, "{path}");
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], CONTENT_SECURITY_POLICY);
        assert_eq!(headers[header::REFERRER_POLICY], "same-origin");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
}

#[tokio::test]
async fn a_header_that_the_handler_sets_is_kept() {
    let (_, headers, _) = request(app(), "/framed", header::ACCEPT, "text/html").await;
    assert_eq!(headers.get_all(header::REFERRER_POLICY).iter().collect::<Vec<_>>(), ["no-referrer"]);
}

#[tokio::test]
async fn compressed_files_are_smaller_and_equal_to_the_originals() {
    for (path, original) in [("/assets/plain.css", PLAIN_CSS), ("/assets/page.js", PAGE_JS)] {
        let (_, headers, plain) = request(app(), path, header::ACCEPT_ENCODING, "identity").await;
        assert!(!headers.contains_key(header::CONTENT_ENCODING));
        assert_eq!(plain, original.as_bytes());

        let (_, headers, gzip) = request(app(), path, header::ACCEPT_ENCODING, "gzip").await;
        assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
        assert_eq!(headers[header::VARY], "accept-encoding");
        let mut decoded = String::new();
        GzipDecoder::new(&gzip[..]).read_to_string(&mut decoded).await.unwrap();
        assert_eq!(decoded, original);

        let (_, headers, brotli) = request(app(), path, header::ACCEPT_ENCODING, "gzip, deflate, br, zstd").await;
        assert_eq!(headers[header::CONTENT_ENCODING], "br");
        let mut decoded = String::new();
        BrotliDecoder::new(&brotli[..]).read_to_string(&mut decoded).await.unwrap();
        assert_eq!(decoded, original);

        assert!(gzip.len() * 2 < plain.len() && brotli.len() * 2 < plain.len(), "{} {}", gzip.len(), brotli.len());
    }
}

#[tokio::test]
async fn routes_that_are_merged_after_the_call_are_not_compressed() {
    let (_, headers, _) = request(app(), "/socket", header::ACCEPT_ENCODING, "br").await;
    assert!(!headers.contains_key(header::CONTENT_ENCODING));
}

#[tokio::test]
async fn a_file_that_the_browser_has_is_not_sent_again() {
    let (status, headers, body) = request(app(), "/assets/page.js", header::ACCEPT_ENCODING, "br").await;
    assert!(status == StatusCode::OK && !body.is_empty());
    assert_eq!(headers[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
    let tag = headers[header::ETAG].to_str().unwrap();

    for known in [tag.to_owned(), format!("\"other\", {tag}"), "*".to_owned()] {
        let (status, headers, body) = request(app(), "/assets/page.js", header::IF_NONE_MATCH, &known).await;
        assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0), "{known}");
        assert_eq!(headers[header::ETAG], tag);
        assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
    }
    let (status, _, _) = request(app(), "/assets/plain.css", header::IF_NONE_MATCH, tag).await;
    assert_eq!(status, StatusCode::OK, "the tag of another file");
}

#[tokio::test]
async fn a_directory_is_read_for_each_request_and_only_its_files_of_known_types_are_served() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| std::fs::write(directory.path().join(name), content).unwrap();
    write("app.css", "h1 {}");
    write("index.html", "<h1>a template</h1>");
    let files = Files::new().directory(directory.path()).unwrap().client(directory.path());
    let app: Router = shell(files.routes("/assets"));
    write("app.css", "h1 { color: red; }");
    write("later.css", "h2 {}");

    let (status, headers, body) = request(app.clone(), "/assets/app.css", header::ACCEPT, "*/*").await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &b"h1 { color: red; }"[..]));
    assert_eq!(headers[header::CONTENT_TYPE], "text/css");
    assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
    for path in ["/assets/index.html", "/assets/later.css", "/assets/phoenix.mjs"] {
        let (status, ..) = request(app.clone(), path, header::ACCEPT, "*/*").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    let client = bennu_page::phoenix_client(directory.path());
    std::fs::create_dir_all(client.parent().unwrap()).unwrap();
    std::fs::write(client, "export class Socket {}").unwrap();
    let (status, _, body) = request(app, "/assets/phoenix.mjs", header::ACCEPT, "*/*").await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &b"export class Socket {}"[..]));
}

#[test]
fn a_missing_directory_is_an_error() {
    assert!(Files::new().directory("/nowhere").is_err());
}

#[test]
#[should_panic(expected = "the file \"index.html\" has no known content type: end its name with one of [\"css\"")]
fn a_file_of_an_unknown_type_is_refused() {
    let _ = Files::new().file("index.html", "");
}
