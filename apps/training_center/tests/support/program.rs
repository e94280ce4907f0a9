//! The Training Center as a program, with its database in a file.

use super::guest::Guest;
use super::pages;
use test_browser::{Browser, Page};
use test_program::{App, Login, Program};

pub(crate) const TRAINING_CENTER: App = App {
    program: env!("CARGO_BIN_EXE_training_center"),
    package: "training_center",
    name: "Training Center",
    variables: &[],
};

/// A running server, and the login that runs commands on it. Its database is a file in the directory of the login.
pub(crate) struct Gym {
    // Dropped before the directory with its log.
    pub(crate) server: Program,
    pub(crate) login: Login,
}

impl Gym {
    /// Starts a server with an empty database.
    pub(crate) async fn start() -> Self {
        Gym::start_by(Login::new(TRAINING_CENTER)).await
    }

    /// Starts a server with the variables of a login.
    pub(crate) async fn start_by(login: Login) -> Self {
        Gym { server: Program::start(&login, 0).await, login }
    }

    /// Returns the password that the server has printed.
    pub(crate) fn password(&self) -> &str {
        printed_password(&self.server)
    }

    /// Signs the trainer in, and returns the trainer's first page.
    pub(crate) async fn trainer(&self, browser: &Browser) -> Page {
        pages::trainer(browser, &self.server.url("/trainer"), self.password()).await
    }

    /// Signs the trainer in without a browser, and creates a session with squats and a plank.
    pub(crate) async fn trainer_of_a_session(&self) -> Guest {
        let mut trainer = Guest::trainer(self.server.address(), self.password()).await;
        let session = [("title", "Tuesday"), ("workout", "Squats\nPlank")];
        assert_eq!(trainer.post("/trainer/sessions", &session).await.status, 303);
        trainer
    }

    /// Kills the server.
    pub(crate) async fn kill(&mut self) {
        self.server.kill().await;
    }

    /// Starts the server again, on its port and its database.
    pub(crate) async fn start_again(&mut self) {
        self.server = Program::start(&self.login, self.server.port).await;
    }

    /// Runs a command to the server, and returns its output.
    pub(crate) async fn command(&self, args: &[&str]) -> String {
        self.login.run(self.server.port, args).await
    }
}

/// Returns the trainer's password that a server has printed.
pub(crate) fn printed_password(server: &Program) -> &str {
    let [line] = &server.printed[..] else { panic!("{:?} is not one line", server.printed) };
    line.strip_prefix("The trainer's password for /trainer is ").expect("the password is printed")
}
