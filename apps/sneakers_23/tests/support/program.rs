//! The store as a program: its databases, its nodes, and the stock that a test begins with.

use super::shopper::Shopper;
use sneakers_23::database::{self, Database};
use test_postgres::Postgres;
use test_program::{App, Login, Program, free_port};

const STORE: App =
    App { program: env!("CARGO_BIN_EXE_sneakers_23"), package: "sneakers_23", name: "Sneakers23", variables: &[] };

/// Creates a login that runs commands on a database, which may be empty.
pub(crate) fn login(url: &str) -> Login {
    Login::new(STORE).with("DATABASE_URL", url)
}

/// The pairs of each size in a test that sells all of them.
pub(crate) const FEW: i64 = 4;

/// A database with the login that runs commands on it, and this test's own connections to it.
pub(crate) struct Shop {
    pub(crate) login: Login,
    pub(crate) database: Database,
}

impl Shop {
    /// Creates a store in a file of SQLite.
    pub(crate) async fn sqlite() -> Self {
        let login = Login::new(STORE);
        let url = format!("sqlite://{}", login.directory().join("store.db").display());
        Shop { database: database::open(&url).await.unwrap(), login: login.with("DATABASE_URL", &url) }
    }

    /// Creates a store in a database of a PostgreSQL server.
    pub(crate) async fn postgres(server: &Postgres) -> Self {
        let url = server.create_database().await;
        Shop { database: database::open(&url).await.unwrap(), login: login(&url) }
    }

    /// Gives every size this many pairs, before a server starts.
    pub(crate) async fn stocked(self, pairs: i64) -> Self {
        let update = "UPDATE items SET stocked = $1, available = $1, version = version + 1";
        sqlx::query(update).bind(pairs).execute(&*self.database.pool()).await.unwrap();
        self
    }

    /// Starts a server on a free port.
    pub(crate) async fn start(&self) -> Program {
        Program::start(&self.login, 0).await
    }

    /// Runs a command to a server, and returns its output.
    pub(crate) async fn command(&self, server: &Program, line: &str) -> String {
        self.login.run(server.port, &line.split(' ').collect::<Vec<_>>()).await
    }

    /// Returns a shopper with the page of a server.
    pub(crate) async fn shopper(&self, server: &Program) -> Shopper {
        Shopper::arrive(server.address()).await
    }
}

/// Two nodes of one store over one database. They need no broker: the second connects to the first.
pub(crate) struct Pair {
    // Dropped before the directory with the logs.
    pub(crate) nodes: [Program; 2],
    pub(crate) shop: Shop,
    clusters: [String; 2],
}

impl Pair {
    pub(crate) async fn start(shop: Shop) -> Self {
        let [a, b] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let clusters = [format!("zenoh://{a}"), format!("zenoh://{b}?connect={a}")];
        let nodes =
            [start_node(&shop, 0, free_port(), &clusters).await, start_node(&shop, 1, free_port(), &clusters).await];
        Pair { nodes, shop, clusters }
    }

    /// Starts a node again on its port, after its end.
    pub(crate) async fn start_again(&mut self, node: usize) {
        self.nodes[node] = start_node(&self.shop, node, self.nodes[node].port, &self.clusters).await;
    }

    /// Runs a command to a node, and returns its output.
    pub(crate) async fn command(&self, node: usize, line: &str) -> String {
        self.shop.command(&self.nodes[node], line).await
    }
}

async fn start_node(shop: &Shop, node: usize, port: u16, clusters: &[String; 2]) -> Program {
    let name = ["a@localhost", "b@localhost"][node];
    Program::start_with(&shop.login, port, &[("NODE", name), ("CLUSTER", &clusters[node])]).await
}

/// Repeats a question to the program until the answer is yes.
///
/// # Panics
/// When it is not within the deadline of all tests.
pub(crate) async fn until(expected: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let answered = async { while !is_so().await {} };
    let answered = tokio::time::timeout(super::DEADLINE, answered).await;
    answered.unwrap_or_else(|_| panic!("it did not happen before the deadline that {expected}"));
}
