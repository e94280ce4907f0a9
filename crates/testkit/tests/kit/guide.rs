//! The listings of the guide.
