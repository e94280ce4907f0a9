//! The programs of PostgreSQL on this machine, and the user that runs them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

const NAMES: [&str; 3] = ["initdb", "postgres", "psql"];

/// The folder of the programs.
pub(crate) struct Programs {
    folder: PathBuf,
    user: Option<(u32, u32)>,
}

impl Programs {
    /// Finds the folder: `POSTGRES_BIN`, one of the `PATH`, or the newest version where Debian and Homebrew install
    /// them.
    pub(crate) fn find() -> Result<Programs, String> {
        let folder = match std::env::var_os("POSTGRES_BIN") {
            Some(folder) => complete(PathBuf::from(folder))?,
            None => installed(std::env::var_os("PATH").unwrap_or_default())?,
        };
        let user = if rustix::process::geteuid().is_root() { Some(unprivileged_user()?) } else { None };
        Ok(Programs { folder, user })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the path of one of the programs, or the name of another program.
    pub(crate) fn path(&self, program: &str) -> PathBuf {
        if NAMES.contains(&program) { self.folder.join(program) } else { program.into() }
    }

    /// Returns the user and group that run the server, when root runs the test: PostgreSQL refuses to run as root.
    pub(crate) fn user(&self) -> Option<(u32, u32)> {
        self.user
    }
}

fn complete(folder: PathBuf) -> Result<PathBuf, String> {
    match NAMES.iter().find(|name| !folder.join(name).is_file()) {
        Some(name) => Err(format!("could not find {name} in {}, the value of POSTGRES_BIN", folder.display())),
        None => Ok(folder),
    }
}

fn installed(path: OsString) -> Result<PathBuf, String> {
    let in_path = std::env::split_paths(&path);
    let homebrew =
        ["/opt/homebrew/opt", "/usr/local/opt"].into_iter().flat_map(|folder| versions(folder, "postgresql@"));
    let folders = in_path.chain(versions("/usr/lib/postgresql", "")).chain(homebrew);
    folders.map(complete).find_map(Result::ok).ok_or_else(|| {
        "could not find PostgreSQL (initdb, postgres and psql): install the package postgresql, or set POSTGRES_BIN to \
         the folder of these programs"
            .to_owned()
    })
}

/// Returns the folders of programs of the installed versions, the newest first.
fn versions(folder: &str, prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut versions: Vec<(f32, PathBuf)> = entries
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

/// Returns the ids of the user that Debian's package creates, else those of `nobody`.
fn unprivileged_user() -> Result<(u32, u32), String> {
    let id = |option: &str, user: &str| -> Option<u32> {
        let output = Command::new("id").args([option, user]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    let mut users = ["postgres", "nobody"].into_iter();
    users
        .find_map(|user| Some((id("-u", user)?, id("-g", user)?)))
        .ok_or_else(|| "could not find the user postgres or nobody: PostgreSQL does not run as root".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_folder_is_an_error_with_the_missing_program() {
        let folder = tempfile::tempdir().unwrap();
        for name in NAMES {
            let error = complete(folder.path().to_owned()).unwrap_err();
            assert!(error.contains(&format!("could not find {name} in")), "{error}");
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(complete(folder.path().to_owned()).as_deref(), Ok(folder.path()));
    }

    #[test]
    fn the_newest_version_is_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["postgresql@9.6", "postgresql@16", "postgresql@14", "postgresql", "redis@7"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let found = versions(folder.path().to_str().unwrap(), "postgresql@");
        assert_eq!(
            found,
            ["postgresql@16", "postgresql@14", "postgresql@9.6"].map(|name| folder.path().join(name).join("bin"))
        );
    }
}
