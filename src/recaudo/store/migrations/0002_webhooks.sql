-- Telling others what happened: who wants to know (endpoint), each telling of an event to one of them (delivery), the
-- bytes they are told (event_body), and what is to be told again (replay).

-- An event may be about something else than an invoice: about an endpoint that fails.
ALTER TABLE event RENAME COLUMN invoice_id TO subject_id;

-- Where an event stands in the feed: its transaction's id, plus what the feed's shift says. Readers stay below the
-- oldest transaction that still runs, so that a row that commits late is never skipped.
ALTER TABLE event ALTER COLUMN transaction_id DROP DEFAULT;
ALTER TABLE event ALTER COLUMN transaction_id TYPE bigint USING transaction_id::text::bigint;
ALTER TABLE event RENAME COLUMN transaction_id TO position;
ALTER TABLE event ALTER COLUMN position SET DEFAULT (pg_current_xact_id()::text::bigint);

ALTER TABLE event DROP CONSTRAINT event_pkey;
ALTER TABLE event ADD PRIMARY KEY (account_id, id);
CREATE UNIQUE INDEX event_of_subject ON event (account_id, subject_id, version, ordinal);
CREATE INDEX event_feed ON event (account_id, position, subject_id, version, ordinal);

-- The transaction ids of another PostgreSQL server mean nothing here: when a dump is restored elsewhere, `shift` moves
-- the new positions above the old ones. One row.
CREATE TABLE feed (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    server text NOT NULL,
    shift bigint NOT NULL CHECK (shift >= 0)
);

INSERT INTO feed (server, shift) VALUES ('', 0);

-- Who wants to know. `types` are in the dialect's words, `tells` are the core's names of those that are ever raised.
-- Secrets are encrypted. Instants are on the account's clock, but for failing_since, which is real time.
CREATE TABLE endpoint (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    dialect text NOT NULL,
    name text NOT NULL,
    description text,
    url text NOT NULL,
    types text[] NOT NULL CHECK (cardinality(types) > 0),
    tells text[] NOT NULL,
    secret bytea NOT NULL,
    token bytea NOT NULL,
    old_secret bytea,
    old_secret_until timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    failing_since timestamptz,
    failing_told boolean NOT NULL DEFAULT false,
    failures integer NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id),
    CHECK ((old_secret IS NULL) = (old_secret_until IS NULL))
);

-- One telling of an event to one endpoint. It waits for the worker for as long as due_at is set. What was tried is in
-- `history`, one object for each try; first_tried_at starts its hour of holding back later ones, and its three days.
CREATE TABLE delivery (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    version integer NOT NULL,
    ordinal integer NOT NULL,
    type text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed', 'dropped')),
    http_status smallint,
    history jsonb NOT NULL DEFAULT '[]',
    first_tried_at timestamptz,
    created_at timestamptz NOT NULL,
    due_at timestamptz,
    leased_until timestamptz,
    tries integer NOT NULL DEFAULT 0,
    last_error text,
    PRIMARY KEY (account_id, id),
    CHECK ((state = 'waiting') = (due_at IS NOT NULL))
);

-- The claim asks each endpoint for what is due first, and each row for earlier ones of its subject. The two say the same
-- in other words (a check keeps it so), and so do the questions: where one condition fitted both, the planner took the
-- wrong one whenever its statistics were from a quiet hour.
CREATE INDEX delivery_due ON delivery (account_id, endpoint_id, due_at, version, ordinal, id) WHERE due_at IS NOT NULL;
CREATE INDEX delivery_order ON delivery (account_id, endpoint_id, subject_id, version, ordinal, id)
    WHERE state = 'waiting';

-- Rows pass through the two in seconds: what is left of them must not pile up at the front of the line.
ALTER TABLE delivery SET (autovacuum_vacuum_scale_factor = 0.02);

-- An endpoint's newest deliveries, those of an event, and the dead ones.
CREATE INDEX delivery_by_endpoint ON delivery (account_id, endpoint_id, id);
CREATE INDEX delivery_by_event ON delivery (account_id, event_id);
CREATE INDEX delivery_dead ON delivery (account_id, id) WHERE state = 'failed';

-- What endpoints of a dialect are told about an event: rendered before the first try, and the same for ever.
CREATE TABLE event_body (
    account_id uuid NOT NULL,
    event_id uuid NOT NULL,
    dialect text NOT NULL,
    type text NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (account_id, event_id, dialect)
);

-- Events to be told again, page by page, from `after` on.
CREATE TABLE replay (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    event_ids uuid[],
    types text[],
    since timestamptz,
    until timestamptz,
    endpoint_id uuid,
    only_failed boolean NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'done')),
    after uuid,
    queued integer NOT NULL CHECK (queued >= 0),
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    due_at timestamptz,
    leased_until timestamptz,
    tries integer NOT NULL DEFAULT 0,
    last_error text,
    PRIMARY KEY (account_id, id),
    CHECK ((state = 'running') = (due_at IS NOT NULL))
);

CREATE INDEX replay_due ON replay (due_at) WHERE due_at IS NOT NULL;
