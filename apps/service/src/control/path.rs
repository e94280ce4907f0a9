//! The directories of control sockets: a file for each application and port, in a directory that only its owner may
//! enter.
//!
//! The directory is `$XDG_RUNTIME_DIR/bennu`; without that variable `bennu-UID` in the directory for temporary files;
//! and when another user has made one of that name, `.bennu` in the home directory. Two terminals of one user may differ
//! in the variable, so the client tries all of them.

use std::env;
use std::fmt::Write;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The possible directories of a user, the preferred one first.
#[derive(Debug, Clone)]
pub(super) struct Directories(pub(super) Vec<PathBuf>);

impl Directories {
    /// Returns the directories of this process's user and environment.
    pub(super) fn of_user() -> Self {
        let variable = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let runtime = variable("XDG_RUNTIME_DIR").map(|path| path.join("bennu"));
        let temporary = env::temp_dir().join(format!("bennu-{}", rustix::process::geteuid().as_raw()));
        let home = variable("HOME").map(|path| path.join(".bennu"));
        Directories(runtime.into_iter().chain([temporary]).chain(home).collect())
    }

    /// Creates the first directory that can be private, and returns it. A directory that cannot be used is logged.
    ///
    /// # Errors
    /// The errors of all directories, when none can be used.
    pub(super) fn prepare(&self) -> io::Result<&Path> {
        let (mut refused, mut kind) = (String::new(), io::ErrorKind::NotFound);
        for directory in &self.0 {
            let error = match create_private(directory) {
                Ok(()) => return Ok(directory),
                Err(error) => error,
            };
            let directory = directory.display();
            tracing::warn!("could not use {directory} for the control socket: {error}");
            let separator = if refused.is_empty() { "" } else { "; " };
            let _ = write!(refused, "{separator}{directory}: {error}");
            kind = error.kind();
        }
        Err(io::Error::new(kind, refused))
    }
}

/// Returns the name of the socket's file for an application on a port.
pub(super) fn file_name(app: &str, port: u16) -> String {
    format!("{app}-{port}.sock")
}

/// Creates the directory, or checks an existing one.
fn create_private(directory: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => check_private(directory),
    }
}

/// Checks that the directory exists and that only this user may enter it. Any user may have created one of its name
/// among the temporary files.
pub(super) fn check_private(directory: &Path) -> io::Result<()> {
    let found = std::fs::symlink_metadata(directory)?;
    let is_own = found.uid() == rustix::process::geteuid().as_raw();
    if found.is_dir() && is_own && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is not a directory that only you may enter (mode 0700)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Creates a directory that others may enter, as another user would have created it.
    fn squatted(parent: &Path, name: &str) -> PathBuf {
        let directory = parent.join(name);
        std::fs::create_dir(&directory).unwrap();
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).unwrap();
        directory
    }

    #[test]
    fn a_directory_is_created_for_its_owner_only_and_reused() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("bennu");
        create_private(&directory).unwrap();
        create_private(&directory).unwrap();
        assert_eq!(std::fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_directory_that_others_may_enter_and_a_link_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        let (open, link) = (squatted(parent.path(), "open"), parent.path().join("link"));
        let private = parent.path().join("private");
        create_private(&private).unwrap();
        std::os::unix::fs::symlink(private, &link).unwrap();
        for directory in [open, link] {
            assert_eq!(create_private(&directory).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
    }

    #[test]
    fn the_next_directory_is_used_when_one_cannot_be() {
        let parent = tempfile::tempdir().unwrap();
        let (open, missing) = (squatted(parent.path(), "open"), parent.path().join("missing/bennu"));
        let last = parent.path().join("last");
        assert_eq!(Directories(vec![missing, open, last.clone()]).prepare().unwrap(), last);
    }

    #[test]
    fn the_error_without_any_usable_directory_names_all_of_them() {
        let parent = tempfile::tempdir().unwrap();
        let (a, b) = (squatted(parent.path(), "a"), squatted(parent.path(), "b"));
        let error = Directories(vec![a.clone(), b.clone()]).prepare().unwrap_err().to_string();
        let reason = "it is not a directory that only you may enter (mode 0700)";
        assert_eq!(error, format!("{}: {reason}; {}: {reason}", a.display(), b.display()));
    }
}
