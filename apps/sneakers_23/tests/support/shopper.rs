//! A shopper without JavaScript: pages and forms over HTTP, with the cookies of a browser.

use sneakers_23::catalog::ItemId;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;

/// A shopper with a session and a cart. A clone is another window of the same browser.
#[derive(Clone)]
pub(crate) struct Shopper {
    pub(crate) node: SocketAddr,
    /// The address of the shopper's machine, one of 127.0.0.0/8.
    pub(crate) from: Ipv4Addr,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) csrf_token: String,
}

/// A response of the store.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Shopper {
    /// Loads the store from a node, in a browser without cookies.
    pub(crate) async fn arrive(node: SocketAddr) -> Self {
        let (from, cookies) = (Ipv4Addr::LOCALHOST, BTreeMap::new());
        let mut shopper = Shopper { node, from, cookies, csrf_token: String::new() };
        assert_eq!(shopper.get("/").await.status, 200);
        shopper
    }

    /// Loads a page.
    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        let reply = self.exchange("GET", path, None).await.unwrap();
        if let Some(token) = reply.meta("csrf-token").or_else(|| reply.field("_csrf_token")) {
            self.csrf_token = token;
        }
        reply
    }

    /// Sends a form with the CSRF token of the page that was loaded last.
    ///
    /// # Errors
    /// [`io::Error`] when the node ends before it responds.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> io::Result<Reply> {
        let token = self.csrf_token.clone();
        let fields = [&[("_csrf_token", token.as_str())], fields].concat();
        let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        self.exchange("POST", path, Some(&pairs.join("&"))).await
    }

    /// Sends the text of a form as it is, without a CSRF token of its own.
    pub(crate) async fn post_text(&mut self, path: &str, form: &str) -> Reply {
        self.exchange("POST", path, Some(form)).await.unwrap()
    }

    /// Puts an item into the cart.
    pub(crate) async fn add(&mut self, item: ItemId) {
        let reply = self.post("/cart/add", &[("item_id", &item.to_string())]).await.unwrap();
        assert_eq!((reply.status, reply.header("location")), (303, Some("/#cart")), "{reply:?}");
    }

    /// Loads the checkout, and returns the purchase that it made.
    pub(crate) async fn check_out(&mut self) -> String {
        let page = self.get("/checkout").await;
        page.field("purchase").expect("the checkout has a form with a purchase")
    }

    /// Sends a purchase.
    ///
    /// # Errors
    /// [`io::Error`] when the node ends before it responds.
    pub(crate) async fn pay(&mut self, purchase: &str) -> io::Result<Reply> {
        self.post("/checkout", &[("purchase", purchase)]).await
    }

    /// Buys items, which must be in stock, and returns the order's page.
    pub(crate) async fn buy(&mut self, items: &[ItemId]) -> Reply {
        for item in items {
            self.add(*item).await;
        }
        let purchase = self.check_out().await;
        let paid = self.pay(&purchase).await.unwrap();
        assert_eq!(paid.status, 303, "{paid:?}");
        self.get(paid.header("location").unwrap()).await
    }

    async fn exchange(&mut self, method: &str, path: &str, form: Option<&str>) -> io::Result<Reply> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let form = form.unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncookie: {}\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n{form}",
            self.node,
            cookies.join("; "),
            form.len()
        );
        let response = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((self.from, 0).into())?;
            let mut stream = socket.connect(self.node).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut response = String::new();
            stream.read_to_string(&mut response).await?;
            Ok::<_, io::Error>(response)
        };
        let response = timeout(super::DEADLINE, response).await.expect("the store responds before the deadline")?;
        let reply = Reply::parse(&response).ok_or(io::ErrorKind::UnexpectedEof)?;
        for (_, cookie) in reply.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = cookie.split(';').next().and_then(|pair| pair.split_once('=')).unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        Ok(reply)
    }
}

impl Reply {
    /// Parses a response; `None` when its end is missing.
    fn parse(response: &str) -> Option<Self> {
        let (head, body) = response.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let reply = Reply { status, headers, body: body.to_owned() };
        let length = reply.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        (body.len() >= length).then_some(reply)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the value of a field of the page's forms.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        self.after(&format!(r#"name="{name}" value=""#))
    }

    /// Returns the content of a `meta` element.
    pub(crate) fn meta(&self, name: &str) -> Option<String> {
        self.after(&format!(r#"<meta name="{name}" content=""#))
    }

    /// Returns the order's number of a success page.
    pub(crate) fn order_number(&self) -> Option<String> {
        self.after(r#"data-number=""#)
    }

    fn after(&self, start: &str) -> Option<String> {
        let (_, rest) = self.body.split_once(start)?;
        Some(rest.split_once('"')?.0.to_owned())
    }
}

/// Encodes a value of a form.
pub(crate) fn encode(value: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' => text.push(char::from(byte)),
            _ => write!(text, "%{byte:02X}").expect("a String takes all text"),
        }
        text
    })
}
