//! Where the control socket is: a file for each port, in a directory that only its owner may enter.
//!
//! That is `$XDG_RUNTIME_DIR/bennu`, or where a login has none, `bennu-UID` in the directory for temporary files. Two
//! terminals of one user may differ in that, so the client looks into both.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The directories that the socket may be in, the preferred one first.
fn directories() -> impl Iterator<Item = PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let temporary = std::env::temp_dir().join(format!("bennu-{}", rustix::process::geteuid().as_raw()));
    runtime.map(|path| path.join("bennu")).into_iter().chain([temporary])
}

/// Where a server on this port may be listening.
pub(super) fn candidates(port: u16) -> impl Iterator<Item = PathBuf> {
    directories().map(move |directory| directory.join(file_name(port)))
}

/// Where a server on this port is to listen; its directory is there and private.
pub(super) fn claim(port: u16) -> io::Result<PathBuf> {
    let mut refused = None;
    for directory in directories() {
        match make_private(&directory) {
            Ok(()) => return Ok(directory.join(file_name(port))),
            Err(error) => refused = Some(io::Error::new(error.kind(), format!("{}: {error}", directory.display()))),
        }
    }
    Err(refused.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

fn file_name(port: u16) -> String {
    format!("hello_sockets-{port}.sock")
}

/// Makes the directory, or makes sure of the one that is there: in a place for temporary files anybody may have made it.
fn make_private(directory: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = std::fs::symlink_metadata(directory)?;
    let is_own = found.uid() == rustix::process::geteuid().as_raw();
    if found.is_dir() && is_own && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "not a directory that only you may enter (mode 0700)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_is_made_for_its_owner_alone_and_used_again() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("bennu");
        make_private(&directory).unwrap();
        make_private(&directory).unwrap();
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
            assert_eq!(make_private(&directory).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
    }
}
