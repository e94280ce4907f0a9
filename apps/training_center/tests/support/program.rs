//! The Training Center as a program, with its database in a file.

use test_program::{App, Login, Program, free_port};

const GYM: App = App {
    program: env!("CARGO_BIN_EXE_training_center"),
    package: "training_center",
    name: "Training Center",
    variables: &[],
};

/// A running server, its database, and the login that runs commands on it.
pub(crate) struct Gym {
    // Dropped before the directory with its log.
    pub(crate) server: Program,
    pub(crate) login: Login,
}

impl Gym {
    /// Starts a server with an empty database.
    pub(crate) async fn start() -> Self {
        let login = Login::new(GYM);
        let url = format!("sqlite://{}", login.directory().join("gym.db").display());
        let login = login.with("DATABASE_URL", &url);
        let server = Program::start(&login, free_port()).await;
        Gym { server, login }
    }

    /// Returns the URL of the database.
    pub(crate) fn database_url(&self) -> String {
        format!("sqlite://{}", self.login.directory().join("gym.db").display())
    }

    /// Returns the password that the server has printed.
    pub(crate) fn password(&self) -> &str {
        self.server.printed[0].strip_prefix("The trainer's password for /trainer is ").expect("the password is printed")
    }

    /// Kills the server.
    pub(crate) async fn kill(&mut self) {
        self.server.kill().await;
    }

    /// Starts the server again, on its port and its database.
    pub(crate) async fn start_again(&mut self) {
        self.server = Program::start(&self.login, self.server.port).await;
    }

    /// Kills a task of the server, which is started again.
    pub(crate) async fn kill_task(&self, task: &str) {
        self.login.run(self.server.port, &["kill", task]).await;
    }
}
