//! Version negotiation: the parameter `vsn` of a client selects the serializer of its connection.

use crate::Serializer;
use semver::Version;

/// A `vsn` for which there is no serializer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// The text is not a version.
    #[error("vsn {0:?} is not a version; expected MAJOR.MINOR.PATCH, such as 2.0.0")]
    Malformed(String),
    /// None of the mount's serializers supports the version.
    #[error("vsn {0} is not supported; the serializers of this socket support {1}")]
    Unsupported(Version, String),
}

impl Serializer {
    /// Returns the serializer for a `vsn` parameter. An absent parameter means 1.0.0, as in Phoenix.
    ///
    /// Source: `Phoenix.Socket.Transport`, requirements `~> 1.0.0` and `~> 2.0.0`.
    ///
    /// # Errors
    /// Returns [`VersionError`] when `vsn` is not a version, or when none of `allowed` supports it. The connection is
    /// then refused.
    pub fn negotiate(vsn: Option<&str>, allowed: &[Serializer]) -> Result<Serializer, VersionError> {
        let text = vsn.unwrap_or("1.0.0");
        let version = Version::parse(text).map_err(|_| VersionError::Malformed(text.to_owned()))?;
        allowed.iter().copied().find(|serializer| serializer.supports(&version)).ok_or_else(|| {
            let supported: Vec<_> = allowed.iter().map(|serializer| serializer.requirement()).collect();
            VersionError::Unsupported(version, supported.join(", "))
        })
    }

    /// `~> M.0.0`: at least M.0.0, below M.1.0. A pre-release of M.0.0 is lower than M.0.0.
    fn supports(self, version: &Version) -> bool {
        let is_before_release = version.patch == 0 && !version.pre.is_empty();
        version.major == self.major() && version.minor == 0 && !is_before_release
    }

    fn requirement(self) -> String {
        format!("~> {}.0.0", self.major())
    }

    fn major(self) -> u64 {
        match self {
            Serializer::V1 => 1,
            Serializer::V2 => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_vsn_means_version_one() {
        assert_eq!(Serializer::negotiate(None, &Serializer::ALL), Ok(Serializer::V1));
    }

    #[test]
    fn only_patch_releases_are_supported() {
        for (vsn, expected) in
            [("1.0.0", Serializer::V1), ("1.0.5", Serializer::V1), ("2.0.0", Serializer::V2), ("2.0.9", Serializer::V2)]
        {
            assert_eq!(Serializer::negotiate(Some(vsn), &Serializer::ALL), Ok(expected), "{vsn}");
        }
        for vsn in
            ["9.9.9", "abc", "", "2", "2.0", "2.1.0", "1.1.0", "0.9.0", "2.0.0-rc.1", "2.0.0 b", " 2.0.0", "v2.0.0"]
        {
            assert!(Serializer::negotiate(Some(vsn), &Serializer::ALL).is_err(), "{vsn}");
        }
    }

    #[test]
    fn a_socket_that_supports_only_v2_refuses_v1_and_names_the_version() {
        let error = Serializer::negotiate(None, &[Serializer::V2]).unwrap_err();
        assert_eq!(error.to_string(), "vsn 1.0.0 is not supported; the serializers of this socket support ~> 2.0.0");
    }
}
