//! A PostgreSQL server of a test's own.
