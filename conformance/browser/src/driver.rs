//! The programs Chromium and chromedriver: their paths, and the start of chromedriver.

use crate::DEADLINE;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Returns the paths of Chromium and chromedriver, or a text that names the missing program.
pub(crate) fn programs() -> Result<[PathBuf; 2], String> {
    let find = |variable, name| {
        let configured = env::var_os(variable).map(PathBuf::from);
        let path = env::var_os("PATH").unwrap_or_default();
        let installed =
            || env::split_paths(&path).map(|directory| directory.join(name)).find(|program| program.exists());
        configured
            .or_else(installed)
            .ok_or_else(|| format!("could not find {name}: it is not in the PATH, and {variable} is not set"))
    };
    Ok([find("CHROMIUM", "chromium")?, find("CHROMEDRIVER", "chromedriver")?])
}

/// Starts chromedriver on a free port and returns the port, which chromedriver prints.
pub(crate) async fn start(chromedriver: &Path) -> (Child, u16) {
    let mut command = Command::new(chromedriver);
    let mut child = command.arg("--port=0").stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = async {
        while let Some(line) = output.next_line().await.unwrap() {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                return port.trim_end_matches('.').parse().unwrap();
            }
        }
        panic!("chromedriver ended before it listened");
    };
    let port = timeout(DEADLINE, port).await.expect("chromedriver did not start before the deadline");
    // Later output is read and dropped, since a closed pipe would end chromedriver.
    tokio::spawn(async move { while let Ok(Some(_)) = output.next_line().await {} });
    (child, port)
}
