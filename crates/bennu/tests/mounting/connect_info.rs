//! The information that reaches `connect`: the peer, the request, the session, the token, the state, and the extensions
//! of a middleware.

use crate::application::App;
use crate::support::channel::Open;
use crate::support::client::Client;
use crate::support::watch::Log;
use crate::support::{Server, endpoint};
use crate::{PATH, RecordingSocket, connect_info, serve};
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use base64::Engine;
use bennu::prelude::*;
use bennu::{SessionCookie, SessionMap};
use serde_json::Value;

#[tokio::test]
async fn connect_receives_the_peer_the_uri_the_headers_and_the_user_agent() {
    let (server, _endpoint) = serve(bennu::socket::<RecordingSocket>("/socket")).await;
    let mut client = Client::tcp(server.addr).await;
    let peer = client.stream.local_addr().unwrap();
    client.upgrade(PATH, "User-Agent: probe/1.0\r\nX-Custom: something\r\n").await;
    let info = client.join("info").await["response"].clone();
    assert_eq!(info["peer"], json!(peer));
    assert_eq!(info["uri"], PATH);
    assert_eq!(info["user_agent"], "probe/1.0");
    assert_eq!(info["x-custom"], "something");
    assert_eq!((&info["auth_token"], &info["session"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_session_reaches_connect_with_its_csrf_token_and_not_without() {
    let endpoint = endpoint();
    let cookie = SessionCookie::new("_app_key", "session salt");
    let page = cookie.clone();
    // The page of the application creates the session and returns the CSRF token in its body.
    let app = Router::new()
        .route(
            "/",
            get(move |State(endpoint): State<Endpoint>| async move {
                let mut session = SessionMap::new();
                session.insert("user_id".to_owned(), json!(7));
                let token = SessionCookie::csrf_token(&mut session).unwrap();
                ([("set-cookie", page.header(endpoint.secret(), &session).unwrap())], token)
            }),
        )
        .with_state(endpoint.clone())
        .merge(bennu::socket::<RecordingSocket>("/socket").session(cookie).router(&endpoint).unwrap());
    let server = Server::start(&endpoint, app).await;

    let mut browser = Client::tcp(server.addr).await;
    browser.send_raw("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
    let page = browser.response().await;
    let set_cookie = page.header("set-cookie").expect("a session").to_owned();
    assert!(set_cookie.contains("HttpOnly") && set_cookie.contains("SameSite=Lax"), "{set_cookie}");
    let cookie = format!("Cookie: theme=dark; {}\r\n", set_cookie.split(';').next().unwrap());

    let info = connect_info(&server, &format!("{PATH}&_csrf_token={}", page.body), &cookie).await;
    assert_eq!(info["session"]["user_id"], 7);
    // The token is random; the wrong token must begin with another letter.
    let other = if page.body.starts_with('x') { 'y' } else { 'x' };
    for (case, path, headers) in [
        ("without the token", PATH.to_owned(), cookie.clone()),
        ("with a wrong token", format!("{PATH}&_csrf_token={other}{}", &page.body[1..]), cookie.clone()),
        ("without the cookie", format!("{PATH}&_csrf_token={}", page.body), String::new()),
        (
            "with a forged cookie",
            format!("{PATH}&_csrf_token={}", page.body),
            cookie.replace("_app_key=", "_app_key=A"),
        ),
    ] {
        assert_eq!(connect_info(&server, &path, &headers).await["session"], Value::Null, "{case}");
    }
}

#[tokio::test]
async fn an_auth_token_arrives_as_a_subprotocol_and_is_never_sent_back() {
    let (server, _endpoint) = serve(bennu::socket::<RecordingSocket>("/socket").auth_token(true)).await;
    let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode("s3cret/täken");
    let header = format!("Sec-WebSocket-Protocol: phoenix, base64url.bearer.phx.{token}\r\n");
    let (mut client, response) = Client::connect_with(server.addr, PATH, &header).await;
    assert_eq!(response.header("sec-websocket-protocol"), Some("phoenix"));
    assert_eq!(client.join("info").await["response"]["auth_token"], "s3cret/täken");
}

#[tokio::test]
async fn a_mount_without_the_option_auth_token_does_not_read_a_token() {
    let (server, _endpoint) = serve(bennu::socket::<RecordingSocket>("/socket")).await;
    let header = "Sec-WebSocket-Protocol: phoenix, base64url.bearer.phx.YWJj\r\n";
    let (mut client, response) = Client::connect_with(server.addr, PATH, header).await;
    assert_eq!(response.header("sec-websocket-protocol"), None);
    assert_eq!(client.join("info").await["response"]["auth_token"], Value::Null);
}

#[tokio::test]
async fn a_token_that_a_mount_does_not_read_is_logged_once() {
    let (log, _guard) = Log::watch(tracing::Level::WARN);
    let (server, _endpoint) = serve(bennu::socket::<Open>("/socket")).await;
    for _ in 0..2 {
        let offer = "Sec-WebSocket-Protocol: phoenix, base64url.bearer.phx.YWJj\r\n";
        Client::connect_with(server.addr, PATH, offer).await;
    }
    assert_eq!(log.with(&["authToken", "add .auth_token(true)"]).len(), 1, "{:?}", log.lines());
}

/// A socket that needs a state, and a user that a middleware has logged in.
struct GuardedSocket {
    user: String,
    greeting: &'static str,
}

impl Socket for GuardedSocket {
    type State = App;

    async fn connect(request: Connect<App>) -> Result<Self, Refusal> {
        let user = request.extension::<User>()?.0.clone();
        Ok(GuardedSocket { user, greeting: request.state().name })
    }

    fn channels(router: &mut ChannelRouter<Self>) {
        router.channel::<Greeter>("greeter");
    }
}

#[derive(Clone)]
struct User(String);

struct Greeter;

impl Channel<GuardedSocket> for Greeter {
    async fn join(_: &str, _: Payload, ctx: &mut Context<GuardedSocket, Self>) -> Joined<Self> {
        let state = ctx.state().name;
        accept_with(Greeter, json!({ "user": ctx.socket.user, "greeting": ctx.socket.greeting, "state": state }))
    }
}

#[tokio::test]
async fn the_mounts_state_and_the_extension_of_a_middleware_reach_connect_over_both_transports() {
    let endpoint = endpoint();
    let state = App { endpoint: endpoint.clone(), name: "hello" };
    let socket = bennu::socket::<GuardedSocket>("/socket").with_state(state).longpoll(true).router(&endpoint).unwrap();
    let login = axum::middleware::from_fn(|mut request: axum::extract::Request, next: axum::middleware::Next| async {
        if let Some(user) = request.headers().get("x-user").and_then(|user| user.to_str().ok()).map(str::to_owned) {
            request.extensions_mut().insert(User(user));
        }
        next.run(request).await
    });
    let app = Router::new().merge(socket).layer(login);
    let server = Server::start(&endpoint, app.clone()).await;
    let (mut client, _) = Client::connect_with(server.addr, PATH, "X-User: blue\r\n").await;
    let greeted = json!({ "user": "blue", "greeting": "hello", "state": "hello" });
    assert_eq!(client.join("greeter").await["response"], greeted);
    assert_eq!(Client::refused(server.addr, PATH, "").await.status, 403, "no user is logged in");
    let polled = Client::refused(server.addr, "/socket/longpoll?vsn=2.0.0", "X-User: blue\r\n").await;
    assert!(polled.body.contains(r#""status":410"#), "a new session: {}", polled.body);
}
