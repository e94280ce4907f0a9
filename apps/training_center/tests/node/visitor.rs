//! A browser without scripts: cookies, pages and forms over TCP, and the socket of its pages.

use bennu_client::Client;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

/// The time limit of each wait, for a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A visitor of a node.
pub(crate) struct Visitor {
    pub(crate) node: SocketAddr,
    cookies: BTreeMap<String, String>,
    /// The CSRF token of the last page that had one.
    csrf_token: String,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Visitor {
    /// Returns a visitor without cookies.
    pub(crate) fn of(node: SocketAddr) -> Self {
        Visitor { node, cookies: BTreeMap::new(), csrf_token: String::new() }
    }

    /// Returns the participant of this name.
    pub(crate) async fn participant(node: SocketAddr, name: &str) -> Self {
        let mut visitor = Visitor::of(node);
        assert_eq!(visitor.post("/sign_in", &[("name", name)]).await.status, 303);
        visitor
    }

    /// Returns the trainer.
    pub(crate) async fn trainer(node: SocketAddr, password: &str) -> Self {
        let mut visitor = Visitor::of(node);
        assert_eq!(visitor.post("/trainer/sign_in", &[("password", password)]).await.status, 303);
        visitor
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send("GET", path, "").await
    }

    /// Sends a form with the CSRF token of the visitor's session.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        // A sign-in changes the token, and this page shows it.
        self.get("/trainer").await;
        let csrf_token = self.csrf_token.clone();
        let fields = fields.iter().copied().chain([("_csrf_token", csrf_token.as_str())]);
        self.post_exactly(path, &fields.collect::<Vec<_>>()).await
    }

    /// Sends a form with these fields alone.
    pub(crate) async fn post_exactly(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let encode = |text: &str| {
            let byte = |byte: u8| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            };
            text.bytes().map(byte).collect::<String>()
        };
        let form: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        self.send("POST", path, &form.join("&")).await
    }

    /// Opens the socket with the tokens of the page at a path.
    pub(crate) async fn socket(&mut self, path: &str) -> Client {
        let page = self.get(path).await;
        let [token, csrf_token] = ["user-token", "csrf-token"].map(|name| page.value(name).expect(name));
        let client = Client::builder(format!("ws://{}/socket", self.node))
            .param("token", token)
            .param("_csrf_token", csrf_token)
            .header("cookie", self.cookie());
        client.connect().await.unwrap()
    }

    pub(crate) fn cookie(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    async fn send(&mut self, method: &str, path: &str, body: &str) -> Page {
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nCookie: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.node,
            self.cookie(),
            body.len()
        );
        let mut response = String::new();
        let exchange = async {
            let mut stream = TcpStream::connect(self.node).await?;
            stream.write_all(request.as_bytes()).await?;
            stream.read_to_string(&mut response).await
        };
        timeout(DEADLINE, exchange).await.expect("a response before the deadline").unwrap();
        let page = Page::parse(&response);
        for (name, value) in &page.headers {
            if name == "set-cookie" {
                let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        if let Some(csrf_token) = page.value("csrf-token") {
            self.csrf_token = csrf_token;
        }
        page
    }
}

impl Page {
    fn parse(response: &str) -> Self {
        let (head, body) = response.split_once("\r\n\r\n").expect("a response has a head");
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Page { status, headers, body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the content of a `<meta>` element.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let content = self.body.split_once(&format!("<meta name=\"{name}\" content=\""))?.1;
        content.split('"').next().map(str::to_owned)
    }

    /// Checks the status, and that the page has a text.
    pub(crate) fn assert(&self, status: u16, text: &str) {
        assert!(
            self.status == status && self.body.contains(text),
            "{} and not {status} with {text:?}:\n{:.1500}",
            self.status,
            self.body
        );
    }
}
