//! The shared half of the pages, over a small router and without a network: sessions, forms, problems, and signing in.

use app_service::now_ms;
use app_service::password::Password;
use app_service::web::{
    self, Fields, Form, Frame, MAX_FORM_BYTES, PathPart, Peer, Problem, SIGNED_IN_FOR, SignedIn, Visitor, Visitors,
    check_password,
};
use askama::Template;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo as PeerInfo, State};
use axum::http::{HeaderMap, HeaderName, Request, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bennu::prelude::*;
use bennu::token::{Secret, Token};
use bennu::{ConnectInfo, Endpoint, SessionCookie, SessionMap};
use bennu_testkit::prelude::*;
use bennu_testkit::{NotConnected, TestSocket};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};
use tower::ServiceExt;

/// The key of a sign-in in the session, and the purpose of its token. Cookies of a running site have it.
const SIGNED_IN: &str = "signed_in";

const COOKIE: &str = "_pages";

const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct User {
    name: String,
}

/// A site with pages of each kind.
#[derive(Clone)]
struct Site {
    endpoint: Endpoint,
    cookie: SessionCookie,
    password: Password,
}

#[derive(Template)]
#[template(
    source = "<h1>{{ problem.status() }} {{ problem.title }}</h1><p>{{ problem.text }}</p>{{ back() }}",
    ext = "html"
)]
struct ProblemPage {
    problem: Problem,
}

impl ProblemPage {
    fn back(&self) -> String {
        let (path, label) = self.problem.back.unwrap_or(("/", "Start"));
        format!("{label} at {path}")
    }
}

#[derive(Template)]
#[template(
    source = "{{ frame.csrf_token }} {{ frame.user_token }} {% if let Some(user) = frame.user %}{{ user.name }}{% endif %}",
    ext = "txt"
)]
struct FramePage {
    frame: Frame<User>,
}

/// The socket of a page whose user has signed in.
struct UserSocket(SignedIn<User>);

impl Socket for UserSocket {
    type State = ();

    async fn connect(request: Connect) -> Result<Self, Refusal> {
        SignedIn::connect(&request).map(UserSocket)
    }

    fn id(&self) -> Option<String> {
        Some(self.0.socket_id())
    }

    fn channels(_: &mut ChannelRouter<Self>) {}
}

impl Site {
    /// Returns a site, and its password.
    fn new() -> (Self, String) {
        let secret = Secret::new("a secret that only the tests of the pages have").unwrap();
        let (password, text) = Password::random().unwrap();
        (Site { endpoint: Endpoint::new(secret), cookie: SessionCookie::new(COOKIE, "pages session"), password }, text)
    }

    fn secret(&self) -> &Secret {
        self.endpoint.secret()
    }

    /// Returns the routes without the pages of problems.
    fn plain(&self) -> Router<Site> {
        let pages = Router::new()
            .route("/", get(async |visitor: Visitor| visitor.csrf_token().to_owned()))
            .route("/user", get(user))
            .route("/frame", get(frame))
            .route("/change", get(change).post(async |visitor: Visitor, Form(fields): Form| paint(visitor, &fields)))
            .route("/search", get(async |fields: Fields| Ok::<_, Problem>(fields.required("q")?.to_owned())))
            .route("/sessions/{id}", get(async |PathPart(id): PathPart<u32>| format!("session {id}")))
            .route("/number/{text}", get(async |PathPart(text): PathPart<String>| Problem::invalid(&text, "a number")))
            .route("/busy", get(busy))
            .route("/sign_in", post(sign_in))
            .route(
                "/sign_out",
                post(async |visitor: Visitor, Form(_): Form| Ok::<_, Problem>((visitor.sign_out()?, "out"))),
            )
            .route("/password", post(password));
        web::pages(pages, Visitors::new(self.cookie.clone(), self.secret().clone()))
            .route("/without_session", get(async |_: Visitor| "a page"))
    }

    fn browser(&self) -> Browser {
        let routes = web::with_problems(self.plain(), |problem| ProblemPage { problem });
        Browser::of(routes.with_state(self.clone()))
    }

    /// Returns the session that a browser's cookie contains.
    fn session(&self, browser: &Browser) -> SessionMap {
        let cookie = browser.cookie.as_deref().expect("the browser has a cookie");
        let headers = HeaderMap::from_iter([(header::COOKIE, format!("{COOKIE}={cookie}").parse().unwrap())]);
        self.cookie.read(self.secret(), &headers).expect("the site has signed the cookie")
    }

    /// Gives a browser the cookie of another session.
    fn set_session(&self, browser: &mut Browser, session: &SessionMap) {
        let cookie = self.cookie.header(self.secret(), session).unwrap();
        browser.cookie = Some(cookie_value(cookie.to_str().unwrap()));
    }

    /// Returns the browser of a signed-in user.
    async fn signed_in(&self, name: &str) -> Browser {
        let mut browser = self.browser();
        assert_eq!(browser.submit("/sign_in", &[("name", name)]).await.status, StatusCode::SEE_OTHER);
        browser
    }

    /// Returns the token for the sockets of a browser's pages.
    fn token(&self, browser: &Browser) -> String {
        SignedIn::<User>::of(&self.session(browser)).unwrap().token(&self.endpoint).unwrap()
    }

    async fn connect(
        &self,
        token: Option<&str>,
        session: Option<SessionMap>,
    ) -> Result<TestSocket<UserSocket>, NotConnected> {
        let params = token.map_or_else(|| json!({}), |token| json!({ "token": token }));
        let info = session.map_or_else(ConnectInfo::new, |session| ConnectInfo::new().with_session(session));
        ChannelTest::with_endpoint(self.endpoint.clone()).connect_with(params, info).await
    }
}

async fn user(visitor: Visitor) -> String {
    visitor.signed_in::<User>().map_or_else(|| "nobody".to_owned(), |signed_in| signed_in.user.name)
}

async fn frame(State(site): State<Site>, visitor: Visitor) -> Result<Response, Problem> {
    web::page(StatusCode::OK, &FramePage { frame: Frame::new(&visitor, &site.endpoint)? })
}

async fn change(visitor: Visitor, fields: Fields) -> Result<Response, Problem> {
    paint(visitor, &fields)
}

fn paint(visitor: Visitor, fields: &Fields) -> Result<Response, Problem> {
    Ok((visitor.with("colour", fields.required("colour")?), "changed").into_response())
}

async fn busy() -> Response {
    let headers = [(header::RETRY_AFTER, "2"), (header::SET_COOKIE, "cart=empty")];
    (headers, Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Too busy.", "Try again.").back("/later", "Later"))
        .into_response()
}

async fn sign_in(visitor: Visitor, Form(fields): Form) -> Result<impl IntoResponse, Problem> {
    Ok((visitor.sign_in(User { name: fields.required("name")?.to_owned() })?, Redirect::to("/user")))
}

async fn password(State(site): State<Site>, peer: Peer, Form(fields): Form) -> Result<Response, Problem> {
    Ok(match check_password(&site.password, fields.required("password")?, peer).await {
        Ok(()) => "accepted".into_response(),
        Err(rejected) => (rejected.status, rejected.retry_after, rejected.text).into_response(),
    })
}

/// A browser with the cookie of its session.
#[derive(Clone)]
struct Browser {
    router: Router,
    cookie: Option<String>,
    address: IpAddr,
}

/// The response to a browser.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Browser {
    fn of(router: Router) -> Self {
        Browser { router, cookie: None, address: Ipv4Addr::LOCALHOST.into() }
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Sends the text of a form.
    async fn post(&mut self, path: &str, form: String) -> Answer {
        self.send(Request::post(path).header(header::CONTENT_TYPE, FORM).body(Body::from(form)).unwrap()).await
    }

    /// Sends a form with the CSRF token of the session.
    async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.csrf_token().await;
        let fields = fields.iter().map(|(name, value)| format!("&{name}={value}"));
        self.post(path, format!("_csrf_token={token}{}", fields.collect::<String>())).await
    }

    async fn csrf_token(&mut self) -> String {
        self.get("/").await.body
    }

    async fn send(&mut self, mut request: Request<Body>) -> Answer {
        if let Some(cookie) = &self.cookie {
            request.headers_mut().insert(header::COOKIE, format!("{COOKIE}={cookie}").parse().unwrap());
        }
        let peer = Extension(PeerInfo(SocketAddr::new(self.address, 4000)));
        let response = self.router.clone().layer(peer).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        let answer = Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body).unwrap() };
        if let Some(set) = answer.all(header::SET_COOKIE).iter().find(|set| set.starts_with(COOKIE)) {
            self.cookie = Some(cookie_value(set));
        }
        answer
    }
}

impl Answer {
    fn all(&self, name: HeaderName) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// Asserts that this is the page of a problem with a text.
    #[track_caller]
    fn assert_problem(&self, status: StatusCode, text: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.body.starts_with(&format!("<h1>{} ", status.as_u16())), "not the template: {self:?}");
        assert!(self.body.contains(text), "no {text:?} in {self:?}");
        assert_eq!(self.all(header::CONTENT_TYPE), ["text/html; charset=utf-8"]);
    }
}

fn cookie_value(set_cookie: &str) -> String {
    set_cookie.split(';').next().unwrap().split_once('=').unwrap().1.to_owned()
}

#[tokio::test]
async fn a_new_visitor_gets_a_signed_cookie_once() {
    let (site, _) = Site::new();
    let mut browser = site.browser();
    let first = browser.get("/").await;
    let [cookie] = first.all(header::SET_COOKIE)[..] else { panic!("not one cookie: {first:?}") };
    assert!(cookie.starts_with("_pages=SFMyNTY.") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
    assert_eq!(site.session(&browser)["_csrf_token"], first.body);
    let second = browser.get("/").await;
    assert_eq!((second.all(header::SET_COOKIE), &second.body), (vec![], &first.body));
    assert_ne!(site.browser().get("/").await.body, first.body, "each visitor has a token of its own");
}

#[tokio::test]
async fn a_cookie_that_the_site_has_not_signed_is_that_of_a_new_visitor() {
    let (site, _) = Site::new();
    let mut browser = site.browser();
    let token = browser.csrf_token().await;
    let session = site.session(&browser);
    let other = Secret::new("a secret that only another site has").unwrap();
    let foreign = site.cookie.header(&other, &session).unwrap();
    for cookie in ["", "x", "SFMyNTY.forged.forged", &cookie_value(foreign.to_str().unwrap())] {
        browser.cookie = Some(cookie.to_owned());
        assert_ne!(browser.csrf_token().await, token, "{cookie}");
        assert_ne!(browser.cookie.as_deref(), Some(cookie));
    }
    // A session without a CSRF token, as one that another version of the site has made.
    site.set_session(&mut browser, &SessionMap::new());
    assert_eq!(browser.get("/").await.all(header::SET_COOKIE).len(), 1);
}

#[tokio::test]
async fn a_changed_visitor_gets_a_new_cookie() {
    let (site, _) = Site::new();
    let mut browser = site.browser();
    // The first request of a new visitor already changes the session: there is one cookie, with the change.
    let changed = browser.get("/change?colour=blue").await;
    assert_eq!((&*changed.body, changed.all(header::SET_COOKIE).len()), ("changed", 1));
    assert_eq!(site.session(&browser)["colour"], "blue");
    let token = browser.csrf_token().await;
    assert_eq!(browser.get("/change?colour=red").await.all(header::SET_COOKIE).len(), 1);
    assert_eq!(site.session(&browser)["colour"], "red");
    assert_eq!(browser.csrf_token().await, token, "the change of a value keeps the CSRF token");
}

#[tokio::test]
async fn a_page_outside_of_the_sessions_that_takes_a_visitor_is_an_error_of_the_site() {
    let (site, _) = Site::new();
    let log = capture_log();
    let answer = site.browser().get("/without_session").await;
    answer.assert_problem(StatusCode::INTERNAL_SERVER_ERROR, "It was logged");
    assert!(log.contains("a route outside of `web::pages` takes a visitor as its argument"), "{log}");
}

#[tokio::test]
async fn a_form_needs_the_csrf_token_of_its_own_session() {
    let (site, _) = Site::new();
    let mut browser = site.browser();
    let own = browser.csrf_token().await;
    let foreign = site.browser().csrf_token().await;
    let rest = &own[1..];
    for token in [None, Some(""), Some("guessed"), Some(&*foreign), Some(rest)] {
        let log = capture_log();
        let token = token.map(|token| format!("&_csrf_token={token}")).unwrap_or_default();
        let answer = browser.post("/change", format!("colour=blue{token}")).await;
        answer.assert_problem(StatusCode::FORBIDDEN, "This form is too old or came from another site.");
        let warnings: Vec<_> = log.lines().into_iter().filter(|line| line.starts_with("WARN")).collect();
        assert_eq!(warnings, ["WARN rejected a form without the CSRF token of its session path=/change"], "{token}");
        assert_eq!(site.session(&browser).get("colour"), None);
    }
    // The right token without the cookie of its session.
    let answer = site.browser().post("/change", format!("colour=blue&_csrf_token={own}")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(browser.post("/change", format!("colour=blue&_csrf_token={own}")).await.body, "changed");
}

#[tokio::test]
async fn a_form_has_at_most_16_kb() {
    let (site, _) = Site::new();
    let mut browser = site.browser();
    let start = format!("_csrf_token={}&padding=", browser.csrf_token().await);
    let form = |bytes: usize| format!("{start}{}", "x".repeat(bytes - start.len()));
    assert_eq!(MAX_FORM_BYTES, 16 * 1024);
    let larger = browser.post("/sign_out", form(MAX_FORM_BYTES + 1)).await;
    larger.assert_problem(StatusCode::PAYLOAD_TOO_LARGE, "A form of this site has at most 16 KB.");
    assert_eq!(browser.post("/sign_out", form(MAX_FORM_BYTES)).await.body, "out");
}

#[tokio::test]
async fn a_form_is_sent_as_a_form_with_its_fields() {
    let (site, _) = Site::new();
    let mut browser = site.browser();
    let token = browser.csrf_token().await;
    let json = Request::post("/change").header(header::CONTENT_TYPE, "application/json");
    let json = json.body(Body::from(format!("{{\"_csrf_token\":\"{token}\",\"colour\":\"blue\"}}"))).unwrap();
    let answer = browser.send(json).await;
    answer.assert_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "must be sent as application/x-www-form-urlencoded");
    let answer = browser.submit("/change", &[]).await;
    answer.assert_problem(StatusCode::BAD_REQUEST, "The field &#34;colour&#34; is missing.");
}

#[tokio::test]
async fn a_query_has_its_fields_by_name_and_is_refused_without_a_required_one() {
    let (site, _) = Site::new();
    let mut browser = site.browser();
    assert_eq!(browser.get("/search?q=a+b%21&q2=x").await.body, "a b!");
    // Bytes that are not UTF-8 are read as U+FFFD, so that every query can be read.
    assert_eq!(browser.get("/search?q=%FF&=&&%ZZ").await.body, "\u{FFFD}");
    for path in ["/search", "/search?", "/search?p=1&%FF"] {
        browser.get(path).await.assert_problem(StatusCode::BAD_REQUEST, "The field &#34;q&#34; is missing.");
    }
}

#[tokio::test]
async fn a_path_whose_part_is_not_valid_is_a_page_that_does_not_exist() {
    let (site, _) = Site::new();
    let mut browser = site.browser();
    assert_eq!(browser.get("/sessions/7").await.body, "session 7");
    for part in ["x", "-1", "4294967296", "%FF", "7%00"] {
        let answer = browser.get(&format!("/sessions/{part}")).await;
        answer.assert_problem(StatusCode::NOT_FOUND, "There is no page here.");
    }
}

#[tokio::test]
async fn a_problem_is_drawn_by_the_template_with_its_status_and_keeps_its_headers() {
    let (site, _) = Site::new();
    let mut browser = site.browser();
    // The visitor is new: both cookies arrive.
    let busy = browser.get("/busy").await;
    busy.assert_problem(StatusCode::SERVICE_UNAVAILABLE, "Too busy.</h1><p>Try again.</p>Later at /later");
    assert_eq!(busy.all(header::RETRY_AFTER), ["2"]);
    assert!(matches!(busy.all(header::SET_COOKIE)[..], ["cart=empty", session] if session.starts_with(COOKIE)));
    assert_eq!(busy.all(header::CONTENT_LENGTH), [busy.body.len().to_string()]);

    let unknown = browser.get("/nothing").await;
    unknown.assert_problem(StatusCode::NOT_FOUND, "There is no page here.");
    assert!(unknown.body.ends_with("Start at /"));
    let wrong = browser.get("/sign_in").await;
    wrong.assert_problem(StatusCode::METHOD_NOT_ALLOWED, "&#34;/sign_in&#34; does not take GET requests.");
    assert_eq!(wrong.all(header::ALLOW), ["POST"]);

    let token = browser.csrf_token().await;
    for page in [busy, unknown, wrong] {
        assert!(!page.body.contains(&token) && !page.headers.contains_key(header::CACHE_CONTROL), "{page:?}");
    }
}

#[tokio::test]
async fn a_problem_repeats_only_the_beginning_of_a_long_value() {
    let (site, _) = Site::new();
    let answer = site.browser().get(&format!("/number/{}", "%C3%A9".repeat(81))).await;
    let shown = format!("<p>&#34;{}&#34; and so on is not a number.</p>", "é".repeat(80));
    answer.assert_problem(StatusCode::BAD_REQUEST, &shown);
    let answer = site.browser().get(&format!("/number/{}", "%C3%A9".repeat(80))).await;
    answer.assert_problem(StatusCode::BAD_REQUEST, &format!("&#34;{}&#34; is not a number.", "é".repeat(80)));
}

/// A page that cannot be rendered.
#[derive(Template)]
#[template(source = "{{ value }}", ext = "txt")]
struct BrokenPage {
    value: Broken,
}

struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Err(fmt::Error)
    }
}

#[tokio::test]
async fn a_problem_that_cannot_be_drawn_is_its_text() {
    let (site, _) = Site::new();
    let broken = web::with_problems(site.plain(), |_| BrokenPage { value: Broken }).with_state(site.clone());
    for mut browser in [Browser::of(broken), Browser::of(site.plain().with_state(site.clone()))] {
        let answer = browser.get("/busy").await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::SERVICE_UNAVAILABLE, "Try again."));
        assert_eq!(answer.all(header::RETRY_AFTER), ["2"]);
    }
    assert!(web::page(StatusCode::OK, &BrokenPage { value: Broken }).is_err());
}

#[tokio::test]
async fn the_page_of_a_user_has_the_tokens_and_no_cache_stores_it() {
    let (site, _) = Site::new();
    let mut browser = site.browser();
    let page = browser.get("/frame").await;
    assert_eq!(page.body.trim_end(), browser.csrf_token().await, "without a user there is no other token");
    assert_eq!(page.all(header::CACHE_CONTROL), ["no-store, must-revalidate"]);
    let mut browser = site.signed_in("Blue").await;
    let page = browser.get("/frame").await;
    let [csrf_token, user_token, name] = page.body.split(' ').collect::<Vec<_>>()[..] else { panic!("{page:?}") };
    assert_eq!((csrf_token, name), (&*browser.csrf_token().await, "Blue"));
    site.connect(Some(user_token), Some(site.session(&browser))).await.unwrap();
    let public = web::public_page(
        StatusCode::OK,
        &FramePage { frame: Frame { csrf_token: String::new(), user: None, user_token: String::new() } },
    );
    assert!(!public.unwrap().headers().contains_key(header::CACHE_CONTROL));
}

#[tokio::test]
async fn a_sign_in_and_a_sign_out_renew_the_csrf_token() {
    let (site, _) = Site::new();
    let mut browser = site.browser();
    assert_eq!(browser.get("/user").await.body, "nobody");
    let before = browser.csrf_token().await;
    browser.submit("/sign_in", &[("name", "Blue")]).await;
    assert_eq!(browser.get("/user").await.body, "Blue");
    let signed_in = browser.csrf_token().await;
    browser.submit("/sign_out", &[]).await;
    assert_eq!(browser.get("/user").await.body, "nobody");
    let after = browser.csrf_token().await;
    assert!(before != signed_in && signed_in != after && before != after);
    for old in [before, signed_in] {
        let answer = browser.post("/change", format!("colour=blue&_csrf_token={old}")).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_sign_in_keeps_the_other_values_of_the_session() {
    let (site, _) = Site::new();
    let mut browser = site.browser();
    browser.get("/change?colour=blue").await;
    browser.submit("/sign_in", &[("name", "Blue")]).await;
    assert_eq!(site.session(&browser)["colour"], "blue");
    browser.submit("/sign_out", &[]).await;
    assert_eq!(site.session(&browser)["colour"], "blue");
}

#[tokio::test]
async fn a_sign_in_ends_after_twelve_hours() {
    let (site, _) = Site::new();
    assert_eq!(SIGNED_IN_FOR, Duration::from_secs(12 * 3600));
    let earliest = now_ms() + 12 * 3_600_000;
    let mut browser = site.signed_in("Blue").await;
    let mut session = site.session(&browser);
    let until_ms = session[SIGNED_IN]["until_ms"].as_i64().unwrap();
    assert!((earliest..=now_ms() + 12 * 3_600_000).contains(&until_ms), "{until_ms}");

    let token = site.token(&browser);
    session[SIGNED_IN]["until_ms"] = (now_ms() - 1).into();
    site.set_session(&mut browser, &session);
    assert_eq!(browser.get("/user").await.body, "nobody");
    assert!(site.connect(Some(&token), Some(session)).await.is_err());
}

#[tokio::test]
async fn a_user_of_another_kind_in_the_session_is_nobody() {
    let (site, _) = Site::new();
    let mut browser = site.signed_in("Blue").await;
    let mut session = site.session(&browser);
    session[SIGNED_IN]["user"] = json!({ "number": 7 });
    site.set_session(&mut browser, &session);
    assert_eq!(browser.get("/user").await.body, "nobody");
}

#[tokio::test]
async fn a_socket_needs_the_token_and_the_session_of_one_sign_in() {
    let (site, _) = Site::new();
    let mut browser = site.signed_in("Blue").await;
    let (token, session) = (site.token(&browser), site.session(&browser));
    // The same user in another browser.
    let other = site.signed_in("Blue").await;
    let (other_token, other_session) = (site.token(&other), site.session(&other));
    let first = SignedIn::<User>::of(&session).unwrap();
    let socket_ids = [first.socket_id(), SignedIn::<User>::of(&other_session).unwrap().socket_id()];
    assert_ne!(socket_ids[0], socket_ids[1], "a sign-out closes the sockets of its own sign-in");
    assert_eq!(UserSocket(first.clone()).id().as_ref(), Some(&socket_ids[0]));
    let own = Token::new(site.secret(), SIGNED_IN);
    let old = own.sign_at(&first, SystemTime::now() - Duration::from_secs(13 * 3600)).unwrap();
    let foreign = Secret::new("a secret that only another site has").unwrap();
    let foreign = Token::new(&foreign, SIGNED_IN).sign(&first).unwrap();
    let another_purpose = Token::new(site.secret(), "pages session").sign(&first).unwrap();

    site.connect(Some(&token), Some(session.clone())).await.unwrap();
    for (token, session, attempt) in [
        (Some(&*token), None, "a token alone"),
        (Some(&*token), Some(&other_session), "the session of another sign-in"),
        (Some(&*other_token), Some(&session), "the token of another sign-in"),
        (None, Some(&session), "a session alone"),
        (Some(""), Some(&session), "an empty token"),
        (Some(&*old), Some(&session), "a token of 13 hours"),
        (Some(&*foreign), Some(&session), "a token of another secret"),
        (Some(&*another_purpose), Some(&session), "a token of another purpose"),
    ] {
        let refused = site.connect(token, session.cloned()).await;
        assert!(matches!(refused, Err(NotConnected::Refused(_))), "{attempt}");
    }

    browser.submit("/sign_out", &[]).await;
    let refused = site.connect(Some(&token), Some(site.session(&browser))).await;
    assert!(matches!(refused, Err(NotConnected::Refused(_))), "a page that stayed open after the sign-out");
    // A second sign-in with this browser is another one.
    browser.submit("/sign_in", &[("name", "Blue")]).await;
    assert!(site.connect(Some(&token), Some(site.session(&browser))).await.is_err());
    site.connect(Some(&site.token(&browser)), Some(site.session(&browser))).await.unwrap();
}

#[tokio::test]
async fn a_rejected_password_has_a_status_a_sentence_and_one_line_in_the_log() {
    let (site, text) = Site::new();
    let mut browser = site.browser();
    let log = capture_log();
    let wrong = browser.submit("/password", &[("password", "guess")]).await;
    assert_eq!((wrong.status, &*wrong.body), (StatusCode::UNAUTHORIZED, "This is not the password."));
    let long = browser.submit("/password", &[("password", &"x".repeat(1025))]).await;
    assert_eq!(long.status, StatusCode::BAD_REQUEST);
    assert_eq!(long.body, "A password of 1025 bytes is too long: it must have at most 1024.");
    for answer in [wrong, long] {
        assert!(!answer.headers.contains_key(header::RETRY_AFTER));
    }
    for _ in 0..3 {
        browser.submit("/password", &[("password", "guess")]).await;
    }
    let many = browser.submit("/password", &[("password", &text)]).await;
    assert_eq!(many.status, StatusCode::TOO_MANY_REQUESTS);
    let seconds: u64 = many.all(header::RETRY_AFTER)[0].parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(many.body, format!("There were too many attempts: try again in {seconds} s."));

    browser.address = Ipv4Addr::new(192, 0, 2, 1).into();
    let accepted = browser.submit("/password", &[("password", &text)]).await;
    assert_eq!((accepted.status, &*accepted.body), (StatusCode::OK, "accepted"), "another address has its own count");
    assert_eq!(log.lines().iter().filter(|line| line.starts_with("WARN rejected a password")).count(), 6, "{log}");
    assert!(!log.lines().iter().any(|line| line.contains(&text) || line.contains("guess")), "{log}");
}

#[test]
fn a_sentence_begins_with_a_capital_letter_and_has_a_full_stop() {
    assert_eq!(web::sentence("this is not the password"), "This is not the password.");
    assert_eq!(web::sentence("über"), "Über.");
}
