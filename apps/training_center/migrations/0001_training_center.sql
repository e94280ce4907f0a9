-- The sessions of the gym: one row each, whose version grows with every change. The same statements for SQLite and PostgreSQL.

CREATE TABLE training_sessions (
    id BIGINT PRIMARY KEY,
    version BIGINT NOT NULL,
    -- The title, the workout, the phase, the people and what they have done, as JSON.
    state TEXT NOT NULL
);

-- What all nodes of one database share, as the secret of their tokens.
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
