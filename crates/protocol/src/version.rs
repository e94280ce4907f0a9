//! Version negotiation: the `vsn` that a client connects with chooses its serializer.

use crate::Serializer;
use semver::Version;

/// A `vsn` that no serializer speaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// Not a version at all.
    #[error("vsn {0:?} is no version, expected MAJOR.MINOR.PATCH")]
    Malformed(String),
    /// A version that none of the mount's serializers speaks.
    #[error("vsn {0} is not supported, the serializers of this socket speak {1}")]
    Unsupported(Version, String),
}

/// Chooses the serializer for a `vsn` parameter. Absent means 1.0.0, as Phoenix has it.
///
/// Source: `Phoenix.Socket.Transport`, requirements `~> 1.0.0` and `~> 2.0.0`.
///
/// # Errors
/// [`VersionError`] when it is no version or none of `allowed` speaks it; the connection is then refused.
pub fn negotiate(vsn: Option<&str>, allowed: &[Serializer]) -> Result<Serializer, VersionError> {
    let text = vsn.unwrap_or("1.0.0");
    let version = Version::parse(text).map_err(|_| VersionError::Malformed(text.to_owned()))?;
    allowed.iter().copied().find(|serializer| speaks(*serializer, &version)).ok_or_else(|| {
        let known: Vec<_> = allowed.iter().map(|serializer| serializer.requirement()).collect();
        VersionError::Unsupported(version, known.join(", "))
    })
}

/// `~> M.0.0`: at least M.0.0, below M.1.0. A pre-release of M.0.0 comes before it.
fn speaks(serializer: Serializer, version: &Version) -> bool {
    let before_release = version.patch == 0 && !version.pre.is_empty();
    version.major == serializer.major() && version.minor == 0 && !before_release
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Serializer; 2] = [Serializer::V1, Serializer::V2];

    #[test]
    fn an_absent_vsn_means_version_one() {
        assert_eq!(negotiate(None, &ALL), Ok(Serializer::V1));
    }

    #[test]
    fn patch_releases_are_spoken_and_nothing_else() {
        for (vsn, expected) in
            [("1.0.0", Serializer::V1), ("1.0.5", Serializer::V1), ("2.0.0", Serializer::V2), ("2.0.9", Serializer::V2)]
        {
            assert_eq!(negotiate(Some(vsn), &ALL), Ok(expected), "{vsn}");
        }
        for vsn in
            ["9.9.9", "abc", "", "2", "2.0", "2.1.0", "1.1.0", "0.9.0", "2.0.0-rc.1", "2.0.0 b", " 2.0.0", "v2.0.0"]
        {
            assert!(negotiate(Some(vsn), &ALL).is_err(), "{vsn}");
        }
    }

    #[test]
    fn a_socket_that_speaks_only_v2_refuses_v1_by_name() {
        let error = negotiate(None, &[Serializer::V2]).unwrap_err();
        assert_eq!(error.to_string(), "vsn 1.0.0 is not supported, the serializers of this socket speak ~> 2.0.0");
    }
}
