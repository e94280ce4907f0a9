//! The path of the control socket: a file for each port, in a directory that only its owner may enter.
//!
//! The directory is `$XDG_RUNTIME_DIR/bennu`, or without that variable `bennu-UID` in the directory for temporary
//! files. Two terminals of one user may differ in the variable, so the client tries both.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Returns the possible directories of the socket, the preferred one first.
fn directories() -> impl Iterator<Item = PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let temporary = std::env::temp_dir().join(format!("bennu-{}", rustix::process::geteuid().as_raw()));
    runtime.map(|path| path.join("bennu")).into_iter().chain([temporary])
}

/// Returns the possible paths of the socket of a server on this port.
pub(super) fn candidates(port: u16) -> impl Iterator<Item = PathBuf> {
    directories().map(move |directory| directory.join(file_name(port)))
}

/// Returns the path for the socket of a server on this port, after creating its private directory.
pub(super) fn prepare(port: u16) -> io::Result<PathBuf> {
    let mut refused = None;
    for directory in directories() {
        match create_private(&directory) {
            Ok(()) => return Ok(directory.join(file_name(port))),
            Err(error) => refused = Some(io::Error::new(error.kind(), format!("{}: {error}", directory.display()))),
        }
    }
    Err(refused.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

fn file_name(port: u16) -> String {
    format!("hello_sockets-{port}.sock")
}

/// Creates the directory, or checks an existing one, which any user may have created among the temporary files.
fn create_private(directory: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
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
        let (open, link) = (parent.path().join("open"), parent.path().join("link"));
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(parent.path(), &link).unwrap();
        for directory in [open, link] {
            assert_eq!(create_private(&directory).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
    }
}
